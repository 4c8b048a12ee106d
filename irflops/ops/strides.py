"""Ops on tensors that lie otherwise in memory than in the order of their axes, and the sum of two in MLIR."""

from __future__ import annotations

from irflops.ir.graph import TensorType
from irflops.ops.costs import no_work
from irflops.ops.op_view import OpView
from irflops.ops.per_element import common_shape, elementwise
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred
from irflops.ops.traffic import Traffic, touch_all
from irflops.ops.work import MissingAttribute, Work

_GRADS = {"add": 0, "sub": 1, "mul": 2, "div": 5}
"""Operations per element for both gradients: none, a sign, two products, dy / y and -dy * x / (y * y)."""


def wider_shape(op: OpView) -> Inferred:
    """Like the operands, in the dtype of more bytes."""
    left, right = op.input("lhs").dtype, op.input("rhs").dtype
    dtype = left if left is None or right is None or left.bits >= right.bits else right
    return {"y": TensorType(common_shape(op, "lhs", "rhs"), dtype)}


def _operation(op: OpView) -> str:
    name = op.attrs.get("op")
    if name is None:
        raise MissingAttribute("op", known=Work(arithmetic=None))
    if name not in _GRADS:
        raise ValueError(f"no operation is called {name!r}")
    return str(name)


def binary_cost(op: OpView) -> Work:
    """One operation an element, whichever it is."""
    return Work(arithmetic=op.numel("y"))


def binary_grad_shape(op: OpView) -> Inferred:
    """Like the operands."""
    common_shape(op, "dy", "lhs", "rhs")
    return {"dlhs": op.input("lhs"), "drhs": op.input("rhs")}


def binary_grad_cost(op: OpView) -> Work:
    """As the operation's derivative takes."""
    return Work(arithmetic=_GRADS[_operation(op)] * op.numel("dy"))


def another_format_shape(op: OpView) -> Inferred:
    """The batch stays; whether channels move depends on how they lay, which no form tells. Up to two axes nothing moves."""
    shape = op.shape("in")
    out = shape if len(shape) <= 2 else (shape[0], *(None for _ in shape[1:]))
    return {"out": TensorType(out, op.input("in").dtype)}


def copied_traffic(op: OpView) -> Traffic:
    """Each element is read and written once, however it lies."""
    return Traffic(reads={"in": op.nbytes("in")}, writes={"out": op.nbytes("in")})


RULES: tuple[OpRule, ...] = (
    *elementwise("in0, in1 -> out", {"add_n2": (1, 0, "x + y")}, source="OneFlow's OneFlowUserOps.td: add_n of two, as MLIR writes it"),
    OpRule(
        op_types=("noncontiguous_binary_op",),
        summary="An operation on two tensors that lie in memory as they happen to.",
        formula="flops = numel(y), whichever of add, sub, mul and div it is",
        shape=wider_shape,
        cost=binary_cost,
        traffic=touch_all,
        source="OneFlow's noncontiguous_binary_op.cpp",
        examples=(
            Example(
                call='noncontiguous_binary_op(lhs: f16[2,3], rhs: f32[2,3], op="mul", inplace=false) -> y: f32[2,3]',
                because="6 products, in the wider dtype; 12 + 24 bytes in",
                flops=6,
                bytes_read=36,
                bytes_written=24,
            ),
        ),
    ),
    OpRule(
        op_types=("noncontiguous_binary_op_grad",),
        summary="Gradients of an operation on two tensors.",
        formula="flops per element of dy: add 0, sub 1, mul 2, div 5; unknown where the form lacks the operation",
        shape=binary_grad_shape,
        cost=binary_grad_cost,
        traffic=touch_all,
        source="OneFlow's noncontiguous_binary_op.cpp",
        examples=(
            Example(
                call='noncontiguous_binary_op_grad(dy: f32[2,3], lhs: f32[2,3], rhs: f32[2,3], op="div") -> dlhs: f32[2,3], drhs: f32[2,3]',
                because="6 elements: a quotient; a sign, two products and a quotient",
                flops=30,
                bytes_read=72,
                bytes_written=48,
            ),
            Example(
                call="noncontiguous_binary_op_grad(dy: f32[2,3], lhs: f32[2,3], rhs: f32[2,3]) -> dlhs: f32[2,3], drhs: f32[2,3]",
                because="a printed graph: which operation is in no line",
                flops="unknown",
                bytes_read=72,
            ),
        ),
    ),
    OpRule(
        op_types=("convert_memory_format",),
        summary="The operand with its channels first or last.",
        formula="no arithmetic; reads and writes each element once",
        shape=another_format_shape,
        cost=no_work,
        traffic=copied_traffic,
        source="OneFlow's convert_memory_format_op.cpp",
        examples=(
            Example(
                call="convert_memory_format(in: f32[2,3,4,5]) -> out: f32[2,?,?,?]",
                because="120 floats each way; where the channels were is in no form",
                flops=0,
                bytes_read=480,
                bytes_written=480,
            ),
        ),
    ),
)
