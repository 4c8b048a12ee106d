"""Numbers in few bits: scales that are observed, quantizing, its imitation in training, and weights brought back by group."""

from __future__ import annotations

from irflops.ir.graph import TensorType
from irflops.ops.costs import fold
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, normal_axis
from irflops.ops.traffic import touch_all
from irflops.ops.work import MissingAttribute, Work


def _scheme(op: OpView) -> str:
    """`symmetric`, `affine` or `cambricon`, by two attributes."""
    names = ("quantization_formula", "quantization_scheme")
    for name in names:
        if name not in op.attrs:
            raise MissingAttribute(name, known=Work(arithmetic=None, transcendentals=None))
    formula, scheme = (op.attrs[name] for name in names)
    if formula == "cambricon":
        return "cambricon"
    if formula != "google" or scheme not in ("symmetric", "affine"):
        raise ValueError(f"no quantization is called {formula!r}, {scheme!r}")
    return str(scheme)


def _per_element(op: OpView, counts: dict[str, int]) -> Work:
    """So many operations for each number; a zero point is rounded once, and cambricon's scale is a power of two, worked out once."""
    scheme = _scheme(op)
    once = op.numel("zero_point") if scheme == "affine" else 0
    return Work(arithmetic=counts[scheme] * op.numel("in") + once, transcendentals=1 if scheme == "cambricon" else 0)


def quantized_shape(op: OpView) -> Inferred:
    """Like the operand, dtype and all; a scale for all or one for each entry of the first axis."""
    shape = op.shape("in")
    for arg in ("scale", "zero_point"):
        if op.numel(arg) not in (1, shape[0] if shape else 1):
            raise ValueError(f"{arg} {op.shape(arg)} does not go with in {shape}")
    return {"out": op.input("in")}


def quantization_cost(op: OpView) -> Work:
    """Over the scale, (plus the zero point,) rounded, kept within bounds."""
    return _per_element(op, {"symmetric": 4, "cambricon": 4, "affine": 5})


def fake_quantization_cost(op: OpView) -> Work:
    """Quantized, and brought back: (less the zero point,) times the scale."""
    return _per_element(op, {"symmetric": 5, "cambricon": 5, "affine": 7})


_SCALES = {"symmetric": (4, 0), "affine": (5, 0), "cambricon": (5, 1)}
"""Arithmetic and transcendentals from a largest and a smallest number to scale and zero point. Symmetric: two magnitudes, the larger, a
quotient. Affine: a difference, two quotients, a rounding, a sign. Cambricon: two magnitudes, the larger, a log2 rounded down, less bits."""


def observer_shape(op: OpView) -> Inferred:
    """A scale for all, or one for each entry of the first axis."""
    shape = op.shape("in", at_least=1)
    by_entry = op.attr("quantization_formula") == "google" and not op.flag("per_layer_quantization")
    scale = TensorType((shape[0] if by_entry else 1,), op.input("in").dtype)
    return {"scale": scale, "zero_point": scale}


def observer_cost(op: OpView) -> Work:
    """The largest and the smallest number of each group, and what follows from them."""
    arithmetic, transcendentals = _SCALES[_scheme(op)]
    groups = op.numel("scale")
    return Work(arithmetic=2 * fold(op.numel("in"), groups) + groups * arithmetic, transcendentals=groups * transcendentals)


def moving_observer_shape(op: OpView) -> Inferred:
    """One scale."""
    scale = TensorType((1,), op.input("in").dtype)
    return {"scale": scale, "zero_point": scale}


def moving_observer_cost(op: OpView) -> Work:
    """In training the extremes and their moving averages of 3 operations; then scale and zero point."""
    scheme = _scheme(op)
    if "training" not in op.attrs:
        raise MissingAttribute("training", known=Work(arithmetic=None, transcendentals=_SCALES[scheme][1]))
    from_moving = {"symmetric": 1, "affine": 5, "cambricon": 2}[scheme]
    observed = {"symmetric": 3 + 3, "affine": 6, "cambricon": 3 + 3}[scheme]
    seen = 2 * fold(op.numel("in"), 1) + observed if op.flag("training") else 0
    return Work(arithmetic=seen + from_moving, transcendentals=_SCALES[scheme][1])


