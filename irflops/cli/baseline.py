"""What `audit --baseline` compares with: the JSON of an audit, or any graph."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from irflops.auditing.finding import SCHEMA, Audit, Measure
from irflops.auditing.ratchet import Baseline, baseline_of
from irflops.errors import ChoiceError, IrflopsError, quoted
from irflops.ir.graph import Graph
from irflops.readers import load, loads
from irflops.readers.compression import MAX_SIZE
from irflops.readers.intake import decode, display_name, read_bytes

_HEAD_BYTES = 65536
_INTEGER = re.compile(r"-?\d{1,4000}")
"""Figures of graphs have some dozens of digits; reading many takes a time that goes by their square."""
_ANEW = "write it anew: irflops audit --format json"


class Baselines:
    """The audits that a baseline holds: of a graph, the one that `audited` makes; of the JSON of several, the one of the same graph.

    `choice` chooses among the baseline's graphs, or audits, by name or number. Without it `graph` does, which chose in the audited file:
    it counts where the baseline holds several, and need not be there where that holds one. Errors: IrflopsError.
    """

    def __init__(
        self,
        path: str,
        audited: Callable[[Graph], Audit],
        *,
        choice: str | None = None,
        graph: str | None = None,
        partial: bool = False,
        max_size: int = MAX_SIZE,
    ) -> None:
        self._name, self._choice = display_name(path), choice or graph
        self._several: list[Any] | None = None
        try:
            if Path(path).is_dir():
                self._one = baseline_of(audited(load(path, choice, partial=partial, max_size=max_size)), self._name)
                return
            data = read_bytes(path, max_size)
            content = _json(data)
            if isinstance(content, list) and len(content) != 1:
                self._several = content
                return
            if content is not None:
                self._one = _baseline(content[0] if isinstance(content, list) else content, self._name)
                return
            try:
                found = loads(data, choice, name=self._name, partial=partial, max_size=max_size)
            except ChoiceError:
                if choice is not None or graph is None:
                    raise
                found = loads(data, graph, name=self._name, partial=partial, max_size=max_size)
            self._one = baseline_of(audited(found), self._name)
        except ChoiceError as error:
            error.hint = error.hint and error.hint.replace("--graph", "--graph-baseline")
            raise

    def of(self, audit: Audit) -> Baseline:
        """The baseline of a graph. Errors: IrflopsError where it is none, or several may be meant."""
        if self._several is None:
            return self._one
        return _baseline(_chosen(self._several, self._choice, audit, self._name), self._name)


def _json(data: bytes) -> Any:
    """The object or the list of objects in a content that is JSON of irflops', None in any other; the readers of graphs judge that."""
    if decode(data[:_HEAD_BYTES]).lstrip()[:1] not in ("{", "["):
        return None
    try:
        # Few figures are asked for, and one may have more digits than Python converts.
        content = json.loads(decode(data), parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None
    some = content[0] if isinstance(content, list) and content else content
    return content if isinstance(some, dict) and str(some.get("schema", "")).startswith("irflops.") else None


def _chosen(content: list[Any], choice: str | None, audit: Audit, name: str) -> Any:
    """The one of a list that was chosen by its graph's name or by its number, as among graphs, or that is of the same file or graph."""
    names = [_member(item, "graph", "name") for item in content]
    if choice is not None and names.count(choice) == 1:
        return content[names.index(choice)]
    if choice is not None and choice.isdecimal() and len(choice) < 10 and 1 <= int(choice) <= len(content):
        return content[int(choice) - 1]
    if choice is None:
        for known, wanted in (([_member(item, "source", "path") for item in content], audit.path), (names, audit.graph)):
            if known.count(wanted) == 1:
                return content[known.index(wanted)]
    listing = "\n".join(f"  {number}  {graph}" for number, graph in enumerate(names, 1))
    hint = "choose one by name or number: --graph-baseline 1"
    raise ChoiceError(f"{len(content)} audits are in this file, and none is of {audit.path} alone:\n{listing}", path=name, hint=hint)


def _member(item: Any, part: str, name: str) -> str:
    found = item.get(part) if isinstance(item, dict) else None
    return str(found.get(name, "?")) if isinstance(found, dict) else "?"


def _baseline(audit: Any, path: str) -> Baseline:
    schema = audit.get("schema") if isinstance(audit, dict) else None
    if schema != SCHEMA:
        raise IrflopsError(f"this is JSON of irflops, but not of an audit: its schema should be {SCHEMA}", path=path, hint=_ANEW)
    findings = audit.get("findings")
    if not isinstance(findings, list) or not all(isinstance(f, dict) and isinstance(f.get("id"), str) for f in findings):
        raise IrflopsError("this audit has findings without ids", path=path, hint=_ANEW)
    graph = audit.get("graph")
    batch = _integer(graph.get("batch"), path) if isinstance(graph, dict) else None
    return Baseline(path, {finding["id"]: _measure(finding.get("measured"), path) for finding in findings}, batch)


def _measure(row: Any, path: str) -> Measure | None:
    value = _integer(row.get("value"), path) if isinstance(row, dict) else None
    return Measure(str(row.get("cost")), value) if value is not None else None


def _integer(text: Any, path: str) -> int | None:
    """An integer, which was left as text: it may have more digits than Python converts."""
    if text is None:
        return None
    if not isinstance(text, str) or not _INTEGER.fullmatch(text):
        raise IrflopsError(f"{quoted(str(text))} is no figure of an audit", path=path, hint=_ANEW)
    return int(text)
