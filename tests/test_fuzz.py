"""Damaged dumps: whatever is done to a real one, reading ends in a graph or in one clear error, and damage is never passed off as whole.

The examples are the same on every run; `tests/fuzz.py` looks for new ones.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from both_ways import read_both_ways
from counts import check_counts
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import irflops
from irflops import Graph, IrflopsError

pytestmark = pytest.mark.drawn

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
NAMES = [
    name
    for name in ("basic_block", "mlp_train", "cnn_accumulate", "loc", "tied", "none_input")
    if (FIXTURES / f"{name}.repr.txt.gz").is_file()
]
DUMPS = [gzip.decompress((FIXTURES / f"{name}.repr.txt.gz").read_bytes()).decode() for name in NAMES]
SMALL = [dump for dump in DUMPS if len(dump) < 12_000]
PIECES = [
    "(",
    ")",
    "[",
    "]",
    ",",
    ":",
    " ",
    "\n",
    "\0",
    "\r",
    "\t",
    "...",
    "-1",
    "0",
    "9" * 30,
    "é",
    "\ufeff",
    "\u2028",
    "\x1b[0m",
    "sbp=(",
    "size=(",
]
PIECES += [") -> (", "): (", "): ()", ", placement=(", "(OPERATOR: ", "(GRAPH:G_0:G): (", "(MODULE:m:M()): (", "None", "'", "<", "/out"]
OPERATOR = re.compile(r"\(OPERATOR: (\S+?)\(")

dumps = st.sampled_from(DUMPS)
small_dumps = st.sampled_from(SMALL)
places = st.floats(0, 1, exclude_max=True)


def drop(lines: list[str], at: int, count: int, _to: int, _piece: str) -> list[str]:
    return lines[:at] + lines[at + count :]


def repeat(lines: list[str], at: int, count: int, to: int, _piece: str) -> list[str]:
    return lines[:to] + lines[at : at + count] + lines[to:]


def swap(lines: list[str], at: int, _count: int, to: int, _piece: str) -> list[str]:
    lines = list(lines)
    lines[at], lines[to] = lines[to], lines[at]
    return lines


def prefix(lines: list[str], at: int, count: int, _to: int, piece: str) -> list[str]:
    return [*lines[:at], *(piece + line for line in lines[at : at + count]), *lines[at + count :]]


EDITS = (drop, repeat, swap, prefix)


def read(data: str | bytes, *, partial: bool = False) -> Graph | None:
    """The graph, or None after an error that is fit to be shown. By remembered arrangements and by Lark alone it is the same."""
    read_both_ways(data, partial=partial)
    try:
        graph = irflops.loads(data, partial=partial)
        analysis = irflops.analyze(graph)
        check_counts(analysis)
        assert graph.dag.number_of_nodes() == len(graph.ops)
    except IrflopsError as error:
        check_error(error, data)
        return None
    if not partial:
        assert not graph.partial
    return graph


def check_error(error: IrflopsError, data: str | bytes) -> None:
    """Printable, one hint at most, and the caret under the file's own line, where no decoding changed it."""
    text = str(error)
    assert all(c.isprintable() or c in "\n\t" for c in text)
    assert text.count("\nhint: ") <= 1
    if isinstance(data, bytes) or error.line is None or error.column is None or set(data) & set("\r\x1b\ufeff\ud800"):
        return
    line = data.split("\n")[error.line - 1]
    assert error.excerpt == line
    assert 1 <= error.column <= len(line) + 1
    _gutter, caret = text.split("\n")[1:3]
    assert caret.strip(" |\t").strip("^") == ""


def figures(graph: Graph) -> object:
    """All that is told of a graph but for where it stands."""
    found = irflops.analyze(graph).to_dict(without=("source",))
    for part in ("modules", "ops", "notes", "shape_disagreements"):
        for row in found[part]:
            row.pop("line", None)
    return found


@settings(max_examples=120)
@given(
    dumps,
    st.lists(st.tuples(st.sampled_from(EDITS), places, st.integers(1, 30), places, st.sampled_from(PIECES)), min_size=1, max_size=6),
    st.booleans(),
)
def test_edited_lines(dump: str, edits: list[tuple[Callable[..., list[str]], float, int, float, str]], partial: bool) -> None:
    lines = dump.splitlines()
    for edit, at, count, to, piece in edits:
        if lines:
            lines = edit(lines, int(at * len(lines)), count, int(to * len(lines)), piece)
    read("\n".join(lines), partial=partial)


