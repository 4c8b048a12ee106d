"""How batch B, length M, heads H and head size K lie in an operand of attention, as OneFlow writes it: `BM(H3K)`, `MB(HK)`, `BHMK`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from irflops.ops.op_view import OpView
from irflops.ops.work import MissingShape

_PART = re.compile(r"\([^)]*\)|\w")


def extents_of(op: OpView, arg: str, known: Mapping[str, int]) -> dict[str, int]:
    """The extents of an operand by letter, by the attribute `<arg>_layout`; `known` has the head size or the heads, which (HK) leaves open.

    Of heads of two or three (`H3K`) the extents are those of one. MissingShape where sequences of several lengths share an axis; ValueError
    where the operand does not lie so.
    """
    shape, layout = op.shape(arg), str(op.attr(f"{arg}_layout"))
    parts = _PART.findall(layout)
    if "(BM)" in parts:
        raise MissingShape(f"the lengths of the sequences packed in {arg}")
    if len(parts) != len(shape):
        raise ValueError(f"{arg} {shape} is not laid out as {layout}")
    extents = dict(known)
    for part, extent in zip(parts, shape, strict=True):
        if len(part) == 1:
            extents[part] = extent
            continue
        packed = extent // max(int(re.sub(r"\D", "", part) or 1), 1)
        given, sought = ("K", "H") if "K" in known and "H" not in known else ("H", "K")
        if given not in extents:
            raise ValueError(f"{arg}_layout {layout} needs {given} to be known")
        extents[sought] = packed // max(extents[given], 1)
    if not set("BMHK") <= extents.keys():
        raise ValueError(f"{arg}_layout {layout} does not tell batch B, length M, heads H and head size K")
    return extents


def shape_in(layout: str, extents: Mapping[str, int]) -> tuple[int, ...]:
    """The shape of a tensor that lies so; ValueError where OneFlow has no such layout."""
    parts = _PART.findall(layout)
    if "".join(parts) != layout or sorted(re.sub(r"[()\d]", "", layout)) != sorted("BMHK") or "(BM)" in parts:
        raise ValueError(f"no result is laid out as {layout!r}")
    return tuple(
        math.prod([extents[letter] for letter in part if letter in extents] + [int(n) for n in re.findall(r"\d", part)]) for part in parts
    )
