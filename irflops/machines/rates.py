"""At which rate a machine does what: the unit and number format of each kind of work, as printed and at the highest clock."""

from __future__ import annotations

from dataclasses import dataclass

from irflops.ir.graph import DType
from irflops.machines.machine import FORMAT_OF, Machine


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast a unit does one kind of work."""

    unit: str
    number: str
    """The number format that it runs in."""
    printed: float
    """FLOP/s, by the machine's sheet."""
    highest: float
    """FLOP/s at the highest clock."""


class Rates:
    """The rates of a machine for the work of a graph."""

    def __init__(self, machine: Machine, *, tf32: bool = True) -> None:
        self.machine = machine
        self._tf32 = tf32
        self._contractions: dict[DType, Rate | None] = {}
        self._others: dict[DType, Rate | None] = {}

    def contraction(self, dtype: DType) -> Rate | None:
        """The rate of multiply-accumulates on operands of a type: the matrix unit's, else the vector unit's; None where it has neither.

        float32 runs as tf32 where the matrix unit has that and no fp32, unless that is turned off.
        """
        if dtype not in self._contractions:
            self._contractions[dtype] = self._of_contraction(FORMAT_OF.get(dtype))
        return self._contractions[dtype]

    def _of_contraction(self, number: str | None) -> Rate | None:
        if number is None:
            return None
        if number == "fp32" and "fp32" not in self.machine.matrix and self._tf32 and "tf32" in self.machine.matrix:
            return self._rate("matrix", "tf32")
        return self._rate("matrix", number) or self._rate("vector", number)

    def other(self, dtype: DType) -> Rate | None:
        """The rate of all other work, whose widest floating-point type this is; None where the vector unit has none."""
        if dtype not in self._others:
            self._others[dtype] = self._rate("vector", FORMAT_OF.get(dtype, ""))
        return self._others[dtype]

    def _rate(self, unit: str, number: str) -> Rate | None:
        printed = self.machine.rates(unit).get(number)
        return None if printed is None else Rate(unit, number, printed, printed * self.machine.boost(unit, number))
