"""Times and utilizations as plain data, as the JSON has them."""

from __future__ import annotations

from typing import Any

from irflops.ir.certainty import Certainty
from irflops.machines.device_time import DeviceTime, OpTime, Part
from irflops.machines.throughput import Load, load_of
from irflops.machines.time import Time
from irflops.machines.utilization import Utilization

Row = dict[str, Any]


def time_row(time: Time) -> Row:
    """The member `time` of an analysis."""
    graphed = time.graphed
    load = load_of(graphed.graph, graphed.types, graphed.book)
    return {
        "machine": time.machine.id,
        "settings": _settings_row(time),
        "floor_s": time.floor_s,
        "estimate_s": time.estimate_s,
        "overlapped_s": time.overlapped_s,
        "critical_path_s": time.critical_path_s,
        "known_estimate_s": time.known_estimate_s if time.no_time is None else None,
        "certainty": {"floor_s": time.floor_certainty.value, "estimate_s": Certainty.ESTIMATE.value},
        "binds": time.busiest.floor.binds if time.floor_s is not None else None,
        "floor": _floor_row(time.busiest),
        "by_bound": dict(time.by_bound) if time.no_time is None else None,
        "by_phase": [{"phase": name} | _part_row(part) for name, part in time.by_phase.items()],
        "by_module": [{"path": name} | _part_row(part) for name, part in time.by_module.items()],
        "ops": [op_row(one) for one in time.slowest.ops if not one.work.is_nothing],
        "devices": [_device_row(device) for device in time.devices],
        "stages": time.stages,
        "bubble_s": time.bubble_s,
        "throughput": throughput_row(time, load),
        "joules_per_sample": joules_row(time, load),
        "unknown": [one.op.name for one in time.unknown],
        "notes": [{"code": note.code, "text": note.text} for note in time.notes],
    }


def _settings_row(time: Time) -> Row:
    asked = time.asked
    return {
        "tf32": asked.tf32,
        "efficiency": asked.efficiency,
        "network": asked.network.name if asked.network is not None else None,
        "ranks_per_node": asked.ranks_per_node,
        "micro_batches": time.micro_batches,
        "launch_s": asked.machine.launch_s,
    }


def _floor_row(device: DeviceTime) -> Row:
    needed = device.floor.compulsory
    return {f"{name}_s": seconds for name, seconds in device.floor.parts.items()} | {
        "compulsory_bytes": needed.total,
        "compulsory": {"read": needed.read, "updated": needed.updated, "out": needed.out},
    }


def _part_row(part: Part) -> Row:
    return {"floor_s": part.floor_s, "estimate_s": part.estimate_s if part.is_known else None}


def _device_row(device: DeviceTime) -> Row:
    return {
        "ranks": [list(interval) for interval in device.ranks],
        "count": device.count,
        "floor_s": device.floor.total_s,
        "binds": device.floor.binds,
        "estimate_s": device.whole.estimate_s if device.whole.is_known else None,
        "communication_s": device.sending.estimate_s,
    }


def op_row(one: OpTime) -> Row:
    """The time of an operator, all its runs together."""
    return {
        "name": one.op.name,
        "bound": one.bound,
        "floor_s": one.floor_s,
        "estimate_s": one.estimate_s if one.is_known else None,
        "matrix_s": one.matrix_s,
        "vector_s": one.vector_s,
        "memory_s": one.memory_s,
        "launch_s": one.launch_s,
    }


def throughput_row(time: Time, load: Load) -> Row:
    """Samples and tokens a second, at the floor (no run is faster) and as estimated."""

    def rate(count: int | None, seconds: float | None) -> float | None:
        return None if count is None or not seconds else count / seconds

    return {
        "samples": load.samples,
        "tokens": load.tokens,
        "samples_per_s": {"floor": rate(load.samples, time.floor_s), "estimate": rate(load.samples, time.estimate_s)},
        "tokens_per_s": {"floor": rate(load.tokens, time.floor_s), "estimate": rate(load.tokens, time.estimate_s)},
    }


def joules_row(time: Time, load: Load) -> Row | None:
    """Joules of all devices a sample at the machine's printed power; None where the power or the samples are not known."""
    watts, samples = time.machine.watts, load.samples
    if watts is None or not samples:
        return None
    ranks = time.graphed.devices.ranks if time.graphed.devices is not None else 1

    def joules(seconds: float | None) -> float | None:
        return None if seconds is None else seconds * watts * ranks / samples

    return {"floor": joules(time.floor_s), "estimate": joules(time.estimate_s)}


def utilization_row(found: Utilization) -> Row:
    """The member `utilization` of an analysis."""
    return {
        "step_s": found.step_s,
        "ranks": found.ranks,
        "mfu": found.mfu,
        "hfu": found.hfu,
        "flops": dict(found.flops),
        "certainty": found.certainty.value,
    }
