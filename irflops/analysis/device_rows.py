"""Devices as plain data, for the JSON."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.analysis.rows import Row, cost_row, sure_row
from irflops.counting.cost import COST_NAMES
from irflops.counting.ratio import Ratio
from irflops.devices.classes import intervals
from irflops.devices.communication import Communication, Sent
from irflops.devices.nodes import Reach
from irflops.devices.shares import DeviceClass, Devices
from irflops.devices.transfers import Move, NotCounted
from irflops.ir.graph import Op, Placement
from irflops.ir.sbp import NdSbp


def devices_row(devices: Devices) -> Row:
    """The devices of a graph by classes, and how far their work repeats and differs."""
    return {
        "ranks": devices.ranks,
        "mesh": list(devices.mesh),
        "stages": [
            {"ranks": [list(interval) for interval in stage.intervals], "mesh": list(stage.mesh), "flops_share": _quotient(share)}
            for stage, share in zip(devices.stages, devices.stage_shares, strict=True)
        ],
        "classes": [_class_row(one) for one in devices.classes],
        "redundancy": {name: _quotient(devices.redundancy(name)) for name in COST_NAMES},
        "imbalance": {name: _quotient(devices.imbalance(name)) for name in COST_NAMES},
        "notes": [{"code": note.code, "text": note.text} for note in devices.notes],
    }


def _class_row(one: DeviceClass) -> Row:
    return {
        "ranks": [list(interval) for interval in one.ranks],
        "count": one.count,
        "placements": [_placement_row(placement) for placement in one.placements],
        "totals": cost_row(one.total) | sure_row(one.total),
        "phases": {phase: cost_row(cost) for phase, cost in one.phases.items()},
    }


def _placement_row(placement: Placement) -> Row:
    return {"device": placement.device, "ranks": _ranks(placement.ranks), "mesh": list(placement.hierarchy)}


def _ranks(ranks: tuple[int, ...]) -> list[list[int]]:
    return [list(interval) for interval in intervals(ranks)]


def _quotient(ratio: Ratio) -> float | None:
    return ratio.part / ratio.whole if ratio.whole else None


def communication_row(communication: Communication) -> Row:
    """What the devices of a graph send one another."""
    total = communication.total_bytes
    return {
        "total_bytes": total,
        "certainty": communication.certainty.value,
        "ranks_per_node": communication.ranks_per_node,
        "by_collective": [{"collective": name} | _sent_row(sent, total) for name, sent in communication.by_collective.items()],
        "by_kind": [
            {"from": list(made), "to": list(wanted), "count": sent.count, "bytes": sent.bytes}
            for (made, wanted), sent in communication.by_kind.items()
        ],
        "by_phase": [{"phase": phase} | _sent_row(sent, total) for phase, sent in communication.by_phase.items()],
        "by_module": [{"module": path} | _sent_row(sent, total) for path, sent in communication.by_module.items()],
        "by_cause": [{"cause": cause} | _sent_row(sent, total) for cause, sent in communication.by_cause.items()],
        "transfers": list(_transfer_rows(communication)),
        "not_counted": [_not_counted_row(communication, one) for one in communication.not_counted],
        "notes": [{"code": note.code, "text": note.text} for note in communication.notes],
    }


def _sent_row(sent: Sent, total: int | None) -> Row:
    return {
        "count": sent.count,
        "bytes": sent.bytes,
        "share": sent.bytes / total if total else None,
        "bytes_inside_nodes": sent.reach.inside,
        "bytes_across_nodes": sent.reach.across,
    }


def _transfer_rows(communication: Communication) -> Iterator[Row]:
    """A row per transfer; what all of one move share is worked out once."""
    ops = communication.graph.ops
    moves: dict[int, Row] = {}
    for one, cause in zip(communication.transfers, communication.causes, strict=True):
        owner = communication.owner(one)
        moved = moves.get(id(one.move))
        if moved is None:
            moved = moves[id(one.move)] = _move_row(one.move, communication.reach(one))
        yield {
            "lbn": one.lbn,
            "producer": ops[one.producer].name,
            "consumer": ops[one.consumer].name,
            **moved,
            "phase": owner.phase.value if owner.phase else None,
            "module": owner.module,
            "cause": cause.value,
            "lines": [_line(communication, ops[end]) for end in (one.producer, one.consumer)],
        }


def _move_row(move: Move, reach: Reach) -> Row:
    return {
        "from": _sbp(move.made),
        "to": _sbp(move.wanted),
        "collective": move.collective,
        "bytes": move.bytes,
        "bytes_per_device": move.bytes_per_device,
        "bytes_inside_nodes": reach.inside,
        "bytes_across_nodes": reach.across,
        "group": move.group,
        "tensor_bytes": move.type.nbytes,
        "part_bytes": move.part_bytes,
        "runs": move.runs,
        "steps": [
            {"dimension": step.dimension, "collective": step.collective, "bytes": move.bytes_of(step), "group": step.group}
            for step in move.steps
        ],
    }


def _not_counted_row(communication: Communication, one: NotCounted) -> Row:
    ops = communication.graph.ops
    return {
        "lbn": one.lbn,
        "producer": ops[one.producer].name,
        "consumer": ops[one.consumer].name,
        "from": None if one.made is None else _sbp(one.made),
        "to": None if one.wanted is None else _sbp(one.wanted),
        "reason": one.reason,
    }


def _sbp(nd_sbp: NdSbp) -> list[str]:
    return list(map(str, nd_sbp))


def _line(communication: Communication, op: Op) -> int | None:
    return communication.graph.source.line(op.span.start) if op.span is not None else None
