"""Which rules that are not irflops' own decide what an analysis says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from irflops.ir.graph import Graph, Note
from irflops.ops.book import RuleBook

CODE = "own-rule"
"""Of the note that says so."""


@dataclass(frozen=True, slots=True)
class OwnRule:
    """A rule of the user's, and the operators that it counts."""

    type: str
    by: str
    """Where it stands: `irflops.toml:12`, the name of a package, `op_rules`."""
    replaces: bool
    """Whether irflops has a rule for the type too, in whose place it stands."""
    count: int

    def note(self) -> Note:
        """What a reader of the figures should know."""
        operators = f"{self.count:,} operator{'s' if self.count != 1 else ''}"
        instead = ", in place of irflops' own rule" if self.replaces else ""
        return Note(CODE, f"{self.type} is counted by {self.by}{instead}: {operators}")


def own_rules(graph: Graph, book: RuleBook) -> tuple[OwnRule, ...]:
    """The rules of the user's for types that the graph has, in the order in which these come first."""
    if not book.own:
        return ()
    counts = Counter(op.type for op in graph.ops)
    found = ((op_type, book.taught_by(op_type), count) for op_type, count in counts.items())
    return tuple(OwnRule(op_type, by, op_type in book.replaced, count) for op_type, by, count in found if op_type and by)
