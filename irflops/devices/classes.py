"""Ranks that do the same, found without looking at each: as intervals of rank numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

from irflops.devices.physical import Box
from irflops.ir.graph import Placement

Interval = tuple[int, int]
"""The first and the last of ranks that follow one another."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A mesh cut into cells, so that each of some boxes is made of whole cells."""

    cuts: tuple[tuple[int, ...], ...]
    """By dimension where cells begin, and the extent of the mesh at the end."""

    @property
    def size(self) -> int:
        """Number of cells."""
        size = 1
        for cuts in self.cuts:
            size *= len(cuts) - 1
        return size

    def cells(self) -> Iterator[Box]:
        """The cells, the last dimension varying fastest."""
        return product(*(tuple(pairwise(cuts)) for cuts in self.cuts))


def grid_of(boxes: Sequence[Box], mesh: Sequence[int]) -> Grid:
    """The coarsest grid for boxes of a mesh."""
    found: list[set[int]] = [{0, extent} for extent in mesh]
    for box in boxes:
        for cuts, (first, end) in zip(found, box, strict=True):
            cuts.update((first, end))
    return Grid(tuple(tuple(sorted(cuts)) for cuts in found))


def is_inside(cell: Box, box: Box) -> bool:
    """Whether a cell lies in a box."""
    return all(first <= at and end <= until for (at, end), (first, until) in zip(cell, box, strict=True))


def intervals(ranks: Sequence[int]) -> list[Interval]:
    """Distinct ranks as intervals, in order."""
    first, last = min(ranks), max(ranks)
    if last - first + 1 == len(ranks):
        return [(first, last)]
    found: list[Interval] = []
    for rank in sorted(ranks):
        if found and found[-1][1] == rank - 1:
            found[-1] = found[-1][0], rank
        else:
            found.append((rank, rank))
    return found


def ranks_in(placement: Placement, cell: Box) -> list[Interval]:
    """The ranks of a placement whose coordinates lie in a cell."""
    mesh = placement.hierarchy
    if all((first, end) == (0, extent) for (first, end), extent in zip(cell, mesh, strict=True)):
        return intervals(placement.ranks)
    at = [0]
    for (first, end), extent in zip(cell, mesh, strict=True):
        at = [place * extent + coordinate for place in at for coordinate in range(first, end)]
    return intervals([placement.ranks[place] for place in at])


def classes(found: Mapping[int, Sequence[Interval]]) -> Iterator[tuple[tuple[int, ...], list[Interval]]]:
    """Ranks by which of some sets they are in: the sets' keys, and the ranks that are in these and no others, as intervals in order.

    `found` has the ranks of each set as intervals. The classes come in the order of their first ranks.
    """
    starts: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    for key, parts in found.items():
        for first, last in parts:
            starts.setdefault(first, []).append(key)
            ends.setdefault(last + 1, []).append(key)
    inside: dict[int, None] = {}
    by_keys: dict[tuple[int, ...], list[Interval]] = {}
    places = sorted({*starts, *ends})
    for at, after in pairwise(places):
        for key in ends.get(at, ()):
            del inside[key]
        inside |= dict.fromkeys(starts.get(at, ()))
        if inside:
            known = by_keys.setdefault(tuple(sorted(inside)), [])
            if known and known[-1][1] == at - 1:
                known[-1] = known[-1][0], after - 1
            else:
                known.append((at, after - 1))
    yield from by_keys.items()
