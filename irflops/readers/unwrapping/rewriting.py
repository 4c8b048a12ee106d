"""A text with places of it replaced, that knows where each character came from."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import NamedTuple

from irflops.errors import Origin, Source


class Edit(NamedTuple):
    """A place of a text, as offsets, and what stands there instead."""

    start: int
    end: int
    text: str


def rewritten(source: Source, edits: Iterable[Edit]) -> Source | None:
    """The text with the edits, which are in order and do not overlap; None where there are none."""
    old, pieces = source.text, []
    at, was = array("q", [0]), array("q", [0])
    size = last = 0
    for start, end, text in edits:
        if start > last:
            pieces.append(old[last:start])
            size += start - last
        for offset, piece in ((start, text), (end, "")):
            pieces.append(piece)
            if at[-1] == size:
                was[-1] = offset  # nothing is left of what stood before
            else:
                at.append(size)
                was.append(offset)
            size += len(piece)
        last = end
    if not last and not pieces:
        return None
    pieces.append(old[last:])
    return Source(source.name, "".join(pieces), Origin(source, at, was))
