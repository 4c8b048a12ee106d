"""Ways down one by one, and combinations that fit into a limit, the cheapest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from irflops.fitting.candidates import Candidate, candidates, first_of
from irflops.fitting.change import Change, Planner, Way

_HALF = "float16"
_MOST_BATCH = 1 << 24
"""A batch beyond which none is looked for."""


@dataclass(frozen=True)
class Ways:
    """What each change by itself comes to."""

    found: tuple[Way, ...]
    """Those that save most first."""
    is_whole: bool
    """Whether all were worked out; a large graph takes too long for that."""

    def to_dict(self) -> list[dict[str, Any]]:
        """As in the JSON."""
        return [way.to_dict() for way in self.found]


@dataclass(frozen=True)
class Fit:
    """What fits into a limit."""

    limit: int
    fits: tuple[Way, ...]
    """Those that add the fewest FLOPs first, of equal ones those that need least. The graph as captured where that fits."""
    largest_batch: Way | None
    """The largest batch that fits, without another change; None where none does, or the graph is bound to its own."""
    nearest: Way | None
    """The one that needs least, where none fits."""
    is_whole: bool

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON."""
        return {
            "limit": self.limit,
            "fits": [way.to_dict() for way in self.fits],
            "largest_batch": self.largest_batch.to_dict() if self.largest_batch is not None else None,
            "nearest": self.nearest.to_dict() if self.nearest is not None else None,
            "complete": self.is_whole,
        }


def ways_down(planner: Planner) -> Ways:
    """Each change by itself: what it saves at the peak, and the FLOPs that it adds."""
    changes = [*_settings(planner), *(Change(one.modules, one.pattern) for one in _candidates(planner)), Change(dtype=_HALF)]
    found = [way for change in changes if change != Change() and (way := planner.way(change)) is not None]
    return Ways(tuple(sorted(found, key=lambda way: (-way.saved, way.flops_added))), not planner.is_spent)


def fitting(planner: Planner, limit: int) -> Fit:
    """Combinations of checkpointing, settings of OneFlow's and half precision that need no more than a limit of bytes.

    Of the modules that repeat as few are checkpointed as suffice: those that run first, whose results are kept longest.
    """
    found: dict[Change, Way] = {}
    tried: list[Way] = []

    def fits(change: Change) -> bool:
        way = planner.way(change)
        if way is None:
            return False
        tried.append(way)
        if way.total <= limit:
            found[change] = way
        return way.total <= limit

    choices = _candidates(planner)
    for base in _bases(planner):
        if any(_is_part(change, base) for change in found) or fits(base):
            continue  # a part of it suffices
        for one in choices:
            _fewest(base, one, fits, found)
    batch = _largest_batch(planner, limit)
    enough = [way for way in found.values() if not any(_is_part(other, way.change) for other in found if other != way.change)]
    order = sorted(enough, key=lambda way: (way.flops_added, _steps(way.change), way.total))
    nearest = None if found else min(tried, key=lambda way: way.total, default=None)
    return Fit(limit, tuple(order), batch, nearest, not planner.is_spent)


def _is_part(change: Change, other: Change) -> bool:
    """Whether all of a change is in another."""
    settings = change.compute_stream <= other.compute_stream and change.zero <= other.zero and change.dtype in (None, other.dtype)
    return settings and set(change.modules) <= set(other.modules)


def _steps(change: Change) -> int:
    """How much one would have to do, of changes that add as many FLOPs."""
    return bool(change.modules) + change.compute_stream + change.zero + 2 * (change.dtype is not None)


def _settings(planner: Planner) -> Iterator[Change]:
    """Changes of OneFlow's settings alone, which add no FLOPs; the graph as captured first."""
    yield Change()
    graph = planner.analysis.graph
    if not graph.training:
        return
    if not planner.asked.compute_stream:
        yield Change(compute_stream=True)
    if planner.analysis.is_spread:
        yield Change(compute_stream=True, zero=True)


def _bases(planner: Planner) -> Iterator[Change]:
    yield from _settings(planner)
    yield from (replace(change, dtype=_HALF) for change in _settings(planner))


def _candidates(planner: Planner) -> list[Candidate]:
    """None where the form does not show the backward pass, of which nothing tells what it keeps."""
    return candidates(planner.analysis) if planner.analysis.graph.training and planner.analysis.graph.holds.backward else []


def _fewest(base: Change, one: Candidate, fits: Callable[[Change], bool], found: dict[Change, Way]) -> None:
    """Finds the fewest modules of a candidate that suffice, if all of them do."""

    def first(count: int) -> Change:
        pattern, modules = first_of(one, count)
        return replace(base, modules=modules, pattern=pattern)

    low, high = 0, len(one.modules)
    if not fits(first(high)):
        return
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(first(middle)) else (middle, high)
    for count in range(high + 1, len(one.modules) + 1):
        found.pop(first(count), None)  # more than suffices


def _largest_batch(planner: Planner, limit: int) -> Way | None:
    """The largest batch that fits."""
    captured = planner.analysis.batch
    if captured is None or captured < 1:
        return None

    def at(batch: int) -> Way | None:
        way = planner.way(Change(batch=batch)) if batch != captured else planner.way(Change())
        return way if way is not None and way.total <= limit else None

    low, best, high = 0, None, captured
    while high <= _MOST_BATCH and (way := at(high)) is not None:
        low, best, high = high, way, high * 2
    while high - low > 1 and not planner.is_spent:
        middle = (low + high) // 2
        way = at(middle)
        if way is not None:
            low, best = middle, way
        else:
            high = middle
    return best
