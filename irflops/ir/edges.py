"""Who feeds whom: the edges of a graph as flat arrays of numbers, worked out once for all that ask.

Operators are numbered in file order, operand slots in the order in which operators list them, and tensors in the order in which operators
make them; tensors that none makes come last. An array "by operator" that holds where something begins has one entry more, the end of all.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Protocol

from irflops.ir.order import run_order, turned

NOBODY = -1
"""The maker of a tensor that no operator makes."""


class _Tensor(Protocol):
    @property
    def lbn(self) -> str: ...


class Node(Protocol):
    """What has operands and results: an operator, frozen or under construction."""

    @property
    def inputs(self) -> Sequence[_Tensor]: ...

    @property
    def outputs(self) -> Sequence[_Tensor]: ...


@dataclass(frozen=True, eq=False)
class Edges:
    """The edges between operators, all of which are known by their numbers."""

    tensors: Mapping[str, int]
    """The number of each tensor that is made or read, by lbn."""
    makers: array[int]
    """By tensor, the operator that makes it, or `NOBODY`."""
    first_result: array[int]
    """By operator, its first tensor."""
    reads: array[int]
    """By operand slot, the tensor that it reads."""
    first_slot: array[int]
    """By operator, its first operand slot."""

    def maker(self, lbn: str) -> int | None:
        """The operator that makes a tensor, None where none does."""
        tensor = self.tensors.get(lbn)
        index = NOBODY if tensor is None else self.makers[tensor]
        return None if index == NOBODY else index

    def uses(self, lbn: str) -> Sequence[int]:
        """The operand slots that read a tensor, in file order."""
        tensor = self.tensors.get(lbn)
        if tensor is None:
            return ()
        starts, slots = self._uses
        return slots[starts[tensor] : starts[tensor + 1]]

    @cached_property
    def owners(self) -> array[int]:
        """By operand slot, the operator whose slot it is."""
        found = array("q")
        for index, (start, end) in enumerate(zip(self.first_slot, self.first_slot[1:], strict=False)):
            found.extend([index] * (end - start))
        return found

    @cached_property
    def fed_by(self) -> Sequence[Sequence[int]]:
        """By operator, those behind its operands in their order; one that feeds it twice stands there twice."""
        makers = self.makers
        behind = [makers[tensor] for tensor in self.reads]
        fed = [behind[start:end] for start, end in zip(self.first_slot, self.first_slot[1:], strict=False)]
        return fed if NOBODY not in behind else [[maker for maker in one if maker != NOBODY] for one in fed]

    @cached_property
    def read_by(self) -> Sequence[Sequence[int]]:
        """By operator, those that use its results in file order; one that uses it twice stands there twice."""
        return turned(self.fed_by)

    @cached_property
    def order(self) -> Sequence[int]:
        """Operators with producers before consumers, else in file order; those in or behind a cycle are left out."""
        return array("q", run_order(self.fed_by, self.read_by))

    @cached_property
    def _uses(self) -> tuple[array[int], array[int]]:
        """By tensor where its uses begin, and the slots that use it."""
        counts = [0] * (len(self.makers) + 2)
        for tensor in self.reads:
            counts[tensor + 2] += 1  # two places on, for the loop below moves each start on to its end
        starts = array("q", accumulate(counts))
        slots = array("q", bytes(8 * len(self.reads)))
        for slot, tensor in enumerate(self.reads):
            slots[starts[tensor + 1]] = slot
            starts[tensor + 1] += 1
        return starts, slots


def edges_of(nodes: Iterable[Node]) -> Edges:
    """The edges between operators in this order; of two that make a tensor of one name the later counts."""
    nodes = tuple(nodes)
    tensors: dict[str, int] = {}
    makers, first_result = array("q"), array("q", [0])
    for index, node in enumerate(nodes):
        for result in node.outputs:
            tensors[result.lbn] = len(makers)
            makers.append(index)
        first_result.append(len(makers))
    reads, first_slot = array("q"), array("q", [0])
    for node in nodes:
        for operand in node.inputs:
            tensor = tensors.get(operand.lbn)
            if tensor is None:
                tensor = tensors[operand.lbn] = len(makers)
                makers.append(NOBODY)
            reads.append(tensor)
        first_slot.append(len(reads))
    return Edges(tensors, makers, first_result, reads, first_slot)
