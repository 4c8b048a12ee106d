"""Reads printed graphs by remembered arrangements and by Lark alone, and holds the two against each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import irflops
from irflops import Graph, IrflopsError
from irflops.readers.text import arrangements


@contextmanager
def lark_alone() -> Iterator[None]:
    """Nothing is remembered of any text: Lark parses all of them."""
    most = arrangements.MAX_OUTLINES, arrangements.MAX_TOKENS
    arrangements.MAX_OUTLINES = arrangements.MAX_TOKENS = 0
    try:
        yield
    finally:
        arrangements.MAX_OUTLINES, arrangements.MAX_TOKENS = most


def read_both_ways(data: str | bytes, *, graph: int | None = None, partial: bool = False) -> Graph | str:
    """The graph, or what the error says. Fails where the two ways differ."""
    found = _read(data, graph, partial)
    with lark_alone():
        assert _read(data, graph, partial) == found
    return found


def _read(data: str | bytes, graph: int | None, partial: bool) -> Graph | str:
    try:
        return irflops.loads(data, graph, partial=partial)
    except IrflopsError as error:
        return str(error)
