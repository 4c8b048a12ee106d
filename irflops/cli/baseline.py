"""What `audit --baseline` compares with: the JSON of an audit, or any graph."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from irflops.auditing.finding import SCHEMA
from irflops.errors import ChoiceError, IrflopsError
from irflops.ir.graph import Graph
from irflops.readers import load, loads
from irflops.readers.intake import MAX_SIZE, decode, display_name, read_bytes

_HEAD_BYTES = 65536
_ANEW = "write it anew: irflops audit --format json"


def known_ids(
    path: str,
    audited: Callable[[Graph], Iterable[str]],
    *,
    choice: str | None = None,
    graph: str | None = None,
    partial: bool = False,
    max_size: int = MAX_SIZE,
) -> list[str]:
    """The ids of the findings that a baseline has, `-` for standard input; of a graph, those that `audited` finds.

    `choice` chooses among the baseline's graphs, or audits, by name or number. Without it `graph` does, which chose in the audited file:
    it counts where the baseline holds several, and need not be there where that holds one. Errors: IrflopsError.
    """
    try:
        if Path(path).is_dir():
            return [*audited(load(path, choice, partial=partial, max_size=max_size))]
        data, name = read_bytes(path, max_size), display_name(path)
        content = _json(data)
        if content is not None:
            return _ids(_chosen(content, choice or graph, name), name)
        try:
            found = loads(data, choice, name=name, partial=partial, max_size=max_size)
        except ChoiceError:
            if choice is not None or graph is None:
                raise
            found = loads(data, graph, name=name, partial=partial, max_size=max_size)
        return [*audited(found)]
    except ChoiceError as error:
        error.hint = error.hint and error.hint.replace("--graph", "--graph-baseline")
        raise


def _json(data: bytes) -> Any:
    """The object or the list of objects in a content that is JSON of irflops', None in any other; the readers of graphs judge that."""
    if decode(data[:_HEAD_BYTES]).lstrip()[:1] not in ("{", "["):
        return None
    try:
        # Ids are all that is asked for, and a figure may have more digits than Python converts.
        content = json.loads(decode(data), parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None
    some = content[0] if isinstance(content, list) and content else content
    return content if isinstance(some, dict) and str(some.get("schema", "")).startswith("irflops.") else None


def _chosen(content: Any, choice: str | None, name: str) -> Any:
    """The one object, or the one of a list that was chosen by its graph's name or by its number, as among graphs."""
    if not isinstance(content, list):
        return content
    if len(content) == 1:
        return content[0]
    names = [_graph_name(item) for item in content]
    if choice is not None and names.count(choice) == 1:
        return content[names.index(choice)]
    if choice is not None and choice.isdecimal() and len(choice) < 10 and 1 <= int(choice) <= len(content):
        return content[int(choice) - 1]
    listing = "\n".join(f"  {number}  {name}" for number, name in enumerate(names, 1))
    raise ChoiceError(f"{len(content)} audits are in this file:\n{listing}", path=name, hint="choose one by name or number: --graph 1")


def _graph_name(item: Any) -> str:
    graph = item.get("graph") if isinstance(item, dict) else None
    return str(graph.get("name", "?")) if isinstance(graph, dict) else "?"


def _ids(audit: Any, path: str) -> list[str]:
    schema = audit.get("schema") if isinstance(audit, dict) else None
    if schema != SCHEMA:
        raise IrflopsError(f"this is JSON of irflops, but not of an audit: its schema should be {SCHEMA}", path=path, hint=_ANEW)
    findings = audit.get("findings")
    if not isinstance(findings, list) or not all(isinstance(f, dict) and isinstance(f.get("id"), str) for f in findings):
        raise IrflopsError("this audit has findings without ids", path=path, hint=_ANEW)
    return [finding["id"] for finding in findings]
