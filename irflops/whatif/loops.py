"""Which cuts of a tensor can be the steps of an unrolled loop: at another size there would be more of them, or fewer."""

from __future__ import annotations

from collections.abc import Sequence

from irflops.ir.graph import Op, Shape

Ints = tuple[int, ...]


def loop_axes(cuts: Sequence[Op], whole: Shape | None, parts: Sequence[Shape | None]) -> list[frozenset[int]]:
    """By cut, the axes along which it is one of the steps of a loop: equal pieces that make up the axis, or all of it but one.

    Where a form holds no starts, pieces that are enough of them are taken for a loop: two halves can be one as well.
    """
    found: list[set[int]] = [set() for _ in cuts]
    if whole is None or None in whole:
        return [frozenset() for _ in cuts]
    extents = tuple(extent for extent in whole if extent is not None)
    for axis, extent in enumerate(extents):
        by_size: dict[int, list[int]] = {}
        for number, part in enumerate(parts):
            if part is not None and len(part) == len(extents) and _cuts_only(part, extents, axis):
                by_size.setdefault(part[axis] or 0, []).append(number)
        for size, numbers in by_size.items():
            if size and extent % size == 0 and _makes_up([cuts[number] for number in numbers], axis, size, extent):
                for number in numbers:
                    found[number].add(axis)
    return [frozenset(axes) for axes in found]


def _cuts_only(part: Shape, whole: Ints, axis: int) -> bool:
    return all((was == now) == (at != axis) for at, (was, now) in enumerate(zip(whole, part, strict=True)))


def _makes_up(cuts: Sequence[Op], axis: int, size: int, extent: int) -> bool:
    steps = extent // size
    starts = [_start(cut, axis, extent) for cut in cuts]
    known = {start for start in starts if start is not None}
    if None in starts:
        count = len(cuts)
    elif all(start % size == 0 for start in known):
        count = len(known)
    else:
        return False
    return count >= steps or count == steps - 1 >= 3


def _start(cut: Op, axis: int, extent: int) -> int | None:
    """Where a slice or a narrowing begins, None where the form does not tell."""
    start = cut.attrs.get("start")
    if isinstance(start, tuple):
        start = start[axis] if axis < len(start) else None
    if not isinstance(start, int):
        return None
    return start + extent if start < 0 else start
