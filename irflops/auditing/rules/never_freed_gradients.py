"""`never-freed-gradients`: every gradient of a parameter is alive at the end of backward, for the optimizer runs outside of its chain."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.facts import Facts, argument
from irflops.auditing.finding import Confidence, Measure, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Setting, Undecided, whole_number
from irflops.auditing.sharding import device_bytes
from irflops.ir.graph import Op

_COST = "gradient_bytes_per_device"


def _check(facts: Facts, options: Options) -> Iterator[Outcome]:
    least = options["mib"] << 20
    if facts.lacks_optimizer or facts.may_train:
        yield Undecided(reason="the dump does not show the optimizer", never="" if facts.graph.holds.optimizer else "optimizer")
        return
    updates = [op for op in facts.updates if op.placement is not None and op.placement.device == "cuda"]
    if not updates or any(_is_inside(op) for op in facts.graph.ops):
        yield Near(message="no update on a GPU runs outside of the chain of backward")
        return
    gradients: dict[str, int] = {}
    for op in updates:
        gradient = argument(op, "model_diff")
        if gradient is None or op.placement is None:
            continue
        if facts.type(gradient).nbytes is None:
            yield Undecided(reason="the size of a gradient is not known")
            return
        if len(op.placement.ranks) > 1 and gradient.nd_sbp is None:
            never = "" if facts.graph.holds.operand_sbp else "operand_sbp"
            yield Undecided(reason="how a gradient lies on its devices is not known", never=never)
            return
        gradients[gradient.lbn] = device_bytes(gradient, facts.type(gradient), op.placement)
    held = sum(gradients.values())
    message = f"{len(gradients):,} gradients, {held:,} bytes on a device, are alive together at the end of backward"
    measured, limit = Measure(_COST, held), Measure(_COST, least)
    if held >= least:
        yield Hit(message=message, subject="gradients", certainty=Confidence.LIKELY, measured=measured, limit=limit)
    else:
        yield Near(message=message, measured=measured, limit=limit, closeness=held / least)


def _is_inside(op: Op) -> bool:
    """Whether it shows that the optimizer is in the chain of backward: one compute stream, or accumulation, which has chains of its own."""
    return op.type == "acc" or (op.type or "").startswith("_nccl_logical")


def _graph(rows: int, *, more: str = "") -> str:
    shape = f"f32[{rows},1024]"
    return f"""
training
x = input() -> out: f32[4,{rows}] @ 1 (B)
w = variable() -> out: {shape} @ 1 (B)
h = matmul(a: x, b: w) -> out: f32[4,1024] @ 1 (B)
loss = reduce_sum(input_tensor: h) -> output_tensor: f32[1] @ 1 (B)
seed = ones_like(like: loss) -> out: f32[1] @ 1 (B)
dy = broadcast_like(x: seed, like: h) -> y: f32[4,1024] @ 1 (B)
dw = matmul(a: x, b: dy) -> out: {shape} @ 1 (B)
{more}rate = learning_rate_schedule() -> out: f32[1] @ 1 (B)
sgd_update(model: w, model_diff: dw, learning_rate: rate) -> () @ 1
output(in: loss)
"""


RULE = AuditRule(
    name="never-freed-gradients",
    summary="The gradients of the parameters, 1 GiB or more of them, are all held until backward has ended.",
    why="By default OneFlow's optimizer is in no chain that shares memory: what it reads lives to the end of the chain of backward, though "
    "each update could run as soon as its gradient is there.",
    fix="`flow.boxing.nccl.enable_use_compute_stream(True)` puts the optimizer into the chain, where no norm of all gradients is clipped; "
    "ZeRO splits gradients. `irflops memory` shows what either saves.",
    severity=Severity.NOTE,
    check=_check,
    settings=(Setting(name="mib", meaning="The least MiB of gradients on a device that are worth it.", default=1024, parse=whole_number),),
    needs=("optimizer", "operand_sbp"),
    undecidable="A forward job (`graph._graph_proto`) and what `oneflow.save` writes show no optimizer; a saved step does not tell "
    "how gradients on several devices are wanted. A job does not tell whether one compute stream is used: a finding is likely, not proven.",
    source="oneflow/core/graph/task_graph.cpp, of 0.9.0",
    good=(
        Good(name="small", graph=_graph(4095), settings={"mib": 16}),
        Good(name="for inference", graph="x = input() -> out: f32[4,8] @ 1 (B)\ny = relu(x: x) -> y: f32[4,8] @ 1 (B)\noutput(in: y)"),
        Good(
            name="saved, of which nobody knows whether it trains",
            graph="pruned\nx = input() -> out: f32[4,8] @ 1 (B)\ny = relu(x: x) -> y: f32[4,8] @ 1 (B)\noutput(in: y)",
            untold=True,
        ),
        Good(
            name="one compute stream",
            graph=_graph(4096, more="s = _nccl_logical_all_reduce(in: dy) -> out: f32[4,1024] @ 1 (B)\n"),
            settings={"mib": 16},
        ),
    ),
    bad=(
        Bad(
            name="outside of the chain",
            graph=_graph(4096),
            op=None,
            because="4096 x 1024 elements of 4 bytes",
            measured=Measure(_COST, 16 << 20),
            limit=Measure(_COST, 16 << 20),
            certainty=Confidence.LIKELY,
            settings={"mib": 16},
        ),
    ),
)
