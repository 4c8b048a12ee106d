"""No input makes a count that is no count: a figure is an int of at least 0, or unknown with a reason."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from counts import check_counts
from jobs import X, job, read, user
from perturbed import CALLS, perturbed
from test_laws import of_one_op

import irflops
from irflops import Analysis
from irflops.counting.cost import Cost, CostTable
from irflops.differ.edit import difference
from irflops.ir.graph import DType, Op, Operand, Phase, TensorType
from irflops.ops import BOOK
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.traffic import Traffic
from irflops.ops.work import Unknowable, Work

SHARDS = 8


def constant(name: str, dims: str) -> str:
    attrs = f'attr {{ key: "shape" value {{ at_shape {{ {dims} }} }} }} attr {{ key: "dtype" value {{ at_data_type: kFloat }} }} '
    attrs += 'attr { key: "is_floating_value" value { at_bool: true } } attr { key: "floating_value" value { at_double: 1 } } '
    return user(name, "constant", f"out={name}/out_0", attrs + 'attr { key: "integer_value" value { at_int64: 0 } }')


@pytest.mark.parametrize("dims", ["dim: 4 dim: -3", "dim: -4 dim: -3", "dim: -1 dim: -1 dim: 3"])
def test_a_negative_extent_of_an_attribute_is_no_shape(dims: str) -> None:
    """4 x -3 elements are no -12, and -4 x -3 no 12."""
    graph = read(job(constant("c-constant-0", dims), user("g-gelu-1", "gelu", "in=c-constant-0/out_0 out=g-gelu-1/out_0")))
    analysis = irflops.analyze(graph)
    check_counts(analysis)
    assert analysis.total.worst == "lower_bound"
    assert analysis.inference.types["c-constant-0/out_0"].shape is None
    (found,) = analysis.inference.disagreements
    assert (found.op, found.inferred) == ("c-constant-0", None)
    assert "no extent" in found.reason


def test_a_view_of_no_shape_is_not_exact() -> None:
    """A view moves nothing, whatever its shape; where it can have none, the graph is not sound, and no sum of it exact."""
    attr = 'attr { key: "shape" value { at_shape { dim: -4 dim: -1 } } }'
    analysis = irflops.analyze(read(job(X, user("m-reshape-0", "reshape", "in=x/out out=m-reshape-0/out_0", attr))))
    check_counts(analysis)
    assert (analysis.total.worst, analysis.total.certainty("macs")) == ("lower_bound", "exact")
    assert [found.op for found in analysis.inference.disagreements] == ["m-reshape-0"]
    assert [unknown.reason for unknown in analysis.unknown] == ["missing_shape"]


def test_a_gradient_of_a_scalar_is_no_float() -> None:
    """`taps ** axes` of a dy of no axes was 2.0 ** -2."""
    analysis = of_one_op("m-upsample_linear_1d_grad-0", ["dy/out ", "x/out 1,2,5"], "dx_0 1,2,5")
    check_counts(analysis)
    assert analysis.total.certainty("flops") == "lower_bound"


@pytest.mark.drawn
@pytest.mark.parametrize("shard", range(SHARDS))
def test_perturbed_examples_have_counts_alone(shard: int) -> None:
    """Whatever the shapes and attributes, and with the results stated or not."""
    for number in range(shard, len(CALLS), SHARDS):
        for case in perturbed(CALLS[number], Random(number), 2):  # noqa: S311 - no secret
            for stated in (False, True):
                check_counts(irflops.analyze(case.graph(stated=stated)))


# ---------------------------------------------------------------- rules that lie


def lying(**changes: Any) -> Analysis:
    """A graph of one op whose rule is given."""
    rule = OpRule(
        op_types=("lie",),
        summary="Nothing.",
        formula="0",
        shape=changes.get("shape", lambda op: {"out": op.input("in")}),
        cost=changes.get("cost", lambda _: Work(macs=1)),
        traffic=changes.get("traffic", lambda _: Traffic(reads={"in": 1}, writes={"out": 1})),
        examples=(Example(call="lie()", because=""),),
        contraction=True,
    )
    graph = read(job(X, user("m-lie-0", "lie", "in=x/out out=m-lie-0/out_0")))
    analysis = irflops.analyze(graph, op_rules=BOOK.with_rules(rule))
    check_counts(analysis)
    return analysis


def test_the_rule_itself_is_sound() -> None:
    assert lying().total.worst == "exact"


@pytest.mark.parametrize("wrong", [-1, 2.0, True, "4"])
@pytest.mark.parametrize("figure", ["macs", "arithmetic", "transcendentals"])
def test_work_that_is_no_count_is_unknown(figure: str, wrong: Any) -> None:
    """flops too, which would be 2 x 5 - 1: nothing that is made of it is known."""
    work = Work(**{"macs": 5, "arithmetic": 0, "transcendentals": 0, figure: wrong})
    analysis = lying(cost=lambda _: work)
    assert not analysis.total.is_known("macs")
    assert not analysis.total.is_known("flops")
    assert (analysis.total.get("flops"), analysis.total.get("bytes_read")) == (0, 1)
    assert [(unknown.reason, unknown.ops) for unknown in analysis.unknown] == [("missing_shape", ("m-lie-0",))]
    (found,) = analysis.inference.disagreements
    assert f"{figure} {wrong}" in found.reason


def test_what_is_known_beside_an_attribute_is_held_to_the_same() -> None:
    def cost(_op: OpView) -> Work:
        raise Unknowable("k", known=Work(macs=-4, arithmetic=None))

    assert not lying(cost=cost).total.is_known("macs")


@pytest.mark.parametrize(
    "wrong",
    [
        {"reads": {"in": -8}, "writes": {"out": 1}},
        {"reads": {"in": 8}, "writes": {"out": -1, "z": 4}},
        {"reads": {"in": 0.5}, "writes": {}},
    ],
)
def test_traffic_that_is_no_count_is_unknown(wrong: Any) -> None:
    """Each argument's, not their sum alone: 4 bytes less 1 are no 3."""
    analysis = lying(traffic=lambda _: Traffic(**wrong))
    assert not analysis.total.is_known("bytes_read")
    assert not analysis.total.is_known("bytes_written")
    assert analysis.total.get("macs") == 1
    assert "bytes" in analysis.inference.disagreements[0].reason


