"""Finds and reads the configuration: `irflops.toml`, or `[tool.irflops]` of a `pyproject.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irflops.auditing.rule import one_of
from irflops.errors import IrflopsError
from irflops.toml_file import read_toml

FILE = "irflops.toml"
PYPROJECT = "pyproject.toml"
TABLES = ("audit", "machines")
"""Tables that a configuration may have."""


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
    hint = f"{FILE} beside it is read instead" if path.name == PYPROJECT else None
    (content, _), prefix = read_toml(path, hint), ""
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
    return Config(str(path), content)


def _table(name: str, value: object, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise IrflopsError(f"{name} should be a table, [{name}]", path=str(path))
    return value
