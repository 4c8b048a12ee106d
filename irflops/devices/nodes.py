"""Which part of what devices send stays inside a node, and which crosses the network between nodes.

Collectives go over two levels: inside the nodes first, then one device of each with those of the others. A group of n devices on k nodes
that shares S bytes sends 2 (n - k) S inside and 2 (k - 1) S across in an all-reduce, half of that in an all-gather or a reduce-scatter. In
an all-to-all each pair of devices exchanges an equal part, and so it is taken for sending and receiving, between each device that has the
tensor and each that wants it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from irflops.devices.boxing import ALL_TO_ALL, Step
from irflops.devices.transfers import Move
from irflops.ir.graph import Placement

RANKS_PER_NODE = 8
"""Devices of a node where neither the form nor the user says."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Bytes over all devices that stay inside nodes, and that go from node to node."""

    inside: int = 0
    across: int = 0

    def __add__(self, other: Reach) -> Reach:
        return Reach(self.inside + other.inside, self.across + other.across)


NOWHERE = Reach()


class Nodes:
    """The nodes of a graph's devices."""

    def __init__(self, ranks_per_node: int = RANKS_PER_NODE) -> None:
        self._ranks_per_node = ranks_per_node
        self._of: dict[int, tuple[Placement, Sequence[int]]] = {}
        self._shares: dict[tuple[int, int, bool], tuple[int, int]] = {}

    def of(self, placement: Placement) -> Sequence[int]:
        """The node of each of its ranks, in their order."""
        known = self._of.get(id(placement))
        if known is None:
            nodes = placement.nodes
            if nodes is None or len(nodes) != len(placement.ranks):
                nodes = tuple([rank // self._ranks_per_node for rank in placement.ranks])
            known = self._of[id(placement)] = placement, nodes  # the placement is kept, so that its id stays its own
        return known[1]

    def reach(self, move: Move) -> Reach:
        """Where the bytes of a move go."""
        if move.crosses:
            part, every = self._pairs(self.of(move.producers), self.of(move.consumers))
            return Reach(move.bytes * part // every, move.bytes - move.bytes * part // every)
        found = NOWHERE
        for step in move.steps:
            found += self.reach_of(move, step)
        return found

    def reach_of(self, move: Move, step: Step) -> Reach:
        """Where the bytes of one step go."""
        whole = move.bytes_of(step)
        if not whole:
            return NOWHERE
        part, every = self._share(move.consumers, step)
        return Reach(whole * part // every, whole - whole * part // every)

    def _share(self, placement: Placement, step: Step) -> tuple[int, int]:
        """The share of a step along a dimension that stays inside, as two numbers."""
        in_pairs = step.collective == ALL_TO_ALL
        key = id(placement), step.dimension, in_pairs
        if key not in self._shares:
            nodes, mesh = self.of(placement), placement.hierarchy
            stride = 1
            for extent in mesh[step.dimension + 1 :]:
                stride *= extent
            length = mesh[step.dimension]
            part = every = 0
            for block in range(0, len(nodes), stride * length):
                for start in range(block, block + stride):
                    group = Counter(nodes[start : start + stride * length : stride])
                    part += sum(count * (count - 1) for count in group.values()) if in_pairs else length - len(group)
                    every += length * (length - 1) if in_pairs else length - 1
            self._shares[key] = part, every
        return self._shares[key]

    @staticmethod
    def _pairs(producers: Sequence[int], consumers: Sequence[int]) -> tuple[int, int]:
        senders, receivers = Counter(producers), Counter(consumers)
        return sum(count * receivers[node] for node, count in senders.items()), len(producers) * len(consumers)
