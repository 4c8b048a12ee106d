"""Finds printed graphs in a text: which lines belong to which graph, and where each statement stands.

A graph may stand alone, between other lines of a log, behind a logger's prefix on every line or on the first, or interleaved with
the lines of other ranks. What a statement says is the grammar's business, not this module's.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from irflops.errors import GraphSyntaxError, Source, Span, error_at
from irflops.readers.intake import lines_of
from irflops.readers.printed.heads import MAX_PREFIX, OPENING, TAIL, graph_lines, module_lines, opens
from irflops.readers.printed.prefix import is_whole, loose_pattern, pattern_of

LINE_KINDS = (
    "graph",
    "config",
    "input",
    "output",
    "parameter",
    "buffer",
    "module",
    "graph-module",
    "operator",
    "wrapped",
    "close",
    "foreign",
)
"""Kinds of line, in the order in which `irflops lines` shows them."""

GRAPH, CONFIG, INPUT, OUTPUT, PARAMETER, BUFFER, MODULE, GRAPH_MODULE, OPERATOR, WRAPPED, CLOSE, FOREIGN = range(len(LINE_KINDS))

_LEVELS = frozenset((GRAPH, MODULE, GRAPH_MODULE))
_BY_WORD = {
    "GRAPH": GRAPH,
    "CONFIG": CONFIG,
    "INPUT": INPUT,
    "OUTPUT": OUTPUT,
    "PARAMETER": PARAMETER,
    "BUFFER": BUFFER,
    "MODULE": MODULE,
    "GraphModule": GRAPH_MODULE,
    "OPERATOR": OPERATOR,
}
_WORDS = "GRAPH|CONFIG|INPUT|OUTPUT|PARAMETER|BUFFER|MODULE|GraphModule|OPERATOR"
_HEAD = re.compile(rf"[ \t]*(?:\[[A-Z]+\][ \t]*)?\([ \t]*({_WORDS})")
_LINE = re.compile(rf"{_HEAD.pattern}|[ \t]*(\)+)[ \t]*$|[ \t]*$")
"""A statement's head, closing parentheses, or nothing."""
_LINE_OF_MODULES = re.compile(rf"{_HEAD.pattern}|[ \t]*\)+[ \t]*$")

MAX_PIECES = 1000
"""Lines that a statement may wrap over."""

MAX_STREAMS = 1000
"""Prefixes that may carry graphs in one file: each line is held against each of them."""
MAX_FOREIGN = 100_000
"""Lines between those of a graph after which nothing more of it is expected: it was cut off."""
MAX_GRAPHS = 50_000
"""Graphs in one file, copies counted."""
MAX_TRIES = 20_000_000
"""Lines times prefixes."""

_MARKER = re.compile(rf"\([ \t]*(?:{_WORDS})[:A-Z_a-z]")
_STATEMENT = re.compile(r"\([ \t]*(?:OPERATOR|MODULE|GraphModule)[ \t]*:")


@dataclass
class GraphText:
    """Where one printed graph stands in the text: its statements in order, as offsets."""

    start: int
    kinds: bytearray = field(default_factory=bytearray)
    starts: array[int] = field(default_factory=lambda: array("q"))
    ends: array[int] = field(default_factory=lambda: array("q"))
    pieces: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """Further lines of the statements that wrap, by the statement's number."""
    foreign: list[Span] = field(default_factory=list)
    """Lines within the graph that are none of it."""
    closed: bool = False
    has_head: bool = True
    """Whether its `(GRAPH:` line is there, or it is the print of one module."""
    is_module: bool = False
    """Whether it is the print of one module, as `print(graph.linear)` makes it."""
    stray: Span | None = None
    """The first operator line that follows its last parenthesis."""
    line_counts: list[int] = field(default_factory=lambda: [0] * len(LINE_KINDS))
    balanced: int = -1
    """The statement that `balance` is of."""
    balance: int = 0
    """Parentheses that it has opened and not closed."""

    @property
    def operators(self) -> int:
        """Number of operator lines."""
        return self.line_counts[OPERATOR]

    @property
    def end(self) -> int:
        """Offset behind the last line."""
        last = len(self.kinds) - 1
        if last < 0:
            return self.start
        return self.pieces[last][-1][1] if last in self.pieces else self.ends[last]


@dataclass
class Scan:
    """All graphs of a text, in order, and what its lines are."""

    graphs: list[GraphText]
    line_counts: Counter[str]
    strays: int = 0
    """Statements and closing parentheses outside of the graphs."""


@dataclass
class _Stream:
    """Lines with one prefix."""

    prefix: re.Pattern[str] | None
    """None: bare lines, or a prefix without open numbers, which is looked up."""
    loose: str = ""
    """The prefix with every number left open."""
    undecided: bool = False
    """Whether it is open still if the prefix stands on each line or on the first alone."""
    graph: GraphText | None = None
    depth: int = 0
    last_closed: GraphText | None = None
    """The graph that closed on the line before."""


