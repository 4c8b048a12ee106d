"""Elementwise choice between two values: where and masked_fill."""

from __future__ import annotations

from irflops.ir.graph import DType, TensorType
from irflops.ops.op_view import OpView
from irflops.ops.per_element import SOURCE, broadcast_type, per_element
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, ShapeRule
from irflops.ops.temporary import TemporaryRule, no_buffer, where_buffer
from irflops.ops.traffic import touch_all

_SCALAR_DTYPES = {"has_x_bool_operand": DType.BOOL, "has_x_int_operand": DType.INT64, "has_x_float_operand": DType.FLOAT32}


def where_scalars_shape(op: OpView) -> Inferred:
    """The condition's shape; the kind of the scalars gives the dtype, float32 (OneFlow's default) for floats."""
    dtype = next((dtype for flag, dtype in _SCALAR_DTYPES.items() if op.flag(flag)), None)
    return {"out": TensorType(op.input("condition").shape, dtype)}


def _selection(
    op_type: str,
    definition: str,
    summary: str,
    shape: ShapeRule,
    *examples: Example,
    temporary: TemporaryRule = where_buffer,
    expands: bool = False,
) -> OpRule:
    return OpRule(
        op_types=(op_type,),
        expands=expands,
        temporary=temporary,
        summary=summary,
        formula=f"flops = numel(out): {definition}",
        shape=shape,
        cost=per_element(1, 0),
        traffic=touch_all,
        source=SOURCE,
        examples=examples,
    )


RULES: tuple[OpRule, ...] = (
    _selection(
        "where",
        "select(condition, x, y)",
        "Elementwise choice between two tensors.",
        broadcast_type(dtype_of="x"),
        Example(
            call="where(condition: bool[2,1], x: f32[3], y: f32[]) -> out: f32[2,3]",
            flops=6,
            transcendentals=0,
            bytes_read=18,
            bytes_written=24,
            because="6 selections; 2 bools, 3 floats and 1 float are read",
        ),
    ),
    _selection(
        "where_scalar_x",
        "select(condition, scalar, y)",
        "Elementwise choice between a scalar and a tensor.",
        broadcast_type(dtype_of="y"),
        Example(
            call="where_scalar_x(condition: bool[2,3], y: f32[3]) -> out: f32[2,3]",
            flops=6,
            bytes_read=18,
            bytes_written=24,
            because="6 selections; 6 bools and 3 floats are read",
        ),
    ),
    _selection(
        "where_scalar_y",
        "select(condition, x, scalar)",
        "Elementwise choice between a tensor and a scalar.",
        broadcast_type(dtype_of="x"),
        Example(
            call="where_scalar_y(condition: bool[4], x: i64[1]) -> out: i64[4]",
            flops=4,
            bytes_read=12,
            bytes_written=32,
            because="4 selections; 4 bools and one integer are read",
        ),
    ),
    _selection(
        "where_scalar_xy",
        "select(condition, scalar_x, scalar_y)",
        "Elementwise choice between two scalars.",
        where_scalars_shape,
        Example(
            call="where_scalar_xy(condition: bool[5], has_x_bool_operand=false, has_x_int_operand=false, has_x_float_operand=true) "
            "-> out: f32[5]",
            flops=5,
            bytes_read=5,
            bytes_written=20,
            because="5 selections",
        ),
        Example(
            call="where_scalar_xy(condition: bool[5]) -> out: i64[5]",
            flops=5,
            bytes_written=40,
            because="without attributes the printed result tells the dtype",
            inferable=False,
        ),
    ),
    _selection(
        "masked_fill",
        "select(mask, value, x)",
        "Elementwise choice between a tensor and a scalar, by a mask.",
        broadcast_type(dtype_of="x"),
        Example(
            call="masked_fill(x: f32[2,4,4], mask: bool[2,4,4]) -> out: f32[2,4,4]",
            flops=32,
            transcendentals=0,
            bytes_read=160,
            bytes_written=128,
            because="32 selections; 32 floats and 32 bools are read",
        ),
        temporary=no_buffer,
        expands=True,
    ),
)
