"""Layer and group normalization, and their gradients."""

from __future__ import annotations

from irflops.ir.graph import TensorType
from irflops.ops.normalizing import (
    grad_operations,
    norm_cost,
    norm_grad_cost,
    operations,
    param_grad_cost,
    param_operations,
    rows_norm_shape,
    with_statistics,
)
from irflops.ops.op_view import OpView
from irflops.ops.readings import axis_of
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, normal_axis, present, results_like
from irflops.ops.temporary import group_norm_buffer, layer_norm_buffer
from irflops.ops.traffic import touch_all
from irflops.ops.work import Work


def layer_norm_shape(op: OpView) -> Inferred:
    """Statistics over the axes from `begin_norm_axis` on, gamma and beta of those from `begin_params_axis` on, which must be the same."""
    x = op.shape("x", at_least=1)
    begin = normal_axis(op.integer("begin_norm_axis"), len(x))
    params = normal_axis(op.integer("begin_params_axis"), len(x)) if "begin_params_axis" in op.attrs else begin
    if begin != params:
        raise ValueError(f"begin_norm_axis {begin} and begin_params_axis {params} differ, OneFlow takes one axis for both")
    for arg in ("gamma", "beta"):
        if op.inputs(arg) and op.shape(arg) != x[begin:]:
            raise ValueError(f"{arg} {op.shape(arg)} does not go with x {x} from axis {begin}")
    return with_statistics(op, x[:begin], "mean", "inv_variance")


def group_norm_shape(op: OpView) -> Inferred:
    """Statistics per sample and group of channels."""
    return with_statistics(op, (op.shape("x", at_least=2)[0], op.integer("num_groups")), "mean", "inv_variance")


def group_norm_cost(op: OpView) -> Work:
    """As layer_norm's, with the fused activation where the form shows one."""
    groups = op.numel("mean")
    activated = op.numel("x") if op.attrs.get("activation", "none") != "none" else 0
    return Work(arithmetic=operations(op, groups, centred=True) + activated, transcendentals=groups + activated)


def _inner_axis(op: OpView, name: str, shape: tuple[int, ...]) -> int:
    """An axis as the gradients take it: never the first, and never counted from the last, as the forward op may."""
    axis = op.integer(name, least=1)
    if axis >= len(shape):
        raise ValueError(f"{name} {axis} is out of range for the {len(shape)} dimensions of {shape}")
    return axis


def layer_norm_grad_shape(op: OpView) -> Inferred:
    """Like dy, which is like x; the statistics are those of the axes before `begin_norm_axis`, where the form tells it."""
    dy, x = op.input("dy"), op.input("x")
    if None not in (dy.numel, x.numel) and dy.shape != x.shape:
        raise ValueError(f"dy {dy} is not of the shape of x {x}")
    if "begin_norm_axis" in op.attrs:
        shape = op.shape("x")
        begin = _inner_axis(op, "begin_norm_axis", shape)
        rows, ones = shape[:begin], (1,) * (len(shape) - begin)  # OneFlow can be told to keep the axes that it normalizes over
        for arg in ("mean", "inv_variance"):
            if op.shape(arg) not in (rows, rows + ones):
                raise ValueError(f"{arg} {op.shape(arg)} does not go with x {shape} before axis {begin}")
    return {"dx": dy}


def layer_norm_param_grad_shape(op: OpView) -> Inferred:
    """The axes from `begin_params_axis` on."""
    dy = op.shape("dy")
    params = TensorType(dy[_inner_axis(op, "begin_params_axis", dy) :], op.input("dy").dtype)
    return present(op, {"beta_diff": params, "gamma_diff": params})


def fuse_layer_norm_grad_shape(op: OpView) -> Inferred:
    """Those of both gradients."""
    return {**layer_norm_param_grad_shape(op), **layer_norm_grad_shape(op)}


def fuse_layer_norm_grad_cost(op: OpView) -> Work:
    """The gradients together, x normalized once."""
    return Work(arithmetic=grad_operations(op, centred=True) + param_operations(op, {"beta_diff": 1, "gamma_diff": 2}))


def group_norm_param_grad_shape(op: OpView) -> Inferred:
    """An element per channel."""
    return dict.fromkeys(op.output_args, TensorType((op.shape("x", at_least=2)[1],), op.input("dy").dtype))


