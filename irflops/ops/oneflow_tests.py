"""Op types that only OneFlow's own tests have, up to 0.7.0: no model holds one."""

from __future__ import annotations

from collections.abc import Mapping

from irflops.ir.graph import DType, TensorType
from irflops.ops.costs import WorkRule, no_work, one_per_element
from irflops.ops.facts import Effect
from irflops.ops.op_view import OpView
from irflops.ops.readings import result_extent, result_shape
from irflops.ops.rule import Example, OpRule, Readings
from irflops.ops.shapes import Inferred, ShapeRule, results_like
from irflops.ops.traffic import TrafficRule, moves, touch_all
from irflops.ops.work import Work


def five_shape(_op: OpView) -> Inferred:
    """Five floats."""
    return {"out": TensorType((5,), DType.FLOAT32)}


def numbered_shape(op: OpView) -> Inferred:
    """As many floats as asked for."""
    return {"out": TensorType((op.integer("out_num", least=0),), DType.FLOAT32)}


def reshaped_shape(op: OpView) -> Inferred:
    """The shape of the attribute, of as many axes as the operand."""
    return {"out": TensorType(op.ints("shape", length=len(op.shape("in"))), op.input("in").dtype)}


def typed_shape(op: OpView) -> Inferred:
    """Like the operand, in another dtype."""
    return {"out": TensorType(op.shape("in"), op.dtype_attr("output_type"))}


def listed_shape(op: OpView) -> Inferred:
    """What the lists say."""
    dtypes = op.attr("out_types")
    names = dtypes if isinstance(dtypes, tuple) else ()
    shapes = op.shape_list("out_shapes", length=len(names))
    types = tuple(TensorType(shape, DType.named(name)) for shape, name in zip(shapes, names, strict=True))
    return {"out": types[: len(op.outputs("out"))]}


def doubled_shape(op: OpView) -> Inferred:
    """The operand, and one of a last axis twice as long."""
    shape = op.shape("in", at_least=1)
    return {"out1": op.input("in"), "out2": TensorType((*shape[:-1], 2 * shape[-1]), op.input("in").dtype)}


def both_like_shape(op: OpView) -> Inferred:
    """Like the two operands."""
    return {"x1_diff": op.input("x1"), "x2_diff": op.input("x2")}


def relu_grad_cost(op: OpView) -> Work:
    """A test and a choice."""
    return Work(arithmetic=2 * op.numel("dx"))


def _rule(
    op_types: tuple[str, ...],
    summary: str,
    shape: ShapeRule,
    *examples: Example,
    formula: str = "no arithmetic; reads and writes each element once",
    cost: WorkRule = no_work,
    traffic: TrafficRule = touch_all,
    readings: Readings | None = None,
    random: bool = False,
    overwrites: Mapping[str, str] | None = None,
) -> OpRule:
    return OpRule(
        op_types=op_types,
        effects=frozenset({Effect.RANDOM}) if random else frozenset(),
        overwrites=overwrites or {},
        summary=f"{summary} In OneFlow's own tests alone.",
        formula=formula,
        shape=shape,
        readings=readings,
        cost=cost,
        traffic=traffic,
        source="OneFlow's test_ops.cpp and test_kernels.cpp (0.7.0)",
        examples=examples,
    )


