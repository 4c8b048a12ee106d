"""What a device holds, for people: a line a part, a plot over the step, and the tensors at the peak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from irflops.counting.ratio import Ratio
from irflops.fitting.ways import Fit
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Phase
from irflops.memory.memory import ClassMemory, Memory
from irflops.memory.plan import Tensor
from irflops.report.devices import ranks_words
from irflops.report.numbers import Figure, format_count, format_share
from irflops.report.table import Column, Table

_WIDTH, _HEIGHT = 60, 8
_EIGHTHS = " ▁▂▃▄▅▆▇█"


def memory_facts(memory: Memory, limit: int | None = None, fit: Fit | None = None) -> list[tuple[str, str]]:
    """What the device that holds most holds: labels and texts."""
    one = memory.largest
    plan = one.plan
    peak = plan.peak_op
    facts = [
        ("graph", f"{memory.graph.name}, {'training' if memory.graph.training else 'inference'}, on {plan.kind.value.upper()}"),
        ("total", format_count(plan.total, "bytes", one.certainty)),
        ("variables", f"{format_count(plan.variables, 'bytes')}{_kinds(one)}"),
    ]
    if plan.kind.value == "cpu":
        facts.append(("tensors", f"{format_count(plan.arena, 'bytes')}: on a CPU OneFlow reuses no memory"))
    else:
        facts.append(("kept", f"{format_count(plan.unreused, 'bytes')} for the whole run: inputs, outputs, constants, copies"))
        facts.append(
            ("arena", f"{format_count(plan.arena, 'bytes')} shared over time, of which {format_count(plan.bound, 'bytes')} are in use")
        )
    if peak is not None:
        where = f" in {peak.module}" if peak.module else ""
        facts.append(("peak", f"at {peak.name}{where}, {peak.phase.value if peak.phase else 'no phase'}"))
    if len(memory.classes) > 1:
        facts.append(("of", f"{ranks_words(one.ranks)}, which hold most"))
    facts.append(("certainty", one.certainty.value))
    if limit is not None:
        room = limit - plan.total
        text = f"fits in {format_count(limit, 'bytes')}, {format_count(room, 'bytes')} left"
        facts.append(
            ("fits", text if room >= 0 else f"does not fit in {format_count(limit, 'bytes')}: {format_count(-room, 'bytes')} too much")
        )
    if fit is not None and fit.largest_batch is not None and fit.largest_batch.change.batch is not None:
        batch = fit.largest_batch
        facts.append(
            ("batch", f"{batch.change.batch:,} is the largest that fits, with {format_count(batch.total, 'bytes', batch.certainty)}")
        )
    facts += [("note", note.text) for note in memory.notes]
    return facts


def _kinds(one: ClassMemory) -> str:
    parts = [f"{kind.replace('_', ' ')} {format_count(size, 'bytes')}" for kind, size in one.variables_by_kind.items() if size]
    return f": {', '.join(parts)}" if len(parts) > 1 else ""


def class_table(memory: Memory) -> Table:
    """A row per class of devices: what one of them holds."""

    def figure(name: str, title: str) -> Column:
        def get(one: ClassMemory) -> Figure:
            return Figure(getattr(one.plan, name), one.certainty if name == "total" else Certainty.EXACT)

        return Column(name=name, title=title, get=get, unit="bytes")

    columns = (
        Column(name="ranks", title="each of", get=lambda one: ranks_words(one.ranks), numeric=False),
        Column(name="device", title="device", get=lambda one: one.plan.kind.value, numeric=False),
        figure("variables", "variables"),
        figure("unreused", "kept"),
        figure("arena", "arena"),
        figure("bound", "in use"),
        figure("total", "total"),
        Column(name="certainty", title="certainty", get=lambda one: one.certainty.value, numeric=False),
    )
    return Table(
        name="memory", title="Memory of a device", columns=columns, items=memory.classes, people=tuple(column.name for column in columns)
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """Tensors at the peak of one kind."""

    name: str
    nbytes: int
    count: int


def kind_table(one: ClassMemory) -> Table:
    """What the peak is made of: a row per kind of tensor, and of the modules that made them the one with most."""
    sums: dict[str, list[int]] = {}
    for tensor in one.plan.at_peak:
        sums.setdefault(one.kind_of(tensor), []).append(tensor.nbytes)
    parts = sorted((_Part(kind, sum(sizes), len(sizes)) for kind, sizes in sums.items()), key=lambda part: -part.nbytes)
    whole = sum(part.nbytes for part in parts)
    columns = (
        Column(name="kind", title="kind", get=lambda part: part.name, numeric=False),
        Column(name="tensors", title="tensors", get=lambda part: part.count),
        Column(name="bytes", title="bytes", get=lambda part: Figure(part.nbytes), unit="bytes"),
        Column(name="bytes_share", title="share", get=lambda part: Ratio(part.nbytes, whole)),
    )
    return Table(name="peak", title="The peak by kind", columns=columns, items=parts, people=("kind", "tensors", "bytes", "bytes_share"))


def held_table(one: ClassMemory) -> Table:
    """What is held longer than anything needs it: a row per reason."""
    whole = one.plan.total
    columns = (
        Column(name="why", title="what", get=lambda held: held.why, numeric=False, prose=True),
        Column(name="tensors", title="tensors", get=lambda held: held.count),
        Column(name="bytes", title="bytes", get=lambda held: Figure(held.nbytes), unit="bytes"),
        Column(name="bytes_share", title="of all", get=lambda held: Ratio(held.nbytes, whole)),
    )
    return Table(
        name="held", title="Held for no good reason", columns=columns, items=one.plan.held, people=tuple(column.name for column in columns)
    )


def tensor_table(one: ClassMemory) -> Table:
    """The tensors that are alive at the peak, the largest first."""
    tensors: Sequence[Tensor] = one.plan.at_peak
    columns = (
        Column(name="lbn", title="tensor", get=lambda tensor: tensor.lbn, numeric=False),
        Column(name="bytes", title="bytes", get=lambda tensor: Figure(tensor.nbytes), unit="bytes"),
        Column(name="kind", title="kind", get=one.kind_of, numeric=False),
        Column(name="dies", title="until", get=lambda tensor: tensor.dies.name, numeric=False),
        Column(name="module", title="module", get=lambda tensor: tensor.born.module, numeric=False),
    )
    people = ("lbn", "bytes", "kind", "dies")
    return Table(name="tensor", title="Tensors at the peak", columns=columns, items=tensors, people=people)


def plot(one: ClassMemory) -> str:
    """The bytes that are in use over the steps of the chain that holds most, as bars of characters."""
    curve = one.plan.curve
    width = min(_WIDTH, len(curve))
    starts = [at * len(curve) // width for at in range(width + 1)]
    columns = [max(curve[start:end]) for start, end in pairwise(starts)]
    most = max(columns) or 1
    labels = [format_count(most, "bytes")] + [""] * (_HEIGHT - 1)
    lines = []
    for row in range(_HEIGHT):
        below = (_HEIGHT - 1 - row) * 8
        bars = "".join(_EIGHTHS[min(max(value * _HEIGHT * 8 // most - below, 0), 8)] for value in columns)
        lines.append(f" {labels[row]:>10} │{bars}".rstrip())
    lines.append(f" {'':>10} └{'─' * width}")
    lines.append(f" {'':>10}  {_phase_labels(one, width)}".rstrip())
    mean = format_share(Ratio(sum(curve), most * len(curve)))
    return "\n".join([f"In use over the step: {len(curve):,} operators, on average {mean} of the peak", *lines])


def _phase_labels(one: ClassMemory, width: int) -> str:
    """The phases of a step, each below the middle of its operators; one that has no room is left out."""
    steps: dict[Phase, list[int]] = {}
    for at, op in enumerate(one.plan.steps):
        if op.phase is not None and op.phase is not Phase.SYSTEM:
            steps.setdefault(op.phase, []).append(at)
    line = ""
    for middle, name in sorted((found[len(found) // 2], phase.value) for phase, found in steps.items()):
        column = max(middle * width // len(one.plan.steps) - len(name) // 2, 0)
        if not line or column > len(line):
            line = f"{line:<{column}}{name}"
    return line
