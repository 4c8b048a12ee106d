"""Damaged dumps: cut off, interrupted, glued together. An error with its line, and with `partial` a lower bound that says so."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import irflops
from irflops import IrflopsError
from irflops.errors import GraphSyntaxError, NotAGraphError

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "basic_block.repr.txt.gz"
BLOCK = gzip.decompress(FIXTURE.read_bytes()).decode()
LINES = BLOCK.splitlines()


def error_of(data: str) -> IrflopsError:
    with pytest.raises(IrflopsError) as caught:
        irflops.loads(data)
    return caught.value


@pytest.mark.parametrize("kept", range(1, len(LINES)))
def test_a_graph_cut_off_at_any_line_is_an_error_and_a_lower_bound_with_partial(kept: int) -> None:
    text = "\n".join(LINES[:kept]) + "\n"
    operators = text.count("(OPERATOR:")
    error = error_of(text)
    if not operators:
        assert isinstance(error, NotAGraphError)
        return
    assert isinstance(error, GraphSyntaxError)
    assert error.message == "the graph is cut off: its last parentheses are missing"
    assert error.line == kept
    assert error.hint is not None
    assert error.hint.startswith("irflops analyze --partial ")
    analysis = irflops.analyze(irflops.loads(text, partial=True))
    assert analysis.graph.partial
    assert {analysis.total.certainty(cost) for cost in ("macs", "flops", "params", "bytes_read")} == {"lower_bound"}
    assert analysis.total.worst == "lower_bound"
    (note,) = [note for note in analysis.notes if note.code == "partial"]
    assert "its end is missing" in note.text
    assert sum(op.span is not None for op in analysis.graph.ops) == operators


def test_what_is_read_of_a_cut_graph_only_grows() -> None:
    first = next(i for i, line in enumerate(LINES) if "(OPERATOR:" in line) + 1
    macs = [
        irflops.analyze(irflops.loads("\n".join(LINES[:kept]), partial=True)).total.get("macs") for kept in range(first, len(LINES) + 1)
    ]
    assert macs == sorted(macs)
    assert macs[-1] == 92_274_688


def test_a_graph_cut_within_a_line() -> None:
    at = BLOCK.index("model.relu-relu-5/y_0:(sbp=(B)")
    error = error_of(BLOCK[:at])
    assert isinstance(error, GraphSyntaxError)
    assert error.line == BLOCK.count("\n", 0, at) + 1
    graph = irflops.loads(BLOCK[:at], partial=True)
    (note,) = [note for note in graph.notes if note.code == "partial"]
    assert "its end is missing; 1 statement does not read" in note.text


FOREIGN = "W0101 12:00:00 nccl.cc:17] a peer is slow (rank 3): (waiting)"


@pytest.mark.parametrize("at", [i for i in range(1, len(LINES)) if not LINES[i].lstrip().startswith("grad_fn")])
def test_a_foreign_line_anywhere_inside_is_an_error_with_its_line(at: int) -> None:
    """Within a tensor line that wraps it would read as a part of it: there, between, it need not be told."""
    text = "\n".join([*LINES[:at], FOREIGN, *LINES[at:]]) + "\n"
    error = error_of(text)
    assert isinstance(error, GraphSyntaxError)
    assert error.message == "foreign text inside a graph"
    assert (error.line, error.column) == (at + 1, 1)
    assert error.excerpt == FOREIGN
    assert error.hint is not None
    assert error.hint.startswith("irflops analyze --partial ")
    analysis = irflops.analyze(irflops.loads(text, partial=True))
    assert analysis.total.get("macs") == 92_274_688
    assert analysis.total.certainty("macs") == "lower_bound"
    (note,) = analysis.notes
    assert "1 foreign line was passed over" in note.text
    assert note.span is not None
    assert analysis.graph.source.line(note.span.start) == at + 1


def test_a_graph_without_its_beginning_is_read_in_part() -> None:
    text = "\n".join(LINES[5:]) + "\n"
    assert "beginning of the graph is missing" in error_of(text).message
    analysis = irflops.analyze(irflops.loads(text, partial=True))
    assert analysis.total.get("macs") == 92_274_688
    assert analysis.total.worst == "lower_bound"


@settings(max_examples=60)
@given(st.integers(1, len(LINES) - 1), st.integers(0, len(LINES) - 2))
def test_a_line_glued_behind_another_is_never_lost_in_silence(source: int, target: int) -> None:
    """Two lines in one: an error with its line, or all costs are still there (of a wrapped line put back, a parenthesis moved)."""
    lines = list(LINES)
    moved = lines.pop(source)
    lines[target] += moved
    text = "\n".join(lines) + "\n"
    try:
        whole = irflops.loads(text)
    except IrflopsError:
        assert error_of(text).line is not None
    else:
        assert irflops.analyze(whole).total == irflops.analyze(irflops.loads(BLOCK)).total
        return
    partial = irflops.loads(text, partial=True)
    assert partial.partial
    assert {note.code for note in partial.notes} - {"unprinted-variable", "lost-declaration", "fused-add"} == {"partial"}
