"""Times on a machine, for people: what a step takes at least and as estimated, and where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from irflops.analysis.fits import Fit
from irflops.counting.ratio import Ratio
from irflops.ir.certainty import Certainty
from irflops.machines.device_time import OpTime, Part
from irflops.machines.rows import joules_row, throughput_row
from irflops.machines.seconds import seconds_text
from irflops.machines.throughput import load_of
from irflops.machines.time import Time
from irflops.machines.utilization import Utilization
from irflops.report.devices import ranks_words
from irflops.report.numbers import UNKNOWN, Figure, format_count, format_share
from irflops.report.table import Cell, Column, Table

_PICO = 10**12
"""Picoseconds of a second: tables hold integers."""


def seconds_words(seconds: float | None, certainty: Certainty = Certainty.EXACT) -> str:
    """A time with a unit that suits it, three digits at least.

    >>> seconds_words(0.1339), seconds_words(2.5e-6), seconds_words(None)
    ('133.90 ms', '2.50 us', 'unknown')
    """
    if seconds is None:
        return UNKNOWN
    return f"{certainty.sign}{seconds_text(seconds)}" if seconds else seconds_text(seconds)


def percent(part: float) -> str:
    """A share of 1 in percent."""
    return format_share(Ratio(round(part * 10**6), 10**6))


def time_facts(time: Time, used: Utilization | None, fit: Fit | None) -> list[tuple[str, str]]:
    """Labels and texts: the two times, what binds, what follows from them."""
    floor = seconds_words(time.floor_s, time.floor_certainty)
    binds = f", by {_BINDS[time.busiest.floor.binds]}" if time.floor_s is not None and time.busiest.floor.binds else ""
    facts = [("machine", f"{time.machine.name}{_settings(time)}"), ("floor", f"{floor}{binds}: no run is faster that does this arithmetic")]
    estimate = seconds_words(time.estimate_s, Certainty.ESTIMATE)
    if time.estimate_s is None and time.no_time is None:
        estimate += f", {seconds_words(time.known_estimate_s)} for what is known: {time.no_estimate}"
    elif time.estimate_s is None:
        estimate += f": {time.no_time}"
    else:
        estimate += f", each operator a kernel of its own: {_waits(time.by_bound, time.estimate_s)}"
    facts.append(("estimate", estimate))
    if time.estimate_s is not None and len(time.graphed.graph.ops) > 1:
        path = f"{seconds_words(time.critical_path_s, Certainty.ESTIMATE)} along the longest path"
        sent = time.slowest.sending.estimate_s
        if sent:
            path += f"; {seconds_words(time.overlapped_s, Certainty.ESTIMATE)} with communication behind the work of its phase"
        facts.append(("", path))
    if time.stages > 1:
        ways = f"{time.stages} stages, {time.micro_batches:,} micro-batch{'' if time.micro_batches == 1 else 'es'}"
        facts.append(("pipeline", f"{ways}: a bubble of {seconds_words(time.bubble_s, Certainty.ESTIMATE)} under 1F1B, in the estimate"))
    if len(time.devices) > 1 or time.busiest.count > 1:
        facts.append(("of", f"{ranks_words(time.busiest.ranks)}, which have most to do"))
    facts += _rates(time)
    if used is not None:
        facts.append(("utilization", utilization_words(used)))
    if fit is not None:
        facts.append(("memory", fit_words(fit)))
    return facts


_BINDS = {
    "matrix": "the matrix unit",
    "vector": "the vector unit",
    "memory": "memory: what must be read and written at least once",
    "communication": "communication",
}


def _settings(time: Time) -> str:
    asked = time.asked
    said = [f"{asked.efficiency:g} of its peaks in the estimate"] if asked.efficiency != 1.0 else []
    said += [f"{asked.network.name} between nodes"] if asked.network is not None else []
    said += ["no tf32"] if not asked.tf32 else []
    return f", {', '.join(said)}" if said else ""


def _waits(by_bound: Mapping[str, float], whole: float) -> str:
    parts = sorted(((seconds, name) for name, seconds in by_bound.items() if seconds), reverse=True)
    return ", ".join(f"{percent(seconds / whole)} {name}" for seconds, name in parts) or "nothing to do"


def _rates(time: Time) -> list[tuple[str, str]]:
    load = load_of(time.graphed.graph, time.graphed.types, time.graphed.book)
    row = throughput_row(time, load)
    facts = []
    for what, key in (("samples/s", "samples_per_s"), ("tokens/s", "tokens_per_s")):
        most, about = row[key]["floor"], row[key]["estimate"]
        words = [f"at most {_number(most)}" if most is not None else "", f"about {_number(about)}" if about is not None else ""]
        if any(words):
            facts.append((what, ", ".join(word for word in words if word)))
    joules = joules_row(time, load)
    if joules is not None and joules["floor"] is not None:
        about = f", about {joules['estimate']:.3g} J" if joules["estimate"] is not None else ""
        facts.append(("energy", f"at least {joules['floor']:.3g} J a sample{about}, at {time.machine.watts:g} W a device"))
    return facts


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def utilization_words(used: Utilization) -> str:
    """MFU and HFU in one line."""
    sign = used.certainty.sign
    hfu = f", HFU {sign}{percent(used.hfu)}" if used.hfu is not None else ""
    devices = f" on {used.ranks:,} devices" if used.ranks > 1 else ""
    return f"MFU {sign}{percent(used.mfu)}{hfu} at {seconds_words(used.step_s)} a step{devices}"


def fit_words(fit: Fit) -> str:
    """Whether it fits, in one line."""
    if fit.needed_bytes is None:
        return f"{UNKNOWN}: {fit.why}"
    needed = format_count(fit.needed_bytes, "bytes", fit.certainty)
    if fit.usable_bytes is None:
        return f"{needed} needed; how much the machine has is not known"
    less = f", {format_count(fit.context_bytes, 'bytes')} taken for the context" if fit.context_bytes else ""
    usable = f"{format_count(fit.usable_bytes, 'bytes')} {'by its label' if fit.by_label else 'usable'}{less}"
    verdict = {True: "fits", False: "does not fit", None: "may fit"}[fit.fits]
    return f"{needed} needed: {verdict} in {usable}"


def _time_columns(name: str, title: str, get: Callable[[Any], float | None]) -> tuple[Column, Column]:
    """A time for people, in a unit that suits it, and one for machines, in picoseconds."""

    def figure(item: Any) -> Cell:
        seconds = get(item)
        return None if seconds is None else Figure(round(seconds * _PICO))

    return (
        Column(name=name, title=title, get=lambda item: seconds_words(get(item)), exported=False),
        Column(name=f"{name}_ps", title=f"{title} ps", get=figure),
    )


def part_table(parts: Mapping[str, Part], name: str, title: str, whole: float) -> Table:
    """A row per phase or module."""
    columns = (
        Column(name=name, title=name, get=lambda item: item[0] or "(graph)", numeric=False),
        *_time_columns("floor", "floor", lambda item: item[1].floor_s),
        *_time_columns("estimate", "estimate", lambda item: item[1].estimate_s if item[1].is_known else None),
        Column(name="share", title="share", get=lambda item: _share(item[1].estimate_s, whole)),
    )
    items = sorted(parts.items(), key=lambda item: -item[1].estimate_s) if name == "module" else list(parts.items())
    return Table(name=name, title=title, columns=columns, items=items, people=(name, "floor", "estimate", "share"))


def _share(part: float, whole: float) -> Ratio:
    return Ratio(round(part * _PICO), round(whole * _PICO))


def op_time_table(time: Time) -> Table:
    """A row per operator, that with most time above its floor first."""
    ops: Sequence[OpTime] = sorted((one for one in time.slowest.ops if not one.work.is_nothing), key=lambda one: -one.wasted_s)
    whole = time.slowest.whole.estimate_s
    bandwidth = time.machine.memory_bandwidth

    def intensity(one: OpTime) -> Ratio:
        return Ratio(one.work.contraction + one.work.other, one.work.nbytes)

    def reached(one: OpTime) -> Cell:
        flops = one.work.contraction + one.work.other
        return Figure(round(flops / one.estimate_s)) if one.is_known and one.estimate_s and flops else None

    columns = (
        Column(name="name", title="operator", get=lambda one: one.op.name, numeric=False),
        Column(name="type", title="type", get=lambda one: one.op.type, numeric=False),
        Column(name="bound", title="waits for", get=lambda one: one.bound, numeric=False),
        *_time_columns("estimate", "estimate", lambda one: one.estimate_s if one.is_known else None),
        *_time_columns("floor", "floor", lambda one: one.floor_s),
        *_time_columns("wasted", "above", lambda one: one.wasted_s if one.is_known else None),
        Column(name="share", title="share", get=lambda one: _share(one.estimate_s, whole)),
        Column(name="intensity", title="intensity", get=intensity, unit="FLOP/byte"),
        Column(name="reached", title="reaches", get=reached, unit="FLOP/s", nothing="-"),
    )
    people = ("name", "bound", "estimate", "floor", "share", "intensity", "reached")
    title = "Time above the floor" + (f", {format_count(round(bandwidth), 'B/s')} of memory" if bandwidth is not None else "")
    return Table(name="time", title=title, columns=columns, items=ops, people=people)
