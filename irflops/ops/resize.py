"""Attributes that hold logical sizes: which values can take their place where an operand, or the graph's input, gets another size.

OneFlow works out -1 and `x.shape[0]` before it writes a job: a target says 1, not whether the 1 is the batch. A function here gives every
value that could have been meant; shape rules, here and downstream, tell which of them fit.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple, TypeVar

from irflops.ir.graph import AttrValue
from irflops.ops.op_view import OpView
from irflops.ops.rule import Changes, Likely, Resized
from irflops.ops.shapes import normal_axis
from irflops.ops.work import Unknowable

Ints = tuple[int, ...]

MOST_COMBINATIONS = 1024
"""Combinations of what several extents may become that are tried; with more, nothing is known of the result."""

T = TypeVar("T")

_NO_CHANGES = Changes(frozenset(), frozenset())


def _combined(what: str, options: Sequence[Sequence[T]]) -> Iterator[tuple[T, ...]]:
    """One of each, in all combinations. Unknowable where they are too many."""
    if math.prod(map(len, options)) > MOST_COMBINATIONS:
        raise Unknowable(what)
    return itertools.product(*options)


def reshaped(attr: str, operand: str) -> Resized:
    """The target of a reshape."""

    def values(old: OpView, new: OpView, changes: Changes) -> Iterator[Mapping[str, AttrValue]]:
        target = old.ints(attr)
        before, after = old.shape(operand), new.shape(operand)
        given = _filled(target, math.prod(before))
        found = reshape_targets(before, after, given, changes)
        if -1 in target:
            literal = _filled(target, math.prod(after))
            if literal in found or not found:
                yield {}
                return
        for value, constant in found.items():
            because = f"its {attr} holds {given[constant]}, which must become {value[constant]}" if constant is not None else ""
            yield Likely({attr: value}, because) if because else {attr: value}

    return values


def _filled(target: Ints, numel: int) -> Ints:
    rest = math.prod(extent for extent in target if extent != -1)
    return tuple((numel // rest if rest else 0) if extent == -1 else extent for extent in target)


def reshape_targets(before: Ints, after: Ints, target: Ints, changes: Changes) -> dict[Ints, int | None]:
    """What a reshape of `before` to `target` can become where its operand is `after`; with each the axis of a constant that must change.

    Elements keep their order in memory. So each axis that changed lies somewhere in the target: inside one axis, which scales along; or
    spread over several, of which those scale whose extents changed elsewhere in the same way, or any one. Where none changed elsewhere, it
    is the number of windows that goes by the size, and the inner extents are constants, as a window of 7 x 7 is: if the size is no multiple
    of them, then more likely the model does not take it than that a window of 10 x 10 was meant.
    """
    if before == after:
        return dict.fromkeys(_traded(target, changes))
    if len(before) != len(after) or 0 in before or 0 in target:
        return {target: None} if math.prod(after) == math.prod(target) else {}
    if math.prod(before) != math.prod(target):
        return {}
    places = [_places(before, after, target, axis, changes) for axis, extent in enumerate(before) if extent != after[axis]]
    found: dict[Ints, int | None] = {}
    for chosen in _combined("shape", places):
        factors: dict[int, Fraction] = {}
        for axis, factor in (pair for place in chosen for pair in place.factors.items()):
            factors[axis] = factors.get(axis, Fraction(1)) * factor
        extents = {axis: factor * target[axis] for axis, factor in factors.items()}
        if all(extent.denominator == 1 for extent in extents.values()):
            constant = next((place.constant for place in chosen if place.constant is not None), None)
            found.setdefault(tuple(int(extents.get(axis, extent)) for axis, extent in enumerate(target)), constant)
    return found


def _traded(target: Ints, changes: Changes) -> list[Ints]:
    """The target as it is, and with extents that the graph's inputs traded for one another: 4 x 128 may have become 2 x 256."""
    try:
        ways = _known_changes(target, range(len(target)), Fraction(1), changes.roots)
    except Unknowable:
        return [target]
    found = (tuple(int(way.get(axis, 1) * extent) for axis, extent in enumerate(target)) for way in ways)
    return list(dict.fromkeys([target, *found]))


