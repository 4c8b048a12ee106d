"""Attributes that a printed graph lacks: what they can have been, by the sizes of operands and results.

A function here gives sets of values; those that do not give the captured results are weeded out where they are used. Of sets that give the
same whatever the operands become, the first is enough: each function gives one of a kind, so that their number goes by how many of the
axes changed, and by the extents not at all.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache

from irflops.ir.graph import AttrValue
from irflops.ops.op_view import OpView
from irflops.ops.rule import Readings
from irflops.ops.work import MissingAttribute

Assignments = Iterator[Mapping[str, AttrValue]]
Ints = tuple[int, ...]

MOST_KINDS = 128
"""Sets of values of one operator that are told apart; with more, nothing is known of it."""


def result_shape(attr: str, result: str = "out") -> Readings:
    """An attribute that holds the extents of a result."""

    def readings(old: OpView, _new: OpView) -> Assignments:
        yield {attr: result_of(old, result)}

    return readings


def result_extent(attr: str, result: str = "out", axis: int = -1) -> Readings:
    """An attribute that holds one extent of a result."""

    def readings(old: OpView, _new: OpView) -> Assignments:
        shape = result_of(old, result)
        if shape:
            yield {attr: shape[axis]}

    return readings


def inner_extents(attr: str, result: str = "out", operand: str = "in") -> Readings:
    """An attribute that holds the extents of a result behind those of an operand."""

    def readings(old: OpView, _new: OpView) -> Assignments:
        yield {attr: result_of(old, result)[len(old.shape(operand)) :]}

    return readings


def rows_and_columns(old: OpView, _new: OpView) -> Assignments:
    """The extents of a matrix that is made of nothing."""
    rows, columns = result_of(old, "out", rank=2)
    yield {"rows": rows, "cols": columns}


def ranges(old: OpView, _new: OpView) -> Assignments:
    """Numbers from 0 upwards, one apart, as many as there are."""
    (steps,) = result_of(old, "out", rank=1)
    yield {"integer_start": 0, "integer_limit": steps, "integer_delta": 1, "float_start": 0, "float_limit": steps, "float_delta": 1}


def spatial_sizes(old: OpView, _new: OpView) -> Assignments:
    """The extents that a pooling to a given size, or an interpolation, gives."""
    yield {"output_size": result_of(old, "y")[2:]}


def flags(*names: str) -> Readings:
    """Attributes that are true or false."""

    def readings(_old: OpView, _new: OpView) -> Assignments:
        for values in itertools.product((False, True), repeat=len(names)):
            yield dict(zip(names, values, strict=True))

    return readings


def axis_of(attr: str, operand: str, *, more: int = 0) -> Readings:
    """An attribute that names an axis of an operand's first tensor, or of a shape with `more` axes."""

    def readings(old: OpView, _new: OpView) -> Assignments:
        shape = old.inputs(operand)[0].shape if old.inputs(operand) else None
        yield from ({attr: axis} for axis in range(len(shape or ()) + more))

    return readings


def reduced(axes: str, keep: str) -> Readings:
    """The axes of a reduction, and whether they stay as 1."""

    def readings(old: OpView, new: OpView) -> Assignments:
        before, out = old.shape(old.first_input), result_of(old, old.first_output)
        after = new.shape(new.first_input, rank=len(before))
        if len(out) < len(before):
            kept = _kept(axes, before, after, out, lambda _axis: True)
            for gone in sorted(_others(stay, len(before)) for stay in kept):
                yield {axes: gone, keep: False}
            return
        reduced = [axis for axis, extent in enumerate(before) if out[axis] != extent]
        # An axis of 1 that stays one may have been summed over: where it grows that matters.
        either = [axis for axis, extent in enumerate(before) if extent == out[axis] == 1 != after[axis]]
        _no_more_than_can_be_told_apart(axes, 2 ** len(either))
        for size in range(len(either) + 1):
            for more in itertools.combinations(either, size):
                yield {axes: tuple(sorted((*reduced, *more))), keep: True}

    return readings


