"""What a change does to the time on a machine, and why: less arithmetic may take longer."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from irflops.analysis.timing import timed
from irflops.differ.conditions import Verdict
from irflops.differ.result import Diff
from irflops.errors import IrflopsError, quoted
from irflops.ir.certainty import Certainty
from irflops.machines.rates import Rates
from irflops.machines.seconds import UNITS, seconds_text
from irflops.machines.time import Asked, Time

TIMES = ("floor_s", "estimate_s")
"""Names of the times in conditions."""

_CONDITION = re.compile(r"\s*(floor_s|estimate_s)\s*(>=|<=|>|<)\s*([+-]?\d{1,12}(?:\.\d{1,12})?)\s*(%|s|ms|us|ns|)\s*")
_SIGNS: dict[str, Callable[[float, float], bool]] = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_NOTICED = 0.01
"""The part of the old estimate from which on a change is told."""


@dataclass(frozen=True)
class Waits:
    """What the operators of the slowest device wait for in a step, and what of it there is."""

    seconds: Mapping[str, float]
    launches: int
    nbytes: int
    products: Mapping[str, int]
    """FLOPs of contractions by where they run: `matrix fp16`."""

    @staticmethod
    def of(time: Time) -> Waits:
        """Those of a graph."""
        rates = Rates(time.machine, tf32=time.asked.tf32)
        products: dict[str, int] = {}
        ops = [one for one in time.slowest.ops if not one.work.is_nothing]
        for one in ops:
            if one.work.contraction and one.work.contraction_type is not None:
                rate = rates.contraction(one.work.contraction_type)
                where = f"{rate.unit} unit in {rate.number}" if rate is not None else f"no unit in {one.work.contraction_type.word}"
                products[where] = products.get(where, 0) + one.work.contraction
        return Waits(time.by_bound, sum(one.op.runs for one in ops), sum(one.work.nbytes for one in ops), products)


@dataclass(frozen=True)
class TimeChange:
    """The times of both graphs on one machine."""

    old: Time
    new: Time
    flops: tuple[int, int]

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """Why the estimate changed, the largest part first; nothing where either has none."""
        if self.old.estimate_s is None or self.new.estimate_s is None:
            return ()
        before, after = Waits.of(self.old), Waits.of(self.new)
        names = dict.fromkeys((*before.seconds, *after.seconds))
        changes = {name: after.seconds.get(name, 0.0) - before.seconds.get(name, 0.0) for name in names}
        told = [name for name in names if abs(changes[name]) >= _NOTICED * max(self.old.estimate_s, 1e-12)]
        told.sort(key=lambda name: -abs(changes[name]))
        found = [f"{seconds_text(changes[name], signed=True)} waiting for {_NAMES[name]}{_why(name, before, after)}" for name in told]
        return (*self._paradox(), *found)

    def _paradox(self) -> Iterator[str]:
        (old, new), before, after = self.flops, self.old.estimate_s, self.new.estimate_s
        if before is None or after is None or not old or not before:
            return
        less, longer = new < old, after > before
        if less == longer and new != old and after != before:
            work = "fewer" if less else "more"
            yield f"{work} FLOPs ({(new - old) / old:+.1%}), and yet {'slower' if longer else 'faster'} ({(after - before) / before:+.1%})"

    def of(self, name: str) -> tuple[float | None, float | None]:
        """A time of both graphs."""
        return (self.old.floor_s, self.new.floor_s) if name == "floor_s" else (self.old.estimate_s, self.new.estimate_s)

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON."""

        def side(time: Time) -> dict[str, Any]:
            sure = {"floor_s": time.floor_certainty.value, "estimate_s": Certainty.ESTIMATE.value}
            return {"floor_s": time.floor_s, "estimate_s": time.estimate_s, "by_bound": dict(time.by_bound), "certainty": sure}

        return {"machine": self.old.machine.id, "old": side(self.old), "new": side(self.new), "reasons": list(self.reasons)}


_NAMES = {
    "matrix": "the matrix unit",
    "vector": "the vector unit",
    "memory": "memory",
    "launch": "launches",
    "communication": "communication",
    "bubble": "other stages of the pipeline",
}


def _why(name: str, before: Waits, after: Waits) -> str:
    """What there is more or less of."""
    if name == "launch":
        return f": {before.launches:,} -> {after.launches:,} kernels"
    if name == "memory":
        return f": {before.nbytes:,} -> {after.nbytes:,} bytes moved in all"
    if name in ("matrix", "vector"):
        return _moved(before.products, after.products)
    return ""


def _moved(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """Which part of the products runs elsewhere."""
    old, new = sum(before.values()), sum(after.values())
    if not old or not new:
        return ""
    shares = {where: after.get(where, 0) / new - before.get(where, 0) / old for where in (*before, *after)}
    where = max(shares, key=lambda name: abs(shares[name]))
    if abs(shares[where]) < _NOTICED:
        return f": {old:,} -> {new:,} FLOPs of products"
    return f": {before.get(where, 0) / old:.0%} -> {after.get(where, 0) / new:.0%} of products on the {where}"


def time_change(diff: Diff, asked: Asked) -> TimeChange:
    """The times of both graphs of a diff."""
    return TimeChange(timed(diff.old, asked), timed(diff.new, asked), (diff.old.total.get("flops"), diff.new.total.get("flops")))


@dataclass(frozen=True, slots=True)
class TimeCondition:
    """A change of a time beyond a limit."""

    text: str
    name: str
    sign: str
    limit: float
    """In seconds, or in percent of the old time."""
    relative: bool

    def judge(self, change: TimeChange) -> Verdict:
        """Whether it is beyond the limit; undecided where either time is not known. An estimate decides as what it is."""
        old, new = change.of(self.name)
        for side, value, time in (("old", old, change.old), ("new", new, change.new)):
            if value is None:
                why = time.no_floor if self.name == "floor_s" else time.no_estimate
                return Verdict(self.text, None, f"unknown in the {side} graph: {why}")
        assert old is not None, "both are known"
        assert new is not None, "both are known"
        guessed = Certainty.UNBOUNDED in (change.old.floor_certainty, change.new.floor_certainty)
        bounded = self.name == "floor_s" and (guessed or change.old.floor_certainty is not change.new.floor_certainty)
        if bounded:
            return Verdict(self.text, None, "the floors are not as sure as one another")
        past = new - old - (old * self.limit / 100 if self.relative else self.limit)
        return Verdict(self.text, _SIGNS[self.sign](past, 0.0), f"{old:.6g} -> {new:.6g} s")


def time_condition(text: str) -> TimeCondition | None:
    """A condition on a time, `estimate_s>+5%` or `floor_s>+2ms`; None where it is on no time. Errors: IrflopsError."""
    if not any(text.strip().startswith(name) for name in TIMES):
        return None
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise IrflopsError(f"{quoted(text)} is no condition", hint="write estimate_s>+5% or floor_s>+2ms")
    name, sign, limit, unit = match.groups()
    relative = unit == "%"
    return TimeCondition(text.strip(), name, sign, float(Fraction(limit) * UNITS.get(unit, 1)), relative)
