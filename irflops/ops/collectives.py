"""What moves tensors between devices and computes nothing of the model: collectives, boxing between placements, sending and receiving."""

from __future__ import annotations

from irflops.ir.graph import TensorType
from irflops.ops.costs import no_work
from irflops.ops.facts import Effect
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, no_result_shape, normal_axis
from irflops.ops.traffic import touch_nothing

_COMMUNICATION = (
    "no arithmetic: a sum over devices puts together what is one tensor of the graph; no bytes of memory traffic: what moves is "
    "communication"
)
_IGNORES = "communication, which is counted on the edges between devices"


def handed_on_shape(op: OpView) -> Inferred:
    """Each result is the operand of its place: the logical tensor stays, how it lies on the devices changes."""
    return {"out": op.inputs("in")}


def broadcast_list_shape(op: OpView) -> Inferred:
    """Operand by operand; where the form lists shapes (from 0.9.0 on), the root alone has the operands, and the list tells."""
    if not op.attrs.get("shape_list"):
        return handed_on_shape(op)
    operands = op.inputs("in")
    shapes = op.shape_list("shape_list", length=len(operands))
    return {"out": tuple(TensorType(shape, tensor.dtype) for shape, tensor in zip(shapes, operands, strict=True))}


def whole_shape(op: OpView) -> Inferred:
    """The logical shape, which an attribute holds."""
    return {"out": TensorType(op.ints("shape"), op.input("in").dtype)}


def piece_shape(op: OpView) -> Inferred:
    """A rank's piece of the logical shape; how much of the split axis it has is another rank's affair, and not known here."""
    shape = op.ints("shape")
    axis = normal_axis(op.integer("out_split_axis"), len(shape))
    return {"out": TensorType((*shape[:axis], None, *shape[axis + 1 :]), op.input("in").dtype)}


def received_shape(op: OpView) -> Inferred:
    """What the attributes say is sent."""
    return {"out": TensorType(op.ints("shape"), op.dtype_attr())}


_NCCL = tuple(
    f"_nccl_logical_{name}"
    for name in (
        "all_reduce",
        "reduce_scatter",
        "reduce_scatter_noncontinuous",
        "all_gather",
        "all_gather_noncontinuous",
        "s2s",
        "send_recv",
        "2D_same_dim0_all_reduce",
        "2D_same_dim1_all_reduce",
        "2D_same_dim0_all_gather",
        "2D_same_dim0_all_gather_noncontinuous",
        "2D_same_dim0_all2all",
    )
)
_EAGER = tuple(
    f"eager_{library}_{name}" for library in ("ccl", "nccl") for name in ("all_reduce", "reduce", "reduce_scatter", "all_gather", "s2s")
)

RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=(*_NCCL, "_nccl_logical_fusion"),
        summary="A tensor in another sbp, by an operation of NCCL that stands in the graph.",
        formula=_COMMUNICATION,
        shape=handed_on_shape,
        cost=no_work,
        traffic=touch_nothing,
        ignores=_IGNORES,
        source="OneFlow's nccl_logical_ops.cpp: the logical tensor stays as it is",
        examples=(
            Example(
                call='_nccl_logical_all_reduce(in: f32[4,8], src_reduced_nd_sbp=["P"], dst_reduced_nd_sbp=["B"]) -> out: f32[4,8]',
                because="partial sums become the one tensor that they were of",
                macs=0,
                flops=0,
                bytes_read=0,
                bytes_written=0,
            ),
            Example(
                call="_nccl_logical_fusion(in: [f32[4,8], f16[3]]) -> out: [f32[4,8], f16[3]]",
                because="several at once",
                flops=0,
                bytes_read=0,
                bytes_written=0,
            ),
        ),
    ),
    OpRule(
        op_types=(*_EAGER, "eager_symmetric_s_to_p"),
        summary="A collective of OneFlow's eager mode: reduce, gather, scatter or exchange.",
        formula=_COMMUNICATION,
        shape=handed_on_shape,
        cost=no_work,
        traffic=touch_nothing,
        ignores=_IGNORES,
        source="OneFlow's eager_ccl_ops.cpp, eager_nccl_ops.cpp (0.8.0) and eager_symmetric_s_to_p_op.cpp, the shapes of logical tensors",
        examples=(
            Example(
                call="eager_ccl_all_gather(in: f32[8,2]) -> out: f32[8,2]",
                because="the logical tensor, on each rank",
                flops=0,
                bytes_read=0,
                bytes_written=0,
            ),
            Example(
                call="eager_symmetric_s_to_p(in: f32[8,2], in_split_axis=0) -> out: f32[8,2]", because="one tensor", flops=0, bytes_read=0
            ),
        ),
    ),
    OpRule(
        op_types=("eager_ccl_broadcast", "eager_nccl_broadcast"),
        summary="Tensors of one rank on all ranks.",
        formula=_COMMUNICATION,
        shape=broadcast_list_shape,
        cost=no_work,
        traffic=touch_nothing,
        ignores=_IGNORES,
        source="OneFlow's eager_ccl_ops.cpp; 0.8.0 has one operand and no shape_list",
        examples=(
            Example(call="eager_nccl_broadcast(in: f32[8,2], root=0) -> out: f32[8,2]", because="a copy", flops=0, bytes_read=0),
            Example(
                call="eager_ccl_broadcast(in: [f32[1], f16[1]], shape_list=[[8,2],[]], root=0) -> out: [f32[8,2], f16[]]",
                because="the list says what comes from the root",
                flops=0,
                bytes_written=0,
            ),
        ),
    ),
    OpRule(
        op_types=("eager_p_to_b", "eager_s_to_b", "eager_s_to_p"),
        summary="A tensor on other devices in another sbp, eager: whole on each.",
        formula=_COMMUNICATION,
        shape=whole_shape,
        cost=no_work,
        traffic=touch_nothing,
        ignores=_IGNORES,
        source="OneFlow's eager_p_to_b_op.cpp and its siblings",
        examples=(
            Example(
                call="eager_s_to_b(in: f32[4,3], in_split_axis=0, shape=[8,3]) -> out: f32[8,3]",
                because="two halves",
                flops=0,
                bytes_read=0,
            ),
        ),
    ),
    OpRule(
        op_types=("eager_b_to_s", "eager_p_to_s", "eager_naive_s_to_s"),
        summary="A tensor on other devices in another sbp, eager: a piece on each.",
        formula=_COMMUNICATION,
        shape=piece_shape,
        cost=no_work,
        traffic=touch_nothing,
        ignores=_IGNORES,
        source="OneFlow's eager_b_to_s_op.cpp and its siblings",
        examples=(
            Example(
                call="eager_b_to_s(in: f32[8,3], out_split_axis=0, shape=[8,3]) -> out: f32[?,3]",
                because="a piece of some of the 8 rows",
                flops=0,
                bytes_read=0,
                bytes_written=0,
            ),
        ),
    ),
    OpRule(
        op_types=("eager_ccl_touch", "eager_nccl_touch"),
        summary="Waits for tensors on the stream of the collectives.",
        formula="no arithmetic; no bytes: it orders what runs after what",
        shape=no_result_shape,
        cost=no_work,
        traffic=touch_nothing,
        examples=(Example(call="eager_ccl_touch(in: [f32[4], f32[2]]) -> ()", because="nothing moves", flops=0, bytes_read=0),),
    ),
    OpRule(
        op_types=("send",),
        summary="A tensor sent to another process.",
        formula=_COMMUNICATION,
        shape=no_result_shape,
        cost=no_work,
        traffic=touch_nothing,
        ignores=_IGNORES,
        examples=(Example(call="send(in: f32[4,8], dst_process_id=1) -> ()", because="it leaves", flops=0, bytes_read=0, bytes_written=0),),
    ),
    OpRule(
        op_types=("recv",),
        effects=frozenset({Effect.READS_NEXT}),
        summary="A tensor received from another process.",
        formula=_COMMUNICATION,
        shape=received_shape,
        cost=no_work,
        traffic=touch_nothing,
        ignores=_IGNORES,
        examples=(
            Example(
                call='recv(src_process_id=0, dtype="float32", shape=[4,8]) -> out: f32[4,8]',
                because="it comes as the attributes say",
                flops=0,
                bytes_read=0,
                bytes_written=0,
            ),
        ),
    ),
)
