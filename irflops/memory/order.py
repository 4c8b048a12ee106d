"""In which order OneFlow runs the tasks of a device.

0.9.0 straightens the graph for memory (oneflow/core/graph/straighten_nodes.cpp): of the tasks that are ready, the one that adds least to
what is held runs first. Regimes that use one compute stream for everything run them first come, first served.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence

from irflops.ir.graph import Op, Role
from irflops.ir.order import turned
from irflops.memory.ranks import BOXING, COPY
from irflops.memory.registers import NO_TASK, Device, Task

_FIRST, _MEANWHILE, _IN_TURN = range(3)

_AT_ONCE = frozenset({"acc", "pack", "unpack", "repeat", "tick", "device_tick", "acc_tick", "acc_ctrl_tick", "source_tick"})
"""Types that OneFlow runs as soon as they can."""

Waits = Sequence[Sequence[int]]
"""By task those that must have run before it, each once."""


def waits_of(device: Device) -> Waits:
    """What each task waits for, and updates for all other readers of their variables.

    OneFlow adds these edges when it completes a job, so that no dump has them. A reader that waits for the update itself waits on.
    """
    tasks, registers = device.tasks, device.registers
    late: dict[int, list[int]] = {}
    for at, task in enumerate(tasks):
        written = task.facts.updated([operand.arg for operand in task.op.inputs], [result.arg for result in task.op.outputs])
        for register, operand in zip(task.reads, task.op.inputs, strict=True):
            if operand.arg in written and register != NO_TASK and tasks[registers[register].maker].op.type == "variable":
                late.setdefault(at, []).extend(reader for reader in registers[register].readers if reader != at)
    waits = [task.waits_for for task in tasks]
    if not late:
        return waits
    place = _updates_last(waits, late)
    return [
        tuple(dict.fromkeys([*task, *(reader for reader in late.get(at, ()) if place[reader] < place[at])])) if at in late else task
        for at, task in enumerate(waits)
    ]


def _updates_last(waits: Waits, late: dict[int, list[int]]) -> list[int]:
    """The place of each task in an order in which updates run when nothing else can."""
    followers, left = turned(waits), [len(one) for one in waits]
    ready = deque(at for at, count in enumerate(left) if not count)
    held: deque[int] = deque()
    place, count = [0] * len(left), 0
    while ready or held:
        at = ready.popleft() if ready else held.popleft()
        place[at], count = count, count + 1
        for follower in followers[at]:
            left[follower] -= 1
            if not left[follower]:
                (held if follower in late else ready).append(follower)
    return place


def straightened(device: Device, waits: Waits) -> list[int]:
    """Tasks in the order in which they run: of those that are ready the one with the least increment, then the first of the job.

    The increment is what a task makes and works in, less of what it reads its part: a register's bytes over the number of its readers.
    Between the two OneFlow looks at layers before transfers, which on one device are alike for all.
    """
    registers = device.registers
    increments = []
    for task in device.tasks:
        made = sum(registers[register].nbytes for register in task.makes if registers[register].reused)
        worked = registers[task.buffer].nbytes if task.buffer != NO_TASK else 0
        read = sum(
            registers[register].nbytes // len(registers[register].readers)
            for register in dict.fromkeys(task.reads)
            if register != NO_TASK and registers[register].reused
        )
        increments.append(made + worked - read)
    return _overlapped(waits, increments, [_class_of(task) for task in device.tasks])


def _class_of(task: Task) -> int:
    """When a task is taken: at once, while others run, or when it is its turn."""
    if task.op.type in _AT_ONCE:
        return _FIRST
    return _MEANWHILE if is_collective(task.op) or task.op.type == COPY else _IN_TURN


def _overlapped(waits: Waits, increments: Sequence[int], classes: Sequence[int]) -> list[int]:
    """Tasks in order: transfers begin as soon as they can, and what waits for them goes on when some others have run meanwhile."""
    followers, left = turned(waits), [len(one) for one in waits]
    ready: list[list[tuple[int, int]]] = [[], [], []]
    remaining = [classes.count(one) for one in range(len(ready))]
    order: list[int] = []

    def finish(task: int) -> None:
        for follower in followers[task]:
            left[follower] -= 1
            if not left[follower]:
                heapq.heappush(ready[classes[follower]], (increments[follower], follower))

    def take(which: int, count: int) -> list[int]:
        taken = [heapq.heappop(ready[which])[1] for _ in range(min(count, len(ready[which])))]
        remaining[which] -= len(taken)
        order.extend(taken)
        return taken

    for task, count in enumerate(left):
        if not count:
            heapq.heappush(ready[classes[task]], (increments[task], task))
    while any(ready):
        if ready[_FIRST]:
            done = take(_FIRST, len(ready[_FIRST]))
        elif ready[_MEANWHILE]:
            others = min(len(ready[_IN_TURN]) // len(ready[_MEANWHILE]), remaining[_IN_TURN] // remaining[_MEANWHILE])
            begun = take(_MEANWHILE, 1)
            for task in take(_IN_TURN, others):
                finish(task)
            done = begun
        else:
            done = take(_IN_TURN, 1)
        for task in done:
            finish(task)
    return order


def first_come(device: Device, waits: Waits) -> list[int]:
    """Tasks in the order in which they become ready; collectives right before the first that waits for them."""
    moves = [is_collective(task.op) for task in device.tasks]
    ready = _first_come([_through(waits, at, moves) if not moves[at] else () for at in range(len(waits))])
    order: dict[int, None] = {}
    for at in ready:
        if not moves[at]:
            _after_moves(at, waits, moves, order)
    for at in ready:
        _after_moves(at, waits, moves, order)
    return list(order)


def is_collective(op: Op) -> bool:
    """Whether an operator brings a tensor from one way to lie to another."""
    return op.type == BOXING or op.role is Role.COLLECTIVE


def _through(waits: Waits, at: int, moves: Sequence[bool]) -> tuple[int, ...]:
    """What a task waits for, and in place of collectives what those wait for."""
    found: dict[int, None] = {}
    reached = list(waits[at])
    seen = set(reached)
    for before in reached:
        if not moves[before]:
            found[before] = None
            continue
        for behind in waits[before]:
            if behind not in seen:
                seen.add(behind)
                reached.append(behind)
    return tuple(found)


def _after_moves(at: int, waits: Waits, moves: Sequence[bool], order: dict[int, None]) -> None:
    """Appends a task to an order, and before it the collectives that it waits for and that have not run."""
    stack = [at]
    while stack:
        top = stack[-1]
        left = [before for before in waits[top] if moves[before] and before not in order]
        if left:
            stack += reversed(left)
            continue
        order[stack.pop()] = None


def _first_come(waits: Waits) -> list[int]:
    followers, left = turned(waits), [len(one) for one in waits]
    ready = deque(at for at, count in enumerate(left) if not count)
    order = []
    while ready:
        at = ready.popleft()
        order.append(at)
        for follower in followers[at]:
            left[follower] -= 1
            if not left[follower]:
                ready.append(follower)
    return order
