"""What the devices of a graph send one another in a step: all transfers, with their sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from irflops.counting.fold import UNPHASED
from irflops.devices.boxing import SLICE
from irflops.devices.causes import Cause, Causes
from irflops.devices.layout import Layout, layout_of
from irflops.devices.nodes import NOWHERE, RANKS_PER_NODE, Nodes, Reach
from irflops.devices.transfers import Move, NotCounted, RealEdges, Transfer, transfers_of
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Graph, Note, Op, TensorType
from irflops.ops.book import RuleBook

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Sent:
    """What several transfers send together."""

    count: int = 0
    bytes: int = 0
    reach: Reach = NOWHERE

    def __add__(self, other: Sent) -> Sent:
        return Sent(self.count + other.count, self.bytes + other.bytes, self.reach + other.reach)

    def __mul__(self, times: int) -> Sent:
        return Sent(self.count * times, self.bytes * times, Reach(self.reach.inside * times, self.reach.across * times))


@dataclass(frozen=True)
class Communication:
    """The transfers of a graph, or of a part of it."""

    graph: Graph
    layout: Layout
    transfers: tuple[Transfer, ...]
    """In the order of the operators that read them."""
    causes: tuple[Cause, ...]
    """Why each is made."""
    not_counted: tuple[NotCounted, ...] = ()
    """What may move and is in no sum, with the reason."""
    untold: bool = False
    """Whether the form does not say how operators want their operands: nothing is known then."""
    ranks_per_node: int = RANKS_PER_NODE

    @cached_property
    def total_bytes(self) -> int | None:
        """Bytes over all devices in a step; None where the form does not tell."""
        return None if self.untold else sum(one.move.bytes for one in self.transfers)

    @property
    def certainty(self) -> Certainty:
        """How sure the total is."""
        less = self.untold or self.graph.partial or any(one.lessens for one in self.not_counted)
        guessed = self.graph.doubt if self.transfers else Certainty.EXACT
        return guessed | (Certainty.LOWER_BOUND if less else Certainty.EXACT)

    @property
    def notes(self) -> tuple[Note, ...]:
        """What a reader of the figures should know."""
        if not self.untold:
            return ()
        text = "the form does not say how operators want their operands to lie on the devices: nothing tells what these send one another"
        return (Note("communication-untold", text),)

    def owner(self, transfer: Transfer) -> Op:
        """The operator whose phase and module a transfer has: its producer or, of a variable, its consumer."""
        producer = self.graph.ops[transfer.producer]
        return producer if producer.type != "variable" else self.graph.ops[transfer.consumer]

    @cached_property
    def _nodes(self) -> Nodes:
        return Nodes(self.ranks_per_node)

    def reach(self, transfer: Transfer) -> Reach:
        """What of it stays inside nodes, and what crosses."""
        return self._sent(transfer.move).reach

    @cached_property
    def by_collective(self) -> Mapping[str, Sent]:
        """By collective, the one that moves most first; a transfer of several steps counts in each with what that moves."""
        found: dict[str, Sent] = {}
        for number, times in Counter(id(one.move) for one in self.transfers).items():
            move = self._moves[number]
            if not move.steps:
                found[move.collective] = found.get(move.collective, Sent()) + self._sent(move) * times
            for step in move.steps:
                moved = Sent(1, move.bytes_of(step), self._nodes.reach_of(move, step))
                found[step.collective] = found.get(step.collective, Sent()) + moved * times
        return _ordered(found)

    @cached_property
    def _moves(self) -> Mapping[int, Move]:
        """What moves, by identity: few moves stand for many transfers."""
        return {id(one.move): one.move for one in self.transfers}

    @cached_property
    def by_kind(self) -> Mapping[tuple[tuple[str, ...], tuple[str, ...]], Sent]:
        """By how tensors are made and wanted."""
        sums = self._by(lambda at: (self.transfers[at].move.made, self.transfers[at].move.wanted))
        return {(_words(made), _words(wanted)): sent for (made, wanted), sent in sums.items()}

    @cached_property
    def by_phase(self) -> Mapping[str, Sent]:
        """By phase of the producer."""
        return self._by(lambda at: UNPHASED if (phase := self.owner(self.transfers[at]).phase) is None else phase.value)

    @cached_property
    def by_module(self) -> Mapping[str, Sent]:
        """By the producer's own module."""
        return self._by(lambda at: self.owner(self.transfers[at]).module)

    @cached_property
    def by_cause(self) -> Mapping[str, Sent]:
        """By why tensors move."""
        return self._by(lambda at: self.causes[at].value)

    def _by(self, key: Callable[[int], K]) -> dict[K, Sent]:
        found: dict[K, Sent] = {}
        counts = Counter((key(at), id(one.move)) for at, one in enumerate(self.transfers))
        for (name, number), times in counts.items():
            found[name] = found.get(name, Sent()) + self._sent(self._moves[number]) * times
        return _ordered(found)

    def _sent(self, move: Move) -> Sent:
        known = self._known.get(id(move))
        if known is None:
            known = self._known[id(move)] = Sent(1, move.bytes, self._nodes.reach(move))
        return known

    @cached_property
    def _known(self) -> dict[int, Sent]:
        return {}

    def part(self, names: Collection[str]) -> Communication:
        """The transfers of operators with these names."""
        kept = [at for at, one in enumerate(self.transfers) if self.owner(one).name in names]
        ops = self.graph.ops
        return Communication(
            self.graph,
            self.layout,
            tuple(self.transfers[at] for at in kept),
            tuple(self.causes[at] for at in kept),
            tuple(one for one in self.not_counted if ops[one.producer].name in names),
            self.untold,
            self.ranks_per_node,
        )


def _words(nd_sbp: Sequence[object]) -> tuple[str, ...]:
    return tuple(map(str, nd_sbp))


def _ordered(found: Mapping[K, Sent]) -> dict[K, Sent]:
    """Most bytes first; of equal ones what moves nothing by its nature last."""
    return dict(sorted(found.items(), key=lambda item: (-item[1].bytes, item[0] == SLICE, -item[1].count, str(item[0]))))


def communication_of(
    graph: Graph, types: Mapping[str, TensorType], book: RuleBook, layout: Layout | None = None, ranks_per_node: int = RANKS_PER_NODE
) -> Communication:
    """What the devices of a graph send one another."""
    layout = layout or layout_of(graph)
    if not graph.holds.operand_sbp and any(len(placement.ranks) > 1 for placement in layout.distinct):
        return Communication(graph, layout, (), (), (), untold=True, ranks_per_node=ranks_per_node)
    edges = RealEdges(layout)
    found, not_counted = transfers_of(edges, types)
    causes = Causes(edges, book) if found else None
    why = tuple(causes.cause(one) for one in found) if causes is not None else ()
    return Communication(graph, layout, tuple(found), why, tuple(not_counted), ranks_per_node=ranks_per_node)