RULES: tuple[OpRule, ...] = (
    _rule(
        ("ccrelu",),
        "The larger of each number and 0.",
        results_like("x", "y"),
        Example(call="ccrelu(x: f32[2,3]) -> y: f32[2,3]", because="6 maxima", flops=6, bytes_read=24, bytes_written=24),
        formula="flops = numel(x), a maximum each",
        cost=one_per_element("x"),
        overwrites={"y": "x"},
    ),
    _rule(
        ("cpu_only_relu_test",),
        "The larger of each number and 0, on the CPU.",
        results_like("in", "out"),
        Example(call="cpu_only_relu_test(in: f32[2,3]) -> out: f32[2,3]", because="6 maxima", flops=6, bytes_read=24, bytes_written=24),
        formula="flops = numel(in), a maximum each",
        cost=one_per_element("in"),
    ),
    _rule(
        ("ccrelu_grad",),
        "Gradient of relu.",
        results_like("y", "dx"),
        Example(
            call="ccrelu_grad(y: f32[2,3], dy: f32[2,3]) -> dx: f32[2,3]",
            because="6 tests and choices",
            flops=12,
            bytes_read=48,
            bytes_written=24,
        ),
        formula="flops = 2 * numel(dx): a test and a choice",
        cost=relu_grad_cost,
    ),
    _rule(
        ("TestReshape",),
        "The operand copied under another shape.",
        reshaped_shape,
        Example(call="TestReshape(in: f32[2,3], shape=[3,2]) -> out: f32[3,2]", because="6 floats each way", flops=0, bytes_read=24),
        readings=result_shape("shape"),
    ),
    _rule(
        ("TestSource", "TestDynamicSource"),
        "Five floats.",
        five_shape,
        Example(call="TestSource() -> out: f32[5]", because="0 to 4", flops=0, bytes_read=0, bytes_written=20),
        formula="no arithmetic; writes out",
    ),
    _rule(
        ("TestRandomSource",),
        "Five random floats.",
        five_shape,
        Example(call="TestRandomSource(seed=0) -> out: f32[5]", because="5 floats", flops=0, bytes_written=20),
        formula="no arithmetic: random bits are not counted; writes out",
        random=True,
    ),
    _rule(
        ("TestSourceMultiGpuFixedOutNum",),
        "So many floats.",
        numbered_shape,
        Example(call="TestSourceMultiGpuFixedOutNum(out_num=7) -> out: f32[7]", because="7 floats", flops=0, bytes_written=28),
        formula="no arithmetic; writes out",
        readings=result_extent("out_num"),
    ),
    _rule(
        ("TestDataTypeAttr",),
        "The operand in another dtype.",
        typed_shape,
        Example(
            call='TestDataTypeAttr(in: f32[2,3], output_type="float64") -> out: f64[2,3]',
            because="6 floats in, 6 of 8 bytes out",
            flops=0,
            bytes_read=24,
            bytes_written=48,
        ),
    ),
    _rule(
        ("TestListDataTypeAndListShapeAndListStringAttr",),
        "Tensors of the shapes and dtypes that lists name.",
        listed_shape,
        Example(
            call='TestListDataTypeAndListShapeAndListStringAttr(in: f32[2], out_shapes=[[3],[2,2]], out_types=["float32","int64"], '
            'string_list=["a"]) -> out: [f32[3], i64[2,2]]',
            because="3 floats and 4 of 8 bytes out; the operand is there to be there",
            flops=0,
            bytes_read=0,
            bytes_written=44,
        ),
        formula="no arithmetic; writes out; in is not read",
        traffic=moves(like=("in",)),
    ),
    _rule(
        ("test_user_op_attr_auto_type",),
        "The operand again.",
        results_like("in", "out"),
        Example(
            call="test_user_op_attr_auto_type(in: f32[2,3], int1=1, int2=2) -> out: f32[2,3]", because="6 floats each way", bytes_read=24
        ),
    ),
    _rule(
        ("TestMultiInput",),
        "The first operand again.",
        results_like("x1", "y"),
        Example(
            call="TestMultiInput(x1: f32[2,3], x2: f32[2,3]) -> y: f32[2,3]",
            because="6 floats in, 6 out; the second operand is not read",
            flops=0,
            bytes_read=24,
            bytes_written=24,
        ),
        formula="no arithmetic; reads x1, writes y",
        traffic=moves(like=("x2",)),
    ),
    _rule(
        ("TestMultiInputGrad",),
        "Ones and twos.",
        both_like_shape,
        Example(
            call="TestMultiInputGrad(x1: f32[2,3], x2: f32[2,3], y_diff: f32[2,3]) -> x1_diff: f32[2,3], x2_diff: f32[2,3]",
            because="12 floats are filled, none is read",
            flops=0,
            bytes_read=0,
            bytes_written=48,
        ),
        formula="no arithmetic; writes the results, reads nothing",
        traffic=moves(like=("x1", "x2", "y_diff")),
    ),
    _rule(
        ("TestMultiOutputOrder",),
        "The operand, and zeros of twice its last extent.",
        doubled_shape,
        Example(
            call="TestMultiOutputOrder(in: f32[2,3]) -> out1: f32[2,3], out2: f32[2,6]",
            because="6 floats in; 6 and 12 out",
            flops=0,
            bytes_read=24,
            bytes_written=72,
        ),
    ),
)
