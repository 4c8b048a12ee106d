"""Images read at points between their pixels: grids of an affine map, sampling by a grid, pooling of regions; and their gradients.

At a point of d axes a linear interpolation takes 2**d pixels. Worked out once for all channels are the point's fractions (floor, x - floor,
1 - fraction: 3 an axis) and the weights of the pixels; then each channel takes a product a pixel, and one addition fewer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from irflops.ir.graph import AttrValue, TensorType
from irflops.ops.op_view import OpView
from irflops.ops.readings import result_of
from irflops.ops.resize import baked
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred
from irflops.ops.traffic import moves, touch_all
from irflops.ops.work import MissingAttribute, MissingShape, Work


def affine_grid_shape(op: OpView) -> Inferred:
    """A point for each pixel of the size (N, C, extents): as many numbers as there are extents."""
    batch, axes, columns = op.shape("theta", rank=3)
    size = op.ints("size", length=axes + 2)
    if axes not in (2, 3) or columns != axes + 1 or size[0] != batch:
        raise ValueError(f"theta {op.shape('theta')} does not go with size {size}")
    return {"grid": TensorType((batch, *size[2:], axes), op.input("theta").dtype)}


def affine_grid_cost(op: OpView) -> Work:
    """Each number is a row of theta times the position, plus its last entry."""
    return Work(arithmetic=2 * op.shape("theta", rank=3)[1] * op.numel("grid"))


def affine_grid_grad_shape(op: OpView) -> Inferred:
    """A map for each image."""
    grid = op.shape("dgrid", at_least=4)
    return {"dtheta": TensorType((grid[0], grid[-1], grid[-1] + 1), op.input("dgrid").dtype)}


def affine_grid_grad_cost(op: OpView) -> Work:
    """Each entry of theta is a sum over all points: of products with a position, or of the numbers alone."""
    batch, *extents, axes = op.shape("dgrid", at_least=4)
    points = math.prod(extents)
    each = axes * max(0, 2 * points - 1) + max(0, points - 1)
    return Work(arithmetic=batch * axes * each)


def grid_sizes(old: OpView, _new: OpView) -> Iterable[Mapping[str, AttrValue]]:
    """The size that a grid was made for: its number of channels does not matter."""
    batch, *extents, _ = result_of(old, "grid")
    yield {"size": (batch, 1, *extents)}


@dataclass(frozen=True, slots=True)
class Sampling:
    """What an interpolation takes over d axes: operations for a point, and more for each of its channels."""

    point: int
    channel: int


_PLACE = 2
"""Operations by axis from a number of the grid to a pixel's position: times half the extent, plus an offset."""
_CUBIC = 25
"""Operations by axis for the weights of a cubic convolution at a fraction t: 1 + t, 1 - t, 2 - t; two polynomials of 6 and two of 5."""
_CUBIC_SLOPES = 17
"""The same for their slopes: at three further points, two polynomials of 4 and two of 3."""


def _forward(mode: AttrValue, axes: int) -> Sampling:
    if mode == "nearest":
        return Sampling(axes * (_PLACE + 1), 0)
    if mode == "bilinear":
        pixels = 2**axes
        return Sampling(axes * (_PLACE + 3) + pixels * (axes - 1), 2 * pixels - 1)
    if mode == "bicubic" and axes == 2:
        return Sampling(axes * (_PLACE + 2 + _CUBIC), 35)
    raise ValueError(f"no interpolation over {axes} axes is called {mode!r}")


def _backward(mode: AttrValue, axes: int) -> Sampling:
    forward = _forward(mode, axes)
    if mode == "nearest":
        return Sampling(forward.point, 1)
    if mode == "bilinear":
        pixels = 2**axes
        return Sampling(forward.point + axes, 2 * pixels + pixels * axes * (axes + 1))
    return Sampling(forward.point + axes * (_CUBIC_SLOPES + 1), 16 * 3 + 16 * axes * 4)


