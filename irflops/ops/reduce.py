"""Reductions, cumulative sums and products, sums of squares, and their gradients."""

from __future__ import annotations

import math
from collections.abc import Callable

from irflops.ir.certainty import Certainty
from irflops.ir.graph import DType, TensorType
from irflops.ops.costs import WorkRule, fold
from irflops.ops.op_view import OpView, known
from irflops.ops.readings import reduced
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, ShapeRule, normal_axis, results_like
from irflops.ops.temporary import cub_buffer, reduction_buffer, sum_like_buffer
from irflops.ops.traffic import moves, touch_all
from irflops.ops.work import Work


def reduced_shape(shape: tuple[int, ...], axes: tuple[int, ...], *, keep: bool) -> tuple[int, ...]:
    """The shape with the axes dropped, or of extent 1 where they are kept."""
    dropped = {normal_axis(axis, len(shape)) for axis in axes}
    return tuple(1 if i in dropped else extent for i, extent in enumerate(shape) if keep or i not in dropped)


def _reduction_shape(axes: str, keep: str, dtype: DType | None = None) -> ShapeRule:
    """A shape rule by the names of the two attributes; `dtype` where it is not the operand's."""

    def shape(op: OpView) -> Inferred:
        operand, result = op.first_input, op.first_output
        out = reduced_shape(op.shape(operand), op.ints(axes), keep=op.flag(keep))
        return {result: TensorType(out, dtype or op.input(operand).dtype)}

    return shape


def _fold_cost(*, before: int = 0) -> WorkRule:
    """A cost rule: n - 1 operations for n to 1, and so many per element before."""

    def cost(op: OpView) -> Work:
        elements = op.numel(op.first_input)
        return Work(arithmetic=before * elements + fold(elements, op.numel(op.first_output)))

    return cost


def sum_like_shape(op: OpView) -> Inferred:
    """`like`'s shape in `x`'s dtype."""
    return {"y": TensorType(op.input("like").shape, op.input("x").dtype)}


def var_cost(op: OpView) -> Work:
    """For n to 1: n - 1 additions, a division, n subtractions, n squares, n - 1 additions, a division: 4n."""
    return Work(arithmetic=4 * op.numel("input"))


def argmax_shape(op: OpView) -> Inferred:
    """All axes but the last; positions are int64."""
    return {"out": TensorType(op.shape("in", at_least=1)[:-1], DType.INT64)}


