"""An audit as people read it: findings as a table, what was left open, and the figures of what did not fire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from irflops.auditing.finding import Audit, Doubt, Finding, Measure, NearMiss, Severity
from irflops.report.devices import devices_words
from irflops.report.numbers import format_count, format_things
from irflops.report.sections import Report
from irflops.report.table import Column, Table, arranged, printable

TOP = 10
"""Findings of a rule that a person sees unless there is a wish for more."""


def audit_report(audit: Audit, top: int | None = TOP) -> Report:
    """The findings rule by rule, `top` of each at most, and what could not be decided."""
    tables = [*_by_rule(audit.findings, top), *_open(audit)]
    return Report(headline=f"{printable(audit.graph)}, audit", facts=_facts(audit), tables=[table for table in tables if table.items])


def explain_report(audit: Audit, rule: Mapping[str, str], top: int | None = TOP, ignored: str = "") -> Report:
    """What one rule saw: its findings, what came nearest to its limit, and what it left open; `ignored` says where settings ignore it."""
    facts = [("rule", f"{rule['name']}: {rule['summary']}"), *[("ignored", printable(text)) for text in [ignored] if text], *_facts(audit)]
    tables = [*_by_rule(audit.findings, top), near_table(audit.near), *_open(audit)]
    if not any(table.items for table in tables):
        facts.append(("looked at", "nothing in this graph is of the kind that the rule judges"))
    return Report(headline=f"{printable(audit.graph)}, audit", facts=facts, tables=[table for table in tables if table.items])


def _facts(audit: Audit) -> list[tuple[str, str]]:
    count = Counter(finding.severity for finding in audit.findings)
    words = [format_things(count[severity], severity.word) for severity in reversed(Severity) if count[severity]]
    facts = [("read from", printable(audit.path)), ("findings", ", ".join(words) or "none")]
    if audit.devices is not None:
        facts.append(("devices", devices_words(audit.devices)))
    if audit.baseline is not None:
        facts.append(("baseline", f"{printable(audit.baseline)}: only what is new or worse is shown"))
    facts.append(("rules asked", f"{len(audit.rules):,}"))
    why_not = "something unknown kept rules from deciding, see below" if audit.doubts else "parts of the graph were not read"
    facts.append(("complete", "yes" if audit.complete else f"no: {why_not}"))
    facts += [("" if number else "fails", printable(doubt.reason)) for number, doubt in enumerate(d for d in audit.doubts if d.fails)]
    return facts


def _by_rule(findings: Sequence[Finding], top: int | None) -> list[Table]:
    """A table for each rule that found something, in the order of the findings."""
    rules: dict[tuple[Severity, str], list[Finding]] = {}
    for finding in findings:
        rules.setdefault((finding.severity, finding.rule), []).append(finding)
    return [arranged(finding_table(f"{severity.word}: {rule}", found), top=top) for (severity, rule), found in rules.items()]


def finding_table(title: str, findings: Sequence[Finding]) -> Table:
    """A row per finding of one rule."""
    columns = (
        Column(name="where", title="where", get=lambda f: f.op or f.module or "(graph)", numeric=False),
        Column(name="line", title="line", get=lambda f: f.line),
        Column(name="message", title="what", get=_said, numeric=False, cut_at_end=True),
        Column(name="gain", title="gain if mended", get=lambda f: gain_text(f.gain), numeric=False, cut_at_end=True),
    )
    people = ["where", "message", "gain"] if any(finding.gain for finding in findings) else ["where", "message"]
    if any(finding.line is not None for finding in findings):
        people.insert(1, "line")
    return Table(name="findings", title=title, columns=columns, items=findings, people=tuple(people))


def _open(audit: Audit) -> list[Table]:
    """What was not decided, and what the form never tells."""
    return [doubt_table(audit.doubts), untold_table(audit.untold)]


def untold_table(untold: Sequence[Doubt]) -> Table:
    """A row per thing that forms of this kind never tell."""
    columns = (
        Column(name="rule", title="rule", get=lambda d: d.rule, numeric=False),
        Column(name="reason", title="why", get=lambda d: d.reason, numeric=False, cut_at_end=True),
    )
    title = "Never told by a form of this kind"
    return Table(name="not_applicable", title=title, columns=columns, items=untold, people=tuple(column.name for column in columns))


def doubt_table(doubts: Sequence[Doubt]) -> Table:
    """A row per reason for which a rule could not decide."""
    columns = (
        Column(name="rule", title="rule", get=lambda d: d.rule, numeric=False),
        Column(name="times", title="times", get=lambda d: d.count),
        Column(name="reason", title="reason", get=lambda d: d.reason, numeric=False, cut_at_end=True),
        Column(name="example", title="for example", get=lambda d: d.example or "", numeric=False),
    )
    return Table(name="undecided", title="Not decided", columns=columns, items=doubts, people=tuple(column.name for column in columns))


def near_table(near: Sequence[NearMiss]) -> Table:
    """A row per thing that did not fire, the nearest to its limit first."""
    columns = (
        Column(name="where", title="where", get=lambda n: n.op or n.module or "(graph)", numeric=False),
        Column(name="measured", title="measured", get=lambda n: measure_text(n.measured), numeric=False),
        Column(name="limit", title="limit", get=lambda n: measure_text(n.limit), numeric=False),
        Column(name="message", title="message", get=lambda n: n.message, numeric=False, cut_at_end=True),
    )
    return Table(name="near", title="Did not fire", columns=columns, items=near, people=tuple(column.name for column in columns))


def _said(finding: Finding) -> str:
    return finding.message if finding.certainty.value == "proven" else f"{finding.certainty.value}: {finding.message}"


def measure_text(measure: Measure | None) -> str:
    """A figure with its name: `96 channels`."""
    return f"{measure.value:,} {measure.cost.replace('_', ' ')}" if measure is not None else ""


_UNITS = {
    "macs": "MACs",
    "flops": "FLOPs",
    "transcendentals": "transcendentals",
    "params": "params",
    "activation_elements": "elements held",
}


def gain_text(gain: Mapping[str, int] | None) -> str:
    """What mending saves, in words: work, bytes moved, parameters."""
    values = dict(gain or {})
    moved = values.pop("bytes_read", 0) + values.pop("bytes_written", 0)
    held = [values.pop(name, 0) for name in ("activation_elements", "activation_bytes", "param_bytes")]
    said = [format_count(value, _UNITS.get(name, "bytes")) for name, value in values.items()]
    said += [f"{format_count(moved, 'bytes')} moved"] * bool(moved)
    return ", ".join(said or [f"{format_count(held[1], 'bytes')} held"] * bool(held[1]))
