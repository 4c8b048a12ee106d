"""The times that a command was asked for: a machine looked up, a step timed, its utilization, and whether it fits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from irflops.analysis.analysis import Analysis
from irflops.analysis.fits import Fit, fit_of
from irflops.analysis.timing import timed
from irflops.cli.timing import Wanted
from irflops.configuration.config import Config
from irflops.devices.nodes import RANKS_PER_NODE
from irflops.machines.known import machine_called, network_called, users_machines
from irflops.machines.rows import time_row, utilization_row
from irflops.machines.time import Asked, Time
from irflops.machines.utilization import Utilization, utilization_of
from irflops.report.sections import Report
from irflops.report.table import printable
from irflops.report.timing import time_facts


@dataclass(frozen=True, slots=True)
class Timing:
    """What was asked of a graph's times."""

    time: Time
    utilization: Utilization | None
    fit: Fit

    def members(self) -> dict[str, Any]:
        """What the JSON gains."""
        found: dict[str, Any] = {"time": time_row(self.time) | {"memory": self.fit.to_dict()}}
        if self.utilization is not None:
            found["utilization"] = utilization_row(self.utilization)
        return found


def asked_of(wanted: Wanted, config: Config) -> Asked:
    """The machine and settings that are meant. Errors: IrflopsError where there are none of these names."""
    assert wanted.machine is not None, "a machine is named"
    machine = machine_called(wanted.machine, users_machines(config, wanted.machine_file))
    return Asked(
        machine,
        tf32=not wanted.no_tf32,
        efficiency=wanted.efficiency or 1.0,
        network=network_called(wanted.network) if wanted.network is not None else None,
        ranks_per_node=wanted.ranks_per_node or RANKS_PER_NODE,
        micro_batches=wanted.micro_batches,
    )


def timing_of(analysis: Analysis, asked: Asked, wanted: Wanted) -> Timing:
    """The times of a whole graph. Errors: IrflopsError."""
    found = timed(analysis.whole, asked)
    used = utilization_of(found, wanted.step_time) if wanted.step_time is not None else None
    return Timing(found, used, fit_of(analysis.whole, asked.machine, wanted.context))


def timed_report(report: Report, analysis: Analysis, wanted: Wanted, config: Config) -> Report:
    """The report of an analysis with the times of the whole graph among its facts and notes."""
    found = timing_of(analysis, asked_of(wanted, config), wanted)
    facts = [*report.facts, *time_facts(found.time, found.utilization, found.fit)]
    return replace(report, facts=facts, notes=[*report.notes, *(printable(note.text) for note in found.time.notes)])