class _Place(NamedTuple):
    """Where in a target a changed axis of the operand can lie."""

    factors: Mapping[int, Fraction]
    """By axis of the target."""
    constant: int | None = None
    """The axis of the target that changes though nothing else tells so, since the size is no multiple of its extent."""


def _reach(shape: Ints) -> list[tuple[int, int]]:
    """By axis, the elements below it and with it: the range of strides that it covers."""
    reach, inner = [], 1
    for extent in reversed(shape):
        reach.append((inner, inner * extent))
        inner *= extent
    return reach[::-1]


def _places(before: Ints, after: Ints, target: Ints, axis: int, changes: Changes) -> list[_Place]:
    """Where in the target a changed axis of the operand can lie."""
    ratio = Fraction(after[axis], before[axis])
    own, reach = _reach(before), _reach(target)
    inner, outer = own[axis]
    if before[axis] == 1:
        ones = [k for k, extent in enumerate(target) if extent == 1 and reach[k][0] == inner]
        own_ones = [k for k, extent in enumerate(before) if extent == 1 and own[k][0] == inner]
        if len(ones) >= len(own_ones):
            return [_Place({ones[own_ones.index(axis)]: ratio})]
        beside = [k for k, extent in enumerate(target) if extent > 1 and reach[k][0] <= inner <= reach[k][1]]
        return [_Place({k: ratio}) for k in ones or beside]
    holders = [k for k, (low, high) in enumerate(reach) if low <= inner and outer <= high and inner % low == 0 and high % outer == 0]
    if holders:
        # The batch may have been 1 and have gone in, and may come out again as an axis of 1 beside the rest.
        ones_inside = [k for k, extent in enumerate(target) if extent == 1 and reach[k][0] in (inner, outer)]
        ones = ones_inside if any(old == 1 and new == ratio for old, new in changes.roots) else []
        both = _known_changes(target, [*ones_inside, *holders[:1]], ratio, changes.roots) if ones_inside else []
        return [_Place({k: ratio}) for k in holders[:1] + ones] + [_Place(factors) for factors in both if len(factors) > 1]
    return _spread(target, reach, (inner, outer), ratio, changes)


def _spread(target: Ints, reach: Sequence[tuple[int, int]], own: tuple[int, int], ratio: Fraction, changes: Changes) -> list[_Place]:
    """Where a changed axis can lie that several target axes share."""
    inner, outer = own
    shared = [k for k, (low, high) in enumerate(reach) if (low < outer and high > inner if target[k] > 1 else inner <= low <= outer)]
    for pairs in (changes.roots, changes.roots | changes.seen):
        found = _known_changes(target, shared, ratio, pairs)
        if found:
            break
    else:
        found = []
    places = [_Place(factors) for factors in found]
    wide = [k for k in shared if target[k] > 1]
    if not any(min(factors) <= wide[0] for factors in found):
        told = bool(found) or (ratio * target[wide[0]]).denominator == 1
        places += [_Place({k: ratio}, None if told or k == wide[0] else k) for k in wide]
    return places


def _known_changes(target: Ints, shared: Sequence[int], ratio: Fraction, pairs: frozenset[tuple[int, int]]) -> list[dict[int, Fraction]]:
    """Every way in which extents that changed elsewhere make the elements fit."""
    options = [[Fraction(1), *sorted(Fraction(new, old) for old, new in pairs if old == target[k] != 0)] for k in shared]
    if math.prod(map(len, options)) > MOST_COMBINATIONS:
        raise Unknowable("shape")
    ways: list[tuple[dict[int, Fraction], Fraction]] = [({}, Fraction(1))]
    for k, factors in zip(shared, options, strict=True):
        ways = [({**way, k: factor} if factor != 1 else way, made * factor) for way, made in ways for factor in factors]
    return [way for way, made in ways if made == ratio]


