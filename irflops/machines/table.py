"""Reads machines out of TOML: a table by id for each, checked key by key, with what was probably meant where a key is not known."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from irflops.errors import IrflopsError, Source, Span, error_at, quoted
from irflops.machines.machine import FORMAT_OF, FORMATS, REACHES, UNITS, Derivation, Link, Machine

KINDS = ("gpu", "cpu", "npu", "tpu")
SURE = ("high", "medium", "low")
MOST = 1e24
"""Of any figure: no rate or size comes near."""
MOST_MACHINES = 1000

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a file something stands, for errors."""

    path: str | None
    source: Source | None
    table: str
    key: str = ""

    def at(self, key: str) -> _Place:
        return _Place(self.path, self.source, self.table, key)

    def refuse(self, message: str, hint: str | None = None) -> NoReturn:
        span = self._span()
        text = f"machine {quoted(self.table)}: {message}"
        if self.source is not None and span is not None:
            raise error_at(IrflopsError, self.source, span, text, hint)
        raise IrflopsError(text, path=self.path, hint=hint)

    def _span(self) -> Span | None:
        """The key in its table, as far as a search of the text finds it; else the head of the table."""
        if self.source is None:
            return None
        name = re.escape(self.table)
        head = re.search(rf"""^[ \t]*\[[^\]\n]*["']?{name}["']?[ \t]*\]""", self.source.text, re.MULTILINE)
        if head is None:
            return None
        after = re.compile(r"^[ \t]*\[[\w\"']", re.MULTILINE).search(self.source.text, head.end())
        end = after.start() if after is not None else len(self.source.text)
        key = re.compile(rf"(?<![\w-]){re.escape(self.key)}(?![\w-])") if self.key else None
        found = key.search(self.source.text, head.end(), end) if key is not None else None
        return Span(*(found or head).span())


Check = Callable[[Any, _Place], Any]


def _text(value: object, at: _Place) -> str:
    if not isinstance(value, str) or not value.strip():
        at.refuse(f"{at.key} is a text")
    return value


def _number(value: object, at: _Place) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not 0 < value <= MOST:
        at.refuse(f"{at.key} is a number greater than 0, and no more than {MOST:g}")
    return float(value)


def _seconds(value: object, at: _Place) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        at.refuse(f"{at.key} is a number of seconds from 0 to 1")
    return float(value)


def _count(value: object, at: _Place) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MOST:
        at.refuse(f"{at.key} is a whole number greater than 0")
    return value


def _flag(value: object, at: _Place) -> bool:
    if not isinstance(value, bool):
        at.refuse(f"{at.key} is true or false")
    return value


def _word(words: Sequence[str]) -> Check:
    def check(value: object, at: _Place) -> str:
        if not isinstance(value, str) or value not in words:
            at.refuse(f"{at.key} is one of {', '.join(words)}")
        return value

    return check


def _texts(value: object, at: _Place) -> tuple[str, ...]:
    if not isinstance(value, list):
        at.refuse(f"{at.key} is a list of texts")
    return tuple(_text(item, at) for item in value)


def _rates(value: object, at: _Place) -> dict[str, float]:
    return {name: _number(rate, at.at(name)) for name, rate in _table(value, FORMATS, at, "number format").items()}


_PER_CLOCK = tuple(f"{unit}_{number}" for unit in UNITS for number in FORMATS)


def _per_clock(value: object, at: _Place) -> dict[str, float]:
    return {name: _number(rate, at.at(name)) for name, rate in _table(value, _PER_CLOCK, at, "rate").items()}


def _derivation(value: object, at: _Place) -> Derivation:
    return Derivation(**_checked(value, _DERIVATION, ("units", "clock_ghz", "per_clock"), at))


def _links(value: object, at: _Place) -> tuple[Link, ...]:
    if not isinstance(value, list):
        at.refuse("links is a list of tables")
    return tuple(Link(**_checked(item, _LINK, ("kind", "bytes_per_s", "reach"), at)) for item in value)


