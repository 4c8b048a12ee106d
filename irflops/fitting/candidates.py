"""Which modules one would checkpoint: those whose results backward keeps most of, by what repeats in the model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from irflops.analysis.analysis import Analysis
from irflops.ir.tree import tree_of

_LEVEL = re.compile(r"(?<![^.])\d+(?![^.])")
"""A level of a path that is a number: one of a list of siblings."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Modules that one would checkpoint together."""

    pattern: str
    modules: tuple[str, ...]
    """In the order of the model."""
    saved_bytes: int
    """What backward keeps of them as captured: no more can be saved by it."""


def candidates(analysis: Analysis, most: int = 6) -> list[Candidate]:
    """The modules of which backward keeps most, siblings of one list together, the largest first.

    A pattern is left out where one that holds all of it keeps no more.
    """
    saved = {path: cost.get("saved_bytes") for path, cost in analysis.modules.items() if path and cost.get("saved_bytes")}
    groups: dict[str, list[str]] = {}
    for path in tree_of(saved).parents:
        if path in saved:
            groups.setdefault(_LEVEL.sub("*", path), []).append(path)
    found = [Candidate(pattern, tuple(paths), sum(saved[path] for path in paths)) for pattern, paths in groups.items()]
    found.sort(key=lambda one: (-one.saved_bytes, -len(one.modules), one.pattern.count(".")))
    return list(_apart(found, saved))[:most]


def _apart(found: Sequence[Candidate], saved: Mapping[str, int]) -> Iterator[Candidate]:
    """Without those of which as much is kept as of another: a list of modules and its parent, a module and its one child."""
    taken: set[int] = set()
    for one in found:
        if one.saved_bytes not in taken:
            taken.add(one.saved_bytes)
            yield one


def first_of(candidate: Candidate, count: int) -> tuple[str, tuple[str, ...]]:
    """The first modules of a candidate, and one pattern for them."""
    chosen = candidate.modules[:count]
    if count == len(candidate.modules):
        return candidate.pattern, chosen
    return (chosen[0] if count == 1 else f"{chosen[0]} to {chosen[-1]}"), chosen
