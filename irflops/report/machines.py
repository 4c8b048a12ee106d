"""Machines, for people: a row each, or all that is known of one."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from irflops.machines.known import alpha
from irflops.machines.machine import UNITS, Link, Machine
from irflops.report.numbers import Figure, format_count
from irflops.report.table import Cell, Column, Table, printable

_LABEL, _WIDTH = 12, 100
_SHOWN = (("matrix", "fp16"), ("matrix", "bf16"), ("matrix", "fp8"), ("vector", "fp32"))


def machine_table(machines: Sequence[Machine]) -> Table:
    """A row per machine."""

    def rate(unit: str, number: str) -> Column:
        def get(machine: Machine) -> Cell:
            return _figure(machine.rates(unit).get(number))

        return Column(
            name=f"{unit}_{number}", title=number if unit == "matrix" else f"{number} {unit}", get=get, unit="FLOP/s", nothing="-"
        )

    columns = (
        Column(name="id", title="machine", get=lambda machine: machine.id, numeric=False),
        Column(name="name", title="name", get=lambda machine: machine.name, numeric=False),
        Column(name="kind", title="kind", get=lambda machine: machine.kind, numeric=False),
        Column(name="year", title="year", get=lambda machine: machine.year),
        Column(name="memory_bytes", title="memory", get=lambda machine: _figure(machine.memory_bytes), unit="bytes"),
        Column(name="usable_bytes", title="usable", get=lambda machine: _figure(machine.usable_bytes), unit="bytes"),
        Column(name="memory_bandwidth", title="memory", get=lambda machine: _figure(machine.memory_bandwidth), unit="B/s"),
        *(rate(unit, number) for unit, number in _SHOWN),
        Column(name="link", title="to others", get=_link, numeric=False),
        Column(name="watts", title="W", get=lambda machine: _figure(machine.watts)),
        Column(name="sure", title="sure", get=lambda machine: machine.sure, numeric=False),
        Column(name="source", title="source", get=lambda machine: machine.source, numeric=False, prose=True),
    )
    people = ("id", "memory_bytes", "memory_bandwidth", "matrix_fp16", "matrix_fp8", "vector_fp32", "watts", "sure")
    return Table(name="machines", title="Machines", columns=columns, items=machines, people=people)


def machine_text(machine: Machine) -> str:
    """All that is known of a machine, in 100 columns."""
    lines = []
    for label, text in _facts(machine):
        for number, line in enumerate(textwrap.wrap(printable(text), _WIDTH - _LABEL - 1)):
            lines.append(f" {label if not number else '':<{_LABEL}}{line}")
    return f"{machine.id}: {printable(machine.name)}\n\n" + "".join(f"{line}\n" for line in lines)


def _facts(machine: Machine) -> list[tuple[str, str]]:
    head = [machine.vendor, machine.architecture, str(machine.year or ""), machine.kind]
    facts = [("what", ", ".join(part for part in head if part))]
    for unit in UNITS:
        for number, rate in machine.rates(unit).items():
            word = "OP/s" if number.startswith("int") else "FLOP/s"
            facts.append((unit, f"{number} {format_count(round(rate), word)}{_at_most(machine, unit, number)}"))
    if machine.derive is not None:
        clock = f"{machine.derive.units:,} units at {machine.derive.clock_ghz:g} GHz"
        own = machine.derive.vector_clock_ghz
        facts.append(("from", f"{clock}, vector and fp64 rates at {own:g} GHz" if own is not None else clock))
    if machine.memory_bytes is not None:
        usable = "usable not known" if machine.usable_bytes is None else f"{format_count(machine.usable_bytes, 'bytes')} usable"
        facts.append(("memory", f"{format_count(machine.memory_bytes, 'bytes')} by its label, {usable}"))
    if machine.memory_bandwidth is not None:
        facts.append(("bandwidth", format_count(round(machine.memory_bandwidth), "B/s")))
    if machine.cache_bytes:
        facts.append(("cache", f"{format_count(machine.cache_bytes, 'bytes')} {machine.cache}".rstrip()))
    facts += [("link", _link_words(link)) for link in machine.links]
    if machine.watts is not None:
        facts.append(("power", f"{machine.watts:g} W"))
    own_alpha = f"{machine.alpha_s * 1e6:g} us" if machine.alpha_s is not None else f"as NCCL's: {alpha().source}"
    facts += [("launch", f"{machine.launch_s * 1e6:g} us a kernel"), ("alpha", f"{own_alpha}, a step of a collective")]
    if not machine.ceiling:
        facts.append(("floors", "none: a device may beat these figures"))
    facts += [("source", machine.source), ("sure", machine.sure)]
    facts += [(label, text) for label, text in (("seen in", machine.seen), ("notes", machine.notes)) if text]
    shown, found = "", []
    for label, text in facts:
        found.append((label if label != shown else "", text))
        shown = label
    return found


def _at_most(machine: Machine, unit: str, number: str) -> str:
    boost = machine.boost(unit, number)
    if boost == 1.0:
        return ""
    return f", {format_count(round(machine.rates(unit)[number] * boost), 'FLOP/s')} at the highest clock"


def _figure(value: float | None) -> Cell:
    return None if value is None else Figure(round(value))


def _link(machine: Machine) -> str | None:
    return _link_words(machine.links[0]) if machine.links else None


def _link_words(link: Link) -> str:
    reach = f" to {link.devices} in a {link.reach}" if link.devices is not None else f" in a {link.reach}" if link.reach != "host" else ""
    peer = f", {format_count(round(link.to_one_peer), 'B/s')} to one peer" if link.to_one_peer is not None else ""
    return f"{link.kind}{reach}: {format_count(round(link.bytes_per_s), 'B/s')} in one direction{peer}"
