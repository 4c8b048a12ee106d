"""How much of a tensor one device holds, from its sbp and its placement."""

from __future__ import annotations

import math

from irflops.ir.graph import DType, Operand, Placement, TensorType


def device_bytes(made: Operand, type_: TensorType, placement: Placement) -> int:
    """Bytes that a device holds at most: a split takes the largest part, anything else the whole. 0 where the type is unknown."""
    if type_.shape is None or None in type_.shape:
        return 0
    extents = [extent for extent in type_.shape if extent is not None]
    for sbp, devices in zip(made.nd_sbp or (), placement.hierarchy, strict=False):
        if sbp.kind == "S" and sbp.axis is not None and sbp.axis < len(extents):
            extents[sbp.axis] = -(-extents[sbp.axis] // devices)
    return (type_.dtype or DType.CHAR).nbytes(math.prod(extents))


def copies(made: Operand, placement: Placement) -> int:
    """How many devices hold the same part."""
    return math.prod(devices for sbp, devices in zip(made.nd_sbp or (), placement.hierarchy, strict=False) if sbp.kind == "B")
