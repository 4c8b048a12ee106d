"""Bytes between devices: against a simulation that lays the ids of elements over a mesh and counts what each device lacks, step by step."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest

from irflops.devices.boxing import sent, steps
from irflops.ir.sbp import NdSbp, Sbp

B, P = Sbp("B"), Sbp("P")


def S(axis: int) -> Sbp:  # noqa: N802 - as OneFlow writes it
    return Sbp("S", axis)


def ids(shape: Sequence[int], nd_sbp: NdSbp, mesh: Sequence[int], at: Sequence[int]) -> frozenset[int]:
    """The elements that a device has, whole or as a partial sum."""
    held = np.arange(math.prod(shape)).reshape(shape)
    for sbp, devices, coordinate in zip(nd_sbp, mesh, at, strict=True):
        if sbp.axis is not None:
            held = np.array_split(held, devices, axis=sbp.axis)[coordinate]
    return frozenset(held.flatten().tolist())


def lacking(shape: Sequence[int], before: NdSbp, after: NdSbp, dimension: int, mesh: Sequence[int]) -> int:
    """What one step along a dimension moves: over all devices, the elements, or contributions to their sums, that each lacks."""
    made, wanted = before[dimension], after[dimension]
    if made.kind == "P" and wanted.kind == "B":  # by a reduce-scatter and an all-gather of flat parts, whatever their axis
        parts = [*before[:dimension], *before[dimension + 1 :]]
        others = [*mesh[:dimension], *mesh[dimension + 1 :]]
        groups = itertools.product(*map(range, others))
        return sum(2 * (mesh[dimension] - 1) * len(ids(shape, tuple(parts), others, at)) for at in groups)
    if made.kind == "B" and wanted.kind == "P":
        return 0
    moved = 0
    for at in itertools.product(*map(range, mesh)):
        old, new = ids(shape, before, mesh, at), ids(shape, after, mesh, at)
        if wanted.kind == "P":  # each element has one contribution that is not zero, which stays where it can
            moved += len(old - new)
        elif made.kind == "P":
            moved += len(new) * mesh[dimension] - len(new & old)
        else:
            moved += len(new - old)
    return moved


def least(shape: Sequence[int], made: NdSbp, wanted: NdSbp, mesh: Sequence[int]) -> int:
    """The least that all orders of steps move."""
    changed = [at for at in range(len(mesh)) if made[at] != wanted[at]]
    totals = []
    for order in itertools.permutations(changed):
        now, total = made, 0
        for at in order:
            after = (*now[:at], wanted[at], *now[at + 1 :])
            total += lacking(shape, now, after, at, mesh)
            now = after
        totals.append(total)
    return min(totals)


def every_sbp(axes: int, dimensions: int) -> list[NdSbp]:
    return list(itertools.product((B, P, *map(S, range(axes))), repeat=dimensions))


@pytest.mark.parametrize("mesh", [(2,), (3,), (4,), (2, 2), (2, 3), (3, 2)], ids=str)
@pytest.mark.parametrize("shape", [(12, 12), (7, 5), (2, 9)], ids=str)
def test_steps_move_what_devices_lack(shape: tuple[int, ...], mesh: tuple[int, ...]) -> None:
    every = every_sbp(len(shape), len(mesh))
    for made, wanted in itertools.product(every, every):
        found = steps(shape, made, wanted, mesh)
        assert sum(step.elements for step in found) == least(shape, made, wanted, mesh), (made, wanted)


@pytest.mark.parametrize("shape", [(8, 8), (5, 7)], ids=str)
def test_steps_on_three_dimensions(shape: tuple[int, ...]) -> None:
    every = every_sbp(len(shape), 3)
    for made, wanted in itertools.product(every[::5], every[::3]):
        found = steps(shape, made, wanted, (2, 2, 2))
        assert sum(step.elements for step in found) == least(shape, made, wanted, (2, 2, 2)), (made, wanted)


PAPER = {
    ("S(0)", "S(1)"): (3, 4, "all-to-all"),
    ("S(0)", "B"): (3, 1, "all-gather"),
    ("S(0)", "P"): (0, 1, "slice"),
    ("B", "S(0)"): (0, 1, "slice"),
    ("B", "P"): (0, 1, "slice"),
    ("P", "S(0)"): (3, 1, "reduce-scatter"),
    ("P", "B"): (6, 1, "all-reduce"),
}
"""Table 2 of the OneFlow paper on four devices: the factor of the tensor's size as two numbers, and what it is."""


@pytest.mark.parametrize("pair", PAPER, ids=" -> ".join)
def test_even_splits_are_the_papers_table(pair: tuple[str, str]) -> None:
    made, wanted = (Sbp.parse(word) for word in pair)
    assert made is not None
    assert wanted is not None
    (step,) = steps((64, 16), (made,), (wanted,), (4,))
    times, over, name = PAPER[pair]
    assert (step.elements, step.collective, step.group) == (64 * 16 * times // over, name, 4)


def test_zero_over_tensor_parallelism_moves_half_as_much_again() -> None:
    """8 x 4 on 2 x 2: rows in quarters 0 to 3; wanted are rows 0-3 on devices 0 and 2, rows 4-7 on 1 and 3. Devices 0 and 3 lack one
    quarter of their two, devices 1 and 2 lack both: six quarters of 8 elements.
    """
    (gather,) = steps((8, 4), (S(0), S(0)), (B, S(0)), (2, 2))
    assert (gather.elements, gather.collective) == (48, "all-gather")
    (back,) = steps((8, 4), (B, S(0)), (S(0), S(0)), (2, 2))
    assert (back.elements, back.collective) == (16, "all-to-all")


def test_orders_that_move_least_are_found() -> None:
    """From (P, S(0)) to (S(0), B) on 2 x 3: scattering first leaves a sixth each to gather; gathering first would scatter all of it."""
    found = steps((12, 2), (P, S(1)), (S(0), B), (2, 2))
    assert [step.collective for step in found] == ["reduce-scatter", "all-gather"]
    assert [step.elements for step in found] == [24, 24]


CROSS = {
    ("S(0)", "S(0)"): 1,
    ("S(0)", "B"): 3,
    ("S(0)", "P"): 1,
    ("B", "S(0)"): 1,
    ("B", "B"): 3,
    ("B", "P"): 1,
    ("P", "S(0)"): 2,
    ("P", "B"): 4,
    ("P", "P"): 2,
}
"""The paper's column for disjoint devices, two that have the tensor and three that want it."""


@pytest.mark.parametrize("pair", CROSS, ids=" -> ".join)
def test_sending_to_other_devices_is_the_papers_table(pair: tuple[str, str]) -> None:
    made, wanted = (Sbp.parse(word) for word in pair)
    assert made is not None
    assert wanted is not None
    assert sent(10, (made,), (2,), (wanted,), (3,)) == 10 * CROSS[pair]


def test_large_meshes_take_no_longer() -> None:
    """Even splits are closed forms: a million devices."""
    (step,) = steps((1 << 20, 1 << 10), (S(0), B, B), (B, B, B), (1 << 10, 1 << 5, 1 << 5))
    assert step.elements == ((1 << 10) - 1) * (1 << 30) * (1 << 10)
    (step,) = steps((1 << 20, 1 << 20), (S(0), S(0)), (S(0), S(1)), (1 << 10, 1 << 10))
    assert step.elements == (1 << 40) - (1 << 30)
