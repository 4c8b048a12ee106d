"""Readers: one format per file, every quirk of a format behind this door."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from irflops.errors import ChoiceError, GraphSyntaxError, IrflopsError, NotAGraphError, Source, expect, listed
from irflops.ir.graph import Graph, Note
from irflops.readers.collector import seldom_collecting
from irflops.readers.compression import MAX_SIZE, Content, decompressed
from irflops.readers.detect import HEAD_BYTES, JOB_BINARY, JOB_TEXT, MLIR, ZIP, form_of, text_form_of
from irflops.readers.intake import display_name, read_bytes, read_content, source_of
from irflops.readers.meaning.partial import partial_note
from irflops.readers.printed.log import LINE_KINDS, scan
from irflops.readers.printed.prints import graph_name, read_print, read_prints
from irflops.readers.unwrapping import invisible, unwrapped

NO_PART = "a capture is checked as a whole, and its zip lists its members at the end: --partial can read nothing of a damaged one"


def load(path: str | PathLike[str], graph: str | int | None = None, *, partial: bool = False, max_size: int = MAX_SIZE) -> Graph:
    """The graph in a file, `-` for standard input, or in the folder that `oneflow.save(graph, DIR)` writes.

    The form is told by the content, never by the name; compressed files and logs are read as they are. `graph` chooses by name or by
    1-based position where a file holds several different ones. With `partial`, what is cut off or damaged is read as far as it goes, and
    marked so; a capture is not. Errors: IrflopsError with path, line, column and hint.
    """
    expect(path, (str, PathLike), "path", "the path of a file or folder")
    expect(max_size, int, "max_size", "a number of bytes")
    name = fspath(path)
    with seldom_collecting():
        if Path(name).is_dir():
            from irflops.readers.mlir.saved_folder import read_folder  # for start-up time, as the other readers

            return read_folder(name, max_size, graph, partial=partial)
        return _read(read_content(name, max_size, partial=partial), display_name(name), graph, partial)


def loads(
    data: str | bytes, graph: str | int | None = None, *, name: str = "<string>", partial: bool = False, max_size: int = MAX_SIZE
) -> Graph:
    """The graph in a text or in the bytes of a file, of which at most `max_size` are decompressed; see `load`."""
    expect(data, (str, bytes), "data", "the text of a dump or its bytes")
    expect(max_size, int, "max_size", "a number of bytes")
    with seldom_collecting():
        if isinstance(data, str):
            return _read(Content(data.encode("utf-8", errors="replace")), name, graph, partial)
        return _read(decompressed(data, name, max_size, partial=partial), name, graph, partial)


def load_all(path: str | PathLike[str], *, partial: bool = False, max_size: int = MAX_SIZE) -> list[Graph | IrflopsError]:
    """All graphs that are printed in a file and differ, in order, and in the place of one that cannot be read the error that says why.

    Of other forms the one graph that they hold. Errors: IrflopsError where there is none, and ChoiceError of a saved graph's several jobs.
    """
    name = fspath(path)
    if Path(name).is_dir():
        return [load(path, partial=partial, max_size=max_size)]
    with seldom_collecting():
        content = read_content(name, max_size, partial=partial)
        if content.damage is None and _read_binary(content.data, display_name(name), partial) is None:
            source, head = source_of(content.data, display_name(name)), content.data[:HEAD_BYTES]
            source = invisible.undone(source) or source
            plain = source if scan(source).graphs else unwrapped(source).source
            if scan(plain).graphs and text_form_of(plain.text[:HEAD_BYTES]) is None:
                return read_prints(plain, head if plain is source else b"", partial)
        return [_read(content, display_name(name), None, partial)]


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
    source = source_of(data, display_name(name))
    source = invisible.undone(source) or source
    if form_of(data) is not None or text_form_of(source.text[:HEAD_BYTES]) is not None:
        raise NotAGraphError("this is no printed graph: only the lines of one have kinds", path=source.name)
    found = scan(source)
    counts = (found if any(graph.has_head for graph in found.graphs) else scan(unwrapped(source).source)).line_counts
    return {kind: counts.get(kind, 0) for kind in LINE_KINDS}


def _read(content: Content, name: str, choice: str | int | None, partial: bool) -> Graph:
    data, damage = content
    del content  # its bytes are as many as its text has, and nobody else holds them
    if damage is not None:
        left = _read(Content(data), name, choice, partial)
        return replace(left, partial=True, notes=(*left.notes, partial_note(damage)))
    graph = _read_binary(data, name, partial)
    if graph is not None:
        return _only(graph, choice)
    source, head = source_of(data, name), data[:HEAD_BYTES]
    del data
    source = invisible.undone(source) or source
    try:
        return _read_text(source, head, choice, partial=False)
    except (GraphSyntaxError, NotAGraphError) as error:
        failure = error.with_traceback(None)  # which holds all that was read
    plain, undone = unwrapped(source)
    if undone:
        graph = _read_text(plain, b"", choice, partial)
        return replace(graph, notes=(*graph.notes, Note("unwrapped", f"the text was read {listed(undone)}")))
    if partial:
        return _read_text(source, head, choice, partial)
    raise failure


def _read_binary(data: bytes, name: str, partial: bool) -> Graph | None:
    """The graph of a form that is no text; None where the content is one, or nothing known.

    Each reader is imported where it is needed, for start-up time: together with the protobuf library they take as long as all the rest.
    """
    form = form_of(data)
    if form == JOB_BINARY:
        from irflops.readers.job.job import read_job_binary

        return read_job_binary(data, name, partial=partial)
    if form == ZIP:
        from irflops.readers.capture.archive import is_capture
        from irflops.readers.capture.captured import read_capture

        try:
            return read_capture(data, name) if is_capture(data) else None
        except IrflopsError as error:
            if partial:
                error.hint = f"{NO_PART}; {error.hint}" if error.hint else NO_PART
            raise
    return None


def _read_text(source: Source, head: bytes, choice: str | int | None, partial: bool) -> Graph:
    """The graph in a text. `head` are the file's first bytes, none where the text was made of another."""
    form = text_form_of(source.text[:HEAD_BYTES])
    if form == JOB_TEXT:
        from irflops.readers.job.job import read_job_text

        return _only(read_job_text(source, partial=partial), choice)
    if form == MLIR:
        from irflops.readers.mlir.mlir_partial import read_partial_mlir
        from irflops.readers.mlir.saved_mlir import read_mlir

        return (read_partial_mlir if partial else read_mlir)(source, choice)
    return read_print(source, head, choice, partial)


def _only(graph: Graph, choice: str | int | None) -> Graph:
    """The graph of a form that holds one alone. Errors: ChoiceError where another was asked for."""
    if choice is not None and str(choice) not in (graph.name, "1"):
        raise ChoiceError(f"no graph {str(choice)!r} in this file: it holds {graph.name!r} alone", path=graph.source.name)
    return graph


__all__ = ["count_lines", "graph_name", "load", "load_all", "load_live", "loads"]
