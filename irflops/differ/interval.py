"""What is known of a number: the least and the most that it can be."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`, both included; None is no limit. Sums and multiples of numbers lie in those of their intervals."""

    low: Fraction | None
    high: Fraction | None

    def __add__(self, other: Interval) -> Interval:
        low = None if self.low is None or other.low is None else self.low + other.low
        return Interval(low, None if self.high is None or other.high is None else self.high + other.high)

    def __mul__(self, times: Fraction) -> Interval:
        if not times:
            return exactly(0)
        low, high = (None if end is None else end * times for end in (self.low, self.high))
        return Interval(low, high) if times > 0 else Interval(high, low)


def exactly(value: int | Fraction) -> Interval:
    """The interval of a number that is known."""
    return Interval(Fraction(value), Fraction(value))
