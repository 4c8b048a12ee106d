"""Messages as people see them: each file of `errors/` is a damaged dump, and below a line of `=` the whole message that it gets."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import irflops
from irflops import IrflopsError
from irflops.errors import WINDOW, GraphError, GraphSyntaxError, Source, Span, draw_caret, error_at

CASES = sorted((Path(__file__).resolve().parent / "errors").glob("*.txt"))
SEPARATOR = "=" * 80 + "\n"


def message_of(dump: str, **options: bool) -> str:
    with pytest.raises(IrflopsError) as caught:
        irflops.loads(dump, name="graph.txt", partial=options.get("partial", False))
    return str(caught.value)


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_golden_message(path: Path) -> None:
    dump, _, expected = path.read_text(encoding="utf-8").partition(SEPARATOR)
    assert message_of(dump) + "\n" == expected


def test_there_are_golden_messages() -> None:
    assert len(CASES) >= 25


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_the_caret_stands_under_what_the_column_says(path: Path) -> None:
    dump = path.read_text(encoding="utf-8").partition(SEPARATOR)[0]
    with pytest.raises(IrflopsError) as caught:
        irflops.loads(dump)
    error = caught.value
    assert error.line is not None
    assert error.column is not None
    assert error.excerpt == dump.splitlines()[error.line - 1]
    shown, carets = draw_caret(error.line, error.column, error.width, error.excerpt)
    if error.excerpt.isascii():
        assert shown[carets.index("^") :][:1] == error.excerpt[error.column - 1 :][:1]
    assert str(error).count("\nhint: ") <= 1


def test_a_malformed_line_is_passed_over_with_partial() -> None:
    """Contradictions are no damage: partial does not help against them."""
    for path in CASES:
        dump = path.read_text(encoding="utf-8").partition(SEPARATOR)[0]
        with pytest.raises(IrflopsError) as caught:
            irflops.loads(dump)
        if isinstance(caught.value, GraphSyntaxError):
            assert irflops.loads(dump, partial=True).partial, path.stem
            assert caught.value.hint is not None
            assert "irflops analyze --partial reads what is readable" in caught.value.hint
        else:
            assert isinstance(caught.value, GraphError)
            assert "partial" not in message_of(dump, partial=True)


# ---------------------------------------------------------------- the caret


@pytest.mark.parametrize("column", [1, 2, WINDOW - 1, WINDOW, WINDOW + 1, 500, 899, 900])
def test_a_long_line_shows_a_window_around_the_caret(column: int) -> None:
    text = "".join(chr(33 + i % 90) for i in range(900))
    shown, carets = draw_caret(7, column, 3, text)
    assert len(shown) <= len("   7 | ") + WINDOW + 6
    assert shown[carets.index("^")] == text[column - 1]
    assert carets.strip(" |") in ("^^^", "^^", "^")
    assert shown.startswith("   7 | ...") == (column > WINDOW * 2 // 3 + 1)
    assert shown.endswith("...") == (WINDOW + max(0, column - 1 - WINDOW * 2 // 3) < 900)


def test_tabs_stay_so_that_the_caret_stands_under_its_text() -> None:
    shown, carets = draw_caret(1, 4, 1, "\ta\tb")
    assert shown == "   1 | \ta\tb"
    assert carets == "     | \t \t^"


def test_wide_characters_take_two_columns() -> None:
    assert draw_caret(1, 3, 2, "层激x权)")[1] == "     |     ^^^"


def test_combining_characters_take_no_column() -> None:
    assert draw_caret(1, 4, 1, "e\N{COMBINING ACUTE ACCENT}xy")[1] == "     |   ^"


def test_a_control_character_cannot_reach_the_terminal() -> None:
    shown, carets = draw_caret(1, 3, 1, "a\x1b[31mb\0")
    assert shown == "   1 | a\N{REPLACEMENT CHARACTER}[31mb\N{REPLACEMENT CHARACTER}"
    assert carets == "     |   ^"


def test_an_error_behind_the_last_character_has_a_caret() -> None:
    error = error_at(GraphSyntaxError, Source("a.txt", "one\ntwo"), Span(7, 8), "more was expected")
    assert str(error) == "a.txt:2:4: error: more was expected\n   2 | two\n     |    ^"


def test_indentation_is_not_pointed_at() -> None:
    error = error_at(GraphError, Source("a.txt", "one\n  \ttwo"), Span(4, 10), "this")
    assert (error.line, error.column, error.width) == (2, 4, 3)


# ---------------------------------------------------------------- the exception


def test_without_a_place_there_is_no_caret() -> None:
    assert str(IrflopsError("no", path="a.txt", hint="do")) == "a.txt: error: no\nhint: do"
    assert str(IrflopsError("no")) == "error: no"


def test_errors_can_be_pickled() -> None:
    """Processes of a pool send them."""
    error = error_at(GraphSyntaxError, Source("a.txt", "one\ntwo"), Span(4, 7), "no", "do")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - its own bytes
    assert type(again) is GraphSyntaxError
    assert str(again) == str(error)
    assert again.__dict__ == error.__dict__


def test_lines_and_columns_are_computed_from_an_offset() -> None:
    source = Source("a.txt", "ab\n\ncd")
    assert [source.line_col(offset) for offset in range(7)] == [(1, 1), (1, 2), (1, 3), (2, 1), (3, 1), (3, 2), (3, 3)]
    assert source.line_col(99) == (3, 3)
    assert source.line_col(-1) == (1, 1)
    assert [source.line_text(line) for line in (1, 2, 3)] == ["ab", "", "cd"]
    assert Source("a.txt", "").line_col(0) == (1, 1)
