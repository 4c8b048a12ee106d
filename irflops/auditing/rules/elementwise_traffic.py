"""`elementwise-traffic`: element-wise ops cause most of the bytes (ShuffleNet V2, G4)."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Confidence, Measure, Severity
from irflops.auditing.kinds import ELEMENTWISE
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Setting, Undecided, percentage
from irflops.counting.cost import Cost


def _check(facts: Facts, options: Options) -> Iterator[Outcome]:
    percent = options["percent"]
    total = facts.analysis.total
    own = sum((group.cost for op_type, group in facts.analysis.types.items() if op_type in ELEMENTWISE), Cost())
    moved, of_all = _bytes(own), _bytes(total)
    for name in ("bytes_read", "bytes_written"):
        if not total.is_known(name):
            why, never = facts.why_unknown(name)
            yield Undecided(reason=f"the bytes that move are not known in full: {why}", never=never)
            return
    if facts.lacks_optimizer:
        never = "" if facts.graph.holds.optimizer else "optimizer"
        yield Undecided(reason="the dump shows no optimizer, whose bytes count", never=never)
        return
    limit = of_all * percent // 100
    measured, allowed = Measure("bytes", moved), Measure("bytes", limit)
    message = f"element-wise ops move {moved:,} of {of_all:,} bytes, {_share(moved, of_all)} percent"
    if moved * 100 > of_all * percent:
        certainty = Confidence.LIKELY if facts.may_train else Confidence.PROVEN
        yield Hit(message=message, subject="graph", certainty=certainty, measured=measured, limit=allowed)
    else:
        yield Near(message=message, measured=measured, limit=allowed, closeness=moved / limit if limit else 0.0)


def _bytes(cost: Cost) -> int:
    return cost.get("bytes_read") + cost.get("bytes_written")


def _share(part: int, whole: int) -> str:
    permille = part * 1000 // whole if whole else 0
    return f"{permille // 10}.{permille % 10}"


_NET = """
x = input() -> out: f32[8,8]
w = variable() -> out: f32[8,8]
h = matmul(a: x, b: w) -> out: f32[8,8]
{tail}
output(in: y)
"""

RULE = AuditRule(
    name="elementwise-traffic",
    summary="Element-wise ops cause more than half of the bytes that the graph moves.",
    why="They compute next to nothing for each byte, so the device waits for its memory (ShuffleNet V2, G4).",
    fix="Fuse them: OneFlow's fused ops, `graph.config.allow_fuse_add_to_output(True)` and its like, or fewer of them.",
    severity=Severity.NOTE,
    check=_check,
    settings=(Setting(name="percent", meaning="The share of the bytes that is allowed.", default=50, parse=percentage),),
    needs=("attrs", "passes", "optimizer", "recompute", "backward"),
    undecidable="Nothing is said where the bytes of an op are unknown, or of a forward job, which lacks the optimizer. What `oneflow.save` "
    "writes lacks the backward pass too: there it is likely.",
    source="Ma et al., ShuffleNet V2, arXiv 1807.11164, guideline G4",
    good=(
        Good(name="a product and one activation", graph=_NET.format(tail="y = relu(x: h) -> y: f32[8,8]")),
        Good(
            name="limit set higher",
            graph=_NET.format(tail="r = relu(x: h) -> y: f32[8,8]\ny = relu(x: r) -> y: f32[8,8]"),
            settings={"percent": 60},
        ),
    ),
    bad=(
        Bad(
            name="a product and two activations",
            graph=_NET.format(tail="r = relu(x: h) -> y: f32[8,8]\ny = relu(x: r) -> y: f32[8,8]"),
            op=None,
            because="3 tensors of 256 bytes in the product, and 2 in each of two activations: 4 of 7",
            measured=Measure("bytes", 4 * 256),
            limit=Measure("bytes", 7 * 256 // 2),
        ),
    ),
)