@pytest.mark.parametrize("extent", [-1, 2.0, True])
def test_an_extent_that_is_no_count_is_a_misfit(extent: Any) -> None:
    analysis = lying(shape=lambda _: {"out": TensorType((2, extent), DType.FLOAT32)})
    assert analysis.inference.types["m-lie-0/out_0"].shape is None
    assert f"{extent} is no extent" in analysis.inference.disagreements[0].reason


def test_sums_and_differences_of_other_numbers_fail_here_and_not_in_the_report() -> None:
    """`int.__add__(0, 0.25)` does not raise: it returns NotImplemented, which was a graph's total."""
    assert (Cost(figures=(0,) * 8) + Cost(figures=(0.25,) * 8)).figures == (0.25,) * 8  # type: ignore[arg-type]  # what no rule may give
    assert difference(Cost(figures=(0,) * 8), Cost(figures=(0.25,) * 8)).figures == (-0.25,) * 8  # type: ignore[arg-type]  # the same


def test_a_table_of_costs_alone_keeps_the_law() -> None:
    """Whoever asks for the cost of one op, without inference."""
    dy, x = TensorType((), DType.FLOAT32), TensorType((1, 2, 5), DType.FLOAT32)
    op = Op(
        "m-u-0",
        "upsample_linear_1d_grad",
        (Operand("dy", 0, "dy/out", dy), Operand("x", 0, "x/out", x)),
        (Operand("dx", 0, "m-u-0/dx_0", x),),
        phase=Phase.FORWARD,
    )
    assert not CostTable({}).cost(op).cost.is_known("flops")
