"""Elementwise ops: unary math, scalars, casts and copies, and their gradients."""

from __future__ import annotations

from collections.abc import Mapping

from irflops.ir.graph import DType, TensorType
from irflops.ops.costs import no_work
from irflops.ops.op_view import OpView
from irflops.ops.per_element import SOURCE, Definition, elementwise, per_element
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, ShapeRule, results_like
from irflops.ops.traffic import TrafficRule, moves, touch_all

_TRANSCENDENTAL = (
    *("acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "sin", "sinh", "tan", "tanh", "sigmoid"),
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "erf", "erfc", "erfinv", "lgamma", "digamma", "trigamma"),
)

UNARY: Mapping[str, Definition] = {
    **{op_type: (0, 1, f"{op_type}(x)") for op_type in _TRANSCENDENTAL},
    "sigmoid_v2": (0, 1, "sigmoid(x)"),
    "abs": (1, 0, "abs(x)"),
    "bitwise_not": (1, 0, "~x"),
    "ceil": (1, 0, "ceil(x)"),
    "floor": (1, 0, "floor(x)"),
    "frac": (2, 0, "x - trunc(x)"),
    "inv": (1, 0, "1 / x"),
    "negative": (1, 0, "-x"),
    "not_equal_zero": (1, 0, "x != 0"),
    "reciprocal": (1, 0, "1 / x"),
    "reciprocal_no_nan": (3, 0, "select(x == 0, 0, 1 / x)"),
    "rint": (1, 0, "rint(x)"),
    "round": (1, 0, "round(x)"),
    "sign": (1, 0, "sign(x)"),
    "square": (1, 0, "x * x"),
}

UNARY_GRADS: Mapping[str, Definition] = {
    "abs_grad": (2, 0, "dy * sign(x)"),
    "acos_grad": (4, 1, "-dy * rsqrt(1 - x * x)"),
    "acosh_grad": (3, 1, "dy * rsqrt(x * x - 1)"),
    "asin_grad": (3, 1, "dy * rsqrt(1 - x * x)"),
    "asinh_grad": (3, 1, "dy * rsqrt(x * x + 1)"),
    "atan_grad": (3, 0, "dy / (1 + x * x)"),
    "atanh_grad": (3, 0, "dy / (1 - x * x)"),
    "ceil_grad": (0, 0, "0"),
    "cos_grad": (2, 1, "-dy * sin(x)"),
    "cosh_grad": (1, 1, "dy * sinh(x)"),
    "digamma_grad": (1, 1, "dy * trigamma(x)"),
    "erf_grad": (4, 1, "2 / sqrt(pi) * dy * exp(-(x * x))"),
    "erfc_grad": (4, 1, "-2 / sqrt(pi) * dy * exp(-(x * x))"),
    "exp2_grad": (2, 1, "dy * exp2(x) * log(2)"),
    "exp_grad": (1, 1, "dy * exp(x)"),
    "expm1_grad": (1, 1, "dy * exp(x)"),
    "floor_grad": (0, 0, "0"),
    "lgamma_grad": (1, 1, "dy * digamma(x)"),
    "log10_grad": (2, 0, "dy / (x * log(10))"),
    "log1p_grad": (2, 0, "dy / (x + 1)"),
    "log2_grad": (2, 0, "dy / (x * log(2))"),
    "log_grad": (1, 0, "dy / x"),
    "negative_grad": (1, 0, "-dy"),
    "not_equal_zero_grad": (0, 0, "0"),
    "reciprocal_grad": (3, 0, "-dy / (x * x)"),
    "reciprocal_no_nan_grad": (5, 0, "select(x == 0, 0, -dy / (x * x))"),
    "rint_grad": (0, 0, "0"),
    "round_grad": (0, 0, "0"),
    "rsqrt_grad": (3, 1, "-0.5 * dy / (x * sqrt(x))"),
    "sigmoid_v2_grad": (3, 1, "s = sigmoid(x); dy * s * (1 - s)"),
    "sign_grad": (0, 0, "0"),
    "sin_grad": (1, 1, "dy * cos(x)"),
    "sinh_grad": (1, 1, "dy * cosh(x)"),
    "sqrt_grad": (2, 1, "0.5 * dy / sqrt(x)"),
    "square_grad": (2, 0, "2 * x * dy"),
    "tan_grad": (2, 1, "c = cos(x); dy / (c * c)"),
    # 0.9.0 hands over the input of tanh, later versions its result; MLIR prints no argument names, so all forms are counted alike.
    "tanh_grad": (3, 1, "t = tanh(x); dy * (1 - t * t)"),
    "trunc_grad": (0, 0, "0"),
}

