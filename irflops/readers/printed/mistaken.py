"""The errors for contents without a graph: what they are instead, and which line of Python dumps the right thing."""

from __future__ import annotations

import re

from irflops.errors import NotAGraphError, Source
from irflops.readers.printed.other_files import AFTER_CALL, PRINT_GRAPH, other_bytes, other_text

_HEAD = 65536
_BUILDING = re.compile(r"\(GRAPH:[^()\n]*\) (?:start|end) (?:re-)?building|\[GraphCompile\]")
"""What `graph.debug()` makes OneFlow say while it builds a graph."""


def not_a_graph(head: bytes, source: Source) -> NotAGraphError:
    """The error for a text without any graph, made of a file with these first bytes; none where another text was undone for it."""
    name = source.name
    other = other_bytes(head) or other_text(source.text[:_HEAD])
    if other is not None:
        return NotAGraphError(f"this is {other.what}", path=name, hint=other.hint)
    if not source.text.strip():
        return NotAGraphError("the input is empty", path=name, hint=AFTER_CALL)
    if _BUILDING.search(source.text) is not None:
        return NotAGraphError(BUILT_ALONE[0], path=name, hint=BUILT_ALONE[1])
    return NotAGraphError(
        "no OneFlow graph in here: neither the line '(GRAPH:name:Class): (' of a print, nor a job, nor a saved graph",
        path=name,
        hint=f"irflops formats lists what is read, and how to make each; the simplest: {AFTER_CALL}",
    )


def without_operators(source: Source, *, is_module: bool, called: bool) -> tuple[str, str]:
    """What to say, and a hint, of the print of a graph or module that has no operators; `called` where it shows inputs."""
    if "(OPERATOR" in source.text:
        return LINES_LOST
    if _BUILDING.search(source.text) is not None:
        return BUILT_ALONE
    if is_module and not called:
        return MODULE_NOT_CALLED
    return PRINTED_BY_0_7 if called else NOT_CALLED


NOT_CALLED = (
    "the graph was printed before its first call, so it has modules and no operators",
    f"call it first, with OneFlow 0.8.0 or newer, for older ones print no operators: {AFTER_CALL}",
)
MODULE_NOT_CALLED = (
    "this is the print of one module of a graph before its first call: it has no operators",
    f"call the graph first, and print all of it: {AFTER_CALL}",
)
BUILT_ALONE = (
    "this is what graph.debug() says while a graph is built: modules and their tensors, and no operators",
    f"print the graph after its first call: {AFTER_CALL}",
)
LINES_LOST = (
    "operators stand in this text, but not on lines of their own: its line ends are lost or written as \\n",
    f"write the print itself into a file: {PRINT_GRAPH}",
)
PRINTED_BY_0_7 = (
    "the graph has modules and no operators: OneFlow 0.7 and earlier print none",
    f"with OneFlow 0.8.0 or newer: {AFTER_CALL}",
)
