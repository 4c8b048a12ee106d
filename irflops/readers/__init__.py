"""Readers: one format per file, every quirk of a format behind this door."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from irflops.errors import ChoiceError, NotAGraphError, Source, Span, error_at, expect
from irflops.ir.graph import Graph, Note
from irflops.readers.choice import Choosable, choose
from irflops.readers.collector import seldom_collecting
from irflops.readers.detect import HEAD_BYTES, JOB_BINARY, JOB_TEXT, MLIR, ZIP, form_of
from irflops.readers.intake import MAX_SIZE, decompress, display_name, read_bytes, source_of
from irflops.readers.printed.graph_repr import read_graph
from irflops.readers.printed.log import INPUT, LINE_KINDS, OPERATOR, GraphText, Scan, scan, statements
from irflops.readers.printed.mistaken import LINES_LOST, NOT_CALLED, PRINTED_BY_0_7, not_a_graph

_DEVICE = re.compile(r"device='[^']*'")
_NAME = re.compile(r"GRAPH\s*:?\s*([^:()\n]*)(?::([^()\n]*))?")


def load(path: str | PathLike[str], graph: str | int | None = None, *, partial: bool = False, max_size: int = MAX_SIZE) -> Graph:
    """The graph in a file, `-` for standard input, or in the folder that `oneflow.save(graph, DIR)` writes.

    The form is told by the content, never by the name; compressed files and logs are read as they are. `graph` chooses by name or by
    1-based position where a file holds several different ones. With `partial`, a print that is cut off or interrupted is read as far as
    it goes, and marked so. Errors: IrflopsError with path, line, column and hint.
    """
    expect(path, (str, PathLike), "path", "the path of a file or folder")
    expect(max_size, int, "max_size", "a number of bytes")
    name = fspath(path)
    with seldom_collecting():
        if Path(name).is_dir():
            from irflops.readers.mlir.saved_folder import read_folder  # for start-up time, as the other readers

            return read_folder(name, max_size, graph)
        return _read(read_bytes(name, max_size), display_name(name), graph, partial)


def loads(
    data: str | bytes, graph: str | int | None = None, *, name: str = "<string>", partial: bool = False, max_size: int = MAX_SIZE
) -> Graph:
    """The graph in a text or in the bytes of a file, of which at most `max_size` are decompressed; see `load`."""
    expect(data, (str, bytes), "data", "the text of a dump or its bytes")
    expect(max_size, int, "max_size", "a number of bytes")
    with seldom_collecting():
        return _read(
            data.encode("utf-8", errors="replace") if isinstance(data, str) else decompress(data, name, max_size), name, graph, partial
        )


def load_live(graph: Any) -> Graph:
    """The graph of a live `oneflow.nn.Graph` that was called once: attributes from its job, classes and declarations from its print."""
    from irflops.readers.capture.captured import merge  # for start-up time, as the other readers
    from irflops.readers.job.job import read_job_binary

    name = f"<{type(graph).__name__}>"
    printed = loads(repr(graph), name=name)
    return merge(read_job_binary(graph._full_graph_proto.SerializeToString(), name), printed)  # noqa: SLF001 - OneFlow has no public way to it


def count_lines(path: str | PathLike[str], max_size: int = MAX_SIZE) -> dict[str, int]:
    """How many lines of each kind a file has; they add up to the file. Lines outside any graph are foreign."""
    name = fspath(path)
    data = read_bytes(name, max_size)
    if form_of(data) is not None:
        raise NotAGraphError("this is no printed graph: only the lines of one have kinds", path=display_name(name))
    counts = scan(source_of(data, display_name(name))).line_counts
    return {kind: counts.get(kind, 0) for kind in LINE_KINDS}


def _read(data: bytes, name: str, choice: str | int | None, partial: bool) -> Graph:
    graph = _read_serialized(data, name, choice)
    if graph is not None:
        return graph
    source, head = source_of(data, name), data[:HEAD_BYTES]
    del data  # it is as large as its text, and nobody else holds it
    return _read_print(source, head, choice, partial)


def _read_serialized(data: bytes, name: str, choice: str | int | None) -> Graph | None:
    """The graph of a form that holds graphs and nothing else; None where a printed graph may stand somewhere in a text.

    Each reader is imported where it is needed, for start-up time: together with the protobuf library they take as long as all the rest.
    """
    form = form_of(data)
    if form == JOB_TEXT:
        from irflops.readers.job.job import read_job_text

        return _only(read_job_text(source_of(data, name)), choice)
    if form == JOB_BINARY:
        from irflops.readers.job.job import read_job_binary

        return _only(read_job_binary(data, name), choice)
    if form == MLIR:
        from irflops.readers.mlir.saved_mlir import read_mlir

        return read_mlir(source_of(data, name), choice)
    if form == ZIP:
        from irflops.readers.capture.archive import is_capture
        from irflops.readers.capture.captured import read_capture

        return _only(read_capture(data, name), choice) if is_capture(data) else None
    return None


def _only(graph: Graph, choice: str | int | None) -> Graph:
    """The graph of a form that holds one alone. Errors: ChoiceError where another was asked for."""
    if choice is not None and str(choice) not in (graph.name, "1"):
        raise ChoiceError(f"no graph {str(choice)!r} in this file: it holds {graph.name!r} alone", path=graph.source.name)
    return graph


def _read_print(source: Source, head: bytes, choice: str | int | None, partial: bool) -> Graph:
    found: Scan = scan(source)
    if not found.graphs:
        raise not_a_graph(head, source)
    graphs = [graph for graph in found.graphs if graph.operators]
    if not graphs:
        raise _no_operators(source, found.graphs[0])
    distinct = _distinct(source, graphs)
    listed = [Choosable(graph_name(source, each), each.start, each.end, each.line_counts[OPERATOR]) for each in distinct]
    chosen = distinct[choose(source, listed, choice)]
    graph = read_graph(source, chosen, partial)
    others = [other for other in graphs if other is not chosen and _header(source, other) == _header(source, chosen)]
    return replace(graph, notes=(*graph.notes, *_copies(source, chosen, others))) if others else graph


def _copies(source: Source, chosen: GraphText, others: Sequence[GraphText]) -> Iterator[Note]:
    """What to say of the other prints under the name of the chosen one."""
    key = _key(source, chosen)
    same = sum(_key(source, other) == key for other in others)
    if same:
        times = "once more" if same == 1 else f"{same} times more"
        yield Note("printed-again", f"the same graph is printed {times} in this file; it counts once")
    damaged = sum(not _is_whole(other) and _key(source, other) != key for other in others) if _is_whole(chosen) else 0
    if damaged:
        prints = "a damaged print" if damaged == 1 else f"{damaged} damaged prints"
        yield Note("damaged-copy", f"{prints} under the same name passed over for this whole one")


def _no_operators(source: Source, graph: GraphText) -> NotAGraphError:
    called = graph.line_counts[INPUT] > 0
    message, hint = PRINTED_BY_0_7 if called else NOT_CALLED
    if "(OPERATOR" in source.text:
        message, hint = LINES_LOST
    start = graph.starts[0] if graph.starts else graph.start
    end = graph.ends[0] if graph.ends else graph.start + 1
    error = error_at(NotAGraphError, source, Span(start, end), message, hint)
    assert isinstance(error, NotAGraphError)
    return error


def _distinct(source: Source, graphs: Sequence[GraphText]) -> list[GraphText]:
    """The graphs without those printed before; a whole print stands for its damaged copies."""
    if len(graphs) == 1:
        return list(graphs)
    whole = {_header(source, graph) for graph in graphs if _is_whole(graph)}
    by_key: dict[str, GraphText] = {}
    for graph in graphs:
        if _is_whole(graph) or _header(source, graph) not in whole:
            by_key.setdefault(_key(source, graph), graph)
    return list(by_key.values())


def _is_whole(graph: GraphText) -> bool:
    return graph.has_head and graph.closed and not graph.foreign and graph.stray is None


def _key(source: Source, graph: GraphText) -> str:
    """What makes two prints the same graph: its name and its statements, but for the local device that a rank shows."""
    import hashlib  # here for start-up time: few files hold several prints

    digest = hashlib.sha256(_header(source, graph).encode("utf-8", errors="replace"))
    for _kind, start, end, pieces in statements(graph):
        for a, b in [(start, end), *(pieces or ())]:
            line = source.text[a:b].strip()
            digest.update(
                _DEVICE.sub("", line).encode("utf-8", errors="replace") if "device=" in line else line.encode("utf-8", errors="replace")
            )
    return digest.hexdigest()


def _header(source: Source, graph: GraphText) -> str:
    return source.text[graph.starts[0] : graph.ends[0]].strip() if graph.has_head and graph.starts else ""


def graph_name(source: Source, graph: GraphText) -> str:
    """The name on a graph's first line, `?` if that is missing."""
    match = _NAME.search(_header(source, graph))
    return match[1].strip() or "?" if match else "?"


__all__ = ["count_lines", "graph_name", "load", "load_live", "loads"]
