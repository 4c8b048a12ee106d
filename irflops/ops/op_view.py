"""An op as its rule sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from irflops.ir.graph import NO_ATTRS, Attrs, AttrValue, DType, TensorType
from irflops.ops.work import MissingAttribute, MissingShape


class OpView:
    """One op as its rule sees it: tensors by argument name, and attributes.

    `input` and `output` give the single tensor of an argument, `inputs` and `outputs` all of them. `shape`, `numel`, `nbytes` and
    `dtype` look among the operands first, then among the results. A tensor's shape may be unknown: these four raise
    `MissingShape` then; `attr` raises `MissingAttribute` where the form does not hold the attribute.
    """

    __slots__ = ("_inputs", "_outputs", "attrs", "type")

    def __init__(
        self,
        op_type: str,
        inputs: Mapping[str, Sequence[TensorType]],
        outputs: Mapping[str, Sequence[TensorType]],
        attrs: Attrs = NO_ATTRS,
    ) -> None:
        self.type = op_type
        self._inputs = {arg: tuple(tensors) for arg, tensors in inputs.items()}
        self._outputs = {arg: tuple(tensors) for arg, tensors in outputs.items()}
        self.attrs = attrs

    @property
    def input_args(self) -> tuple[str, ...]:
        """Names of the operand arguments that are present, in order."""
        return tuple(self._inputs)

    @property
    def output_args(self) -> tuple[str, ...]:
        """Names of the result arguments that are present, in order."""
        return tuple(self._outputs)

    def inputs(self, arg: str) -> tuple[TensorType, ...]:
        """All tensors of an operand argument, none if it is absent."""
        return self._inputs.get(arg, ())

    def outputs(self, arg: str) -> tuple[TensorType, ...]:
        """All tensors of a result argument, none if it is absent."""
        return self._outputs.get(arg, ())

    def input(self, arg: str) -> TensorType:
        """The tensor of an operand argument; MissingShape if it is absent, ValueError if there are several."""
        return self._single(self._inputs, arg, "operand")

    def output(self, arg: str) -> TensorType:
        """The tensor of a result argument; MissingShape if it is absent, ValueError if there are several."""
        return self._single(self._outputs, arg, "result")

    def _single(self, args: Mapping[str, tuple[TensorType, ...]], arg: str, what: str) -> TensorType:
        tensors = args.get(arg, ())
        if not tensors:
            raise MissingShape(arg)
        if len(tensors) > 1:
            raise ValueError(f"{self.type} has {len(tensors)} {what}s called {arg!r}, expected one")
        return tensors[0]

    def _find(self, arg: str) -> TensorType:
        return self.input(arg) if arg in self._inputs else self.output(arg)

    def shape(self, arg: str) -> tuple[int, ...]:
        """The shape of an argument's single tensor; MissingShape unless every extent is known."""
        shape = self._find(arg).shape
        if shape is None or None in shape:
            raise MissingShape(arg)
        return shape  # type: ignore[return-value]  # None is excluded above

    def dtype(self, arg: str) -> DType:
        """The dtype of an argument's single tensor."""
        dtype = self._find(arg).dtype
        if dtype is None:
            raise MissingShape(arg)
        return dtype

    def numel(self, arg: str) -> int:
        """Elements of all tensors of an argument."""
        return sum(known(tensor.numel, arg) for tensor in self._all(arg))

    def nbytes(self, arg: str) -> int:
        """Bytes of all tensors of an argument."""
        return sum(known(tensor.nbytes, arg) for tensor in self._all(arg))

    def _all(self, arg: str) -> tuple[TensorType, ...]:
        tensors = self._inputs.get(arg) or self._outputs.get(arg)
        if not tensors:
            raise MissingShape(arg)
        return tensors

    def attr(self, name: str) -> AttrValue:
        """An attribute; MissingAttribute where the form does not hold it."""
        try:
            return self.attrs[name]
        except KeyError:
            raise MissingAttribute(name) from None

    def ints(self, name: str) -> tuple[int, ...]:
        """A list-of-int attribute."""
        value = self.attr(name)
        if isinstance(value, tuple) and all(isinstance(v, int) for v in value):
            return value  # type: ignore[return-value]  # checked above
        raise ValueError(f"attribute {name} of {self.type} should be a list of integers, not {value!r}")

    def integer(self, name: str) -> int:
        """An int attribute."""
        value = self.attr(name)
        if isinstance(value, int):
            return value
        raise ValueError(f"attribute {name} of {self.type} should be an integer, not {value!r}")

    def flag(self, name: str) -> bool:
        """A bool attribute."""
        return bool(self.attr(name))


def known(value: int | None, arg: str) -> int:
    """The value, or MissingShape naming the argument."""
    if value is None:
        raise MissingShape(arg)
    return value
