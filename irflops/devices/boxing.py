"""What one tensor costs to come from how it is made to how it is wanted: elements moved over all devices.

On the same devices a tensor changes along one dimension of the mesh after another, in the order that moves least; each step is a
collective among the devices that differ in that coordinate alone. What a step moves is counted by what each device lacks: of its new part
what its old part does not have and, of partial sums, each contribution that is not its own. An all-reduce is a reduce-scatter and an
all-gather. For even splits these are the figures of table 2 of the OneFlow paper (arXiv 2110.15032).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from irflops.devices.physical import extent_of
from irflops.ir.sbp import NdSbp, Sbp

MOST_DIMENSIONS = 8
"""Dimensions of a mesh along which one transfer may change; their orders are tried."""
MOST_PIECES = 1 << 16
"""Pieces of one axis that are compared element by element."""


class TooManyPieces(Exception):
    """A mesh is too large for its uneven splits to be compared."""


@dataclass(frozen=True, slots=True)
class Step:
    """A collective in each group of devices that differ in one coordinate."""

    dimension: int
    collective: str
    elements: int
    """Moved over all devices."""
    group: int
    """Devices in each group."""


ALL_REDUCE, REDUCE_SCATTER, ALL_GATHER, ALL_TO_ALL, SLICE = "all-reduce", "reduce-scatter", "all-gather", "all-to-all", "slice"
SEND_RECV, COPY = "send/recv", "copy"
COLLECTIVES = {
    ("P", "B"): ALL_REDUCE,
    ("P", "S"): REDUCE_SCATTER,
    ("S", "B"): ALL_GATHER,
    ("S", "S"): ALL_TO_ALL,
    ("B", "S"): SLICE,
    ("B", "P"): SLICE,
    ("S", "P"): SLICE,
}
"""What a change along one dimension is. A slice moves nothing, unless another dimension splits the same axis within: then parts change
places, as in an all-to-all."""


@lru_cache(maxsize=1 << 12)
def steps(shape: tuple[int, ...], made: NdSbp, wanted: NdSbp, mesh: tuple[int, ...]) -> tuple[Step, ...]:
    """The collectives, in the order that moves least, by which a tensor that is made in one way comes to lie in another on the same mesh.

    Dimensions of one device have none. Errors: TooManyPieces.
    """
    changed = [at for at, (old, new, devices) in enumerate(zip(made, wanted, mesh, strict=True)) if old != new and devices > 1]
    if len(changed) > MOST_DIMENSIONS:
        raise TooManyPieces
    best: dict[int, tuple[int, tuple[Step, ...]]] = {0: (0, ())}
    for done in range(1 << len(changed)):
        moved, path = best[done]
        now = list(made)
        for number, at in enumerate(changed):
            if done >> number & 1:
                now[at] = wanted[at]
        for number, at in enumerate(changed):
            if done >> number & 1:
                continue
            step = _step(shape, tuple(now), at, wanted[at], mesh)
            after = done | 1 << number
            if after not in best or moved + step.elements < best[after][0]:
                best[after] = moved + step.elements, (*path, step)
    return best[(1 << len(changed)) - 1][1]


def _step(shape: tuple[int, ...], before: NdSbp, dimension: int, wanted: Sbp, mesh: tuple[int, ...]) -> Step:
    elements = _moved(shape, before, dimension, wanted, mesh)
    collective = COLLECTIVES[before[dimension].kind, wanted.kind]
    if collective == SLICE and elements:
        collective = ALL_TO_ALL
    return Step(dimension, collective, elements, mesh[dimension])


def _moved(shape: tuple[int, ...], before: NdSbp, dimension: int, wanted: Sbp, mesh: tuple[int, ...]) -> int:
    """Elements that one step moves over all devices."""
    made, devices = before[dimension], mesh[dimension]
    after = (*before[:dimension], wanted, *before[dimension + 1 :])
    copies = math.prod(extent for at, extent in enumerate(mesh) if at != dimension and before[at].kind != "S")
    whole = math.prod(shape) * copies
    if made.kind == "P" and wanted.kind == "B":
        return 2 * (devices - 1) * whole
    within = {sbp.axis for sbp in before[dimension + 1 :] if sbp.axis is not None}
    nested = within & {made.axis, wanted.axis}
    if made.kind == "B" and not nested:
        return 0
    if wanted.kind == "P":
        return whole - _kept(shape, before, after, dimension, mesh) * copies if nested else 0
    if made.kind == "P":
        return devices * whole - (_kept(shape, before, after, dimension, mesh) * copies if nested else whole)
    if not nested and wanted.kind == "B":
        return (devices - 1) * whole
    held = whole * (devices if wanted.kind == "B" else 1)
    return held - _kept(shape, before, after, dimension, mesh) * copies


def _kept(shape: tuple[int, ...], before: NdSbp, after: NdSbp, dimension: int, mesh: tuple[int, ...]) -> int:
    """Elements of each device's new part that its old part has too, over all devices but for copies along other dimensions."""
    axes = {sbp.axis for sbp in (before[dimension], after[dimension]) if sbp.axis is not None}
    rest = math.prod(extent for axis, extent in enumerate(shape) if axis not in axes)
    by_axis = [_kept_of_axis(shape[axis], _splits(before, axis, mesh), _splits(after, axis, mesh), dimension) for axis in axes]
    if len(by_axis) == 1 and len(by_axis[0]) == 1:  # nothing of this axis depends on the coordinate
        return rest * by_axis[0][0] * mesh[dimension]
    total = 0
    for coordinate in range(mesh[dimension]):
        kept = rest
        for counts in by_axis:
            kept *= counts[coordinate if len(counts) > 1 else 0]
        total += kept
    return total


