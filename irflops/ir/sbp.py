"""How a logical tensor lies on several devices."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sbp:
    """How a logical tensor lies along one hierarchy dimension: split on an axis, broadcast, or partial sum."""

    kind: str
    """`S`, `B` or `P`."""
    axis: int | None = None
    """The split axis, None unless `kind` is `S`."""

    def __str__(self) -> str:
        return f"S({self.axis})" if self.kind == "S" else self.kind

    @staticmethod
    def parse(text: str) -> Sbp | None:
        """The inverse of `str`: one of `B`, `P`, `S(0)`; None for anything else."""
        if text in ("B", "P"):
            return Sbp(text)
        axis = text[2:-1]
        is_split = text == f"S({axis})" and axis.isascii() and axis.isdecimal() and len(axis) < 4
        return Sbp("S", int(axis)) if is_split else None


NdSbp = tuple[Sbp, ...]
"""One `Sbp` per hierarchy dimension."""
