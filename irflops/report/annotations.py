"""An audit as workflow commands of GitHub Actions: each finding is shown at its line of the dump."""

from __future__ import annotations

from typing import TextIO

from irflops.auditing.finding import Audit, Severity
from irflops.auditing.folding import patterns
from irflops.report.table import printable

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def write_annotations(audit: Audit, stream: TextIO, *, fold: bool = True) -> None:
    """A command per finding, those that say the same as one, and per limit that may be exceeded."""
    for doubt in audit.doubts:
        if doubt.fails:
            title = _property(f"{doubt.rule} (not decided)")
            stream.write(f"::error file={_property(audit.path)},title={title}::{_data(doubt.reason)}\n")
    for one in patterns(audit.findings, fold=fold):
        finding = one.first
        properties = [f"file={_property(audit.path)}"]
        if finding.line is not None:
            properties.append(f"line={finding.line}")
        properties.append(f"title={_property(f'{finding.rule} ({finding.certainty.value})')}")
        where = finding.op or finding.module if len(one.findings) == 1 else one.where
        message = f"{where}: {one.message}" if where else one.message
        stream.write(f"::{_COMMANDS[finding.severity]} {','.join(properties)}::{_data(message)}\n")


def _data(text: str) -> str:
    return printable(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
