"""An audit as workflow commands of GitHub Actions: each finding is shown at its line of the dump."""

from __future__ import annotations

from typing import TextIO

from irflops.auditing.finding import Audit, Severity
from irflops.report.table import printable

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def write_annotations(audit: Audit, stream: TextIO) -> None:
    """A command per finding, and per limit that may be exceeded."""
    for doubt in audit.doubts:
        if doubt.fails:
            title = _property(f"{doubt.rule} (not decided)")
            stream.write(f"::error file={_property(audit.path)},title={title}::{_data(doubt.reason)}\n")
    for finding in audit.findings:
        properties = [f"file={_property(audit.path)}"]
        if finding.line is not None:
            properties.append(f"line={finding.line}")
        properties.append(f"title={_property(f'{finding.rule} ({finding.certainty.value})')}")
        where = finding.op or finding.module
        message = f"{where}: {finding.message}" if where else finding.message
        stream.write(f"::{_COMMANDS[finding.severity]} {','.join(properties)}::{_data(message)}\n")


def _data(text: str) -> str:
    return printable(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