SCALAR: Mapping[str, Definition] = {
    "scalar_add": (1, 0, "x + scalar"),
    "scalar_bitwise_and": (1, 0, "x & scalar"),
    "scalar_bitwise_or": (1, 0, "x | scalar"),
    "scalar_bitwise_xor": (1, 0, "x ^ scalar"),
    "scalar_div": (1, 0, "x / scalar"),
    "scalar_floordiv": (2, 0, "floor(x / scalar)"),
    "scalar_fmod": (1, 0, "x % scalar"),
    "scalar_logical_inplace_greater": (1, 0, "x > scalar"),
    "scalar_mul": (1, 0, "x * scalar"),
    "scalar_pow": (0, 1, "pow(x, scalar)"),
    "scalar_reverse_pow": (0, 1, "pow(scalar, x)"),
    "scalar_truncdiv": (2, 0, "trunc(x / scalar)"),
}

SCALAR_GRADS: Mapping[str, Definition] = {
    "scalar_pow_grad": (2, 1, "dy * scalar * pow(x, scalar - 1)"),
    "scalar_reverse_pow_grad": (2, 1, "dy * pow(scalar, x) * log(scalar)"),
}

TESTS: Mapping[str, Definition] = {
    "isfinite": (1, 0, "isfinite(x)"),
    "isinf": (1, 0, "isinf(x)"),
    "isnan": (1, 0, "isnan(x)"),
    "scalar_logical_and": (1, 0, "x and scalar"),
    "scalar_logical_equal": (1, 0, "x == scalar"),
    "scalar_logical_greater": (1, 0, "x > scalar"),
    "scalar_logical_greater_equal": (1, 0, "x >= scalar"),
    "scalar_logical_less": (1, 0, "x < scalar"),
    "scalar_logical_less_equal": (1, 0, "x <= scalar"),
    "scalar_logical_not_equal": (1, 0, "x != scalar"),
    "scalar_logical_or": (1, 0, "x or scalar"),
    "scalar_logical_xor": (1, 0, "x ^ scalar"),
}

BINARY: Mapping[str, Definition] = {
    "atan2": (0, 1, "atan2(x, y)"),
    "elementwise_maximum": (1, 0, "max(x, y)"),
    "elementwise_minimum": (1, 0, "min(x, y)"),
    "floordiv": (2, 0, "floor(x / y)"),
    "pow": (0, 1, "pow(x, y)"),
    "truncdiv": (2, 0, "trunc(x / y)"),
    "xdivy": (3, 0, "select(x == 0, 0, x / y)"),
    "xlogy": (3, 1, "select(x == 0, 0, x * log(y))"),
}

BINARY_X_GRADS: Mapping[str, Definition] = {
    "atan2_x_grad": (5, 0, "dz * y / (x * x + y * y)"),
    "floordiv_x_grad": (0, 0, "0"),
    "pow_x_grad": (3, 1, "dz * y * pow(x, y - 1)"),
    "truncdiv_x_grad": (0, 0, "0"),
    "xdivy_x_grad": (3, 0, "select(x == 0, 0, dz / y)"),
    "xlogy_x_grad": (3, 1, "select(x == 0, 0, dz * log(y))"),
}

BINARY_Y_GRADS: Mapping[str, Definition] = {
    "atan2_y_grad": (6, 0, "-dz * x / (x * x + y * y)"),
    "floordiv_y_grad": (0, 0, "0"),
    "pow_y_grad": (2, 2, "dz * log(x) * pow(x, y)"),
    "truncdiv_y_grad": (0, 0, "0"),
    "xdivy_y_grad": (6, 0, "select(x == 0, 0, -dz * x / (y * y))"),
    "xlogy_y_grad": (4, 0, "select(x == 0, 0, dz * x / y)"),
}

CLIP: Mapping[str, Definition] = {
    "clip_by_scalar": (2, 0, "min(max(x, low), high)"),
    "clip_by_scalar_max": (1, 0, "min(x, high)"),
    "clip_by_scalar_min": (1, 0, "max(x, low)"),
}

