"""Operations of other dialects in a form of their own, such as `%a = memref.alloc() : memref<4xf32>`: where they stand, not what they say.

No grammar here knows their forms, and no graph needs them: a module holds them beside its graph, or in place of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

_NAME = re.compile(r"[ \t]*(?P<name>[A-Za-z_][\w$]*(?:\.[\w$]+)*)(?![\w$.]|[ \t]*=(?!=))(?P<rest>[^\n]*)")
_RESULTS = re.compile(r"[ \t]*%[%\w$.:, \t-]*=")
_QUOTE = re.compile(r'[ \t]*"')
_KNOWN = re.compile(
    r"(?:builtin\.)?module|oneflow\.(?:job|return|kernel_launch|mlir_jit)|(?:func\.|builtin\.)?func|func\.(?:call|return)|call|return|loc|attributes"
)
_MARK = re.compile(r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"?|//[^\n]*|[][(){}]|\n')
"""What opens, closes, or may begin a line of a statement's own; strings and comments, in which nothing does."""


class Part(NamedTuple):
    """A part of a text, from offset to offset, that is one statement or several: of the foreign operation `name`, or to be read."""

    start: int
    end: int
    name: str | None


def foreign_name(text: str, start: int = 0) -> str | None:
    """The name of the operation in a form of its own that begins at an offset; None where no such one does."""
    results = _RESULTS.match(text, start)
    found = _NAME.match(text, results.end() if results is not None else start)
    if found is None or _KNOWN.fullmatch(found["name"]):
        return None
    # Until 2022 the operations of the dialect `std` had names without it: `%0 = constant 1 : i32`.
    told = "." in found["name"] or results is not None or re.search(r"\s:\s", found["rest"])
    return found["name"] if told else None


def _is_generic(text: str, start: int) -> bool:
    """Whether an operation in the generic form begins at an offset."""
    results = _RESULTS.match(text, start)
    return _QUOTE.match(text, start if results is None else results.end()) is not None


def split_foreign(text: str) -> list[Part]:
    """Statements that stand together in a text, each with its name where it is a foreign one; none where there is no foreign one."""
    parts = []
    starts = [*_starts(text), (len(text), None)]
    if all(name is None for _, name in starts):
        return []
    for (start, name), (end, _) in pairwise(starts):
        parts.append(Part(start, end, name))
    return parts


def _starts(text: str) -> Iterator[tuple[int, str | None]]:
    """Where statements begin: at the text's own start, and at each line outside all brackets that looks like one."""
    yield 0, foreign_name(text)
    depth = 0
    for mark in _MARK.finditer(text):
        sign = mark[0][0]
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth = max(0, depth - 1)
        elif sign == "\n" and not depth:
            name = foreign_name(text, mark.end())
            if name is not None or _is_generic(text, mark.end()):
                yield mark.end(), name
