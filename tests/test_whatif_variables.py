"""Variables of other shapes in a what-if: tables of positions, their optimizer states, and what an error says to ask for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from whatif_graphs import graph_of, refusal, shapes_of

import irflops
from irflops import Graph, IrflopsError
from irflops.analysis.scale import SCALED
from irflops.cli import cli
from irflops.ir.graph import VariableKind
from irflops.whatif import changed

SEQUENCES = Path(__file__).resolve().parents[1] / "fixtures" / "sequences"
FIGURES: dict[str, dict[str, dict[str, int]]] = json.loads((SEQUENCES / "figures.json").read_text(encoding="utf-8"))
WIDTH = 16


def shapes_at(graph: Graph, batch: int, length: int) -> dict[str, tuple[int, ...]]:
    """The inputs of a GPT at a size: ids, and of a training step labels in a row."""
    names = [op.name for op in graph.ops if op.type == "input"]
    return dict(zip(names, ((batch, length), (batch * length,)), strict=False))


@pytest.mark.parametrize("form", ["job.pb", "repr.txt"])
@pytest.mark.parametrize("name", list(FIGURES))
def test_a_gpt_captured_once_gives_nine_captures(name: str, form: str) -> None:
    """Looked up, cut from a table and bound to a length: each total at each of nine sizes is what OneFlow's own graph there has."""
    graph = irflops.load(SEQUENCES / f"{name}.{form}.gz")
    assert len(FIGURES[name]) == 9
    for size, totals in FIGURES[name].items():
        batch, length = map(int, size.split("x"))
        table = {"model.positions.table": (1, length, WIDTH)} if name == "bound" else None
        found = irflops.analyze(graph, inputs=shapes_at(graph, batch, length), variables=table).total
        assert {cost: found.get(cost) for cost in SCALED} == totals, size
        assert found.worst == "exact", size


def test_an_error_at_a_table_says_which_shape_to_ask_for() -> None:
    graph = irflops.load(SEQUENCES / "bound.job.pb.gz")
    error = refusal(graph, inputs=shapes_at(graph, 2, 384))
    assert "variable 'model.positions.table'" in error.message
    assert error.hint == "with a variable of that size: --set model.positions.table=1x384x16"


def test_positions_beyond_the_end_of_a_table_are_refused_and_every_table_is_told() -> None:
    """1,025 positions of a table of 1,024 have a shape, and no answer; the masks of all blocks are one option."""
    graph = irflops.load(SEQUENCES / "looked_up.job.pb.gz")
    assert irflops.analyze(graph, inputs=(2, 1023)).total.worst == "exact"
    hint = refusal(graph, inputs=(2, 1025)).hint
    assert hint is not None
    assert "--set model.positions.table.weight=1025x16" in hint
    assert "--set 'model.blocks.*.attention.causal=1x1x1025x1025'" in hint
    tables = {"model.positions.table.weight": (1025, 16), "model.blocks.*.attention.causal": (1, 1, 1025, 1025)}
    total = irflops.analyze(graph, inputs=(2, 1025), variables=tables).total
    assert total.params[0] == irflops.analyze(graph).total.params[0] + 16


def test_an_index_that_cuts_off_nothing_is_left_out() -> None:
    """Of 4 rows of 3 all 4: OneFlow's indexing returns the table itself, so its 12 floats are not copied."""
    graph = graph_of(
        ("x", "input() -> out: f32[2,3]"),
        ("table", "variable() -> out: f32[4,3]"),
        ("cut", "slice(x: f32[4,3], start=[0,0], stop=[2,3], step=[1,1]) -> y: f32[2,3]", "table"),
        ("y", "add_n(in: [f32[2,3], f32[2,3]]) -> out: f32[2,3]", "x", "cut"),
    )
    three, four = changed(graph, inputs=(3, 3)), changed(graph, inputs=(4, 3))
    assert [op.name for op in three.ops] == ["x", "table", "cut", "y"]
    assert three.by_name["cut"].attrs["stop"] == (3, 3)
    assert [op.name for op in four.ops] == ["x", "table", "y"]
    assert [operand.lbn for operand in four.by_name["y"].inputs] == ["x/out_0", "table/out_0"]
    assert irflops.analyze(four).total.certainty("bytes") == "lower_bound"
    assert "'cut'" in next(note.text for note in four.notes if note.code == "what-if-idle")


def test_a_sum_over_nothing_is_left_out_or_a_reshape() -> None:
    """At batch 1 the gradient of a table of 3 x 4 has its shape, or that of the table with an axis of 1 before it."""
    lines = (
        ("dy", "input() -> out: f32[2,3,4]"),
        ("table", "variable() -> out: f32[3,4]"),
        ("flat", "reduce_sum_like(x: f32[2,3,4], like: f32[3,4], axis=[0]) -> y: f32[3,4]", "dy", "table"),
        ("end", "relu(x: f32[3,4]) -> y: f32[3,4]", "flat"),
    )
    assert changed(graph_of(*lines), batch=1).by_name["flat"].type == "reshape_like"
    kept = tuple(tuple(part.replace("f32[3,4]", "f32[1,3,4]") for part in line) for line in lines)
    assert [op.name for op in changed(graph_of(*kept), batch=1).ops] == ["dy", "table", "end"]


