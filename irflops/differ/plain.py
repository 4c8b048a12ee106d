"""What edits tell as plain data: shapes as lists, sbp and placements as text, tensors by their names."""

from __future__ import annotations

from typing import Any

from irflops.ir import Op, Operand, TensorType


def shape(type_: TensorType | None) -> list[int | None] | None:
    """A shape as JSON has it."""
    return list(type_.shape) if type_ is not None and type_.shape is not None else None


def dtype(type_: TensorType | None) -> str | None:
    """A dtype by its name."""
    return type_.dtype.value[0] if type_ is not None and type_.dtype is not None else None


def sbp(operand: Operand) -> list[str] | None:
    """One string per dimension of the mesh."""
    return [str(part) for part in operand.nd_sbp] if operand.nd_sbp is not None else None


def value(attr: Any) -> Any:
    """An attribute's value."""
    return [value(part) for part in attr] if isinstance(attr, tuple) else attr


def placement(op: Op) -> dict[str, Any] | None:
    """Device, ranks and mesh."""
    if op.placement is None:
        return None
    return {"device": op.placement.device, "ranks": list(op.placement.ranks), "hierarchy": list(op.placement.hierarchy)}


def change(old: Any, new: Any) -> dict[str, Any]:
    """A value before and after."""
    return {"old": old, "new": new}