CLIP_GRADS: Mapping[str, Definition] = {
    "clip_by_scalar_grad": (4, 0, "select((x >= low) and (x <= high), dy, 0)"),
    "clip_by_scalar_max_grad": (2, 0, "select(x <= high, dy, 0)"),
    "clip_by_scalar_min_grad": (2, 0, "select(x >= low, dy, 0)"),
}

LERP: Mapping[str, tuple[str, Definition]] = {
    "lerp": ("start, end, weight -> out", (3, 0, "start + weight * (end - start)")),
    "lerp_grad": (
        "start, end, weight, out_diff -> start_diff, end_diff, weight_diff",
        (5, 0, "(1 - weight) * out_diff, weight * out_diff, (end - start) * out_diff"),
    ),
    "scalar_lerp": ("start, end -> out", (3, 0, "start + scalar * (end - start)")),
    "scalar_lerp_grad": ("start, end, out_diff -> start_diff, end_diff", (2, 0, "(1 - scalar) * out_diff, scalar * out_diff")),
}

_HAND_MADE: Mapping[str, tuple[Example, ...]] = {
    "rsqrt": (
        Example(
            call="rsqrt(x: f16[4,1,5]) -> y: f16[4,1,5]",
            flops=0,
            transcendentals=20,
            bytes_read=40,
            bytes_written=40,
            because="20 elements of 2 bytes, a reciprocal root each",
        ),
    ),
    "scalar_pow": (
        Example(
            call="scalar_pow(in: f32[3], has_float_operand=true, float_operand=2.0) -> out: f32[3]",
            flops=0,
            transcendentals=3,
            because="a power is a power: that the exponent is 2 changes nothing",
        ),
    ),
    "scalar_logical_equal": (
        Example(
            call="scalar_logical_equal(in: i64[7]) -> out: bool[7]",
            flops=7,
            transcendentals=0,
            bytes_read=56,
            bytes_written=7,
            because="one comparison an element; 8 bytes in, 1 byte out",
        ),
    ),
    "tanh_grad": (
        Example(
            call="tanh_grad(y: f32[], dy: f32[]) -> dx: f32[]",
            flops=3,
            transcendentals=1,
            bytes_read=8,
            bytes_written=4,
            because="a scalar: a square, a subtraction, a multiplication, and tanh; the name y of later versions fits too",
        ),
    ),
}


def cast_shape(op: OpView) -> Inferred:
    """The operand's shape in the dtype of the attribute."""
    name = op.attr("dtype")
    dtype = DType.named(name)
    if dtype is None:
        raise ValueError(f"{op.type} to an unknown dtype {name!r}")
    return {"out": TensorType(op.input("in").shape, dtype)}


def _moved(
    op_types: tuple[str, ...],
    summary: str,
    shape: ShapeRule,
    traffic: TrafficRule,
    *examples: Example,
    shares: Mapping[str, str] | None = None,
    hands_on: bool = False,
    unreused: bool = False,
) -> OpRule:
    """A rule of ops that move data and compute nothing."""
    return OpRule(
        op_types=op_types,
        shares=shares or {},
        unreused=unreused,
        hands_on=hands_on,
        summary=summary,
        formula="flops = 0",
        shape=shape,
        cost=no_work,
        traffic=traffic,
        examples=examples,
    )


