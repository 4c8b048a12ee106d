"""Printed graphs are read by remembered arrangements of tokens; what comes of it is what Lark alone would make of every statement."""

from __future__ import annotations

import gzip
from pathlib import Path

import lark
import pytest
from both_ways import lark_alone, read_both_ways

import irflops
from irflops.errors import Source
from irflops.readers.printed.log import scan
from irflops.readers.text import arrangements
from irflops.readers.text.grammars import parser, terminals

ROOT = Path(__file__).resolve().parents[1]
PRINTS = sorted((ROOT / "fixtures").rglob("*.repr.txt.gz"))
FAULTS = sorted((ROOT / "tests" / "errors").glob("*.txt"))
STARTS = ("operator", "level", "tensor_line", "config", "arguments", "call", "frames")


@pytest.mark.parametrize("path", PRINTS, ids=lambda path: path.name)
def test_a_print_reads_alike_both_ways(path: Path) -> None:
    text = gzip.decompress(path.read_bytes())
    if isinstance(read_both_ways(text), irflops.Graph):
        return
    graphs = scan(Source("", text.decode())).graphs
    assert len(graphs) > 1
    assert all(isinstance(read_both_ways(text, graph=number), irflops.Graph) for number in range(1, len(graphs) + 1))


@pytest.mark.parametrize("path", FAULTS, ids=lambda path: path.name)
def test_a_fault_reads_alike_both_ways(path: Path) -> None:
    for partial in (False, True):
        read_both_ways(path.read_bytes(), partial=partial)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that Lark gets."""
    texts: list[str] = []
    given = arrangements.Arrangements._parsed

    def noted(self: arrangements.Arrangements[object], text: str) -> tuple[arrangements.Tree, list[lark.Token]]:
        texts.append(text)
        return given(self, text)

    monkeypatch.setattr(arrangements.Arrangements, "_parsed", noted)
    return texts


def test_lark_gets_one_text_of_each_arrangement(parsed: list[str]) -> None:
    text = gzip.decompress((ROOT / "fixtures" / "densenet121.repr.txt.gz").read_bytes())
    irflops.loads(text)
    assert 30 < len(parsed) < 80
    parsed.clear()
    with lark_alone():
        irflops.loads(text)
    assert len(parsed) > 4000


def test_what_is_remembered_is_bounded(parsed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrangements, "MAX_PIECES", 10)
    kept: arrangements.Arrangements[str] = arrangements.Arrangements("graph_repr", "call", lambda tree, _number: str(tree.data))
    for text in ("a(1)", "a(2)", "a(1, 2)", "a(2, 3)", "a(1, 2)"):
        assert kept.read(text)[0] == "call"
    assert parsed == ["a(1)", "a(1, 2)", "a(2, 3)", "a(1, 2)"]


@pytest.mark.parametrize("start", STARTS)
def test_terminals_stand_in_the_order_in_which_every_state_of_the_parser_tries_them(start: str) -> None:
    order = [terminal.name for terminal in terminals("graph_repr", start)]
    for state in parser("graph_repr").parser.lexer.lexers.values():
        tried = [terminal.name for terminal in state.terminals if terminal.name in order]
        assert tried == [name for name in order if name in tried]


def test_a_keyword_among_names_is_refused() -> None:
    """Which of the two a text is would depend on what the parser accepts at its place: no one expression could tell."""
    with pytest.raises(ValueError, match="may be a keyword"):
        arrangements.tokens_of("saved_mlir", "statement")


def test_pieces_are_the_tokens_that_lark_finds() -> None:
    read = arrangements.Arrangements("graph_repr", "call", lambda tree, _number: tree.data)
    for text in ("Conv2d(3, 64, kernel_size=(7, 7))", "Conv2d(30, 6 , kernel_size=(1, 17))"):
        _made, pieces = read.read(text)
        tokens = parser("graph_repr").parse_interactive(text, start="call").exhaust_lexer()
        assert [piece[0] for piece in pieces if piece[0].strip()] == [str(token) for token in tokens]
