"""What a trial by a sceptical user found: real dumps and odd logs that were read wrong, and messages that misled."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import irflops
from irflops import IrflopsError
from irflops.readers.printed.log import scan

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
CPU = ', placement=(oneflow.placement(type="cpu", ranks=[0])))'
TICK = "sbp=(B), size=(1), dtype=(oneflow.int8)"


def text_of(name: str) -> str:
    return gzip.decompress((FIXTURES / f"{name}.repr.txt.gz").read_bytes()).decode()


def graph_of(*lines: str) -> irflops.Graph:
    return irflops.loads("(GRAPH:Net_0:Net): (\n  (CONFIG:config:GraphConfig(training=False, ))\n" + "\n".join(lines) + "\n)\n")


@pytest.mark.parametrize(
    "name", ["loss-div-1_z_0_pinned_identity_out_0_constant_like_loss_scale", "Sys-GradAcc-RepeatTick-DeviceTick-m-constant-4"]
)
def test_an_elided_system_operator_is_neither_unknown_nor_a_disagreement(name: str) -> None:
    relu = f"(OPERATOR: relu-9({name}/out:({TICK})) -> (relu-9/y_0:({TICK})){CPU}"
    analysis = irflops.analyze(graph_of(f"(OPERATOR: {name}(...) -> (...){CPU}", relu))
    assert not analysis.unknown
    assert not analysis.inference.disagreements


def test_what_a_cut_took_away_is_no_disagreement() -> None:
    lines = text_of("mlp_train").splitlines()
    for cut in range(10, len(lines), 7):
        analysis = irflops.analyze(irflops.loads("\n".join(lines[:cut]), partial=True)) if "OPERATOR" in "".join(lines[:cut]) else None
        assert analysis is None or not analysis.inference.disagreements, cut


def test_a_lost_variable_is_taken_from_its_parameter_line() -> None:
    whole = irflops.analyze(irflops.loads(text_of("mlp_train")))
    variables = [op.name for op in whole.graph.ops if op.type == "variable" and op.kind and op.kind.value == "trainable"]
    lost = variables[0]
    lines = [line for line in text_of("mlp_train").splitlines() if f"OPERATOR: {lost}()" not in line]
    analysis = irflops.analyze(irflops.loads("\n".join(lines)))
    assert analysis.total.params == whole.total.params
    assert [note.code for note in analysis.notes if lost in note.text] == ["unprinted-variable"]


def test_classic_line_ends_are_read() -> None:
    text = text_of("basic_block")
    assert irflops.analyze(irflops.loads(text.replace("\n", "\r"))).total == irflops.analyze(irflops.loads(text)).total


@pytest.mark.parametrize("escaped", [repr(text_of("basic_block")), text_of("basic_block").replace("\n", " ")])
def test_a_graph_that_was_called_is_not_told_to_call_it(escaped: str) -> None:
    with pytest.raises(IrflopsError) as found:
        irflops.loads(escaped)
    assert "first call" not in str(found.value)


def mixed(*prefixes: str) -> str:
    lines = text_of("basic_block").splitlines()
    return "\n".join(f"{prefix}{line}" for line in lines for prefix in prefixes)


@pytest.mark.parametrize(
    "prefixes", [("[1,0]<stdout>:", "[1,1]<stdout>:"), ("10.0.0.1: ", "10.0.0.2: "), ("node1.rank0| ", "node1.rank1| ")]
)
def test_ranks_are_told_apart_by_any_constant_prefix(prefixes: tuple[str, ...]) -> None:
    assert irflops.analyze(irflops.loads(mixed(*prefixes))).total == irflops.analyze(irflops.loads(text_of("basic_block"))).total


def test_a_time_without_its_fraction_is_the_same_prefix() -> None:
    lines = text_of("basic_block").splitlines()
    stamped = [f"2026-11-21 09:05:{i % 60:02}{f'.{i:06}' if i else ''} {line}" for i, line in enumerate(lines)]
    assert irflops.loads("\n".join(stamped)).ops


def test_a_foreign_line_inside_a_wrapped_tensor_is_foreign() -> None:
    lines = text_of("basic_block").splitlines()
    at = next(i for i, line in enumerate(lines) if line.rstrip().endswith(","))
    lines.insert(at + 1, "INFO step 5 loss=0.3 lr: 1e-4")
    with pytest.raises(IrflopsError) as found:
        irflops.loads("\n".join(lines))
    assert (found.value.line, found.value.message) == (at + 2, "foreign text inside a graph")
    assert scan(irflops.errors.Source("x", "\n".join(lines))).line_counts["foreign"] == 1


def test_the_note_of_a_partial_graph_points_at_the_first_fault() -> None:
    lines = text_of("basic_block").splitlines()
    at = next(i for i, line in enumerate(lines) if "OPERATOR" in line)
    lines[at] = lines[at].replace("size=(", "size=<")
    graph = irflops.loads("\n".join(lines), partial=True)
    note = next(note for note in graph.notes if note.code == "partial")
    assert note.span is not None
    assert graph.source.line(note.span.start) == at + 1


@pytest.mark.parametrize("wrong", [None, 3, b"(GRAPH", text_of("basic_block")])
def test_analyze_says_what_it_was_given(wrong: object) -> None:
    with pytest.raises(IrflopsError) as found:
        irflops.analyze(wrong)
    assert len(str(found.value)) < 200
    assert found.value.hint


def test_reprs_fit_a_line() -> None:
    graph = irflops.load(FIXTURES / "gpt_train.repr.txt.gz")
    assert len(repr(graph)) < 200
    assert len(repr(irflops.analyze(graph))) < 200


def test_names_may_hold_blanks_and_parentheses() -> None:
    """The keys of a ModuleDict are the user's: `conv(1)` and `a b` are names."""
    text = text_of("basic_block")
    named = irflops.loads(text.replace("model.conv1", "model.conv(1)").replace("model.relu", "model.a b"))
    assert irflops.analyze(named).total == irflops.analyze(irflops.loads(text)).total
    assert named.by_name["model.conv(1)-conv2d-0"].module == "model.conv(1)"


def test_the_tenth_rank_is_not_the_first() -> None:
    whole = irflops.analyze(irflops.loads(text_of("basic_block"))).total
    assert irflops.analyze(irflops.loads(mixed("rank1 ", "rank10 ", "rank11 "))).total == whole


def test_a_log_of_many_ranks_is_told_apart_in_linear_time() -> None:
    graph = irflops.loads(mixed(*(f"[rank:{rank}] " for rank in range(128))))
    assert [note.code for note in graph.notes] == ["printed-again"]