_MOVES = (
    _moved(
        ("cast",),
        "Converts the elements to another dtype.",
        cast_shape,
        touch_all,
        Example(
            call='cast(in: i64[3,2], dtype="float16") -> out: f16[3,2]',
            flops=0,
            transcendentals=0,
            bytes_read=48,
            bytes_written=12,
            because="6 elements: 8 bytes each in, 2 bytes each out; a conversion is no arithmetic",
        ),
        Example(
            call="cast(in: f32[5]) -> out: f16[5]",
            flops=0,
            bytes_read=20,
            bytes_written=10,
            because="the dtype stands on the printed result",
            inferable=False,
        ),
        shares={"out": "in"},
        hands_on=True,
    ),
    _moved(
        ("mutable_cast_once",),
        "Converts the elements of a variable to another dtype, and keeps the result until the variable changes.",
        cast_shape,
        touch_all,
        Example(
            call='mutable_cast_once(in: f32[5], dtype="float16") -> out: f16[5]',
            flops=0,
            bytes_read=20,
            bytes_written=10,
            because="5 elements: 4 bytes each in, 2 bytes each out, as a run takes that converts them",
        ),
        hands_on=True,
        unreused=True,
    ),
    _moved(
        ("cast_like",),
        "Converts the elements to another tensor's dtype.",
        lambda op: {"out": TensorType(op.input("in").shape, op.input("dtype_like").dtype)},
        moves(like=("dtype_like",)),
        Example(
            call="cast_like(in: f32[3], dtype_like: f64[9]) -> out: f64[3]",
            flops=0,
            bytes_read=12,
            bytes_written=24,
            because="3 floats in, 3 doubles out; dtype_like gives a dtype alone",
        ),
        shares={"out": "in"},
        hands_on=True,
    ),
    _moved(
        ("copy", "copy_d2h", "copy_h2d", "to_contiguous"),
        "Copies the operand, to another device or layout.",
        results_like("in", "out"),
        touch_all,
        Example(
            call="copy(in: f32[2,2]) -> out: f32[2,2]", flops=0, bytes_read=16, bytes_written=16, because="4 floats are read and written"
        ),
        hands_on=True,
    ),
    _moved(
        ("ones_like", "zero_like"),
        "Fills a new tensor with a constant.",
        results_like("like", "out"),
        moves(like=("like",)),
        Example(
            call="ones_like(like: f32[]) -> out: f32[]",
            flops=0,
            transcendentals=0,
            bytes_read=0,
            bytes_written=4,
            because="like gives a shape alone; one float is written",
        ),
        unreused=True,
    ),
    _moved(
        ("fill_", "fill_tensor_"),
        "Overwrites the operand with one value.",
        results_like("in", "out"),
        moves(like=("in",)),
        Example(
            call="fill_tensor_(in: f32[6], value: f32[1]) -> out: f32[6]",
            flops=0,
            bytes_read=4,
            bytes_written=24,
            because="the value is read, the 6 old elements are not",
        ),
    ),
)

_BY_TENSOR = tuple(
    OpRule(
        op_types=op_types,
        overwrites={"y": "x"},
        summary=f"Elementwise: y = {definition}, the scalar a tensor of one element.",
        formula=f"flops = numel(y): {definition}",
        shape=results_like("x", "y"),
        cost=per_element(1, 0),
        traffic=touch_all,
        source=SOURCE,
        examples=(
            Example(
                call=f"{op_types[0]}(x: f32[5], scalar: f32[1]) -> y: f32[5]",
                flops=5,
                transcendentals=0,
                bytes_read=24,
                bytes_written=20,
                because="5 elements, one operation each; the scalar is read once",
            ),
        ),
    )
    for op_types, definition in (
        (("scalar_add_by_tensor", "host_scalar_add_by_tensor"), "x + scalar"),
        (("scalar_sub_by_tensor",), "x - scalar"),
        (("scalar_mul_by_tensor",), "x * scalar"),
        (("scalar_div_by_tensor",), "x / scalar"),
    )
)

_SCALARS_IN_PLACE = {f"scalar_{name}": "in" for name in ("add", "mul", "div", "floordiv", "truncdiv", "fmod", "pow")}

RULES: tuple[OpRule, ...] = (
    *elementwise("x -> y", UNARY, examples=_HAND_MADE, in_place={"erfinv": "x"}),
    *elementwise("in -> out", {"trunc": (1, 0, "trunc(x)")}),
    *elementwise("x -> y", {"logical_not": (1, 0, "not x")}, dtype=DType.BOOL),
    *elementwise("x, dy -> dx", UNARY_GRADS, examples=_HAND_MADE),
    *elementwise("y, dy -> dx", {"sigmoid_grad": (3, 0, "dy * y * (1 - y)")}),
    *elementwise("in -> out", SCALAR, examples=_HAND_MADE, in_place=_SCALARS_IN_PLACE),
    *elementwise("x, dy -> dx", SCALAR_GRADS),
    *elementwise("in -> out", TESTS, dtype=DType.BOOL, examples=_HAND_MADE),
    *elementwise("x, y -> z", BINARY),
    *elementwise("x, y -> out", {"multiply": (1, 0, "x * y")}),
    *elementwise("x, y, dz -> dx", BINARY_X_GRADS),
    *elementwise("x, y, dz -> dy", BINARY_Y_GRADS),
    *elementwise("x -> y", CLIP, in_place=dict.fromkeys(CLIP, "x")),
    *elementwise("dy, x -> dx", CLIP_GRADS, in_place=dict.fromkeys(CLIP_GRADS, "dy")),
    *(rule for op_type, (signature, definition) in LERP.items() for rule in elementwise(signature, {op_type: definition})),
    *_BY_TENSOR,
    *_MOVES,
)
