"""Finds a grammar by name and compiles it, once a process.

The grammars lie in `grammar/` at the top of the project and ship inside the wheel as `irflops/grammar/`. A wheel also carries their
compiled tables, `irflops/_tables/`, written when it was built; tables of another Lark or another grammar text are passed over.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import lark
from lark.grammar import Rule
from lark.lexer import TerminalDef

START: dict[str, tuple[str, ...]] = {
    "cost_formula": ("formula",),
    "graph_repr": ("operator", "level", "tensor_line", "config", "arguments", "call", "frames"),
    "job_text": ("message",),
    "op_signature": ("call",),
    "saved_mlir": ("statement",),
}
"""Start rules by grammar."""


def read_grammar(name: str) -> str:
    """The text of `grammar/NAME.lark`, from the installed package or from beside it (an editable install)."""
    package = Path(__file__).parents[2]
    packaged = package / "grammar" / f"{name}.lark"
    path = packaged if packaged.is_file() else package.parent / "grammar" / f"{name}.lark"
    return path.read_text(encoding="utf-8")


def compile_grammar(name: str, **options: Any) -> lark.Lark:
    """A parser made from the grammar's text."""
    return lark.Lark(read_grammar(name), parser="lalr", lexer="contextual", start=list(START[name]), **options)


def made_of(name: str) -> str:
    """What compiled tables must match to be of use: Lark's version, the start rules and the grammar's text."""
    return f"{lark.__version__}\n{START[name]}\n{read_grammar(name)}"


def tables_module(name: str) -> str:
    """The source of `irflops/_tables/NAME.py`: a grammar compiled once, as literals that Python loads faster than Lark compiles."""
    data, memo = compile_grammar(name).memo_serialize([TerminalDef, Rule])
    summary = f'"""Tables of the grammar {name}, compiled by Lark {lark.__version__}. Written when the wheel was built."""'
    return f"{summary}\n\nMADE_OF = {made_of(name)!r}\nDATA = {_literal(data)!r}\nMEMO = {_literal(memo)!r}\n"


def _literal(value: Any) -> Any:
    """Plain data that `repr` writes as Python reads it: older versions of Lark leave tokens among the strings."""
    if isinstance(value, dict):
        return {_literal(key): _literal(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_literal, value))
    return str(value) if isinstance(value, str) else value


@cache
def parser(name: str, transformer: Any = None) -> lark.Lark:
    """The parser of a grammar, with an embedded transformer if one is given: from the wheel's tables, else compiled now."""
    try:
        tables = importlib.import_module(f"irflops._tables.{name}")
    except ModuleNotFoundError:
        return compile_grammar(name, transformer=transformer)
    if made_of(name) != tables.MADE_OF:
        return compile_grammar(name, transformer=transformer)
    load: Callable[..., lark.Lark] = lark.Lark._load_from_dict  # noqa: SLF001 - Lark's stand-alone parsers call it, nothing public does
    return load(tables.DATA, tables.MEMO, transformer=transformer)


def terminals(name: str, start: str) -> list[TerminalDef]:
    """The terminals that texts of a start rule may have, and those ignored everywhere, in the order in which Lark tries them."""
    compiled = parser(name)
    found, rules = set(compiled.lexer_conf.ignore), {start}
    waiting = [start]
    while waiting:
        origin = waiting.pop()
        for rule in compiled.rules:
            for symbol in rule.expansion if rule.origin.name == origin else ():
                if symbol.is_term:
                    found.add(symbol.name)
                elif symbol.name not in rules:
                    rules.add(symbol.name)
                    waiting.append(symbol.name)
    return [terminal for terminal in compiled.parser.lexer.root_lexer.terminals if terminal.name in found]
