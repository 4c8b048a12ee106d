"""The grammars: they compile without a conflict, each terminal has a phrase for people, and the wheel's tables parse alike."""

from __future__ import annotations

import importlib
import logging
import sys
from pathlib import Path
from types import ModuleType

import lark
import pytest

from irflops.readers.text import grammars

CALL = "conv2d(in: f32[1,8,4,4], weight: f32[8,1,3,3], groups=8) -> out: f32[1,8,2,2]"


def test_every_grammar_is_named(root: Path) -> None:
    assert {path.stem for path in (root / "grammar").glob("*.lark")} == set(grammars.START)


@pytest.mark.parametrize("name", grammars.START)
def test_start_rules_exist_and_are_all_there_is(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Lark resolves a shift/reduce conflict in silence, and drops what nothing reaches: both stand in its log only."""
    with caplog.at_level(logging.DEBUG, logger=lark.logger.name):
        compiled = grammars.compile_grammar(name, debug=True)
    complaints = [record.getMessage() for record in caplog.records if record.getMessage().startswith(("Shift/Reduce", "Unused rule"))]
    assert complaints == []
    assert set(grammars.START[name]) <= {str(rule.origin.name) for rule in compiled.rules}


@pytest.mark.parametrize("name", grammars.START)
def test_every_terminal_has_a_phrase(name: str) -> None:
    phrases = importlib.import_module("irflops.readers.text.syntax").TERMINAL_NAMES
    compiled = grammars.compile_grammar(name)
    expected = {terminal.name for terminal in compiled.terminals} - set(compiled.ignore_tokens)
    assert sorted(expected - set(phrases)) == []
    assert all(phrases.values())


def _tables(name: str, source: str) -> ModuleType:
    module = ModuleType(f"irflops._tables.{name}")
    exec(compile(source, module.__name__, "exec"), module.__dict__)  # noqa: S102 - how Python loads the module that a wheel has
    return module


@pytest.fixture
def compiled_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling a grammar fails: tables must do."""

    def refuse(name: str, **_options: object) -> lark.Lark:
        raise AssertionError(f"grammar {name} was compiled, its tables were passed over")

    monkeypatch.setattr(grammars, "compile_grammar", refuse)
    grammars.parser.cache_clear()


def test_tables_parse_as_the_grammar_does(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    source = grammars.tables_module("op_signature")
    expected = grammars.compile_grammar("op_signature").parse(CALL)
    monkeypatch.setitem(sys.modules, "irflops._tables.op_signature", _tables("op_signature", source))
    request.getfixturevalue("compiled_only_once")
    assert grammars.parser("op_signature").parse(CALL) == expected
    grammars.parser.cache_clear()


def test_tables_take_a_transformer(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    class Names(lark.Transformer[lark.Token, list[str]]):
        def call(self, parts: list[object]) -> str:
            return str(parts[0])

    monkeypatch.setitem(sys.modules, "irflops._tables.op_signature", _tables("op_signature", grammars.tables_module("op_signature")))
    request.getfixturevalue("compiled_only_once")
    assert str(grammars.parser("op_signature", Names()).parse(CALL)) == "conv2d"
    assert isinstance(grammars.parser("op_signature").parse(CALL), lark.Tree)
    grammars.parser.cache_clear()


@pytest.mark.parametrize("change", ["grammar", "lark"])
def test_stale_tables_are_passed_over(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = _tables("op_signature", grammars.tables_module("op_signature"))
    stale.DATA = None  # type: ignore[attr-defined]  # a module made here: whoever reads these tables fails
    if change == "grammar":
        text = grammars.read_grammar("op_signature")
        monkeypatch.setattr(grammars, "read_grammar", lambda _name: text + "\n")
    else:
        monkeypatch.setattr(lark, "__version__", "0.0")
    monkeypatch.setitem(sys.modules, "irflops._tables.op_signature", stale)
    grammars.parser.cache_clear()
    assert grammars.parser("op_signature").parse(CALL).data == "call"
    grammars.parser.cache_clear()
