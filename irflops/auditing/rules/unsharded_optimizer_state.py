"""`unsharded-optimizer-state`: optimizer states that every data-parallel device holds in full (ZeRO)."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Setting, Undecided, whole_number
from irflops.auditing.sharding import device_bytes
from irflops.ir.graph import Op, VariableKind
from irflops.ir.sbp import NdSbp

_COST = "optimizer_state_bytes_per_device"


def _check(facts: Facts, options: Options) -> Iterator[Outcome]:
    states = [op for op in facts.of("variable") if op.kind is VariableKind.OPTIMIZER_STATE and _is_spread(op)]
    if not states:
        if (facts.lacks_optimizer or facts.may_train) and any(_is_spread(op) for op in facts.parameters):
            yield Undecided(reason="the dump does not show the optimizer", never="" if facts.graph.holds.optimizer else "optimizer")
        else:
            yield Near(message="no optimizer state lies on more than one device")
        return
    batch = _batch_dimensions(facts)
    replicated: dict[tuple[int, ...], list[tuple[Op, int]]] = {}
    for op in states:
        nd_sbp = op.outputs[0].nd_sbp
        if op.placement is None or nd_sbp is None or facts.type(op.outputs[0]).nbytes is None:
            never = "" if facts.graph.holds.result_sbp or facts.type(op.outputs[0]).nbytes is None else "result_sbp"
            yield Undecided(reason="how an optimizer state lies, or its size, is not known", op=op, never=never)
            continue
        mesh = op.placement.hierarchy
        along = batch.get(len(mesh))
        if along is None:
            if any(sbp.kind == "B" for sbp in nd_sbp):
                yield Undecided(reason="no input tells along which dimension of the mesh the batch is split", op=op)
            continue
        times = _copies(nd_sbp, mesh, along)
        if times > 1 and (facts.type(op.outputs[0]).numel or 0) >= times * options["elements"]:
            replicated.setdefault(mesh, []).append((op, times))
    for mesh, found in replicated.items():
        held = saved = 0
        for op, times in found:
            part = device_bytes(op.outputs[0], facts.type(op.outputs[0]), op.placement) if op.placement is not None else 0
            held += part
            saved += part - -(-part // times)
        first = min((op for op, _ in found), key=lambda op: op.name)
        message = (
            f"{len(found)} optimizer states lie whole on each data-parallel device of the {'x'.join(map(str, mesh))} mesh: "
            f"ZeRO would save {saved:,} of {held:,} bytes on each"
        )
        yield Hit(message=message, op=first, measured=Measure(_COST, held), limit=Measure(_COST, held - saved), gain={_COST: saved})
    if not replicated:
        yield Near(message=f"{len(states):,} optimizer states lie on several devices, none of them whole where the batch is split")


def _is_spread(op: Op) -> bool:
    return op.placement is not None and math.prod(op.placement.hierarchy) > 1 and bool(op.outputs)


def _batch_dimensions(facts: Facts) -> dict[int, set[int] | None]:
    """By rank of a mesh, its dimensions along which inputs are split by their first axis; None where one does not tell how it lies."""
    found: dict[int, set[int] | None] = {}
    for given in facts.of("input"):
        nd_sbp = given.outputs[0].nd_sbp if given.outputs else None
        if nd_sbp is None:
            found[len(given.placement.hierarchy) if given.placement is not None else 1] = None
        elif (dimensions := found.setdefault(len(nd_sbp), set())) is not None:
            dimensions.update(at for at, sbp in enumerate(nd_sbp) if sbp.kind == "S" and sbp.axis == 0)
    return found


def _copies(nd_sbp: NdSbp, mesh: tuple[int, ...], batch: Collection[int]) -> int:
    """How many devices hold the same part of a state along the dimensions in which the batch is split."""
    return math.prod(mesh[at] for at, sbp in enumerate(nd_sbp) if at in batch and at < len(mesh) and sbp.kind == "B")


_BEFORE_OPTIMIZER = """
training
x = input() -> out: f32[4,64] @ 2 (S(0))
w = variable() -> out: f32[64,64] @ 2 (B)
h = matmul(a: x, b: w) -> out: f32[4,64] @ 2 (S(0))
output(in: h)
"""

_STEP = """
training
x = input() -> out: f32[4,64] @ 2 (S(0))
w = variable() -> out: f32[64,64] @ 2 (B)
h = matmul(a: x, b: w) -> out: f32[4,64] @ 2 (S(0))
loss = reduce_sum(input_tensor: h) -> output_tensor: f32[1] @ 2 (P)
seed = ones_like(like: loss) -> out: f32[1] @ 2 (B)
dy = broadcast_like(x: seed, like: h) -> y: f32[4,64] @ 2 (S(0))
dw = matmul(a: x, b: dy) -> out: f32[64,64] @ 2 (P)
rate = learning_rate_schedule() -> out: f32[1] @ 2 (B)
m = variable(kind=optimizer_state) -> out: f32[64,64] @ 2 (SBP)
momentum_update(model: w, model_diff: dw, learning_rate: rate, momentum: m) -> ()
output(in: loss)
"""

RULE = AuditRule(
    name="unsharded-optimizer-state",
    summary="Optimizer states are broadcast over the dimension of the mesh along which the batch is split. One finding per mesh.",
    why="Each data-parallel device holds and updates all of them, where one part each would do (ZeRO stage 1).",
    fix="`graph.config.enable_zero(True)`.",
    severity=Severity.NOTE,
    check=_check,
    settings=(
        Setting(
            name="elements",
            meaning="The least elements of a part that are worth it; OneFlow's ZeRO has 1024.",
            default=1024,
            parse=whole_number,
        ),
    ),
    needs=("optimizer", "result_sbp"),
    undecidable="A forward job (`graph._graph_proto`) and what `oneflow.save` writes show no optimizer; a form that does not tell how "
    "variables lie leaves it open too.",
    source="Rajbhandari et al., ZeRO, arXiv 1910.02054",
    good=(
        Good(name="split", graph=_STEP.replace("SBP", "S(0)")),
        Good(name="too small to split", graph=_STEP.replace("SBP", "B"), settings={"elements": 2049}),
        Good(
            name="an input that does not tell how it lies",
            graph=_STEP.replace("SBP", "B").replace("x = input() -> out: f32[4,64] @ 2 (S(0))", "x = input() -> out: f32[4,64] @ 2"),
            undecided=True,
        ),
        Good(name="before there is an optimizer", graph=_BEFORE_OPTIMIZER, undecided=True),
        Good(name="saved, of which nobody knows whether it trains", graph=_BEFORE_OPTIMIZER.replace("training", "pruned"), untold=True),
        Good(name="the batch is not split", graph=_STEP.replace("SBP", "B").replace("f32[4,64] @ 2 (S(0))", "f32[4,64] @ 2 (B)")),
    ),
    bad=(
        Bad(
            name="broadcast",
            graph=_STEP.replace("SBP", "B"),
            op="m",
            because="4096 elements of 4 bytes on each of 2 devices, and half of them would do; a gain per device, which no total has",
            measured=Measure(_COST, 16384),
            limit=Measure(_COST, 8192),
            gain={_COST: 8192},
        ),
    ),
)