def _kept(what: str, before: Ints, after: Ints, out: Ints, goes: Callable[[int], bool]) -> list[Ints]:
    """Axes that stay, so that their extents are the result's: the last that can, for each way in which these extents can change.

    `goes` tells which axes may go. MissingAttribute where they stay in too many ways.
    """

    @cache
    def fits(axes: int, extents: int) -> bool:
        """Whether so many axes from the front can leave so many extents of the result."""
        if not axes or axes < extents:
            return axes == extents
        return (extents > 0 and before[axes - 1] == out[extents - 1] and fits(axes - 1, extents - 1)) or (
            goes(axes - 1) and fits(axes - 1, extents)
        )

    found: list[Ints] = []
    open_ends: list[tuple[int, Ints]] = [(len(before), ())] if fits(len(before), len(out)) else []
    while open_ends:
        end, stay = open_ends.pop()
        left = len(out) - len(stay)
        if not left:
            found.append(stay)
            _no_more_than_can_be_told_apart(what, len(found))
            continue
        last: dict[int, int] = {}
        for axis in range(end - 1, -1, -1):
            if before[axis] == out[left - 1] and fits(axis, left - 1):
                last.setdefault(after[axis], axis)
            if not goes(axis):
                break
        open_ends += [(axis, (axis, *stay)) for axis in last.values()]
    return found


def _no_more_than_can_be_told_apart(what: str, kinds: int) -> None:
    if kinds > MOST_KINDS:
        raise MissingAttribute(what)


def _others(axes: Ints, rank: int) -> Ints:
    return tuple(axis for axis in range(rank) if axis not in axes)


def permutations(old: OpView, new: OpView) -> Assignments:
    """The orders of axes that give the result; of axes that change alike, in their own order."""
    before, out = old.shape("input"), result_of(old, "output")
    after = new.shape("input", rank=len(before))
    if sorted(before) != sorted(out):
        return
    extents, changes = Counter(before), Counter(zip(before, after, strict=True))
    kinds = math.prod(map(math.factorial, extents.values())) // math.prod(map(math.factorial, changes.values()))
    _no_more_than_can_be_told_apart("perm", kinds)

    def orders(left: Ints, wanted: Ints) -> Iterator[Ints]:
        if not wanted:
            yield ()
            return
        first: dict[int, int] = {}
        for axis in left:
            if before[axis] == wanted[0]:
                first.setdefault(after[axis], axis)
        for axis in first.values():
            yield from ((axis, *order) for order in orders(tuple(other for other in left if other != axis), wanted[1:]))

    yield from ({"perm": order} for order in orders(tuple(range(len(before))), out))


def runs_of_axes(old: OpView, _new: OpView) -> Assignments:
    """The axes that a flatten makes one; all of them together are as many more than one as the result lacks."""
    rank, left = max(1, len(old.shape("in"))), len(result_of(old, "out"))
    starts = range(left) if left < rank else range(1)
    yield from ({"start_dim": start, "end_dim": start + rank - left} for start in starts if left <= rank)


def axes_of_one(old: OpView, new: OpView) -> Assignments:
    """The axes of extent 1 that a squeeze takes away, which must be 1 still if that is possible."""
    before, out = old.shape("in"), result_of(old, "out")
    after = new.shape("in", rank=len(before))
    kept = _kept("axes", before, after, out, lambda axis: before[axis] == after[axis] == 1)
    kept = kept or _kept("axes", before, after, out, lambda axis: before[axis] == 1)
    yield from ({"axes": gone} for gone in sorted(_others(stay, len(before)) for stay in kept))


def narrowings(old: OpView, _new: OpView) -> Assignments:
    """Axis, start and length of a narrowing, from the front: what a cut of an axis can become does not go by where it is."""
    before = old.shape("in")
    out = result_of(old, "out", rank=len(before))
    if any(extent > before[axis] for axis, extent in enumerate(out)):
        return
    for axis in [axis for axis, extent in enumerate(out) if extent != before[axis]] or range(len(before))[:1]:
        yield {"dim": axis, "start": 0, "length": out[axis]}


def slices(old: OpView, new: OpView) -> Assignments:
    """Start, stop and step by axis; only an axis that changes needs all that can differ."""
    before = old.shape("x")
    after, out = new.shape("x", rank=len(before)), result_of(old, "y", rank=len(before))
    each = [_slices(*extents) for extents in zip(before, after, out, strict=True)]
    _no_more_than_can_be_told_apart("start", math.prod(map(len, each)))
    for chosen in itertools.product(*each):
        yield {"start": tuple(c[0] for c in chosen), "stop": tuple(c[1] for c in chosen), "step": tuple(c[2] for c in chosen)}


