"""An analysis as JSON, written as a stream: its operators one line each, never all of them at once.

The text is ASCII, so that it reads the same in every locale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any, TextIO

from irflops.analysis.analysis import Analysis
from irflops.errors import IrflopsError
from irflops.ir import plain

_BLOCK = 256
"""Rows that go to the stream in one piece."""

_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False, allow_nan=False)


def write_json(
    analysis: Analysis,
    stream: TextIO,
    without: Iterable[str] = (),
    more: Mapping[str, object] | None = None,
) -> None:
    """Writes the object of contract `irflops.analysis/1`; `without` names members to leave out.

    `more` are members that were asked for, at the end.
    """
    left_out = frozenset(without)
    members = chain(analysis.parts(), (more or {}).items())
    write_members(((name, value) for name, value in members if name not in left_out), stream)


def write_members(members: Iterable[tuple[str, Any]], stream: TextIO) -> None:
    """Writes an object, a member at a time; lists and iterators a row a line."""
    write = stream.write
    lead = "{"
    for name, value in members:
        write(f"{lead}{json.dumps(name)}:")
        if isinstance(value, (list, Iterator)):
            _write_rows(iter(value), stream)
        else:
            write(encoded(value))
        lead = ",\n"
    write("}\n" if lead != "{" else "{}\n")


def error_row(error: IrflopsError, path: str) -> dict[str, Any]:
    """What stands for a file that failed, among the objects of others."""
    return {
        "source": {"path": error.path or path},
        "error": {"message": error.message, "line": error.line, "col": error.column, "hint": error.hint},
    }


def encoded(value: object) -> str:
    """Plain data as JSON in one line: integers whole whatever their size, infinities by name as JSON has none."""
    try:
        return _ENCODER.encode(value)
    except ValueError:
        with any_digits():
            return _ENCODER.encode(plain.finite(value))


@contextmanager
def any_digits() -> Iterator[None]:
    """Lifts Python's limit on the digits of an integer as text, which guards readers of text and not us who write it."""
    before = sys.get_int_max_str_digits() if hasattr(sys, "get_int_max_str_digits") else None  # 3.10.7 and newer have it
    if before is None:
        yield
        return
    sys.set_int_max_str_digits(0)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(before)


def _write_rows(rows: Iterator[object], stream: TextIO) -> None:
    lead = "[\n"
    while block := list(islice(rows, _BLOCK)):
        stream.write(lead + ",\n".join(map(encoded, block)))
        lead = ",\n"
    stream.write("[]" if lead == "[\n" else "\n]")
