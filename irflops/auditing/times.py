"""Budgets of time: floor and estimate of a step on a machine, held against limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from irflops.analysis.timing import timed
from irflops.auditing.facts import Facts
from irflops.auditing.finding import Confidence, Measure
from irflops.auditing.rule import Hit, Near, Outcome, Undecided
from irflops.configuration.choices import one_of
from irflops.errors import IrflopsError, quoted
from irflops.ir.certainty import Certainty
from irflops.machines.known import machine_called
from irflops.machines.seconds import EXAMPLES, parsed_seconds, seconds_text
from irflops.machines.time import Asked

TIMES = ("floor_s", "estimate_s")

_PICO = 10**12


def time_limits(value: object) -> dict[str, int]:
    """Limits in picoseconds, of seconds or of texts such as `5ms`. ValueError says what it should be instead."""
    if not isinstance(value, Mapping):
        raise ValueError('should be a table of limits, { estimate_s = "5ms" }')  # noqa: TRY004 - the user's fault, which the caller tells by ValueError
    return {one_of(TIMES, "time")(name): _limit(name, limit) for name, limit in value.items()}


def _limit(name: str, value: object) -> int:
    if isinstance(value, str):
        seconds = parsed_seconds(value)
        if seconds is None:
            raise ValueError(f"{name}: {quoted(value)} is no time; write {EXAMPLES}")
        return round(seconds * _PICO)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e12:
        raise ValueError(f"{name} should be a number of seconds greater than 0, or a text such as 5ms")
    return round(value * _PICO)


def machine_name(value: object) -> str:
    """A machine as a user names it. ValueError where it is no text."""
    if not isinstance(value, str):
        raise ValueError("should be the id of a machine, a100-sxm4-80gb")  # noqa: TRY004 - the same
    return value


def judged(facts: Facts, name: str, limits: Mapping[str, int]) -> Iterator[Outcome]:
    """Whether the times on a machine are within their limits, as far as they are known; an estimate is judged as what it is."""
    if not name or not limits:
        return
    try:
        machine = machine_called(name, facts.machines)
    except IrflopsError:
        return  # a misfit, which is told before
    time = timed(facts.analysis.whole, Asked(machine))
    known = {
        "floor_s": (time.floor_s, time.floor_certainty, time.no_floor),
        "estimate_s": (time.estimate_s, Certainty.ESTIMATE, time.no_estimate),
    }
    for what, limit in limits.items():
        seconds, sure, why = known[what]
        if seconds is None:
            yield Undecided(reason=f"{what} on {machine.id} is not known: {why}", fails=True)
            continue
        value, figure = round(seconds * _PICO), what.replace("_s", "_ps")
        measured, allowed = Measure(figure, value), Measure(figure, limit)
        told = f"takes {sure.sign}{seconds_text(seconds)} at {'least' if what == 'floor_s' else 'an estimate'} on {machine.id}"
        if value > limit:
            certainty = Confidence.PROVEN if what == "floor_s" and sure.is_at_least else Confidence.LIKELY
            message = f"the graph {told}, {seconds_text((value - limit) / _PICO)} more than its budget"
            yield Hit(message=message, subject=f"time/{what}", certainty=certainty, measured=measured, limit=allowed)
        elif what == "floor_s" and not sure.is_at_most:
            yield Undecided(reason=f"the graph {told}, of what is known of it", fails=True)
        else:
            yield Near(message=f"the graph {told}, within its budget", measured=measured, limit=allowed, closeness=value / limit)