def _sampled(op: OpView, result: str, sampling: str) -> Work:
    shape = op.shape(result, at_least=3)
    mode = op.attrs.get("interpolation_mode")
    if mode is None:
        raise MissingAttribute("interpolation_mode", known=Work(arithmetic=None))
    counts = (_forward if sampling == "forward" else _backward)(mode, len(shape) - 2)
    points = shape[0] * math.prod(shape[2:])
    return Work(arithmetic=points * (counts.point + shape[1] * counts.channel))


def grid_sample_shape(op: OpView) -> Inferred:
    """The channels of the input at each point of the grid."""
    image, grid = op.shape("input", at_least=4), op.shape("grid", at_least=4)
    if len(image) not in (4, 5) or len(grid) != len(image) or grid[-1] != len(image) - 2 or grid[0] != image[0]:
        raise ValueError(f"grid {grid} does not point into input {image}")
    return {op.first_output: TensorType((*image[:2], *grid[1:-1]), op.input("input").dtype)}


def grid_sample_cost(op: OpView) -> Work:
    """For each point its pixels and weights, then a weighted sum a channel."""
    return _sampled(op, op.first_output, "forward")


def grid_sample_grad_shape(op: OpView) -> Inferred:
    """Like input and grid."""
    return {"dinput": op.input("input"), "dgrid": op.input("grid")}


def grid_sample_grad_cost(op: OpView) -> Work:
    """For each point its pixels and weights again; a channel gives its gradient to the pixels, and to the point through their slopes."""
    return _sampled(op, "doutput", "backward")


def roi_align_shape(op: OpView) -> Inferred:
    """For each region the channels of x on a grid."""
    _, channels, _, _ = op.shape("x", rank=4)
    regions, columns = op.shape("rois", rank=2)
    if columns != 5:
        raise ValueError(f"rois {op.shape('rois')} are not the number of an image and four corners each")
    return {"y": TensorType((regions, channels, op.integer("pooled_h"), op.integer("pooled_w")), op.input("x").dtype)}


def roi_align_grad_shape(op: OpView) -> Inferred:
    """Like x."""
    return {"dx": op.input("x_like")}


def _regions(op: OpView, bins: str, per_bin: int) -> Work:
    """The samples of all bins: 14 operations for where each lies, 8 for each channel; and 8 for each region."""
    ratio = op.attrs.get("sampling_ratio")
    unknown = Work(arithmetic=None)
    if ratio is None:
        raise MissingAttribute("sampling_ratio", known=unknown)
    if op.integer("sampling_ratio") <= 0:
        raise MissingShape("the sizes of the regions", known=unknown)
    regions, channels, height, width = op.shape(bins, rank=4)
    samples = op.integer("sampling_ratio") ** 2
    places = regions * height * width
    return Work(arithmetic=8 * regions + places * (14 * samples + channels * (8 * samples + per_bin)))


def roi_align_cost(op: OpView) -> Work:
    """A bin is the mean of its samples."""
    return _regions(op, "y", 0)


def roi_align_grad_cost(op: OpView) -> Work:
    """A bin's gradient over the number of its samples, given to the four pixels of each."""
    return _regions(op, "dy", 1)


_MODES = "nearest 3 d and 0; bilinear 5 d + 2^d (d - 1) and 2^(d + 1) - 1; bicubic 58 and 35"
_GRAD_MODES = "nearest 3 d and 1; bilinear 6 d + 2^d (d - 1) and 2^d (2 + d (d + 1)); bicubic 94 and 176"
_IGNORES = "what padding does to points outside; align_corners, a coefficient"
_REGIONS = "unknown where sampling_ratio is 0, for then each region has as many samples as it is large"

RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("affine_grid",),
        summary="Where each pixel of an image lies under an affine map.",
        formula="flops = 2 d for each number of grid over d axes: d products, d additions",
        shape=affine_grid_shape,
        readings=grid_sizes,
        resized=baked("size"),
        cost=affine_grid_cost,
        traffic=touch_all,
        ignores="the positions themselves, which follow from the extents: one for each row and column",
        source="Jaderberg et al., arXiv 1506.02025, equation 1",
        examples=(
            Example(
                call="affine_grid(theta: f32[2,2,3], size=[2,3,4,5], align_corners=false) -> grid: f32[2,4,5,2]",
                because="40 points of 2 numbers, each a * x + b * y + c",
                macs=0,
                flops=320,
                bytes_read=48,
                bytes_written=320,
            ),
            Example(
                call="affine_grid(theta: f32[1,3,4], size=[1,3,1,1,2], align_corners=true) -> grid: f32[1,1,1,2,3]",
                because="2 points of 3 numbers, each a sum of three products and a number",
                flops=36,
            ),
        ),
    ),
    OpRule(
        op_types=("affine_grid_grad",),
        summary="Gradient of a grid for its affine map.",
        formula="each of d x d entries of theta takes 2 P - 1 over P points, each of the last column P - 1",
        shape=affine_grid_grad_shape,
        cost=affine_grid_grad_cost,
        traffic=touch_all,
        ignores="the positions themselves",
        source="Jaderberg et al., arXiv 1506.02025",
        examples=(
            Example(
                call="affine_grid_grad(dgrid: f32[2,4,5,2], size=[2,3,4,5], align_corners=false) -> dtheta: f32[2,2,3]",
                because="2 maps of 2 rows: two sums of 20 products, 39 each, and a sum of 20 numbers, 19",
                flops=388,
                bytes_read=320,
                bytes_written=48,
            ),
        ),
    ),
    OpRule(
        op_types=("grid_sample",),
        summary="An image read at the points of a grid.",
        formula=f"flops for each point, and for each of its channels, over d axes: {_MODES}; unknown where the form lacks the mode",
        shape=grid_sample_shape,
        cost=grid_sample_cost,
        traffic=touch_all,
        ignores=_IGNORES,
        source="Jaderberg et al., arXiv 1506.02025; Keys 1981 for cubic convolution",
        examples=(
            Example(
                call='grid_sample(input: f32[1,3,4,4], grid: f32[1,2,2,2], interpolation_mode="bilinear", padding_mode="zeros", '
                "align_corners=false) -> output: f32[1,3,2,2]",
                because="4 points: 2 axes of 2 + 3, 4 weights of one product: 14; 3 channels of 4 products and 3 additions; reads 48 + 8 "
                "floats",
                macs=0,
                flops=140,
                transcendentals=0,
                bytes_read=224,
                bytes_written=48,
            ),
            Example(
                call='grid_sample(input: f32[1,1,2,2,2], grid: f32[1,1,1,1,3], interpolation_mode="bilinear", padding_mode="border", '
                "align_corners=true) -> output: f32[1,1,1,1,1]",
                because="3 axes of 5, 8 weights of two products, 8 products and 7 additions",
                flops=46,
            ),
            Example(
                call='grid_sample(input: f32[1,2,4,4], grid: f32[1,1,3,2], interpolation_mode="nearest", padding_mode="zeros", '
                "align_corners=false) -> output: f32[1,2,1,3]",
                because="3 points of 2 axes: a product, an addition, a rounding; pixels are copied",
                flops=18,
            ),
            Example(
                call='grid_sample(input: f32[1,1,4,4], grid: f32[1,1,1,2], interpolation_mode="bicubic", padding_mode="zeros", '
                "align_corners=false) -> output: f32[1,1,1,1]",
                because="2 axes: position 2, floor, fraction, weights 25; then 5 weighted sums of 4 pixels, 7 each",
                flops=93,
            ),
            Example(
                call="grid_sample(input: f32[1,3,4,4], grid: f32[1,2,2,2]) -> output: f32[1,3,2,2]",
                because="a printed graph: which interpolation is in no line",
                macs=0,
                flops="unknown",
                bytes_read=224,
            ),
        ),
    ),
    OpRule(
        op_types=("grid_sample_grad",),
        summary="Gradients of reading an image at the points of a grid, for both.",
        formula=f"flops for each point, and for each of its channels, over d axes: {_GRAD_MODES}: a product and an addition a pixel "
        "for the "
        "image, d products and an addition a pixel and axis for the grid; unknown where the form lacks the mode",
        shape=grid_sample_grad_shape,
        cost=grid_sample_grad_cost,
        traffic=touch_all,
        ignores=_IGNORES,
        source="Jaderberg et al., arXiv 1506.02025, equations 6 and 7; Keys 1981",
        examples=(
            Example(
                call='grid_sample_grad(doutput: f32[1,3,2,2], input: f32[1,3,4,4], grid: f32[1,2,2,2], interpolation_mode="bilinear", '
                'padding_mode="zeros", align_corners=false) -> dinput: f32[1,3,4,4], dgrid: f32[1,2,2,2]',
                because="4 points: 14 as before, 2 products by half the extent; 3 channels: 4 pixels of a product and an addition, and for "
                "each axis 2 products and an addition",
                flops=448,
                bytes_read=272,
                bytes_written=224,
            ),
            Example(
                call='grid_sample_grad(doutput: f32[1,1,1,1], input: f32[1,1,4,4], grid: f32[1,1,1,2], interpolation_mode="bicubic", '
                'padding_mode="zeros", align_corners=false) -> dinput: f32[1,1,4,4], dgrid: f32[1,1,1,2]',
                because="58 as before, slopes of the weights 17 and a product by half the extent on 2 axes; 16 pixels: 2 products and an "
                "addition, and for each axis 3 products and an addition",
                flops=270,
            ),
        ),
    ),
    OpRule(
        op_types=("roi_align",),
        summary="The mean of interpolated samples in each bin of each region.",
        formula="flops = 8 a region, 14 for where a sample lies, and for each channel 8 a sample: 4 products, 3 additions, the "
        f"mean; {_REGIONS}",
        shape=roi_align_shape,
        resized=baked("pooled_h", "pooled_w"),
        cost=roi_align_cost,
        traffic=touch_all,
        ignores="the shift of aligned regions, the clamping of the others and of samples outside",
        source="He et al., arXiv 1703.06870; OneFlow's roi_align_kernel.cu",
        examples=(
            Example(
                call="roi_align(x: f32[1,3,8,8], rois: f32[2,5], pooled_h=2, pooled_w=2, spatial_scale=0.5, sampling_ratio=2, "
                "aligned=false)"
                " -> y: f32[2,3,2,2]",
                because="2 regions: 4 corners scaled, 2 extents, 2 bin sizes; 8 bins of 4 samples: 2 axes of 2 + 3, 4 weights; 24 "
                "bins of a "
                "channel: 4 samples of 7, 3 additions, a quotient",
                macs=0,
                flops=16 + 448 + 768,
                bytes_read=768 + 40,
                bytes_written=96,
            ),
            Example(
                call="roi_align(x: f32[1,3,8,8], rois: f32[2,5], pooled_h=2, pooled_w=2, spatial_scale=0.5, sampling_ratio=0, "
                "aligned=false)"
                " -> y: f32[2,3,2,2]",
                because="as many samples as a region is large",
                macs=0,
                flops="unknown",
            ),
        ),
    ),
    OpRule(
        op_types=("roi_align_grad",),
        summary="Gradient of the mean of interpolated samples for the image.",
        formula="flops = 8 a region, 14 for where a sample lies, and for each channel 1 a bin and 8 a sample: 4 products, 4 additions; "
        f"{_REGIONS}; x_like gives a shape alone",
        shape=roi_align_grad_shape,
        cost=roi_align_grad_cost,
        traffic=moves(like=("x_like",)),
        ignores="the shift of aligned regions, the clamping of the others and of samples outside",
        source="He et al., arXiv 1703.06870; OneFlow's roi_align_kernel.cu",
        examples=(
            Example(
                call="roi_align_grad(dy: f32[2,3,2,2], x_like: f32[1,3,8,8], rois: f32[2,5], pooled_h=2, pooled_w=2, spatial_scale=0.5, "
                "sampling_ratio=2, aligned=false) -> dx: f32[1,3,8,8]",
                because="2 regions of 8; 32 samples of 14; 24 bins of a channel: a quotient, 4 samples of 8",
                flops=16 + 448 + 792,
                bytes_read=96 + 40,
                bytes_written=768,
            ),
        ),
    ),
)
