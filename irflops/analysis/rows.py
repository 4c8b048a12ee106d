"""An analysis as rows and objects: plain data, for tables, data frames and the JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from irflops.counting.cost import COST_NAMES, FIGURES, KINDS, Cost, OpCost
from irflops.counting.fold import UNTYPED, Group, Unknown
from irflops.counting.infer import Disagreement
from irflops.errors import Source, Span
from irflops.ir import plain
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Graph, Location, Note, Operand, TensorType, VariableKind
from irflops.lifting.structure import StepGroup

Row = dict[str, Any]
"""A row of a table or an object of the JSON: plain data."""


def source_row(graph: Graph) -> Row:
    """Where a graph was read from."""
    source = graph.source
    return {"path": source.name, "format": graph.format, "line": _line(source, graph.span), "oneflow_version_guess": graph.version_guess}


def total_row(
    total: Cost, declared_params: int | None, disk_bytes: int | None, communication: tuple[int | None, Certainty], *, has_optimizer: bool
) -> Row:
    """The total of a graph, with how sure each figure of it is; a form without the optimizer tells nothing of its states."""
    sent, how_sure = communication
    more = {"bytes": total.get("bytes"), "declared_params": declared_params, "disk_bytes": disk_bytes, "communication_bytes": sent}
    found = cost_row(total) | more | sure_row(total)
    found["certainty_by"] |= {"bytes": total.certainty("bytes").value, "communication_bytes": how_sure.value}
    if not has_optimizer:
        states = VariableKind.OPTIMIZER_STATE.value
        found |= {name: found[name] | {states: None} for name in ("params", "param_bytes")}
    return found


def sure_row(total: Cost) -> Row:
    """How sure each figure of a total is."""
    return {"certainty": total.worst.value, "certainty_by": {name: total.certainty(name).value for name in COST_NAMES}}


def one_device_row(graph: Graph, total: Cost, phases: Mapping[str, Cost]) -> Row:
    """The device of a graph that runs on one, which computes and holds what the graph does."""
    placements = {op.placement for op in graph.ops if op.placement is not None}
    rank = min((rank for placement in placements for rank in placement.ranks), default=0)
    where = [{"device": found.device, "ranks": [[rank, rank]], "mesh": list(found.hierarchy)} for found in placements]
    only = {
        "ranks": [[rank, rank]],
        "count": 1,
        "placements": sorted(where, key=str),
        "totals": cost_row(total) | sure_row(total),
        "phases": {phase: cost_row(cost) for phase, cost in phases.items()},
    }
    once = {name: 1.0 if total.get(name) else None for name in COST_NAMES}
    return {"ranks": 1, "mesh": [1], "stages": [], "classes": [only], "redundancy": once, "imbalance": once, "notes": []}


def no_communication_row() -> Row:
    """The communication of a graph on one device."""
    sums: Row = {
        name: [] for name in ("by_collective", "by_kind", "by_phase", "by_module", "by_cause", "transfers", "not_counted", "notes")
    }
    return {"total_bytes": 0, "certainty": "exact", "ranks_per_node": None} | sums


def phase_rows(phases: Mapping[str, Cost]) -> list[Row]:
    """A row per phase."""
    return [{"phase": phase} | cost_row(cost) for phase, cost in phases.items()]


def type_rows(types: Mapping[str, Group], by: Mapping[str | None, str]) -> list[Row]:
    """A row per op type; `by` says who counts those for which that is not irflops."""
    return [
        {"type": op_type if op_type != UNTYPED else None, "count": group.count}
        | ({"by": by[op_type]} if op_type in by else {})
        | cost_row(group.cost)
        for op_type, group in types.items()
    ]


def step_rows(steps: Mapping[str, StepGroup]) -> list[Row]:
    """A row per kind of step."""
    return [{"kind": kind, "count": group.count, "operators": group.operators} | cost_row(group.cost) for kind, group in steps.items()]


def location_rows(locations: Mapping[Location | None, Group]) -> list[Row]:
    """A row per line of the user's Python."""
    return [
        {"file": at and at.file, "line": at and at.line, "function": at and at.function, "count": group.count} | cost_row(group.cost)
        for at, group in locations.items()
    ]


def module_rows(graph: Graph, costs: Mapping[str, Cost]) -> list[Row]:
    """A row per module, with its inclusive cost by path."""
    return [
        {
            "path": module.path,
            "class": module.class_name or (None if module.path else graph.class_name),
            "text": module.text,
            "line": _line(graph.source, module.span),
        }
        | cost_row(costs[module.path])
        for module in graph.modules
    ]


