"""Limits on the figures of one graph, as users write them: `memory_bytes>24GiB`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from irflops.analysis.named import amount
from irflops.errors import IrflopsError, quoted
from irflops.ir.certainty import Certainty

_SIGNS: dict[str, Callable[[int, Fraction], bool]] = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_LIMIT = re.compile(r"\s*([a-z_.]+)\s*(>=|<=|>|<)\s*(.*?)\s*")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a limit."""

    limit: Limit
    holds: bool | None
    """None where what is unknown decides."""
    value: int
    certainty: Certainty

    @property
    def fails(self) -> bool:
        """Whether a gate stays shut by it: what cannot be decided does not pass."""
        return self.holds is not False

    def __str__(self) -> str:
        found = "cannot be decided" if self.holds is None else "holds" if self.holds else "does not hold"
        return f"{self.limit.text} {found}: {self.limit.name} are {self.certainty.sign}{self.value:,}"


@dataclass(frozen=True, slots=True)
class Limit:
    """A figure beyond an amount."""

    text: str
    name: str
    sign: str
    amount: Fraction

    def judge(self, value: int, certainty: Certainty) -> Verdict:
        """Whether a figure so sure is beyond the amount, whatever the true one may be. An estimate decides as what it is."""
        beyond = _SIGNS[self.sign](value, self.amount)
        rises = self.sign.startswith(">")
        # What is at least so much, and beyond already, is beyond; what is at most so much, and not beyond, is not.
        sure = certainty in (Certainty.EXACT, Certainty.ESTIMATE) or (certainty.is_at_least if beyond == rises else certainty.is_at_most)
        return Verdict(self, beyond if sure else None, value, certainty)


def limit_called(text: str, names: Sequence[str]) -> Limit:
    """A limit on one of some figures, of `memory_bytes>24GiB`. Errors: IrflopsError."""
    how = f"write {names[0]}>24GiB"
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise IrflopsError(f"{quoted(text)} is no condition", hint=how)
    name, sign, limit = match.groups()
    if name not in names:
        raise IrflopsError(f"there is no {quoted(name)} here", hint=f"conditions are on {', '.join(names)}")
    try:
        return Limit(text.strip(), name, sign, amount(limit, name))
    except ValueError as error:
        message, _, hint = str(error).partition("; ")
        raise IrflopsError(f"{quoted(text)} is no condition: {message}", hint=hint or how) from None
