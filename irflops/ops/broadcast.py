"""Ops whose operands broadcast to one shape, sums of several tensors, and their gradients. A broadcast operand is read at its own size."""

from __future__ import annotations

from collections.abc import Mapping

from irflops.ir.graph import DType, TensorType
from irflops.ops.costs import fold, no_work
from irflops.ops.op_view import OpView
from irflops.ops.per_element import SOURCE, Definition, broadcast_type, common_dtype, common_shape, elementwise, per_element, same_type
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, results_like
from irflops.ops.temporary import buffer_like
from irflops.ops.traffic import moves, touch_all
from irflops.ops.work import Work

ARITHMETIC: Mapping[str, Definition] = {
    "broadcast_add": (1, 0, "x + y"),
    "broadcast_bitwise_and": (1, 0, "x & y"),
    "broadcast_bitwise_or": (1, 0, "x | y"),
    "broadcast_bitwise_xor": (1, 0, "x ^ y"),
    "broadcast_div": (1, 0, "x / y"),
    "broadcast_floor_mod": (1, 0, "x % y"),
    "broadcast_fmod": (1, 0, "x % y"),
    "broadcast_maximum": (1, 0, "max(x, y)"),
    "broadcast_minimum": (1, 0, "min(x, y)"),
    "broadcast_mul": (1, 0, "x * y"),
    "broadcast_pow": (0, 1, "pow(x, y)"),
    "broadcast_sub": (1, 0, "x - y"),
    "broadcast_zeta": (0, 1, "zeta(x, y)"),
}

COMPARISONS: Mapping[str, Definition] = {
    "broadcast_equal": (1, 0, "x == y"),
    "broadcast_greater": (1, 0, "x > y"),
    "broadcast_greater_equal": (1, 0, "x >= y"),
    "broadcast_isclose_eq_nan": (10, 0, "abs(x - y) <= atol + rtol * abs(y) or (isnan(x) and isnan(y))"),
    "broadcast_isclose_neq_nan": (6, 0, "abs(x - y) <= atol + rtol * abs(y)"),
    "broadcast_less": (1, 0, "x < y"),
    "broadcast_less_equal": (1, 0, "x <= y"),
    "broadcast_logical_and": (1, 0, "x and y"),
    "broadcast_logical_or": (1, 0, "x or y"),
    "broadcast_logical_xor": (1, 0, "x ^ y"),
    "broadcast_not_equal": (1, 0, "x != y"),
}

_HAND_MADE: Mapping[str, tuple[Example, ...]] = {
    "broadcast_add": (
        Example(
            call="broadcast_add(x: f32[4,1,3], y: f32[5,1]) -> z: f32[4,5,3]",
            flops=60,
            transcendentals=0,
            bytes_read=68,
            bytes_written=240,
            because="4 x 5 x 3 sums; 12 and 5 floats are read, each once",
        ),
        Example(
            call="broadcast_add(x: f32[2,3], y: f32[]) -> z: f32[2,3]",
            flops=6,
            bytes_read=28,
            bytes_written=24,
            because="6 elements plus a scalar",
        ),
        Example(
            call="broadcast_add(x: f32[0,3], y: f32[1,3]) -> z: f32[0,3]",
            flops=0,
            bytes_read=12,
            bytes_written=0,
            because="an extent of 0 against 1 gives 0: there is nothing to add",
        ),
    ),
    "broadcast_equal": (
        Example(
            call="broadcast_equal(x: i64[3,1], y: i64[3]) -> z: bool[3,3]",
            flops=9,
            transcendentals=0,
            bytes_read=48,
            bytes_written=9,
            because="9 comparisons of 3 by 3 integers of 8 bytes, 9 results of 1 byte",
        ),
    ),
}


def _broadcast(definitions: Mapping[str, Definition], dtype: DType | None) -> tuple[OpRule, ...]:
    return elementwise("x, y -> z", definitions, dtype=dtype, shape=broadcast_type(dtype=dtype), examples=_HAND_MADE)


def sum_cost(op: OpView) -> Work:
    """One addition fewer than there are operands, per element."""
    return Work(arithmetic=(len(op.inputs("in")) - 1) * op.numel("out"))


def weighted_sum_cost(op: OpView) -> Work:
    """Per element a product with each weight, one addition fewer, and the product with alpha."""
    return Work(arithmetic=2 * len(op.inputs("in")) * op.numel("out"))


