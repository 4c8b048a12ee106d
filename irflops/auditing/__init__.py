"""Judges an analysis by rules, one per file: what exceeds a budget, is not sound, or wasteful."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from irflops.analysis.analysis import Analysis
    from irflops.auditing.finding import Audit
    from irflops.auditing.settings import Settings


def audit_analysis(analysis: Analysis, settings: Settings | None = None) -> Audit:
    """All findings in an analysis by all rules, added ones included, as far as the settings select them."""
    # Here for start-up time: who only analyzes pays for no rule.
    from irflops.auditing.engine import run_rules
    from irflops.auditing.registry import all_rules
    from irflops.auditing.settings import misfits_of, refuse_misfits

    rules = all_rules()
    if settings is not None:
        refuse_misfits(settings, [misfits_of(settings, rules, analysis)])
    return run_rules(analysis, rules, settings)
