"""A listing whose first character was lost when it was copied: `GRAPH:G_0:G): (`."""

from __future__ import annotations

import re

from irflops.errors import Source
from irflops.readers.unwrapping.rewriting import Edit, rewritten

_GRAPH = re.compile(r"(?<![\w.(])GRAPH[ \t]*:[^()\n]*\)[ \t]*:[ \t]*\([ \t]*$", re.MULTILINE)
_MODULE = re.compile(r"\s{0,1000}(?=MODULE[ \t]*:[^\n]*\)[ \t]*:[ \t]*\([ \t]*$)", re.MULTILINE)
_MOST_PREFIX = 300
"""Characters of a logger's prefix."""


def undone(source: Source) -> Source | None:
    """The text with the parenthesis before a graph's first word, or a module's; None where none is missing there."""
    text = source.text
    places = [found.start() for found in _GRAPH.finditer(text) if _begins(text, found.start())]
    module = None if places else _MODULE.match(text)
    if module is not None:
        places.append(module.end())
    return rewritten(source, (Edit(place, place, "(") for place in places))


def _begins(text: str, at: int) -> bool:
    """Whether nothing but a prefix stands before it on its line."""
    start = text.rfind("\n", 0, at) + 1
    return at - start <= _MOST_PREFIX and "(" not in text[start:at]
