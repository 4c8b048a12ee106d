"""What-ifs where a print or a job leaves readings open: noted, bounded, refused."""

from __future__ import annotations

import pytest
from whatif_graphs import FORMS, captured, graph_of, refusal

import irflops
from irflops.analysis.analysis import analyze_graph
from irflops.analysis.scale import scaling
from irflops.counting.cost import FIGURES
from irflops.whatif import changed


def test_readings_by_likelihood_are_noted_and_no_total_is_exact() -> None:
    """At batch 1 a printed mean over the last axis could be one over the batch too."""
    graph = graph_of(
        ("x", "input() -> out: f32[1,6,8]"),
        ("mean", "reduce_sum(input_tensor: f32[1,6,8]) -> output_tensor: f32[1,6,1]", "x"),
        ("y", "broadcast_sub(x: f32[1,6,8], y: f32[1,6,1]) -> z: f32[1,6,8]", "x", "mean"),
    )
    analysis = irflops.analyze(graph, batch=4)
    note = next(note for note in analysis.notes if note.code == "what-if-reading")
    assert "'mean'" in note.text
    assert analysis.total.get("flops") == 4 * (6 * 7 + 48)
    certain = [analysis.total.certainty(name) for name in (*FIGURES, "params")]
    assert certain == ["exact", "unbounded", "exact", "unbounded", "unbounded", "unbounded", "unbounded", "exact", "exact"]
    assert analysis.modules[""].certainty("flops") == analysis.phases["forward"].certainty("flops") == "unbounded"
    assert irflops.analyze(changed(graph, batch=4), batch=5).total.certainty("flops") == "unbounded"
    assert [note.code for note in scaling(graph).notes] == ["what-if-reading"]


def test_the_line_of_a_layer_norm_tells_its_axes() -> None:
    analysis = irflops.analyze(captured("vit", "1x64", "repr.txt"), batch=8)
    assert [note.code for note in analysis.notes] == ["what-if"]
    assert analysis.total.worst == "exact"


def test_a_sum_over_an_axis_of_1_that_grows_may_be_a_mean() -> None:
    graph = graph_of(
        ("x", "input() -> out: f32[1,6]"),
        ("mean", "reduce_sum(input_tensor: f32[1,6], axis=[0], keepdims=true) -> output_tensor: f32[1,6]", "x"),
    )
    analysis = irflops.analyze(graph, batch=4)
    assert "'mean'" in next(note.text for note in analysis.notes if note.code == "what-if-mean")
    assert (analysis.total.get("flops"), analysis.total.certainty("flops"), analysis.total.certainty("macs")) == (
        18,
        "lower_bound",
        "exact",
    )
    assert irflops.analyze(graph, inputs=(1, 9)).total.worst == "exact"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("length", [10, 12, 4])
def test_a_loop_over_a_sequence_is_not_lengthened_by_growing_its_steps(form: str, length: int) -> None:
    """Each x[:, i] of 3x5x8 could, by its sizes alone, be a fifth of the sequence."""
    error = refusal(captured("loop", "3x5", form), inputs=(3, length, 8))
    assert "5 operators cut axis 1 into pieces" in error.message
    assert "capture the graph at the size that you ask for" in (error.hint or "")
    other = captured("loop", "6x5", form)
    assert irflops.analyze(captured("loop", "3x5", form), batch=6).total == analyze_graph(other).total


def test_a_size_that_may_be_a_constant_is_to_be_captured_at_the_size_asked_for() -> None:
    graph = graph_of(
        ("x", "input() -> out: f32[1,3,4,4]"),
        ("y", "upsample_nearest_2d(x: f32[1,3,4,4], height_scale=2.0, width_scale=2.0, output_size=[4,4]) -> y: f32[1,3,4,4]", "x"),
    )
    error = refusal(graph, inputs=(1, 3, 8, 8))
    assert "all 4 fit" in error.message
    assert error.hint == "capture the graph at the size that you ask for"


@pytest.mark.parametrize("starts", [(0, 4), (0, 0)])
def test_halves_may_be_a_loop_of_two_unless_starts_say_otherwise(starts: tuple[int, int]) -> None:
    lines = [(f"part{i}", f"narrow(in: f32[8,5], dim=0, start={start}, length=4) -> out: f32[4,5]", "x") for i, start in enumerate(starts)]
    error = refusal(graph_of(("x", "input() -> out: f32[8,5]"), *lines), batch=16)
    assert ("pieces" in error.message) == (starts == (0, 4))


def test_a_cut_is_to_be_captured_at_the_size_asked_for() -> None:
    """x[:-1], x[:5] or five sixths: no other size tells which, the one asked for does."""
    graph = graph_of(
        ("x", "input() -> out: f32[6,3]"),
        ("y", "slice(x: f32[6,3], start=[0,0], stop=[5,3], step=[1,1]) -> y: f32[5,3]", "x"),
    )
    error = refusal(graph, batch=12)
    assert "5x3 or 11x3 or 10x3: all 3 fit" in error.message
    assert "at the size that you ask for" in (error.hint or "")
