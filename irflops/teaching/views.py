"""Arguments by the names that a user's rule has for them: a print tells those of foreign op types by their places alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from irflops.ir.graph import Attrs, AttrValue, Op, TensorType
from irflops.ir.signatures import operand_orders, signature
from irflops.ops.op_view import OpView


def placed(op: OpView) -> bool:
    """Whether operands are named by their places: `in_0`, `in_1`, ..."""
    return op.input_args == tuple(f"in_{place}" for place in range(len(op.input_args)))


@dataclass(frozen=True)
class Likeness:
    """How an op of the user's is one of OneFlow's under other names."""

    type: str
    arguments: Mapping[str, str]
    """By OneFlow's argument the user's, where that has another name."""
    attributes: Mapping[str, str]
    """By OneFlow's attribute the user's, where that has another name."""
    constants: Mapping[str, AttrValue]
    """Attributes that the user's op has not, because they are always the same."""

    def names(self, op: OpView) -> Mapping[str, str]:
        """By the user's argument OneFlow's: as the mapping says, else of the same name, else by place where only places are told."""
        found = {theirs: name for name, theirs in self.arguments.items()}
        left = [arg for arg in op.input_args if arg not in found]
        if left and placed(op) and not self.arguments:
            shapes = [op.inputs(arg)[0].shape if len(op.inputs(arg)) == 1 else None for arg in left]
            for order in operand_orders(self.type, shapes)[:1]:
                found |= dict(zip(left, order, strict=True))
        known = signature(self.type)
        wanted = [arg.name for arg in known.outputs] if known is not None else []
        spare = [arg for arg in op.output_args if arg not in found and arg not in wanted]
        free = [arg for arg in wanted if arg not in found.values() and arg not in op.output_args]
        if spare and len(op.output_args) == 1:  # a single result is the first one, whatever its name
            found |= dict(zip(spare, free, strict=False))
        return found

    def view(self, op: OpView) -> OpView:
        """The op as a rule of OneFlow's type sees it."""
        names = self.names(op)
        attrs = {name: op.attrs[theirs] for name, theirs in self.attributes.items() if theirs in op.attrs}
        kept = {name: value for name, value in op.attrs.items() if name not in self.attributes.values()}
        return _renamed(op, self.type, names, names, Attrs({**kept, **attrs, **self.constants}))


def _renamed(op: OpView, op_type: str, inputs: Mapping[str, str], outputs: Mapping[str, str], attrs: Mapping[str, AttrValue]) -> OpView:
    return OpView(
        op_type,
        _by_name(op.input_args, inputs, op.inputs),
        _by_name(op.output_args, outputs, op.outputs),
        attrs,
    )


def _by_name(
    args: Sequence[str], names: Mapping[str, str], tensors: Callable[[str], tuple[TensorType, ...]]
) -> dict[str, tuple[TensorType, ...]]:
    return {names.get(arg, arg): tensors(arg) for arg in args}


def by_place(op: Op, operands: Sequence[str], likeness: Likeness | None) -> tuple[str, ...] | None:
    """Names for the operands of an op that a form tells by their places alone, None where there are none, or it tells the names."""
    places = tuple(operand.arg for operand in op.inputs)
    if places != tuple(f"in_{place}" for place in range(len(places))) or not places:
        return None
    if operands:
        return tuple(operands[: len(places)]) if len(operands) >= len(places) else None
    if likeness is None or likeness.arguments:
        return None
    orders = operand_orders(likeness.type, [operand.type.shape for operand in op.inputs])
    return orders[0] if orders else None
