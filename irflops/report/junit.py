"""An audit as JUnit XML: a test case per finding, and one for each rule that found nothing."""

from __future__ import annotations

import re
from typing import TextIO
from xml.sax.saxutils import escape, quoteattr

from irflops.auditing.finding import Audit, Finding, Severity
from irflops.report.findings import gain_text, measure_text

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, escaped or not."""


def write_junit(audit: Audit, fail_level: Severity, stream: TextIO) -> None:
    """One suite: findings of at least that severity are failures, others pass with a text; a rule that could not decide is skipped."""
    failures = sum(finding.severity >= fail_level for finding in audit.findings)
    found = {finding.rule for finding in audit.findings}
    quiet = [rule for rule in audit.rules if rule not in found]
    doubts: dict[str, str] = {}
    for doubt in audit.doubts:
        doubts.setdefault(doubt.rule, doubt.reason)
    skipped = sum(rule in doubts for rule in quiet)
    tests = len(audit.findings) + len(quiet)
    counts = f'tests="{tests}" failures="{failures}" errors="0" skipped="{skipped}"'
    stream.write(f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites {counts}>\n')
    stream.write(f"  <testsuite name={_attr(f'irflops audit {audit.graph}')} {counts}>\n")
    stream.writelines(_case(finding, audit.path, fail_level) for finding in audit.findings)
    for rule in quiet:
        skip = f"<skipped message={_attr(doubts[rule])}/>" if rule in doubts else ""
        stream.write(f"    <testcase classname={_attr(audit.path)} name={_attr(rule)}>{skip}</testcase>\n")
    stream.write("  </testsuite>\n</testsuites>\n")


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
