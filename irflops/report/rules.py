"""How op types are counted, as plain rows: for a list, and one by one with examples."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from irflops.report.table import Column, Table

_FIGURES = {
    "macs": "MACs",
    "flops": "FLOPs",
    "transcendentals": "transcendentals",
    "bytes_read": "bytes read",
    "bytes_written": "bytes written",
}
_WIDTH = 100


def rule_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A row per op type."""

    def text(name: str, title: str) -> Column:
        return Column(name=name, title=title, get=lambda row: row[name], numeric=False)

    columns = (
        text("type", "op type"),
        text("status", "status"),
        text("summary", "what it does"),
        text("formula", "what is counted"),
        text("reason", "reason"),
    )
    return Table(name="ops", title="Op types", columns=columns, items=rows, people=("type", "status", "summary"))


def rules_line(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many op types have a rule, of all that there are."""
    ruled = sum(row["status"] != "unsupported" for row in rows)
    return f"{ruled:,} of {len(rows):,} op types have a rule; --format json lists the others too"


def rule_text(row: Mapping[str, Any]) -> str:
    """All that is known of one op type, for people."""
    paragraphs = [("status", row["status"] if row["reason"] is None else f"{row['status']}: {row['reason']}")]
    paragraphs += [(label, row[key]) for label, key in (("counts", "formula"), ("leaves out", "ignores"), ("source", "source")) if row[key]]
    if row.get("by"):
        paragraphs.append(("counted by", row["by"]))
    if row["since"] is not None:
        since = "0.7.0 or before" if row["since"] == "0.7.0" else row["since"]
        paragraphs.append(("since", since if row["until"] is None else f"{since}, until {row['until']}"))
    if row["differs"]:
        paragraphs.append(("not always", ", ".join(f"{name} ({what})" for name, what in row["differs"].items())))
    if row["view"]:
        paragraphs.append(("moves", "nothing: the result shares the operand's storage"))
    lines = [row["type"], "", *_wrapped(row["summary"], 1), ""] if row["summary"] else [row["type"], ""]
    for label, text in paragraphs:
        first, *rest = _wrapped(text, 13)
        lines += [f" {label:<12}{first.lstrip()}", *rest]
    for example in row["examples"]:
        figures = ", ".join(f"{_figure(example[key])} {words}" for key, words in _FIGURES.items() if example.get(key) is not None)
        lines += ["", *_wrapped(example["call"], 1), *_wrapped(figures, 4), *_wrapped(example["because"], 4)]
    if row.get("advice"):
        lines += ["", " In irflops.toml these lines can say how it is counted:", "", *(f" {line}" for line in row["advice"])]
    return "".join(f"{line}\n" for line in lines)


def check_lines(op_types: str, by: str, examples: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """What became of the examples of a rule: each as its call, with what the rule says otherwise."""
    failed = [(call, said) for call, said in examples if said]
    whose = f"{op_types} by {by}" if by else op_types
    held = f"{len(examples) - len(failed)} of {len(examples)} examples hold" if examples else "no examples"
    return [f"{whose}: {held}\n", *(f"  {line}\n" for call, said in failed for line in (call, *(f"  {text}" for text in said)))]


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=" " * indent, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    ) or [""]


def _figure(value: int | str) -> str:
    return value if isinstance(value, str) else f"{value:,}"
