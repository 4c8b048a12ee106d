"""Conditions under which a diff fails: how much a cost may change, or that nothing may. What cannot be decided fails too."""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from irflops.analysis.analysis import Analysis
from irflops.analysis.named import (
    DECLARED,
    MEMORY,
    NAMES,
    OF_MODEL,
    OF_THE_WHOLE,
    PER_SAMPLE,
    amount,
    cost_called,
    cost_of,
    hides_states_alone,
)
from irflops.counting.cost import Cost
from irflops.counting.fold import UNTYPED, bounded, unsure_bits
from irflops.differ.interval import Interval, exactly
from irflops.differ.peaks import peak_words
from irflops.differ.result import Diff
from irflops.errors import IrflopsError
from irflops.ir.certainty import Certainty

STRUCTURE = "structure"
"""The condition that there is any edit."""

SAMPLE = "per_sample."
"""What stands before a cost where totals are compared by sample, so that another batch is no change."""

_SIGNS: dict[str, tuple[Callable[[Any, Any], bool], Callable[[Any, Any], bool]]] = {
    ">": (operator.gt, operator.le),
    ">=": (operator.ge, operator.lt),
    "<": (operator.lt, operator.ge),
    "<=": (operator.le, operator.gt),
}
"""By sign, when a difference from 0 holds, and when it does not."""

