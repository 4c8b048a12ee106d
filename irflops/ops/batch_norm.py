"""Batch normalization: in inference, in training, fused with add and relu, synchronised over devices; and the gradients."""

from __future__ import annotations

from irflops.ir.graph import DType, TensorType
from irflops.ops.normalizing import statistics_type
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, normal_axis, present
from irflops.ops.temporary import batch_norm_buffer
from irflops.ops.traffic import moves, touch_all
from irflops.ops.work import Work


def _trains(op: OpView) -> bool:
    """Whether the statistics come from the data: then, and only then, they are results."""
    return "mean" in op.output_args


def batch_norm_shape(op: OpView) -> Inferred:
    """Data like x; statistics like gamma; a bit per element of x, in words of 32, where the sign of relu is kept."""
    x, gamma = op.input("x"), op.input("gamma")
    if "axis" in op.attrs and op.shape("gamma") != op.shape("x")[op.integer("axis") :][:1]:
        raise ValueError(f"gamma {gamma.shape} does not go with axis {op.integer('axis')} of x {x.shape}")
    results = {"y": x, "mean": gamma, "inv_variance": gamma}
    if "reserve_space" in op.output_args and op.type.startswith("cudnn"):
        results["reserve_space"] = TensorType((None,), DType.CHAR)  # cuDNN alone knows its size
    elif "reserve_space" in op.output_args:
        results["reserve_space"] = TensorType((-(-op.numel("x") // 32),), DType.INT32)
    return present(op, results)


def batch_norm_cost(op: OpView) -> Work:
    """Two operations per element with fixed statistics, seven with those of the data."""
    n, channels = op.numel("x"), op.numel("gamma")
    extra = sum(n for arg in ("_add_to_output", "addend") if op.inputs(arg)) + (n if op.type.endswith("add_relu") else 0)
    if not _trains(op):
        return Work(arithmetic=2 * n + extra)
    moving = 6 * channels if op.inputs("moving_mean") else 0
    return Work(arithmetic=7 * n + channels + moving + extra, transcendentals=channels)


def batch_norm_grad_shape(op: OpView) -> Inferred:
    """Each gradient like what it is for."""
    results = {"dx": op.input("x"), "addend_diff": op.input("x"), "gamma_diff": op.input("gamma"), "beta_diff": op.input("gamma")}
    return present(op, results)


def batch_norm_grad_cost(op: OpView) -> Work:
    """Nine operations per element and one per channel; a tenth per element undoes relu."""
    n = op.numel("x")
    return Work(arithmetic=9 * n + op.numel("gamma") + (n if op.type.endswith("add_relu_grad") else 0))


def _per_channel(op: OpView, arg: str) -> tuple[int, ...]:
    shape = op.shape(arg, at_least=1)
    return (shape[normal_axis(op.integer("axis"), len(shape))],)


def stats_shape(op: OpView) -> Inferred:
    """A mean and an inverse deviation per channel."""
    statistics = statistics_type(_per_channel(op, "input"), op.input("input").dtype)
    return {"mean": statistics, "invstd": statistics}


def stats_cost(op: OpView) -> Work:
    """Four operations per element."""
    channels = op.numel("mean")
    return Work(arithmetic=4 * op.numel("input") + channels, transcendentals=channels)


def gather_stats_shape(op: OpView) -> Inferred:
    """The device axis goes."""
    statistics = TensorType(op.shape("mean", at_least=1)[1:], op.input("mean").dtype)
    return {"global_mean": statistics, "global_invstd": statistics}


def gather_stats_cost(op: OpView) -> Work:
    """Ten operations per device and channel."""
    parts, channels = op.numel("mean"), op.numel("global_mean")
    moving = 6 * channels if op.inputs("running_mean") else 0
    return Work(arithmetic=10 * parts + channels + max(0, op.numel("counts") - 1) + moving, transcendentals=channels)


def elemt_shape(op: OpView) -> Inferred:
    """Like the data."""
    return {op.first_output: op.input("input")}


def backward_reduce_shape(op: OpView) -> Inferred:
    """Each result has an element per channel."""
    per_channel = TensorType(_per_channel(op, "input"), op.input("mean").dtype)
    return dict.fromkeys(op.output_args, per_channel)


def elemt_cost(op: OpView) -> Work:
    """Four operations per element."""
    return Work(arithmetic=4 * op.numel("input"))


def backward_reduce_cost(op: OpView) -> Work:
    """Four operations per element, one less per channel that has any."""
    return Work(arithmetic=max(0, 4 * op.numel("input") - op.numel("sum_dy")))


def backward_elemt_cost(op: OpView) -> Work:
    """Five operations per element and five per channel."""
    return Work(arithmetic=5 * op.numel("input") + 5 * op.numel("mean") + max(0, op.numel("count") - 1))


_TRAINING = (
    "training (mean and inv_variance are results): 7n + c, and c rsqrt, for n elements in c channels: sum and divide n, centre n, square "
    "n, "
    "sum and divide n, + epsilon c, scale by the inverse deviation n, * gamma n, + beta n; 6c for the moving statistics (2 products and "
    "a sum each)"
)
_GRAD = (
    "normalized x again 2n; beta_diff n - c; gamma_diff 2n - c; dx = gamma inv_variance (dy - beta_diff/m - x' gamma_diff/m): 4n + 3c; "
    "9n + c in all for n elements in c channels"
)
_STATISTICS = "mean: f32[3], inv_variance: f32[3]"
_MOVING = "moving_mean: f32[3], moving_variance: f32[3], gamma: f32[3], beta: f32[3]"

RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("normalization", "normalization_infer"),
        temporary=batch_norm_buffer,
        updates=("moving_mean", "moving_variance"),
        updates_with="mean",
        overwrites={"y": "_add_to_output"},
        summary="Batch normalization.",
        formula=f"inference: 2n, scale and shift folded; {_TRAINING}; + n for _add_to_output",
        shape=batch_norm_shape,
        cost=batch_norm_cost,
        traffic=touch_all,
        ignores="folding the scale and shift in inference, once per channel; the factor n/(n-1) of the moving variance",
        source="docs/definitions.md; Ioffe and Szegedy, arXiv 1502.03167, algorithm 1",
        examples=(
            Example(
                call=f"normalization(x: f32[2,3,4,4], {_MOVING}, axis=1, training=false) -> y: f32[2,3,4,4]",
                macs=0,
                flops=192,
                transcendentals=0,
                bytes_read=4 * (96 + 12),
                bytes_written=384,
                because="96 elements, a product and a sum each",
            ),
            Example(
                call=f"normalization(x: f32[2,3,4,4], {_MOVING}) -> y: f32[2,3,4,4], {_STATISTICS}",
                flops=693,
                transcendentals=3,
                bytes_read=4 * (96 + 12),
                bytes_written=4 * (96 + 6 + 6),
                because="a printed graph in training. Per channel of 32: mean 31 + 1, variance 32 + 32 + 31 + 1, epsilon 1, scaling 32 + "
                "32 + 32, "
                "moving statistics 6: 231, times 3; the two moving statistics are written back",
            ),
            Example(
                call="normalization(x: f16[5,4], gamma: f32[4], beta: f32[4], _add_to_output: f16[5,4], axis=1, training=true) -> y: "
                "f16[5,4], "
                "mean: f32[4], inv_variance: f32[4]",
                flops=164,
                transcendentals=4,
                bytes_read=2 * 40 + 4 * 8,
                because="no moving statistics. Per channel of 5: 5 + 5 + 5 + 5 + 1 + 5 + 5 + 5 = 36, times 4; 20 further additions",
            ),
            Example(
                call=f"normalization_infer(x: f32[1,3,2], {_MOVING}, _add_to_output: f32[1,3,2], axis=1) -> y: f32[1,3,2]",
                flops=18,
                because="6 elements, a product, a sum and a further sum each",
            ),
        ),
    ),
    OpRule(
        op_types=("normalization_add_relu", "cudnn_fused_normalization_add_relu"),
        temporary=batch_norm_buffer,
        updates=("moving_mean", "moving_variance"),
        updates_with="mean",
        summary="Batch normalization, the addition of a shortcut and relu.",
        formula=f"normalization's, n for the addend, n for relu; {_TRAINING}",
        shape=batch_norm_shape,
        cost=batch_norm_cost,
        traffic=touch_all,
        ignores="packing the signs into reserve_space, whose size under cuDNN is not known",
        examples=(
            Example(
                call=f"normalization_add_relu(x: f32[2,3,4,4], addend: f32[2,3,4,4], {_MOVING}, axis=1, training=true) -> y: f32[2,3,4,4], "
                f"reserve_space: i32[3], {_STATISTICS}",
                flops=885,
                transcendentals=3,
                bytes_written=4 * (96 + 3 + 6 + 6),
                because="231 per channel as in normalization, and an addition and a comparison for each of 96 elements; 96 signs fill 3 "
                "words",
            ),
            Example(
                call=f"normalization_add_relu(x: f32[1,3,2], {_MOVING}, axis=1, training=false) -> y: f32[1,3,2], reserve_space: i32[1]",
                flops=18,
                because="6 elements: a product, a sum and a comparison each",
            ),
        ),
    ),
    OpRule(
        op_types=("normalization_grad",),
        temporary=batch_norm_buffer,
        summary="Gradients of batch normalization in training.",
        formula=_GRAD,
        shape=batch_norm_grad_shape,
        cost=batch_norm_grad_cost,
        traffic=touch_all,
        source="Ioffe and Szegedy, arXiv 1502.03167, section 3",
        examples=(
            Example(
                call=f"normalization_grad(dy: f32[2,3,4,4], x: f32[2,3,4,4], {_STATISTICS}, gamma: f32[3]) -> dx: f32[2,3,4,4], "
                "gamma_diff: f32[3], beta_diff: f32[3]",
                macs=0,
                flops=867,
                transcendentals=0,
                bytes_read=4 * (192 + 9),
                bytes_written=4 * (96 + 6),
                because="per channel of 32: x' 64, sum of dy 31, products and their sum 63, three factors 3, dx 4 x 32: 289, times 3",
            ),
        ),
    ),
    OpRule(
        op_types=("normalization_add_relu_grad", "cudnn_fused_normalization_add_relu_grad"),
        temporary=batch_norm_buffer,
        summary="Gradients of batch normalization, addition and relu.",
        formula=f"n to select dy by relu's sign (which is addend_diff); {_GRAD}",
        shape=batch_norm_grad_shape,
        cost=batch_norm_grad_cost,
        traffic=touch_all,
        examples=(
            Example(
                call=f"normalization_add_relu_grad(x: f32[2,3,4,4], dy: f32[2,3,4,4], {_STATISTICS}, gamma: f32[3], beta: f32[3], "
                "reserve_space: i32[3], y: f32[2,3,4,4]) -> gamma_diff: f32[3], beta_diff: f32[3], dx: f32[2,3,4,4], addend_diff: "
                "f32[2,3,4,4]",
                flops=963,
                because="289 per channel as in normalization_grad, and one selection for each of 96 elements",
            ),
        ),
    ),
    OpRule(
        op_types=("batch_norm_stats",),
        summary="Mean and inverse deviation of one device's part of a batch.",
        formula="4n + c and c rsqrt: sum and divide n, centre n, square n, sum and divide n, + epsilon c",
        shape=stats_shape,
        cost=stats_cost,
        traffic=touch_all,
        examples=(
            Example(
                call="batch_norm_stats(input: f16[2,3,4], axis=1) -> mean: f32[3], invstd: f32[3]",
                flops=99,
                transcendentals=3,
                bytes_read=48,
                bytes_written=24,
                because="per channel of 8: 8 + 8 + 8 + 8 + 1 = 33",
            ),
        ),
    ),
    OpRule(
        op_types=("batch_norm_gather_stats_with_counts",),
        updates=("running_mean", "running_var"),
        summary="Statistics of all devices' parts together.",
        formula="10pc + c + p - 1 and c rsqrt, for p devices and c channels: the mean 2pc (weigh, sum and divide); each variance out of "
        "its inverse "
        "deviation 3pc, + the squared distance of its mean 3pc; weigh, sum and divide 2pc; + epsilon c; sum of counts p - 1; "
        "6c for the moving statistics",
        shape=gather_stats_shape,
        cost=gather_stats_cost,
        traffic=moves(like=("input",)),
        examples=(
            Example(
                call="batch_norm_gather_stats_with_counts(input: f32[2,3,4], mean: f32[2,3], invstd: f32[2,3], counts: f32[2], "
                "running_mean: f32[3], "
                "running_var: f32[3]) -> global_mean: f32[3], global_invstd: f32[3]",
                flops=82,
                transcendentals=3,
                bytes_read=4 * (6 + 6 + 2 + 6),
                bytes_written=4 * (6 + 6),
                because="per channel of 2 devices: mean 2 + 1 + 1, variances 3 + 3, distances 2 + 2, added 2, weighed 2, summed 1, "
                "divided 1, epsilon 1: 21, "
                "moving statistics 6; times 3; the counts' sum 1",
            ),
        ),
    ),
    OpRule(
        op_types=("batch_norm_elemt",),
        summary="Batch normalization with given statistics.",
        formula="4n: centre, * inverse deviation, * weight, + bias",
        shape=elemt_shape,
        cost=elemt_cost,
        traffic=touch_all,
        examples=(
            Example(
                call="batch_norm_elemt(input: f32[2,3,4], weight: f32[3], bias: f32[3], mean: f32[3], invstd: f32[3], axis=1) -> output: "
                "f32[2,3,4]",
                flops=96,
                bytes_read=4 * (24 + 12),
                because="24 elements x 4",
            ),
        ),
    ),
    OpRule(
        op_types=("batch_norm_backward_reduce",),
        summary="Sums per channel that the gradient of batch normalization needs, over one device's part.",
        formula="4n - c: sum of dy n - c; centre n, * dy n, sum n - c; * inverse deviation c",
        shape=backward_reduce_shape,
        cost=backward_reduce_cost,
        traffic=touch_all,
        examples=(
            Example(
                call="batch_norm_backward_reduce(grad_out: f32[2,3,4], input: f32[2,3,4], mean: f32[3], invstd: f32[3], axis=1) -> "
                "sum_dy: f32[3], "
                "sum_dy_xmu: f32[3], grad_weight: f32[3], grad_bias: f32[3]",
                flops=93,
                bytes_written=48,
                because="per channel of 8: 7 + 8 + 8 + 7 + 1 = 31",
            ),
        ),
    ),
    OpRule(
        op_types=("batch_norm_backward_elemt",),
        summary="Gradient of batch normalization for its data, from the sums of all devices.",
        formula="5n + 5c + p - 1, for p devices: dx = (dy - sum_dy/N - (x - mean) invstd^2 sum_dy_xmu/N) invstd weight; counts p - 1",
        shape=elemt_shape,
        cost=backward_elemt_cost,
        traffic=touch_all,
        examples=(
            Example(
                call="batch_norm_backward_elemt(grad_out: f32[2,3,4], input: f32[2,3,4], mean: f32[3], invstd: f32[3], weight: f32[3], "
                "sum_dy: f32[3], "
                "sum_dy_xmu: f32[3], count: i32[2], axis=1) -> grad_in: f32[2,3,4]",
                flops=136,
                because="24 elements x 5; per channel two means, a square and two products: 5 x 3; one addition of counts",
            ),
        ),
    ),
)
