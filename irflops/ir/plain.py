"""Parts of a graph as plain data, as every JSON of irflops writes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from irflops.ir.graph import AttrValue, Op, Operand, TensorType
from irflops.ir.sbp import NdSbp, Sbp


def extents(shape_: Sequence[int | None] | None) -> list[int | None] | None:
    """A shape as JSON has it."""
    return list(shape_) if shape_ is not None else None


def shape(type_: TensorType | None) -> list[int | None] | None:
    """The shape of a type, if there is one."""
    return extents(type_.shape) if type_ is not None else None


def dtype(type_: TensorType | None) -> str | None:
    """A dtype by its name."""
    return type_.dtype.word if type_ is not None and type_.dtype is not None else None


def sbp(operand: Operand) -> list[str] | None:
    """One string per dimension of the mesh."""
    return [str(part) for part in operand.nd_sbp] if operand.nd_sbp is not None else None


def nd_sbp(texts: Sequence[str] | None) -> NdSbp | None:
    """The inverse of `sbp`."""
    return tuple(part for text in texts if (part := Sbp.parse(text)) is not None) if texts is not None else None


def value(attr: Any) -> Any:
    """An attribute's value."""
    return [value(part) for part in attr] if isinstance(attr, tuple) else attr


def finite(value_: Any) -> Any:
    """The same plain data as JSON can hold it: `inf`, `-inf` and `nan` as the strings that protobuf's JSON has for them."""
    if isinstance(value_, float) and not math.isfinite(value_):
        return "NaN" if math.isnan(value_) else "Infinity" if value_ > 0 else "-Infinity"
    if isinstance(value_, dict):
        return {key: finite(inner) for key, inner in value_.items()}
    if isinstance(value_, (list, tuple)):
        return [finite(inner) for inner in value_]
    return value_


def attr_of(value_: Any) -> AttrValue:
    """The inverse of `value`."""
    found: AttrValue = tuple(map(attr_of, value_)) if isinstance(value_, list) else value_
    return found


def placement(op: Op) -> dict[str, Any] | None:
    """Device, ranks and mesh."""
    if op.placement is None:
        return None
    return {"device": op.placement.device, "ranks": list(op.placement.ranks), "hierarchy": list(op.placement.hierarchy)}


def change(old: Any, new: Any) -> dict[str, Any]:
    """A value before and after."""
    return {"old": old, "new": new}