_CONDITION = re.compile(r"\s*((?:per_sample\.)?)([a-z_.]+)\s*(>=|<=|>|<)\s*([^%]*?)\s*(%?)\s*")
_HOW = "write macs>+1%, flops>+1e9, bytes>+3MiB, per_sample.macs>+1%, params.trainable>0 or structure"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a condition."""

    condition: str
    holds: bool | None
    """None where what is unknown decides."""
    why: str

    @property
    def fails(self) -> bool:
        """Whether the diff fails by it."""
        return self.holds is not False

    def __str__(self) -> str:
        return f"{self.condition} {'cannot be decided' if self.holds is None else 'holds' if self.holds else 'does not hold'}: {self.why}"

    def to_dict(self) -> dict[str, Any]:
        """The verdict as plain data."""
        return {"condition": self.condition, "holds": self.holds, "why": self.why}


@dataclass(frozen=True, slots=True)
class Condition:
    """A change of a total beyond a limit; `structure` where there is any edit."""

    text: str
    cost: str
    sign: str = ">"
    limit: Fraction = Fraction(0)
    relative: bool = False
    """Whether the limit is in percent of the old total."""
    by_sample: bool = False
    """Whether both totals are divided by their batches."""

    def judge(self, diff: Diff) -> Verdict:
        """Whether the diff is beyond the limit, whatever the unknown may be; undecided where that depends on it."""
        if self.cost == STRUCTURE:
            return Verdict(self.text, bool(diff.edits), f"there are {len(diff.edits):,} edits" if diff.edits else "nothing changed")
        batches = [analysis.batch if self.by_sample else 1 for analysis in (diff.old, diff.new)]
        if not all(batches):
            side = "old" if not batches[0] else "new"
            return Verdict(self.text, None, f"the {side} graph has no input that tells its batch")
        before, after = (Fraction(1, batch) for batch in batches if batch)
        old, new = _side(diff, 0, self.cost), _side(diff, 1, self.cost)
        factor = -before * (1 + self.limit / 100 if self.relative else 1)
        past = new.own * after + old.own * factor + old.shared * (after + factor) + exactly(0 if self.relative else -self.limit)
        holds, fails = _SIGNS[self.sign]
        # A difference is monotonic in each of its ends: what holds at the end that speaks most against it holds.
        least, most = (past.low, past.high) if self.sign.startswith(">") else (past.high, past.low)
        found = True if least is not None and holds(least, 0) else False if most is not None and fails(most, 0) else None
        return Verdict(self.text, found, self._change(diff, before, after) if found is not None else self._doubt(old, new))

    def _change(self, diff: Diff, before: Fraction, after: Fraction) -> str:
        (old, sure), (new, sure_too) = (cost_of(analysis, self.cost) for analysis in (diff.old, diff.new))
        values = [Fraction(value or 0) * times for value, times in ((old, before), (new, after))]
        words = [f"{certainty.sign}{_number(value)}" for value, certainty in zip(values, (sure, sure_too), strict=True)]
        if self.cost == MEMORY:
            words[1] = "; ".join(filter(None, (words[1], peak_words(diff.old, diff.new))))
        return f"{words[0]} -> {words[1]}{' per sample' if self.by_sample else ''}"

    def _doubt(self, old: _Side, new: _Side) -> str:
        if old.doubt and old.doubt == new.doubt:
            return f"unknown in both graphs: {old.doubt}"
        said = [f"in the {name} graph: {side.doubt}" for name, side in (("old", old), ("new", new)) if side.doubt]
        return f"unknown {', '.join(said)}" if said else f"the whole is unknown, which in both graphs has {old.unknown}"


@dataclass(frozen=True, slots=True)
class _Side:
    """What is known of a total of one graph."""

    own: Interval
    shared: Interval
    """What is the same in the other graph; the total is the sum of both."""
    doubt: str
    """Why its own part is not known; nothing where it is."""
    unknown: str
    """Why the shared part is not known; nothing where it is."""


def _side(diff: Diff, at: int, name: str) -> _Side:
    analysis, names = ((diff.old, diff.shared.old), (diff.new, diff.shared.new))[at]
    if name in OF_THE_WHOLE:
        return _of_the_whole(diff, analysis, name)
    total = analysis.total
    if diff.shared.hidden:
        return _Side(exactly(0), _possible(total, name), "", _hidden(analysis) if not total.certainty(name).is_at_most else "")
    known = Fraction(total.get(name))
    own, common = exactly(0), exactly(0)
    open_types: list[Counter[str]] = [Counter(), Counter()]
    for op, found in zip(analysis.graph.ops, analysis.costs, strict=True):
        cost = found.cost
        if not cost.missing | cost.at_most or cost.is_exact(name):
            continue
        cost *= op.runs
        known -= cost.get(name)
        is_shared = op.name in names and not (name == "saved_bytes" and op.name in diff.shared.readers)
        own, common = (own, common + _possible(cost, name)) if is_shared else (own + _possible(cost, name), common)
        open_types[is_shared][op.type or "|".join(op.type_candidates) or UNTYPED] += 1
    own += exactly(known)
    hidden = bounded(Cost(total.figures, total.params, total.param_bytes), unsure_bits(analysis.graph)).certainty(name)
    if name in OF_MODEL and hides_states_alone(analysis):
        hidden = Certainty.EXACT
    least = own.low if hidden.is_at_least else Fraction(0) if common == exactly(0) else None  # no total is below 0
    own = Interval(least, own.high if hidden.is_at_most else None)
    doubts = [*([_types(open_types[0])] if open_types[0] else []), *[_hidden(analysis)] * (not hidden.is_exact)]
    return _Side(own, common, " and ".join(doubts), _types(open_types[1]) if open_types[1] else "")


def _of_the_whole(diff: Diff, analysis: Analysis, name: str) -> _Side:
    value, sure = cost_of(analysis, name)
    if value is not None and sure is Certainty.ESTIMATE:  # by its nature: who sets a limit on an estimate means the estimate
        return _Side(exactly(value), exactly(0), "", "")
    found = Interval(Fraction(value or 0 if sure.is_at_least else 0), Fraction(value) if value is not None and sure.is_at_most else None)
    nothing = "no line declares them" if name == DECLARED else "the form does not tell how operators want their operands"
    doubt = "" if sure.is_exact else nothing if value is None else _hidden(analysis) if analysis.graph.partial else "parts are not known"
    # A device may hold more though no operator changed: it may be of another kind.
    same = diff.shared.hidden and (name != MEMORY or cost_of(diff.old, name) == cost_of(diff.new, name))
    return _Side(exactly(0), found, "", doubt) if same else _Side(found, exactly(0), doubt, "")


def _possible(cost: Cost, name: str) -> Interval:
    """What a cost may be in truth."""
    sure, value = cost.certainty(name), Fraction(cost.get(name))
    return Interval(value if sure.is_at_least else Fraction(0), value if sure.is_at_most else None)


def _types(found: Counter[str]) -> str:
    count, (first, _) = sum(found.values()), found.most_common(1)[0]
    return f"{count:,} operator{'s' * (count > 1)} ({first}{', ...' if len(found) > 1 else ''})"


def _hidden(analysis: Analysis) -> str:
    """What may hold more than was counted, whatever the operators say."""
    if analysis.graph.partial:
        return "parts that were not read"
    return "readings of the what-if" if not analysis.graph.doubt.is_exact else "what its form never tells of a training step"


def _number(value: Fraction) -> str:
    return f"{int(value):,}" if value.denominator == 1 else f"{float(value):,.2f}" if value < 10**15 else f"{int(value):,}"


def condition(text: str) -> Condition:
    """A condition of `macs>+1%`, `flops>+1e9`, `bytes>+3MiB`, `per_sample.macs>+1%` or `structure`: limits are on the change.

    Errors: IrflopsError.
    """
    if text.strip() == STRUCTURE:
        return Condition(text.strip(), STRUCTURE)
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise IrflopsError(f"{text!r} is no condition", hint=_HOW)
    sample, name, sign, limit, percent = match.groups()
    cost_called(name)
    if sample and name not in PER_SAMPLE:
        hint = f"costs that a sample has: {', '.join(known for known in NAMES if known in PER_SAMPLE)}"
        raise IrflopsError(f"{name} are of the graph, whatever the batch", hint=hint)
    try:
        found = amount(limit, "macs" if percent else name)
    except ValueError as error:
        message, _, hint = str(error).partition("; ")
        raise IrflopsError(f"{text!r} is no condition: {message}", hint=_HOW if percent else hint or None) from None
    return Condition(text.strip(), name, sign, found, bool(percent), bool(sample))