def bias_add_shape(op: OpView) -> Inferred:
    """`a`'s own type; `b` has as many elements as the axis that it is added along."""
    axis = op.attrs.get("axis")
    if isinstance(axis, int):
        a, b = op.shape("a"), op.shape("b")
        if not 0 <= axis < len(a) or b != (a[axis],):
            raise ValueError(f"b {b} does not fit axis {axis} of a {a}")
    return {"out": op.input("a")}


def broadcast_like_shape(op: OpView) -> Inferred:
    """`like`'s shape in `x`'s dtype."""
    return {"y": TensorType(op.input("like").shape, op.input("x").dtype)}


def div_grad_cost(op: OpView) -> Work:
    """The quotient dz * z / y at every element of z, the sum of these over the broadcast axes, and one negation per element of y."""
    elements, sums = op.numel("z"), op.numel("y")
    return Work(arithmetic=2 * elements + fold(elements, sums) + sums)


def pow_x_grad_cost(op: OpView) -> Work:
    """The product dz * y * pow(x, y - 1) at every element of z, and the sum of these down to x's shape."""
    elements = op.numel("z")
    return Work(arithmetic=3 * elements + fold(elements, op.numel("x")), transcendentals=elements)


def pow_y_grad_cost(op: OpView) -> Work:
    """The product dz * log(x) * z at every element of z, and the sum of these down to y's shape."""
    elements = op.numel("z")
    return Work(arithmetic=2 * elements + fold(elements, op.numel("y")), transcendentals=elements)


def extremum_grad_cost(op: OpView) -> Work:
    """One comparison of x and y per element, and one selection for each result that is asked for."""
    return Work(arithmetic=op.numel("dz") * (1 + len(op.output_args)))


def extremum_grad_shape(op: OpView) -> Inferred:
    """The operands' one shape, in `dz`'s dtype."""
    return dict.fromkeys(op.output_args, TensorType(common_shape(op), common_dtype(op, "dz")))


_SUMS_AND_COPIES = (
    OpRule(
        op_types=("add_n",),
        overwrites={"out": "in"},
        summary="Sum of several tensors of one shape.",
        formula="flops = (k - 1) * numel(out) for k operands",
        shape=same_type(),
        cost=sum_cost,
        traffic=touch_all,
        source="docs/definitions.md",
        unequal="broadcast_add",
        examples=(
            Example(
                call="add_n(in: [f32[2,3], f32[2,3], f32[2,3]]) -> out: f32[2,3]",
                flops=12,
                transcendentals=0,
                bytes_read=72,
                bytes_written=24,
                because="6 elements, two additions each; three tensors of 24 bytes are read",
            ),
        ),
    ),
    OpRule(
        op_types=("fused_weighted_sum",),
        summary="alpha times the weighted sum of several tensors of one shape.",
        formula="flops = 2 * k * numel(out) for k operands: k products with the weights, k - 1 sums, one product with alpha",
        shape=same_type(),
        cost=weighted_sum_cost,
        traffic=touch_all,
        source=SOURCE,
        examples=(
            Example(
                call="fused_weighted_sum(in: [f32[5], f32[5]]) -> out: f32[5]",
                flops=20,
                bytes_read=40,
                bytes_written=20,
                because="5 elements: alpha * (w1 * a + w2 * b) is 4 operations",
            ),
        ),
    ),
    OpRule(
        op_types=("bias_add",),
        overwrites={"out": "a"},
        summary="Adds a vector along one axis.",
        formula="flops = numel(out): a + b",
        shape=bias_add_shape,
        cost=per_element(1, 0),
        traffic=touch_all,
        source="docs/definitions.md",
        examples=(
            Example(
                call="bias_add(a: f32[2,3,4,4], b: f32[3], axis=1) -> out: f32[2,3,4,4]",
                flops=96,
                transcendentals=0,
                bytes_read=396,
                bytes_written=384,
                because="96 additions; 96 + 3 floats are read",
            ),
            Example(
                call="bias_add(a: f16[2,8], b: f16[8]) -> out: f16[2,8]",
                flops=16,
                bytes_read=48,
                bytes_written=32,
                because="no attribute is needed: one addition per element",
            ),
        ),
    ),
    OpRule(
        op_types=("broadcast_inplace_greater",),
        summary="Overwrites x with 1 where it is greater than y, 0 elsewhere.",
        formula="flops = numel(out): x > y",
        shape=results_like("x", "out"),
        cost=per_element(1, 0),
        traffic=touch_all,
        source=SOURCE,
        examples=(
            Example(
                call="broadcast_inplace_greater(x: f32[2,3], y: f32[3]) -> out: f32[2,3]",
                flops=6,
                transcendentals=0,
                bytes_read=36,
                bytes_written=24,
                because="6 comparisons; 6 + 3 floats are read",
            ),
        ),
    ),
    OpRule(
        op_types=("broadcast_like",),
        summary="Repeats a tensor to the shape of another.",
        formula="flops = 0",
        shape=broadcast_like_shape,
        cost=no_work,
        traffic=moves(like=("like",)),
        source="docs/definitions.md: like gives a shape alone",
        examples=(
            Example(
                call="broadcast_like(x: f32[2,1], like: f32[2,5], broadcast_axes=[1]) -> y: f32[2,5]",
                flops=0,
                transcendentals=0,
                bytes_read=8,
                bytes_written=40,
                because="2 floats are read, 10 written",
            ),
        ),
    ),
)

