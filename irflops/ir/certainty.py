"""How sure a figure is."""

from __future__ import annotations

import enum


class Certainty(str, enum.Enum):
    """How the true figure relates to the one that is told. A member equals its word and is written as it, in JSON too.

    `a | b` is the certainty of a sum of two figures:

    >>> Certainty.EXACT | Certainty.LOWER_BOUND, Certainty.LOWER_BOUND | Certainty.UPPER_BOUND
    (<Certainty.LOWER_BOUND: 'lower_bound'>, <Certainty.UNBOUNDED: 'unbounded'>)
    """

    EXACT = "exact"
    LOWER_BOUND = "lower_bound"
    """Something that it counts is unknown: the true figure is no less."""
    UPPER_BOUND = "upper_bound"
    """The data decide, and the most is counted: the true figure is no more."""
    UNBOUNDED = "unbounded"
    """Both, or a guess: the true figure may be less or more."""
    ESTIMATE = "estimate"
    """By a model of a device, such as a time: whatever else is in a sum, it stays one."""

    def __or__(self, other: Certainty) -> Certainty:
        if self is other or other is Certainty.EXACT:
            return self
        if self is Certainty.EXACT:
            return other
        return Certainty.ESTIMATE if Certainty.ESTIMATE in (self, other) else Certainty.UNBOUNDED

    def __str__(self) -> str:
        return self.value

    @property
    def is_exact(self) -> bool:
        """Whether the true figure is the one that is told."""
        return self is Certainty.EXACT

    @property
    def sign(self) -> str:
        """What stands before a figure of which this is how sure it is."""
        return _SIGNS[self]

    @property
    def is_at_least(self) -> bool:
        """Whether the true figure is surely no less than the one that is told."""
        return self in (Certainty.EXACT, Certainty.LOWER_BOUND)

    @property
    def is_at_most(self) -> bool:
        """Whether the true figure is surely no more than the one that is told."""
        return self in (Certainty.EXACT, Certainty.UPPER_BOUND)

    def of_difference(self, less: Certainty) -> Certainty:
        """How sure a difference is, where this is the certainty of a figure and `less` that of what is taken from it."""
        turned = {Certainty.LOWER_BOUND: Certainty.UPPER_BOUND, Certainty.UPPER_BOUND: Certainty.LOWER_BOUND}
        return self | turned.get(less, less)

    @property
    def of_quotient(self) -> Certainty:
        """How sure a quotient is, where this is the certainty of both of its figures together: what bounds them does not bound it."""
        return self if self in (Certainty.EXACT, Certainty.ESTIMATE) else Certainty.UNBOUNDED

    def tells_direction(self, change: int) -> bool:
        """Whether a change so sure is surely up, or surely down, as its figure says.

        >>> Certainty.LOWER_BOUND.tells_direction(5), Certainty.LOWER_BOUND.tells_direction(-5), Certainty.EXACT.tells_direction(0)
        (True, False, True)
        """
        return (
            self in (Certainty.EXACT, Certainty.ESTIMATE)
            or (self is Certainty.LOWER_BOUND and change > 0)
            or (self is Certainty.UPPER_BOUND and change < 0)
        )


_SIGNS = {
    Certainty.EXACT: "",
    Certainty.LOWER_BOUND: ">= ",
    Certainty.UPPER_BOUND: "<= ",
    Certainty.UNBOUNDED: "~ ",
    Certainty.ESTIMATE: "~ ",
}
