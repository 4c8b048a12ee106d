"""The data pipeline: readers of records, decoders, and buffers of samples whose sizes differ.

A record or a buffer is one element of a tensor, of as many bytes as its sample has: these bytes are in no dump, and unknown. Where a
tensor of numbers goes into buffers or comes out of them, its own bytes tell.
"""

from __future__ import annotations

import math

from irflops.ir.graph import DType, TensorType
from irflops.ops.buffers import buffers, still_buffers_shape, work_of_unknown_sizes
from irflops.ops.costs import no_work
from irflops.ops.facts import Effect
from irflops.ops.op_view import OpView
from irflops.ops.readings import inner_extents, result_extent, result_shape
from irflops.ops.resize import baked
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, ShapeRule
from irflops.ops.traffic import Traffic, touch_all
from irflops.ops.work import MissingShape

_READ = "no arithmetic: a sample is read; its bytes are unknown, and the file itself is not memory traffic"
_UNKNOWN = "the bytes of records and buffers are unknown"


def records_shape(*results: str) -> ShapeRule:
    """A shape rule: each result has a record for each sample of the batch."""

    def shape(op: OpView) -> Inferred:
        return dict.fromkeys(results, buffers(op.integer("batch_size", least=0)))

    return shape


def coco_shape(op: OpView) -> Inferred:
    """Buffers for image, boxes, labels and outlines; a number and two extents for each image."""
    batch = op.integer("batch_size", least=0)
    names = ("image", "gt_bbox", "gt_label", "gt_segm", "gt_segm_index")
    numbers = {"image_id": TensorType((batch,), DType.INT64), "image_size": TensorType((batch, 2), DType.INT32)}
    return {**dict.fromkeys(names, buffers(batch)), **numbers}


def decoded_shape(shape_attr: str) -> ShapeRule:
    """A shape rule: for each record a tensor of the shape and dtype that the attributes say."""

    def shape(op: OpView) -> Inferred:
        (batch,) = op.shape("in", rank=1)
        return {"out": TensorType((batch, *op.ints(shape_attr)), op.dtype_attr("data_type"))}

    return shape


def from_buffers_shape(op: OpView) -> Inferred:
    """The axes of the buffers, then those of what each holds."""
    return {"out": TensorType((*op.shape("in"), *op.ints("instance_shape")), op.dtype_attr())}


def to_buffers_shape(op: OpView) -> Inferred:
    """The axes before the last `instance_dims`, which go into a buffer each."""
    shape, inside = op.shape("in"), op.integer("instance_dims", least=0)
    if inside > len(shape):
        raise ValueError(f"in {shape} has no {inside} axes to put into buffers")
    return {"out": buffers(*shape[: len(shape) - inside])}


def one_shape_each(op: OpView) -> Inferred:
    """A tensor of one shape for each buffer."""
    return {"out": (TensorType(op.ints("out_shape"), op.dtype_attr("out_dtype")),) * _number_of_buffers(op)}


def own_shape_each(op: OpView) -> Inferred:
    """A tensor for each buffer, of a shape and a dtype of its own."""
    number, dtypes = _number_of_buffers(op), op.attr("out_dtypes")
    shapes = op.shape_list("out_shapes", length=number)
    if not isinstance(dtypes, tuple) or len(dtypes) != number:
        raise ValueError(f"out_dtypes {dtypes!r} are not for {number} buffers")
    return {"out": tuple(TensorType(shape, DType.named(dtype)) for shape, dtype in zip(shapes, dtypes, strict=True))}


def _number_of_buffers(op: OpView) -> int:
    number = op.numel("in")
    if number != len(op.outputs("out")):
        raise ValueError(f"in {op.shape('in')} has {number} buffers, and there are {len(op.outputs('out'))} results")
    return number


def made_buffers_shape(op: OpView) -> Inferred:
    """A buffer for each place of the shape."""
    return {"out": buffers(*op.ints("shape"))}


def made_buffers_traffic(op: OpView) -> Traffic:
    """What the buffers are filled with."""
    dtype = op.dtype_attr("data_type")
    return Traffic(reads={}, writes={"out": sum(dtype.nbytes(math.prod(shape)) for shape in op.shape_list("shape_list"))})


def into_buffers_traffic(op: OpView) -> Traffic:
    """The buffers hold what the tensor holds."""
    return Traffic(reads={"in": op.nbytes("in")}, writes={"out": op.nbytes("in")})


