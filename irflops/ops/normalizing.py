"""What layer, group, batch and root mean square normalization share: statistics, and the counts of the textbook loop."""

from __future__ import annotations

import math
from collections.abc import Mapping

from irflops.ir.graph import DType, TensorType
from irflops.ops.costs import WorkRule
from irflops.ops.op_view import OpView
from irflops.ops.shapes import Inferred, ShapeRule
from irflops.ops.work import Work

_HALVES = (DType.FLOAT16, DType.BFLOAT16)


def statistics_type(shape: tuple[int, ...], dtype: DType | None) -> TensorType:
    """Type of means and inverse deviations: at least single precision, as OneFlow keeps them."""
    return TensorType(shape, DType.FLOAT32 if dtype in _HALVES else dtype)


def _present(op: OpView, *args: str) -> int:
    """How many of these operands there are."""
    return sum(1 for arg in args if op.inputs(arg))


def with_statistics(op: OpView, statistics: tuple[int, ...], *results: str) -> Inferred:
    """The data's type for y, and the named statistics."""
    x = op.input("x")
    return {"y": x, **dict.fromkeys(results, statistics_type(statistics, x.dtype))}


def rows_norm_shape(*statistics: str) -> ShapeRule:
    """A shape rule: the named statistics per row, all rows in one axis."""

    def shape(op: OpView) -> Inferred:
        return with_statistics(op, (math.prod(op.shape("x")[:-1]),), *statistics)

    return shape


def operations(op: OpView, groups: int, *, centred: bool) -> int:
    """Arithmetic of a normalization in that many groups, with the scale, shift and shortcut that are present."""
    shortcut = 2 * _present(op, "skip") + _present(op, "bias")
    per_element = (5 if centred else 3) + _present(op, "gamma", "weight", "beta") + shortcut
    return per_element * op.numel("x") + groups


def grad_operations(op: OpView, *, centred: bool) -> int:
    """Arithmetic of the gradient for the data, from the statistics of the forward op."""
    return ((9 if centred else 6) + _present(op, "gamma", "weight", "_add_to_output")) * op.numel("x")


def norm_cost(*, statistic: str, centred: bool) -> WorkRule:
    """A cost rule: normalization in as many groups as the named statistic has elements."""

    def cost(op: OpView) -> Work:
        groups = op.numel(statistic)
        return Work(arithmetic=operations(op, groups, centred=centred), transcendentals=groups)

    return cost


def norm_grad_cost(*, centred: bool) -> WorkRule:
    """A cost rule: gradient for the data, from the statistics of the forward op."""

    def cost(op: OpView) -> Work:
        return Work(arithmetic=grad_operations(op, centred=centred))

    return cost


def param_operations(op: OpView, per_element: Mapping[str, int]) -> int:
    n = op.numel("dy")
    return sum(max(0, times * n - op.numel(arg)) for arg, times in per_element.items() if arg in op.output_args)


def param_grad_cost(**per_element: int) -> WorkRule:
    """A cost rule: for each of the named results so many operations per element of dy, the sum over the groups included."""

    def cost(op: OpView) -> Work:
        return Work(arithmetic=param_operations(op, per_element))

    return cost