_GRADS = (
    OpRule(
        op_types=("broadcast_div_grad",),
        temporary=buffer_like("z"),
        summary="Gradient of a broadcast division by its divisor: dy = -sum(dz * z / y) over the axes along which y was repeated.",
        formula="flops = 3 * numel(z): dz * z / y takes 2 * numel(z), the sums numel(z) - numel(y), the negation numel(y)",
        shape=results_like("y", "dy"),
        cost=div_grad_cost,
        traffic=touch_all,
        source="the derivative of x / y with z = x / y; the loop in the order of OneFlow's kernel",
        examples=(
            Example(
                call="broadcast_div_grad(dz: f32[2,3], z: f32[2,3], y: f32[2,1]) -> dy: f32[2,1]",
                flops=18,
                transcendentals=0,
                bytes_read=56,
                bytes_written=8,
                because="6 products, 6 quotients, 2 additions in each of 2 rows, 2 negations; 6 + 6 + 2 floats are read",
            ),
        ),
    ),
    OpRule(
        op_types=("broadcast_pow_x_grad",),
        summary="Gradient of a broadcast power by its base, summed over the axes along which x was repeated.",
        formula="flops = 3 * numel(z) + numel(z) - numel(x), transcendentals = numel(z): dz * y * pow(x, y - 1), summed to x's shape",
        shape=results_like("x", "dx"),
        cost=pow_x_grad_cost,
        traffic=touch_all,
        source="the derivative of pow(x, y)",
        examples=(
            Example(
                call="broadcast_pow_x_grad(x: f32[3], y: f32[2,3], z: f32[2,3], dz: f32[2,3]) -> dx: f32[3]",
                flops=21,
                transcendentals=6,
                because="6 elements: y - 1, a power, two products; 3 sums of 2 terms",
            ),
        ),
    ),
    OpRule(
        op_types=("broadcast_pow_y_grad",),
        summary="Gradient of a broadcast power by its exponent, summed over the axes along which y was repeated.",
        formula="flops = 2 * numel(z) + numel(z) - numel(y), transcendentals = numel(z): dz * log(x) * z, summed to y's shape",
        shape=results_like("y", "dy"),
        cost=pow_y_grad_cost,
        traffic=touch_all,
        source="the derivative of pow(x, y) with z = pow(x, y)",
        examples=(
            Example(
                call="broadcast_pow_y_grad(x: f32[2,3], y: f32[], z: f32[2,3], dz: f32[2,3]) -> dy: f32[]",
                flops=17,
                transcendentals=6,
                because="6 elements: a logarithm and two products; one sum of 6 terms",
            ),
        ),
    ),
    OpRule(
        op_types=("elementwise_maximum_backward", "elementwise_minimum_backward"),
        summary="Hands the gradient to the greater (or lesser) operand.",
        formula="flops = (1 + r) * numel(dz) for r results: one comparison and r selections",
        shape=extremum_grad_shape,
        cost=extremum_grad_cost,
        traffic=touch_all,
        source=SOURCE,
        examples=(
            Example(
                call="elementwise_maximum_backward(dz: f32[4], x: f32[4], y: f32[4]) -> dx: f32[4], dy: f32[4]",
                flops=12,
                transcendentals=0,
                bytes_read=48,
                bytes_written=32,
                because="4 elements: x > y, and dz or 0 for each of two results",
            ),
            Example(
                call="elementwise_minimum_backward(dz: f32[4], x: f32[4], y: f32[4]) -> dx: f32[4]",
                flops=8,
                bytes_written=16,
                because="y takes no gradient: one selection",
            ),
        ),
    ),
)

RULES: tuple[OpRule, ...] = (
    *_broadcast(ARITHMETIC, None),
    *_broadcast(COMPARISONS, DType.BOOL),
    *_SUMS_AND_COPIES,
    *_GRADS,
)
