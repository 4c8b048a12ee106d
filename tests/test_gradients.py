"""Gradient operators of OneFlow 0.8.0 by their names, which are made of the forward operator's."""

import pytest

from irflops.ir.signatures import signature
from irflops.readers.meaning.gradients import _table
from irflops.readers.meaning.resolve import resolve
from irflops.readers.printed.operators import draft_of
from irflops.readers.printed.statement import Statements


@pytest.mark.parametrize(
    ("name", "operands", "op_type", "path"),
    [
        ("model.act-relu-2_grad", 2, "relu_grad", "model.act"),
        ("fc-matmul-0_grad_a", 2, "matmul", "fc"),
        ("fc-matmul-0_grad_b", 2, "matmul", "fc"),
        ("fc-broadcast_matmul-3_b_grad", 2, "broadcast_matmul_grad_b", "fc"),
        ("fc-broadcast_add-1_y_grad_reduce_sum_like", 2, "reduce_sum_like", "fc"),
        ("m-broadcast_mul-0_grad_x_mul", 2, "broadcast_mul", "m"),
        ("reduce_sum-2_grad", 2, "broadcast_like", ""),
        ("reduce_max-2_grad_cast_mask", 2, "cast_like", ""),
        ("flat-reshape-4_grad", 1, "reshape", "flat"),
        ("flat-reshape-4_grad", 2, "reshape_like", "flat"),
        ("n-layer_norm-5_grad", 4, "layer_norm_grad", "n"),
        ("n-layer_norm-5_grad", 5, "layer_norm_grad", "n"),
        ("split_like-3_grad_zero_like_out_12", 1, "zero_like", ""),
        ("System-AutoGrad-model.conv1-conv2d-0-FilterGrad", 2, "conv_filter_grad", "model.conv1"),
        ("System-AutoGrad-model.conv1-conv2d-0-DataGrad", 3, "conv_data_grad", "model.conv1"),
        ("System-AutoGrad-model.up-deconv2d-0-DataGrad", 2, "conv2d", "model.up"),
        ("System-AutoGrad-bn-normalization-7-VarianceAddEpsilon", 1, "scalar_add", "bn"),
        ("System-AutoGrad-bn-normalization-7-VarianceRsqrt", 1, "rsqrt", "bn"),
        ("System-AutoGrad-hierarchical_parallel_cast-9", 2, "hierarchical_parallel_cast_like", ""),
        ("fc.weight-out-cast_f2h_grad", 1, "cast", None),
        ("System-GradientAccumulation-VariableRepeat-fc.weight-31_grad", 1, "acc", None),
        ("model-add_n-1_clone_grad_57", 1, "add_n", None),
        ("fc.weight_clone_grad_112", 1, "add_n", None),
        ("loss-broadcast_div-7_z_0_grad_ConstantLike", 0, "constant_like", None),
        ("loss-broadcast_div-7_z_0_grad_Scale", 2, "scalar_mul_by_tensor", None),
    ],
)
def test_what_a_gradients_name_tells(name: str, operands: int, op_type: str, path: str | None) -> None:
    resolved = resolve(name, operands)
    assert resolved.types == (op_type,)
    assert resolved.path == path
    assert resolved.gradient
    assert resolved.number is None, "a gradient has no number of its own: the last one in its name is the forward operator's"


@pytest.mark.parametrize(
    "name",
    [
        "a-relu-2",
        "fc.weight",
        "fc.weight_optimizer",
        "last_grad-relu-2",
        "System-AutoGrad-ParallelCast-5",
        "_G_0_input.0.0_2",
        "x_grad",
        "_grad",
    ],
)
def test_what_is_no_gradients_name(name: str) -> None:
    assert not resolve(name, 1).gradient


def test_operands_stand_in_the_order_of_the_builder() -> None:
    """One type, built in two orders: as the gradient of a broadcast_div, and of a scalar_div_by_tensor."""
    assert printed("broadcast_div-1_y_grad", "y", "z", "dz") == ("y", "z", "dz")
    assert printed("scalar_div_by_tensor-1scalar_grad", "dz", "z", "y") == ("dz", "z", "y")
    assert printed("act-relu-2_grad", "y", "dy") == ("y", "dy")
    assert printed("bn-normalization-3_grad", "x", "dy", "gamma", "mean", "inv_variance") == ("x", "dy", "gamma", "mean", "inv_variance")


def printed(name: str, *operands: str) -> tuple[str, ...]:
    """What the reader calls the operands of a printed line of OneFlow 0.8.0."""
    tensor = "sbp=(B), size=(2), dtype=(oneflow.float32)"
    given = ", ".join(f"{operand}/out:({tensor})" for operand in operands)
    line = f'(OPERATOR: {name}({given}) -> ({name}/out_0:({tensor})):placement=(oneflow.placement(type="cpu", ranks=[0])))'
    return tuple(operand.arg for operand in draft_of(Statements().operator(line), old=True).inputs)


def test_recomputed_operators_of_0_8_0() -> None:
    resolved = resolve("OneFlow-System-Checkpointing-Fake-Fw-Op_model.fc-matmul-7", 2)
    assert (resolved.types, resolved.path, resolved.number) == (("matmul",), "model.fc", 7)
    assert resolved.recompute
    assert not resolved.gradient


def test_the_table_names_op_types_alone_that_are_known() -> None:
    for (forward, _), readings in _table().items():
        assert signature(forward) is not None, forward
        for reading in readings:
            found = signature(reading.op_type)
            assert found is not None, reading
            assert set(reading.args) <= {arg.name for arg in found.inputs}, reading
