"""Asks the rules, and makes findings of what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from irflops.analysis.analysis import Analysis
from irflops.auditing.facts import Facts
from irflops.auditing.finding import Audit, Confidence, Doubt, Finding, NearMiss
from irflops.auditing.rule import AuditRule, Hit, Near, Undecided
from irflops.auditing.settings import Settings

NEAREST = 5
"""Near misses of a rule that an audit keeps."""


def run_rules(analysis: Analysis, rules: Sequence[AuditRule], settings: Settings | None = None) -> Audit:
    """All findings of these rules, as far as the settings select them."""
    settings = settings or Settings()
    facts = Facts(analysis, settings.machines)
    findings: list[Finding] = []
    doubts: dict[tuple[str, str], list[Undecided]] = {}
    untold: dict[tuple[str, str], list[Undecided]] = {}
    near: list[NearMiss] = []
    asked = [rule for rule in rules if settings.selects(rule)]
    times: Counter[str] = Counter()
    for rule in asked:
        ignores = settings.ignored_modules(rule.name)
        missed: list[Near] = []
        for outcome in rule.check(facts, settings.options(rule)):
            module = outcome.op.module if outcome.op is not None else "" if isinstance(outcome, Undecided) else outcome.module
            if ignores is not None and ignores.fullmatch(module):
                continue
            if isinstance(outcome, Hit):
                findings.append(_finding(rule, outcome, facts, settings, times))
            elif isinstance(outcome, Near):
                missed.append(outcome)
            else:
                (untold if outcome.never else doubts).setdefault((rule.name, outcome.reason), []).append(outcome)
        missed.sort(key=lambda miss: -miss.closeness)
        near += [_near(rule, miss) for miss in missed[:NEAREST]]
    failing = frozenset(rule.name for rule in asked if settings.severity(rule) >= settings.fail_level)
    at = {rule.name: number for number, rule in enumerate(asked)}
    place = facts.index
    findings.sort(key=lambda f: (-f.severity, at[f.rule], place.get(f.op, -1) if f.op is not None else -1))
    return Audit(
        path=analysis.graph.source.name,
        graph=analysis.graph.name,
        findings=tuple(findings),
        doubts=_doubts(doubts, failing),
        untold=_doubts(untold, frozenset()),
        near=tuple(near),
        rules=tuple(rule.name for rule in asked),
        partial=analysis.graph.partial,
        batch=analysis.batch,
        own_rules=analysis.own_rules,
        devices=analysis.devices if analysis.is_spread else None,
    )


def _doubts(found: Mapping[tuple[str, str], Sequence[Undecided]], failing: frozenset[str]) -> tuple[Doubt, ...]:
    return tuple(
        Doubt(
            rule,
            reason,
            tuple(outcome.op.name if outcome.op is not None else None for outcome in outcomes),
            fails=rule in failing and any(outcome.fails for outcome in outcomes),
        )
        for (rule, reason), outcomes in found.items()
    )


def _finding(rule: AuditRule, hit: Hit, facts: Facts, settings: Settings, times: Counter[str]) -> Finding:
    op = hit.op
    is_open = rule.refutable and facts.graph.partial
    module = op.module if op is not None else hit.module
    subject, ordinal = (op.type or "?", facts.ordinal(op)) if op is not None else (hit.subject, 1)
    id_ = f"{rule.name}:{module}:{subject}:{ordinal}"
    times[id_] += 1
    if times[id_] > 1:  # a rule that says two things of one op, against its contract: both shall be seen
        id_ = f"{id_}:{times[id_]}"
    return Finding(
        rule=rule.name,
        id=id_,
        severity=settings.severity(rule),
        certainty=Confidence.LIKELY if is_open else hit.certainty,
        op=op.name if op is not None else None,
        module=module,
        line=_line(hit, facts),
        message=hit.message,
        measured=hit.measured,
        limit=hit.limit,
        gain=None if is_open else hit.gain,
        span=op.span if op is not None else None,
        advice=hit.advice,
    )


def _line(hit: Hit, facts: Facts) -> int | None:
    if hit.op is not None:
        return facts.analysis.line(hit.op)
    span = facts.module_spans.get(hit.module)
    return facts.graph.source.line(span.start) if span is not None else None


def _near(rule: AuditRule, miss: Near) -> NearMiss:
    op = miss.op
    module = op.module if op is not None else miss.module
    return NearMiss(rule.name, op.name if op is not None else None, module, miss.message, miss.measured, miss.limit)
