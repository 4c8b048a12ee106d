"""Rules by table: ops that do the same arithmetic for every element of the result.

A table entry is `(arithmetic, transcendentals, definition)` per element of the result. The definition is the textbook formula in Python's
syntax, `;` between intermediates and its value last; the numbers count its operators. Literals and coefficients combine beforehand and cost
nothing, `select` takes both branches, and a call of exp, log, erf, sqrt, pow and the like is one transcendental.
"""

from __future__ import annotations

from collections.abc import Mapping

from irflops.ir.graph import DType, Shape, TensorType
from irflops.ir.shapes import unified
from irflops.ops.costs import WorkRule
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, ShapeRule, broadcast_shapes
from irflops.ops.traffic import touch_all
from irflops.ops.work import Work

Definition = tuple[int, int, str]
"""Arithmetic and transcendentals per element of the result, and the formula that they count."""

SOURCE = (
    "docs/definitions.md for add to select; the op's definition for the rest, one operation per operator, transcendentals apart as XLA does"
)


def common_shape(op: OpView, *args: str) -> Shape | None:
    """The one shape of all operands (or of those named), unknown extents filled in from one another; ValueError where two disagree."""
    merged: Shape | None = None
    for arg in args or op.input_args:
        for tensor in op.inputs(arg):
            try:
                merged = unified(merged, tensor.shape)
            except ValueError:
                raise ValueError(f"{op.type} takes operands of one shape, {arg} has {tensor.shape} beside {merged}") from None
    return merged


def common_dtype(op: OpView, *args: str) -> DType | None:
    """The dtype of the first operand (or of those named) that has one."""
    return next((t.dtype for arg in args or op.input_args for t in op.inputs(arg) if t.dtype is not None), None)


def same_type(*, dtype: DType | None = None, dtype_of: str = "") -> ShapeRule:
    """A shape rule: all results have the operands' one shape, in `dtype`, in the dtype of the operand `dtype_of`, or in the first one's."""

    def shape(op: OpView) -> Inferred:
        like = (dtype_of,) if dtype_of in op.input_args else ()
        result = TensorType(common_shape(op), dtype or common_dtype(op, *like))
        return dict.fromkeys(op.output_args, result)

    return shape


def broadcast_type(*, dtype: DType | None = None, dtype_of: str = "") -> ShapeRule:
    """A shape rule: the result has the shape that all operands broadcast to, in `dtype`, in that of `dtype_of` or of the first operand."""

    def shape(op: OpView) -> Inferred:
        shapes = (op.shape(arg) for arg in op.input_args)
        like = (dtype_of,) if dtype_of else ()
        return dict.fromkeys(op.output_args, TensorType(broadcast_shapes(*shapes), dtype or common_dtype(op, *like)))

    return shape


def per_element(arithmetic: int, transcendentals: int) -> WorkRule:
    """A cost rule: so many operations per element of the first result."""

    def cost(op: OpView) -> Work:
        elements = op.numel(op.first_output)
        return Work(arithmetic=arithmetic * elements, transcendentals=transcendentals * elements)

    return cost


def counts_text(arithmetic: int, transcendentals: int, per: str) -> str:
    """The formula text of counts per element: `flops = 2 * numel(dx), transcendentals = numel(dx)`."""
    terms = (("flops", arithmetic), ("transcendentals", transcendentals))
    return ", ".join(f"{name} = {'' if n == 1 else f'{n} * '}{per}" for name, n in terms if n) or "flops = 0"


_UNEQUAL = {
    "elementwise_maximum": "broadcast_maximum",
    "elementwise_minimum": "broadcast_minimum",
    "multiply": "broadcast_mul",
    "pow": "broadcast_pow",
}
"""OneFlow's functions for two tensors that ask first whether these are of one shape, by what they take then."""


def elementwise(
    signature: str,
    definitions: Mapping[str, Definition],
    *,
    dtype: DType | None = None,
    shape: ShapeRule | None = None,
    examples: Mapping[str, tuple[Example, ...]] | None = None,
    source: str = SOURCE,
    in_place: Mapping[str, str] | None = None,
) -> tuple[OpRule, ...]:
    """Rules of ops whose operands and results have one shape.

    `signature` names the arguments (`x, dy -> dx`); versions of OneFlow that name them otherwise fit too. `dtype` is the results', where it
    is not the first operand's. `in_place` tells by op type the operand that its first result may overwrite. Each rule has an example over
    2 x 3 elements, and those of `examples`.
    """
    operands, results = (tuple(side.split(", ")) for side in signature.split(" -> "))
    result_type = dtype or DType.FLOAT32
    call = f"({', '.join(f'{arg}: f32[2,3]' for arg in operands)}) -> {', '.join(f'{arg}: {result_type.short}[2,3]' for arg in results)}"

    def rule(op_type: str, arithmetic: int, transcendentals: int, definition: str) -> OpRule:
        made = Example(
            call=op_type + call,
            flops=6 * arithmetic,
            transcendentals=6 * transcendentals,
            bytes_read=24 * len(operands),
            bytes_written=result_type.nbytes(6) * len(results),
            because=f"6 elements, each `{definition}`: {arithmetic} arithmetic and {transcendentals} transcendental operations",
        )
        return OpRule(
            op_types=(op_type,),
            overwrites={results[0]: in_place[op_type]} if in_place and op_type in in_place else {},
            summary=f"Elementwise: {', '.join(results)} = {definition}.",
            formula=f"{counts_text(arithmetic, transcendentals, f'numel({results[0]})')}: {definition}",
            shape=shape or same_type(dtype=dtype),
            cost=per_element(arithmetic, transcendentals),
            traffic=touch_all,
            source=source,
            unequal=_UNEQUAL.get(op_type, ""),
            examples=(made, *(examples or {}).get(op_type, ())),
        )

    return tuple(rule(op_type, *definition) for op_type, definition in definitions.items())
