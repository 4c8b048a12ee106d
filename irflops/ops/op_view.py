"""An op as its rule sees it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from irflops.ir.graph import NO_ATTRS, AttrValue, DType, TensorType
from irflops.ops.work import MissingAttribute, MissingShape


class OpView:
    """One op as its rule sees it: tensors by argument name, and attributes.

    `input` and `output` give the single tensor of an argument, `inputs` and `outputs` all of them. `shape`, `shapes`, `numel`, `nbytes`
    and `dtype` look among the operands first, then among the results. A tensor's shape may be unknown: these raise `MissingShape` then;
    `attr` raises `MissingAttribute` where the form does not hold the attribute. What is there and is not what the rule takes (another
    rank, a list of another length, a number too small) is a ValueError that says so.
    """

    __slots__ = ("_inputs", "_outputs", "attrs", "type")

    def __init__(
        self,
        op_type: str,
        inputs: Mapping[str, Sequence[TensorType]],
        outputs: Mapping[str, Sequence[TensorType]],
        attrs: Mapping[str, AttrValue] = NO_ATTRS,
    ) -> None:
        self.type = op_type
        self._inputs = {arg: tuple(tensors) for arg, tensors in inputs.items()}
        self._outputs = {arg: tuple(tensors) for arg, tensors in outputs.items()}
        self.attrs = attrs

    def under(self, attrs: Mapping[str, AttrValue]) -> OpView:
        """The same tensors under other attributes."""
        view = OpView(self.type, {}, {}, attrs)
        view._inputs, view._outputs = self._inputs, self._outputs
        return view

    @property
    def input_args(self) -> tuple[str, ...]:
        """Names of the operand arguments that are present, in order."""
        return tuple(self._inputs)

    @property
    def output_args(self) -> tuple[str, ...]:
        """Names of the result arguments that are present, in order."""
        return tuple(self._outputs)

    @property
    def first_input(self) -> str:
        """The name of the first operand argument, for op types whose operand has several names; MissingShape where there is none."""
        return _first_of(self._inputs, "its operand")

    @property
    def first_output(self) -> str:
        """The name of the first result argument; MissingShape where there is none."""
        return _first_of(self._outputs, "its result")

    def inputs(self, arg: str) -> tuple[TensorType, ...]:
        """All tensors of an operand argument, none if it is absent."""
        return self._inputs.get(arg, ())

    def outputs(self, arg: str) -> tuple[TensorType, ...]:
        """All tensors of a result argument, none if it is absent."""
        return self._outputs.get(arg, ())

    def input(self, arg: str) -> TensorType:
        """The tensor of an operand argument; MissingShape if it is absent, ValueError if there are several."""
        return self._single(self._inputs, arg, "operand")

    def first(self, arg: str) -> TensorType:
        """The first tensor of an operand argument of several; MissingShape if it is absent."""
        if not self.inputs(arg):
            raise MissingShape(arg)
        return self.inputs(arg)[0]

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

    def _all(self, arg: str) -> tuple[TensorType, ...]:
        """The tensors of an argument: of OneFlow's op types none has an operand and a result of one name."""
        tensors = self._inputs.get(arg) or self._outputs.get(arg)
        if not tensors:
            raise MissingShape(arg)
        if arg in self._inputs and arg in self._outputs:
            raise ValueError(f"{self.type} has an operand and a result called {arg!r}")
        return tensors

    def _find(self, arg: str) -> TensorType:
        self._all(arg)
        return self.input(arg) if arg in self._inputs else self.output(arg)

    def shape(self, arg: str, *, rank: int | None = None, at_least: int = 0) -> tuple[int, ...]:
        """The shape of an argument's single tensor, which must have `rank` dimensions, or `at_least` so many."""
        return self._checked(arg, self._find(arg), rank, at_least)

    def shapes(self, arg: str, *, rank: int | None = None, at_least: int = 0) -> list[tuple[int, ...]]:
        """The shapes of all tensors of an argument, each held to the same."""
        return [self._checked(arg, tensor, rank, at_least) for tensor in self._all(arg)]

    def _checked(self, arg: str, tensor: TensorType, rank: int | None, at_least: int) -> tuple[int, ...]:
        shape = tuple([extent for extent in tensor.shape or () if extent is not None])
        if tensor.shape is None or len(shape) < len(tensor.shape):
            raise MissingShape(arg)
        if len(shape) < at_least or (rank is not None and len(shape) != rank):
            wanted = f"at least {at_least}" if rank is None else rank
            raise ValueError(f"{arg} {shape} has {len(shape)} dimensions, {self.type} takes {wanted}")
        return shape

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

    def attr(self, name: str) -> AttrValue:
        """An attribute; MissingAttribute where the form does not hold it."""
        try:
            return self.attrs[name]
        except KeyError:
            raise MissingAttribute(name) from None

    def ints(self, name: str, *, length: int | None = None, least: int | None = None) -> tuple[int, ...]:
        """A list-of-int attribute, which must have `length` values of `least` so much."""
        value = self.attr(name)
        if not isinstance(value, tuple) or not all(isinstance(v, int) for v in value):
            raise ValueError(f"attribute {name} of {self.type} should be a list of integers, not {value!r}")
        if length is not None and len(value) != length:
            raise ValueError(f"attribute {name} of {self.type} should have {length} values, not {value}")
        return tuple([self._no_less(name, v, least) for v in value if isinstance(v, int)])

    def shape_list(self, name: str, *, length: int | None = None) -> tuple[tuple[int, ...], ...]:
        """A list-of-shapes attribute, which must have `length` shapes."""
        value = self.attr(name)
        shapes = value if isinstance(value, tuple) else ()
        extents = tuple(tuple(e for e in shape if isinstance(e, int)) for shape in shapes if isinstance(shape, tuple))
        if extents != value or length not in (None, len(extents)):
            wanted = "" if length is None else f"{length} "
            raise ValueError(f"attribute {name} of {self.type} should be a list of {wanted}shapes, not {value!r}")
        return extents

    def integer(self, name: str, *, least: int | None = None) -> int:
        """An int attribute, which must be at `least` so much."""
        value = self.attr(name)
        if isinstance(value, int):
            return self._no_less(name, value, least)
        raise ValueError(f"attribute {name} of {self.type} should be an integer, not {value!r}")

    def _no_less(self, name: str, value: int, least: int | None) -> int:
        if least is not None and value < least:
            raise ValueError(f"attribute {name} of {self.type} should be at least {least}, not {value}")
        return value

    def number(self, name: str) -> int | float:
        """An attribute that is a finite number."""
        value = self.attr(name)
        if isinstance(value, int | float) and math.isfinite(value):
            return value
        raise ValueError(f"attribute {name} of {self.type} should be a number, not {value!r}")

    def dtype_attr(self, name: str = "dtype") -> DType:
        """An attribute that holds a dtype by its name in OneFlow's Python (`float32`)."""
        value = self.attr(name)
        dtype = DType.named(value)
        if dtype is not None:
            return dtype
        raise ValueError(f"attribute {name} of {self.type} should be a dtype, not {value!r}")

    def flag(self, name: str) -> bool:
        """A bool attribute."""
        return bool(self.attr(name))


def _first_of(args: Mapping[str, object], what: str) -> str:
    for arg in args:
        return arg
    raise MissingShape(what)


def known(value: int | None, arg: str) -> int:
    """The value, or MissingShape naming the argument."""
    if value is None:
        raise MissingShape(arg)
    return value
