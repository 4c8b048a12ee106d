"""Images, boxes and outlines of a data pipeline, in buffers of sizes of their own until they are cut or resized to one size."""

from __future__ import annotations

from irflops.ir.graph import DType, TensorType
from irflops.ops.buffers import buffers, still_buffers_shape, work_of_unknown_sizes
from irflops.ops.costs import no_work
from irflops.ops.facts import Effect
from irflops.ops.op_view import OpView
from irflops.ops.resize import baked
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred
from irflops.ops.traffic import Traffic, touch_all
from irflops.ops.work import MissingShape, Work

_UNKNOWN = "the bytes of buffers are unknown"
_BY_SIZE = f"flops unknown: as much as sizes ask for that are in no dump; {_UNKNOWN}"


def _channels(op: OpView) -> int:
    """Of a pixel, by the name of its color space."""
    return 1 if op.attr("color_space") == "GRAY" else 3


def _laid_out(op: OpView, batch: int, height: int, width: int) -> Inferred:
    layout, channels = op.attr("output_layout"), _channels(op)
    if layout not in ("NCHW", "NHWC"):
        raise ValueError(f"no result is laid out as {layout!r}")
    shape = (batch, channels, height, width) if layout == "NCHW" else (batch, height, width, channels)
    return {"out": TensorType(shape, op.dtype_attr("output_dtype"))}


def cropped_buffers_shape(op: OpView) -> Inferred:
    """A window of one size from each image."""
    (batch,) = op.shape("in", rank=1)
    return _laid_out(op, batch, op.integer("crop_h", least=1), op.integer("crop_w", least=1))


def cropped_pixels_shape(op: OpView) -> Inferred:
    """A window of one size from each image of one size, whole where none is asked for."""
    batch, height, width, channels = op.shape("in", rank=4)
    if channels != _channels(op):
        raise ValueError(f"in {op.shape('in')} has {channels} channels, {op.attr('color_space')} has {_channels(op)}")
    crop = (op.integer("crop_h", least=0), op.integer("crop_w", least=0))
    if 0 not in crop:
        height, width = min(height, crop[0]), min(width, crop[1])
    return _laid_out(op, batch, height, width)


def normalized_cost(op: OpView) -> Work:
    """Less the mean, times 1 / std, which is worked out once."""
    return Work(arithmetic=2 * op.numel("out"))


def cropped_traffic(op: OpView) -> Traffic:
    """A byte is read for each number that is written, and a flag for each image."""
    reads = {"in": op.dtype("in").nbytes(op.numel("out"))} | ({"mirror": op.nbytes("mirror")} if op.inputs("mirror") else {})
    return Traffic(reads=reads, writes={"out": op.nbytes("out")})


def fixed_size_shape(op: OpView) -> Inferred:
    """All images of one size, and by how much each was scaled."""
    (batch,) = op.shape("in", rank=1)
    size = (op.integer("target_height", least=1), op.integer("target_width", least=1), op.integer("channels", least=1))
    return {"out": TensorType((batch, *size), op.dtype_attr("data_type")), "scale": TensorType((batch, 2), DType.FLOAT32)}


_RESAMPLED = {"nearest_neighbor": 0, "nn": 0, "bilinear": 9, "bicubic": 35}
"""Operations for each number of the result, as of an upsample: one axis after the other, a weighted sum of 1, 2 or 4 numbers."""


def resized_cost(op: OpView) -> Work:
    """As many weighted sums as the interpolation takes; `area` and `auto` go by the images' own sizes."""
    each = _RESAMPLED.get(str(op.attrs.get("interpolation_type")))
    if each is None:
        raise MissingShape("interpolation_type", known=Work(arithmetic=None))
    return Work(arithmetic=each * op.numel("out"))


def target_size_shape(op: OpView) -> Inferred:
    """Each image of a size of its own, its extents, and by how much it was scaled."""
    (batch,) = op.shape("in", rank=1)
    return {"out": buffers(batch), "size": TensorType((batch, 2), DType.INT32), "scale": TensorType((batch, 2), DType.FLOAT32)}


