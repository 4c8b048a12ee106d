"""The longest common subsequence of two lists, where they differ little.

Myers, "An O(ND) difference algorithm", Algorithmica 1986, between the elements that are alone of their kind on both sides where those are
most of all (Cohen's patience diff).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

BUDGET = 3_000_000
"""Steps after which two lists count as too different to be aligned: a second or two."""

_STEPS, _STEPS_AN_ELEMENT = 10_000, 100
"""Steps after which shorter ones do: all that lists of 200 elements can need, and no more than many of them together may take."""


def common(old: Sequence[int], new: Sequence[int]) -> list[tuple[int, int]]:
    """Positions of elements that both have, in order, as many as there can be; none where the lists differ too much."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    ours, theirs = old[head : len(old) - tail], new[head : len(new) - tail]
    middle = [(head + a, head + b) for a, b in _middle(ours, theirs)] if ours and theirs else []
    ends = [(len(old) - n, len(new) - n) for n in range(tail, 0, -1)]
    return [(n, n) for n in range(head)] + middle + ends


def _middle(old: Sequence[int], new: Sequence[int]) -> list[tuple[int, int]]:
    anchors = _anchors(old, new)
    if 2 * len(anchors) < min(len(old), len(new)):
        return _myers(old, new)
    found = []
    last = -1, -1
    for a, b in [*anchors, (len(old), len(new))]:
        start_a, start_b = last[0] + 1, last[1] + 1
        found += [(start_a + x, start_b + y) for x, y in common(old[start_a:a], new[start_b:b])]
        found.append((a, b))
        last = a, b
    return found[:-1]


def _anchors(old: Sequence[int], new: Sequence[int]) -> list[tuple[int, int]]:
    """Elements that are alone of their kind on both sides, as many as have one order."""
    counts = Counter(old), Counter(new)
    at = {value: position for position, value in enumerate(new)}
    pairs = [(a, at[value]) for a, value in enumerate(old) if counts[0][value] == 1 == counts[1][value]]
    return [pairs[n] for n in rising([b for _, b in pairs])]


def rising(values: Sequence[int]) -> list[int]:
    """Positions of a longest rising subsequence of distinct numbers, by patience sorting."""
    tops: list[int] = []
    at: list[int] = []
    before: list[int] = []
    for position, value in enumerate(values):
        pile = bisect_left(tops, value)
        before.append(at[pile - 1] if pile else -1)
        if pile == len(tops):
            tops.append(value)
            at.append(position)
        else:
            tops[pile], at[pile] = value, position
    found = []
    position = at[-1] if at else -1
    while position >= 0:
        found.append(position)
        position = before[position]
    return found[::-1]


def _myers(old: Sequence[int], new: Sequence[int]) -> list[tuple[int, int]]:
    """Greedy from the front: for each number of edits the farthest point on each diagonal, kept to walk back."""
    if set(old).isdisjoint(new):
        return []
    farthest = {1: 0}
    trace: list[dict[int, int]] = []
    steps = 0
    budget = min(BUDGET, _STEPS + _STEPS_AN_ELEMENT * (len(old) + len(new)))
    for edits in range(len(old) + len(new) + 1):
        trace.append(dict(farthest))
        for diagonal in range(-edits, edits + 1, 2):
            down = diagonal == -edits or (diagonal != edits and farthest[diagonal - 1] < farthest[diagonal + 1])
            a = farthest[diagonal + 1] if down else farthest[diagonal - 1] + 1
            b = a - diagonal
            start = a
            while a < len(old) and b < len(new) and old[a] == new[b]:
                a, b = a + 1, b + 1
            farthest[diagonal] = a
            steps += a - start + 1
            if a >= len(old) and b >= len(new):
                return _walk_back(trace, len(old), len(new))
        if steps > budget or edits * edits > budget:
            return []
    return []


def _walk_back(trace: list[dict[int, int]], a: int, b: int) -> list[tuple[int, int]]:
    """The pairs on the way to a point: round by round the run that ends it, then the step with which it began."""
    found: list[tuple[int, int]] = []
    for edits in range(len(trace) - 1, 0, -1):
        farthest, diagonal = trace[edits], a - b
        down = diagonal == -edits or (diagonal != edits and farthest[diagonal - 1] < farthest[diagonal + 1])
        before = diagonal + 1 if down else diagonal - 1
        start = farthest[before] if down else farthest[before] + 1
        found += [(x, x - diagonal) for x in range(a - 1, start - 1, -1)]
        a, b = farthest[before], farthest[before] - before
    return [(n, n) for n in range(a)] + found[::-1]
