"""Data files of the package."""

from __future__ import annotations

from pathlib import Path


def data_text(name: str) -> str:
    """The text of a data file. By its path: `importlib.resources` takes longer to import than all of them to read."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
