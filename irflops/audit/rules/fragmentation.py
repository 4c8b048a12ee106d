"""`fragmentation`: many parallel branches in one module (ShuffleNet V2, G3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from irflops.audit.facts import Facts
from irflops.audit.finding import Measure, Severity
from irflops.audit.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Setting, whole_number
from irflops.ir import Op

_SUMS = frozenset({"add_n", "broadcast_add"})
_JOINS = (*sorted(_SUMS), "concat", "stack")


def _check(facts: Facts, options: Options) -> Iterator[Outcome]:
    most = options["branches"]
    widest: dict[str, tuple[int, Op]] = {}
    for op in facts.users(*_JOINS):
        ends = _ends(op, facts)
        if len(ends) < 2:
            continue
        count = len(ends) if len(ends) <= most else _parallel(ends, op.module, facts)
        if count > widest.get(op.module, (1, op))[0]:
            widest[op.module] = count, op
    for module, (count, op) in widest.items():
        measured, limit = Measure("branches", count), Measure("branches", most)
        message = f"{count} parallel branches meet in {op.name}, in module {module or '(graph)'}"
        if count > most:
            yield Hit(message=message, op=op, measured=measured, limit=limit)
        else:
            yield Near(message=message, op=op, measured=measured, limit=limit, closeness=count / most)


def _ends(join: Op, facts: Facts) -> list[Op]:
    """The last ops of what meets in a join, all of its own module or below; a chain of sums is one join."""
    ends: dict[str, Op] = {}
    waiting = [join]
    while waiting:
        for operand in waiting.pop().inputs:
            producer = facts.producer(operand)
            if producer is None or not _inside(producer.module, join.module):
                continue
            same_sum = producer.type in _SUMS and join.type in _SUMS and producer.module == join.module
            if same_sum and facts.only_use(producer) is not None:
                waiting.append(producer)
            elif producer.type not in ("variable", "input"):
                ends[producer.name] = producer
    return list(ends.values())


def _parallel(ends: Sequence[Op], module: str, facts: Facts) -> int:
    """How many branches of a module end in these ops, each with work that no other of them shares."""
    above = {op.name: {op.name, *_behind(op, module, facts)} for op in ends}
    times = Counter(name for branch in above.values() for name in branch)
    return sum(_works([name for name in branch if times[name] == 1], facts) for branch in above.values())


def _behind(op: Op, module: str, facts: Facts) -> list[str]:
    """Names of the ops of a module that an op needs."""
    seen: dict[str, None] = {}
    waiting = [op]
    while waiting:
        for operand in waiting.pop().inputs:
            producer = facts.producer(operand)
            if producer is not None and producer.name not in seen and _inside(producer.module, module):
                seen[producer.name] = None
                waiting.append(producer)
    return list(seen)


def _works(names: Sequence[str], facts: Facts) -> bool:
    costs = (facts.cost(facts.graph.by_name[name]) for name in names)
    return any(cost.get("flops") or not cost.is_known("flops") for cost in costs)


def _inside(path: str, module: str) -> bool:
    return not module or path == module or path.startswith(f"{module}.")


def _graph(branches: int) -> str:
    names = [f"b{i}" for i in range(branches)]
    lines = ["x = input() -> out: f32[1,8,4,4]"]
    for name in names:
        lines.append(f"w{name} = variable() -> out: f32[4,8,1,1]")
        lines.append(f"block.{name} | {name} = conv2d(in: x, weight: w{name}) -> out: f32[1,4,4,4]")
    lines.append(f"block | y = concat(in: [{', '.join(names)}]) -> out: f32[1,{4 * branches},4,4]")
    return "\n".join([*lines, "output(in: y)"])


_CHAIN = """
x = input() -> out: f32[1,8]
block | a = relu(x: x) -> y: f32[1,8]
block | b = relu(x: a) -> y: f32[1,8]
block | c = relu(x: b) -> y: f32[1,8]
block | d = relu(x: c) -> y: f32[1,8]
block | e = relu(x: d) -> y: f32[1,8]
block | y = concat(in: [a, b, c, d, e]) -> out: f32[1,40]
output(in: y)
"""

RULE = AuditRule(
    name="fragmentation",
    summary="More than four parallel branches of one module meet in a concatenation or a sum. One finding per module, at its widest.",
    why="Many small ops keep a device less busy than one of the same cost, and each has its own start (ShuffleNet V2, G3).",
    fix="Merge branches: convolutions of one kernel and operand are one convolution with more channels.",
    severity=Severity.NOTE,
    check=_check,
    settings=(Setting(name="branches", meaning="The most branches that are allowed.", default=4, parse=whole_number),),
    source="Ma et al., ShuffleNet V2, arXiv 1807.11164, guideline G3",
    good=(
        Good(name="four branches", graph=_graph(4)),
        Good(name="a chain that keeps its steps (DenseNet)", graph=_CHAIN),
        Good(name="limit set higher", graph=_graph(6), settings={"branches": 6}),
    ),
    bad=(
        Bad(
            name="five branches",
            graph=_graph(5),
            op="y",
            because="five convolutions of one tensor, none needing another",
            measured=Measure("branches", 5),
            limit=Measure("branches", 4),
        ),
        Bad(
            name="five branches in a chain of sums",
            graph="\n".join(
                [
                    "x = input() -> out: f32[1,8]",
                    *(f"block | b{i} = relu(x: x) -> y: f32[1,8]" for i in range(5)),
                    "block | s1 = add_n(in: [b0, b1]) -> out: f32[1,8]",
                    "block | s2 = add_n(in: [s1, b2]) -> out: f32[1,8]",
                    "block | s3 = add_n(in: [s2, b3]) -> out: f32[1,8]",
                    "block | s4 = add_n(in: [s3, b4]) -> out: f32[1,8]",
                    "output(in: s4)",
                ]
            ),
            op="s4",
            because="the sums are read by one another alone",
            measured=Measure("branches", 5),
            limit=Measure("branches", 4),
        ),
    ),
)
