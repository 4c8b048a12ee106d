"""What a change does to the time on a machine, in words."""

from __future__ import annotations

from dataclasses import replace

from irflops.differ.times import TimeChange
from irflops.ir.certainty import Certainty
from irflops.report.sections import Report
from irflops.report.timing import seconds_words


def time_words(times: TimeChange | None) -> list[str]:
    """Both times before and after, and why the estimate changed; nothing where no machine was named."""
    if times is None:
        return []
    floors = " -> ".join(seconds_words(one.floor_s, one.floor_certainty) for one in (times.old, times.new))
    estimates = " -> ".join(seconds_words(one.estimate_s, Certainty.ESTIMATE) for one in (times.old, times.new))
    lines = [f"on {times.old.machine.id}: at least {floors}, about {estimates}"]
    unknown = [
        f"no estimate of the {side} graph: {one.no_estimate}" for side, one in (("old", times.old), ("new", times.new)) if one.no_estimate
    ]
    return [*lines, *dict.fromkeys(unknown), *times.reasons]


def with_times(report: Report, times: TimeChange | None) -> Report:
    """A report of a diff with the times among its facts."""
    words = time_words(times)
    return replace(report, facts=[*report.facts, *(("" if number else "time", text) for number, text in enumerate(words))])
