"""The parts of a diff by themselves: sequences by brute force, sides, conditions, groups and sums by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

import irflops
from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.counting.cost import Cost
from irflops.differ import Diff, diff_analyses, kinds_of
from irflops.differ.conditions import condition
from irflops.differ.edit import Edit, difference
from irflops.differ.forms import aspects_of, not_compared
from irflops.differ.pairing import same_type
from irflops.differ.side import Side, boxed_in, side_of
from irflops.differ.sums import folded, modules, phases, totals, types
from irflops.ir.graph import Module, Op, Operand, Phase, Role, TensorType
from irflops.ir.holds import Holds
from irflops.ir.tree import common_place
from irflops.readers.notation.sketch import sketch


def drawn(text: str) -> Analysis:
    return analyze_graph(sketch(text).graph)


def diff_of(old: str, new: str) -> Diff:
    return diff_analyses(drawn(old), drawn(new))


def side(text: str) -> Side:
    analysis = drawn(text)
    return side_of(analysis, aspects_of(analysis.graph, analysis.graph))


def named(edits: tuple[Edit, ...]) -> list[tuple[str, str | None, str | None]]:
    """Kinds and names, in the diff's order."""

    def name(end: Op | Module | None) -> str | None:
        return None if end is None else end.name if isinstance(end, Op) else end.path

    return [(edit.kind, name(edit.old), name(edit.new)) for edit in edits]


# Operators


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("relu", (), Phase.FORWARD), ("relu", (), Phase.FORWARD), True),
        (("relu", (), Phase.FORWARD), ("gelu", (), Phase.FORWARD), False),
        (("relu", (), Phase.FORWARD), ("relu", (), Phase.RECOMPUTE), False),
        (("relu", (), Phase.FORWARD), ("relu", (), Phase.BACKWARD), False),
        (("relu", (), Phase.BACKWARD), ("relu", (), Phase.OPTIMIZER), True),
        (("relu", (), None), ("relu", (), Phase.SYSTEM), True),
        (("max_pool_2d", (), None), (None, ("max_pool_1d", "max_pool_2d"), None), True),
        ((None, ("max_pool_1d", "max_pool_2d"), None), ("max_pool_2d", (), None), True),
        (("max_pool_3d", (), None), (None, ("max_pool_1d", "max_pool_2d"), None), False),
        ((None, ("a", "b"), None), (None, ("b", "c"), None), True),
        ((None, ("a", "b"), None), (None, ("c", "d"), None), False),
        ((None, (), None), (None, (), None), True),
        ((None, (), None), (None, ("a",), None), False),
        ((None, (), None), ("a", (), None), False),
    ],
)
def test_types_that_may_be_one(one: tuple[Any, Any, Any], other: tuple[Any, Any, Any], same: bool) -> None:
    ops = [Op("o", op_type, (), (), type_candidates=candidates, phase=phase) for op_type, candidates, phase in (one, other)]
    assert same_type(ops[0], ops[1]) is same is same_type(ops[1], ops[0])


def test_boxing_in_a_row_is_looked_through_to_its_source() -> None:
    graph = sketch(
        "x = input() -> out: f32[2]\na = identity(in: x) -> out: f32[2]\nb = identity(in: a) -> out: f32[2]\noutput(in: b)"
    ).graph
    x, a, b, y = graph.ops
    renamed = [x, replace(a, role=Role.BOXING), replace(b, role=Role.BOXING), y]
    assert boxed_in(renamed) == {a.outputs[0].lbn: x.outputs[0].lbn, b.outputs[0].lbn: x.outputs[0].lbn}
    assert boxed_in([x, a, b, y]) == {}


def test_boxing_in_a_circle_has_no_source_and_an_end() -> None:
    def boxing(name: str, source: str) -> Op:
        inputs, outputs = (Operand("in", 0, source, TensorType()),), (Operand("out", 0, name, TensorType()),)
        return Op(name, "identity", inputs, outputs, role=Role.BOXING)

    assert set(boxed_in([boxing("x", "a"), boxing("a", "b"), boxing("b", "a")])) == {"x", "a", "b"}