def _splits(nd_sbp: NdSbp, axis: int, mesh: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """The dimensions that split an axis, outer ones first, each with its devices."""
    return tuple((at, mesh[at]) for at, sbp in enumerate(nd_sbp) if sbp.axis == axis)


@lru_cache(maxsize=1 << 12)
def _kept_of_axis(extent: int, before: tuple[tuple[int, int], ...], after: tuple[tuple[int, int], ...], dimension: int) -> tuple[int, ...]:
    """Elements of one axis that a device's old and new part share, by its coordinate along the step's dimension, summed over the others.

    One number stands for all coordinates where it is the same.
    """
    every = dict(sorted({*before, *after}))
    devices = every[dimension]
    pieces = math.prod(every.values())
    innermost = max(every) == dimension
    if extent % pieces == 0 and innermost:
        return (extent // devices,)  # one part is in the other: what is left is the smaller
    if pieces > MOST_PIECES:
        raise TooManyPieces
    counts = [0] * devices
    order = list(every)
    place = order.index(dimension)
    for at in product(*(range(number) for number in every.values())):
        coordinates = dict(zip(order, at, strict=True))
        first, end = _interval(extent, before, coordinates)
        other_first, other_end = _interval(extent, after, coordinates)
        counts[at[place]] += max(0, min(end, other_end) - max(first, other_first))
    return tuple(counts)


def _interval(extent: int, splits: Sequence[tuple[int, int]], coordinates: dict[int, int]) -> tuple[int, int]:
    """Where along an axis a device's part begins and ends."""
    first, length = 0, extent
    for dimension, devices in splits:
        at = coordinates[dimension]
        first += at * (length // devices) + min(at, length % devices)
        length = extent_of(length, devices, at)
    return first, first + length


def sent(elements: int, made: NdSbp, producers: Sequence[int], wanted: NdSbp, consumers: Sequence[int]) -> int:
    """Elements that go from the devices of one mesh to those of another: to each that wants a copy, and each further partial sum."""
    copies = math.prod(extent for sbp, extent in zip(wanted, consumers, strict=True) if sbp.kind == "B")
    sums = math.prod(extent for sbp, extent in zip(made, producers, strict=True) if sbp.kind == "P")
    return elements * copies + elements * (sums - 1)
