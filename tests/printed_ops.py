"""Operators as a print shows them, asked what they can give out of changed operands."""

from __future__ import annotations

from collections.abc import Mapping

from irflops.ir.graph import Attrs, AttrValue, DType, Op, Operand, Shape, TensorType
from irflops.ops.rule import Changes
from irflops.whatif.alternatives import Choice, Operands, alternatives

Ints = tuple[int, ...]
NOTHING = Changes(frozenset(), frozenset())


def f32(shape: Ints) -> TensorType:
    """A tensor of float32."""
    return TensorType(shape, DType.FLOAT32)


def asked(op_type: str, before: Mapping[str, Ints], after: Mapping[str, Ints], results: Mapping[str, Ints], **attrs: AttrValue) -> Choice:
    """What the op can give out of changed operands, as a print shows it: with these attributes and no others."""
    op = Op(
        "op",
        op_type,
        tuple(Operand(arg, 0, arg, f32(shape)) for arg, shape in before.items()),
        tuple(Operand(arg, 0, arg, f32(shape)) for arg, shape in results.items()),
        Attrs(attrs),
    )
    operands = Operands(tuple(map(f32, before.values())), tuple(map(f32, after.values())))
    return alternatives(op, operands, tuple(map(f32, results.values())), NOTHING)


def given_out(answer: Choice) -> list[Shape | None]:
    """The shapes of the first result, where nothing was guessed."""
    assert answer.missing is None, answer
    assert not answer.guessed
    return [alternative.shapes[0] for alternative in answer.alternatives]