def out_of_buffers_traffic(op: OpView) -> Traffic:
    """The buffers hold what the results hold; where these may be shorter, it is not known how much."""
    if op.type != "tensor_buffer_to_tensor" and op.flag("dynamic_out"):
        raise MissingShape("how much the buffers hold")
    size = op.nbytes("out")
    return Traffic(reads={"in": size}, writes={"out": size})


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("OFRecordReader", "OneRecReader"),
        effects=frozenset({Effect.READS_NEXT}),
        summary="The next batch of records from files.",
        formula=_READ,
        shape=records_shape("out"),
        readings=result_extent("batch_size"),
        resized=baked("batch_size"),
        cost=no_work,
        traffic=touch_all,
        source="OneFlow's ofrecord_reader_op.cpp, onerec_reader_op.cpp",
        examples=(
            Example(
                call='OFRecordReader(data_dir="/data", batch_size=4) -> out: ?[4]',
                because="4 records, each as long as its sample",
                macs=0,
                flops=0,
                transcendentals=0,
                bytes_read="unknown",
                bytes_written="unknown",
            ),
        ),
    ),
    OpRule(
        op_types=("ofrecord_image_classification_reader",),
        effects=frozenset({Effect.READS_NEXT}),
        summary="The next batch of images, decoded, and of their labels, from files.",
        formula=f"flops unknown: decoding takes what an image's size and coding ask; {_UNKNOWN}",
        shape=records_shape("image", "label"),
        readings=result_extent("batch_size", "image"),
        resized=baked("batch_size"),
        cost=work_of_unknown_sizes,
        traffic=touch_all,
        source="OneFlow's ofrecord_image_classification_reader_op.cpp",
        examples=(
            Example(
                call="ofrecord_image_classification_reader(batch_size=2) -> image: ?[2], label: ?[2]",
                because="2 images of sizes of their own",
                macs=0,
                flops="unknown",
                bytes_written="unknown",
            ),
        ),
    ),
    OpRule(
        op_types=("COCOReader",),
        effects=frozenset({Effect.READS_NEXT}),
        summary="The next batch of images with boxes, labels and outlines.",
        formula=_READ,
        shape=coco_shape,
        readings=result_extent("batch_size", "image"),
        resized=baked("batch_size"),
        cost=no_work,
        traffic=touch_all,
        source="OneFlow's coco_reader_op.cpp",
        examples=(
            Example(
                call="COCOReader(batch_size=2) -> image: ?[2], image_id: i64[2], image_size: i32[2,2], gt_bbox: ?[2], gt_label: ?[2], "
                "gt_segm: ?[2], gt_segm_index: ?[2]",
                because="2 images, still packed",
                flops=0,
                bytes_written="unknown",
            ),
        ),
    ),
    OpRule(
        op_types=("ofrecord_raw_decoder",),
        summary="The numbers of a field of each record, as a tensor.",
        formula=f"no arithmetic: numbers are copied and cast; {_UNKNOWN}",
        shape=decoded_shape("shape"),
        readings=inner_extents("shape"),
        resized=baked("shape"),
        cost=no_work,
        traffic=touch_all,
        source="OneFlow's ofrecord_decoder_ops.cpp",
        examples=(
            Example(
                call='ofrecord_raw_decoder(in: ?[4], name="pixels", shape=[12], data_type="float32") -> out: f32[4,12]',
                because="4 records give 12 numbers each",
                macs=0,
                flops=0,
                bytes_read="unknown",
                bytes_written="unknown",
            ),
        ),
    ),
    OpRule(
        op_types=("onerec_decoder",),
        summary="The numbers under a key of each record, as a tensor.",
        formula=f"no arithmetic: numbers are copied; {_UNKNOWN}",
        shape=decoded_shape("static_shape"),
        readings=inner_extents("static_shape"),
        resized=baked("static_shape"),
        cost=no_work,
        traffic=touch_all,
        source="OneFlow's onerec_decoder_op.cpp (0.9.0)",
        examples=(
            Example(
                call='onerec_decoder(in: ?[4], key="x", static_shape=[2,3], data_type="int64") -> out: i64[4,2,3]',
                because="4 records give 6 numbers each",
                flops=0,
                bytes_read="unknown",
            ),
        ),
    ),
    OpRule(
        op_types=("ofrecord_bytes_decoder",),
        summary="The bytes of a field of each record, in buffers.",
        formula=f"no arithmetic: bytes are copied; {_UNKNOWN}",
        shape=still_buffers_shape,
        cost=no_work,
        traffic=touch_all,
        source="OneFlow's ofrecord_decoder_ops.cpp",
        examples=(
            Example(
                call='ofrecord_bytes_decoder(in: ?[4], name="encoded") -> out: ?[4]',
                because="4 records, 4 buffers",
                flops=0,
                bytes_read="unknown",
                bytes_written="unknown",
            ),
        ),
    ),
    OpRule(
        op_types=("tensor_to_tensor_buffer",),
        summary="The last axes of a tensor, a buffer for each entry of the others.",
        formula="no arithmetic; reads in and writes as many bytes: the buffers hold its elements",
        shape=to_buffers_shape,
        cost=no_work,
        traffic=into_buffers_traffic,
        source="OneFlow's tensor_buffer_ops.cpp",
        examples=(
            Example(
                call="tensor_to_tensor_buffer(in: f32[4,2,3], instance_dims=2) -> out: ?[4]",
                because="24 floats each way",
                flops=0,
                bytes_read=96,
                bytes_written=96,
            ),
        ),
    ),
    OpRule(
        op_types=("tensor_buffer_to_tensor",),
        summary="Buffers of one size as a tensor.",
        formula="no arithmetic; writes out and reads as many bytes: each buffer holds one instance",
        shape=from_buffers_shape,
        readings=inner_extents("instance_shape"),
        resized=baked("instance_shape"),
        cost=no_work,
        traffic=out_of_buffers_traffic,
        source="OneFlow's tensor_buffer_ops.cpp",
        examples=(
            Example(
                call='tensor_buffer_to_tensor(in: ?[4], instance_shape=[2,3], dtype="float32") -> out: f32[4,2,3]',
                because="24 floats each way",
                flops=0,
                bytes_read=96,
                bytes_written=96,
            ),
        ),
    ),
    OpRule(
        op_types=("tensor_buffer_to_list_of_tensors",),
        summary="Each buffer as a tensor of one shape.",
        formula="no arithmetic; writes out and reads as many bytes; unknown where the results may be shorter (dynamic_out)",
        shape=one_shape_each,
        resized=baked("out_shape"),
        cost=no_work,
        traffic=out_of_buffers_traffic,
        source="OneFlow's tensor_buffer_ops.cpp",
        examples=(
            Example(
                call='tensor_buffer_to_list_of_tensors(in: ?[2], out_shape=[3], out_dtype="float32", dynamic_out=false) -> '
                "out: [f32[3], f32[3]]",
                because="6 floats each way",
                flops=0,
                bytes_read=24,
                bytes_written=24,
            ),
            Example(
                call='tensor_buffer_to_list_of_tensors(in: ?[2], out_shape=[3], out_dtype="float32", dynamic_out=true) -> '
                "out: [f32[3], f32[3]]",
                because="3 floats each at the most",
                flops=0,
                bytes_read="unknown",
            ),
        ),
    ),
    OpRule(
        op_types=("tensor_buffer_to_list_of_tensors_v2",),
        summary="Each buffer as a tensor of a shape of its own.",
        formula="no arithmetic; writes out and reads as many bytes; unknown where the results may be shorter (dynamic_out)",
        shape=own_shape_each,
        cost=no_work,
        traffic=out_of_buffers_traffic,
        source="OneFlow's tensor_buffer_ops.cpp",
        examples=(
            Example(
                call='tensor_buffer_to_list_of_tensors_v2(in: ?[2], out_shapes=[[3],[2,2]], out_dtypes=["float32","int64"], '
                "dynamic_out=false) -> out: [f32[3], i64[2,2]]",
                because="3 floats and 4 of 8 bytes each way",
                flops=0,
                bytes_read=44,
                bytes_written=44,
            ),
        ),
    ),
    OpRule(
        op_types=("gen_tensor_buffer",),
        summary="Buffers filled with one value each, as OneFlow's tests make them.",
        formula="no arithmetic; writes all that the buffers hold, whose shapes an attribute lists",
        shape=made_buffers_shape,
        readings=result_shape("shape"),
        resized=baked("shape"),
        cost=no_work,
        traffic=made_buffers_traffic,
        source="OneFlow's tensor_buffer_ops.cpp",
        examples=(
            Example(
                call='gen_tensor_buffer(shape=[2], shape_list=[[3],[2,2]], value_list=[0.0,1.0], data_type="float32") -> out: ?[2]',
                because="3 and 4 floats",
                flops=0,
                bytes_read=0,
                bytes_written=28,
            ),
        ),
    ),
)
