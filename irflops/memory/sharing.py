"""Which results lie in the memory of an operand: OneFlow's in-place proposals, and which of them are safe.

A view shares its operand's memory to be read; an overwriting operator takes it over, which is safe where it is the last reader of all
that shares it (oneflow/core/graph/inplace_lbi_graph.cpp, of 0.9.0). Where proposals contradict each other, those nearer to the root go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from irflops.ir.signatures import FUSED_TERM
from irflops.memory.order import Waits
from irflops.memory.registers import NO_TASK, Device, Register, Task

_STEPS_AT_LEAST, _STEPS_PER_TASK = 2_000_000, 100
"""Steps that may be taken: real graphs take some ten a task."""


@dataclass(frozen=True)
class Sharing:
    """Where registers lie."""

    lies_in: dict[int, int]
    """By register the operand's in whose memory it lies."""
    is_whole: bool
    """Whether every proposal was judged; where the graph is too tangled for that, those left lie nowhere but by themselves."""


def in_place(device: Device, waits: Waits, order: Sequence[int], chains: Sequence[int]) -> Sharing:
    """Which registers lie in which: what OneFlow proposes, and is safe in this order. Chains, by task, say which tasks run one by one."""
    proposals = _Proposals(device, waits, order, chains)
    for root in proposals.roots():
        proposals.settle(root)
    return Sharing(proposals.safe, proposals.steps_left > 0)


def _proposed(task: Task, registers: Sequence[Register]) -> list[tuple[int, int, bool]]:
    """Results that may lie in an operand's memory, and whether they overwrite it."""
    op, facts = task.op, task.facts
    operands: dict[str, int] = {}
    for register, operand in zip(task.reads, op.inputs, strict=True):
        operands.setdefault(operand.arg, register)
    results: dict[str, int] = {}
    for register, result in zip(task.makes, op.outputs, strict=True):
        results.setdefault(result.arg, register)
    if FUSED_TERM in operands and results:
        return [(next(iter(results.values())), operands[FUSED_TERM], True)]
    tables = ((facts.shares, False), (facts.overwrites, True))
    found = [(results[to], operands[of], over) for table, over in tables for to, of in table.items() if to in results and of in operands]
    return [one for one in found if one[1] != NO_TASK and (op.type != "transpose" or _moves_ones(task, registers[one[1]]))]


def _moves_ones(task: Task, operand: Register) -> bool:
    """Whether a transpose moves axes of one element alone. A permutation that the form lacks follows from the shapes where they tell it."""
    shape = operand.type.shape if operand.type is not None else None
    perm = task.op.attrs.get("perm")
    if shape is None:
        return False
    if isinstance(perm, tuple):
        axes = [axis for axis in perm if isinstance(axis, int) and 0 <= axis < len(shape)]
        long = [axis for axis in axes if shape[axis] != 1]
        return len(axes) == len(shape) and long == sorted(long)
    result = task.op.outputs[0].type.shape if task.op.outputs else None
    kept = [extent for extent in shape if extent != 1]
    return result is not None and [extent for extent in result if extent != 1] == kept and len(set(kept)) == len(kept)


