"""What the names of operators tell that OneFlow's passes make, each ending and beginning by a name as a dump has it."""

from __future__ import annotations

import pytest

from irflops.readers.meaning import gradients, resolve


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("model.fc.weightadam_bias_correction_factor1", ("adam_bias_correction_factor",)),
        ("System-Train-TrainStep-Identity-lamb_bias_correction_factor2", ("adam_bias_correction_factor",)),
        ("model.loss-reduce_sum-7_scale_initial_diff", ("scalar_mul_by_tensor",)),
        ("model.fc.weight_pinned_identity", ("pinned_identity",)),
        ("model.loss-reduce_sum-7_constant_like_loss_scale", ("constant_like",)),
        ("model.loss-reduce_sum-7_loss_scale-repeat", ("repeat",)),
        ("model.fc.weight-cast_f2h", ("cast",)),
        ("model.fc-matmul-3_cast_h2f-12", ("cast",)),
        ("model.fc.weight_ssp_variable_proxy", ("ssp_variable_proxy",)),
        ("System-Train-TrainStep-AssignIfNot", ("assign_if_not",)),
        ("System-Train-TrainStep", ("variable",)),
        ("System-Train-DynamicLossScale-x_scale_initial_diff", ("scalar_mul_by_tensor",)),
        ("System-Train-DynamicLossScale-model-Schedule", ("dynamic_loss_scale_schedule",)),
        ("System-Boxing-Identity-12", ("identity",)),
        ("model.forecast_head-relu-3", ("relu",)),
        ("my_System-Train-TrainStep-relu-3", ("relu",)),
        ("grouped_matmul_model.q-broadcast_matmul-1", ("grouped_matmul_bias",)),
        ("model.fc-broadcast_mul-3-mlir-gen-4", ("scalar_mul_by_tensor", "fused_glu")),
        ("variable_12", ("variable",)),
    ],
)
def test_types_that_a_name_tells(name: str, types: tuple[str, ...]) -> None:
    assert resolve.resolve(name, 1).types == types


def test_every_beginning_is_one_of_a_pass() -> None:
    """No other name is held against the table."""
    assert all(prefix.startswith(resolve._SYSTEM) for prefix, _ in resolve._PREFIXES)


@pytest.mark.drawn
def test_plain_names_tell_nothing_more_on_closer_look() -> None:
    """What a name may hold, in front of and behind each other: those that are read at once are read as the others are."""
    beginnings = ["", "m.", "m-relu-1-", "grouped_matmul_", "System-Train-", "Sys-Boxing-", "OneFlow-System-Checkpointing-", "variable_"]
    beginnings += [prefix for prefix, _ in resolve._PREFIXES]
    middles = ["", "fc-matmul", "cast_f2h", "cast_h2f", "a-cast_f2h", "group_norm", "x_clone_grad_", *(mark for mark in resolve._MARKS)]
    suffixes = gradients._suffixes()
    ends = ["", "-3", "-mlir-gen-4", "_with_activation", "-relu-3", "-99999999999999999999", "_12", "-x", "-\u0663", "-3\n", *suffixes]
    names = [beginning + middle + end for beginning in beginnings for middle in middles for end in ends]
    assert len(names) > 50_000
    plain = [name for name in names if resolve.resolve(name, 2) != resolve._told(name, 2)]
    assert plain == []