_FORWARD = (
    "5n + g and g rsqrt for n elements in g groups: sum and divide n, centre n, square n, sum and divide n, + epsilon g, scale by the "
    "inverse deviation n; "
    "+ n for gamma, + n for beta"
)
_BACKWARD = (
    "9n for n elements in g groups: normalized x again 2n, sum of dy n - g, of dy x' 2n - g, two means 2g, dx = inv_variance (dy - mean "
    "dy - x' mean dy x') 4n; "
    "+ n where gamma scales dy, + n for _add_to_output"
)
_PARAMS = "shift: n - p for p parameters; scale: 4n - p (centre, scale, * dy, sum)"
_STATISTICS = "mean: f32[2,3], inv_variance: f32[2,3]"

RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("layer_norm",),
        summary="Normalization over the last axes.",
        formula=_FORWARD,
        shape=layer_norm_shape,
        readings=axis_of("begin_norm_axis", "x"),
        cost=norm_cost(statistic="mean", centred=True),
        traffic=touch_all,
        source="Ba, Kiros and Hinton, arXiv 1607.06450; axes as in OneFlow's layer_norm_op.cpp",
        examples=(
            Example(
                call="layer_norm(x: f32[2,3,4], gamma: f32[4], beta: f32[4], center=true, scale=true, begin_norm_axis=2, "
                "begin_params_axis=2) "
                f"-> y: f32[2,3,4], {_STATISTICS}",
                macs=0,
                flops=174,
                transcendentals=6,
                bytes_read=4 * (24 + 8),
                bytes_written=4 * (24 + 12),
                because="per row of 4: mean 3 + 1, centre 4, square 4, mean 3 + 1, epsilon 1, scale 4, gamma 4, beta 4: 29, times 6",
            ),
            Example(
                call="layer_norm(x: f16[2,3,4], center=false, scale=false, begin_norm_axis=-1, begin_params_axis=-1) -> y: f16[2,3,4], "
                f"{_STATISTICS}",
                flops=126,
                bytes_written=48 + 48,
                because="21 per row without gamma and beta; statistics in single precision",
            ),
            Example(
                call=f"layer_norm(x: f32[2,3,4], gamma: f32[4]) -> y: f32[2,3,4], {_STATISTICS}",
                inferable=False,
                flops=150,
                because="a printed graph: 25 per row; the statistics' shape tells the rows",
            ),
        ),
    ),
    OpRule(
        op_types=("layer_norm_grad",),
        overwrites={"dx": "_add_to_output"},
        summary="Gradient of layer normalization for its data.",
        formula=_BACKWARD,
        shape=layer_norm_grad_shape,
        cost=norm_grad_cost(centred=True),
        traffic=touch_all,
        examples=(
            Example(
                call=f"layer_norm_grad(dy: f32[2,3,4], x: f32[2,3,4], {_STATISTICS}, gamma: f32[4]) -> dx: f32[2,3,4]",
                flops=240,
                transcendentals=0,
                bytes_read=4 * (48 + 12 + 4),
                because="per row of 4: x' 8, gamma 4, sum of dy 3, products and sum 4 + 3, means 2, dx 16: 40, times 6",
            ),
            Example(
                call=f"layer_norm_grad(dy: f32[2,3,4], x: f32[2,3,4], {_STATISTICS}, _add_to_output: f32[2,3,4], begin_norm_axis=2) -> "
                "dx: f32[2,3,4]",
                flops=240,
                because="36 per row and 24 further additions",
            ),
        ),
    ),
    OpRule(
        op_types=("group_norm_grad",),
        summary="Gradient of group normalization for its data.",
        formula=_BACKWARD,
        shape=results_like("dy", "dx"),
        cost=norm_grad_cost(centred=True),
        traffic=touch_all,
        examples=(
            Example(
                call="group_norm_grad(dy: f32[2,6,2], x: f32[2,6,2], mean: f32[2,3], inv_variance: f32[2,3]) -> dx: f32[2,6,2]",
                flops=216,
                because="36 per group of 4 without gamma, 6 groups",
            ),
        ),
    ),
    OpRule(
        op_types=("layer_norm_param_grad",),
        temporary=layer_norm_buffer,
        summary="Gradients of layer normalization for gamma and beta.",
        formula=_PARAMS,
        shape=layer_norm_param_grad_shape,
        readings=axis_of("begin_params_axis", "dy"),
        cost=param_grad_cost(beta_diff=1, gamma_diff=4),
        traffic=touch_all,
        examples=(
            Example(
                call=f"layer_norm_param_grad(dy: f32[2,3,4], x: f32[2,3,4], {_STATISTICS}, begin_params_axis=2) -> beta_diff: f32[4], "
                "gamma_diff: f32[4]",
                flops=112,
                bytes_written=32,
                because="per parameter of 6 rows: beta 5 additions; gamma 6 x 3 and 5 additions: 28, times 4",
            ),
            Example(
                call=f"layer_norm_param_grad(dy: f32[2,3,4], x: f32[2,3,4], {_STATISTICS}) -> gamma_diff: f32[4]",
                inferable=False,
                flops=92,
                because="a printed graph, gamma alone: 23 per parameter",
            ),
        ),
    ),
    OpRule(
        op_types=("fuse_layer_norm_grad",),
        summary="Gradients of layer normalization for data, gamma and beta in one.",
        formula=f"{_BACKWARD}; beta n - p, gamma 2n - p, x' computed once",
        shape=fuse_layer_norm_grad_shape,
        cost=fuse_layer_norm_grad_cost,
        traffic=touch_all,
        examples=(
            Example(
                call=f"fuse_layer_norm_grad(dy: f32[2,3,4], x: f32[2,3,4], {_STATISTICS}, gamma: f32[4], begin_norm_axis=2, "
                "begin_params_axis=2) -> "
                "dx: f32[2,3,4], gamma_diff: f32[4], beta_diff: f32[4]",
                flops=304,
                because="40 per row as in layer_norm_grad; per parameter beta 5, gamma 6 + 5: 16, times 4",
            ),
        ),
    ),
    OpRule(
        op_types=("group_norm",),
        summary="Normalization per sample over groups of channels.",
        formula=f"{_FORWARD}; + n and n sigmoid for a fused silu",
        shape=group_norm_shape,
        cost=group_norm_cost,
        traffic=touch_all,
        ignores="a fused activation in a printed graph, which does not show it",
        source="Wu and He, arXiv 1803.08494",
        examples=(
            Example(
                call="group_norm(x: f32[2,6,2], beta: f32[6], gamma: f32[6], affine=true, num_groups=3) -> y: f32[2,6,2], " + _STATISTICS,
                flops=174,
                transcendentals=6,
                bytes_read=4 * (24 + 12),
                because="29 per group of 4, as a row of layer_norm; 6 groups",
            ),
            Example(
                call=f"group_norm(x: f32[2,6,2]) -> y: f32[2,6,2], {_STATISTICS}",
                inferable=False,
                flops=126,
                because="a printed graph: 21 per group without gamma and beta",
            ),
            Example(
                call=f'group_norm(x: f32[2,6,2], affine=false, num_groups=3, activation="silu") -> y: f32[2,6,2], {_STATISTICS}',
                flops=150,
                transcendentals=30,
                because="21 per group; silu multiplies each of 24 elements by its sigmoid",
            ),
        ),
    ),
    OpRule(
        op_types=("group_norm_param_grad",),
        temporary=group_norm_buffer,
        summary="Gradients of group normalization for gamma and beta.",
        formula=_PARAMS,
        shape=group_norm_param_grad_shape,
        cost=param_grad_cost(dbeta=1, dgamma=4),
        traffic=touch_all,
        examples=(
            Example(
                call=f"group_norm_param_grad(dy: f32[2,6,2], x: f32[2,6,2], {_STATISTICS}) -> dgamma: f32[6], dbeta: f32[6]",
                flops=108,
                because="per channel of 4: beta 3, gamma 4 x 3 and 3: 18, times 6",
            ),
        ),
    ),
    OpRule(
        op_types=("skip_layer_norm",),
        summary="Layer normalization of x + bias + alpha * skip over the last axis.",
        formula=f"n for the bias, 2n for skip; {_FORWARD}",
        shape=rows_norm_shape("mean", "inv_variance"),
        cost=norm_cost(statistic="mean", centred=True),
        traffic=touch_all,
        examples=(
            Example(
                call="skip_layer_norm(x: f32[2,3,4], gamma: f32[4], beta: f32[4], bias: f32[4], skip: f32[2,3,4]) -> y: f32[2,3,4], "
                "mean: f32[6], "
                "inv_variance: f32[6]",
                flops=246,
                because="29 per row as in layer_norm, and 3 x 4 for bias and skip: 41, times 6",
            ),
        ),
    ),
)
