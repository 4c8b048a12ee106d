"""`unsharded-optimizer-state`: optimizer states that every data-parallel device holds in full (ZeRO)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from irflops.audit.facts import Facts
from irflops.audit.finding import Measure, Severity
from irflops.audit.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Setting, Undecided, whole_number
from irflops.audit.sharding import device_bytes
from irflops.ir import Op, VariableKind

_COST = "optimizer_state_bytes_per_device"


def _check(facts: Facts, options: Options) -> Iterator[Outcome]:
    states = [op for op in facts.of("variable") if op.kind is VariableKind.OPTIMIZER_STATE and _is_spread(op)]
    if not states:
        if (
            facts.has_backward
            and not facts.updates
            and any(op.kind is VariableKind.TRAINABLE and _is_spread(op) for op in facts.of("variable"))
        ):
            yield Undecided(reason="the dump shows no optimizer: it was made before there was one")
        else:
            yield Near(message="no optimizer state lies on more than one device")
        return
    unknown = [op for op in states if op.outputs[0].nd_sbp is None or facts.type(op.outputs[0]).nbytes is None]
    yield from (Undecided(reason="how an optimizer state lies, or its size, is not known", op=op) for op in unknown)
    replicated: dict[tuple[int, ...], list[tuple[Op, int]]] = {}
    for op in states:
        if op in unknown or op.placement is None:
            continue
        times = _data_parallel_copies(op, facts)
        if times > 1 and (facts.type(op.outputs[0]).numel or 0) >= times * options["elements"]:
            replicated.setdefault(op.placement.hierarchy, []).append((op, times))
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


def _is_spread(op: Op) -> bool:
    return op.placement is not None and math.prod(op.placement.hierarchy) > 1 and bool(op.outputs)


def _data_parallel_copies(op: Op, facts: Facts) -> int:
    """How many devices hold the same part of a state along the dimensions in which the batch is split."""
    if op.placement is None:
        return 1
    mesh = op.placement.hierarchy
    batch: set[int] = set()
    for given in facts.of("input"):
        nd_sbp = given.outputs[0].nd_sbp if given.outputs else None
        if nd_sbp is not None and len(nd_sbp) == len(mesh):
            batch |= {at for at, sbp in enumerate(nd_sbp) if sbp.kind == "S" and sbp.axis == 0}
    return math.prod(mesh[at] for at, sbp in enumerate(op.outputs[0].nd_sbp or ()) if at in batch and sbp.kind == "B")


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
    undecidable="A forward job (`graph._graph_proto`) shows no optimizer. Other forms that do not tell how variables lie leave it open too.",
    source="Rajbhandari et al., ZeRO, arXiv 1910.02054",
    good=(
        Good(name="split", graph=_STEP.replace("SBP", "S(0)")),
        Good(name="too small to split", graph=_STEP.replace("SBP", "B"), settings={"elements": 2049}),
        Good(name="before there is an optimizer", graph=_BEFORE_OPTIMIZER, undecided=True),
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