@settings(max_examples=250)
@given(
    small_dumps,
    st.lists(st.tuples(places, st.integers(0, 20), st.one_of(st.sampled_from(PIECES), st.text(max_size=5))), min_size=1, max_size=5),
    st.booleans(),
)
def test_edited_characters(dump: str, edits: list[tuple[float, int, str]], partial: bool) -> None:
    for at, count, piece in edits:
        start = int(at * len(dump))
        dump = dump[:start] + piece + dump[start + count :]
    read(dump, partial=partial)


@settings(max_examples=120)
@given(
    small_dumps,
    st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=20),
    st.sampled_from(["utf-8", "utf-16", "utf-16-be"]),
    st.booleans(),
)
def test_edited_bytes(dump: str, edits: list[tuple[float, int]], codec: str, partial: bool) -> None:
    data = bytearray(dump.encode(codec))
    for at, byte in edits:
        data[int(at * len(data))] = byte
    read(bytes(data), partial=partial)
    packed = bytearray(gzip.compress(bytes(data), mtime=0))
    for at, byte in edits:
        packed[int(at * len(packed))] = byte
    read(bytes(packed), partial=partial)


@settings(max_examples=100)
@given(dumps, dumps, places, places, st.booleans())
def test_two_dumps_spliced(first: str, second: str, a: float, b: float, partial: bool) -> None:
    one, two = first.splitlines(), second.splitlines()
    read("\n".join(one[: int(a * len(one))] + two[int(b * len(two)) :]), partial=partial)


@settings(max_examples=100)
@given(small_dumps, st.binary(max_size=200), st.booleans())
def test_anything_behind_a_dump(dump: str, junk: bytes, partial: bool) -> None:
    read(dump.encode() + junk, partial=partial)
    read(junk + dump.encode(), partial=partial)


@settings(max_examples=150)
@given(small_dumps, places)
def test_a_dump_cut_off_is_never_passed_off_as_whole(dump: str, at: float) -> None:
    end = int(at * len(dump))
    assume(dump[end:].strip())
    assert read(dump[:end]) is None
    graph = read(dump[:end], partial=True)
    if graph is not None:
        assert graph.partial
        assert irflops.analyze(graph).total.worst in ("lower_bound", "unbounded")
        assert any(note.code == "partial" for note in graph.notes)


@settings(max_examples=150)
@given(small_dumps, places)
def test_a_dump_that_lost_its_beginning_is_never_passed_off_as_whole(dump: str, at: float) -> None:
    lines = dump.splitlines()
    start = 1 + int(at * (len(lines) - 1))
    assert read("\n".join(lines[start:])) is None


@settings(max_examples=100)
@given(small_dumps, places)
def test_a_lost_operator_line_shows_where_its_result_is_used(dump: str, at: float) -> None:
    """Its consumers' operand then comes from a source of the operator's name that no line prints, and what is unknown of it is no zero."""
    whole = irflops.loads(dump)
    lines = dump.splitlines()
    operators = [i for i, line in enumerate(lines) if "(OPERATOR: " in line]
    lost = operators[int(at * len(operators))]
    match = OPERATOR.search(lines[lost])
    assert match is not None
    name = match[1]
    graph = read("\n".join(lines[:lost] + lines[lost + 1 :]))
    assert graph is not None
    used = {operand.lbn for op in whole.ops if op.name != name for operand in op.inputs} & {
        result.lbn for result in whole.by_name[name].outputs
    }
    assert (name in graph.by_name) == bool(used)
    if used:
        assert graph.by_name[name].span is None


@settings(max_examples=60)
@given(small_dumps, places, st.sampled_from(["\n", "  \n", "\t\n"]))
def test_harmless_lines_change_nothing(dump: str, at: float, line: str) -> None:
    lines = dump.splitlines(keepends=True)
    index = int(at * len(lines))
    assert figures(irflops.loads("".join([*lines[:index], line, *lines[index:]]))) == figures(irflops.loads(dump))


@settings(max_examples=100)
@given(st.one_of(st.binary(max_size=400), st.text(max_size=400), st.text(alphabet="(): ,\nGRAPHOE'=[].a1", max_size=300)))
def test_anything_at_all(data: str | bytes) -> None:
    read(data)
    read(data, partial=True)


@pytest.mark.parametrize("name", NAMES)
def test_every_line_cut_in_half(name: str) -> None:
    """Each line of a dump in turn ends in its middle: an error that points to the line, or (of white space and wrapped lines) none."""
    dump = DUMPS[NAMES.index(name)]
    lines = dump.splitlines()
    for index in range(0, len(lines), max(1, len(lines) // 25)):
        half = lines[index].rstrip()[: len(lines[index]) // 2]
        if half.strip() and "(OPERATOR" in half:
            with pytest.raises(IrflopsError) as caught:
                irflops.loads("\n".join([*lines[:index], half, *lines[index + 1 :]]))
            assert caught.value.line == index + 1
