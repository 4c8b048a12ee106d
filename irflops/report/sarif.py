"""An audit as SARIF 2.1.0, which code-scanning services read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, TextIO
from urllib.parse import quote

from irflops.auditing.finding import Audit, Doubt, Finding, Severity
from irflops.auditing.folding import Pattern, patterns

SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_FINGERPRINT = "irflopsFinding/v1"


def write_sarif(audits: Sequence[Audit], rules: Sequence[Mapping[str, Any]], version: str, stream: TextIO, *, fold: bool = True) -> None:
    """One run with its rules, its results, findings that say the same as one, and what could not be decided as notifications."""
    at = {rule["name"]: number for number, rule in enumerate(rules)}
    driver = {"name": "irflops", "version": version, "rules": [_descriptor(rule) for rule in rules]}
    notifications = [_notification(doubt) for audit in audits for doubt in audit.doubts]
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notifications}],
        "results": [_result(one, at, audit.path) for audit in audits for one in patterns(audit.findings, fold=fold)],
    }
    json.dump({"$schema": SCHEMA_URI, "version": "2.1.0", "runs": [run]}, stream, indent=2)
    stream.write("\n")


def _descriptor(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": rule["name"],
        "shortDescription": {"text": rule["summary"]},
        "fullDescription": {"text": rule["why"]},
        "help": {"text": rule["fix"]},
        "defaultConfiguration": {"level": rule["severity"]},
    }


def _location(finding: Finding, path: str) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(path)}}
    if finding.line is not None:
        physical["region"] = {"startLine": finding.line}
    place: dict[str, Any] = {"physicalLocation": physical}
    if finding.op or finding.module:
        logical = {"fullyQualifiedName": finding.op or finding.module, "kind": "function" if finding.op else "module"}
        place["logicalLocations"] = [logical]
    return place


def _result(one: Pattern, at: Mapping[str, int], path: str) -> dict[str, Any]:
    """A result at the place of its first finding; the places of those like it are related."""
    finding = one.first
    measures = {"measured": finding.measured, "limit": finding.limit}
    figures = {name: {"cost": m.cost, "value": m.value} for name, m in measures.items() if m is not None}
    gain = {"gain": dict(one.gain)} if one.gain is not None else {}
    others = [_location(other, path) for other in one.findings[1:]]
    more: dict[str, Any] = {"occurrenceCount": len(one.findings), "relatedLocations": others} if others else {}
    where = f"{one.where}: " if others else ""
    return {
        "ruleId": finding.rule,
        "ruleIndex": at[finding.rule],
        "level": finding.severity.word,
        "message": {"text": f"{where}{one.message}"},
        "locations": [_location(finding, path)],
        **more,
        "partialFingerprints": {_FINGERPRINT: finding.id},
        "properties": {"certainty": finding.certainty.value, **figures, **gain},
    }


def _notification(doubt: Doubt) -> dict[str, Any]:
    about = f", for example {doubt.example}" if doubt.example else ""
    return {
        "level": (Severity.ERROR if doubt.fails else Severity.NOTE).word,
        "message": {"text": f"not decided, {doubt.count} times{about}: {doubt.reason}"},
        "associatedRule": {"id": doubt.rule},
    }


def _uri(path: str) -> str:
    """A relative reference as it is, an absolute path with its scheme; the bytes of a name that is no text are escaped as they are."""
    pure = PurePath(path)
    return pure.as_uri() if pure.is_absolute() else quote(os.fsencode(pure.as_posix()))