_DERIVATION: Mapping[str, Check] = {
    "units": _count,
    "clock_ghz": _number,
    "vector_clock_ghz": _number,
    "clock_base_ghz": _number,
    "per_clock": _per_clock,
}
_LINK: Mapping[str, Check] = {
    "kind": _text,
    "bytes_per_s": _number,
    "to_one_peer": _number,
    "reach": _word(REACHES),
    "devices": _count,
}
_MACHINE: Mapping[str, Check] = {
    "name": _text,
    "aliases": _texts,
    "vendor": _text,
    "architecture": _text,
    "year": _count,
    "kind": _word(KINDS),
    "matrix": _rates,
    "vector": _rates,
    "memory_bytes": _count,
    "usable_bytes": _count,
    "memory_bandwidth": _number,
    "cache_bytes": _count,
    "cache": _text,
    "watts": _number,
    "max_clock_ghz": _number,
    "derive": _derivation,
    "links": _links,
    "alpha_s": _seconds,
    "launch_s": _seconds,
    "ceiling": _flag,
    "source": _text,
    "seen": _text,
    "sure": _word(SURE),
    "notes": _text,
}
"""The keys of a machine's table, and what each may be."""
_NEEDED = ("name", "source")
_MEANT = {word: number for dtype, number in FORMAT_OF.items() for word in (dtype.word, dtype.short)}
"""Number formats by the words that OneFlow and others have for them."""
_UNLESS_SAID = {"vendor": "", "kind": "gpu", "sure": "low"}


def _table(value: object, keys: Sequence[str], at: _Place, what: str) -> dict[str, Any]:
    """A table that has none but these keys."""
    if not isinstance(value, dict):
        at.refuse(f"{at.key or 'it'} is a table")
    for key in value:
        if key not in keys:
            near = [_MEANT[key]] if _MEANT.get(key) in keys else difflib.get_close_matches(key, keys, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(keys)}"
            at.at(key).refuse(f"{quoted(key)} is no {what}", hint)
    return value


def _checked(value: object, keys: Mapping[str, Check], needed: Sequence[str], at: _Place) -> dict[str, Any]:
    table = _table(value, tuple(keys), at, "key of " + (at.key or "a machine"))
    for key in needed:
        if key not in table:
            at.refuse(f"{key} is missing" + (f" in {at.key}" if at.key else ""))
    return {key: keys[key](item, at.at(key)) for key, item in table.items()}


def machines_in(tables: Mapping[str, object], path: str | None = None, source: Source | None = None) -> tuple[Machine, ...]:
    """The machines of tables by id; `source` is the text that they stand in. Errors: IrflopsError."""
    if len(tables) > MOST_MACHINES:
        raise IrflopsError(f"more than {MOST_MACHINES:,} machines are not read", path=path)
    return tuple(_machine(name, table, _Place(path, source, name)) for name, table in tables.items())


def _machine(name: str, table: object, at: _Place) -> Machine:
    if not isinstance(table, dict):
        hint = f"a machine is a table: [{name}]" if _ID.fullmatch(name) else None
        raise IrflopsError(f"{quoted(name)} is no machine's table", path=at.path, hint=hint)
    if not _ID.fullmatch(name):
        at.refuse("the id of a machine has small letters, digits and -, _, . between them")
    found = _UNLESS_SAID | _checked(table, _MACHINE, _NEEDED, at)
    if not found.get("matrix") and not found.get("vector"):
        at.refuse("it has no rate: matrix or vector is missing", "vector = { fp32 = 10e12 }")
    usable, label = found.get("usable_bytes"), found.get("memory_bytes")
    if usable is not None and label is not None and usable > label:
        at.at("usable_bytes").refuse("usable_bytes is more than memory_bytes")
    return Machine(id=name, **found)
