"""Tensors out of nothing: constants, ranges, random numbers."""

from __future__ import annotations

import math

from irflops.ir.graph import DType, TensorType
from irflops.ops.costs import no_work
from irflops.ops.facts import Effect
from irflops.ops.op_view import OpView
from irflops.ops.readings import ranges, result_extent, result_shape, rows_and_columns
from irflops.ops.resize import baked
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, ShapeRule
from irflops.ops.temporary import cub_buffer
from irflops.ops.traffic import moves, touch_all, touch_nothing

_WRITES = "no arithmetic; writes out"
_RANDOM = "no arithmetic: random bits and their transformation are not counted; writes out"


def declared(shape_attr: str = "shape") -> ShapeRule:
    """A shape rule: shape and dtype stand in the attributes."""

    def shape(op: OpView) -> Inferred:
        return {"out": TensorType(op.ints(shape_attr), op.dtype_attr())}

    return shape


def arange_shape(op: OpView) -> Inferred:
    """The steps from start to limit, which is left out; exact for integers."""
    dtype = op.dtype_attr()
    if dtype.is_float:
        start, limit, step = (op.number(f"float_{name}") for name in ("start", "limit", "delta"))
        steps = math.ceil((limit - start) / step) if step else None
    else:
        first, end, stride = (op.integer(f"integer_{name}") for name in ("start", "limit", "delta"))
        steps = -((first - end) // stride) if stride else None
    if steps is None:
        raise ValueError("the step of arange is 0")
    return {"out": TensorType((max(0, steps),), dtype)}


def eye_shape(op: OpView) -> Inferred:
    """rows x cols."""
    return {"out": TensorType((op.integer("rows"), op.integer("cols")), op.dtype_attr())}


def randperm_shape(op: OpView) -> Inferred:
    """A permutation of n positions, always int32."""
    return {"out": TensorType((op.integer("n"),), DType.INT32)}


def coin_flip_shape(op: OpView) -> Inferred:
    """A flag per sample of the batch."""
    return {"out": TensorType((op.integer("batch_size"),), DType.INT8)}


def raw_reader_shape(op: OpView) -> Inferred:
    """batch_size instances."""
    return {"out": TensorType((op.integer("batch_size"), *op.ints("shape")), op.dtype_attr("data_type"))}


def token_reader_shape(op: OpView) -> Inferred:
    """batch_size rows of seq_length + label_length tokens."""
    return {"out": TensorType((op.integer("batch_size"), op.integer("seq_length") + op.integer("label_length")), op.dtype_attr())}


def permutation_shape(op: OpView) -> Inferred:
    """A position for each entry of the first axis."""
    return {"y": TensorType(op.shape("x")[:1], DType.INT32)}


def multinomial_shape(op: OpView) -> Inferred:
    """num_samples class numbers per row of probabilities."""
    return {"out": TensorType((*op.shape("x")[:-1], op.integer("num_samples")), DType.INT64)}


def constant_like_shape(op: OpView) -> Inferred:
    """The shape of like, and its dtype unless another is named."""
    like = op.input("like")
    return {"out": TensorType(like.shape, op.dtype_attr("data_type")) if "data_type" in op.attrs else like}


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("constant", "tensor_constant"),
        unreused=True,
        summary="A tensor filled with one number.",
        formula=_WRITES,
        shape=declared(),
        readings=result_shape("shape"),
        resized=baked("shape"),
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call='constant(shape=[2,3], dtype="int64", is_floating_value=false, integer_value=1) -> out: i64[2,3]',
                because="6 elements of 8 bytes",
                flops=0,
                bytes_read=0,
                bytes_written=48,
            ),
            Example(call="constant() -> out: f32[4]", because="4 floats, as printed", flops=0, bytes_written=16, inferable=False),
        ),
    ),
    OpRule(
        op_types=("constant_like",),
        summary="A tensor of another's shape, filled with one number; a system operator, behind a static loss scale.",
        formula=_WRITES + "; like gives a shape alone",
        shape=constant_like_shape,
        cost=no_work,
        traffic=moves(like=("like",)),
        source="OneFlow core/operator/constant_like_op.cpp",
        examples=(
            Example(
                call="constant_like(like: f32[2,3]) -> out: f32[2,3]",
                because="6 floats are written, like is not read",
                flops=0,
                bytes_read=0,
                bytes_written=24,
            ),
        ),
    ),
    OpRule(
        op_types=("empty",),
        unreused=True,
        summary="A tensor that is not filled.",
        formula="no arithmetic; no bytes: nothing is written",
        shape=declared(),
        readings=result_shape("shape"),
        resized=baked("shape"),
        cost=no_work,
        traffic=touch_nothing,
        examples=(
            Example(call='empty(shape=[8,8], dtype="float32") -> out: f32[8,8]', because="memory as it is", flops=0, bytes_written=0),
            Example(call='empty(shape=[], dtype="float32") -> out: f32[]', because="a scalar", flops=0, bytes_written=0),
        ),
    ),
    OpRule(
        op_types=("arange",),
        summary="Evenly spaced numbers from start up to limit, which is left out.",
        formula=f"{_WRITES}; a position's number is indexing",
        shape=arange_shape,
        readings=ranges,
        resized=baked("integer_limit"),
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call='arange(dtype="int64", integer_start=0, integer_limit=10, integer_delta=3) -> out: i64[4]',
                because="0, 3, 6, 9: 4 numbers of 8 bytes",
                flops=0,
                bytes_read=0,
                bytes_written=32,
            ),
            Example(
                call='arange(dtype="int32", integer_start=5, integer_limit=0, integer_delta=-2) -> out: i32[3]',
                because="5, 3, 1: 3 numbers of 4 bytes",
                bytes_written=12,
            ),
            Example(
                call='arange(dtype="float32", float_start=0.0, float_limit=1.0, float_delta=0.25) -> out: f32[4]',
                because="0, 0.25, 0.5, 0.75",
                bytes_written=16,
            ),
        ),
    ),
    OpRule(
        op_types=("eye",),
        summary="Ones on the diagonal, zeros elsewhere.",
        formula=_WRITES,
        shape=eye_shape,
        readings=rows_and_columns,
        resized=baked("rows", "cols"),
        cost=no_work,
        traffic=touch_all,
        examples=(Example(call='eye(rows=2, cols=3, dtype="float32") -> out: f32[2,3]', because="6 floats", flops=0, bytes_written=24),),
    ),
    OpRule(
        op_types=("normal", "uniform", "uniform_int"),
        unreused=True,
        effects=frozenset({Effect.RANDOM}),
        summary="Random numbers of a distribution.",
        formula=_RANDOM,
        shape=declared(),
        readings=result_shape("shape"),
        resized=baked("shape"),
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(call='normal(shape=[4,4], dtype="float32") -> out: f32[4,4]', because="16 floats", flops=0, bytes_written=64),
            Example(call='uniform_int(shape=[3], dtype="int64") -> out: i64[3]', because="3 of 8 bytes", flops=0, bytes_written=24),
        ),
    ),
    OpRule(
        op_types=("exponential",),
        unreused=True,
        effects=frozenset({Effect.RANDOM}),
        summary="Random numbers of the exponential distribution.",
        formula=_RANDOM,
        shape=declared("out_shape"),
        readings=result_shape("out_shape"),
        resized=baked("out_shape"),
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(call='exponential(out_shape=[5], dtype="float32") -> out: f32[5]', because="5 floats", flops=0, bytes_written=20),
        ),
    ),
    OpRule(
        op_types=("randperm",),
        temporary=cub_buffer,
        effects=frozenset({Effect.RANDOM}),
        summary="A random permutation of n positions.",
        formula=_RANDOM,
        shape=randperm_shape,
        readings=result_extent("n"),
        resized=baked("n"),
        cost=no_work,
        traffic=touch_all,
        examples=(Example(call="randperm(n=6) -> out: i32[6]", because="6 of 4 bytes", flops=0, bytes_written=24),),
    ),
    OpRule(
        op_types=("generate_random_batch_permutation_indices",),
        effects=frozenset({Effect.RANDOM}),
        summary="A random permutation of the rows of a tensor.",
        formula=f"{_RANDOM}; x gives its number of rows alone",
        shape=permutation_shape,
        cost=no_work,
        traffic=moves(like=("x",)),
        examples=(
            Example(
                call="generate_random_batch_permutation_indices(x: f32[8,3]) -> y: i32[8]",
                because="8 row numbers of 4 bytes",
                flops=0,
                bytes_read=0,
                bytes_written=32,
            ),
        ),
    ),
    OpRule(
        op_types=("coin_flip",),
        effects=frozenset({Effect.RANDOM}),
        summary="A random flag per sample.",
        formula=_RANDOM,
        shape=coin_flip_shape,
        readings=result_extent("batch_size"),
        resized=baked("batch_size"),
        cost=no_work,
        traffic=touch_all,
        examples=(Example(call="coin_flip(batch_size=32) -> out: i8[32]", because="32 bytes", flops=0, bytes_written=32),),
    ),
    OpRule(
        op_types=("multinomial_with_replacement",),
        effects=frozenset({Effect.RANDOM}),
        summary="Class numbers drawn at random by their weights.",
        formula="no arithmetic: drawing is not counted; reads weights and prefix sums, writes out",
        shape=multinomial_shape,
        readings=result_extent("num_samples"),
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call="multinomial_with_replacement(x: f32[2,10], num_samples=3) -> out: i64[2,3]",
                because="20 floats in, 6 numbers of 8 bytes out",
                flops=0,
                bytes_read=80,
                bytes_written=48,
            ),
        ),
    ),
    OpRule(
        op_types=("raw_reader",),
        effects=frozenset({Effect.READS_NEXT}),
        summary="A batch read from files.",
        formula=f"{_WRITES}; the file itself is not memory traffic",
        shape=raw_reader_shape,
        resized=baked("batch_size"),
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call='raw_reader(batch_size=4, shape=[3,2], data_type="float32") -> out: f32[4,3,2]',
                because="24 floats",
                flops=0,
                bytes_written=96,
            ),
        ),
    ),
    OpRule(
        op_types=("megatron_gpt_mmap_data_loader",),
        effects=frozenset({Effect.READS_NEXT}),
        updates=("iteration",),
        summary="A batch of token rows read from a mapped file.",
        formula=f"{_WRITES}; the file itself is not memory traffic",
        shape=token_reader_shape,
        resized=baked("batch_size", "seq_length"),
        cost=no_work,
        traffic=touch_all,
        examples=(
            Example(
                call='megatron_gpt_mmap_data_loader(batch_size=2, seq_length=8, label_length=1, dtype="int64") -> out: i64[2,9]',
                because="18 tokens of 8 bytes",
                flops=0,
                bytes_written=144,
            ),
            Example(
                call="megatron_gpt_mmap_data_loader(iteration: i64[1], batch_size=1, seq_length=2, label_length=1, "
                'dtype="int64") -> out: i64[1,3]',
                because="3 tokens of 8 bytes; the iteration, counted on in place",
                flops=0,
                bytes_read=8,
                bytes_written=32,
            ),
        ),
    ),
)
