"""`unaligned-channels`: a channel or feature count that is no multiple of 8."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from irflops.auditing.channels import weighted_features
from irflops.auditing.facts import Facts
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.kinds import CONVOLUTIONS
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Setting, Undecided, whole_number
from irflops.ir.graph import Op

_TABLES = frozenset({"gather", "embedding"})


def _check(facts: Facts, options: Options) -> Iterator[Outcome]:
    multiple = options["multiple"]
    made: Sequence[int] | None = None
    aligned = 0
    for op in facts.users(*sorted(facts.book.contractions)):
        channels = weighted_features(op, facts)
        if channels is None:
            if op.type in CONVOLUTIONS or _is_open(op, facts):
                yield Undecided(reason="the shapes of a contraction do not tell its channels", op=op)
            continue
        if not (channels.ins % multiple or channels.outs % multiple):
            aligned += 1
            continue
        made = made if made is not None else _made_inside(facts)
        at = facts.index[op.name]
        counts = [("in", channels.ins)] * made[at] + [("out", channels.outs)] * facts.leads_on[at]
        odd = [(side, count) for side, count in counts if count % multiple]
        if not odd:
            aligned += 1
            continue
        said = " and ".join(f"{count:,} {side}" for side, count in odd)
        measured, limit = Measure("channels", odd[0][1]), Measure("channels", -(-odd[0][1] // multiple) * multiple)
        yield Hit(message=f"channels {said}: no multiple of {multiple}", op=op, measured=measured, limit=limit)
    yield Near(message=f"{aligned:,} contractions have channels in multiples of {multiple} on the sides that count")


def _is_open(op: Op, facts: Facts) -> bool:
    """Whether a contraction has a weight, and a shape is not known."""
    has_weight = any(facts.handed(operand) is not None for operand in op.inputs)
    return has_weight and any(facts.shape(tensor) is None for tensor in (*op.inputs, *op.outputs[:1]))


def _made_inside(facts: Facts) -> bytearray:
    """By op, whether a contraction or a table made the channels of its first operand: the graph's inputs are as they are."""
    makes = bytearray(op.type in facts.book.contractions or op.type in _TABLES for op in facts.graph.ops)
    made = bytearray(len(makes))
    for i in facts.order:
        behind = facts.graph.edges.fed_by[i]
        if behind:
            made[i] = makes[behind[0]]
            makes[i] = makes[i] or any(makes[j] for j in behind)
    return made


def _graph(hidden: int, classes: int = 10) -> str:
    return f"""
x = input() -> out: f32[4,3]
w1 = variable() -> out: f32[{hidden},3]
h = matmul(a: x, b: w1, transpose_b=true) -> out: f32[4,{hidden}]
w2 = variable() -> out: f32[16,{hidden}]
g = matmul(a: h, b: w2, transpose_b=true) -> out: f32[4,16]
w3 = variable() -> out: f32[{classes},16]
y = matmul(a: g, b: w3, transpose_b=true) -> out: f32[4,{classes}]
output(in: y)
"""


RULE = AuditRule(
    name="unaligned-channels",
    summary="A contraction with weights has a channel or feature count that is no multiple of eight. Graph inputs and heads are exempt.",
    why="Tensor cores take half-precision operands in rows of eight; others are padded, or go a slower way.",
    fix="Round the count up to the next multiple.",
    severity=Severity.NOTE,
    check=_check,
    settings=(Setting(name="multiple", meaning="What counts should be a multiple of.", default=8, parse=whole_number),),
    source="NVIDIA, Deep Learning Performance: Matrix Multiplication Background, on tensor core requirements",
    good=(
        Good(name="aligned between odd ends", graph=_graph(24)),
        Good(
            name="a shape that is not known",
            graph="x = input() -> out: f32[4,8]\nu = variable() -> out: f32[8,8]\nh = matmul(a: x, b: u) -> out: f32[4,8]\n"
            "n = reshape(in: h) -> out: f32[?]\nw = variable() -> out: f32[12,8]\ny = matmul(a: n, b: w, transpose_b=true) -> out: f32[?]\n"
            "output(in: y)",
            undecided=True,
        ),
        Good(name="limit set lower", graph=_graph(20), settings={"multiple": 4}),
    ),
    bad=(
        Bad(
            name="odd head of an odd network",
            graph="""
            x = input() -> out: f32[4,3]
            w1 = variable() -> out: f32[16,3]
            h = matmul(a: x, b: w1, transpose_b=true) -> out: f32[4,16]
            n = narrow(in: h, dim=1, start=0, length=12) -> out: f32[4,12]
            w2 = variable() -> out: f32[10,12]
            y = matmul(a: n, b: w2, transpose_b=true) -> out: f32[4,10]
            output(in: y)
            """,
            op="y",
            because="it reads 12 features, 4 short of 16; its 10 classes are exempt, and so are the 3 features of the input",
            measured=Measure("channels", 12),
            limit=Measure("channels", 16),
        ),
    ),
)
