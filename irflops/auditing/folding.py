"""Findings of a rule that say the same at different places, as one: how many, where, and what mending all of them gains."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from irflops.auditing.finding import Finding, Severity
from irflops.ir.tree import common_place

_NAMED = re.compile(r"\S*\d\S*")
"""A word of a message that names an operator or a number: what differs between findings that say the same."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Findings of one rule that say the same."""

    findings: tuple[Finding, ...]
    place: str
    """What their modules have in common, `*` for a level that differs and `**` for any number of levels."""
    gain: Mapping[str, int] | None
    """Of all of them, each operator once."""

    @property
    def first(self) -> Finding:
        """The finding that speaks for all."""
        return self.findings[0]

    @property
    def where(self) -> str:
        """The operator or module of a single finding; of several how many there are, and where."""
        if len(self.findings) == 1:
            return self.first.op or self.first.module or "(graph)"
        return f"{len(self.findings):,} at {self.place or '(graph)'}"

    @property
    def message(self) -> str:
        """What is found: of several the first one's, and how many are like it."""
        like = len(self.findings) - 1
        return self.first.message + (f"; {like:,} more like it" if like else "")


def patterns(findings: Iterable[Finding], *, fold: bool = True) -> list[Pattern]:
    """Findings by what they say, in the order of the first of each; without `fold` each by itself.

    What an error says is never left out: those fold only where they say the same to the letter.
    """
    groups: dict[object, list[Finding]] = {}
    for number, finding in enumerate(findings):
        said = finding.message if finding.severity is Severity.ERROR else _NAMED.sub("*", finding.message)
        key = (finding.severity, finding.rule, finding.certainty, said, finding.limit)
        groups.setdefault(key if fold else number, []).append(finding)
    return [Pattern(tuple(group), common_place([_place(finding) for finding in group]), total_gain(group)) for group in groups.values()]


def total_gain(findings: Sequence[Finding]) -> Mapping[str, int] | None:
    """What mending all of these gains: of findings at one operator the greatest, for what is gone is gone once. None where none tells."""
    at: dict[object, dict[str, int]] = {}
    for finding in findings:
        if finding.gain is not None:
            gains = at.setdefault(finding.op or (finding.rule, finding.id), {})
            for name, value in finding.gain.items():
                gains[name] = max(value, gains.get(name, value))
    names = dict.fromkeys(name for gains in at.values() for name in gains)
    return {name: sum(gains.get(name, 0) for gains in at.values()) for name in names} if at else None


def _place(finding: Finding) -> str:
    return finding.module
