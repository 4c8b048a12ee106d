"""Many machines at once for a graph on one device: the sums of `time` as arrays, an entry per operator and machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from irflops.machines.device_time import BOUNDS
from irflops.machines.machine import Machine
from irflops.machines.rates import Rates
from irflops.machines.time import Graphed
from irflops.machines.work import OpWork, compulsory, works


@dataclass(frozen=True, slots=True)
class Swept:
    """The time of a step on a machine, as `Time` tells it."""

    machine: Machine
    floor_s: float | None
    estimate_s: float | None
    by_bound: Mapping[str, float]
    why: str | None
    """Why a time is not known."""


def sweep(graphed: Graphed, machines: Sequence[Machine], *, tf32: bool = True, efficiency: float = 1.0) -> list[Swept]:
    """The times of a graph on one device, on each of some machines."""
    found = [one for one in works(graphed.graph, graphed.types, graphed.costs) if not one.is_nothing]
    needed = compulsory(graphed.graph, graphed.types, graphed.book).total
    rates = [Rates(machine, tf32=tf32) for machine in machines]
    shape = (len(machines), len(found))
    matrix, vector, least_matrix, least_vector = (np.zeros(shape) for _ in range(4))
    for row, of in enumerate(rates):
        for unit, flops, slow, fast in _speeds(of, found, efficiency):
            seconds, least = (matrix, least_matrix) if unit == "matrix" else (vector, least_vector)
            seconds[row] += flops * slow
            least[row] += np.where([one.at_most for one in found], 0.0, flops * fast)
    nbytes = np.array([one.nbytes for one in found], dtype=float)
    bandwidth = np.array([machine.memory_bandwidth or np.inf for machine in machines])
    memory = nbytes[None, :] / bandwidth[:, None]
    runs = np.array([one.op.runs for one in found], dtype=float)
    launch = np.array([machine.launch_s for machine in machines])[:, None] * runs[None, :]
    parts = np.stack((matrix, vector, memory, launch))
    times = parts[:3].max(axis=0) + launch
    bound = parts.argmax(axis=0)
    moved = np.maximum(needed - np.array([machine.cache_bytes for machine in machines]), 0) / bandwidth
    floors = np.maximum(np.maximum(least_matrix.sum(axis=1), least_vector.sum(axis=1)), moved)
    unknown = next((one.op.name for one in found if not one.is_known), None)
    return [
        _swept(
            machine,
            of,
            found,
            float(floors[row]),
            {name: float(times[row][bound[row] == at].sum()) for at, name in enumerate(BOUNDS)},
            unknown,
        )
        for row, (machine, of) in enumerate(zip(machines, rates, strict=True))
    ]


def _speeds(rates: Rates, found: Sequence[OpWork], efficiency: float) -> list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Per unit: FLOPs by operator, and seconds of each as printed and at the highest clock; one entry for each kind of work."""
    entries = []
    for kind in ("contraction", "other"):
        flops = np.array([float(getattr(one, kind)) for one in found])
        for unit in ("matrix", "vector"):
            slow, fast = np.zeros(len(found)), np.zeros(len(found))
            for at, one in enumerate(found):
                type_ = one.contraction_type if kind == "contraction" else one.other_type
                if type_ is None or not flops[at]:
                    continue
                rate = rates.contraction(type_) if kind == "contraction" else rates.other(type_)
                if rate is not None and rate.unit == unit:
                    slow[at], fast[at] = 1 / (rate.printed * efficiency), 1 / rate.highest
                elif rate is None and kind == "other" and unit == "vector":
                    instead = rates.machine.vector.get("fp32")
                    slow[at] = 1 / (instead * efficiency) if instead is not None else 0.0
            entries.append((unit, flops, slow, fast))
    return entries


def _swept(
    machine: Machine, rates: Rates, found: Sequence[OpWork], floor: float, by_bound: Mapping[str, float], unknown: str | None
) -> Swept:
    types = {one.contraction_type for one in found if one.contraction and one.contraction_type is not None}
    lacking = [type_.word for type_ in types if rates.contraction(type_) is None]
    if lacking:
        return Swept(machine, None, None, {}, f"{machine.id} lists no rate for contractions in {', '.join(sorted(lacking))}")
    least = floor if machine.ceiling else None
    if unknown is not None:
        return Swept(machine, least, None, by_bound, f"something is unknown of {unknown}")
    if machine.memory_bandwidth is None:
        return Swept(machine, least, None, by_bound, f"{machine.id} lists no memory bandwidth")
    return Swept(machine, least, sum(by_bound.values()), by_bound, None)
