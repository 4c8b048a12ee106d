"""What nobody sees: escape sequences for a terminal (colours, titles, links), and marks where a web page may break a word."""

from __future__ import annotations

import re

from irflops.errors import Source
from irflops.readers.unwrapping.rewriting import Edit, rewritten

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_MARK = "\u00ad\u200b\u2060\ufeff"
"""Soft hyphens and blanks without width. Those that join letters or keep them apart are letters' own."""

_BOTH = re.compile(rf"{_ANSI.pattern}|[{_MARK}]+")


def undone(source: Source) -> Source | None:
    """The text without them; None where it has none."""
    text = source.text
    if not text.isascii():
        return rewritten(source, (Edit(*found.span(), "") for found in _BOTH.finditer(text)))
    return rewritten(source, (Edit(*found.span(), "") for found in _ANSI.finditer(text))) if "\x1b" in text else None
