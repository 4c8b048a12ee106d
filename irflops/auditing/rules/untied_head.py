"""`untied-head`: embedding table and output head of equal shape are separate variables."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.facts import Facts, argument
from irflops.auditing.finding import Confidence, Measure, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Undecided
from irflops.auditing.rules._gains import step_gain
from irflops.ir.graph import Op, Operand

_LOOKUPS = ("gather", "embedding")
_HEADS = ("matmul", "broadcast_matmul", "fused_matmul_bias", "cublas_fused_mlp")


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    tables: dict[tuple[int, ...], Op] = {}
    for op in facts.users(*_LOOKUPS):
        operand = argument(op, "in") or argument(op, "weight")
        table = facts.handed(operand) if operand is not None else None
        shape = facts.shape(table.outputs[0]) if table is not None else None
        if table is not None and shape is None:
            yield Undecided(reason="the shape of an embedding table is not known", op=op)
        elif table is not None and shape is not None and len(shape) == 2:
            tables.setdefault((shape[0], shape[1]), table)
    told: set[str] = set()
    for op in sorted(facts.users(*_HEADS), key=facts.ordinal) if tables else ():
        operand = argument(op, "b") or argument(op, "weight")
        head = facts.variable(operand, facts.book.handed_on | {"transpose"}) if operand is not None else None
        if operand is None or head is None or facts.leads_on[facts.index[op.name]]:
            continue
        shape, features = facts.shape(head.outputs[0]), _features(op, operand, facts)
        if shape is None or (features is None and not tables.keys().isdisjoint((shape, shape[::-1]))):
            yield Undecided(reason="the shapes of what may be a head are not known", op=op)
            continue
        if features is None or len(shape) != 2:
            continue
        rows, columns = shape if shape[0] == features else (shape[1], shape[0])
        table = tables.get((rows, columns))
        if table is None or rows == columns or rows != features:
            continue
        if table is head:
            yield Near(message=f"the head {op.name} reads the embedding table {table.name}", op=op)
            continue
        if head.name in told:  # one head may be read step by step
            continue
        told.add(head.name)
        message = f"the head {head.name} has the shape of the embedding table {table.name} and is no part of it"
        measured = Measure("params", rows * columns)
        yield Hit(message=message, op=op, certainty=Confidence.LIKELY, measured=measured, gain=step_gain(facts, [head]))


def _features(op: Op, operand: Operand, facts: Facts) -> int | None:
    """The extent of a product's last axis, where its own shape is unknown from the weight and what is known of how it is read."""
    out, weight = facts.shape(op.outputs[0]) if op.outputs else None, facts.shape(operand)
    if out is not None:
        return out[-1] if out else None
    turned = True if op.type == "fused_matmul_bias" else op.attrs.get("transpose_b")
    if weight is None or len(weight) != 2 or not isinstance(turned, bool):
        return None
    return weight[0] if turned else weight[1]


_LM = """
ids = input() -> out: i64[2,6]
table = variable() -> out: f32[100,8]
x = gather(in: table, indices: ids) -> out: f32[2,6,8]
{head}
output(in: y)
"""
_UNTIED = "w = variable() -> out: f32[100,8]\ny = broadcast_matmul(a: x, b: w, transpose_b=true) -> out: f32[2,6,100]"
_UNKNOWN = "w = variable() -> out: f32[100,8]\ny = broadcast_matmul(a: x, b: w{}) -> out: f32[2,6,?]"
_TIED = "y = broadcast_matmul(a: x, b: table, transpose_b=true) -> out: f32[2,6,100]"

RULE = AuditRule(
    name="untied-head",
    summary="The output head has the shape of the embedding table and a variable of its own.",
    why="Language models mostly share the two: half of the largest parameters, and better perplexity (Press and Wolf, arXiv 1608.05859).",
    fix="Give the head the table's parameter: `head.weight = embedding.weight`.",
    severity=Severity.NOTE,
    check=_check,
    undecidable="An unknown shape is left open where the weight is as large as a table, unless `transpose_b` tells.",
    source="Press and Wolf, Using the Output Embedding to Improve Language Models, arXiv 1608.05859",
    good=(
        Good(name="tied", graph=_LM.format(head=_TIED)),
        Good(
            name="a shape that is not known",
            graph=_LM.format(head=_UNKNOWN.format("")),
            undecided=True,
        ),
        Good(
            name="another shape",
            graph=_LM.format(
                head="w = variable() -> out: f32[90,8]\ny = broadcast_matmul(a: x, b: w, transpose_b=true) -> out: f32[2,6,90]"
            ),
        ),
    ),
    bad=(
        Bad(
            name="untied",
            graph=_LM.format(head=_UNTIED),
            op="y",
            because="100 x 8 elements of 4 bytes are there twice",
            certainty=Confidence.LIKELY,
            measured=Measure("params", 800),
            gain={"params": 800, "param_bytes": 3200},
            mended=_LM.format(head=_TIED),
        ),
        Bad(
            name="the head's result is of unknown shape",
            graph=_LM.format(head=_UNKNOWN.format(", transpose_b=true")),
            op="y",
            because="the weight has the rows that the product gives out",
            certainty=Confidence.LIKELY,
            measured=Measure("params", 800),
            gain={"params": 800, "param_bytes": 3200},
            mended=_LM.format(head=_TIED.replace("[2,6,100]", "[2,6,?]")),
        ),
        Bad(
            name="in training",
            graph="training\n" + _LM.format(head=_UNTIED),
            op="y",
            because="gradient, update and state of the head go too, and those of the table change",
            certainty=Confidence.LIKELY,
            measured=Measure("params", 800),
        ),
    ),
)
