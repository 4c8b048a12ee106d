"""`never-updated-param`: no optimizer updates a trainable variable."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.facts import Facts, argument
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Undecided
from irflops.ir.graph import VariableKind

_TARGETS = ("model", "ref", "value")
"""Arguments that an update or an assignment writes to."""


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    if facts.may_train:
        yield Undecided(reason="a saved graph holds no backward pass: whether it trains is not known", never="backward")
        return
    if not facts.has_backward:
        yield Near(message="the graph does not train")
        return
    written = {target.lbn for op in facts.updates if (target := argument(op, "model")) is not None}
    written |= {
        t.lbn for op in facts.of("assign", "assign_if", "assign_if_not") for arg in _TARGETS if (t := argument(op, arg)) is not None
    }
    looked_at = 0
    for variable in facts.of("variable"):
        if variable.kind is not VariableKind.TRAINABLE or not facts.is_used(variable):
            continue
        looked_at += 1
        if any(made.lbn in written for made in variable.outputs):
            continue
        if not facts.updates:
            never = "" if facts.graph.holds.optimizer else "optimizer"
            yield Undecided(reason="the dump shows no optimizer: it was made before there was one", op=variable, never=never)
        elif facts.graph.partial:
            yield Undecided(reason="parts of the graph were not read, and may hold the update", op=variable)
        else:
            numel = facts.type(variable.outputs[0]).numel
            measured = Measure("params", numel) if numel is not None else None
            yield Hit(message=f"{variable.name} is trainable, and no optimizer updates it", op=variable, measured=measured)
    yield Near(message=f"{looked_at:,} trainable variables were looked at")


_STEP = """
training
x = input() -> out: f32[2,8]
w = variable() -> out: f32[8,8]
h = matmul(a: x, b: w) -> out: f32[2,8]
loss = reduce_sum(input_tensor: h) -> output_tensor: f32[1]
seed = ones_like(like: loss) -> out: f32[1]
dy = broadcast_like(x: seed, like: h) -> y: f32[2,8]
dw = matmul(a: x, b: dy) -> out: f32[8,8]
rate = learning_rate_schedule() -> out: f32[1]
output(in: loss)
"""

RULE = AuditRule(
    name="never-updated-param",
    summary="In a training graph a trainable variable is read, and no optimizer updates it.",
    why="It keeps its random start: often its module was left out of the parameters that the optimizer was given.",
    fix="Give it to the optimizer, or freeze it with `requires_grad_(False)`.",
    severity=Severity.WARNING,
    check=_check,
    needs=("backward", "optimizer"),
    undecidable="A forward job (`graph._graph_proto`) shows no optimizer, and what `oneflow.save` writes no backward pass either.",
    good=(
        Good(name="updated", graph=_STEP + "sgd_update(model: w, model_diff: dw, learning_rate: rate) -> ()"),
        Good(name="no optimizer in the dump", graph=_STEP, undecided=True),
        Good(
            name="frozen",
            graph=_STEP.replace(
                "h = matmul", "f = variable(kind=frozen) -> out: f32[2,8]\nx2 = add_n(in: [x, f]) -> out: f32[2,8]\nh = matmul"
            )
            + "sgd_update(model: w, model_diff: dw, learning_rate: rate) -> ()",
        ),
        Good(
            name="inference",
            graph="x = input() -> out: f32[2,8]\nw = variable() -> out: f32[8,8]\ny = matmul(a: x, b: w) -> out: f32[2,8]\noutput(in: y)",
        ),
        Good(
            name="saved, of which nobody knows whether it trains",
            graph="pruned\nx = input() -> out: f32[2,8]\nw = variable() -> out: f32[8,8]\n"
            "y = matmul(a: x, b: w) -> out: f32[2,8]\noutput(in: y)",
            untold=True,
        ),
    ),
    bad=(
        Bad(
            name="left out",
            graph=_STEP.replace("h = matmul", "f = variable() -> out: f32[2,8]\nx2 = add_n(in: [x, f]) -> out: f32[2,8]\nh = matmul")
            + "sgd_update(model: w, model_diff: dw, learning_rate: rate) -> ()",
            op="f",
            because="f is added to x, and only w has an update; 2 x 8 elements",
            measured=Measure("params", 16),
        ),
    ),
)
