"""A figure over another."""

from __future__ import annotations

from dataclasses import dataclass

from irflops.ir.certainty import Certainty


@dataclass(frozen=True, slots=True)
class Ratio:
    """A part of a whole, or work per byte. The whole may be 0, and then there is no ratio."""

    part: int
    whole: int
    certainty: Certainty = Certainty.EXACT

    @property
    def rounded(self) -> int:
        """The nearest integer, halves up."""
        return (2 * self.part + self.whole) // (2 * self.whole)
