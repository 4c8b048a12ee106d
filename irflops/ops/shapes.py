"""Shape rules and what they have in common: broadcasting, axes, results like an operand."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from irflops.ir.graph import TensorType
from irflops.ops.op_view import OpView

Inferred = Mapping[str, TensorType | tuple[TensorType, ...]]
"""Types of the results, by argument name; a tuple for an argument of several tensors."""

ShapeRule = Callable[[OpView], Inferred]
"""Types of the results from operands and attributes. Raises `Unknowable`, or ValueError naming both sides where the operands cannot go
together. It may ask which results are present (`output_args`, `len(op.outputs(arg))`), never their types."""


def no_result_shape(_op: OpView) -> Inferred:
    """A shape rule: the op updates operands in place and gives out nothing."""
    return {}


def present(op: OpView, results: Inferred) -> Inferred:
    """Of all the results that an op type has, those that this op gives."""
    return {arg: types for arg, types in results.items() if arg in op.output_args}


def results_like(arg: str, *results: str) -> ShapeRule:
    """A shape rule: the named results that are present have the type of an operand."""

    def shape(op: OpView) -> Inferred:
        return present(op, dict.fromkeys(results, op.input(arg)))

    return shape


def shaped_like(shape_of: str, dtype_of: str, result: str = "out") -> ShapeRule:
    """A shape rule: the shape of one operand, the dtype of another."""

    def shape(op: OpView) -> Inferred:
        return {result: TensorType(op.input(shape_of).shape, op.input(dtype_of).dtype)}

    return shape


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that operands broadcast to, axes aligned from the right; ValueError names the shapes that do not fit."""
    rank = max((len(s) for s in shapes), default=0)
    out = [1] * rank
    for shape in shapes:
        for axis, extent in enumerate(shape, rank - len(shape)):
            if extent != 1 and out[axis] not in (1, extent):
                raise ValueError(f"shapes {' and '.join(map(str, shapes))} do not broadcast")
            if extent != 1:
                out[axis] = extent
    return tuple(out)


def normal_axis(axis: int, rank: int) -> int:
    """A non-negative axis; ValueError if it is out of range."""
    if not -max(rank, 1) <= axis < max(rank, 1):
        raise ValueError(f"axis {axis} is out of range for {rank} dimensions")
    return axis % max(rank, 1)