def test_casts_are_looked_through_where_a_pass_may_have_taken_them_away() -> None:
    """What comes behind one reads, and is read by, what a cast is between."""
    text = "x = input() -> out: f32[2]\na = relu(x: x) -> y: f32[2]\n{0}b = tanh(x: {1}) -> y: f32[2]\noutput(in: b)"
    cast = sketch(text.format("c = parallel_cast(in: a) -> out: f32[2]\n", "c")).graph
    more = sketch(text.format("d = sin(x: a) -> y: f32[2]\n", "d")).graph
    edits = diff_analyses(analyze_graph(replace(cast, holds=Holds(passes=False))), analyze_graph(more)).edits
    assert named(edits) == [("op_added", None, "sin-2")]
    assert edits[0].detail["feeds"] == [{"op": "tanh-3", "arg": "x", "index": 0, "lbn": "sin-2/y_0", "otherwise": "relu-1/y_0"}]
    assert named(diff_analyses(analyze_graph(cast), analyze_graph(more)).edits) == [("op_retyped", "parallel_cast-2", "sin-2")]


def test_inputs_and_outputs_are_paired_by_name_and_then_in_order() -> None:
    """Two inputs and outputs become three: the outputs' names, by line, are 2 and 3 and become 3, 4 and 5."""
    lines = [f"x{n} = input() -> out: f32[{n + 2}]" for n in range(3)]
    ends = [f"output(in: x{n})" for n in range(3)]
    diff = diff_of("\n".join(lines[:2] + ends[:2]), "\n".join(lines + ends))
    assert diff.pairs == {
        "_g_input.0.0_0": "_g_input.0.0_0",
        "_g_input.0.0_1": "_g_input.0.0_1",
        "_g_output.0.0_3": "_g_output.0.0_3",
        "_g_output.0.0_2": "_g_output.0.0_4",
    }
    assert [name for name in named(diff.edits) if name[1] is None] == [
        ("input_changed", None, "_g_input.0.0_2"),
        ("output_changed", None, "_g_output.0.0_5"),
    ]


def test_graphs_without_inputs_and_outputs_are_compared_too() -> None:
    text = "c = constant() -> out: f32[2,8]\na = relu(x: c) -> y: f32[2,8]\nb = tanh(x: a) -> y: f32[2,8]"
    assert diff_of(text, text).edits == ()
    assert named(diff_of(text, text.replace("relu", "exp")).edits) == [("op_retyped", "relu-1", "exp-1")]


# Edits


CHAIN = """
x = input() -> out: f32[2,8]
m.a | a = relu(x: x) -> y: f32[2,8]
m.b | b = tanh(x: a) -> y: f32[2,8]
m.c | c = gelu(in: b) -> out: f32[2,8]
output(in: c)
"""


def test_edits_stand_by_kind_and_then_as_their_operators_run() -> None:
    old = (
        "x = input() -> out: f32[2,8]\n"
        + "".join(
            f"m | v{n} = {kind}(x: {f'v{n - 1}' if n else 'x'}) -> y: f32[2,8]\n" for n, kind in enumerate(["relu", "tanh", "exp", "sin"])
        )
        + "output(in: v3)"
    )
    new = old.replace("tanh(", "sinh(").replace("relu(", "cosh(").replace("sin(x", "log(x")
    assert named(diff_of(old, new).edits) == [
        ("op_retyped", "m-relu-1", "m-cosh-1"),
        ("op_retyped", "m-tanh-2", "m-sinh-2"),
        ("op_retyped", "m-sin-4", "m-log-4"),
    ]


def test_what_comes_and_goes_stands_as_it_runs_whatever_the_order_of_lines() -> None:
    """Three operators in a row, written down from the last to the first."""
    old = sketch("x = input() -> out: f32[2,8]\noutput(in: x)").graph
    new = sketch(CHAIN).graph
    backwards = analyze_graph(replace(new, ops=new.ops[::-1]))
    names = ["m.a-relu-1", "m.b-tanh-2", "m.c-gelu-3"]
    come = [(kind, one) for kind, _, one in named(diff_analyses(analyze_graph(old), backwards).edits) if kind == "op_added"]
    gone = [(kind, one) for kind, one, _ in named(diff_analyses(backwards, analyze_graph(old)).edits) if kind == "op_removed"]
    assert (come, gone) == ([("op_added", name) for name in names], [("op_removed", name) for name in names])


