"""What devices send one another, in words and tables: by collective, phase, module and cause, and the heaviest transfers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from irflops.analysis.analysis import Analysis
from irflops.analysis.blocks import layers_as_one
from irflops.counting.ratio import Ratio
from irflops.devices.communication import Communication, Sent
from irflops.devices.transfers import NotCounted, Transfer
from irflops.errors import IrflopsError
from irflops.report.devices import devices_words
from irflops.report.numbers import Figure, format_count, format_things
from irflops.report.sections import Report
from irflops.report.summary import headline
from irflops.report.table import ESSENTIAL, Column, Table, arranged, printable

BY = ("collective", "kind", "phase", "module", "cause", "transfer")
"""What `--by` takes."""

TOP = 20
"""Rows of a table of modules or transfers unless the user says otherwise."""
HEAVIEST = 10
"""Transfers in the whole report."""


@dataclass(frozen=True, slots=True)
class Alike:
    """Transfers that are equal but for the layer that they are in."""

    first: Transfer
    module: str
    """The module's path, with `*` for the layer's number where there are several."""
    cause: str
    count: int
    bytes: int


def communication_report(analysis: Analysis, top: int | None = None) -> Report:
    """What devices send one another: totals, and a table for each way to sum them."""
    communication = analysis.communication
    tables = [
        _sums("collective", "By collective", communication.by_collective, communication),
        _sums("cause", "By cause", communication.by_cause, communication),
        _sums("phase", "By phase", communication.by_phase, communication),
        arranged(_sums("module", "By module", _folded_modules(communication), communication), top=top or HEAVIEST),
        arranged(transfer_table(communication), top=top or HEAVIEST),
        not_counted_table(communication),
    ]
    return Report(
        headline=headline(analysis),
        facts=_facts(analysis),
        tables=[table for table in tables if table.items],
        notes=[printable(note.text) for note in (*analysis.notes, *communication.notes)],
    )


def communication_table(communication: Communication, by: str, *, top: int | None, whole: bool) -> Table:
    """The table that `--by` names; with `whole` nothing is folded and nothing left out that the user did not ask to be."""
    if by == "transfer":
        return arranged(transfer_table(communication, fold=not whole), top=top or (None if whole else TOP))
    if by == "kind":
        kinds = {f"({', '.join(made)}) -> ({', '.join(wanted)})": sent for (made, wanted), sent in communication.by_kind.items()}
        return arranged(_sums("kind", "By kind", kinds, communication), top=top)
    if by == "module":
        modules = communication.by_module if whole else _folded_modules(communication)
        return arranged(_sums("module", "By module", modules, communication), top=top or (None if whole else TOP))
    sums = {"collective": communication.by_collective, "phase": communication.by_phase, "cause": communication.by_cause}
    if by not in sums:
        raise IrflopsError(f"there is no table by {by!r}", hint=f"--by takes {', '.join(BY)}")
    return arranged(_sums(by, f"By {by}", sums[by], communication), top=top)


def _facts(analysis: Analysis) -> list[tuple[str, str]]:
    communication = analysis.communication
    total, sure = communication.total_bytes, communication.certainty
    facts = [("read from", printable(analysis.graph.source.name))]
    if analysis.is_spread:
        facts.append(("devices", devices_words(analysis.devices)))
    sent = f"{format_count(total, 'bytes', sure)} over all devices in a step"
    count = sum(one.move.elements > 0 for one in communication.transfers)
    facts.append(("sent", sent if total is None else f"{sent}, in {format_things(count, 'transfer')}"))
    if total is not None and analysis.is_spread:
        ranks = analysis.devices.ranks
        facts.append(("per device", f"{format_count(-(-total // ranks), 'bytes', sure)} on the mean of {ranks:,} ranks"))
        across = sum(sums.reach.across for sums in communication.by_cause.values())
        nodes = f"{format_count(total - across, 'bytes', sure)} inside nodes, {format_count(across, 'bytes', sure)} across"
        facts.append(("nodes", f"{nodes}; {communication.ranks_per_node} ranks a node where the dump does not say"))
    facts.append(("certainty", sure.value.replace("_", " ")))
    return facts


def _sums(name: str, title: str, sums: Mapping[str, Sent], communication: Communication) -> Table:
    """A row per group of transfers, most bytes first."""
    total, sure = communication.total_bytes or 0, communication.certainty
    items = list(sums.items())
    columns = (
        Column(name=name, title=name, get=lambda item: item[0], numeric=False, nothing="(graph)"),
        Column(name="count", title="transfers" if name != "collective" else "steps", get=lambda item: item[1].count),
        Column(name="bytes", title="sent", get=lambda item: Figure(item[1].bytes, sure), unit="bytes", weight=ESSENTIAL),
        Column(name="bytes_share", title="share", get=lambda item: Ratio(item[1].bytes, total), exported=False),
        Column(name="bytes_inside_nodes", title="inside nodes", get=lambda item: Figure(item[1].reach.inside, sure), unit="bytes"),
        Column(name="bytes_across_nodes", title="across", get=lambda item: Figure(item[1].reach.across, sure), unit="bytes"),
    )
    return Table(name=name, title=title, columns=columns, items=items, people=tuple(column.name for column in columns))


def _folded_modules(communication: Communication) -> dict[str, Sent]:
    """Sums by module, equal layers together."""
    found: dict[str, Sent] = {}
    for path, sent in communication.by_module.items():
        found[layers_as_one(path)] = found.get(layers_as_one(path), Sent()) + sent
    return dict(sorted(found.items(), key=lambda item: -item[1].bytes))


def folded(communication: Communication) -> list[Alike]:
    """Transfers that move something, those together that are equal but for their layer; most bytes first."""
    ops = communication.graph.ops
    found: dict[tuple[object, ...], list[int]] = {}
    for at, one in enumerate(communication.transfers):
        if not one.move.elements:
            continue
        ends = [(ops[end].type, ops[end].stem) for end in (one.producer, one.consumer)]
        path = layers_as_one(communication.owner(one).module)
        key = path, *ends, id(one.move), communication.causes[at]
        found.setdefault(key, []).append(at)
    alike = [_alike(communication, places) for places in found.values()]
    return sorted(alike, key=lambda one: -one.bytes)


def _alike(communication: Communication, places: Sequence[int]) -> Alike:
    first = communication.transfers[places[0]]
    path = communication.owner(first).module
    return Alike(
        first,
        layers_as_one(path) if len(places) > 1 else path,
        communication.causes[places[0]].value,
        len(places),
        first.move.bytes * len(places),
    )


def _each(communication: Communication) -> list[Alike]:
    """Every transfer by itself, those that move nothing too."""
    return sorted((_alike(communication, [at]) for at in range(len(communication.transfers))), key=lambda one: -one.bytes)


def transfer_table(communication: Communication, *, fold: bool = True) -> Table:
    """A row per transfer, the heaviest first; equal layers in one row, unless all are wanted."""
    items = folded(communication) if fold else _each(communication)
    ops, sure = communication.graph.ops, communication.certainty

    def line(end: str) -> Callable[[Alike], int | None]:
        def get(one: Alike) -> int | None:
            op = ops[getattr(one.first, end)]
            return communication.graph.source.line(op.span.start) if op.span is not None else None

        return get

    def text(name: str, title: str, get: Callable[[Alike], Any]) -> Column:
        return Column(name=name, title=title, get=get, numeric=False)

    columns = (
        text("module", "module", lambda one: one.module),
        text("lbn", "tensor", lambda one: one.first.lbn),
        text("producer", "producer", lambda one: ops[one.first.producer].name),
        text("consumer", "consumer", lambda one: ops[one.first.consumer].name),
        text("from", "from", lambda one: ", ".join(map(str, one.first.move.made))),
        text("to", "to", lambda one: ", ".join(map(str, one.first.move.wanted))),
        text("collective", "collective", lambda one: one.first.move.collective),
        Column(name="group", title="of", get=lambda one: one.first.move.group, weight=0),
        Column(name="count", title="times", get=lambda one: one.count),
        Column(name="bytes", title="sent", get=lambda one: Figure(one.bytes, sure), unit="bytes", weight=ESSENTIAL),
        Column(
            name="bytes_per_device",
            title="a device",
            get=lambda one: Figure(one.first.move.bytes_per_device * one.count, sure),
            unit="bytes",
        ),
        Column(name="tensor_bytes", title="whole", get=lambda one: Figure(one.first.move.type.nbytes), unit="bytes"),
        Column(name="part_bytes", title="part", get=lambda one: Figure(one.first.move.part_bytes), unit="bytes"),
        text("cause", "cause", lambda one: one.cause),
        text("phase", "phase", lambda one: phase.value if (phase := communication.owner(one.first).phase) else None),
        Column(name="line", title="line", get=line("producer")),
        Column(name="consumer_line", title="to line", get=line("consumer")),
        Column(name="change", title="from -> to", get=_change, numeric=False, exported=False, weight=ESSENTIAL),
        Column(
            name="lines", title="lines", get=lambda one: _arrow(line("producer")(one), line("consumer")(one)), numeric=False, exported=False
        ),
    )
    people = ("module", "change", "collective", "group", "count", "bytes", "bytes_per_device", "lines", "cause")
    return Table(name="transfer", title="Heaviest transfers", columns=columns, items=items, people=people)


def _change(one: Alike) -> str:
    made, wanted = (",".join(map(str, nd_sbp)) for nd_sbp in (one.first.move.made, one.first.move.wanted))
    return f"{made} -> {wanted}"


def _arrow(producer: int | None, consumer: int | None) -> str:
    """The lines of both ends."""
    return " -> ".join("?" if line is None else str(line) for line in (producer, consumer))


def not_counted_table(communication: Communication) -> Table:
    """A row per reason why tensors that may move are in no sum."""
    found: dict[str, list[NotCounted]] = {}
    for one in communication.not_counted:
        found.setdefault(one.reason, []).append(one)
    columns = (
        Column(name="reason", title="not counted", get=lambda item: item[0], numeric=False),
        Column(name="count", title="tensors", get=lambda item: len(item[1])),
        Column(name="lbn", title="for example", get=lambda item: item[1][0].lbn, numeric=False),
    )
    people = tuple(column.name for column in columns)
    return Table(name="not_counted", title="Not counted", columns=columns, items=list(found.items()), people=people)