def _slices(before: int, after: int, kept: int) -> list[tuple[int, int, int]]:
    """Start, stop and step of slices that keep so many entries of an axis, one of a kind: from the front, as a narrowing, or by a step."""
    if kept > before:
        return []
    if before in (kept, after):
        return [(0, kept, 1)]
    return [(0, kept, 1), *((start, before, step) for step, start in sorted(_stepped(before, after, kept)))]


def _stepped(before: int, after: int, kept: int) -> Iterator[tuple[int, int]]:
    """Steps above 1, each with a start, by which so many entries of an axis are reached: the least for each number reached now."""
    if not kept:
        return
    least, most = max(2, -(-(before + 1) // (kept + 1))), before if kept == 1 else (before - 1) // (kept - 1)
    if most < least:
        return
    counts: Sequence[int] = range(max(0, after - most + 1) // most, -(-after // least) + 1)
    if len(counts) > MOST_KINDS:
        if most - least >= MOST_KINDS:
            raise MissingAttribute("step")
        starts = {step: (max(0, before - kept * step), min(step, before - (kept - 1) * step) - 1) for step in range(least, most + 1)}
        counts = sorted({-((start - after) // step) for step, ends in starts.items() for start in ends if ends[0] <= ends[1]})
    for count in counts:
        found = _least_step(before, after, kept, count)
        if found is not None:
            yield found


def _least_step(before: int, after: int, kept: int, count: int) -> tuple[int, int] | None:
    """The least step above 1, and start, of a slice to the end that keeps so many of `before` entries, and `count` of `after`.

    A start below the step is sought with `kept - 1 < (before - start) / step <= kept`, and the same of `after` and `count`: a pair of
    bounds, as a + b * step, each of which must not pass the other.
    """
    lower = ((0, 0), (before, -kept), (after, -count))
    upper = ((-1, 1), (before - 1, 1 - kept), (after - 1, 1 - count), (after, 0))
    least, most = 2, before
    for (low, by), (high, also) in itertools.product(lower, upper):
        slope, room = by - also, high - low
        if slope > 0:
            most = min(most, room // slope)
        elif slope:
            least = max(least, -(room // -slope))
        elif room < 0:
            return None
    return (least, max(low + by * least for low, by in lower)) if least <= most else None


def parts(attr: str, whole: str, part: str) -> Readings:
    """The number of micro-batches, by the first extents of the whole and of a part."""

    def readings(old: OpView, _new: OpView) -> Assignments:
        many, few = old.shape(whole) or (1,), old.shape(part) or (1,)
        if few[0]:
            yield {attr: many[0] // few[0]}

    return readings


def padded(old: OpView, _new: OpView) -> Assignments:
    """Padding by axis: how much in all is what the sizes tell, and all that matters."""
    wide = result_of(old, "y") if old.inputs("x") else old.shape("dy")
    narrow = old.shape("x", rank=len(wide)) if old.inputs("x") else result_of(old, "dx", rank=len(wide))
    yield {"padding_before": tuple(n - m for n, m in zip(wide, narrow, strict=True)), "padding_after": (0,) * len(wide)}


def spatially_padded(narrow: str, wide: str) -> Readings:
    """Padding in pairs, the last axis first: again as much in all as the sizes tell."""

    def readings(old: OpView, _new: OpView) -> Assignments:
        inner, outer = (old.shape(arg) if old.inputs(arg) else result_of(old, arg) for arg in (narrow, wide))
        if len(inner) != len(outer):
            raise ValueError(f"{narrow} {inner} and {wide} {outer} have different ranks")
        yield {"padding": tuple(n for a, b in zip(inner[:1:-1], outer[:1:-1], strict=True) for n in (b - a, 0))}

    return readings


def segments(old: OpView, _new: OpView) -> Assignments:
    """Axis and number of segments of a sum by segments."""
    out = result_of(old, "out")
    yield from ({"axis": axis, "num_segments": count} for axis, count in zip(range(len(old.shape("data"))), out, strict=False))


def result_of(op: OpView, arg: str, *, rank: int | None = None) -> tuple[int, ...]:
    """The shape of a result; MissingAttribute where not even that is known, so that nothing can be told."""
    shape = op.output(arg).shape if op.outputs(arg) else None
    if shape is None or None in shape:
        raise MissingAttribute(arg)
    return op.shape(arg, rank=rank)