def test_equal_changes_share_a_group_and_different_ones_do_not() -> None:
    """In four modules of one pattern, relu becomes tanh twice, exp once, and stays once."""

    def text(*kinds: str) -> str:
        lines = ["v0 = input() -> out: f32[2,8]"]
        lines += [f"m.{n} | v{n} = {kind}(x: v{n - 1}) -> y: f32[2,8]" for n, kind in enumerate(kinds, 1)]
        return "\n".join([*lines, f"output(in: v{len(kinds)})"])

    edits = diff_of(text("relu", "relu", "relu", "relu"), text("tanh", "exp", "tanh", "relu")).edits
    assert [edit.kind for edit in edits] == ["op_retyped"] * 3
    assert (edits[0].group == edits[2].group, edits[0].group == edits[1].group) == (True, False)
    assert [(found.times, found.place) for found in folded(edits)] == [(2, "m.*"), (1, "m.2")]


def test_changes_of_an_attribute_to_other_values_are_different_groups() -> None:
    def text(*axes: int) -> str:
        lines = ["v0 = input() -> out: f32[4,4]"]
        lines += [f"m.{n} | v{n} = cumsum(x: v{n - 1}, dim={axis}) -> y: f32[4,4]" for n, axis in enumerate(axes, 1)]
        return "\n".join([*lines, f"output(in: v{len(axes)})"])

    edits = diff_of(text(0, 0, 0), text(1, 1, -1)).edits
    assert [edit.kind for edit in edits] == ["attr_changed"] * 3
    assert len({edit.group for edit in edits}) == 2


@pytest.mark.parametrize(
    ("paths", "place"),
    [
        (["m.layer1.0.fc", "m.layer2.7.fc"], "m.layer*.*.fc"),
        (["m.a", "m.b"], "m.*"),
        (["m.a", "m.b.c"], "m.**"),
        (["a.b", "c"], "**"),
        (["m", "m"], "m"),
        (["m.a.x", "m.a.y", "m.b"], "m.**"),
        (["", "m"], "*"),
    ],
)
def test_what_places_have_in_common(paths: list[str], place: str) -> None:
    assert common_place(paths) == place


def test_a_change_of_an_operator_is_the_same_change_whatever_its_shape() -> None:
    """Of a parameter the shape is part of what changed."""

    def text(kind: str, use: str) -> str:
        lines = ["a = input() -> out: f32[2,8]", "b = input() -> out: f32[2,4]"]
        lines += [f"m.{n} | w{n} = variable(kind={use}) -> out: f32[2,{size}]" for n, size in ((1, 8), (2, 4))]
        lines += [f"m.{n} | v{n} = broadcast_add(x: {x}, y: w{n}) -> z: f32[2,{size}]" for n, x, size in ((1, "a", 8), (2, "b", 4))]
        lines += [f"m.{n} | r{n} = {kind}(x: v{n}) -> y: f32[2,{size}]" for n, size in ((1, 8), (2, 4))]
        return "\n".join([*lines, "output(in: r1)", "output(in: r2)"])

    ops = diff_of(text("relu", "trainable"), text("tanh", "trainable")).edits
    assert [(edit.kind, edit.group == ops[0].group) for edit in ops] == [("op_retyped", True), ("op_retyped", True)]
    params = diff_of(text("relu", "trainable"), text("relu", "frozen")).edits
    assert [(edit.kind, edit.group == params[0].group) for edit in params] == [("param_frozen", True), ("param_frozen", False)]


def test_parameters_of_one_module_that_change_alike_are_shown_as_one() -> None:
    """Two of one shape go together, one of another shape does not."""
    lines = ["x = input() -> out: f32[2,8]", "m.a | w = variable() -> out: f32[2,8]", "m.a | b = variable() -> out: f32[2,8]"]
    lines += ["m.a | s = variable() -> out: f32[8]", "m.a | y = broadcast_add(x: x, y: w) -> z: f32[2,8]"]
    lines += ["m.a | z = broadcast_mul(x: y, y: b) -> z: f32[2,8]", "m.a | r = broadcast_sub(x: z, y: s) -> z: f32[2,8]"]
    diff = diff_of("x = input() -> out: f32[2,8]\noutput(in: x)", "\n".join([*lines, "output(in: r)"]))
    params = [found for found in folded(diff.edits) if found.edits[0].kind == "param_added"]
    assert [(found.names, found.times, found.place) for found in params] == [(("w", "b"), 1, "m.a"), (("s",), 1, "m.a")]
    assert [len(found.edits) for found in folded(diff.edits, full=True)] == [1] * len(diff.edits)


# What forms lack

