"""An audit as JUnit XML: a test case per finding, and one for each rule that found nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TextIO
from xml.sax.saxutils import escape, quoteattr

from irflops.auditing.finding import Audit, Doubt, Finding, Severity
from irflops.report.findings import gain_text, measure_text

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, escaped or not."""


def write_junit(audits: Sequence[Audit], fail_level: Severity, stream: TextIO) -> None:
    """A suite a graph: findings of at least that severity are failures, and limits that may be exceeded.

    Other findings pass with a text; a rule that could not decide is skipped.
    """
    suites = [_Suite(audit, fail_level) for audit in audits]
    stream.write(f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites {_counts(suites)}>\n')
    for suite in suites:
        audit = suite.audit
        stream.write(f"  <testsuite name={_attr(f'irflops audit {audit.graph}')} {_counts([suite])}>\n")
        stream.writelines(_case(finding, audit.path, fail_level) for finding in audit.findings)
        stream.writelines(_open_case(doubt, audit.path) for doubt in suite.failing)
        for rule in suite.quiet:
            skip = f"<skipped message={_attr(suite.skipped[rule])}/>" if rule in suite.skipped else ""
            stream.write(f"    <testcase classname={_attr(audit.path)} name={_attr(rule)}>{skip}</testcase>\n")
        stream.write("  </testsuite>\n")
    stream.write("</testsuites>\n")


class _Suite:
    """What is told of one audit."""

    def __init__(self, audit: Audit, fail_level: Severity) -> None:
        self.audit = audit
        self.failing = [doubt for doubt in audit.doubts if doubt.fails]
        told = {finding.rule for finding in audit.findings} | {doubt.rule for doubt in self.failing}
        self.quiet = [rule for rule in audit.rules if rule not in told]
        reasons = {doubt.rule: doubt.reason for doubt in reversed(audit.doubts)}
        self.skipped = {rule: reasons[rule] for rule in self.quiet if rule in reasons}
        self.failures = sum(finding.severity >= fail_level for finding in audit.findings) + len(self.failing)
        self.tests = len(audit.findings) + len(self.failing) + len(self.quiet)


def _counts(suites: Sequence[_Suite]) -> str:
    tests, failures = sum(suite.tests for suite in suites), sum(suite.failures for suite in suites)
    skipped = sum(len(suite.skipped) for suite in suites)
    return f'tests="{tests}" failures="{failures}" errors="0" skipped="{skipped}"'


def _open_case(doubt: Doubt, path: str) -> str:
    body = f"<failure type={_attr(doubt.rule)} message={_attr(f'not decided: {doubt.reason}')}/>"
    return f"    <testcase classname={_attr(path)} name={_attr(f'{doubt.rule}: not decided')} file={_attr(path)}>{body}</testcase>\n"


def _case(finding: Finding, path: str, fail_level: Severity) -> str:
    figures = [("measured", measure_text(finding.measured)), ("limit", measure_text(finding.limit)), ("gain", gain_text(finding.gain))]
    place = finding.op or finding.module or "the graph"
    lines = [f"{finding.severity.word}, {finding.certainty.value}, at {place}", *(f"{name}: {text}" for name, text in figures if text)]
    text = escape(_legal("\n".join([finding.message, *lines])))
    if finding.severity >= fail_level:
        body = f"<failure type={_attr(finding.rule)} message={_attr(finding.message)}>{text}</failure>"
    else:
        body = f"<system-out>{text}</system-out>"
    line = f' line="{finding.line}"' if finding.line is not None else ""
    return f"    <testcase classname={_attr(path)} name={_attr(finding.id)} file={_attr(path)}{line}>{body}</testcase>\n"


def _attr(text: str) -> str:
    return quoteattr(_legal(text))


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)
