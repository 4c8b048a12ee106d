"""How well a measured step used its machine: model and hardware FLOPs utilization, by the machine's printed dense peak."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from irflops.errors import IrflopsError
from irflops.ir.certainty import Certainty
from irflops.ir.graph import DType, Phase
from irflops.machines.machine import FORMAT_OF
from irflops.machines.rates import Rates
from irflops.machines.time import Time
from irflops.machines.work import OpWork, works

MODEL = (Phase.FORWARD, Phase.BACKWARD)
HARDWARE = (*MODEL, Phase.RECOMPUTE)


@dataclass(frozen=True, slots=True)
class Utilization:
    """Of a step that took so long: 1 is the peak."""

    step_s: float
    ranks: int
    mfu: float
    """Contractions of forward and backward of the graph as a whole: no recomputation, no optimizer, nothing that devices repeat."""
    hfu: float | None
    """With recomputation, and with what each device itself does; None where not all devices were looked at."""
    flops: Mapping[str, int]
    """FLOPs that MFU counts, by the number format in which they run."""
    certainty: Certainty
    """Of both."""


def utilization_of(time: Time, step_s: float) -> Utilization:
    """How well a step of so many seconds used the machine.

    Errors: IrflopsError where the machine has no rate for it, and where it would be more than 1, with what is likely wrong.
    """
    if time.no_time is not None:
        raise IrflopsError(
            f"there is no utilization: {time.no_time}", hint="irflops machines NAME shows the rates; --dtype asks for another type"
        )
    graphed, rates = time.graphed, Rates(time.machine, tf32=time.asked.tf32)
    ranks = graphed.devices.ranks if graphed.devices is not None else 1
    whole = works(graphed.graph, graphed.types, graphed.costs)
    ideal, flops = _ideal(whole, MODEL, rates)
    counted = sum(device.count for device in time.devices)
    own = sum(device.count * _ideal((one.work for one in device.ops), HARDWARE, rates)[0] for device in time.devices)
    if not ideal:
        raise IrflopsError("there is no utilization: no contraction of the graph has known FLOPs", path=graphed.graph.source.name)
    mfu = ideal / step_s / ranks
    hfu = own / step_s / ranks if counted == ranks else None
    if max(mfu, hfu or 0.0) > 1:
        raise _too_much(time, step_s, mfu, hfu, whole)
    return Utilization(step_s, ranks, mfu, hfu, flops, graphed.total.certainty("macs") | graphed.graph.doubt)


def _ideal(found: Iterable[OpWork], phases: tuple[Phase, ...], rates: Rates) -> tuple[float, dict[str, int]]:
    """Seconds at the printed peaks, and the FLOPs by number format."""
    seconds, flops = 0.0, dict[str, int]()
    for one in found:
        if not one.contraction or one.contraction_type is None or one.op.phase not in phases:
            continue
        rate = rates.contraction(one.contraction_type)
        if rate is not None:
            seconds += one.contraction / rate.printed
            flops[rate.number] = flops.get(rate.number, 0) + one.contraction
    return seconds, flops


def _too_much(time: Time, step_s: float, mfu: float, hfu: float | None, whole: Iterable[OpWork]) -> IrflopsError:
    """What is likely wrong: another type, where the machine is much faster in it; else one of the things that the user gave."""
    machine = time.machine
    name, much = ("MFU", mfu) if mfu > 1 else ("HFU", hfu or 0.0)
    message = f"{name} would be {much:.3g}, and no run is faster than its peak: a step of {step_s:g} s on {machine.id} cannot be"
    work = [one for one in whole if one.contraction and one.contraction_type is not None]
    single = sum(one.contraction for one in work if one.contraction_type is DType.FLOAT32)
    half = max((machine.matrix.get(number, 0.0) for number in ("fp16", "bf16")), default=0.0)
    own = Rates(machine, tf32=time.asked.tf32).contraction(DType.FLOAT32)
    if own is not None and half > own.printed and 2 * single > sum(one.contraction for one in work) and much * own.printed / half <= 1:
        there = next(number for number in ("fp16", "bf16") if machine.matrix.get(number) == half)
        word = next(dtype.word for dtype, number in FORMAT_OF.items() if number == there)
        hint = f"the dtype: the graph is in float32, and a run under mixed precision is --dtype {word}, {much * own.printed / half:.3g}"
    else:
        graph = time.graphed.graph
        step = " (a step of the graph accumulates)" if any(op.runs > 1 for op in graph.ops) else ""
        hint = f"look at the machine, the dtype, the batch of the graph (--batch), the number of devices (--mesh), and what a step is{step}"
    return IrflopsError(message, path=time.graphed.graph.source.name, hint=hint)