class _Proposals:
    """Proposals as trees of registers, and those found safe."""

    def __init__(self, device: Device, waits: Waits, order: Sequence[int], chains: Sequence[int]) -> None:
        self.tasks, self.registers = device.tasks, device.registers
        self.waits, self.chains = waits, chains
        self.place = [0] * len(order)
        for at, number in enumerate(order):
            self.place[number] = at
        self.parent: dict[int, int] = {}
        self.overwrites: set[int] = set()
        self.children: dict[int, list[int]] = {}
        self.safe: dict[int, int] = {}
        self.cut: set[int] = set()
        self.steps_left = _STEPS_AT_LEAST + _STEPS_PER_TASK * len(order)
        for task in self.tasks:
            for result, operand, over in _proposed(task, self.registers):
                if result not in self.parent and self._fits(result, operand):
                    self.parent[result] = operand
                    self.children.setdefault(operand, []).append(result)
                    if over:
                        self.overwrites.add(result)

    def _fits(self, result: int, operand: int) -> bool:
        made, read = self.registers[result], self.registers[operand]
        if made.type is None or read.type is None or made.type.numel is None:
            return False
        return made.type.numel == read.type.numel and made.type.dtype is read.type.dtype and made.on is read.on

    def roots(self) -> list[int]:
        """Where trees begin that are yet to be judged. What only views a variable or a constant is safe as it is."""
        found = []
        for root in [operand for operand in self.children if operand not in self.parent]:
            if not self._is_source(root):
                found.append(root)
                continue
            seen = [root]
            for register in seen:
                for child in self.children.get(register, ()):
                    self.cut.add(child)
                    if child in self.overwrites:
                        found.append(child)
                    else:
                        self.safe[child] = register
                        seen.append(child)
        return found

    def _is_source(self, register: int) -> bool:
        task = self.tasks[self.registers[register].maker]
        return task.op.type in ("variable", "mutable_cast_once") or (
            task.op.type != "input" and not task.op.inputs and len(task.op.outputs) == 1
        )

    def settle(self, root: int) -> None:
        """Judges a tree: cuts it where proposals contradict each other, until none do."""
        waiting = [root]
        while waiting:
            top = waiting.pop()
            while True:
                tree = self._tree(top)
                if len(tree) == 1:
                    break
                if self.steps_left <= 0:
                    self.safe.update((one, self.parent[one]) for one in tree[1:] if one not in self.overwrites)
                    break
                wrong = self._contradiction(tree)
                if self.steps_left <= 0:
                    continue  # it was not looked at to the end
                if wrong is None:
                    self.safe.update((one, self.parent[one]) for one in tree[1:])
                    break
                self.cut.add(wrong)
                waiting.append(wrong)

    def _tree(self, top: int) -> list[int]:
        """A register and all that lie in it, those that they lie in first."""
        found = [top]
        for register in found:
            found += [child for child in self.children.get(register, ()) if child not in self.cut]
        self.steps_left -= len(found)
        return found

    def _contradiction(self, tree: list[int]) -> int | None:
        """The first register that cannot overwrite its operand beside the others of the tree."""
        top, members = tree[0], set(tree)
        written = [one for one in tree[1:] if one in self.overwrites]
        if not written:
            return None
        above = {one: self._written_above(one, top) for one in self._last(written, top)[:2]}
        if len(above) == 2:  # two overwrite one memory, neither behind the other
            (first, before), (second, other) = above.items()
            apart = next((one for one, two in zip(before, other, strict=False) if one != two), None)
            return apart if apart is not None else first if len(before) < len(other) else second
        for one in written:
            if self.steps_left > 0 and not self._runs_last(one, tree):
                return one
        for one in written:
            self.steps_left -= len(self.tasks[self.registers[one].maker].reads)
            if self.steps_left > 0 and sum(operand in members for operand in self.tasks[self.registers[one].maker].reads) > 1:
                return one
        return None

    def _last(self, written: list[int], top: int) -> list[int]:
        """Those that overwrite and have none below them that does."""
        inner = set()
        for one in written:
            above = self.parent[one]
            while above != top and above not in inner:
                self.steps_left -= 1
                inner.add(above)
                above = self.parent[above]
        return [one for one in written if one not in inner]

    def _written_above(self, register: int, top: int) -> list[int]:
        """Those that overwrite between the top and a register, the top's first."""
        found = []
        above = self.parent[register] if register != top else top
        while above != top:
            if above in self.overwrites:
                found.append(above)
            above = self.parent[above]
        return found[::-1]

    def _runs_last(self, register: int, tree: list[int]) -> bool:
        """Whether all readers of what shares the memory, but for what lies in the register itself, run no later than it is made."""
        task = self.registers[register].maker
        below = {register}
        for one in tree:  # what lies in another comes behind it
            if self.parent.get(one) in below and one not in self.cut:
                below.add(one)
        self.steps_left -= len(tree)
        for one in tree:
            if one in below:
                continue
            readers = self.registers[one].readers
            if not readers or not all(self._reaches(reader, task) for reader in readers):
                return False
        return True

    def _reaches(self, first: int, last: int) -> bool:
        """Whether one task runs before another, or is it: in one chain by their order, else by what waits for what."""
        self.steps_left -= 1
        if self.place[first] > self.place[last]:
            return False
        if self.chains[first] == self.chains[last] or first == last:
            return True
        seen, stack = {last}, [last]
        while stack and self.steps_left > 0:
            for before in self.waits[stack.pop()]:
                self.steps_left -= 1
                if before == first:
                    return True
                if before not in seen and self.place[before] > self.place[first]:
                    seen.add(before)
                    stack.append(before)
        return False
