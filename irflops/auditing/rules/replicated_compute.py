"""`replicated-compute`: along a dimension of the mesh every device does the same products."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Setting, Undecided, percentage
from irflops.ir.graph import Op
from irflops.ir.sbp import NdSbp


def _check(facts: Facts, options: Options) -> Iterator[Outcome]:
    whole: dict[tuple[tuple[int, ...], int], int] = {}
    same: dict[tuple[tuple[int, ...], int], list[tuple[Op, int]]] = {}
    open_ = False
    for op in facts.graph.ops:
        if op.type not in facts.book.contractions or op.placement is None or len(op.placement.ranks) < 2:
            continue
        lies = [operand.nd_sbp for operand in (*op.inputs, *op.outputs)]
        cost = facts.cost(op)
        if not cost.is_known("macs"):
            open_ = True
            why, never = facts.why_unknown("macs")
            yield Undecided(reason=f"what a product does is not known: {why}", op=op, never=never)
            continue
        macs = cost.get("macs")
        if None in lies:
            open_ = True
            holds = facts.graph.holds
            never = "operand_sbp" if not holds.operand_sbp else "result_sbp" if not holds.result_sbp else ""
            yield Undecided(reason="the form does not tell how tensors are wanted or made", op=op, never=never)
            continue
        for dimension, extent in enumerate(op.placement.hierarchy):
            key = op.placement.hierarchy, dimension
            if extent > 1:
                whole[key] = whole.get(key, 0) + macs
                if all(_is_whole(nd_sbp, dimension) for nd_sbp in lies):
                    same.setdefault(key, []).append((op, macs))
    # A share of all products is known where all of them are.
    for key, macs in () if open_ else whole.items():
        (mesh, dimension), found = key, same.get(key, [])
        repeated = sum(part for _, part in found)
        measured, limit = Measure("macs", repeated), Measure("macs", macs * options["percent"] // 100)
        along = f"along dimension {dimension} of the mesh {'x'.join(map(str, mesh))}"
        message = f"{len(found):,} products with {repeated:,} of {macs:,} MACs are done by each of {mesh[dimension]} devices {along}"
        if found and repeated > limit.value:
            first = min((op for op, _ in found), key=lambda op: (op.number is None, op.number or 0, op.name))
            yield Hit(message=message, op=first, measured=measured, limit=limit)
        else:
            yield Near(message=message, measured=measured, limit=limit, closeness=repeated / max(limit.value, 1))


def _is_whole(nd_sbp: NdSbp | None, dimension: int) -> bool:
    return nd_sbp is not None and dimension < len(nd_sbp) and nd_sbp[dimension].kind == "B"


def _graph(data: str, weight: str, result: str) -> str:
    return (
        f"x = input() -> out: f32[4,8] @ 2 ({data})\nw = variable() -> out: f32[8,8] @ 2 ({weight})\n"
        f"y = matmul(a: x{{{data}}}, b: w{{{weight}}}) -> out: f32[4,8] @ 2 ({result})\noutput(in: y{{{result}}}) @ 2"
    )


RULE = AuditRule(
    name="replicated-compute",
    summary="A tenth or more of the products are done alike by all devices along a dimension of the mesh. One finding per dimension.",
    why="Devices that all hold the same operands all compute the same: the dimension makes the step no faster.",
    fix="Split the batch, or a weight, along that dimension.",
    severity=Severity.WARNING,
    check=_check,
    settings=(Setting(name="percent", meaning="Percent of the MACs that may be done by all.", default=10, parse=percentage),),
    needs=("operand_sbp", "result_sbp"),
    undecidable="A saved graph does not hold how consumers want their operands, a forward job neither that nor how tensors are made.",
    good=(
        Good(name="data parallel", graph=_graph("S(0)", "B", "S(0)")),
        Good(name="tensor parallel", graph=_graph("B", "S(1)", "S(1)")),
        Good(name="allowed", graph=_graph("B", "B", "B"), settings={"percent": 100}),
        Good(name="saved", graph="pruned\n" + _graph("B", "B", "B").replace("{B}", ""), untold=True),
    ),
    bad=(
        Bad(
            name="all by all",
            graph=_graph("B", "B", "B"),
            op="y",
            because="4 x 8 results of 8 products each, on both devices",
            measured=Measure("macs", 256),
            limit=Measure("macs", 25),
        ),
    ),
)
