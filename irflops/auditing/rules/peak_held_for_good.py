"""`peak-held-for-good`: a large tensor that OneFlow keeps for the whole run, though few operators need it."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Setting, Undecided, whole_number
from irflops.auditing.sharding import device_bytes
from irflops.counting.hidden import hidden_by
from irflops.ir.graph import Op, Role

_FOR_A_REASON = frozenset({"acc", "pack", "unpack", "repeat", "identity_buffer"})
"""Types of operators whose results have to be there from one micro-batch to the next."""


def _check(facts: Facts, options: Options) -> Iterator[Outcome]:
    hidden = hidden_by(facts.graph, "activation_bytes")
    if hidden:
        yield Undecided(reason="the form does not hold all operators of a step as they run", never=hidden[0])
        return
    if not facts.graph.holds.dead_ops:
        yield Undecided(reason="the form leaves out what nothing reads, which is held as well", never="dead_ops")
    least = options["mib"] << 20
    limit = Measure("bytes", least)
    closest: tuple[int, Op] | None = None
    for op in facts.graph.ops:
        if not facts.book.facts(op.type).unreused or op.type in _FOR_A_REASON or not _is_on_gpu(op) or op.role is Role.COLLECTIVE:
            continue
        sizes = [facts.type(made).nbytes for made in op.outputs]
        if None in sizes:
            yield Undecided(reason="the size of a tensor that is held for good is not known", op=op)
            continue
        if op.placement is not None and len(op.placement.ranks) > 1 and any(made.nd_sbp is None for made in op.outputs):
            never = "" if facts.graph.holds.result_sbp else "result_sbp"
            yield Undecided(reason="how a tensor that is held for good lies on its devices is not known", op=op, never=never)
            continue
        held = sum(device_bytes(made, facts.type(made), op.placement) for made in op.outputs if op.placement is not None)
        if held >= least:
            message = f"{held:,} bytes of {op.name} ({op.type}) are held for the whole run"
            yield Hit(message=message, op=op, measured=Measure("bytes", held), limit=limit)
        elif closest is None or held > closest[0]:
            closest = held, op
    if closest is not None:
        held, op = closest
        message = f"{held:,} bytes of {op.name} ({op.type}) are held for the whole run"
        yield Near(message=message, op=op, measured=Measure("bytes", held), limit=limit, closeness=held / least)
    else:
        yield Near(message="nothing but inputs, outputs and variables is held for the whole run on a GPU")


def _is_on_gpu(op: Op) -> bool:
    return op.placement is not None and op.placement.device == "cuda"


def _graph(rows: int, device: str = " @ 1 (B)") -> str:
    return (
        f"x = input() -> out: f32[{rows},1024]{device}\nz = zero_like(like: x) -> out: f32[{rows},1024]{device}\n"
        f"y = add_n(in: [x, z]) -> out: f32[{rows},1024]{device}\noutput(in: y)"
    )


RULE = AuditRule(
    name="peak-held-for-good",
    summary="A tensor of 16 MiB or more that is filled with a constant keeps memory of its own for the whole run on a GPU.",
    why="OneFlow reuses no memory of `constant`, `zero_like` and their like: a masked fill's backward holds a tensor of zeros as large as "
    "the scores of attention, in every layer, from the first operator to the last.",
    fix="Use an operator that needs no such tensor (a fused masked softmax in place of `masked_fill`), or one element that is broadcast.",
    severity=Severity.NOTE,
    check=_check,
    settings=(Setting(name="mib", meaning="The least MiB on a device that are large.", default=16, parse=whole_number),),
    needs=("passes", "recompute", "dead_ops", "result_sbp"),
    undecidable="A forward job of a training step does not hold what is computed again, nor what passes change; a saved graph leaves out "
    "what nothing reads, and does not tell how tensors lie on several devices. "
    "A form that tells neither shapes nor where operators run leaves it open.",
    source="the memory plans of OneFlow 0.9.0, docs/memory.md",
    good=(
        Good(name="small", graph=_graph(4095)),
        Good(name="limit set higher", graph=_graph(4096), settings={"mib": 17}),
        Good(name="no GPU is named", graph=_graph(4096, "")),
        Good(name="saved", graph="pruned\n" + _graph(4096, " @ 2").replace("{B}", ""), untold=True),
    ),
    bad=(
        Bad(
            name="zeros",
            graph=_graph(4096),
            op="z",
            because="4096 x 1024 elements of 4 bytes",
            measured=Measure("bytes", 16 << 20),
            limit=Measure("bytes", 16 << 20),
        ),
    ),
)
