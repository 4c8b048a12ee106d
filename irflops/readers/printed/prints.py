"""Which of the printed graphs of a text is meant: copies and damaged ones told apart from different ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from irflops.errors import IrflopsError, NotAGraphError, Source, Span, error_at
from irflops.ir.graph import Graph, Note
from irflops.readers.choice import Choosable, choose
from irflops.readers.printed.graph_repr import read_graph
from irflops.readers.printed.log import INPUT, GraphText, Scan, scan, statements
from irflops.readers.printed.mistaken import not_a_graph, without_operators

_DEVICE = re.compile(r"device='[^']*'")
_NAME = re.compile(r"(?:GRAPH|MODULE)\s*:?\s*([^:()\n]*)(?::([^()\n]*))?")


def read_print(source: Source, head: bytes, choice: str | int | None, partial: bool) -> Graph:
    """The printed graph of a text that is chosen, or the only one. By `head`, the file's first bytes, messages tell what else it is.

    Errors: NotAGraphError where there is none, ChoiceError where there are several; those of `read_graph`.
    """
    graphs = _printed(source, head)
    distinct = _distinct(source, graphs)
    listed = [Choosable(graph_name(source, each), each.start, each.end, each.operators) for each in distinct]
    chosen = distinct[choose(source, listed, choice)]
    graph = read_graph(source, chosen, partial)
    others = [other for other in graphs if other is not chosen and _header(source, other) == _header(source, chosen)]
    return replace(graph, notes=(*graph.notes, *_copies(source, chosen, others))) if others else graph


def read_prints(source: Source, head: bytes, partial: bool) -> list[Graph | IrflopsError]:
    """All printed graphs of a text that differ, in order; what keeps one from being read stands in its place.

    Errors: NotAGraphError where there is none.
    """
    found: list[Graph | IrflopsError] = []
    for each in _distinct(source, _printed(source, head)):
        try:
            found.append(read_graph(source, each, partial))
        except IrflopsError as error:
            found.append(error.with_traceback(None))
    return found


def _printed(source: Source, head: bytes) -> list[GraphText]:
    """The prints that hold operators. Errors: NotAGraphError where there is none."""
    found: Scan = scan(source)
    if not found.graphs:
        raise not_a_graph(head, source)
    graphs = [graph for graph in found.graphs if graph.operators]
    if not graphs:
        raise _no_operators(source, found.graphs[0])
    return graphs


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
    message, hint = without_operators(source, is_module=graph.is_module, called=graph.line_counts[INPUT] > 0)
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
