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


def kinds(tree: arrangements.Tree, _number: object) -> str:
    return str(tree.data)


def test_arrangements_that_are_remembered_are_bounded(parsed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrangements, "MAX_OUTLINES", 800)  # one text
    monkeypatch.setattr(arrangements, "MAX_TOKENS", 5)
    kept = arrangements.Arrangements("graph_repr", "call", kinds)
    for text in ("first", "a(1)", "b(2)", "a(1, 2)", "b(2, 3)", "a(1, 2)"):
        assert kept.read(text)[0] == "call"
    assert parsed == ["first", "a(1)", "a(1, 2)", "b(2, 3)", "a(1, 2)"]


def test_texts_whose_copies_are_known_are_forgotten_when_they_are_too_many(parsed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrangements, "MAX_OUTLINES", 1400)
    monkeypatch.setattr(arrangements, "MAX_TOKENS", 0)
    kept = arrangements.Arrangements("graph_repr", "call", kinds)
    long = "a" * 1000 + "({})"
    for text in ("a(1)", "a(7)", "b(1)", "a(2)", "b(2)", "c(1)", "c(2)", "a(3)", long.format(1), long.format(2)):
        assert kept.read(text)[0] == "call"
    assert parsed == ["a(1)", "b(1)", "c(1)", "a(3)", long.format(1), long.format(2)]


@pytest.mark.parametrize("start", STARTS)
def test_terminals_stand_in_the_order_in_which_every_state_of_the_parser_tries_them(start: str) -> None:
    order = [terminal.name for terminal in terminals("graph_repr", start)]
    for state in parser("graph_repr").parser.lexer.lexers.values():
        tried = [terminal.name for terminal in state.terminals if terminal.name in order]
        assert tried == [name for name in order if name in tried]


@pytest.mark.parametrize("start", STARTS)
def test_what_is_read_by_arrangements_has_no_doubts(start: str) -> None:
    assert arrangements.doubts("graph_repr", start) == []


@pytest.mark.parametrize(
    ("terminals", "found"),
    [
        ('"more" | /[a-z]+/', ["__ANON_0 may be a keyword"]),
        ("/v1/", ["__ANON_0 tells digits apart"]),
        ('"v1"', ["V1 tells digits apart"]),
        ("/[1-9]/", ["__ANON_0 tells digits apart"]),
        (r"/(a|b)\1/", ["__ANON_0 tells digits apart"]),
        (r"/[0-9]{1,40}(?!\d)/", []),
    ],
)
def test_doubts_of_other_grammars(terminals: str, found: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a word is a keyword may depend on what the parser accepts; copies of a text are told by letters alone."""
    made = lark.Lark(f"start: {terminals}", parser="lalr", lexer="contextual")
    monkeypatch.setattr("irflops.readers.text.grammars.parser", lambda _name: made)
    assert arrangements.doubts("any", "start") == found


@pytest.mark.parametrize("outlines", [0, 10_000])
def test_pieces_are_the_tokens_that_lark_finds(outlines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrangements, "MAX_OUTLINES", outlines)
    read = arrangements.Arrangements("graph_repr", "call", kinds)
    for text in ("Conv2d(3, 64, kernel_size=(7, 7))", "Conv2d(30, 6 , kernel_size=(1, 17))", "Conv2d(4, 16, kernel_size=(1, 1))"):
        _made, pieces = read.read(text)
        tokens = parser("graph_repr").parse_interactive(text, start="call").exhaust_lexer()
        assert [text[piece] for piece in pieces] == [str(token) for token in tokens]


@pytest.mark.parametrize(
    "text",
    [
        "Linear(\u0661, 2)",
        "Linear(\u0662, 3)",
        "Linear('\ud800', 1)",
        "Linear('\ud801', 2)",
        "Linear('\xe9', 3)",
        "Linear('\U0001f600', 4)",
    ],
)
def test_letters_and_digits_of_all_languages(text: str) -> None:
    """The texts' bytes are what is compared, the texts' characters what is cut."""
    read = arrangements.Arrangements("graph_repr", "call", kinds)
    for copy in (text, text.replace("1", "7")):
        _made, pieces = read.read(copy)
        assert "".join(copy[piece] for piece in pieces) == copy.replace(" ", "")
