"""What is said of a module that OneFlow's compiler has lowered: its operators became operations of other dialects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from irflops.errors import IrflopsError, NotAGraphError, Source, Span, error_at, quoted
from irflops.readers.mlir.mlir_functions import Function, Statement
from irflops.readers.mlir.mlir_plan import MlirOp

_DIALECTS = 5
"""Dialects that a message names."""
_HINT = 'dump the graph before it is lowered: oneflow.save(graph, "DIR")'
_STD = "std"
"""The dialect of operations that are written without one."""


def lowered(source: Source, function: Function) -> IrflopsError:
    """The error for a function that holds operations of other dialects."""
    raw, span, _ = function.content.foreign[0]
    if _dialect(raw.name) == "oneflow":
        return _own_form(source, raw, span)
    left = "no OneFlow operator" if not function.content.operators else "no whole graph of OneFlow operators"
    message = (
        f"{quoted(raw.name)} is no operation of OneFlow's: {left} is left in it, for it is lowered to {_dialects(function.content.foreign)}"
    )
    return _at(source, span, raw.name, message, _HINT)


def nothing_left(source: Source, foreign: Sequence[Statement]) -> IrflopsError:
    """The error for a module that holds these operations of other dialects, and no operator of OneFlow's."""
    if not foreign:
        return NotAGraphError("the module has no operators", path=source.name, hint="save a graph that was called once")
    for raw, span, _ in foreign:
        if _dialect(raw.name) == "oneflow":
            return _own_form(source, raw, span)
    raw, span, _ = foreign[0]
    return _at(source, span, raw.name, f"no OneFlow operator is left in it: its operations are those of {_dialects(foreign)}", _HINT)


def _own_form(source: Source, raw: MlirOp, span: Span) -> IrflopsError:
    message = f"{quoted(raw.name)} stands in a form of its own, and operators are read in the generic one, with the name in quotes"
    return _at(source, span, raw.name, message, "print it so: oneflow-opt --mlir-print-op-generic FILE")


def _dialects(foreign: Iterable[Statement]) -> str:
    names = [*dict.fromkeys(_dialect(statement.raw.name) for statement in foreign)]
    more = f" and {len(names) - _DIALECTS} more" if len(names) > _DIALECTS else ""
    return ", ".join(names[:_DIALECTS]) + more


def _dialect(name: str) -> str:
    dialect, dot, _ = name.partition(".")
    return quoted(dialect)[1:-1] if dot and dialect else _STD


def _at(source: Source, span: Span, word: str, message: str, hint: str) -> IrflopsError:
    at = source.text.find(word, span.start, span.end)
    return error_at(NotAGraphError, source, Span(at, at + len(word)) if at >= 0 else span, message, hint)
