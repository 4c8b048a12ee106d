"""A model.mlir that is cut off or damaged: what stands before the first statement that does not read, with its braces closed."""

from __future__ import annotations

import re
from dataclasses import replace

from irflops.errors import GraphSyntaxError, NotAGraphError, Source
from irflops.ir.graph import Graph
from irflops.readers.meaning.partial import partial_note
from irflops.readers.mlir.saved_mlir import read_mlir

MOST_TRIES = 4
"""Places at which a text is cut before it is given up: what is left may end within an operation of several lines."""

_MARK = re.compile(r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"|//[^\n]*|[{}]')


def read_partial_mlir(source: Source, choice: str | int | None = None) -> Graph:
    """The graph of a model.mlir, as far as that reads. Errors: those of `read_mlir`, where nothing of it does."""
    first: GraphSyntaxError | None = None
    kept = source
    for _ in range(MOST_TRIES):
        try:
            graph = read_mlir(kept, choice)
        except GraphSyntaxError as error:
            first = first or error.with_traceback(None)
            end = _line_start(kept, error.line)
            if not end:
                break
            kept = _closed(kept, end)
        except NotAGraphError:
            if first is None:
                raise
            break
        else:
            if first is None:
                return graph
            return replace(graph, partial=True, notes=(*graph.notes, partial_note(f"line {first.line}: {first.message}")))
    assert first is not None, "a graph that reads was returned"
    raise first


def _line_start(source: Source, line: int | None) -> int:
    """Where the last line begins that is not behind a line of the file; 0 where that is the first."""
    low, high = 0, len(source.text)
    while low < high:
        middle = (low + high) // 2
        if source.line(middle) < (line or 0):
            low = middle + 1
        else:
            high = middle
    return source.text.rfind("\n", 0, max(0, min(low, len(source.text.rstrip())))) + 1


def _closed(source: Source, end: int) -> Source:
    """The text up to an offset, with the braces closed that are open there. Its places are those of the whole."""
    text = source.text[:end]
    braces = sum((mark[0] == "{") - (mark[0] == "}") for mark in _MARK.finditer(text))
    return replace(source, text=text + "}" * max(0, braces) + "\n")
