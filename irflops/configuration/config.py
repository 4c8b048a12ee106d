"""Finds and reads the configuration: `irflops.toml`, or `[tool.irflops]` of a `pyproject.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from irflops.configuration.choices import one_of
from irflops.configuration.places import places_of
from irflops.errors import IrflopsError, Source, Span
from irflops.toml_file import TOO_DEEP, read_toml

FILE = "irflops.toml"
PYPROJECT = "pyproject.toml"
TABLES = ("audit", "machines", "ops")
"""Tables that a configuration may have."""


@dataclass(frozen=True)
class Config:
    """A configuration's tables, and the file that has them; no file, no tables."""

    path: str | None
    tables: Mapping[str, Mapping[str, object]]
    source: Source | None = None
    prefix: tuple[str, ...] = ()
    """The tables of the file in which irflops' own stand."""

    def table(self, name: str) -> Mapping[str, object]:
        """A table by name, empty where the file has none."""
        return self.tables.get(name, {})

    def place(self, *keys: str | int) -> Span | None:
        """Where a table or a value stands in the file, by its keys from irflops' own tables down."""
        return self._places.get((*self.prefix, *keys))

    @cached_property
    def _places(self) -> Mapping[tuple[str | int, ...], Span]:
        if self.source is None:
            return {}
        try:
            return places_of(self.source)
        except RecursionError:
            raise IrflopsError(TOO_DEEP, path=self.path) from None


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
    hint = f"{FILE} beside it is read instead" if path.name == PYPROJECT else None
    content, source = read_toml(path, hint)
    prefix: tuple[str, ...] = ()
    if path.name == PYPROJECT:
        tool = _table("tool", content.get("tool", {}), path)
        if "irflops" not in tool:
            return NO_CONFIG
        content, prefix = _table("tool.irflops", tool["irflops"], path), ("tool", "irflops")
    for name, table in content.items():
        try:
            one_of(TABLES, "table of irflops' configuration")(name)
        except ValueError as error:
            text, _, hint = str(error).partition("; ")
            raise IrflopsError(text, path=str(path), hint=hint) from None
        _table(".".join([*prefix, name]), table, path)
    return Config(str(path), content, source, prefix)


def _table(name: str, value: object, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise IrflopsError(f"{name} should be a table, [{name}]", path=str(path))
    return value
