"""`checkpoint-without-effect`: recomputation that runs before backward does, so that nothing is freed in between."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.identity import made_as
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Undecided
from irflops.counting.cost import Cost
from irflops.ir.graph import Op, Phase
from irflops.memory.recompute import connected, lacks_edges, with_edges


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    graph = facts.graph
    again = {at for at, op in enumerate(graph.ops) if op.phase is Phase.RECOMPUTE}
    may_recompute = graph.training or facts.may_train
    if may_recompute and not graph.holds.recompute:
        yield Undecided(reason="the form does not hold what a step computes again", never="recompute")
        return
    if may_recompute and not graph.holds.dead_ops:
        # What nothing reads is computed again too, and a reader that is left out may be the first.
        yield Undecided(reason="the form leaves out what is computed again for nobody", never="dead_ops")
        return
    if not again:
        yield Near(message="nothing is computed again")
        return
    completed = with_edges(graph) if lacks_edges(graph) else graph
    if completed is None:
        yield Undecided(reason="the form does not tell what recomputation waits for")
        return
    waiting: dict[str, list[int]] = {}
    for members in connected(completed, again):
        late = [name for at in members for name in completed.ops[at].after]
        if not late:
            first = graph.ops[min(members)]
            yield Undecided(reason="nothing tells what recomputation waits for", op=first)
        elif all(_is_forward(completed.by_name.get(name)) for name in late):
            waiting.setdefault(late[0], []).extend(members)
        else:
            first = graph.ops[min(members)]
            yield Near(message=f"{len(members):,} operators are computed again when backward has come to them", op=first)
    for members in waiting.values():
        found = sorted(members, key=lambda at: made_as(graph.ops[at]))  # the same in every form
        first = graph.ops[found[0]]
        cost = sum((facts.cost(graph.ops[at]) for at in found), Cost())
        if not cost.is_known("flops"):
            why, never = facts.why_unknown("flops")
            yield Undecided(reason=f"what recomputation costs is not known: {why}", op=first, never=never)
            continue
        message = (
            f"{len(found):,} operators are computed again before backward begins, and free nothing: they wait for the forward pass, as the "
            "first operator of backward that reads from them reads forward results alone"
        )
        yield Hit(message=message, op=first, measured=Measure("flops", cost.get("flops")), limit=Measure("flops", 0))


def _is_forward(op: Op | None) -> bool:
    return op is not None and op.phase is Phase.FORWARD


def _graph(wait: str) -> str:
    return f"""
training
x = input() -> out: f32[4,8]
w = variable() -> out: f32[8,8]
h = matmul(a: x, b: w) -> out: f32[4,8]
y = relu(x: h) -> y: f32[4,8]
loss = reduce_sum(input_tensor: y) -> output_tensor: f32[1]
seed = ones_like(like: loss) -> out: f32[1]
dy = broadcast_like(x: seed, like: y) -> y: f32[4,8]
h2 = again matmul(a: x, b: w) -> out: f32[4,8] after {wait}
y2 = again relu(x: h2) -> y: f32[4,8]
dh = relu_grad(dy: dy, y: y2) -> dx: f32[4,8]
dw = matmul(a: x, b: dh) -> out: f32[8,8]
rate = learning_rate_schedule() -> out: f32[1]
sgd_update(model: w, model_diff: dw, learning_rate: rate) -> ()
output(in: loss)
"""


_PLAIN = """
training
x = input() -> out: f32[4,8]
y = relu(x: x) -> y: f32[4,8]
output(in: y)
"""

RULE = AuditRule(
    name="checkpoint-without-effect",
    summary="What activation checkpointing computes again waits for an operator of the forward pass. One finding per such operator.",
    why="Recomputation waits for the latest operand of the first backward operator that reads from it. Where that reads forward values "
    "alone, everything is computed again before backward starts: time is spent, and no memory is freed.",
    fix="Use fused operators in the checkpointed module (LayerNorm, masked softmax) in place of primitives whose backward reads forward "
    "values alone, or leave checkpointing off; `irflops memory` shows what it would save elsewhere.",
    severity=Severity.WARNING,
    check=_check,
    needs=("recompute", "dead_ops"),
    undecidable="A forward job and what `oneflow.save` writes hold nothing that is computed again; a saved training step leaves out what "
    "nothing reads, which is computed again as well. A print does not show what "
    "recomputation waits for: that follows from OneFlow's rule.",
    source="oneflow/core/job_rewriter/checkpointing_pass.cpp, of 0.9.0",
    good=(
        Good(name="after a gradient", graph=_graph("dy")),
        Good(name="nothing is computed again", graph=_PLAIN),
        Good(name="saved, of which nobody knows whether it trains", graph=_PLAIN.replace("training", "pruned"), untold=True),
        Good(name="a saved training step", graph="pruned" + _graph("y"), untold=True),
    ),
    bad=(
        Bad(
            name="after the forward pass",
            graph=_graph("y"),
            op="h2",
            because="it waits for the relu: 2 x 4 x 8 x 8 FLOPs of the product and 32 of the relu",
            measured=Measure("flops", 544),
            limit=Measure("flops", 0),
        ),
    ),
)