PRINT, JOB = Holds(attrs=False, declarations=True), Holds()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (JOB, JOB, []),
        (PRINT, JOB, ["attributes: the old form, printed, holds those alone", "modules without operators"]),
        (JOB, PRINT, ["attributes: the new form, printed, holds those alone", "modules without operators"]),
        (PRINT, PRINT, ["attributes: both forms, printed, hold those alone"]),
        (JOB, Holds(passes=False), ["sbp: a forward job", "what OneFlow's passes", "operators without effect"]),
        (Holds(passes=False), Holds(passes=False), ["sbp: a forward job"]),
        (JOB, Holds(dead_ops=False), ["operators without effect"]),
        (Holds(dead_ops=False), Holds(dead_ops=False), []),
    ],
)
def test_what_is_not_compared_is_told(old: Holds, new: Holds, words: list[str]) -> None:
    graphs = [replace(sketch(CHAIN).graph, holds=holds) for holds in (old, new)]
    told = not_compared(graphs[0], graphs[1], aspects_of(graphs[0], graphs[1]))
    assert [text[: len(word)] for text, word in zip(told, words, strict=True)] == words
    damaged = [replace(graphs[0], partial=True), graphs[1]]
    for one, other in (damaged, damaged[::-1]):
        assert [text for text in not_compared(one, other, aspects_of(one, other)) if text.startswith("what could not be read")]


def test_what_a_form_could_not_show_is_no_change() -> None:
    """A saved graph drops what leads to no output: neither the operator nor its module went."""
    dead = CHAIN.replace("output(in: c)", "m.d | d = exp(x: a) -> y: f32[2,8]\noutput(in: c)")
    whole, saved = sketch(dead).graph, replace(sketch(CHAIN).graph, holds=Holds(dead_ops=False))
    assert diff_analyses(analyze_graph(whole), analyze_graph(saved)).edits == ()
    assert diff_analyses(analyze_graph(saved), analyze_graph(whole)).edits == ()
    both = diff_analyses(analyze_graph(whole), drawn(CHAIN)).edits
    assert named(both) == [("op_removed", "m.d-exp-4", None), ("module_removed", "m.d", None)]


# Costs

WIDER = (
    CHAIN.replace("gelu(in: b) -> out: f32[2,8]", "relu(x: b) -> y: f32[2,8]")
    .replace("m.b | b = tanh(x: a) -> y: f32[2,8]\n", "m.b | b = tanh(x: a) -> y: f32[2,8]\nm.b | d = exp(x: b) -> y: f32[2,8]\n")
    .replace("relu(x: b)", "relu(x: d)")
)
"""A tanh and an exp over 16 elements, and a relu in place of the gelu."""


def test_sums_of_a_diff_by_hand() -> None:
    """relu: 16 flops; tanh and exp: 16 transcendentals; gelu: 16 erf, and 4 flops an element besides."""
    diff = diff_of(CHAIN, WIDER)
    assert kinds_of(diff.edits) == {"op_added": 1, "op_retyped": 1}
    old, new = totals(diff.old, diff.new)["flops"]
    by_type = {row.key: (row.count, row.change.get("flops"), row.change.get("transcendentals")) for row in types(diff.sides)}
    assert by_type["exp"] == ((0, 1), 0, 16)
    assert by_type["relu"] == ((1, 2), 16, 0)
    assert by_type["gelu"][0] == (1, 0)
    assert by_type["gelu"][1] < 0
    assert new - old == 16 + by_type["gelu"][1]
    greatest = [abs(row.change.get("flops")) for row in types(diff.sides)]
    assert greatest == sorted(greatest, reverse=True)
    assert {row.key: row.change.get("flops") for row in phases(diff.sides) if row.change.get("flops")} == {"forward": new - old}
    by_module = {row.key: (row.was, row.change.get("transcendentals")) for row in modules(diff.sides)}
    assert by_module["m.b"] == ("m.b", 16)
    assert by_module["m.c"] == ("m.c", -16)


