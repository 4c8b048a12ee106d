"""An audit as people read it: findings as a table, what was left open, and the figures of what did not fire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from irflops.auditing.finding import Audit, Doubt, Finding, Measure, NearMiss, Severity
from irflops.auditing.folding import Pattern, patterns, total_gain
from irflops.report.devices import devices_words
from irflops.report.numbers import format_count, format_things
from irflops.report.own import own_rule_facts
from irflops.report.sections import Report
from irflops.report.summary import short_names
from irflops.report.table import ESSENTIAL, Column, Table, arranged, printable

TOP = 10
"""Findings of a rule that a person sees unless there is a wish for more."""

MOST_ADVICE = 24
"""Lines to paste that a person sees; the JSON has all."""


def audit_report(audit: Audit, top: int | None = TOP, *, fold: bool = True) -> Report:
    """The findings rule by rule, those that say the same as one, `top` rows of each at most; and what could not be decided."""
    tables = [*_by_rule(audit.findings, top, fold=fold), *_open(audit)]
    return Report(headline=f"{printable(audit.graph)}, audit", facts=_facts(audit), tables=[table for table in tables if table.items])


def audits_table(audits: Sequence[Audit]) -> Table:
    """A row per graph: how many findings of each severity, whether all was decided, and what mending all of them gains."""

    def count(severity: Severity) -> Column:
        return Column(
            name=severity.word,
            title=f"{severity.word}s",
            get=lambda audit: sum(finding.severity is severity for finding in audit.findings),
            weight=ESSENTIAL,
        )

    names = short_names([audit.path for audit in audits])
    columns = (
        Column(name="path", title="file", get=lambda audit: names[audit.path], numeric=False, weight=ESSENTIAL),
        Column(name="graph", title="graph", get=lambda audit: audit.graph, numeric=False, weight=0),
        *map(count, reversed(Severity)),
        Column(name="complete", title="complete", get=lambda audit: audit.complete, numeric=False),
        Column(name="gain", title="gain if mended", get=lambda audit: gain_text(total_gain(audit.findings)), numeric=False, prose=True),
    )
    return Table(name="audits", title="Graphs", columns=columns, items=audits, people=tuple(column.name for column in columns))


def explain_report(audit: Audit, rule: Mapping[str, str], top: int | None = TOP, ignored: str = "") -> Report:
    """What one rule saw: its findings, what came nearest to its limit, and what it left open; `ignored` says where settings ignore it."""
    facts = [("rule", f"{rule['name']}: {rule['summary']}"), *[("ignored", printable(text)) for text in [ignored] if text], *_facts(audit)]
    tables = [*_by_rule(audit.findings, top, fold=False), near_table(audit.near), *_open(audit)]
    if not any(table.items for table in tables):
        facts.append(("looked at", "nothing in this graph is of the kind that the rule judges"))
    return Report(headline=f"{printable(audit.graph)}, audit", facts=facts, tables=[table for table in tables if table.items])


def _facts(audit: Audit) -> list[tuple[str, str]]:
    count = Counter(finding.severity for finding in audit.findings)
    words = [format_things(count[severity], severity.word) for severity in reversed(Severity) if count[severity]]
    facts = [("read from", printable(audit.path)), ("findings", ", ".join(words) or "none")]
    if gain := gain_text(total_gain(audit.findings)):
        facts.append(("gain", f"{gain} in all, if each is mended"))
    if audit.devices is not None:
        facts.append(("devices", devices_words(audit.devices)))
    facts += own_rule_facts(audit.own_rules)
    if audit.baseline is not None:
        facts.append(("baseline", f"{printable(audit.baseline)}: only what is new or worse is shown"))
    facts.append(("rules asked", f"{len(audit.rules):,}"))
    why_not = "something unknown kept rules from deciding, see below" if audit.doubts else "parts of the graph were not read"
    facts.append(("complete", "yes" if audit.complete else f"no: {why_not}"))
    advice = [line for finding in audit.findings if finding.advice for line in finding.advice.splitlines()]
    facts += [("" if number else "to paste", printable(line)) for number, line in enumerate(advice[:MOST_ADVICE])]
    facts += [("" if number else "fails", printable(doubt.reason)) for number, doubt in enumerate(d for d in audit.doubts if d.fails)]
    return facts


def _by_rule(findings: Sequence[Finding], top: int | None, *, fold: bool) -> list[Table]:
    """A table for each rule that found something, in the order of the findings."""
    rules: dict[tuple[Severity, str], list[Finding]] = {}
    for finding in findings:
        rules.setdefault((finding.severity, finding.rule), []).append(finding)
    return [arranged(finding_table(f"{severity.word}: {rule}", found, fold=fold), top=top) for (severity, rule), found in rules.items()]


def finding_table(title: str, findings: Sequence[Finding], *, fold: bool) -> Table:
    """A row per finding of one rule; with `fold`, those that say the same in one."""
    items = patterns(findings, fold=fold)
    columns = (
        Column(name="where", title="where", get=lambda one: one.where, numeric=False, weight=ESSENTIAL),
        Column(name="line", title="line", get=lambda one: one.first.line),
        Column(name="message", title="what", get=_said, numeric=False, prose=True, weight=ESSENTIAL),
        Column(name="gain", title="gain if mended", get=lambda one: gain_text(one.gain), numeric=False, prose=True),
    )
    people = ["where", "message", "gain"] if any(one.gain for one in items) else ["where", "message"]
    if any(one.first.line is not None for one in items):
        people.insert(1, "line")
    is_folded = len(items) < len(findings)
    notes = (f"{format_things(len(findings), 'finding')}; --full lists each",) * is_folded
    return Table(name="findings", title=title, columns=columns, items=items, people=tuple(people), notes=notes)


def _open(audit: Audit) -> list[Table]:
    """What was not decided, and what the form never tells."""
    return [doubt_table(audit.doubts), untold_table(audit.untold)]


def untold_table(untold: Sequence[Doubt]) -> Table:
    """A row per thing that forms of this kind never tell."""
    columns = (
        Column(name="rule", title="rule", get=lambda d: d.rule, numeric=False),
        Column(name="reason", title="why", get=lambda d: d.reason, numeric=False, prose=True),
    )
    title = "Never told by a form of this kind"
    return Table(name="not_applicable", title=title, columns=columns, items=untold, people=tuple(column.name for column in columns))


def doubt_table(doubts: Sequence[Doubt]) -> Table:
    """A row per reason for which a rule could not decide."""
    columns = (
        Column(name="rule", title="rule", get=lambda d: d.rule, numeric=False),
        Column(name="times", title="times", get=lambda d: d.count),
        Column(name="reason", title="reason", get=lambda d: d.reason, numeric=False, prose=True),
        Column(name="example", title="for example", get=lambda d: d.example or "", numeric=False),
    )
    return Table(name="undecided", title="Not decided", columns=columns, items=doubts, people=tuple(column.name for column in columns))


def near_table(near: Sequence[NearMiss]) -> Table:
    """A row per thing that did not fire, the nearest to its limit first."""
    columns = (
        Column(name="where", title="where", get=lambda n: n.op or n.module or "(graph)", numeric=False),
        Column(name="measured", title="measured", get=lambda n: measure_text(n.measured), numeric=False),
        Column(name="limit", title="limit", get=lambda n: measure_text(n.limit), numeric=False),
        Column(name="message", title="message", get=lambda n: n.message, numeric=False, prose=True),
    )
    return Table(name="near", title="Did not fire", columns=columns, items=near, people=tuple(column.name for column in columns))


def _said(one: Pattern) -> str:
    return one.message if one.first.certainty.value == "proven" else f"{one.first.certainty.value}: {one.message}"


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
