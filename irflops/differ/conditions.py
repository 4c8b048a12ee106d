"""Conditions under which a diff fails: how much a cost may change, or that nothing may."""

from __future__ import annotations

import difflib
import operator
import re
from dataclasses import dataclass
from fractions import Fraction

from irflops.counting.cost import COSTS
from irflops.differ.result import Diff
from irflops.errors import IrflopsError
from irflops.ir.certainty import Certainty

STRUCTURE = "structure"
"""The condition that there is any edit."""

_COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_CONDITION = re.compile(r"\s*([a-z_.]+)\s*(>=|<=|>|<)\s*([+-]?\d{1,18}(?:\.\d{1,9})?(?:e\+?\d{1,2})?)\s*(%?)\s*")


@dataclass(frozen=True, slots=True)
class Condition:
    """A change of a total beyond a limit; `structure` where there is any edit."""

    text: str
    cost: str
    sign: str = ">"
    limit: Fraction = Fraction(0)
    relative: bool = False
    """Whether the limit is in percent of the old total."""

    def holds(self, diff: Diff) -> bool:
        """Whether the diff is beyond the limit. Totals are what is known of them."""
        if self.cost == STRUCTURE:
            return bool(diff.edits)
        old, new = (analysis.total.get(self.cost) for analysis in (diff.old, diff.new))
        limit = abs(old) * self.limit / 100 if self.relative else self.limit
        found: bool = _COMPARE[self.sign](new - old, limit)
        return found

    def is_sure(self, diff: Diff) -> bool:
        """Whether both totals are exact."""
        if self.cost == STRUCTURE:
            return True
        return all(analysis.total.certainty(self.cost) is Certainty.EXACT for analysis in (diff.old, diff.new))


def condition(text: str) -> Condition:
    """A condition of `macs>+1%`, `flops>+1e9`, `params.trainable>0` or `structure`: limits are on the change. Errors: IrflopsError."""
    if text.strip() == STRUCTURE:
        return Condition(text.strip(), STRUCTURE)
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise IrflopsError(f"{text!r} is no condition", hint="write macs>+1%, flops>+1e9, params.trainable>0 or structure")
    if match[1] not in COSTS:
        near = difflib.get_close_matches(match[1], COSTS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"costs: {', '.join(COSTS)}"
        raise IrflopsError(f"there is no cost {match[1]!r}", hint=hint)
    return Condition(text.strip(), match[1], match[2], Fraction(match[3]), bool(match[4]))
