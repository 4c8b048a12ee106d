"""Costs of single ops and their sums, by hand: an op of several types, one without its operands, one that nobody knows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.counting.cost import COST_NAMES, FIGURES, OF_A_RUN, ZERO, Cost, CostTable, OpCost
from irflops.counting.fold import UnsureBits, bounded, grouped
from irflops.counting.infer import infer
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Graph, Op, Phase, TensorType, VariableKind
from irflops.readers.notation.sketch import sketch

NET = """
x = input() -> out: f32[2,3]
w = variable() -> out: f32[4,3]
m.a | a = relu(x: x) -> y: f32[2,3]
m.b | b = matmul(a: a, b: w, transpose_a=false, transpose_b=true) -> out: f32[2,4]
m.c | c = sort(in: b, direction="ASCENDING") -> out: f32[2,4]
output(in: c)
"""


def graph(text: str = NET) -> Graph:
    return sketch(text).graph


def op_of(name: str, text: str = NET) -> Op:
    return next(op for op in graph(text).ops if op.type == name)


def cost_of(op: Op, text: str = NET) -> OpCost:
    return CostTable(infer(graph(text)).types).cost(op)


def known(cost: Cost) -> dict[str, int]:
    """The figures that an op tells by itself and that are known."""
    return {name: cost.get(name) for name in OF_A_RUN if cost.is_known(name)}


def changed(change: dict[str, object], name: str, text: str = NET) -> Analysis:
    """An analysis of the graph with one op otherwise."""
    whole = graph(text)
    return analyze_graph(replace(whole, ops=tuple(replace(op, **change) if op.type == name else op for op in whole.ops)))  # type: ignore[arg-type]  # fields by name


def test_a_figure_of_an_op_of_several_types_is_known_where_all_have_the_same() -> None:
    """relu: 6 flops; tanh: 6 transcendentals; both read and write 24 bytes and hold 6 elements."""
    found = cost_of(replace(op_of("relu"), type=None, type_candidates=("relu", "tanh")))
    assert known(found.cost) == {"macs": 0, "bytes_read": 24, "bytes_written": 24, "activation_elements": 6, "activation_bytes": 24}
    assert (found.cost.get("flops"), found.cost.get("transcendentals"), found.reason) == (0, 0, "missing_attribute")
    alike = cost_of(replace(op_of("relu"), type=None, type_candidates=("relu", "abs")))
    assert (known(alike.cost)["flops"], alike.reason) == (6, None)


def test_of_candidates_one_that_hangs_on_the_data_makes_a_figure_the_most() -> None:
    op = replace(op_of("sort"), type=None, type_candidates=("sort", "sort"))
    assert cost_of(op).cost == cost_of(op_of("sort")).cost
    assert cost_of(op).cost.certainty("flops") is Certainty.UPPER_BOUND


@pytest.mark.parametrize("change", [{"type": None}, {"type": "frobnicate"}])
@pytest.mark.parametrize(
    ("phase", "held"), [(Phase.FORWARD, False), (Phase.RECOMPUTE, False), (Phase.BACKWARD, True), (Phase.OPTIMIZER, True)]
)
def test_of_an_op_that_nobody_knows_only_a_gradient_is_known_to_hold_nothing(change: dict[str, object], phase: Phase, held: bool) -> None:
    found = cost_of(replace(op_of("relu"), phase=phase, **change))  # type: ignore[arg-type]  # fields by name
    assert known(found.cost) == ({"activation_elements": 0, "activation_bytes": 0} if held else {})
    assert found.reason == ("missing_attribute" if change["type"] is None else "no_rule")


def test_of_an_op_without_its_operands_its_results_tell_what_it_holds() -> None:
    relu, matmul = (replace(op_of(name), elided=True, inputs=()) for name in ("relu", "matmul"))
    assert known(cost_of(relu).cost) == {"macs": 0, "activation_elements": 6, "activation_bytes": 24}
    assert known(cost_of(matmul).cost) == {"activation_elements": 8, "activation_bytes": 32}
    assert known(cost_of(replace(relu, outputs=())).cost) == {"macs": 0}
    assert known(cost_of(replace(relu, phase=Phase.BACKWARD)).cost) == {"macs": 0, "activation_elements": 0, "activation_bytes": 0}
    assert {cost_of(op).reason for op in (relu, matmul)} == {"missing_shape"}


def test_a_view_without_its_operands_costs_what_a_view_does() -> None:
    text = NET.replace("relu(x: x) -> y", "identity(in: x) -> out")
    found = cost_of(replace(op_of("identity", text), elided=True, inputs=()), text)
    assert known(found.cost) == dict.fromkeys(OF_A_RUN, 0)


@pytest.mark.parametrize(
    ("kind", "type_", "params", "nbytes", "missing"),
    [
        (VariableKind.TRAINABLE, "f32[4,3]", (12, 0, 0, 0), (48, 0, 0, 0), set()),
        (VariableKind.FROZEN, "f16[4,3]", (0, 12, 0, 0), (0, 24, 0, 0), set()),
        (VariableKind.BUFFER, "i64[]", (0, 0, 1, 0), (0, 0, 8, 0), set()),
        (VariableKind.OPTIMIZER_STATE, "f32[5]", (0, 0, 0, 5), (0, 0, 0, 20), set()),
        (VariableKind.TRAINABLE, "?[4,3]", (12, 0, 0, 0), (0, 0, 0, 0), {"param_bytes"}),
        (VariableKind.TRAINABLE, "f32?", (0, 0, 0, 0), (0, 0, 0, 0), {"params", "param_bytes"}),
    ],
)
def test_a_variable_counts_its_elements_by_its_kind(
    kind: VariableKind, type_: str, params: tuple[int, ...], nbytes: tuple[int, ...], missing: set[str]
) -> None:
    op = op_of("variable")
    made = {"?[4,3]": TensorType((4, 3), None), "f32?": TensorType()}.get(type_)
    text = NET if made is not None else NET.replace("out: f32[4,3]\nm.a", f"out: {type_}\nm.a")
    op = replace(op_of("variable", text), kind=kind)
    op = replace(op, outputs=(replace(op.outputs[0], type=made or op.outputs[0].type),))
    found = CostTable({}).cost(op).cost
    assert (found.params, found.param_bytes, found.figures) == (params, nbytes, ZERO.figures)
    assert {name for name in COST_NAMES if not found.is_known(name)} == missing


# Sums


def test_a_sum_is_as_sure_as_its_least_sure_part() -> None:
    """sort is counted at its most; an op of unknown type makes a lower bound; both together, neither."""
    sure = analyze_graph(graph())
    assert {name: sure.total.certainty(name) for name in COST_NAMES} == {
        name: Certainty.UPPER_BOUND if name in MOST_OF_SORT else Certainty.EXACT for name in COST_NAMES
    }
    assert [sure.modules[path].certainty("flops") for path in ("m.a", "m.b", "m.c", "m")] == [
        "exact",
        "exact",
        "upper_bound",
        "upper_bound",
    ]
    unsure = changed({"type": "frobnicate"}, "relu")
    assert [unsure.modules[path].certainty("flops") for path in ("m.a", "m.b", "m.c", "m")] == [
        "lower_bound",
        "exact",
        "upper_bound",
        "unbounded",
    ]
    assert [(found.type, found.reason, len(found.ops)) for found in unsure.unknown] == [("frobnicate", "no_rule", 1)]


MOST_OF_SORT = {name for name in FIGURES if cost_of(op_of("sort")).cost.get(name)}


def test_what_runs_several_times_a_step_counts_as_often() -> None:
    """2 x 4 results of 3 products, three times; parameters are there once."""
    once, thrice = analyze_graph(graph()), changed({"runs": 3}, "matmul")
    assert (once.total.get("macs"), thrice.total.get("macs")) == (24, 72)
    assert (once.modules["m.b"].get("macs"), thrice.modules["m.b"].get("macs"), thrice.types["matmul"].cost.get("macs")) == (24, 72, 72)
    assert once.total.params == changed({"runs": 3}, "variable").total.params == (12, 0, 0, 0)


def test_costs_multiply_and_add_part_by_part() -> None:
    """What backward keeps of one run, the last figure, is there once, as parameters are."""
    one = Cost((1, 2, 3, 4, 5, 6, 7, 8), (1, 0, 2, 0), (4, 0, 8, 0), missing=1, at_most=2)
    assert one * 1 is one
    assert one * 3 == Cost((3, 6, 9, 12, 15, 18, 21, 8), (1, 0, 2, 0), (4, 0, 8, 0), missing=1, at_most=2)
    assert one + Cost((1,) * 8, (1,) * 4, (1,) * 4, missing=4, at_most=8) == Cost(
        (2, 3, 4, 5, 6, 7, 8, 9), (2, 1, 3, 1), (5, 1, 9, 1), missing=5, at_most=10
    )


def test_groups_sum_what_they_hold() -> None:
    ops = [op_of("relu"), replace(op_of("relu"), runs=2), op_of("matmul")]
    first, other = OpCost(Cost((1,) * 8, missing=1)), OpCost(Cost((0, 5, 0, 0, 0, 0, 0, 0), (7, 0, 0, 0), (28, 0, 0, 0), at_most=2))
    found = grouped(["a", "b", "a"], ops, [first, first, other], UnsureBits())
    assert [(key, group.count) for key, group in found.items()] == [("a", 2), ("b", 1)]
    assert found["a"].cost == Cost((1, 6, 1, 1, 1, 1, 1, 1), (7, 0, 0, 0), (28, 0, 0, 0), missing=1, at_most=2)
    assert found["b"].cost == Cost((2,) * 7 + (1,), missing=1)


def test_sums_are_no_surer_than_what_was_read() -> None:
    """Doubt in what is there marks any figure, doubt in its size those alone that are not 0."""
    cost = Cost((5, 0, 0, 0, 0, 0, 0))
    assert bounded(cost, UnsureBits()) is cost
    assert bounded(cost, UnsureBits(unread=6, too_many=4)) == replace(cost, missing=6, at_most=4)
    assert bounded(cost, UnsureBits(missing=3, at_most=7)) == replace(cost, missing=1, at_most=1)


@pytest.mark.parametrize(
    ("doubt", "certainty", "params"),
    [
        (Certainty.EXACT, "upper_bound", "exact"),
        (Certainty.LOWER_BOUND, "unbounded", "exact"),
        (Certainty.UPPER_BOUND, "upper_bound", "exact"),
        (Certainty.UNBOUNDED, "unbounded", "exact"),
    ],
)
def test_a_guess_makes_work_unsure_and_no_parameter(doubt: Certainty, certainty: str, params: str) -> None:
    total = analyze_graph(replace(graph(), doubt=doubt)).total
    assert (total.certainty("flops"), total.certainty("params")) == (certainty, params)
    assert total.certainty("macs") == ("exact" if doubt in (Certainty.EXACT, Certainty.LOWER_BOUND) else doubt)


def test_what_was_read_in_part_is_a_bound_in_all() -> None:
    total = analyze_graph(replace(graph(), partial=True)).total
    assert {total.certainty(name) for name in COST_NAMES} <= {"lower_bound", "unbounded"}
    assert total.worst == "unbounded"
