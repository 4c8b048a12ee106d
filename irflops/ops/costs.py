"""Cost rules that several families share."""

from __future__ import annotations

from collections.abc import Callable

from irflops.ops.op_view import OpView
from irflops.ops.work import Work

WorkRule = Callable[[OpView], Work]
"""The work of one run, from shapes. Attributes only where shapes do not tell, and never one that holds a logical size."""


def no_work(_op: OpView) -> Work:
    """Moves data at most: no arithmetic."""
    return Work()


def one_per_element(arg: str) -> WorkRule:
    """A cost rule: one operation per element of an operand."""

    def cost(op: OpView) -> Work:
        return Work(arithmetic=op.numel(arg))

    return cost


def fold(elements: int, results: int) -> int:
    """Operations that fold so many elements into so many results: n - 1 for n to 1, none where there is nothing to fold."""
    return max(0, elements - results)


def ceil_log2(n: int) -> int:
    """The least k with 2**k >= n, exactly; 0 for an empty axis."""
    return max(n - 1, 0).bit_length()
