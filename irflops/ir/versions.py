"""Which versions of OneFlow have an op type, and which of its names only some of them have.

The data file was taken from the operator definitions at the tags v0.7.0, v0.8.0, v0.9.0 and v1.0.0; 0.7.0 stands for itself and what was
before it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from irflops.data import data_text

FIRST = "0.7.0"
"""The earliest version that was looked at."""


@dataclass(frozen=True, slots=True)
class Versions:
    """Where an op type is found."""

    since: str
    """The first version that has it; `after 1.0.0` where no release does."""
    until: str | None = None
    """The last version that has it, None where 1.0.0 or a later one does."""
    differs: Mapping[str, str] = field(default_factory=dict, hash=False)
    """By name of an argument or attribute that not all of these versions have, what it is and which have it: `attribute from 1.0.0`."""

    def __str__(self) -> str:
        since = "0.7.0 or before" if self.since == FIRST else self.since
        return since if self.until is None else f"{since}, until {self.until}"


@cache
def _table() -> dict[str, dict[str, object]]:
    table: dict[str, dict[str, object]] = json.loads(data_text("versions.json"))
    return table


@cache
def versions(op_type: str) -> Versions | None:
    """Where an op type is found; None of one that OneFlow's definitions lack, such as a job's own kinds."""
    entry = _table().get(op_type)
    if entry is None:
        return None
    until, differs = entry.get("until"), entry.get("differs")
    named = {str(name): str(what) for name, what in differs.items()} if isinstance(differs, dict) else {}
    return Versions(str(entry.get("since", FIRST)), str(until) if until is not None else None, named)
