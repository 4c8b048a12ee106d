"""Finds and reads the configuration: `irflops.toml`, or `[tool.irflops]` of a `pyproject.toml`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irflops.audit.rule import one_of
from irflops.errors import IrflopsError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "irflops.toml"
PYPROJECT = "pyproject.toml"
TABLES = ("audit",)
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


def find_config(folder: Path) -> Config:
    """The configuration of the nearest folder, from this one upwards, that has one. `irflops.toml` comes before `pyproject.toml`.

    Errors: IrflopsError where the file does not read.
    """
    for place in (folder, *folder.parents):
        if (place / FILE).is_file():
            return read_config(place / FILE)
        if (place / PYPROJECT).is_file():
            found = read_config(place / PYPROJECT)
            if found.path is not None:
                return found
    return NO_CONFIG


def read_config(path: Path) -> Config:
    """The configuration in a file; NO_CONFIG where a `pyproject.toml` has none. Errors: IrflopsError."""
    content = _content(path)
    if path.name == PYPROJECT:
        tool = content.get("tool", {})
        if "irflops" not in tool:
            return NO_CONFIG
        content = tool["irflops"]
    for name, table in content.items():
        try:
            one_of(TABLES, "table of irflops' configuration")(name)
        except ValueError as error:
            text, _, hint = str(error).partition("; ")
            raise IrflopsError(text, path=str(path), hint=hint) from None
        if not isinstance(table, dict):
            raise IrflopsError(f"{name} should be a table, [{name}]", path=str(path))
    return Config(str(path), content)


def _content(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise IrflopsError(f"cannot read: {error.strerror or error}", path=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise IrflopsError(f"this is no TOML: {error}", path=str(path)) from None
