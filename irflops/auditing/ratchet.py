"""What is new in an audit since a baseline: what was not there, and what got worse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from irflops.analysis.named import PER_SAMPLE
from irflops.auditing.finding import Audit, Finding, Measure


@dataclass(frozen=True, slots=True)
class Baseline:
    """What an earlier audit found."""

    name: str
    """Of its file."""
    measured: Mapping[str, Measure | None]
    """By the id of a finding, its figure; None where it has none."""
    batch: int | None = None


def baseline_of(audit: Audit, name: str) -> Baseline:
    """The baseline that an audit is."""
    return Baseline(name, {finding.id: finding.measured for finding in audit.findings}, audit.batch)


def only_new(audit: Audit, baseline: Baseline) -> Audit:
    """The audit with the findings alone that the baseline has not, and those that are worse than there."""
    findings = tuple(f for f in audit.findings if f.id not in baseline.measured or _is_worse(f, audit.batch, baseline))
    return replace(audit, baseline=baseline.name, findings=findings)


def _is_worse(finding: Finding, batch: int | None, baseline: Baseline) -> bool:
    """Whether a figure is further from its limit than in the baseline, of a cost that grows with the batch by sample."""
    before, now, limit = baseline.measured[finding.id], finding.measured, finding.limit
    if before is None or now is None or limit is None or before.cost != now.cost:
        return False
    old, new = before.value, now.value
    if now.cost in PER_SAMPLE and batch and baseline.batch:
        old, new = old * batch, new * baseline.batch
    return new < old if now.value < limit.value else new > old
