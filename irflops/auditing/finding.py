"""What an audit says: findings, and what it could not decide. Frozen data; a report draws it."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from irflops.analysis import notebook
from irflops.counting.own import OwnRule
from irflops.errors import Span

if TYPE_CHECKING:
    from irflops.devices.shares import Devices

SCHEMA = "irflops.audit/1"
"""Name and version of the JSON form; fields may be added within a version, never renamed or dropped."""


class Severity(enum.IntEnum):
    """How bad a finding is; the greater, the worse."""

    NOTE = 1
    WARNING = 2
    ERROR = 3

    @property
    def word(self) -> str:
        """As configuration and output spell it."""
        return self.name.lower()


SEVERITIES: Mapping[str, Severity] = {severity.word: severity for severity in Severity}


class Confidence(enum.Enum):
    """Whether the dump proves a finding, or something that it leaves out could refute it."""

    PROVEN = "proven"
    LIKELY = "likely"


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure with its name: a cost (`macs`), or what a rule counts (`channels`)."""

    cost: str
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault or waste, at one place."""

    rule: str
    id: str
    """Names the finding across versions of a model: rule, module path, op type and ordinal among its like; no counters, no lines."""
    severity: Severity
    certainty: Confidence
    op: str | None
    """The op's name, None where the finding is of a module or of the whole graph."""
    module: str
    line: int | None
    """1-based line in the dump."""
    message: str
    measured: Measure | None = None
    limit: Measure | None = None
    gain: Mapping[str, int] | None = None
    """By cost, what the graph's totals lose once the finding is mended."""
    span: Span | None = None
    advice: str = ""
    """Lines that mend it where they are put into a file."""

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain data."""
        return {
            "rule": self.rule,
            "id": self.id,
            "severity": self.severity.word,
            "certainty": self.certainty.value,
            "op": self.op,
            "module": self.module,
            "line": self.line,
            "message": self.message,
            "measured": _plain(self.measured),
            "limit": _plain(self.limit),
            "gain": dict(self.gain) if self.gain is not None else None,
            **({"advice": self.advice} if self.advice else {}),
        }


@dataclass(frozen=True, slots=True)
class Doubt:
    """What a rule could not decide, and how often."""

    rule: str
    reason: str
    ops: tuple[str | None, ...]
    """The names of the ops that it is about; None once where it is about the graph."""
    fails: bool = False
    """Whether the audit fails by it: a limit that a user set may be exceeded."""

    @property
    def count(self) -> int:
        """How often."""
        return len(self.ops)

    @property
    def example(self) -> str | None:
        """The name of one op that it is about."""
        return self.ops[0]


@dataclass(frozen=True, slots=True)
class NearMiss:
    """The figures behind something that a rule looked at and that did not fire."""

    rule: str
    op: str | None
    module: str
    message: str
    measured: Measure | None
    limit: Measure | None


@dataclass(frozen=True)
class Audit:
    """All that the rules said of one graph."""

    path: str
    """The dump's name."""
    graph: str
    findings: tuple[Finding, ...]
    """The worst first, of equal ones by rule and then in the order of the file."""
    doubts: tuple[Doubt, ...] = ()
    """What could not be decided, though forms of this kind can tell it."""
    untold: tuple[Doubt, ...] = ()
    """What forms of this kind never tell, so that no rule asked it."""
    near: tuple[NearMiss, ...] = field(default=(), repr=False)
    """What came nearest to a limit without being over it, the nearest first within a rule."""
    rules: tuple[str, ...] = ()
    """Names of the rules that were asked."""
    baseline: str | None = None
    """What the findings were compared with, if they were: then those that it has too are left out."""

    devices: Devices | None = None
    """The devices of the graph, None where it runs on one."""
    partial: bool = False
    """Whether parts of the graph were not read, in which rules may have found more."""
    batch: int | None = None
    """Extent of axis 0 of the first input, None where there is no such thing."""
    own_rules: tuple[OwnRule, ...] = ()
    """Rules that are not irflops' own and by which operators are counted."""

    def __repr__(self) -> str:
        return f"<Audit of {self.graph}: {len(self.findings)} findings>"

    @property
    def complete(self) -> bool:
        """Whether every rule could decide everything that the form can tell, of the whole graph."""
        return not self.doubts and not self.partial

    def fails(self, level: Severity, *, strict: bool = False) -> bool:
        """Whether it fails: by a finding from that severity up, a limit that may be exceeded, or if `strict` by anything undecided."""
        found = any(finding.severity >= level for finding in self.findings)
        return found or any(doubt.fails for doubt in self.doubts) or (strict and not self.complete)

    def worst(self) -> Severity | None:
        """The severity of the worst finding, None where there is none."""
        return max((finding.severity for finding in self.findings), default=None)

    def to_dict(self) -> dict[str, Any]:
        """The audit as plain data, the JSON of `irflops audit --format json`."""
        return {
            "schema": SCHEMA,
            "source": {"path": self.path},
            "graph": {"name": self.graph, "batch": self.batch},
            "findings": [finding.to_dict() for finding in self.findings],
            "complete": self.complete,
            "undecided": [
                {"rule": doubt.rule, "reason": doubt.reason, "count": doubt.count, "example": doubt.example, "fails": doubt.fails}
                for doubt in self.doubts
            ],
            "not_applicable": [{"rule": doubt.rule, "why": doubt.reason} for doubt in self.untold],
            "own_rules": [asdict(one) for one in self.own_rules],
        }

    def _repr_html_(self) -> str:
        """The findings, the worst first, as a notebook shows them."""
        counts = Counter(finding.severity for finding in self.findings)
        said = [f"{counts[severity]} {severity.word}{'s' if counts[severity] > 1 else ''}" for severity in sorted(counts, reverse=True)]
        left_out = len(self.findings) - notebook.ROWS
        caption = f"{self.graph}: {', '.join(said) or 'no findings'}" + ("" if self.complete else "; not everything could be decided")
        rows = [(f.severity.word, f.rule, f.op or f.module or "(graph)", f.message) for f in self.findings[: notebook.ROWS]]
        return notebook.html_table(caption + (f"; {left_out} more" if left_out > 0 else ""), ("severity", "rule", "where", "finding"), rows)

    def near_rows(self) -> list[dict[str, Any]]:
        """The near misses as plain data."""
        return [
            {"rule": n.rule, "op": n.op, "module": n.module, "message": n.message, "measured": _plain(n.measured), "limit": _plain(n.limit)}
            for n in self.near
        ]


def _plain(measure: Measure | None) -> dict[str, Any] | None:
    return {"cost": measure.cost, "value": measure.value} if measure is not None else None
