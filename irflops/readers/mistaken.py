"""Recognises what is often mistaken for a graph dump, and says which line of Python dumps the right thing."""

from __future__ import annotations

import re
from typing import NamedTuple

from irflops.errors import NotAGraphError

PRINT_GRAPH = "print(graph, file=open('graph.txt', 'w'))"
"""The line that dumps what irflops reads; the graph must have been called once before."""

_AFTER_CALL = f"graph(*inputs); {PRINT_GRAPH}"

_ONNX = re.compile(
    rb"\x08[\x01-\x20]\x12[\x01-\x7f](?:pytorch|oneflow|tf2onnx|onnx|skl2onnx|paddle|keras2onnx)|\x0a[\x00-\xff]{1,9}ai\.onnx"
)
_MODULE_PRINT = re.compile(r"^\s*\(\w+\): [A-Z]\w*\(", re.MULTILINE)
_JOB_TEXT = re.compile(r"^\s*net\s*\{|^\s*job_conf\s*\{", re.MULTILINE)
_PLAN_TEXT = re.compile(r"^\s*task\s*\{\s*task_type\s*:", re.MULTILINE)


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
_JOB = _Form("a OneFlow job, which this version does not read yet", f"print the graph: {_AFTER_CALL}")
_MLIR = _Form("a saved graph's MLIR, which this version does not read yet", f"print the graph: {_AFTER_CALL}")
_MODULE = _Form(
    "the print of a module: it has no operators and no shapes", "wrap the module in a oneflow.nn.Graph and call it: " + _AFTER_CALL
)


def recognise(data: bytes) -> _Form | None:
    """What a content is that holds no graph, as far as its first bytes tell; None if nothing is known of it."""
    head = data[:65536]
    if head.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04", b"\x93NUMPY", b"\x89HDF")):
        return _PICKLE
    if _ONNX.match(head):
        return _ONNX_FILE
    if head[:1] == b"\x0a" and not _is_text(head):
        return _binary_message(head)
    text = head.decode("utf-8", errors="replace")
    if _PLAN_TEXT.search(text):
        return _PLAN
    if _JOB_TEXT.search(text):
        return _JOB
    if "oneflow.job" in text or '"oneflow.' in text:
        return _MLIR
    if _MODULE_PRINT.search(text):
        return _MODULE
    return None


def _is_text(head: bytes) -> bool:
    return not any(byte < 9 or 13 < byte < 27 for byte in head[:256])


def _binary_message(head: bytes) -> _Form | None:
    """Tells the binary protobufs apart by their first fields: a Job holds a net of ops with names, a Plan holds tasks with a type."""
    at = 1
    while at < 11 and at < len(head) and head[at] & 0x80:
        at += 1
    first = head[at + 1 : at + 2]
    if first == b"\x08":
        return _PLAN
    return _JOB if first == b"\x0a" else None


def not_a_graph(data: bytes, name: str) -> NotAGraphError:
    """The error for a content without any graph."""
    form = recognise(data)
    if form is not None:
        return NotAGraphError(f"this is {form.what}", path=name, hint=form.hint)
    if not data.strip():
        return NotAGraphError("the input is empty", path=name, hint=_AFTER_CALL)
    return NotAGraphError("no printed OneFlow graph in here: no line '(GRAPH:name:Class): ('", path=name, hint=_AFTER_CALL)


NOT_CALLED = (
    "the graph was printed before its first call, so it has modules and no operators",
    f"call it first: {_AFTER_CALL}",
)
PRINTED_BY_0_7 = (
    "the graph has modules and no operators: OneFlow 0.7 and earlier print none",
    f"with OneFlow 0.8.0 or newer: {_AFTER_CALL}",
)
