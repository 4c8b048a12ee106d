"""`dead-op`: no output, update or loss needs the op."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from irflops.auditing.effects import written
from irflops.auditing.facts import USERS_PHASES, Facts
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.identity import made_as
from irflops.auditing.kinds import BATCH_NORMS
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Undecided
from irflops.ir.graph import Op, Phase, VariableKind
from irflops.ops.facts import Effect

_INTERFACE = frozenset({"input", "output", "variable"})


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    needed = _needed(facts)
    dead = [op for i, op in enumerate(facts.graph.ops) if not needed[i] and op.type not in _INTERFACE and op.phase in USERS_PHASES]
    seed = min((made_as(op) for op in facts.graph.ops if op.phase is Phase.BACKWARD), default=None)
    # A source that was made after the backward pass began is a gradient that nothing asked for, which OneFlow drops later.
    dead = [op for op in dead if not facts.is_hidden(op) and (op.inputs or seed is None or made_as(op) < seed)]
    reason = _blindness(facts)
    chains = [chain for chain in _chains(dead, facts) if not _is_count_of_batches(chain, facts)]
    if reason is not None:
        yield from (Undecided(reason=reason, op=chain[-1]) for chain in chains)
        return
    for chain in chains:
        last = chain[-1]
        names = {op.name for op in chain}
        read = {op.name: op for one in chain for operand in one.inputs if (op := facts.variable(operand)) is not None}
        alone = [op for op in read.values() if all(use.op.name in names for use in facts.uses(op))]
        more = f"{len(chain) - 1} op{'s' if len(chain) > 2 else ''} that only it needs" if len(chain) > 1 else ""
        message = f"nothing needs {last.name}" + (f", nor {more}" if more else "")
        gain = facts.gain([*chain, *alone])
        yield Hit(message=message, op=last, measured=Measure("ops", len(chain)), limit=Measure("ops", 0), gain=gain)
    if not facts.graph.holds.dead_ops:
        yield Undecided(reason="OneFlow drops dead ops when it saves a graph", never="dead_ops")
    elif not chains:
        yield Near(message=f"each of {len(facts.graph.ops):,} ops leads to an output, an update or a loss")


def _is_count_of_batches(chain: Sequence[Op], facts: Facts) -> bool:
    """Whether this is the `num_batches_tracked += 1` of a norm: an addition in place to an integer of its module, which no form tells."""
    (op, *others) = chain
    if others or op.type != "scalar_add" or len(op.inputs) != 1:
        return False
    count = facts.variable(op.inputs[0])
    if count is None or count.kind is VariableKind.TRAINABLE:
        return False
    type_ = facts.type(op.inputs[0])
    is_integer = type_.dtype is not None and type_.numel == 1 and not type_.dtype.is_float
    return is_integer and any(norm.module == op.module for norm in facts.of(*sorted(BATCH_NORMS)))


def _blindness(facts: Facts) -> str | None:
    """Why nothing can be called dead, None where it can."""
    if facts.graph.partial:
        return "parts of the graph were not read, and may need the op"
    if facts.blind is not None:
        return "the dump leaves out the operands of an op, which may be this op's results"
    return None


def _needed(facts: Facts) -> bytearray:
    """By op, whether something that lasts needs it: an output, what is updated in place, or the gradient of a loss."""
    ops = facts.graph.ops
    has_updates = bool(facts.updates)
    needed = bytearray(len(ops))
    waiting = []
    for i, op in enumerate(ops):
        if _lasts(op, facts) or (op.phase is Phase.BACKWARD and not has_updates):
            needed[i] = 1
            waiting.append(i)
    _spread(needed, waiting, facts)
    for i, op in enumerate(ops):
        if not needed[i] and op.type not in _INTERFACE and not op.elided and written(op, facts.book):
            needed[i] = 1
            _spread(needed, [i], facts)
    return needed


def _spread(needed: bytearray, waiting: list[int], facts: Facts) -> None:
    """What an op needs is needed."""
    while waiting:
        for producer in facts.graph.edges.fed_by[waiting.pop()]:
            if not needed[producer]:
                needed[producer] = 1
                waiting.append(producer)


def _lasts(op: Op, facts: Facts) -> bool:
    """Whether an op does something beyond its results, or only says when others run."""
    if _signals(op, facts) or (op.type == "repeat" and any(p is not None and _signals(p, facts) for p in map(facts.producer, op.inputs))):
        return True
    return op.type == "output" or not op.outputs or op.phase in (Phase.OPTIMIZER, Phase.SYSTEM)


def _signals(op: Op, facts: Facts) -> bool:
    """Whether an op is control, which no form shows as operands."""
    return Effect.SIGNALS in facts.book.facts(op.type).effects


def _chains(dead: Sequence[Op], facts: Facts) -> list[list[Op]]:
    """Dead ops that feed one another, together; the last of each is one that nothing reads."""
    names = {op.name: op for op in dead}
    links: dict[str, list[str]] = {name: [] for name in names}
    for op in dead:
        for use in facts.uses(op):
            if use.op.name in names:
                links[op.name].append(use.op.name)
                links[use.op.name].append(op.name)
    seen: set[str] = set()
    chains = []
    for name in names:
        if name in seen:
            continue
        seen.add(name)
        chain, waiting = [], [name]
        while waiting:
            current = waiting.pop()
            chain.append(names[current])
            for other in links[current]:
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        ends = [op for op in chain if not any(use.op.name in names for use in facts.uses(op))]
        last = min(ends or chain, key=lambda op: (op.module, op.type or "", facts.ordinal(op)))
        chains.append([*(op for op in chain if op is not last), last])
    return chains


RULE = AuditRule(
    name="dead-op",
    summary="No output, update or loss needs an op. Ops that feed one another are one finding, at the last of them.",
    why="It is computed in every run for nothing; often it shows that an output or a term of a loss was forgotten.",
    fix="Remove it, or use its result.",
    severity=Severity.WARNING,
    check=_check,
    needs=("dead_ops",),
    undecidable="A saved graph (MLIR) shows no dead ops: OneFlow drops them when it saves. Nothing can be said of a graph that was read in "
    "part, or where the operands of an op are left out. Ops that OneFlow itself adds, the backward pass too, are not judged.",
    good=(
        Good(name="all needed", graph="x = input() -> out: f32[2,8]\ny = relu(x: x) -> y: f32[2,8]\noutput(in: y)"),
        Good(
            name="batch norm that updates its statistics",
            graph="""
            x = input() -> out: f32[2,8]
            mean = variable(kind=buffer) -> out: f32[8]
            var = variable(kind=buffer) -> out: f32[8]
            gamma = variable() -> out: f32[8]
            beta = variable() -> out: f32[8]
            y, m, v = normalization(x: x, moving_mean: mean, moving_variance: var, gamma: gamma, beta: beta, axis=1, epsilon=0.00001, \
training=true, momentum=0.9) -> y: f32[2,8], mean: f32[8], inv_variance: f32[8]
            output(in: x)
            """,
        ),
        Good(
            name="batch norm that counts its batches",
            graph="""
            x = input() -> out: f32[2,8]
            bn | mean = variable(kind=buffer) -> out: f32[8]
            bn | var = variable(kind=buffer) -> out: f32[8]
            bn | gamma = variable() -> out: f32[8]
            bn | beta = variable() -> out: f32[8]
            bn | count = variable(kind=buffer) -> out: i64[]
            bn | counted = scalar_add(in: count) -> out: i64[]
            bn | y, m, v = normalization(x: x, moving_mean: mean, moving_variance: var, gamma: gamma, beta: beta, axis=1, \
epsilon=0.00001, training=true, momentum=0.9) -> y: f32[2,8], mean: f32[8], inv_variance: f32[8]
            output(in: y)
            """,
        ),
        Good(
            name="saved, without its dead ops",
            graph="pruned\nx = input() -> out: f32[2,8]\ny = relu(x: x) -> y: f32[2,8]\noutput(in: y)",
            untold=True,
        ),
    ),
    bad=(
        Bad(
            name="chain",
            graph="""
            x = input() -> out: f32[2,8]
            w = variable() -> out: f32[8,8]
            a = matmul(a: x, b: w, transpose_a=false, transpose_b=false, alpha=1.0) -> out: f32[2,8]
            b = relu(x: a) -> y: f32[2,8]
            y = relu(x: x) -> y: f32[2,8]
            output(in: y)
            """,
            op="b",
            because="two ops, 2 x 8 x 8 products and 16 comparisons; the weight goes with them",
            measured=Measure("ops", 2),
            limit=Measure("ops", 0),
            gain={
                "macs": 128,
                "flops": 272,
                "bytes_read": 4 * (16 + 64 + 16),
                "bytes_written": 4 * 32,
                "activation_elements": 32,
                "activation_bytes": 128,
                "params": 64,
                "param_bytes": 256,
            },
            mended="x = input() -> out: f32[2,8]\ny = relu(x: x) -> y: f32[2,8]\noutput(in: y)",
        ),
    ),
)
