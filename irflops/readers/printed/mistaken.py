"""Recognises what is often mistaken for a graph dump, and says which line of Python dumps the right thing."""

from __future__ import annotations

import re
from typing import NamedTuple

from irflops.errors import NotAGraphError, Source
from irflops.readers.intake import decode, is_text

PRINT_GRAPH = "print(graph, file=open('graph.txt', 'w'))"
"""The line that dumps what irflops reads; the graph must have been called once before."""

_AFTER_CALL = f"graph(*inputs); {PRINT_GRAPH}"

_ONNX = re.compile(rb"\x08[\x01-\x20](?:\x12(?P<size>[\x00-\x7f])|[\x3a\x42])")
"""A ModelProto's first fields: the version of the format, then the name of the producer, the graph, or the operator sets."""

_COMMENTS = re.compile(r"\s*(?://[^\n]*(?:\n\s*|\Z))+\Z")
_MODULE_PRINT = re.compile(r"^[ \t]*\(\w+\): [A-Z]\w*\(", re.MULTILINE)
_JOB_TEXT = re.compile(r"^[ \t]*(?:net|job_conf)[ \t]*\{", re.MULTILINE)
_PLAN_TEXT = re.compile(r"^[ \t]*task[ \t]*\{\s*task_type[ \t]*:", re.MULTILINE)


class _Form(NamedTuple):
    what: str
    hint: str


_PICKLE = _Form(
    "a pickle or checkpoint: weights, not a graph, and irflops never unpickles", f"in the script that builds the graph: {_AFTER_CALL}"
)
_ONNX_FILE = _Form("an ONNX model, not a OneFlow graph", f"where the OneFlow graph is: {_AFTER_CALL}")
_PLAN = _Form(
    "a OneFlow Plan: the compiled tasks of each device, from which the logical graph cannot be told",
    f"dump the graph itself: {_AFTER_CALL}",
)
_JOB = _Form("a text with a OneFlow job somewhere in it", "keep the job alone, from its line 'net {' on")
_MLIR = _Form("a text with a saved graph's MLIR somewhere in it", "keep the module alone, from its line 'module {' on")
_MLIR_BARE = _Form(_MLIR.what, "keep the job or function alone, from its line 'oneflow.job @...' or 'func.func @...' on")
_COMMENTED = _Form("a text of comments (//) alone, without any MLIR", "save the graph: oneflow.save(graph, 'DIR')")
_MODULE = _Form(
    "the print of a module: it has no operators and no shapes", "wrap the module in a oneflow.nn.Graph and call it: " + _AFTER_CALL
)


def recognise(data: bytes) -> _Form | None:
    """What a content is that holds no graph, as far as its first bytes tell; None if nothing is known of it."""
    head = data[:65536]
    if head.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04", b"\x93NUMPY", b"\x89HDF")):
        return _PICKLE
    if _is_onnx(head):
        return _ONNX_FILE
    if head[:1] == b"\x0a" and not is_text(head):
        return _binary_message(head)
    text = decode(head)
    if _PLAN_TEXT.search(text):
        return _PLAN
    if _JOB_TEXT.search(text):
        return _JOB
    if _COMMENTS.match(text):
        return _COMMENTED
    if "oneflow.job" in text or '"oneflow.' in text:
        return _MLIR if "module {" in text else _MLIR_BARE
    if _MODULE_PRINT.search(text):
        return _MODULE
    return None


def _is_onnx(head: bytes) -> bool:
    match = _ONNX.match(head)
    if match is None:
        return False
    size = match["size"][0] if match["size"] else 0
    return head[match.end() : match.end() + size].isascii()


def _binary_message(head: bytes) -> _Form | None:
    """A binary Plan, by its first field: it holds tasks, and those begin with their type."""
    at = 1
    while at < 11 and at < len(head) and head[at] & 0x80:
        at += 1
    first = head[at + 1 : at + 2]
    if first == b"\x08":
        return _PLAN
    return None


def not_a_graph(head: bytes, source: Source) -> NotAGraphError:
    """The error for a content without any graph, of which these are the first bytes."""
    name = source.name
    form = recognise(head)
    if form is not None:
        return NotAGraphError(f"this is {form.what}", path=name, hint=form.hint)
    if not source.text.strip():
        return NotAGraphError("the input is empty", path=name, hint=_AFTER_CALL)
    return NotAGraphError(
        "no OneFlow graph in here: neither the line '(GRAPH:name:Class): (' of a print, nor a job, nor a saved graph",
        path=name,
        hint=f"irflops formats lists what is read, and how to make each; the simplest: {_AFTER_CALL}",
    )


NOT_CALLED = (
    "the graph was printed before its first call, so it has modules and no operators",
    f"call it first, with OneFlow 0.8.0 or newer, for older ones print no operators: {_AFTER_CALL}",
)
LINES_LOST = (
    "operators stand in this text, but not on lines of their own: its line ends are lost or written as \\n",
    f"write the print itself into a file: {PRINT_GRAPH}",
)
PRINTED_BY_0_7 = (
    "the graph has modules and no operators: OneFlow 0.7 and earlier print none",
    f"with OneFlow 0.8.0 or newer: {_AFTER_CALL}",
)
