"""Whatever operands and attributes an op has, its rule answers, says what is missing, or says in words what does not fit.

Anything else is a bug of the rule, and shows as one: with its traceback.
"""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from perturbed import CALLS, CHANGES, graph_of, perturbed
from test_counts import lying

import irflops
from irflops.explaining.explanation import explain_op
from irflops.ir.graph import UNKNOWN_TENSOR, Attrs
from irflops.ir.signatures import op_types, signature
from irflops.ops import BOOK
from irflops.ops.op_view import OpView
from irflops.ops.rule import Changes
from irflops.ops.work import Unknowable
from irflops.readers.notation.op_signature import OpCall, read_call

SHARDS = 8


def view(call: OpCall, *, results: bool = True, attrs: bool = True) -> OpView:
    """The op of a call, its results as they are written or of unknown type."""
    outputs = call.outputs if results else {arg: (UNKNOWN_TENSOR,) * len(types) for arg, types in call.outputs.items()}
    return OpView(call.op_type, call.inputs, outputs, call.attrs if attrs else Attrs())


def answer(ask: Callable[[], object]) -> None:
    """Asks a rule. A misfit must be told by a `raise` of ours: what Python says of an unpacking or a zip are no words for a user."""
    line = "raise"
    try:
        ask()
    except Unknowable:
        pass
    except ValueError as error:
        line = (traceback.extract_tb(error.__traceback__)[-1].line or "").lstrip()
    assert line.startswith("raise")


@pytest.mark.parametrize("shard", range(SHARDS))
def test_rules_answer_or_say_what_does_not_fit(shard: int) -> None:
    for number in range(shard, len(CALLS), SHARDS):
        rule = BOOK.by_type[CALLS[number].op_type]
        for case in perturbed(CALLS[number], Random(number), 3):  # noqa: S311 - no secret
            for results in (False, True):
                op = view(case.call, results=results)
                for ask in (rule.shape, rule.cost, rule.moved):
                    answer(lambda ask=ask, op=op: ask(op))  # type: ignore[misc]  # bound in the loop


def changes_between(old: OpCall, new: OpCall) -> Changes:
    pairs = set()
    for arg, types in old.inputs.items():
        for before, after in zip(types, new.inputs.get(arg, ()), strict=False):
            pairs |= {
                (a, b) for a, b in zip(before.shape or (), after.shape or (), strict=False) if a is not None and b is not None and a != b
            }
    return Changes(frozenset(pairs), frozenset(pairs))


@pytest.mark.parametrize("shard", range(SHARDS))
def test_readings_and_sizes_of_a_what_if_do_too(shard: int) -> None:
    """Of an op as captured and as changed, either of which may be nonsense."""
    for number in range(shard, len(CALLS), SHARDS):
        call = CALLS[number]
        rule = BOOK.by_type[call.op_type]
        for case in perturbed(call, Random(number), 1):  # noqa: S311 - no secret
            for old, new in ((call, case.call), (case.call, call), (case.call, case.call)):
                changes = changes_between(old, new)
                for attrs in (True, False):
                    was, now = view(old, attrs=attrs), view(new, results=False, attrs=attrs)
                    if rule.readings is not None:
                        answer(lambda r=rule.readings, a=was, b=now: list(itertools.islice(r(a, b), 100)))  # type: ignore[misc]  # the same
                    if rule.resized is not None:
                        answer(lambda r=rule.resized, a=was, b=now, c=changes: list(itertools.islice(r(a, b, c), 100)))  # type: ignore[misc]  # the same


@pytest.mark.parametrize("shard", range(SHARDS))
def test_explanations_and_audits_go_on(shard: int) -> None:
    for number in range(shard, len(CALLS), SHARDS):
        random = Random(number)  # noqa: S311 - no secret
        for case in random.sample(list(perturbed(CALLS[number], random, 1)), 3):
            analysis = irflops.analyze(graph_of(case.call, stated=True))
            explain_op(analysis, 0).to_dict()
            irflops.audit(analysis)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            "scaled_dot_product_flash_attention(query: f16[2,4,8], key: f16[2,4,8], value: f16[2,4,8]) -> out: f16[2,4,8]",
            "query (2, 4, 8) has 3 dimensions, scaled_dot_product_flash_attention takes 4",
        ),
        ("group_norm(x: f32[6], num_groups=3) -> y: f32[6]", "x (6,) has 1 dimensions, group_norm takes at least 2"),
        ("top_k(in: f32[], k=1) -> out: i64[]", "in () has 0 dimensions, top_k takes at least 1"),
        ("grouped_matmul_bias(xs: [f32[2,3]], weights: [f32[4,3], f32[4,3]]) -> ys: [f32[2,4]]", "1 xs do not go with 2 weights"),
        ("unpack(in: f32[4,2], unpack_num=0) -> out: f32[2,2]", "attribute unpack_num of unpack should be at least 1, not 0"),
        (
            'max_pool_2d(x: f32[1,1,4,4], data_format="channels_first", kernel_size=[2,2], stride=[2], padding=[0,0]) -> y: f32[1,1,2,2]',
            "attribute stride of max_pool_2d should have 2 values, not (2,)",
        ),
        ("slice(x: f32[4], start=[0], stop=[4], step=[0]) -> y: f32[4]", "step (0,) of a slice is 0 on an axis"),
        (
            "upsample_nearest_1d(x: f32[1,1,4], scale_factor=none) -> y: f32[1,1,8]",
            "scale_factor of upsample_nearest_1d should be a number",
        ),
    ],
)
def test_words_name_the_argument_and_both_sides(call: str, words: str) -> None:
    analysis = irflops.analyze(graph_of(read_call(call), stated=True))
    (found,) = analysis.inference.disagreements
    assert words in found.reason
    assert found.inferred is None


