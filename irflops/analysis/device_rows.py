"""Devices as plain data, for the JSON."""

from __future__ import annotations

from irflops.analysis.rows import Row, cost_row, sure_row
from irflops.counting.cost import COST_NAMES
from irflops.counting.ratio import Ratio
from irflops.devices.classes import intervals
from irflops.devices.communication import Communication, Sent
from irflops.devices.shares import DeviceClass, Devices
from irflops.devices.transfers import NotCounted, Transfer
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
        "transfers": [_transfer_row(communication, at) for at in range(len(communication.transfers))],
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


def _transfer_row(communication: Communication, at: int) -> Row:
    one: Transfer = communication.transfers[at]
    ops = communication.graph.ops
    owner, reach = communication.owner(one), communication.reach(one)
    return {
        "lbn": one.lbn,
        "producer": ops[one.producer.index].name,
        "consumer": ops[one.consumer.index].name,
        "from": _sbp(one.producer.nd_sbp),
        "to": _sbp(one.consumer.nd_sbp),
        "collective": one.collective,
        "bytes": one.bytes,
        "bytes_per_device": one.bytes_per_device,
        "bytes_inside_nodes": reach.inside,
        "bytes_across_nodes": reach.across,
        "group": one.group,
        "tensor_bytes": one.type.nbytes,
        "part_bytes": one.part_bytes,
        "runs": one.runs,
        "phase": owner.phase.value if owner.phase else None,
        "module": owner.module,
        "cause": communication.causes[at].value,
        "lines": [_line(communication, ops[end.index]) for end in (one.producer, one.consumer)],
        "steps": [
            {"dimension": step.dimension, "collective": step.collective, "bytes": one.bytes_of(step), "group": step.group}
            for step in one.steps
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