def expanded(old: OpView, new: OpView, changes: Changes) -> Iterator[Mapping[str, AttrValue]]:
    """The target of an expansion: an axis that the operand fills follows it, one that is repeated may have been the batch."""
    attr = "logical_expand_shape" if "logical_expand_shape" in old.attrs else "expand_shape"
    target, before, after = old.ints(attr), old.shape("in"), new.shape("in")
    lead = len(target) - len(before)
    if lead < 0 or len(after) != len(before):
        yield {}
        return
    options: list[list[int]] = []
    for extent, have, got in zip(target, (1,) * lead + before, (1,) * lead + after, strict=True):
        if extent == -1 or (have == got != 1):
            options.append([extent])
        elif have != got and have == extent:
            options.append([got])
        else:
            options.append([kept for kept in _kept_or_changed(extent, changes) if got in (1, kept)])
    yield from ({attr: value} for value in _combined(attr, options))


def _kept_or_changed(extent: int, changes: Changes) -> list[int]:
    """The extent itself and what became of equal ones: of the graph's inputs, or else of tensors on the way."""
    for pairs in (changes.roots, changes.seen):
        others = sorted(new for old, new in pairs if old == extent)
        if others:
            return [extent, *others]
    return [extent]


def baked(*attrs: str) -> Resized:
    """Attributes that hold extents, one or a list: each is what it was, or changes like the equal extents of the graph's inputs."""

    def values(old: OpView, _new: OpView, changes: Changes) -> Iterator[Mapping[str, AttrValue]]:
        names = [name for name in attrs if old.attrs.get(name) not in (None, ())]
        options: list[list[AttrValue]] = []
        for name in names:
            value = old.attrs[name]
            if isinstance(value, tuple):
                each = [_kept_or_changed(extent, changes) for extent in old.ints(name)]
                options.append(list(_combined(name, each)))
            else:
                options.append(list(_kept_or_changed(old.integer(name), changes)))
        yield from (dict(zip(names, chosen, strict=True)) for chosen in _combined(", ".join(names), options))

    return values


def like_operand(attr: str, operand: str) -> Resized:
    """A result shape of its own that an operand fills but for some axes, aligned from the right: those it fills follow it."""

    def values(old: OpView, new: OpView, changes: Changes) -> Iterator[Mapping[str, AttrValue]]:
        shape, before = old.ints(attr), old.shape(operand)
        after = new.shape(operand, rank=len(before))
        lead = len(shape) - len(before)
        options = []
        for axis, extent in enumerate(shape):
            at = axis - lead
            follows = at >= 0 and before[at] == extent
            options.append([after[at]] if follows else _kept_or_changed(extent, changes))
        yield from ({attr: value} for value in _combined(attr, options))

    return values


def unpooled(old: OpView, new: OpView, changes: Changes) -> Iterable[Mapping[str, AttrValue]]:
    """The size that an unpooling was given, if it was given one."""
    return like_operand("output_size", "x")(old, new, changes) if old.attrs.get("has_output_size") else ({},)


