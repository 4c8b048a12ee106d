"""When registers are alive: memory chains, and the blocks of each.

A chain is what runs one by one on one stream and shares one block: connected forward and backward tasks, without variables and, by default,
without the optimizer's; a task outside of all chains is one of its own (oneflow/core/graph/task_graph.cpp, of 0.9.0).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from irflops.ir.graph import Phase
from irflops.memory.order import is_collective
from irflops.memory.packing import Life
from irflops.memory.ranks import COPY
from irflops.memory.registers import NO_TASK, Device, Task
from irflops.ops.temporary import DeviceKind

_ALONE = frozenset({"variable", "repeat", "acc", "pack", "unpack", "identity_buffer", "device_tick"})
"""Types that are in no chain with others."""

_APART = frozenset({"variable", "input", "output", "return", "repeat", "unpack", "identity_buffer", "copy_h2d", "copy_d2h"}) | {
    "device_tick",
    "tick",
    "acc_tick",
    "acc_ctrl_tick",
    "cast_to_tick",
}
"""Types that are in no logical chain."""


@dataclass(frozen=True, slots=True)
class Block:
    """Registers that lie in one memory, and when it is alive."""

    registers: tuple[int, ...]
    life: Life


@dataclass(frozen=True, slots=True)
class Chain:
    """Tasks that run one by one, and the blocks of memory that they share over time."""

    tasks: tuple[int, ...]
    """In the order in which they run: the steps of the blocks' lives."""
    blocks: tuple[Block, ...]
    memory: int
    """Chains of one number lie in one memory, one after the other."""


@dataclass(frozen=True, slots=True)
class Chaining:
    """Which tasks run one by one."""

    of: list[int]
    """By task the number of its chain."""
    merged: dict[int, int] = field(default_factory=dict)
    """By chain the one in whose memory it lies, as it runs when all of that one have."""
    held: frozenset[int] = frozenset()
    """Tasks whose results are needed to the end of their chain."""


def chains_of(device: Device, order: Sequence[int], *, optimizer_inside: bool = False) -> Chaining:
    """Which tasks are in one chain, numbered in the order in which chains begin."""
    tasks, registers = device.tasks, device.registers
    chains = [NO_TASK] * len(tasks)
    together = [_is_chained(task, optimizer_inside=optimizer_inside) for task in tasks]
    count = 0
    for first in order:
        if chains[first] != NO_TASK:
            continue
        chains[first] = count
        reached = [first] if together[first] else []
        while reached:
            task = tasks[reached.pop()]
            beside = [registers[register].maker for register in task.reads if register != NO_TASK]
            beside += [reader for register in task.makes for reader in registers[register].readers]
            for at in beside:
                if chains[at] == NO_TASK and together[at]:
                    chains[at] = count
                    reached.append(at)
        count += 1
    return Chaining(chains)


