"""Finds and reads the configuration: `irflops.toml`, or `[tool.irflops]` of a `pyproject.toml`."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irflops.auditing.rule import one_of
from irflops.errors import IrflopsError, Source, Span, error_at

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "irflops.toml"
PYPROJECT = "pyproject.toml"
TABLES = ("audit",)
"""Tables that a configuration may have."""

MAX_BYTES = 1 << 20
"""Of a file that is read; real ones have some thousands."""
MOST_PARTS = 100
"""Of a dotted key: the time that a key takes goes by their square."""
MOST_DIGITS = 100
"""Of an integer: no cost comes near."""

_PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*"""
_LONG_KEY = re.compile(rf"(?:^|[\[{{,])[ \t]*({_PART}(?:\.[ \t]*{_PART}){{{MOST_PARTS}}})", re.MULTILINE)
_LONG_INTEGER = re.compile(r"[0-9][0-9_]{639,}")
"""As many digits as Python always reads, whatever its limit is."""
_PLACE = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration's tables, and the file that has them; no file, no tables."""

    path: str | None
    tables: Mapping[str, Mapping[str, object]]

    def table(self, name: str) -> Mapping[str, object]:
        """A table by name, empty where the file has none."""
        return self.tables.get(name, {})


NO_CONFIG = Config(None, {})


def find_config(folder: Path | None = None) -> Config:
    """The configuration of the nearest folder, from this one (the current one) upwards, that has one.

    `irflops.toml` comes before `pyproject.toml`. Errors: IrflopsError where the file does not read.
    """
    if folder is None:
        try:
            folder = Path.cwd()
        except OSError:
            return NO_CONFIG  # the current directory was removed: nothing stands in it, and nobody knows what is above
    for place in (folder, *folder.parents):
        if _is_there(place / FILE):
            return read_config(place / FILE)
        if _is_there(place / PYPROJECT):
            found = read_config(place / PYPROJECT)
            if found.path is not None:
                return found
    return NO_CONFIG


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False  # in a folder that nobody may look into


def read_config(path: Path) -> Config:
    """The configuration in a file; NO_CONFIG where a `pyproject.toml` has none. Errors: IrflopsError."""
    content, prefix = _content(path), ""
    if path.name == PYPROJECT:
        tool = _table("tool", content.get("tool", {}), path)
        if "irflops" not in tool:
            return NO_CONFIG
        content, prefix = _table("tool.irflops", tool["irflops"], path), "tool.irflops."
    for name, table in content.items():
        try:
            one_of(TABLES, "table of irflops' configuration")(name)
        except ValueError as error:
            text, _, hint = str(error).partition("; ")
            raise IrflopsError(text, path=str(path), hint=hint) from None
        _table(f"{prefix}{name}", table, path)
    _refuse_long_integers(content, path)
    return Config(str(path), content)


def _table(name: str, value: object, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise IrflopsError(f"{name} should be a table, [{name}]", path=str(path))
    return value


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


def _content(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise IrflopsError(f"cannot read: {error.strerror or error}", path=str(path)) from None
    if len(data) > MAX_BYTES:
        hint = f"{FILE} beside it is read instead" if path.name == PYPROJECT else None
        raise IrflopsError(f"a configuration of more than {MAX_BYTES:,} bytes is not read", path=str(path), hint=hint)
    try:
        source = Source(str(path), data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        message = "this is no TOML: it is not UTF-8"
        raise IrflopsError(message, path=str(path), line=data.count(b"\n", 0, error.start) + 1) from None
    return _parsed(source)


def _parsed(source: Source) -> dict[str, Any]:
    long_key = _LONG_KEY.search(source.text)
    if long_key is not None:
        message = f"a key of more than {MOST_PARTS} parts"
        raise error_at(IrflopsError, source, Span(*long_key.span(1)), message)
    try:
        return tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        raise _no_toml(source, str(error)) from None
    except RecursionError:
        raise IrflopsError("arrays or tables are nested too deep to be read", path=source.name) from None
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
