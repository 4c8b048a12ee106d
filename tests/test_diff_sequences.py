"""Sequences that two lists have in common, by brute force."""

from __future__ import annotations

from itertools import combinations, pairwise
from random import Random

import pytest

from irflops.differ import sequence as sequence_module
from irflops.differ.sequence import common, rising


def longest(one: list[int], other: list[int]) -> int:
    """How long a longest common subsequence is, by the textbook's table."""
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


def is_common(pairs: list[tuple[int, int]], one: list[int], other: list[int]) -> bool:
    """Whether pairs of positions rise on both sides and hold equal elements."""
    return all(one[a] == other[b] for a, b in pairs) and all(p[0] < q[0] and p[1] < q[1] for p, q in pairwise(pairs))


@pytest.mark.parametrize("kinds", [1, 2, 3, 5, 8, 30])
def test_a_common_subsequence_is_a_longest_one(kinds: int) -> None:
    """Where many elements are alone of their kind, those decide, and one in a thousand may then be shorter by one."""
    random = Random(kinds)  # noqa: S311 - no secret
    shorter = 0
    for _ in range(600):
        one, other = ([random.randrange(kinds) for _ in range(random.randrange(14))] for _ in range(2))
        found = common(one, other)
        assert is_common(found, one, other)
        lacks = longest(one, other) - len(found)
        assert lacks in ((0, 1) if kinds > 3 else (0,))
        shorter += lacks
    assert shorter <= 2


def test_a_few_changes_of_a_long_list_are_found() -> None:
    random = Random(5)  # noqa: S311 - no secret
    for _ in range(40):
        one = [random.randrange(9) for _ in range(150)]
        other = list(one)
        for _ in range(3):
            other.pop(random.randrange(len(other)))
            other.insert(random.randrange(len(other)), random.randrange(9))
        found = common(one, other)
        assert is_common(found, one, other)
        assert len(found) == longest(one, other)


def test_lists_of_some_hundred_elements_may_differ_in_half_of_them() -> None:
    """Of three kinds, so that no element is alone of its kind."""
    random = Random(7)  # noqa: S311 - no secret
    one, other = ([random.randrange(3) for _ in range(200)] for _ in range(2))
    found = common(one, other)
    assert is_common(found, one, other)
    assert 100 < len(found) == longest(one, other) < 150


def test_between_elements_that_are_alone_of_their_kind_the_rest_is_aligned() -> None:
    """100 and up are alone; between them runs of 1 and 2 differ by one element each."""
    one, other = [0, 100, 1, 2, 1, 101, 2, 102, 1, 103, 104, 105, 7], [9, 100, 2, 1, 101, 102, 1, 1, 103, 104, 105, 8]
    assert common(one, other) == [(1, 1), (3, 2), (4, 3), (5, 4), (7, 5), (8, 6), (9, 8), (10, 9), (11, 10)]


def test_lists_that_differ_too_much_have_nothing_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    """A budget of 40 steps: lists that need 2 edits are aligned, such that need 60 are not; ends that are equal always are."""
    for name, value in (("_STEPS", 40), ("_STEPS_AN_ELEMENT", 0)):
        monkeypatch.setattr(sequence_module, name, value)
    near = [1, 2] * 10
    assert len(common([3, *near], [*near, 3])) == 20
    old, new = [5, *([1, 2] * 30), 6], [5, *([2, 2, 1, 1] * 15), 6]
    assert common(old, new) == [(0, 0), (61, 61)]


def test_budget_is_bounded_for_lists_of_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence_module, "BUDGET", 1)
    assert common([5, *([1, 2] * 30), 6], [5, *([2, 2, 1, 1] * 15), 6]) == [(0, 0), (61, 61)]


def test_a_rising_subsequence_is_a_longest_one() -> None:
    random = Random(3)  # noqa: S311 - no secret
    for _ in range(300):
        values = random.sample(range(20), random.randrange(9))
        found = rising(values)
        assert all(p < q and values[p] < values[q] for p, q in pairwise(found))
        chosen = (part for size in range(len(values) + 1) for part in combinations(values, size))
        assert len(found) == max(len(part) for part in chosen if list(part) == sorted(part))