def _along_axis(arg: str, count: Callable[[int, int], int]) -> WorkRule:
    """A cost rule by the extent of the axis `dim` and the number of lines along it; where the axis is not known, it need not matter."""

    def cost(op: OpView) -> Work:
        shape = op.shape(arg)
        elements = math.prod(shape)
        axes = range(len(shape))
        if "dim" in op.attrs and shape:
            axes = range(at := normal_axis(op.integer("dim"), len(shape)), at + 1)
        counts = {count(shape[axis], elements // shape[axis]) for axis in axes if elements} or {0}
        if len(counts) > 1:
            op.attr("dim")
        return Work(arithmetic=counts.pop())

    return cost


def _numel_of_all(op: OpView) -> int:
    return sum(known(tensor.numel, "x") for tensor in op.inputs("x"))


def square_sum_cost(op: OpView) -> Work:
    """A square per element, one addition less than that, and one root where the op takes it."""
    elements = _numel_of_all(op)
    return Work(arithmetic=elements + fold(elements, 1), transcendentals=int(op.type == "sqrt_square_sum"))


def _first_as(shape: tuple[int, ...]) -> ShapeRule:
    """A shape rule: `y` is of a fixed shape, in the first operand's dtype."""

    def rule(op: OpView) -> Inferred:
        return {"y": TensorType(shape, op.first("x").dtype)}

    return rule


def _reduction(op_types: tuple[str, ...], summary: str, *examples: Example, dtype: DType | None = None) -> OpRule:
    return OpRule(
        op_types=op_types,
        temporary=reduction_buffer,
        summary=summary,
        formula="flops = numel(input_tensor) - numel(output_tensor): n - 1 for n to 1",
        shape=_reduction_shape("axis", "keepdims", dtype),
        readings=reduced("axis", "keepdims"),
        cost=_fold_cost(),
        traffic=touch_all,
        source="docs/definitions.md",
        examples=examples,
    )


RULES: tuple[OpRule, ...] = (
    _reduction(
        ("reduce_sum", "reduce_prod", "reduce_max", "reduce_min"),
        "Folds axes by +, *, max or min.",
        Example(
            call="reduce_sum(input_tensor: f32[2,3,4], axis=[0, 2], keepdims=false) -> output_tensor: f32[3]",
            flops=21,
            transcendentals=0,
            bytes_read=96,
            bytes_written=12,
            because="3 results of 8 elements each, 7 additions each",
        ),
        Example(
            call="reduce_max(input_tensor: f32[2,3,4], axis=[-1], keepdims=true) -> output_tensor: f32[2,3,1]",
            flops=18,
            because="6 results of 4 elements each, 3 comparisons each",
        ),
        Example(
            call="reduce_sum(input_tensor: f32[5,7]) -> output_tensor: f32[5]",
            flops=30,
            bytes_read=140,
            bytes_written=20,
            because="the sizes tell: 5 results of 7 elements, 6 additions each",
            inferable=False,
        ),
        Example(
            call="reduce_sum(input_tensor: f32[], axis=[], keepdims=false) -> output_tensor: f32[]",
            flops=0,
            because="a scalar is its own sum",
        ),
        Example(
            call="reduce_sum(input_tensor: f32[0,3], axis=[0], keepdims=false) -> output_tensor: f32[3]",
            flops=0,
            bytes_read=0,
            bytes_written=12,
            because="sums of nothing: 3 zeros are written",
        ),
    ),
    _reduction(
        ("reduce_any", "reduce_all"),
        "Folds axes by or, or by and.",
        Example(
            call="reduce_any(input_tensor: bool[4,2], axis=[0, 1], keepdims=false) -> output_tensor: bool[]",
            flops=7,
            bytes_read=8,
            bytes_written=1,
            because="8 elements to one: 7 ors",
        ),
        dtype=DType.BOOL,
    ),
    OpRule(
        op_types=("reduce_nansum",),
        temporary=reduction_buffer,
        summary="Sum over axes that takes NaN for 0.",
        formula="flops = 2 * numel(input_tensor) + numel(input_tensor) - numel(output_tensor): select(isnan(x), 0, x), then the sum",
        shape=_reduction_shape("axis", "keepdims"),
        readings=reduced("axis", "keepdims"),
        cost=_fold_cost(before=2),
        traffic=touch_all,
        source="the op's definition",
        examples=(
            Example(
                call="reduce_nansum(input_tensor: f32[3], axis=[0], keepdims=true) -> output_tensor: f32[1]",
                flops=8,
                because="3 tests, 3 selections, 2 additions",
            ),
        ),
    ),
    OpRule(
        op_types=("reduce_sum_like",),
        left_out_whole=Certainty.EXACT,
        temporary=sum_like_buffer,
        summary="Sum down to the shape of another tensor, the reverse of a broadcast.",
        formula="flops = numel(x) - numel(y): n - 1 for n to 1",
        shape=sum_like_shape,
        cost=_fold_cost(),
        traffic=moves(like=("like",)),
        source="docs/definitions.md: like gives a shape alone",
        examples=(
            Example(
                call="reduce_sum_like(x: f32[8,3,2], like: f32[3,1], axis=[0, 2]) -> y: f32[3,1]",
                flops=45,
                transcendentals=0,
                bytes_read=192,
                bytes_written=12,
                because="3 results of 16 elements each, 15 additions each; like is not read",
            ),
        ),
    ),
    OpRule(
        op_types=("var",),
        summary="Variance over axes, in two passes: the mean, then the mean of the squared differences.",
        formula="flops = 4 * numel(input): for n to 1, n - 1 additions, 1 division, n subtractions, n squares, n - 1 additions, 1 division",
        shape=_reduction_shape("dim", "keepdim"),
        readings=reduced("dim", "keepdim"),
        cost=var_cost,
        traffic=touch_all,
        ignores="the subtraction in the divisor n - 1 of the unbiased variance, known beforehand",
        source="the op's definition",
        examples=(
            Example(
                call="var(input: f32[2,5], dim=[1], keepdim=true, unbiased=false) -> output: f32[2,1]",
                flops=40,
                transcendentals=0,
                bytes_read=40,
                bytes_written=8,
                because="2 rows of 5: 4 additions, a division, 5 differences, 5 squares, 4 additions, a division are 20",
            ),
            Example(
                call="var(input: f32[2,5]) -> output: f32[2]",
                flops=40,
                because="the sizes tell without attributes",
                inferable=False,
            ),
        ),
    ),
    OpRule(
        op_types=("argmax",),
        temporary=cub_buffer,
        summary="Position of the greatest element along the last axis.",
        formula="flops = numel(in) - numel(out): n - 1 comparisons for n to 1",
        shape=argmax_shape,
        cost=_fold_cost(),
        traffic=touch_all,
        source="docs/definitions.md",
        examples=(
            Example(
                call="argmax(in: f32[2,10]) -> out: i64[2]",
                flops=18,
                transcendentals=0,
                bytes_read=80,
                bytes_written=16,
                because="2 rows of 10, 9 comparisons each; a position has 8 bytes",
            ),
        ),
    ),
    OpRule(
        op_types=("cumsum", "cumprod"),
        temporary=cub_buffer,
        summary="Running sum or product along an axis.",
        formula="flops = numel(x) - numel(x) / n for the axis `dim` of n elements: n - 1 operations a line",
        shape=results_like("x", "y"),
        cost=_along_axis("x", lambda n, lines: (n - 1) * lines),
        traffic=touch_all,
        source="the op's definition, one after another",
        examples=(
            Example(
                call="cumsum(x: f32[3,4], dim=1) -> y: f32[3,4]",
                flops=9,
                transcendentals=0,
                bytes_read=48,
                bytes_written=48,
                because="3 lines of 4, 3 additions each",
            ),
            Example(call="cumsum(x: f32[3,4], dim=0) -> y: f32[3,4]", flops=8, because="4 lines of 3, 2 additions each"),
            Example(call="cumsum(x: f32[3,4]) -> y: f32[3,4]", flops="unknown", because="8 or 9: without the axis nobody can say"),
            Example(call="cumprod(x: f32[5]) -> y: f32[5]", flops=4, because="there is one axis alone: 4 products"),
        ),
    ),
    OpRule(
        op_types=("cumsum_grad",),
        summary="Gradient of a running sum: the running sum from the end.",
        formula="flops = numel(dy) - numel(dy) / n for the axis `dim` of n elements: n - 1 additions a line",
        shape=results_like("dy", "dx"),
        cost=_along_axis("dy", lambda n, lines: (n - 1) * lines),
        traffic=touch_all,
        source="the op's definition, one after another",
        examples=(Example(call="cumsum_grad(dy: f32[3,4], dim=1) -> dx: f32[3,4]", flops=9, because="3 lines of 4, 3 additions each"),),
    ),
    OpRule(
        op_types=("cumprod_grad",),
        summary="Gradient of a running product: dx[i] = sum of dy[k] * y[k] over k >= i, divided by x[i].",
        formula="flops = 3 * numel(dy) - numel(dy) / n for the axis `dim` of n elements: n products, n - 1 additions, n divisions a line",
        shape=results_like("dy", "dx"),
        cost=_along_axis("dy", lambda n, lines: (3 * n - 1) * lines),
        traffic=touch_all,
        ignores="the longer way around zeros of x",
        source="the op's definition",
        examples=(
            Example(
                call="cumprod_grad(dy: f32[2,3], output: f32[2,3], input: f32[2,3], dim=1) -> dx: f32[2,3]",
                flops=16,
                because="2 lines of 3: 3 products, 2 additions from the end, 3 divisions",
            ),
        ),
    ),
    OpRule(
        op_types=("square_sum", "multi_square_sum"),
        summary="Sum of the squares of all elements, of one tensor or of several.",
        formula="flops = 2 * numel(x) - 1: a square per element and their sum",
        shape=_first_as((1,)),
        cost=square_sum_cost,
        traffic=touch_all,
        source="the op's definition",
        examples=(
            Example(
                call="multi_square_sum(x: [f32[3], f32[2,2]]) -> y: f32[1]",
                flops=13,
                transcendentals=0,
                bytes_read=28,
                bytes_written=4,
                because="7 squares, 6 additions",
            ),
        ),
    ),
    OpRule(
        op_types=("sqrt_square_sum",),
        summary="Euclidean norm of all elements.",
        formula="flops = 2 * numel(x) - 1, transcendentals = 1: a square per element, their sum, and its root",
        shape=_first_as(()),
        cost=square_sum_cost,
        traffic=touch_all,
        source="the op's definition",
        examples=(
            Example(
                call="sqrt_square_sum(x: f32[2,3]) -> y: f32[]",
                flops=11,
                transcendentals=1,
                bytes_read=24,
                bytes_written=4,
                because="6 squares, 5 additions, one root",
            ),
        ),
    ),
)
