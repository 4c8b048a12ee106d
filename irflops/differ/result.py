"""The result of a diff: what reports and programs read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from irflops.analysis.analysis import Analysis, Row
from irflops.counting.cost import Cost
from irflops.differ import rows
from irflops.differ.edit import Consequence, Edit

SCHEMA = "irflops.diff/1"
"""Name and version of the JSON form; fields may be added within a version, never renamed or dropped."""


@dataclass(frozen=True)
class Diff:
    """The edits between two versions of a graph, and what they and their consequences cost."""

    old: Analysis
    new: Analysis
    edits: tuple[Edit, ...]
    follows: Cost
    """The change of the totals that no edit has by itself: shapes that follow. With the costs of the edits it is the whole change."""
    not_compared: tuple[str, ...]
    """What one of the two forms cannot hold, so that it was no subject of the comparison."""
    pairs: Mapping[str, str] = field(default_factory=dict)
    """Names of the operators of the old graph, and of the same operator in the new one."""
    modules: Mapping[str, str] = field(default_factory=dict)
    """Paths of the modules of the old graph, and of the same module in the new one."""
    consequences: Mapping[str, Consequence] = field(default_factory=dict)
    """By the operator's name in the new graph. What the edits leave open, for those who apply them; no change of its own."""

    def __repr__(self) -> str:
        return f"<Diff of {self.old.graph.name} and {self.new.graph.name}: {len(self.edits)} edits>"

    def to_dict(self) -> Row:
        """The diff as plain data, the JSON of `irflops diff --format json`."""
        return {name: list(value) if isinstance(value, Iterator) else value for name, value in self.parts()}

    def parts(self) -> Iterator[tuple[str, Any]]:
        """The members of the JSON object in order; long ones as iterators."""
        yield "schema", SCHEMA
        yield from rows.members(self)