def cuts(before: int, after: int, start: int, stop: int, step: int) -> list[tuple[int, int]]:
    """Starts and stops that a cut of an axis can have meant, where the axis has another extent.

    A cut to the very end goes on to the end; any other counts from the start, or from the end, or takes its share.
    """
    grown = after - before
    found = [(start, stop)]
    if stop == before:
        found = [(start, after)]
        if start:
            found.append((start + grown, after))
    elif grown:
        found += [(start, stop + grown), (start + grown, stop + grown)]
        if before and start * after % before == 0 and stop * after % before == 0:
            found.append((start * after // before, stop * after // before))
    return [(first, last) for first, last in dict.fromkeys(found) if 0 <= first <= last <= after or step < 0]


def _cuts_of(before: int, after: int, start: int, stop: int, step: int, changes: Changes) -> list[tuple[int, int]]:
    """The same; or it took as much of the axis as the graph's inputs have, and goes by what became of that."""
    found = cuts(before, after, start, stop, step)
    if stop != before and step == 1:
        followed = ((start, start + new) for old, new in sorted(changes.roots) if old == stop - start and 0 <= start <= after - new)
        found = list(dict.fromkeys([*found, *followed]))
    return found


def _cuts_along(extent: int, start: int, stop: int, step: int, changes: Changes) -> list[tuple[int, int]]:
    """Starts and stops that a cut of an axis can have meant that did not change, of a table such as one of positions.

    The cut is as it was, or it took as much of the table as the graph's inputs have, and goes by what became of that.
    """
    lengths = [stop - start] if step != 1 or not 0 <= start < stop <= extent else _kept_or_changed(stop - start, changes)
    return [(start, start + length) for length in lengths if length == stop - start or start + length <= extent]


def sliced_from(operand: str) -> Resized:
    """Start and stop of a slice of an operand, on the axes that changed."""

    def values(old: OpView, new: OpView, changes: Changes) -> Iterator[Mapping[str, AttrValue]]:
        if not all(name in old.attrs for name in ("start", "stop", "step")):
            yield {}
            return
        before, after = old.shape(operand), new.shape(operand)
        start, stop, step = old.ints("start"), old.ints("stop"), old.ints("step")
        if not len(before) == len(after) == len(start) == len(stop) == len(step):
            yield {}
            return
        each = [
            _cuts_of(was, now, first, last, by, changes)
            if was != now
            else _cuts_along(was, first, last, by, changes if before == after else _NO_CHANGES)
            for was, now, first, last, by in zip(before, after, start, stop, step, strict=True)
        ]
        for chosen in _combined("start", each):
            yield {"start": tuple(first for first, _ in chosen), "stop": tuple(last for _, last in chosen)}

    return values


sliced = sliced_from("x")


def narrowed(old: OpView, new: OpView, changes: Changes) -> Iterator[Mapping[str, AttrValue]]:
    """Start and length of a narrowed axis, if it is that one that changed, or of a table that did not."""
    before, after = old.shape("in"), new.shape("in")
    axis, start, length = normal_axis(old.integer("dim"), len(before)), old.integer("start"), old.integer("length")
    if before == after and 0 <= start < start + length <= before[axis]:
        yield from (
            {"start": first, "length": last - first} for first, last in _cuts_along(before[axis], start, start + length, 1, changes)
        )
        return
    if len(before) != len(after) or before[axis] == after[axis]:
        yield {}
        return
    length = min(length, before[axis] - start)
    for first, last in _cuts_of(before[axis], after[axis], start, start + length, 1, changes):
        yield {"start": first, "length": last - first}


CUTS: tuple[Resized, ...] = (sliced, narrowed)
"""Of ops that take a part of one axis: parts that make up the whole axis must still do so."""


def slice_undone(old: OpView, new: OpView, changes: Changes) -> Iterator[Mapping[str, AttrValue]]:
    """The shape from before a slice: an axis that was taken whole follows dy, with its stop; so does the stop of any other cut."""
    for value in like_operand("like_shape", "dy")(old, new, changes):
        shape, before, after = value["like_shape"], old.shape("dy"), new.shape("dy")
        if "start" not in old.attrs or "stop" not in old.attrs or not isinstance(shape, tuple):
            yield value
            continue
        start, stop, whole = old.ints("start"), old.ints("stop"), old.ints("like_shape")
        if not len(start) == len(stop) == len(shape) == len(before) == len(after):
            yield value
            continue
        stops = []
        for first, last, was, now, short, long in zip(start, stop, whole, shape, before, after, strict=True):
            follows = last - first == short
            stops.append(now if first == 0 and last == was else first + long if follows else last)
        yield {**value, "stop": tuple(stops)}


def fixed(old: OpView, new: OpView, _changes: Changes) -> Iterable[Mapping[str, AttrValue]]:
    """Sizes and strides that describe the storage of one operand: for another there is no value to take."""
    same = all(old.inputs(arg) == new.inputs(arg) for arg in old.input_args)
    return ({},) if same else ()
