"""Whether the plan of a graph's memory fits into a machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from irflops.analysis.analysis import Analysis
from irflops.errors import IrflopsError
from irflops.ir.certainty import Certainty
from irflops.machines.machine import Machine
from irflops.memory.memory import Asked, memory_of
from irflops.ops.temporary import DeviceKind

CONTEXT = 500 << 20
"""Bytes that CUDA and its libraries hold beside the graph unless told otherwise: 300 to 1,000 MiB are seen."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What the device needs that holds most, and what there is."""

    needed_bytes: int | None
    usable_bytes: int | None
    """What a machine has for it, its context taken away; None where its memory is not known."""
    context_bytes: int
    by_label: bool
    """Whether what is usable is not known and the label stands for it."""
    certainty: Certainty
    """Of what it needs."""
    why: str | None = None
    """Why nothing is known of what it needs."""

    @property
    def fits(self) -> bool | None:
        """Whether it fits; None where that is not known, so too where a bound decides nothing."""
        if self.needed_bytes is None or self.usable_bytes is None:
            return None
        enough = self.needed_bytes <= self.usable_bytes
        decided = self.certainty in (Certainty.EXACT, Certainty.ESTIMATE) or (self.certainty is Certainty.LOWER_BOUND and not enough)
        return enough if decided else None

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON."""
        return {
            "fits": self.fits,
            "needed_bytes": self.needed_bytes,
            "certainty": self.certainty.value,
            "usable_bytes": self.usable_bytes,
            "context_bytes": self.context_bytes,
            "by_label": self.by_label,
            "why": self.why,
        }


def fit_of(analysis: Analysis, machine: Machine, context: int | None = None) -> Fit:
    """Whether a whole graph fits into a machine, by the plan of OneFlow 0.9.0 for its kind of device."""
    on_cpu = machine.kind == "cpu"
    taken = context if context is not None else 0 if on_cpu else CONTEXT
    size = machine.usable_bytes if machine.usable_bytes is not None else machine.memory_bytes
    usable = None if size is None else max(size - taken, 0)
    by_label = machine.usable_bytes is None and machine.memory_bytes is not None
    asked = Asked(DeviceKind.CPU if on_cpu else DeviceKind.CUDA)
    try:
        planned = memory_of(analysis.graph, analysis.inference.types, analysis.devices, analysis.book, asked)
    except IrflopsError as error:
        return Fit(None, usable, taken, by_label, Certainty.ESTIMATE, error.message)
    if not planned.classes:
        return Fit(None, usable, taken, by_label, Certainty.ESTIMATE, "no device holds anything")
    largest = planned.largest
    return Fit(largest.plan.total, usable, taken, by_label, largest.certainty)