def test_of_an_operator_with_two_edits_the_first_has_the_cost_and_those_of_others_keep_theirs() -> None:
    """The relu moves and becomes a tanh; a bias of 8 comes, and 16 additions."""
    text = "x = input() -> out: f32[2,8]\nm.a | p = sin(x: x) -> y: f32[2,8]\nm.a | a = relu(x: p) -> y: f32[2,8]\n"
    text += "m.b | b = exp(x: a) -> y: f32[2,8]\noutput(in: b)"
    new = text.replace("m.a | a = relu", "m.b | a = tanh").replace("x: a)", "x: s)")
    new = new.replace("m.b | b", "m.b | w = variable() -> out: f32[8]\nm.b | s = broadcast_add(x: a, y: w) -> z: f32[2,8]\nm.b | b")
    edits = diff_of(text, new).edits
    told = [(edit.kind, edit.cost.get("flops"), edit.cost.get("transcendentals"), edit.cost.get("params")) for edit in edits]
    assert told == [("op_added", 16, 0, 0), ("op_moved", -16, 16, 0), ("op_retyped", 0, 0, 0), ("param_added", 0, 0, 8)]


def test_a_module_that_went_is_listed_with_what_it_cost() -> None:
    diff = diff_of(CHAIN, CHAIN.replace("m.b | b = tanh(x: a) -> y: f32[2,8]\n", "").replace("in: b", "in: a"))
    rows = [(row.key, row.was, row.old.get("transcendentals"), row.new.get("transcendentals")) for row in modules(diff.sides)]
    assert rows[-1] == ("", "m.b", 16, 0)
    assert {row[0] for row in rows} == {"", "m", "m.a", "m.c"}


def test_what_is_unknown_of_an_operator_that_moves_cancels_in_the_total_alone() -> None:
    """One that nobody knows leaves one module for another: of the whole it changes nothing, of the two it may."""
    lines = ["x = input() -> out: f32[2,8]", "m.a | a = relu(x: x) -> y: f32[2,8]", "m.a | b = frobnicate(x: a) -> y: f32[2,8]"]
    lines += ["m.b | c = tanh(x: b) -> y: f32[2,8]", "output(in: c)"]
    text = "\n".join(lines)
    for new, sure in ((text, True), (text.replace("m.a | b", "m.b | b"), False)):
        diff = diff_of(text, new)
        assert [edit.kind for edit in diff.edits] == ([] if sure else ["op_moved"])
        assert diff.change.is_exact("flops")
        assert [row.change.is_exact("flops") for row in modules(diff.sides) if row.key in ("m.a", "m.b")] == [sure, sure]


def test_a_difference_of_costs_is_more_where_the_new_lacks_something_and_less_where_the_old_does() -> None:
    one, other = (
        Cost((5, 4, 3, 2, 1, 0, 9, 3), (1, 2, 3, 4), (4, 3, 2, 1), missing=1, at_most=2),
        Cost((1,) * 8, (1,) * 4, (1,) * 4, missing=4, at_most=8),
    )
    assert difference(one, other) == Cost((4, 3, 2, 1, 0, -1, 8, 2), (0, 1, 2, 3), (3, 2, 1, 0), missing=1 | 8, at_most=2 | 4)


# Conditions


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("flops>16", False),
        ("flops>=16", True),
        ("flops<16", False),
        ("flops<=16", True),
        ("flops>15.5", True),
        ("flops>+50%", False),
        ("flops>=50%", True),
        ("flops<50.1%", True),
        ("macs>=0", True),
        ("macs>0", False),
        ("transcendentals<0", False),
        ("structure", True),
    ],
)
def test_a_condition_is_on_the_change(text: str, holds: bool) -> None:
    """Two relus over 16 elements become three: 16 flops more, of 32."""
    lines = ["v0 = input() -> out: f32[2,8]", *(f"v{n} = relu(x: v{n - 1}) -> y: f32[2,8]" for n in (1, 2, 3))]
    old, new = ("\n".join([*lines[: count + 1], f"output(in: v{count})"]) for count in (2, 3))
    assert condition(text).judge(diff_of(old, new)).holds is holds
    assert condition("structure").judge(diff_of(old, old)).holds is False


def test_what_a_condition_reads() -> None:
    read = condition(" params.trainable >= -1.5e2 % ")
    assert (read.cost, read.sign, read.limit, read.relative) == ("params.trainable", ">=", Fraction(-150), True)
    assert condition("macs<3").relative is False


def test_a_graph_and_itself_have_no_consequences() -> None:
    diff = diff_of(CHAIN, CHAIN)
    assert (diff.edits, dict(diff.consequences), Counter(diff.pairs)) == ((), {}, Counter({op.name: op.name for op in diff.old.graph.ops}))
    assert irflops.diff(diff.old, diff.new).pairs == diff.pairs
