"""A roofline: FLOP/s over FLOPs a byte of each operator, under what memory and the units allow. In characters, or drawn by matplotlib."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from irflops.errors import IrflopsError
from irflops.machines.rates import Rates
from irflops.machines.time import Time
from irflops.report.numbers import format_count

_WIDTH, _HEIGHT = 66, 18


@dataclass(frozen=True, slots=True)
class Roofline:
    """Points and the roof over them."""

    machine: str
    bandwidth: float
    roofs: tuple[tuple[str, float], ...]
    """Peaks of the units that the graph uses, in FLOP/s."""
    points: tuple[tuple[float, float, str], ...]
    """FLOPs a byte, FLOP/s as estimated, and what each operator waits for."""

    def allowed(self, intensity: float) -> float:
        """FLOP/s that nothing of that intensity exceeds."""
        return min(self.bandwidth * intensity, max(peak for _, peak in self.roofs))


def roofline_of(time: Time) -> Roofline:
    """The roofline of a graph's operators. Errors: IrflopsError where there is nothing to draw."""
    machine, rates = time.machine, Rates(time.machine, tf32=time.asked.tf32)
    if machine.memory_bandwidth is None:
        raise IrflopsError(f"{machine.id} lists no memory bandwidth: it has no roofline")
    points, roofs = [], {}
    for one in time.slowest.ops:
        flops = one.work.contraction + one.work.other
        if one.bound is None or not flops or not one.work.nbytes or not one.estimate_s:
            continue
        points.append((flops / one.work.nbytes, flops / one.estimate_s, one.bound))
        contraction = rates.contraction(one.work.contraction_type) if one.work.contraction_type is not None else None
        other = rates.other(one.work.other_type) if one.work.other_type is not None else None
        for rate in (contraction if one.work.contraction else None, other if one.work.other else None):
            if rate is not None:
                roofs[f"{rate.number} {rate.unit}"] = rate.printed
    if not points or not roofs:
        raise IrflopsError(
            "no operator has both FLOPs and bytes that are known: there is nothing to draw", path=time.graphed.graph.source.name
        )
    return Roofline(machine.id, machine.memory_bandwidth, tuple(sorted(roofs.items(), key=lambda item: -item[1])), tuple(points))


_MARKS = {"matrix": "M", "vector": "V", "memory": "o", "launch": "l"}


def plot(line: Roofline) -> str:
    """The roofline in characters, both axes logarithmic."""
    low, high = _range([x for x, _, _ in line.points] + [peak / line.bandwidth for _, peak in line.roofs])
    top = math.ceil(math.log10(max(peak for _, peak in line.roofs)))
    bottom = min(top - 3, math.floor(math.log10(min(y for _, y, _ in line.points))))
    grid = [[" "] * _WIDTH for _ in range(_HEIGHT)]

    def row(flops: float) -> int:
        return round((top - math.log10(flops)) / (top - bottom) * (_HEIGHT - 1))

    for column in range(_WIDTH):
        intensity = 10 ** (low + (high - low) * column / (_WIDTH - 1))
        at = row(line.allowed(intensity))
        if 0 <= at < _HEIGHT:
            grid[at][column] = "─" if line.bandwidth * intensity >= max(peak for _, peak in line.roofs) else "/"
    for x, y, bound in line.points:
        column, at = round((math.log10(x) - low) / (high - low) * (_WIDTH - 1)), row(y)
        if 0 <= at < _HEIGHT and 0 <= column < _WIDTH:
            grid[at][column] = _MARKS[bound]
    labels = [""] * _HEIGHT
    labels[0], labels[-1] = (format_count(10**power, "FLOP/s") if power >= 0 else "" for power in (top, bottom))
    lines = [f" {label:>14} │{''.join(cells)}".rstrip() for label, cells in zip(labels, grid, strict=True)]
    lines.append(f" {'':>14} └{'─' * _WIDTH}")
    left, right = f"{10**low:.3g}", f"{10**high:.3g} FLOP/byte"
    lines.append(f" {'':>14}  {left}{right:>{_WIDTH - len(left)}}")
    roofs = ", ".join(f"{name} {format_count(round(peak), 'FLOP/s')}" for name, peak in line.roofs)
    lines.append(f" roofs: {roofs}; memory {format_count(round(line.bandwidth), 'B/s')}")
    lines.append(" operators that wait for: M the matrix unit, V the vector unit, o memory, l their launch")
    return "\n".join([f"Roofline of {line.machine}: {len(line.points):,} operators", *lines])


def _range(values: Sequence[float]) -> tuple[float, float]:
    logs = [math.log10(value) for value in values]
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    return float(low), float(max(high, low + 1))


def draw(line: Roofline, path: str) -> None:
    """Writes the roofline as SVG, PNG or PDF, by the path's ending. Errors: IrflopsError, also where matplotlib is not there."""
    try:
        from matplotlib.figure import Figure  # here for what it takes: an extra, which --plot alone needs
    except ImportError:
        raise IrflopsError("--plot needs matplotlib", hint="pip install 'irflops[plot]'") from None
    figure = Figure(figsize=(8, 5))
    axes: Any = figure.subplots()
    low, high = _range([x for x, _, _ in line.points] + [peak / line.bandwidth for _, peak in line.roofs])
    for name, peak in line.roofs:
        ridge = peak / line.bandwidth
        xs = [10**low, max(ridge, 10**low), 10**high]
        axes.plot(xs, [min(line.bandwidth * x, peak) for x in xs], label=f"{name}: {format_count(round(peak), 'FLOP/s')}")
    for bound in _MARKS:
        own = [(x, y) for x, y, waits in line.points if waits == bound]
        if own:
            axes.scatter([x for x, _ in own], [y for _, y in own], s=14, label=f"waits for {bound}")
    axes.set(xscale="log", yscale="log", xlabel="FLOP/byte", ylabel="FLOP/s", title=f"Roofline of {line.machine}")
    axes.legend(fontsize="small")
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise IrflopsError(f"cannot write: {error}", path=path) from None
