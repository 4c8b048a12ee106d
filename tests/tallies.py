"""Numbers that tally what is done to them, for loops that do the work of an op, and what its rule says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from irflops.ir.graph import Attrs, AttrValue, DType, TensorType
from irflops.ops import BOOK
from irflops.ops.op_view import OpView
from irflops.ops.work import Work

Shape = tuple[int, ...]
Shapes = Shape | list[Shape]


@dataclass
class Tally:
    """Counts of the operations done so far."""

    macs: int = 0
    arithmetic: int = 0
    transcendentals: int = 0

    def do(self, times: int = 1) -> None:
        self.arithmetic += times

    def work(self) -> Work:
        return Work(macs=self.macs, arithmetic=self.arithmetic, transcendentals=self.transcendentals)


class Number:
    """A number that tallies what is done to it; its value does not matter."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    def _operate(self, _other: object) -> Number:
        self.tally.arithmetic += 1
        return self

    __add__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = _operate

    def function(self) -> Number:
        """A sigmoid or a tanh."""
        self.tally.transcendentals += 1
        return self

    def plus_product(self, _a: Number, _b: Number) -> Number:
        """One multiply-accumulate."""
        self.tally.macs += 1
        return self


def summed(numbers: Sequence[Number]) -> Number:
    """The sum, one addition between each two."""
    total = numbers[0]
    for number in numbers[1:]:
        total = total + number
    return total


def ruled(op_type: str, inputs: Mapping[str, Shapes], results: Mapping[str, Shapes], **attrs: AttrValue) -> Work:
    """The work, as the rule of the op type has it, after its shape rule gave the results."""

    def tensors(shapes: Shapes) -> list[TensorType]:
        return [TensorType(shape, DType.FLOAT32) for shape in (shapes if isinstance(shapes, list) else [shapes])]

    op = OpView(op_type, {k: tensors(v) for k, v in inputs.items()}, {k: tensors(v) for k, v in results.items()}, Attrs(attrs))
    rule = BOOK.by_type[op_type]
    for arg, found in rule.shape(op).items():
        shapes = [t.shape for t in found] if isinstance(found, tuple) else [found.shape]
        assert shapes == [t.shape for t in op.outputs(arg)], arg
    return rule.cost(op)
