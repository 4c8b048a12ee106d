"""Interpolation to another size, and its gradients."""

from __future__ import annotations

from irflops.ir.graph import TensorType
from irflops.ops.op_view import OpView
from irflops.ops.resize import baked
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, results_like
from irflops.ops.traffic import moves, touch_all
from irflops.ops.window_readings import interpolations
from irflops.ops.work import MissingAttribute, Work

_SCALES = {3: ("scale_factor",), 4: ("height_scale", "width_scale"), 5: ("depth_scale", "height_scale", "width_scale")}
"""Attributes that scale the spatial axes, by rank."""

_TAPS = {"nearest": 1, "linear": 2, "bilinear": 2, "trilinear": 2, "bicubic": 4}
"""Data elements per axis that one result element is made of."""

_TYPES = {
    "upsample_nearest_1d": "nearest",
    "upsample_nearest_2d": "nearest",
    "upsample_nearest_3d": "nearest",
    "upsample_linear_1d": "linear",
    "upsample_bilinear_2d": "bilinear",
    "upsample_bicubic_2d": "bicubic",
    "upsample_trilinear_3d": "trilinear",
}
"""The interpolation of each op type; OneFlow 0.7 has an op `upsample` too, with an attribute for it."""
_TYPES |= {f"{op_type}_grad": mode for op_type, mode in _TYPES.items()}


def upsample_shape(op: OpView) -> Inferred:
    """The spatial extents of `output_size`, or else the scaled ones, rounded down; channels are first."""
    x = op.shape("x")
    if len(x) not in _SCALES:
        raise ValueError(f"x {x} has no 1 to 3 spatial axes")
    extents = op.ints("output_size") if op.attrs.get("output_size") else _scaled(op, x)
    if len(extents) != len(x) - 2:
        raise ValueError(f"output_size {extents} does not go with x {x}")
    return {"y": TensorType((*x[:2], *extents), op.input("x").dtype)}


def _scaled(op: OpView, x: tuple[int, ...]) -> tuple[int, ...]:
    # OneFlow multiplies in double precision and truncates: so must this, to get its extents.
    return tuple(int(op.number(name) * extent) for name, extent in zip(_SCALES[len(x)], x[2:], strict=True))


def _taps_and_axes(op: OpView, arg: str) -> tuple[int, int]:
    """Data elements per axis, and spatial axes."""
    mode = _TYPES.get(op.type) or op.attrs.get("interpolation")
    if mode is None:
        raise MissingAttribute("interpolation", known=Work(arithmetic=None))
    if mode not in _TAPS:
        raise ValueError(f"no interpolation is called {mode!r}")
    return _TAPS[str(mode)], len(op.shape(arg, at_least=3)) - 2


def upsample_cost(op: OpView) -> Work:
    """One axis after the other, each a weighted sum of t elements: t products and t - 1 additions."""
    taps, axes = _taps_and_axes(op, "y")
    sums = sum(taps**i for i in range(axes))
    return Work(arithmetic=0 if taps == 1 else op.numel("y") * sums * (2 * taps - 1))


