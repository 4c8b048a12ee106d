"""Prints requirements out of pyproject.toml: `lowest` pins the dependencies to their lower bounds, `oneflow` lists all for live OneFlow."""

from __future__ import annotations

import re
import sys
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    from pip._vendor import tomli as tomllib

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def lowest() -> list[str]:
    """The dependencies, pinned."""
    return [requirement.replace(">=", "==") for requirement in PROJECT["dependencies"]]


def extra(name: str) -> list[str]:
    """The requirements of an extra, those of the extras that it names itself in their place."""
    listed: list[str] = []
    for requirement in EXTRAS[name]:
        own = re.fullmatch(rf"{PROJECT['name']}\[(\w+)\]", requirement)
        listed += extra(own[1]) if own else [requirement]
    return listed


def oneflow() -> list[str]:
    """The dependencies, OneFlow and what runs the tests; the project itself is installed apart."""
    return [*PROJECT["dependencies"], *extra("oneflow"), *extra("dev")]


print("\n".join({"lowest": lowest, "oneflow": oneflow}[sys.argv[1]]()))