def test_operands_that_broadcast_at_another_batch_lack_a_gradient() -> None:
    """In a training step captured at batch 1 nothing sums the gradient of what is added to each sample."""
    graph = graph_of(
        ("x", "input() -> out: f32[1,3]"),
        ("table", "variable() -> out: f32[1,3]"),
        ("y", "add_n(in: [f32[1,3], f32[1,3]]) -> out: f32[1,3]", "x", "table"),
    )
    step = changed(replace(graph, training=True), batch=4)
    assert irflops.analyze(step).total.certainty("bytes") == "lower_bound"
    assert "'y'" in next(note.text for note in step.notes if note.code == "what-if-broadcast")
    assert irflops.analyze(changed(graph, batch=4)).total.worst == "exact"


def test_optimizer_states_follow_their_variable() -> None:
    graph = irflops.load(SEQUENCES / "bound.job.pb.gz")
    after = changed(graph, inputs=shapes_at(graph, 2, 64), variables={"model.positions.table": (1, 64, WIDTH)})
    states = [op for op in after.ops if op.kind is VariableKind.OPTIMIZER_STATE and op.name.startswith("model.positions.table")]
    assert [op.outputs[0].type.shape for op in states] == [(1, 64, WIDTH)] * 2
    note = next(note.text for note in after.notes if note.code == "what-if")
    assert note.endswith("variable 'model.positions.table' 1x128x16 -> 1x64x16")


def test_a_declared_parameter_is_the_variable() -> None:
    graph = irflops.load(SEQUENCES / "bound.repr.txt.gz")
    after = irflops.analyze(graph, inputs=shapes_at(graph, 2, 64), variables={"model.positions.table": (1, 64, WIDTH)})
    before = irflops.analyze(graph)
    assert after.declared_params is not None
    assert before.declared_params is not None
    assert before.declared_params - after.declared_params == 64 * WIDTH == before.total.params[0] - after.total.params[0]


def test_a_product_of_batch_and_length_that_stays_is_followed() -> None:
    """4 x 2 rows of 3 become 2 x 4: the flat operand has 8 rows before and after."""
    graph = graph_of(
        ("x", "input() -> out: f32[4,2,3]"),
        ("flat", "reshape(in: f32[4,2,3], shape=[8,3]) -> out: f32[8,3]", "x"),
        ("back", "reshape(in: f32[8,3], shape=[4,2,3]) -> out: f32[4,2,3]", "flat"),
        ("y", "add_n(in: [f32[4,2,3], f32[4,2,3]]) -> out: f32[4,2,3]", "x", "back"),
    )
    assert shapes_of(changed(graph, inputs=(2, 4, 3))) == {"x": (2, 4, 3), "flat": (8, 3), "back": (2, 4, 3), "y": (2, 4, 3)}


@pytest.mark.parametrize(
    ("variables", "message", "hint"),
    [
        ({"tabel": (4, 3)}, "no variable is called 'tabel'", "did you mean table?"),
        ({"none.*": (4, 3)}, "no variable is called 'none.*'", None),
        ({"table": (4, 3, 1)}, "variable 'table' has 2 axes, 4x3; 4x3x1 has 3", None),
        ({"table": (0, 3)}, "extents are 1 or more", None),
    ],
)
def test_asking_for_variables_wrongly_is_answered(variables: dict[str, tuple[int, ...]], message: str, hint: str | None) -> None:
    graph = graph_of(("x", "input() -> out: f32[4,3]"), ("table", "variable() -> out: f32[4,3]"))
    error = refusal(graph, variables=variables)
    assert message in error.message
    assert hint is None or error.hint == hint


def test_a_variable_that_cannot_have_the_shape_is_refused_where_it_is_read() -> None:
    graph = graph_of(
        ("x", "input() -> out: f32[4,3]"),
        ("table", "variable() -> out: f32[4,3]"),
        ("y", "add_n(in: [f32[4,3], f32[4,3]]) -> out: f32[4,3]", "x", "table"),
    )
    with pytest.raises(IrflopsError, match="'y' cannot take the new sizes"):
        changed(graph, variables={"table": (5, 3)})


GPT = str(SEQUENCES / "bound.repr.txt.gz")
ASKED = ("--input", "_Training_0_input.0.0_2=2x64", "--input", "_Training_0_input.0.1_3=128", "--set", "model.positions.table=1x64x16")


@pytest.mark.parametrize(
    "command",
    [
        ("analyze", GPT, "--format", "json"),
        ("diff", GPT, GPT, "--format", "json"),
        ("audit", GPT, "--format", "json", "--no-config", "--fail-level", "error"),
        ("compare", GPT, "--with", "fvcore", "--format", "json"),
        ("explain", GPT, "model.positions.table", "--format", "json"),
        ("memory", GPT, "--format", "json"),
        ("comm", GPT, "--format", "json"),
    ],
    ids=lambda command: str(command[0]),
)
def test_every_command_takes_the_same_what_ifs(command: tuple[str, ...]) -> None:
    """The same options everywhere, and an answer that is of the graph as asked for."""
    plain = CliRunner().invoke(cli, [*command, "-q"])
    asked = CliRunner().invoke(cli, [*command, *ASKED, "--dtype", "bf16", "-q"])
    assert plain.exit_code in (0, 1), plain.output
    assert asked.exit_code in (0, 1), asked.output
    if command[0] != "comm":  # on one device nothing is sent, whatever is asked for
        assert json.loads(plain.output) != json.loads(asked.output)
    wrong = CliRunner().invoke(cli, [*command, "--set", "model.positions.tabel=1x64x16", "-q"])
    assert wrong.exit_code == 2
    assert "did you mean model.positions.table?" in wrong.output


def test_a_set_without_a_name_is_answered() -> None:
    result = CliRunner().invoke(cli, ["analyze", GPT, "--set", "1x64x16", "-q"])
    assert result.exit_code == 2
    assert "name the variable" in result.output