def op_rows(graph: Graph, types: Mapping[str, TensorType], costs: Sequence[OpCost], by: Mapping[str | None, str]) -> Iterator[Row]:
    """A row per operator, given one run of each in their order, what was inferred of the tensors, and who counts foreign types."""
    rows: dict[tuple[int, int], Row] = {}
    kinds: dict[tuple[int, int], Row] = {}
    for op, found in zip(graph.ops, costs, strict=True):
        key = id(found), op.runs
        figures = rows.get(key)
        if figures is None:
            figures = rows[key] = op_cost_row(found.cost * op.runs)
        row: Row = {"name": op.name, "type": op.type}
        if op.type_candidates:
            row["type_candidates"] = list(op.type_candidates)
        row |= {
            "module": op.module,
            "phase": op.phase.value if op.phase else None,
            "runs": op.runs,
            "line": _line(graph.source, op.span),
            "location": {"file": op.location.file, "line": op.location.line, "function": op.location.function} if op.location else None,
            "inputs": [_tensor_row(operand, types, kinds) for operand in op.inputs],
            "outputs": [_tensor_row(result, types, kinds) for result in op.outputs],
            "attrs": {name: plain.finite(value) for name, value in op.attrs.items()} if op.attrs else {},
            "placement": plain.placement(op),
        }
        row |= figures
        if op.type in by:
            row["by"] = by[op.type]
        if op.kind is not None:
            row |= {"kind": op.kind.value, "kind_source": op.kind_source}
        yield row


def _tensor_row(operand: Operand, types: Mapping[str, TensorType], kinds: dict[tuple[int, int], Row]) -> Row:
    """A tensor at an argument. `kinds` holds what all of one type and sbp share, which the graph and its types keep alive."""
    type_ = operand.type
    if type_.shape is None or type_.dtype is None:
        type_ = types.get(operand.lbn, type_)
    kind = kinds.get((id(type_), id(operand.nd_sbp)))
    if kind is None:
        shown: Row = {"shape": plain.extents(type_.shape), "dtype": plain.dtype(type_), "sbp": plain.sbp(operand)}
        kind = kinds[id(type_), id(operand.nd_sbp)] = shown
    return {"arg": operand.arg, "lbn": operand.lbn, **kind}


def unknown_rows(unknown: Iterable[Unknown]) -> list[Row]:
    """A row per op type and reason for which a cost is unknown."""
    return [{"type": u.type, "reason": u.reason, "count": len(u.ops), "ops": list(u.ops)} for u in unknown]


def disagreement_rows(source: Source, disagreements: Iterable[Disagreement]) -> list[Row]:
    """A row per tensor whose shape in the file is not the one that follows from its operands."""
    return [
        {
            "op": d.op,
            "line": _line(source, d.span),
            "lbn": d.lbn,
            "file": plain.extents(d.file),
            "inferred": plain.extents(d.inferred),
            "reason": d.reason,
        }
        for d in disagreements
    ]


def note_rows(source: Source, notes: Iterable[Note]) -> list[Row]:
    """A row per note."""
    return [{"code": note.code, "line": _line(source, note.span), "text": note.text} for note in notes]


def cost_row(cost: Cost) -> Row:
    """A sum as plain data: what is known of each figure."""
    return dict(zip(FIGURES, cost.figures, strict=True)) | _params_row(cost)


def op_cost_row(cost: Cost) -> Row:
    """An op's figures as plain data: null where unknown."""
    row: Row = {name: figure if cost.is_known(name) else None for name, figure in zip(FIGURES, cost.figures, strict=True)}
    return row | _params_row(cost)


def _params_row(cost: Cost) -> Row:
    return {
        "params": dict(zip(KINDS, cost.params, strict=True)),
        "param_bytes": dict(zip(KINDS, cost.param_bytes, strict=True)),
    }


def place_of(at: Location | None) -> str | None:
    """A line of the user's Python as one text, as a CSV file has it."""
    return f"{at.file}:{at.line} {at.function}" if at else None


def flat(row: Row) -> Row:
    """A row with nested figures under dotted names (`params.trainable`), lists left as they are."""
    result: Row = {}
    for name, value in row.items():
        if isinstance(value, dict) and name in ("params", "param_bytes", "location", "placement"):
            result.update({f"{name}.{key}": inner for key, inner in value.items()})
        else:
            result[name] = value
    return result


def _line(source: Source, span: Span | None) -> int | None:
    return source.line(span.start) if span is not None else None