def dequantized_shape(op: OpView) -> Inferred:
    """Numbers of 4 bits lie two in a byte of the last axis; a scale for each group of them along one axis."""
    packed, scale = op.shape("in", at_least=1), op.shape("scale")
    out = (*packed[:-1], packed[-1] * (8 // op.integer("num_bits", least=1)))
    axis, size = normal_axis(op.integer("group_dim"), len(out)), op.integer("group_size", least=1)
    if out[axis] % size or scale != (*out[:axis], out[axis] // size, *out[axis + 1 :]):
        raise ValueError(f"scale {scale} is not one for each {size} along axis {axis} of {out}")
    return {"out": TensorType(out, op.input("scale").dtype)}


def dequantize_cost(op: OpView) -> Work:
    """Times the scale, plus the zero point where there is one."""
    return Work(arithmetic=op.numel("out") * (2 if op.inputs("zero") else 1))


_SCHEMES = "by the attributes quantization_formula and quantization_scheme; unknown where the form lacks them"
_SOURCE = "Jacob et al., arXiv 1712.05877; OneFlow's kernels of these names"
_ATTRS = 'quantization_formula="google", quantization_bit=8, quantization_scheme='

RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("quantization",),
        summary="Numbers rounded to few bits by a scale; they keep their dtype.",
        formula=f"flops per number 4 symmetric (quotient, rounding, two bounds), 5 affine (zero point), {_SCHEMES}; affine + 1 for "
        "each zero "
        "point; cambricon as symmetric, 1 transcendental",
        shape=quantized_shape,
        cost=quantization_cost,
        traffic=touch_all,
        source=_SOURCE,
        examples=(
            Example(
                call=f'quantization(in: f32[2,3], scale: f32[1], zero_point: f32[1], {_ATTRS}"symmetric") -> out: f32[2,3]',
                because="6 numbers of 4 operations; reads 6 + 1 + 1 floats",
                macs=0,
                flops=24,
                transcendentals=0,
                bytes_read=32,
                bytes_written=24,
            ),
            Example(
                call=f'quantization(in: f32[2,3], scale: f32[2], zero_point: f32[2], {_ATTRS}"affine") -> out: f32[2,3]',
                because="6 numbers of 5 operations, 2 zero points rounded",
                flops=32,
            ),
            Example(
                call="quantization(in: f32[2,3], scale: f32[1], zero_point: f32[1]) -> out: f32[2,3]",
                because="a printed graph: the scheme is in no line",
                macs=0,
                flops="unknown",
            ),
        ),
    ),
    OpRule(
        op_types=("fake_quantization",),
        summary="Numbers rounded to few bits by a scale and brought back, so that training feels it.",
        formula=f"flops per number 5 symmetric, 7 affine, {_SCHEMES}; affine + 1 for each zero point; cambricon as symmetric, 1 "
        "transcendental",
        shape=quantized_shape,
        cost=fake_quantization_cost,
        traffic=touch_all,
        source=_SOURCE,
        examples=(
            Example(
                call=f'fake_quantization(in: f32[2,3], scale: f32[1], zero_point: f32[1], {_ATTRS}"affine") -> out: f32[2,3]',
                because="6 numbers: quotient, zero point, rounding, two bounds, zero point, product; the zero point rounded",
                flops=43,
                bytes_read=32,
                bytes_written=24,
            ),
            Example(
                call='fake_quantization(in: f32[2,3], scale: f32[1], zero_point: f32[1], quantization_formula="cambricon", '
                'quantization_scheme="symmetric") -> out: f32[2,3]',
                because="6 numbers of 5 operations; the scale is 2 to the power of an operand",
                flops=30,
                transcendentals=1,
            ),
        ),
    ),
    OpRule(
        op_types=("min_max_observer",),
        summary="Scale and zero point that fit the largest and the smallest number.",
        formula=f"flops = 2 (numel(in) - g) comparisons for g scales, and for each 4 symmetric, 5 affine or cambricon, {_SCHEMES}; "
        "cambricon 1 "
        "transcendental",
        shape=observer_shape,
        cost=observer_cost,
        traffic=touch_all,
        source=_SOURCE,
        examples=(
            Example(
                call=f'min_max_observer(in: f32[2,3], {_ATTRS}"symmetric", per_layer_quantization=false) -> scale: f32[2], '
                "zero_point: f32[2]",
                because="2 rows: 2 + 2 comparisons, two magnitudes, the larger, a quotient",
                flops=16,
                transcendentals=0,
                bytes_read=24,
                bytes_written=16,
            ),
            Example(
                call=f'min_max_observer(in: f32[2,3], {_ATTRS}"affine", per_layer_quantization=true) -> scale: f32[1], zero_point: f32[1]',
                because="5 + 5 comparisons; a difference, two quotients, a rounding, a sign",
                flops=15,
            ),
        ),
    ),
    OpRule(
        op_types=("moving_average_min_max_observer",),
        updates=("moving_max", "moving_min"),
        summary="Scale and zero point that fit moving averages of the largest and the smallest number.",
        formula="in training 2 (numel(in) - 1) comparisons and 6: the averages; then 1 symmetric, 5 affine, 2 cambricon, "
        f"{_SCHEMES}; cambricon "
        "1 transcendental; after stop_update_after_iters steps it no longer observes",
        shape=moving_observer_shape,
        cost=moving_observer_cost,
        traffic=touch_all,
        upper_bound=True,
        source=_SOURCE,
        examples=(
            Example(
                call="moving_average_min_max_observer(in: f32[2,3], current_train_step: i64[1], moving_max: f32[1], moving_min: f32[1], "
                f'training=true, {_ATTRS}"symmetric") -> scale: f32[1], zero_point: f32[1]',
                because="5 + 5 comparisons, two magnitudes, the larger, an average of 3, a quotient; 24 + 8 + 4 + 4 bytes in, and out the "
                "two averages and the two results",
                flops=17,
                bytes_read=40,
                bytes_written=16,
            ),
            Example(
                call="moving_average_min_max_observer(in: f32[2,3], current_train_step: i64[1], moving_max: f32[1], moving_min: f32[1], "
                f'training=false, {_ATTRS}"affine") -> scale: f32[1], zero_point: f32[1]',
                because="from the averages as they are",
                flops=5,
            ),
        ),
    ),
    OpRule(
        op_types=("groupwise_dequantize",),
        summary="Weights of 4 or 8 bits as floating numbers, by a scale for each group.",
        formula="flops = numel(out) products, as many additions for zero; two numbers of 4 bits are read a byte",
        shape=dequantized_shape,
        cost=dequantize_cost,
        traffic=touch_all,
        ignores="the shift of unsigned symmetric numbers by half their range",
        source="OneFlow's groupwise_dequantize_op.cpp",
        examples=(
            Example(
                call="groupwise_dequantize(in: u8[3,4], scale: f16[3,2], num_bits=4, symmetric=true, group_dim=1, group_size=4) -> "
                "out: f16[3,8]",
                because="24 products; 12 bytes hold 24 numbers",
                flops=24,
                bytes_read=24,
                bytes_written=48,
            ),
            Example(
                call="groupwise_dequantize(in: u8[4,3], scale: f16[2,3], zero: f16[2,3], num_bits=8, symmetric=false, group_dim=0, "
                "group_size=2) -> out: f16[4,3]",
                because="12 products and 12 additions",
                flops=24,
                bytes_read=36,
            ),
        ),
    ),
)
