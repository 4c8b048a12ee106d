"""Counts by row: what a softmax takes along the last axis, alone or within a loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

from irflops.ops.work import Work


@dataclass(frozen=True, slots=True)
class RowCounts:
    """What one row of n elements takes: `per_element` * n + `per_row` arithmetic, `exps` * n + `logs` transcendentals."""

    per_element: int
    per_row: int
    exps: int = 0
    logs: int = 0

    @property
    def text(self) -> str:
        """The formula text for one row."""
        transcendentals = ("0", "n", "1", "n + 1")[self.exps + 2 * self.logs]
        flops = f"{self.per_element}n - {-self.per_row}"
        return f"for each row of n along the last axis: flops = {flops}, transcendentals = {transcendentals}"


SOFTMAX = RowCounts(4, -2, exps=1)
"""n - 1 maxima, n differences, n exps, n - 1 additions, n quotients."""
SOFTMAX_GRAD = RowCounts(4, -1)
"""n products y * dy, n - 1 additions, n differences, n products."""
LOG_SOFTMAX = RowCounts(4, -2, exps=1, logs=1)
"""n - 1 maxima, n differences, n exps, n - 1 additions, a logarithm, n differences."""
LOG_SOFTMAX_GRAD = RowCounts(3, -1, exps=1)
"""n - 1 additions, n exps, n products, n differences."""


def plus(row: RowCounts, per_element: int) -> RowCounts:
    """The counts with more arithmetic per element."""
    return RowCounts(row.per_element + per_element, row.per_row, row.exps, row.logs)


def row_work(shape: tuple[int, ...], row: RowCounts) -> Work:
    """The work of all rows along the last axis of a shape; a scalar is one row of one element."""
    elements = math.prod(shape)
    rows = math.prod(shape[:-1]) if elements else 0
    return Work(
        arithmetic=row.per_element * elements + row.per_row * rows,
        transcendentals=row.exps * elements + row.logs * rows,
    )