def kept_aspect_shape(op: OpView) -> Inferred:
    """Buffers of images, of their extents, and of by how much each was scaled."""
    (batch,) = op.shape("in", rank=1)
    return dict.fromkeys(("out", "size", "scale"), buffers(batch))


def aligned_shape(op: OpView) -> Inferred:
    """The largest shape that is given, for each image."""
    (batch,) = op.shape("in", rank=1)
    return {"out": TensorType((batch, *op.ints("shape", length=3)), op.dtype_attr("data_type"))}


def resized_window_shape(op: OpView) -> Inferred:
    """Windows of one size in three channels."""
    return {"out": TensorType((*op.shape("in"), op.integer("target_height"), op.integer("target_width"), 3), DType.UINT8)}


def like_first_shape(op: OpView) -> Inferred:
    """A buffer for each operand's."""
    return {"out": buffers(*op.shape(op.first_input))}


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("crop_mirror_normalize_from_tensorbuffer",),
        summary="A window of each image, mirrored or not, less a mean and over a deviation.",
        formula=f"flops = 2 * numel(out): less mean, times 1 / std; {_UNKNOWN}",
        shape=cropped_buffers_shape,
        resized=baked("crop_h", "crop_w"),
        cost=normalized_cost,
        traffic=touch_all,
        source="OneFlow's image_preprocess_ops.cpp",
        examples=(
            Example(
                call='crop_mirror_normalize_from_tensorbuffer(in: ?[2], mirror: i8[2], color_space="RGB", output_layout="NCHW", crop_h=4, '
                'crop_w=5, output_dtype="float32") -> out: f32[2,3,4,5]',
                because="120 numbers, 2 operations each",
                macs=0,
                flops=240,
                bytes_read="unknown",
            ),
        ),
    ),
    OpRule(
        op_types=("crop_mirror_normalize_from_uint8",),
        summary="A window of each image of one size, mirrored or not, less a mean and over a deviation.",
        formula="flops = 2 * numel(out): less mean, times 1 / std; reads as many numbers of in as out has, and mirror; writes out",
        shape=cropped_pixels_shape,
        resized=baked("crop_h", "crop_w"),
        cost=normalized_cost,
        traffic=cropped_traffic,
        source="OneFlow's image_preprocess_ops.cpp",
        examples=(
            Example(
                call='crop_mirror_normalize_from_uint8(in: u8[2,6,6,3], mirror: i8[2], color_space="BGR", output_layout="NHWC", crop_h=4, '
                'crop_w=8, output_dtype="float32") -> out: f32[2,4,6,3]',
                because="144 numbers: the window is no wider than the image; a byte read for each, and 2 flags",
                flops=288,
                bytes_read=146,
                bytes_written=576,
            ),
            Example(
                call='crop_mirror_normalize_from_uint8(in: u8[1,2,2,1], color_space="GRAY", output_layout="NCHW", crop_h=0, crop_w=0, '
                'output_dtype="float32") -> out: f32[1,1,2,2]',
                because="the whole image",
                flops=8,
                bytes_read=4,
                bytes_written=16,
            ),
        ),
    ),
    OpRule(
        op_types=("image_resize_to_fixed",),
        summary="Each image resized to one size.",
        formula="flops = 9 * numel(out) bilinear, 35 bicubic, 0 nearest_neighbor; unknown for area and auto, which go by the images' own "
        f"sizes; {_UNKNOWN}",
        shape=fixed_size_shape,
        resized=baked("target_height", "target_width"),
        cost=resized_cost,
        traffic=touch_all,
        ignores="where each number comes from: positions and weights are worked out once for each row and column; the scale",
        source="OneFlow's image_resize_ops.cpp",
        examples=(
            Example(
                call='image_resize_to_fixed(in: ?[2], target_width=4, target_height=5, channels=3, data_type="uint8", '
                'interpolation_type="bilinear") -> out: u8[2,5,4,3], scale: f32[2,2]',
                because="120 numbers; each of two weighted sums along one axis and one along the other, 3 operations each",
                flops=1080,
                bytes_read="unknown",
            ),
            Example(
                call='image_resize_to_fixed(in: ?[1], target_width=2, target_height=2, channels=1, data_type="float32", '
                'interpolation_type="auto") -> out: f32[1,2,2,1], scale: f32[1,2]',
                because="by area where it shrinks, bilinear where it grows",
                macs=0,
                flops="unknown",
            ),
        ),
    ),
    OpRule(
        op_types=("image_resize_keep_aspect_ratio",),
        summary="Each image resized until its shorter or longer side has a size.",
        formula=_BY_SIZE,
        shape=kept_aspect_shape,
        cost=work_of_unknown_sizes,
        traffic=touch_all,
        source="OneFlow's image_resize_ops.cpp",
        examples=(
            Example(
                call="image_resize_keep_aspect_ratio(in: ?[2], target_size=8) -> out: ?[2], size: ?[2], scale: ?[2]",
                because="the other side is as long as the image makes it",
                macs=0,
                flops="unknown",
                bytes_read="unknown",
            ),
        ),
    ),
    OpRule(
        op_types=("image_target_resize",),
        summary="Each image resized until its shorter side has a size.",
        formula=_BY_SIZE,
        shape=target_size_shape,
        cost=work_of_unknown_sizes,
        traffic=touch_all,
        source="OneFlow's image_target_resize_op.cpp",
        examples=(
            Example(
                call="image_target_resize(in: ?[2], target_size=8, max_size=16) -> out: ?[2], size: i32[2,2], scale: f32[2,2]",
                because="the other side is as long as the image makes it",
                macs=0,
                flops="unknown",
            ),
        ),
    ),
    OpRule(
        op_types=("image_decode", "ofrecord_image_decoder"),
        summary="Images decoded.",
        formula=f"flops unknown: decoding takes what an image's size and coding ask; {_UNKNOWN}",
        shape=still_buffers_shape,
        cost=work_of_unknown_sizes,
        traffic=touch_all,
        source="OneFlow's image_decode_op.cpp, ofrecord_decoder_ops.cpp",
        examples=(
            Example(
                call='ofrecord_image_decoder(in: ?[4], name="encoded", color_space="RGB") -> out: ?[4]',
                because="4 images",
                macs=0,
                flops="unknown",
                bytes_read="unknown",
                bytes_written="unknown",
            ),
        ),
    ),
    OpRule(
        op_types=("ofrecord_image_decoder_random_crop",),
        effects=frozenset({Effect.RANDOM}),
        summary="Images decoded, a random window of each.",
        formula=f"flops unknown: decoding takes what an image's size and coding ask; {_UNKNOWN}",
        shape=still_buffers_shape,
        cost=work_of_unknown_sizes,
        traffic=touch_all,
        source="OneFlow's ofrecord_decoder_ops.cpp",
        examples=(
            Example(
                call='ofrecord_image_decoder_random_crop(in: ?[4], name="encoded") -> out: ?[4]',
                because="4 images",
                macs=0,
                flops="unknown",
            ),
        ),
    ),
    OpRule(
        op_types=("image_decoder_random_crop_resize",),
        effects=frozenset({Effect.RANDOM}),
        summary="Images decoded, a random window of each resized to one size.",
        formula=f"flops unknown: decoding takes what an image's size and coding ask; {_UNKNOWN}",
        shape=resized_window_shape,
        cost=work_of_unknown_sizes,
        traffic=touch_all,
        source="OneFlow's op_conf.proto; the size stands in a message that is not read",
        examples=(
            Example(
                call="image_decoder_random_crop_resize(in: ?[4], target_width=8, target_height=6) -> out: u8[4,6,8,3]",
                because="4 images",
                macs=0,
                flops="unknown",
                bytes_read="unknown",
            ),
        ),
    ),
    OpRule(
        op_types=("image_random_crop",),
        effects=frozenset({Effect.RANDOM}),
        summary="A random window of each image.",
        formula=f"no arithmetic: pixels are copied; {_UNKNOWN}",
        shape=still_buffers_shape,
        cost=no_work,
        traffic=touch_all,
        source="OneFlow's image_preprocess_ops.cpp",
        examples=(Example(call="image_random_crop(in: ?[4]) -> out: ?[4]", because="pixels, copied", flops=0, bytes_read="unknown"),),
    ),
    OpRule(
        op_types=("image_flip",),
        overwrites={"out": "in"},
        summary="Images, mirrored where a flag says so.",
        formula=f"no arithmetic: pixels are copied; {_UNKNOWN}",
        shape=still_buffers_shape,
        cost=no_work,
        traffic=touch_all,
        source="OneFlow's image_object_preprocess_ops.cpp",
        examples=(
            Example(call="image_flip(in: ?[4], flip_code: i8[4]) -> out: ?[4]", because="pixels, copied", flops=0, bytes_read="unknown"),
        ),
    ),
    OpRule(
        op_types=("image_batch_align",),
        summary="Images of several sizes in one tensor, with zeros around the smaller ones.",
        formula=f"no arithmetic: pixels are copied; {_UNKNOWN}",
        shape=aligned_shape,
        resized=baked("shape"),
        cost=no_work,
        traffic=touch_all,
        source="OneFlow's image_batch_align_op.cpp",
        examples=(
            Example(
                call='image_batch_align(in: ?[2], shape=[8,8,3], data_type="float32", alignment=1) -> out: f32[2,8,8,3]',
                because="the size that is given, the largest that there can be",
                flops=0,
                bytes_read="unknown",
            ),
        ),
    ),
    OpRule(
        op_types=("image_normalize",),
        overwrites={"out": "in"},
        summary="Images less a mean and over a deviation.",
        formula=_BY_SIZE,
        shape=still_buffers_shape,
        cost=work_of_unknown_sizes,
        traffic=touch_all,
        source="OneFlow's image_object_preprocess_ops.cpp",
        examples=(Example(call="image_normalize(in: ?[2]) -> out: ?[2]", because="2 operations a number", macs=0, flops="unknown"),),
    ),
    *(
        OpRule(
            op_types=op_types,
            overwrites={"out": operand},
            summary=f"{things} that follow an image that was mirrored or scaled.",
            formula=f"flops unknown: as much as there are {things.lower()} in an image, which is in no dump; {_UNKNOWN}",
            shape=like_first_shape,
            cost=work_of_unknown_sizes,
            traffic=touch_all,
            source="OneFlow's image_object_preprocess_ops.cpp",
            examples=(
                Example(
                    call=f"{op_types[1]}({operand}: ?[2], scale: f32[2,2]) -> out: ?[2]",
                    because="a product for each coordinate, of so many as an image has",
                    macs=0,
                    flops="unknown",
                    bytes_read="unknown",
                ),
            ),
        )
        for op_types, operand, things in (
            (("object_bbox_flip", "object_bbox_scale"), "bbox", "Boxes"),
            (("object_segmentation_polygon_flip", "object_segmentation_polygon_scale"), "poly", "Outlines"),
        )
    ),
    OpRule(
        op_types=("object_segmentation_polygon_to_mask",),
        summary="Outlines of objects as masks of their pixels.",
        formula=f"flops unknown: as much as outlines and images are large, which is in no dump; {_UNKNOWN}",
        shape=like_first_shape,
        cost=work_of_unknown_sizes,
        traffic=touch_all,
        source="OneFlow's image_object_preprocess_ops.cpp",
        examples=(
            Example(
                call="object_segmentation_polygon_to_mask(poly: ?[2], poly_index: ?[2], image_size: i32[2,2]) -> out: ?[2]",
                because="a mask for each outline",
                macs=0,
                flops="unknown",
            ),
        ),
    ),
)
