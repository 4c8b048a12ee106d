"""What is said of a graph that is damaged, and of one that was read in part, whatever its form."""

from __future__ import annotations

from irflops.errors import Span
from irflops.ir.graph import Note

PARTIAL_HINT = "irflops analyze --partial reads what is readable and marks every total as a lower bound"


def partial_note(why: str, span: Span | None = None) -> Note:
    """The note of a graph of which not all was read."""
    return Note("partial", f"the graph was read in part: {why}. Every total is a lower bound", span)
