"""Where the prints of graphs and of modules begin in a text."""

from __future__ import annotations

import re

MAX_PREFIX = 300
"""Characters of a prefix."""

OPENING = re.compile(r"\)[ \t]*:[ \t]*\([ \t]*(\))?[ \t]*$")
"""How a line ends that opens a level."""
TAIL = 80
"""Characters at the end of a line that say how it ends."""

_STATEMENT = re.compile(r"\([ \t]*(?:GRAPH|CONFIG|INPUT|OUTPUT|PARAMETER|BUFFER|MODULE|GraphModule|OPERATOR)[ \t]*:")
_MODULE = re.compile(r"\([ \t]*MODULE[ \t]*:[^\n]*\)[ \t]*:[ \t]*\([ \t]*$", re.MULTILINE)


def graph_lines(text: str) -> dict[int, int]:
    """Where `(GRAPH...): (` stands, by the start of its line; other talk of a GRAPH in a log (`start building graph`) is none."""
    heads: dict[int, int] = {}
    at = text.find("(GRAPH")
    while at >= 0:
        start = text.rfind("\n", 0, at) + 1
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        if at - start <= MAX_PREFIX and opens(text, at, end):
            heads[start] = at
        at = text.find("(GRAPH", end)
    return heads


def module_lines(text: str) -> dict[int, int]:
    """Where `(MODULE...): (` stands as far left as in the text's first statement, by the start of its line; none where that is another."""
    first = _STATEMENT.search(text)
    if first is None or _MODULE.match(text, first.start()) is None:
        return {}
    lines: dict[int, int] = {}
    blanks = _blanks_before(text, first.start())
    for module in _MODULE.finditer(text, first.start()):
        at = module.start()
        start = text.rfind("\n", max(0, at - MAX_PREFIX), at) + 1
        if start and _blanks_before(text, at) == blanks:
            lines[start] = at
        elif at == first.start():
            lines[0] = at
    return lines


def _blanks_before(text: str, at: int) -> int:
    before = text[max(0, at - MAX_PREFIX) : at]
    return len(before) - len(before.rstrip(" \t"))


def opens(text: str, at: int, end: int) -> bool:
    """Whether a line ends by opening a level: `): (`, not `): ()`."""
    match = OPENING.search(text, max(at, end - TAIL), end)
    return match is not None and match[1] is None
