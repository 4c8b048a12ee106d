"""The work of an op, as a rule tells it, and why a rule cannot."""

from __future__ import annotations

from dataclasses import dataclass

FMA = 2
"""FLOPs of one multiply-accumulate: a multiplication and an addition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Arithmetic of one run of an op; None is a count that cannot be known.

    `flops` is never stated twice: it follows as `FMA * macs + arithmetic`.
    """

    macs: int | None = 0
    """Multiply-accumulates of a contraction."""
    arithmetic: int | None = 0
    """Arithmetic operations beyond those of the multiply-accumulates."""
    transcendentals: int | None = 0
    """exp, log, tanh, erf, sqrt, rsqrt, pow, sin...: counted apart."""

    @property
    def flops(self) -> int | None:
        """All arithmetic operations, a multiply-accumulate as two."""
        return None if self.macs is None or self.arithmetic is None else FMA * self.macs + self.arithmetic


UNKNOWN_WORK = Work(macs=None, arithmetic=None, transcendentals=None)


class Unknowable(Exception):
    """A rule cannot answer from what this form holds."""

    reason = "missing_attribute"

    def __init__(self, what: str, *, known: Work = UNKNOWN_WORK) -> None:
        super().__init__(what)
        self.what = what
        self.known = known
        """The counts that are known all the same."""


class MissingAttribute(Unknowable):
    """An attribute is not in this form."""


class MissingShape(Unknowable):
    """A shape or dtype is not known."""

    reason = "missing_shape"