def upsample_grad_cost(op: OpView) -> Work:
    """One axis after the other dy is weighted, then added to each of the t^d elements that it came from."""
    taps, axes = _taps_and_axes(op, "dy")
    products = 0 if taps == 1 else sum(taps**i for i in range(1, axes + 1))
    return Work(arithmetic=op.numel("dy") * (products + taps**axes))


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=(*(t for t in _TYPES if not t.endswith("_grad")), "upsample"),
        summary="Interpolation of the spatial axes to another size.",
        formula="flops = numel(y) * (1 + t + .. + t^(d-1)) * (2t - 1) over d axes, t = 2 linear, 4 cubic: 3, 9 and 21 in 1, 2 and 3 "
        "dimensions, "
        "bicubic 35; nearest copies: 0",
        shape=upsample_shape,
        readings=interpolations,
        resized=baked("output_size"),
        cost=upsample_cost,
        traffic=touch_all,
        ignores="the positions and weights, which depend on one coordinate each",
        source="OneFlow's upsample_op.cpp for the extents",
        examples=(
            Example(
                call="upsample_nearest_2d(x: f32[1,2,3,3], height_scale=2.0, width_scale=2.0, output_size=[], "
                'data_format="channels_first") '
                "-> y: f32[1,2,6,6]",
                macs=0,
                flops=0,
                bytes_read=72,
                bytes_written=288,
                because="copies",
            ),
            Example(
                call="upsample_linear_1d(x: f32[1,2,5], scale_factor=1.5, align_corners=false, output_size=[], "
                'data_format="channels_first") '
                "-> y: f32[1,2,7]",
                flops=42,
                because="7.5 is rounded down; 14 results of 2 products and an addition",
            ),
            Example(
                call="upsample_bilinear_2d(x: f32[1,2,3,3], height_scale=0.0, width_scale=0.0, output_size=[4,5], "
                'data_format="channels_first") '
                "-> y: f32[1,2,4,5]",
                flops=360,
                because="40 results: two sums along a row and one across, 3 operations each",
            ),
            Example(
                call="upsample_bicubic_2d(x: f32[1,1,3,3]) -> y: f32[1,1,6,6]",
                inferable=False,
                flops=1260,
                because="a printed graph: 36 results of 4 sums along rows and one across, 4 products and 3 additions each",
            ),
            Example(
                call="upsample_trilinear_3d(x: f32[1,1,2,2,2], depth_scale=2.0, height_scale=1.0, width_scale=1.0) -> y: f32[1,1,4,2,2]",
                flops=336,
                because="16 results: 4 sums, 2 sums and one, 3 operations each",
            ),
            Example(
                call='upsample(x: f32[1,1,2,2], height_scale=2.0, width_scale=2.0, interpolation="bilinear") -> y: f32[1,1,4,4]',
                flops=144,
                because="16 results of 9 operations",
            ),
            Example(
                call="upsample(x: f32[1,1,2,2]) -> y: f32[1,1,4,4]",
                inferable=False,
                macs=0,
                flops="unknown",
                because="a printed graph does not tell the interpolation",
            ),
        ),
    ),
    OpRule(
        op_types=(*(t for t in _TYPES if t.endswith("_grad")), "upsample_grad"),
        summary="Gradient of interpolation: dy goes, weighted, to every element that it was made of.",
        formula="flops = numel(dy) * (t + .. + t^d products + t^d additions) over d axes, t = 2 linear, 4 cubic: 4, 10 and 22 in 1, 2 "
        "and 3 dimensions, "
        "bicubic 36; nearest one addition; x gives a shape alone",
        shape=results_like("x", "dx"),
        cost=upsample_grad_cost,
        traffic=moves(like=("x",)),
        ignores="the positions and weights, which depend on one coordinate each",
        examples=(
            Example(
                call="upsample_nearest_2d_grad(dy: f32[1,2,6,6], x: f32[1,2,3,3]) -> dx: f32[1,2,3,3]",
                flops=72,
                bytes_read=288,
                bytes_written=72,
                because="each of the 72 gradients is added to one element",
            ),
            Example(
                call="upsample_linear_1d_grad(dy: f32[1,2,7], x: f32[1,2,5]) -> dx: f32[1,2,5]",
                flops=56,
                because="14 gradients: 2 products and 2 additions each",
            ),
            Example(
                call="upsample_bilinear_2d_grad(dy: f32[1,2,4,5], x: f32[1,2,3,3]) -> dx: f32[1,2,3,3]",
                flops=400,
                because="40 gradients: 2 and then 4 products, 4 additions",
            ),
            Example(
                call="upsample_bicubic_2d_grad(dy: f32[1,1,6,6], x: f32[1,1,3,3]) -> dx: f32[1,1,3,3]",
                flops=1296,
                because="36 gradients: 4 and then 16 products, 16 additions",
            ),
        ),
    ),
)
