"""Damaged jobs, as text and in binary: whatever is done to a real one, reading ends in a graph or in one clear error."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hostile import outcome
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import WITH_JOBS, both_ways, content
from test_fuzz import EDITS, places

import irflops
from irflops.readers.job.wire_fields import wire_fields

TEXTS = [
    content(stem, form).decode() for stem in WITH_JOBS for form in ("fwd.prototxt", "job.prototxt") if len(content(stem, form)) < 60_000
]
BINARIES = [content(stem, "job.pb") for stem in WITH_JOBS if len(content(stem, "job.pb")) < 15_000]
PIECES = [
    "{",
    "}",
    "<",
    ">",
    "[",
    "]",
    ":",
    ",",
    ";",
    "#",
    '"',
    "'",
    "\\",
    " ",
    "\n",
    "\0",
    "-",
    "1",
    "1e",
    "inf",
    "a",
    "a: 1 ",
    "a {",
    "net {",
]
PIECES += ['name: "x" ', "dim: -1 ", "9" * 30, "[a.b]", "é", "\ufeff", "op { } ", '\\303"', "kFloat", "true"]

texts = st.sampled_from(TEXTS)
binaries = st.sampled_from(BINARIES)
pytestmark = pytest.mark.drawn


@settings(max_examples=80)
@given(
    texts, st.lists(st.tuples(st.sampled_from(EDITS), places, st.integers(1, 40), places, st.sampled_from(PIECES)), min_size=1, max_size=6)
)
def test_edited_lines(text: str, edits: list[tuple[Callable[..., list[str]], float, int, float, str]]) -> None:
    lines = text.splitlines()
    for edit, at, count, to, piece in edits:
        if lines:
            lines = edit(lines, int(at * len(lines)), count, int(to * len(lines)), piece)
    outcome("\n".join(lines))
    both_ways("\n".join(lines))


@settings(max_examples=150)
@given(
    texts, st.lists(st.tuples(places, st.integers(0, 30), st.one_of(st.sampled_from(PIECES), st.text(max_size=5))), min_size=1, max_size=5)
)
def test_edited_characters(text: str, edits: list[tuple[float, int, str]]) -> None:
    for at, count, piece in edits:
        start = int(at * len(text))
        text = text[:start] + piece + text[start + count :]
    outcome(text)
    both_ways(text)


@settings(max_examples=150)
@given(binaries, st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=20))
def test_edited_bytes(data: bytes, edits: list[tuple[float, int]]) -> None:
    damaged = bytearray(data)
    for at, byte in edits:
        damaged[int(at * len(damaged))] = byte
    outcome(bytes(damaged))


@settings(max_examples=100)
@given(binaries, st.lists(st.tuples(places, st.integers(0, 60), places), min_size=1, max_size=4))
def test_moved_bytes(data: bytes, moves: list[tuple[float, int, float]]) -> None:
    for at, count, to in moves:
        start, end = int(at * len(data)), int(to * len(data))
        data = data[:end] + data[start : start + count] + data[end:]
    outcome(data)


@settings(max_examples=60)
@given(binaries, places)
def test_a_binary_job_cut_off_is_never_passed_off_as_whole(data: bytes, at: float) -> None:
    """Within a field of the job; what a cut between two of them leaves is told in test_job_binary.py."""
    size = int(at * len(data))
    ends = {0, *(end for *_, end in wire_fields(data, 0, len(data)))}
    if size not in ends:
        assert outcome(data[:size]) is not None


@settings(max_examples=60)
@given(texts, places)
def test_a_text_cut_off_within_a_section_is_never_passed_off_as_whole(text: str, at: float) -> None:
    start = text[: int(at * len(text))]
    if start.rstrip() and not start.rstrip().endswith("\n}"):
        assert outcome(start) is not None


@pytest.mark.parametrize("stem", WITH_JOBS)
def test_every_line_lost(stem: str) -> None:
    """A lost line of a job is a brace too many or too few, or a value that is missing: never a failure of ours."""
    lines = content(stem, "fwd.prototxt").decode().splitlines()
    for number, index in enumerate(range(0, len(lines), max(1, len(lines) // 40))):
        text = "\n".join(lines[:index] + lines[index + 1 :])
        outcome(text)
        if number % 4 == 0:
            both_ways(text)


def test_the_whole_ones_are_read() -> None:
    assert all(irflops.loads(text).ops for text in TEXTS)
    assert all(irflops.loads(data).ops for data in BINARIES)
