"""`fragmentation`: many parallel branches in one module (ShuffleNet V2, G3)."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from irflops.auditing.facts import USERS_PHASES, Facts
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Setting, Undecided, whole_number
from irflops.ir.graph import Op

_KIND = {"add_n": "sum", "broadcast_add": "sum", "concat": "concatenation"}
"""Joins of one kind that go into one another are one join."""

_JOINS = (*_KIND, "stack")
_MOST_STEPS = 200
"""Ops and operands that are met behind a join, but for its ends. Branches of real models show within a few whether they work."""


def _check(facts: Facts, options: Options) -> Iterator[Outcome]:
    most = options["branches"]
    widest: dict[str, tuple[int, Op]] = {}
    for op in facts.users(*_JOINS):
        if _is_part_of_a_join(op, facts):
            continue
        ends = _ends(op, facts)
        if len(ends) < 2:
            continue
        count = len(ends) if len(ends) <= most else _parallel(ends, op.module, facts)
        if count is None:
            yield Undecided(reason="its branches are too long and too many to follow each", op=op)
        elif count > widest.get(op.module, (1, op))[0]:
            widest[op.module] = count, op
    for module, (count, op) in widest.items():
        measured, limit = Measure("branches", count), Measure("branches", most)
        message = f"{count} parallel branches meet in {op.name}, in module {module or '(graph)'}"
        if count > most:
            yield Hit(message=message, op=op, measured=measured, limit=limit)
        else:
            yield Near(message=message, op=op, measured=measured, limit=limit, closeness=count / most)


def _is_part_of_a_join(op: Op, facts: Facts) -> bool:
    """Whether a sum goes into a sum of its own module, or a concatenation into a concatenation, and is used for nothing else."""
    if op.type not in _KIND:
        return False
    use = facts.only_forward_use(op)
    return (
        use is not None and use.op.module == op.module and use.op.phase in USERS_PHASES and _KIND.get(use.op.type or "") == _KIND[op.type]
    )


def _ends(join: Op, facts: Facts) -> list[Op]:
    """The last ops of what meets in a join, all of its own module or below; a chain of joins of one kind is one join."""
    ends: dict[str, Op] = {}
    waiting = [join]
    while waiting:
        for operand in waiting.pop().inputs:
            producer = facts.producer(operand)
            if producer is None or not _inside(producer.module, join.module):
                continue
            if producer.module == join.module and _is_part_of_a_join(producer, facts):
                waiting.append(producer)
            elif producer.type not in ("variable", "input"):
                ends[producer.name] = producer
    return list(ends.values())


def _parallel(ends: Sequence[Op], module: str, facts: Facts) -> int | None:
    """How many branches of a module end in these ops, each with work that no other of them shares; None where that takes too long.

    An op is met when all that read it were: it is known then whether one branch alone leads to it. Nothing is left to find where all that
    is still to be met is shared, or of a branch that was seen to work.
    """
    branch: dict[int, int | None] = {facts.index[op.name]: number for number, op in enumerate(ends)}
    """By index of an op, the number of the branch that leads to it, None if several do."""
    waiting = [-facts.place[index] for index in branch]
    heapq.heapify(waiting)
    idle: dict[int | None, int] = dict.fromkeys(range(len(ends)), 1)
    """By number of a branch without work so far, the ops that it alone leads to and that are still to be met."""
    open_ = len(ends)
    steps = -2 * len(ends)
    while open_:
        index = facts.order[-heapq.heappop(waiting)]
        op, number = facts.graph.ops[index], branch[index]
        steps += 1 + len(op.inputs)
        if steps > _MOST_STEPS:
            return None
        if number in idle:
            idle[number] -= 1
            open_ -= 1
            if _works(op, facts):
                open_ -= idle.pop(number)
        for operand in op.inputs:
            producer = facts.producer(operand)
            if producer is None or not _inside(producer.module, module):
                continue
            behind = facts.index[producer.name]
            if behind not in branch:
                branch[behind] = number
                heapq.heappush(waiting, -facts.place[behind])
                if number in idle:
                    idle[number] += 1
                    open_ += 1
            elif branch[behind] != number:
                if (other := branch[behind]) in idle:
                    idle[other] -= 1
                    open_ -= 1
                branch[behind] = None
    return len(ends) - len(idle)


def _works(op: Op, facts: Facts) -> bool:
    cost = facts.cost(op)
    return bool(cost.get("flops")) or not cost.is_known("flops")


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
    refutable=True,
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