@pytest.mark.parametrize(
    "error", [KeyError("typo"), IndexError("tuple index out of range"), ZeroDivisionError(), TypeError(), AttributeError()]
)
@pytest.mark.parametrize("part", ["shape", "cost", "traffic"])
def test_a_bug_of_a_rule_keeps_its_traceback(part: str, error: Exception) -> None:
    """No user can mend it, so it is not told as a misfit of the user's file."""

    def rule(_op: OpView) -> Any:
        raise error

    with pytest.raises(type(error)):
        lying(**{part: rule})


def test_no_op_type_has_one_name_on_both_sides() -> None:
    """`op.shape("x")` looks among the operands, then among the results: a name must say which."""
    for op_type in op_types():
        found = signature(op_type)
        assert found is not None
        assert not {arg.name for arg in found.inputs} & {arg.name for arg in found.outputs}, op_type


def test_an_operand_and_a_result_of_one_name_are_a_misfit() -> None:
    analysis = irflops.analyze(
        graph_of(
            read_call("matmul(a: f32[2,3], b: f32[3,4], out: f32[5], transpose_a=false, transpose_b=false) -> out: f32[2,4]"), stated=True
        )
    )
    assert "matmul has an operand and a result called 'out'" in analysis.inference.disagreements[0].reason


def test_every_change_is_drawn() -> None:
    """On an example that has all that can be changed."""
    call = read_call("conv1d(in: f32[1,2,8], weight: f32[4,2,3], groups=1, strides=[1]) -> out: f32[1,4,6]")
    assert {case.changes[0] for case in perturbed(call, Random(0), 1)} >= {change.__name__ for change in CHANGES}  # noqa: S311 - no secret


LAYER_NORM = "layer_norm(x: f32[2,3,4], gamma: {gamma}, center=false, scale=true, begin_norm_axis={norm}, begin_params_axis={params})"
STATISTICS = "mean: f32[2,3], inv_variance: f32[2,3]"
LAYER_NORM_GRAD = "layer_norm_grad(dy: f32[2,3,4], x: f32[2,3,4], {statistics}, begin_norm_axis={norm}) -> dx: f32[2,3,4]"
PARAM_GRAD = f"layer_norm_param_grad(dy: f32[2,3,4], x: f32[2,3,4], {STATISTICS}, begin_params_axis={{params}})"
FUSED_GRAD = (
    f"fuse_layer_norm_grad(dy: f32[2,3,4], x: f32[2,3,4], {STATISTICS}, begin_norm_axis={{norm}}, begin_params_axis={{params}}) -> "
    "dx: f32[2,3,4], gamma_diff: f32[4]"
)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        # What OneFlow's layer_norm_op.cpp accepts and refuses.
        (LAYER_NORM.format(gamma="f32[4]", norm=2, params=2) + f" -> y: f32[2,3,4], {STATISTICS}", None),
        (LAYER_NORM.format(gamma="f32[4]", norm=-1, params=2) + f" -> y: f32[2,3,4], {STATISTICS}", None),
        (LAYER_NORM.format(gamma="f32[4]", norm=1, params=2) + " -> y: f32[2,3,4]", "begin_norm_axis 1 and begin_params_axis 2 differ"),
        (LAYER_NORM.format(gamma="f32[3,4]", norm=2, params=-2) + " -> y: f32[2,3,4]", "begin_norm_axis 2 and begin_params_axis 1 differ"),
        (LAYER_NORM.format(gamma="f32[3]", norm=2, params=2) + " -> y: f32[2,3,4]", "gamma (3,) does not go with x (2, 3, 4) from axis 2"),
        (LAYER_NORM_GRAD.format(statistics=STATISTICS, norm=2), None),
        (LAYER_NORM_GRAD.format(statistics="mean: f32[2,3,1], inv_variance: f32[2,3,1]", norm=2), None),
        (LAYER_NORM_GRAD.format(statistics=STATISTICS, norm=1), "mean (2, 3) does not go with x (2, 3, 4) before axis 1"),
        (LAYER_NORM_GRAD.format(statistics=STATISTICS, norm=0), "begin_norm_axis of layer_norm_grad should be at least 1, not 0"),
        (LAYER_NORM_GRAD.format(statistics=STATISTICS, norm=-1), "begin_norm_axis of layer_norm_grad should be at least 1, not -1"),
        (
            LAYER_NORM_GRAD.format(statistics=STATISTICS, norm=2).replace("x: f32[2,3,4]", "x: f32[2,3,5]"),
            "dy f32[2,3,4] is not of the shape",
        ),
        (PARAM_GRAD.format(params=2) + " -> gamma_diff: f32[4]", None),
        (PARAM_GRAD.format(params=1) + " -> gamma_diff: f32[3,4]", None),
        (PARAM_GRAD.format(params=3) + " -> gamma_diff: f32[]", "begin_params_axis 3 is out of range"),
        (
            PARAM_GRAD.format(params=-1) + " -> gamma_diff: f32[4]",
            "begin_params_axis of layer_norm_param_grad should be at least 1, not -1",
        ),
        (FUSED_GRAD.format(norm=2, params=2), None),
        (FUSED_GRAD.format(norm=1, params=2), "mean (2, 3) does not go with x (2, 3, 4) before axis 1"),
        (FUSED_GRAD.format(norm=2, params=0), "begin_params_axis of fuse_layer_norm_grad should be at least 1, not 0"),
    ],
)
def test_the_axes_of_layer_norm_and_its_gradients(call: str, words: str | None) -> None:
    disagreements = irflops.analyze(graph_of(read_call(call), stated=True)).inference.disagreements
    assert [words in found.reason for found in disagreements if words is not None] == [True] * (words is not None)
    assert len(disagreements) == (words is not None)
