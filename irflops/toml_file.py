"""Reads TOML that users write, within bounds: what is wrong with a file is one error at its place."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from irflops.errors import IrflopsError, Source, Span, error_at

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 1 << 20
"""Of a file that is read; real ones have some thousands."""
MOST_PARTS = 100
"""Of a dotted key: the time that a key takes goes by their square."""
MOST_DIGITS = 100
"""Of an integer: no cost comes near."""
TOO_DEEP = "arrays or tables are nested too deep to be read"

_PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*"""
_LONG_KEY = re.compile(rf"(?:^|[\[{{,])[ \t]*({_PART}(?:\.[ \t]*{_PART}){{{MOST_PARTS}}})", re.MULTILINE)
_LONG_INTEGER = re.compile(r"[0-9][0-9_]{639,}")
"""As many digits as Python always reads, whatever its limit is."""
_PLACE = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")


def _refuse_long_integers(content: object, path: Path) -> None:
    """Hexadecimal ones have no limit in Python's reader, and would fail where they are written."""
    left = [content]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += value.values()
        elif isinstance(value, list):
            left += value
        elif isinstance(value, int) and abs(value) >= 10**MOST_DIGITS:
            raise IrflopsError(f"an integer has more than {MOST_DIGITS} digits", path=str(path))


def read_toml(path: Path, hint: str | None = None) -> tuple[dict[str, Any], Source]:
    """The tables of a file, and its text; `hint` is for a file that is too large. Errors: IrflopsError."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise IrflopsError(f"cannot read: {error.strerror or error}", path=str(path)) from None
    if len(data) > MAX_BYTES:
        read = Source(str(path), data.decode("utf-8-sig", errors="replace"))
        end = len(read.text)
        raise error_at(IrflopsError, read, Span(end - 1, end), f"a file of more than {MAX_BYTES:,} bytes is not read", hint)
    try:
        source = Source(str(path), data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        message = "this is no TOML: it is not UTF-8"
        raise IrflopsError(message, path=str(path), line=data.count(b"\n", 0, error.start) + 1) from None
    content = parsed_toml(source)
    _refuse_long_integers(content, path)
    return content, source


def parsed_toml(source: Source) -> dict[str, Any]:
    """The tables of a text. Errors: IrflopsError."""
    long_key = _LONG_KEY.search(source.text)
    if long_key is not None:
        message = f"a key of more than {MOST_PARTS} parts"
        raise error_at(IrflopsError, source, Span(*long_key.span(1)), message)
    try:
        return tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        raise _no_toml(source, str(error)) from None
    except RecursionError:
        raise IrflopsError(TOO_DEEP, path=source.name) from None
    except ValueError as error:  # an integer with more digits than Python reads
        long = _LONG_INTEGER.search(source.text)
        if long is None:
            raise IrflopsError(f"this is no TOML: {error}", path=source.name) from None
        raise error_at(IrflopsError, source, Span(*long.span()), f"an integer has more than {MOST_DIGITS} digits") from None


def _no_toml(source: Source, message: str) -> IrflopsError:
    """The error at the place that the parser's message ends with."""
    place = _PLACE.search(message)
    said = f"this is no TOML: {message[: place.start()] if place is not None else message}"
    if place is None:
        return IrflopsError(said, path=source.name)
    if place["line"] is None:
        end = len(source.text.rstrip())
        return error_at(IrflopsError, source, Span(end, end + 1), said)
    line, column = int(place["line"]), int(place["column"])
    return IrflopsError(said, path=source.name, line=line, column=column, excerpt=source.line_text(line))