@dataclass
class _Streams:
    """All prefixes that carry graphs."""

    by_pattern: dict[str, _Stream] = field(default_factory=dict)
    fixed: dict[str, _Stream] = field(default_factory=dict)
    """Those without open numbers, as they stand in the text."""
    lengths: list[int] = field(default_factory=list)
    """Of the fixed ones, the longest first: `rank10` is not `rank1`."""
    open: list[_Stream] = field(default_factory=list)
    """Those with open numbers: each line is held against each of them."""
    tries: int = 0
    """How often a line was held against a prefix."""

    def at(self, text: str, start: int, end: int) -> tuple[_Stream, int] | None:
        """The stream whose prefix a line has, and the offset behind it."""
        for length in self.lengths:
            stream = self.fixed.get(text[start : start + length])
            if stream is not None and start + length <= end and is_whole(text, start + length):
                return stream, start + length
        self.tries += len(self.open)
        for stream in self.open:
            match = stream.prefix.match(text, start, end) if stream.prefix is not None else None
            if match is not None and is_whole(text, match.end()):
                return stream, match.end()
        return None

    def add(self, prefix: str) -> _Stream:
        """The stream of a prefix, new if it is the first of its kind."""
        pattern = pattern_of(prefix)
        if pattern in self.by_pattern:
            return self.by_pattern[pattern]
        stream = _Stream(None, loose_pattern(prefix))
        self.by_pattern[pattern] = stream
        if pattern == re.escape(prefix):
            self.fixed[prefix] = stream
            if len(prefix) not in self.lengths:
                self.lengths = sorted([*self.lengths, len(prefix)], reverse=True)
        else:
            self.widen(stream, pattern)
        return stream

    def widen(self, stream: _Stream, pattern: str) -> None:
        """Gives a stream another pattern."""
        stream.prefix = re.compile(pattern)
        self.fixed = {prefix: other for prefix, other in self.fixed.items() if other is not stream}
        if not any(other is stream for other in self.open):
            self.open.append(stream)


def scan(source: Source) -> Scan:
    """Finds every graph and says of each line what it is. Errors: GraphSyntaxError if more prefixes than any log has carry a graph."""
    text = source.text
    heads = graph_lines(text)
    if heads:
        return _scan(source, heads, GraphText)
    modules = module_lines(text)
    if modules:
        found = _scan(source, modules, partial(GraphText, is_module=True))
        if not found.strays:
            return found
    first = _STATEMENT.search(text)
    if first is None:
        return Scan([], Counter({"foreign": sum(1 for _ in lines_of(text))}))
    return _scan(source, {text.rfind("\n", 0, first.start()) + 1: first.start()}, partial(GraphText, has_head=False))


def _scan(source: Source, heads: dict[int, int], begin: Callable[[int], GraphText]) -> Scan:
    """The same, given where graphs begin, by the start of their line."""
    text = source.text
    counts: Counter[str] = Counter()
    graphs: list[GraphText] = []
    strays = 0
    streams = _Streams()
    outside = 0
    for start, end in lines_of(text):
        head = heads.get(start)
        stream: _Stream | None
        if head is not None:
            stream, at = _stream_for(streams, text[start:head]), head
            stream.graph = begin(at)
            stream.depth = 0 if stream.graph.has_head else 1
            graphs.append(stream.graph)
            if len(streams.by_pattern) > MAX_STREAMS or len(graphs) > MAX_GRAPHS:
                many = len(graphs) > MAX_GRAPHS
                message = f"more than {MAX_GRAPHS} graphs" if many else f"graphs stand behind more than {MAX_STREAMS} different prefixes"
                raise error_at(GraphSyntaxError, source, Span(start, end), message, "cut the graph that you mean out of the file")
        else:
            if streams.tries > MAX_TRIES and len(streams.by_pattern) > 1:
                message = f"too many lines to tell apart by {len(streams.by_pattern)} different prefixes"
                raise error_at(GraphSyntaxError, source, Span(start, end), message, "cut the graph that you mean out of the file")
            stream, at = _owner(streams, text, start, end)
        if stream is None or stream.graph is None:
            outside += 1
            strays += stream is not None and _LINE_OF_MODULES.match(text, at, end) is not None
            if stream is not None and stream.last_closed is not None:
                _note_stray(stream, text, at, end)
            continue
        _take_line(stream, text, at, end)
    counts["foreign"] += outside
    for graph in graphs:
        counts.update({LINE_KINDS[kind]: n for kind, n in enumerate(graph.line_counts) if n})
    return Scan(graphs, counts, strays)


