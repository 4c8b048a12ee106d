"""Devices as plain data, for the JSON."""

from __future__ import annotations

from irflops.analysis.rows import Row, cost_row, sure_row
from irflops.counting.cost import COST_NAMES
from irflops.counting.ratio import Ratio
from irflops.devices.classes import intervals
from irflops.devices.shares import DeviceClass, Devices
from irflops.ir.graph import Placement


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