def logical_chains_of(device: Device, order: Sequence[int]) -> Chaining:
    """The chains of a step that accumulates gradients: of what runs once a micro-batch, and of what runs once all have been added up.

    They are found before the graph is compiled (oneflow/core/job_rewriter/logical_chain_pass.cpp, of 0.9.0); tasks outside of them share
    no memory. The optimizer's lies where the last micro-batch's lay. A tick that waits for the micro-batches reads the first result.
    """
    tasks, registers = device.tasks, device.registers
    often = max((task.op.runs for task in tasks), default=1)
    gives = [1 if task.op.type in ("acc", "pack") else task.op.runs for task in tasks]
    runs = [max([gives[at], *(gives[registers[read].maker] for read in task.reads if read != NO_TASK)]) for at, task in enumerate(tasks)]
    may = [task.on is DeviceKind.CUDA and task.op.type not in _APART for task in tasks]
    chains = [NO_TASK] * len(tasks)
    count = 0

    def join(firsts: Sequence[int], times: int) -> int:
        """Puts what is connected into one chain, and says how many tasks it has."""
        found = list(dict.fromkeys(firsts))
        for at in found:
            chains[at] = count
        for at in found:
            task = tasks[at]
            beside = [registers[register].maker for register in task.reads if register != NO_TASK]
            beside += [reader for register in task.makes for reader in registers[register].readers]
            for one in beside:
                if chains[one] == NO_TASK and may[one] and runs[one] == times:
                    chains[one] = count
                    found.append(one)
        return len(found)

    last = NO_TASK
    for first in order:
        if chains[first] == NO_TASK and may[first] and runs[first] == often:
            last = count if join([first], often) > 1 else last
            count += 1
    added = [task for task in order if tasks[task].op.type == "acc"]
    behind = [reader for task in added for register in tasks[task].makes for reader in registers[register].readers]
    seeds = [task for task in behind if chains[task] == NO_TASK and may[task] and runs[task] == 1]
    merged: dict[int, int] = {}
    if seeds:
        join(seeds, 1)
        if last != NO_TASK:
            merged[count] = last
        count += 1
    held = next((task for task in order if chains[task] == last), None)
    for task in order:
        if chains[task] == NO_TASK:
            chains[task] = count
            count += 1
    return Chaining(chains, merged, frozenset(() if held is None or not merged else (held,)))


def _is_chained(task: Task, *, optimizer_inside: bool) -> bool:
    outside = task.op.phase is Phase.OPTIMIZER or is_collective(task.op) or task.op.type == COPY
    return task.on is DeviceKind.CUDA and task.op.type not in _ALONE and (optimizer_inside or not outside)


def lives_of(device: Device, order: Sequence[int], chaining: Chaining, lies_in: dict[int, int]) -> list[Chain]:
    """The chains of a device that hold anything, with their blocks.

    A register that is read outside of its chain lives to the chain's end. One that lies in another's memory keeps that alive, where both
    are in one chain; else it has memory of its own.
    """
    tasks, registers, chains = device.tasks, device.registers, chaining.of
    members: dict[int, list[int]] = {}
    step = [0] * len(tasks)
    for task in order:
        chain = members.setdefault(chains[task], [])
        step[task] = len(chain)
        chain.append(task)
    held: dict[int, dict[int, list[int]]] = {}
    known: dict[int, int] = {}
    for at, register in enumerate(registers):
        if register.reused and register.nbytes:
            chain_of = chains[register.maker]
            held.setdefault(chain_of, {}).setdefault(_owner(at, lies_in, device, chains, known), []).append(at)
    found = []
    for number, owners in sorted(held.items()):
        last = len(members[number]) - 1
        blocks = []
        for owner, lying in owners.items():
            dies = max(last if registers[at].maker in chaining.held else _dies(device, at, step, chains, last) for at in lying)
            blocks.append(Block(tuple(lying), Life(registers[owner].nbytes, step[registers[owner].maker], dies)))
        found.append(Chain(tuple(members[number]), tuple(blocks), chaining.merged.get(number, number)))
    return found


def _owner(register: int, lies_in: dict[int, int], device: Device, chains: Sequence[int], known: dict[int, int]) -> int:
    """The register in whose memory another lies, itself where none does. `known` keeps what was found on the way."""
    registers = device.registers
    chain = chains[registers[register].maker]
    passed = []
    while register not in known:
        passed.append(register)
        below = lies_in.get(register)
        if below is None:
            break
        held = registers[below]
        if not held.reused or not held.nbytes or chains[held.maker] != chain:
            break
        register = below
    owner = known.get(register, register)
    known.update(dict.fromkeys(passed, owner))
    return owner


def _dies(device: Device, register: int, step: Sequence[int], chains: Sequence[int], last: int) -> int:
    """The last step at which a register is needed."""
    held = device.registers[register]
    chain = chains[held.maker]
    return max([step[held.maker], *(step[reader] if chains[reader] == chain else last for reader in held.readers)])


def at_step(chain: Chain, step: int) -> Collection[Block]:
    """The blocks that are alive at a step."""
    return [block for block in chain.blocks if block.life.born <= step <= block.life.dies]