def _take_line(stream: _Stream, text: str, at: int, end: int) -> None:
    """One line of a graph, from the offset behind its prefix."""
    graph = stream.graph
    assert graph is not None
    if at >= end:
        graph.line_counts[FOREIGN] += 1
        return
    match = _LINE.match(text, at, end)
    word = match[1] if match is not None else None
    if word is not None:
        kind = _BY_WORD[word]
        graph.line_counts[kind] += 1
        graph.kinds.append(kind)
        graph.starts.append(at)
        graph.ends.append(end)
        if kind in _LEVELS:
            _open_level(stream, text, at, end)
        return
    if match is not None and match[2] is not None:
        graph.line_counts[CLOSE] += 1
        graph.kinds.append(CLOSE)
        graph.starts.append(match.start(2))
        graph.ends.append(match.end(2))
        stream.depth -= len(match[2])
        if stream.depth <= 0:
            graph.closed = True
            stream.graph = None
            stream.last_closed = graph
        return
    if match is not None or text[at:end].isspace():
        graph.line_counts[FOREIGN] += 1
        return
    if graph.kinds and graph.kinds[-1] != CLOSE and _is_open(graph, text) and _goes_on(graph, text, at, end):
        graph.line_counts[WRAPPED] += 1
        graph.pieces.setdefault(len(graph.kinds) - 1, []).append((at, end))
        graph.balance += text.count("(", at, end) - text.count(")", at, end)
        if graph.kinds[-1] in _LEVELS:
            _open_level(stream, text, at, end)
        return
    graph.line_counts[FOREIGN] += 1
    graph.foreign.append(Span(at, end))
    if len(graph.foreign) >= MAX_FOREIGN:
        stream.graph = None


def _open_level(stream: _Stream, text: str, at: int, end: int) -> None:
    stream.depth += opens(text, at, end)


def _is_open(graph: GraphText, text: str) -> bool:
    """Whether the last statement goes on: it ends in a comma, or its parentheses do not match."""
    number = len(graph.kinds) - 1
    kind = graph.kinds[number]
    if kind == OPERATOR:
        return False
    first = (graph.starts[number], graph.ends[number])
    start, end = graph.pieces[number][-1] if number in graph.pieces else first
    last = text[max(start, end - TAIL) : end].rstrip()
    if kind in _LEVELS:
        return OPENING.search(last) is None
    if number != graph.balanced:
        graph.balanced, graph.balance = number, text.count("(", *first) - text.count(")", *first)
    return last.endswith(",") or graph.balance > 0


def _goes_on(graph: GraphText, text: str, at: int, end: int) -> bool:
    """Whether a line may be a further one of the last statement: tensors break behind commas, a module's text may say anything."""
    if len(graph.pieces.get(len(graph.kinds) - 1, ())) >= MAX_PIECES:
        return False
    return graph.kinds[-1] in _LEVELS or text[max(at, end - TAIL) : end].rstrip().endswith((",", ")", "(", "[", "..."))


def _note_stray(stream: _Stream, text: str, at: int, end: int) -> None:
    graph = stream.last_closed
    assert graph is not None
    match = _HEAD.match(text, at, end)
    if match is None:
        stream.last_closed = None
    elif match[1] == "OPERATOR" and graph.stray is None:
        graph.stray = Span(at, end)


def _stream_for(streams: _Streams, prefix: str) -> _Stream:
    """The stream of a graph line: bare, or with the prefix that it shows."""
    if not prefix.strip():
        return streams.by_pattern.setdefault("", _Stream(None))
    stream = streams.add(prefix.rstrip())
    stream.undecided = True
    return stream


def _owner(streams: _Streams, text: str, start: int, end: int) -> tuple[_Stream | None, int]:
    """The stream of a line, and the offset behind its prefix."""
    bare = streams.by_pattern.get("")
    if len(streams.by_pattern) == 1 and bare is not None:
        return bare, start
    found = streams.at(text, start, end)
    if found is not None:
        found[0].undecided = False
        return found
    if bare is not None and bare.graph is not None:
        return bare, start
    if _HEAD.match(text, start, end) is not None:
        for stream in streams.by_pattern.values():
            if stream.graph is not None and stream.undecided:
                # Python's logging puts its prefix on the first line of a message alone: what follows is bare.
                bare = streams.by_pattern[""] = _Stream(None, graph=stream.graph, depth=stream.depth)
                stream.graph, stream.undecided = None, False
                return bare, start
    return _widen(streams, text, start, end)


def _widen(streams: _Streams, text: str, start: int, end: int) -> tuple[_Stream | None, int]:
    """A graph's line under a prefix that differs from a stream's in numbers alone (a counter, a line number)."""
    marker = _MARKER.search(text, start, min(end, start + MAX_PREFIX))
    if marker is None:
        return None, start
    loose = loose_pattern(text[start : marker.start()].rstrip())
    streams.tries += len(streams.by_pattern)
    running = [stream for stream in streams.by_pattern.values() if stream.graph is not None]
    alike = [stream for stream in running if stream.loose and stream.loose == loose]
    if len(alike) == 1:
        streams.widen(alike[0], loose)
        return alike[0], marker.start()
    for stream in running:
        if stream.graph is not None:
            stream.graph.foreign.append(Span(start, end))
    return None, start


def statements(graph: GraphText) -> Iterator[tuple[int, int, int, list[tuple[int, int]] | None]]:
    """Kind, start, end and further pieces of each statement, in order."""
    pieces = graph.pieces
    for number, (kind, start, end) in enumerate(zip(graph.kinds, graph.starts, graph.ends, strict=True)):
        yield kind, start, end, pieces.get(number)
