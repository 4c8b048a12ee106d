"""What happens to gradients between backward pass and update: clipping, loss scaling, regularisation."""

from __future__ import annotations

from irflops.ir.graph import DType, TensorType
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, no_result_shape, results_like
from irflops.ops.temporary import many_tensors_buffer
from irflops.ops.traffic import touch_all
from irflops.ops.work import MissingAttribute, Work


def scalar_like_shape(op: OpView) -> Inferred:
    """A scalar of the operands' dtype."""
    return {"y": TensorType((), op.first("x").dtype)}


def per_device_shape(_op: OpView) -> Inferred:
    """One number per device that holds a part: their number is no attribute."""
    raise MissingAttribute("the number of devices that hold a part of x")


def count_shape(_op: OpView) -> Inferred:
    """One int64."""
    return {"y": TensorType((1,), DType.INT64)}


def clip_shape(op: OpView) -> Inferred:
    """The norm, a scalar."""
    return {"out": TensorType((), op.first("model_diff").dtype)}


def cast_scale_shape(op: OpView) -> Inferred:
    """The shape of x, the dtype of the scale."""
    return {"y": TensorType(op.input("x").shape, op.input("scale_by_tensor").dtype)}


def tested_reduction_cost(op: OpView) -> Work:
    """One operation per element, and n - 1 to reduce n numbers to one."""
    n = op.numel("x")
    return Work(arithmetic=n + max(n - 1, 0))


def power_sum_cost(op: OpView) -> Work:
    """As any reduction of |x|, with a pow per element."""
    n = op.numel("x")
    return Work(arithmetic=n + max(n - 1, 0), transcendentals=n)


def clip_cost(op: OpView) -> Work:
    """A norm (|x|, its pow, their sum, a root), a coefficient (add, divide, clamp), a scaling."""
    n = op.numel("model_diff")
    return Work(arithmetic=n + max(n - 1, 0) + 3 + n, transcendentals=n + 1)


def loss_scale_cost(_op: OpView) -> Work:
    """The longest path through the schedule: is the count zero, count the step, is the period over, multiply, clamp."""
    return Work(arithmetic=5)


def regularize_cost(op: OpView) -> Work:
    """model_diff + l1 * sign(model) + l2 * model: a sign, two multiplications, two additions per element."""
    return Work(arithmetic=5 * op.numel("model"))


def scale_cost(op: OpView) -> Work:
    """One multiplication per element."""
    return Work(arithmetic=op.numel("x"))


_MULTI_TRAFFIC = "reads every x, writes y"

RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("multi_reduce_sum_pow_abs",),
        temporary=many_tensors_buffer,
        summary="The sum of |x|^p over all elements of several tensors: a global norm before its root.",
        formula=f"n = numel of all x: flops = n (|x|) + n - 1 (sum), transcendentals = n (pow, whatever p is); {_MULTI_TRAFFIC}",
        shape=scalar_like_shape,
        cost=power_sum_cost,
        traffic=touch_all,
        ignores="that OneFlow squares where p is 2",
        examples=(
            Example(
                call="multi_reduce_sum_pow_abs(x: [f32[72], f32[8,9]], p=2.0) -> y: f32[]",
                because="144 elements: 144 absolute values, 143 additions, 144 pow; 576 bytes in, 4 out",
                flops=287,
                transcendentals=144,
                bytes_read=576,
                bytes_written=4,
            ),
        ),
    ),
    OpRule(
        op_types=("multi_reduce_max_abs", "multi_reduce_min_abs"),
        temporary=many_tensors_buffer,
        summary="The largest or smallest |x| over all elements of several tensors.",
        formula=f"n = numel of all x: flops = n (|x|) + n - 1 (comparisons); {_MULTI_TRAFFIC}",
        shape=scalar_like_shape,
        cost=tested_reduction_cost,
        traffic=touch_all,
        examples=(
            Example(
                call="multi_reduce_max_abs(x: [f32[3], f32[2]]) -> y: f32[]",
                because="5 absolute values, 4 comparisons",
                flops=9,
                transcendentals=0,
                bytes_read=20,
                bytes_written=4,
            ),
        ),
    ),
    OpRule(
        op_types=("local_multi_reduce_max_abs", "local_multi_reduce_min_abs"),
        temporary=many_tensors_buffer,
        summary="The largest or smallest |x| of each device's part of several tensors.",
        formula=f"n = numel of all x: flops = n (|x|) + n - 1 (comparisons); {_MULTI_TRAFFIC}",
        shape=per_device_shape,
        cost=tested_reduction_cost,
        traffic=touch_all,
        ignores="that each device makes one comparison fewer",
        examples=(
            Example(
                call="local_multi_reduce_max_abs(x: [f32[3], f32[2]]) -> y: f32[2]",
                because="5 absolute values, 4 comparisons; the 2 devices are no attribute",
                flops=9,
                bytes_read=20,
                bytes_written=8,
                inferable=False,
            ),
        ),
    ),
    OpRule(
        op_types=("multi_count_not_finite", "count_not_finite"),
        summary="How many elements are inf or nan.",
        formula=f"n = numel of all x: flops = n (tests) + n - 1 (sum); {_MULTI_TRAFFIC}",
        shape=count_shape,
        cost=tested_reduction_cost,
        traffic=touch_all,
        examples=(
            Example(
                call="multi_count_not_finite(x: [f32[72], f32[8]]) -> y: i64[1]",
                because="80 tests, 79 additions; 320 bytes in, 8 out",
                flops=159,
                bytes_read=320,
                bytes_written=8,
            ),
        ),
    ),
    OpRule(
        op_types=("fused_clip_grad",),
        updates=("model_diff",),
        summary="Gradients scaled down in place to a largest global norm.",
        formula="n = numel of all model_diff: flops = n (|x|) + n - 1 (sum) + 3 (add eps, divide, clamp) + n (scale), "
        "transcendentals = n (pow) + 1 (root); model_diff is read and written, out is written",
        shape=clip_shape,
        cost=clip_cost,
        traffic=touch_all,
        examples=(
            Example(
                call="fused_clip_grad(model_diff: [f32[3], f32[3]]) -> out: f32[]",
                because="6 absolute values, 5 additions, 3 for the coefficient, 6 products; 24 bytes in, 24 back, 4 out",
                flops=20,
                transcendentals=7,
                bytes_read=24,
                bytes_written=28,
            ),
        ),
    ),
    OpRule(
        op_types=("dynamic_loss_scale_schedule",),
        updates=("loss_scale", "good_step_counter"),
        summary="The loss scale after this step: larger after enough finite steps, smaller after an overflow.",
        formula="flops = 5, its longest path (test of the count, step counter + 1, test of the period, product, clamp); reads the count, "
        "updates scale and counter in place",
        shape=no_result_shape,
        cost=loss_scale_cost,
        traffic=touch_all,
        source="OneFlow's dynamic_loss_scale_schedule kernel",
        examples=(
            Example(
                call="dynamic_loss_scale_schedule(count_not_finite: i64[1], loss_scale: f32[1], good_step_counter: i64[1]) -> ()",
                because="one path through a schedule of scalars; 8 + 4 + 8 bytes read, 4 + 8 written",
                flops=5,
                bytes_read=20,
                bytes_written=12,
            ),
        ),
    ),
    OpRule(
        op_types=("l1_l2_regularize_gradient",),
        overwrites={"out": "model_diff"},
        summary="model_diff + l1 * sign(model) + l2 * model.",
        formula="flops = 5 numel(model): sign, two multiplications, two additions, whatever l1 and l2 are; reads both, writes out",
        shape=results_like("model_diff", "out"),
        cost=regularize_cost,
        traffic=touch_all,
        examples=(
            Example(
                call="l1_l2_regularize_gradient(model: f32[72], model_diff: f32[72], l1=0.0, l2=0.0001) -> out: f32[72]",
                because="72 elements, 5 operations each; 144 floats in, 72 out",
                flops=360,
                bytes_read=576,
                bytes_written=288,
            ),
        ),
    ),
    OpRule(
        op_types=("fused_cast_scale",),
        summary="A half-precision gradient cast and multiplied by the loss scale's reciprocal.",
        formula="flops = numel(x), one multiplication per element; the cast is free; reads x and the scale, writes y",
        shape=cast_scale_shape,
        cost=scale_cost,
        traffic=touch_all,
        ignores="the product of the two scales, once per run",
        examples=(
            Example(
                call="fused_cast_scale(x: f16[8], scale_by_tensor: f32[1], scale=1.0) -> y: f32[8]",
                because="8 products; 16 + 4 bytes in, 32 out",
                flops=8,
                bytes_read=20,
                bytes_written=32,
            ),
        ),
    ),
)
