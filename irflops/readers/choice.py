"""Which graph of a text that holds several: by name or by number, or the list of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from irflops.errors import ChoiceError, Source

LISTED = 50
"""Graphs of a file that an error lists."""
_SHOWN = 60
"""Characters of a name in the list."""


class Choosable(NamedTuple):
    """A graph of a text, with its first and last offset."""

    name: str
    start: int
    end: int
    operators: int


def choose(source: Source, graphs: Sequence[Choosable], choice: str | int | None) -> int:
    """The index of the chosen graph; of one alone without a choice. Errors: ChoiceError, which lists all."""
    if choice is None:
        if len(graphs) == 1:
            return 0
        raise ChoiceError(
            f"{len(graphs)} different graphs are in this file:\n{_listing(source, graphs)}",
            path=source.name,
            hint=f"choose one by name or number: --graph {_shown(graphs[0].name)} or --graph 1",
        )
    named = [index for index, graph in enumerate(graphs) if graph.name == str(choice)]
    if len(named) == 1:
        return named[0]
    if len(named) > 1:
        raise ChoiceError(
            f"{len(named)} different graphs are called {choice}:\n{_listing(source, graphs)}",
            path=source.name,
            hint="choose one by number: --graph 1",
        )
    number = str(choice)
    if number.isdecimal() and len(number) < 10 and 1 <= int(number) <= len(graphs):
        return int(number) - 1
    raise ChoiceError(
        f"no graph {choice!r} in this file:\n{_listing(source, graphs)}", path=source.name, hint="choose one of these by name or number"
    )


def _listing(source: Source, graphs: Sequence[Choosable]) -> str:
    shown = graphs[:LISTED]
    names = [_shown(graph.name) for graph in shown]
    width = max(map(len, names))
    lines = []
    for number, (name, graph) in enumerate(zip(names, shown, strict=True), 1):
        first, last = source.line(graph.start), source.line(graph.end)
        lines.append(f"  {number}  {name:<{width}}  lines {first}-{last}  {graph.operators} operators")
    if len(graphs) > LISTED:
        lines.append(f"  and {len(graphs) - LISTED} more")
    return "\n".join(lines)


def _shown(name: str) -> str:
    """A name on one line, its end left out where it is long."""
    name = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name[: _SHOWN + 1])
    return name if len(name) <= _SHOWN else f"{name[: _SHOWN - 3]}..."
