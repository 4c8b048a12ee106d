"""Audit rules as plain rows: for a list, and one by one with examples."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from irflops.report.findings import gain_text
from irflops.report.table import Column, Table

_WIDTH = 100
_LABEL = 13
_PARTS = (("why", "why"), ("fix", "fix"), ("undecidable", "left open"), ("source", "source"))


def audit_rule_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A row per rule."""

    def text(name: str, title: str) -> Column:
        return Column(name=name, title=title, get=lambda row: row[name], numeric=False, prose=name == "summary")

    columns = (text("name", "rule"), text("severity", "severity"), text("summary", "what it finds"))
    return Table(name="rules", title="Audit rules", columns=columns, items=rows, people=tuple(column.name for column in columns))


def audit_rule_text(row: Mapping[str, Any]) -> str:
    """All that is known of one rule, for people."""
    lines = [f"{row['name']} ({row['severity']})", "", *_wrapped(row["summary"], 1), ""]
    for key, label in _PARTS:
        if row[key]:
            lines += _labelled(label, row[key])
    for setting in row["settings"]:
        lines += _labelled("setting", f"{setting['name']}, {setting['default']} unless set: {setting['meaning']}")
    for kind, label in (("bad", "Fires"), ("good", "Does not fire")):
        for example in row[kind]:
            lines += ["", f" {label}: {example['name']}", *_example(example)]
    return "".join(f"{line}\n" for line in lines)


def _example(example: Mapping[str, Any]) -> list[str]:
    lines = [f"    {line.strip()}" for line in example["graph"].strip().splitlines()]
    if "because" in example:
        lines += _wrapped(f"at {example['op'] or 'the graph'}: {example['because']}", 4)
        if example["gain"]:
            lines += _wrapped(f"gain: {gain_text(example['gain'])}", 4)
    return lines


def _labelled(label: str, text: str) -> list[str]:
    first, *rest = _wrapped(text, _LABEL)
    return [f" {label:<{_LABEL - 1}}{first.lstrip()}", *rest]


def _wrapped(text: str, indent: int) -> list[str]:
    margin = " " * indent
    return textwrap.wrap(text, _WIDTH, initial_indent=margin, subsequent_indent=margin, break_long_words=False, break_on_hyphens=False) or [
        ""
    ]
