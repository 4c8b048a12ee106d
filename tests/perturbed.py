"""Rules' own examples with other shapes, ranks, attributes and operands than they were written for, each as a graph of one operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random

from irflops.errors import Source
from irflops.ir.graph import Attrs, AttrValue, Graph, Op, Operand, Phase, TensorType
from irflops.ops import RULES
from irflops.readers.notation.op_signature import OpCall, read_call

CALLS = [read_call(example.call) for rule in RULES for example in rule.examples]

Tensors = Mapping[str, tuple[TensorType, ...]]
Change = Callable[[OpCall, Random], OpCall]

EXTENTS = (0, 1, 2, 3, 7, 2**40)
INTS = (-(2**40), -3, -2, -1, 0, 1, 2, 3, 5, 2**40)
VALUES: tuple[AttrValue, ...] = (
    True,
    None,
    0.5,
    -2.5,
    float("inf"),
    float("nan"),
    "",
    "no such thing",
    (),
    (0,),
    (1, -3),
    (0.5,),
    ("x",),
    ((1, 2), (3,)),
)


def _one_tensor(tensors: Tensors, random: Random, change: Callable[[TensorType], TensorType]) -> Tensors:
    slots = [(arg, i) for arg, types in tensors.items() for i in range(len(types))]
    if not slots:
        return tensors
    arg, at = random.choice(slots)
    return {**tensors, arg: tuple(change(type_) if i == at else type_ for i, type_ in enumerate(tensors[arg]))}


def other_extent(call: OpCall, random: Random) -> OpCall:
    def change(type_: TensorType) -> TensorType:
        extents = list(type_.shape or ())
        if extents:
            extents[random.randrange(len(extents))] = random.choice(EXTENTS)
        return replace(type_, shape=tuple(extents))

    return replace(call, inputs=_one_tensor(call.inputs, random, change))


def other_rank(call: OpCall, random: Random) -> OpCall:
    def change(type_: TensorType) -> TensorType:
        return replace(type_, shape=tuple(random.choice((1, 2, 3)) for _ in range(random.randrange(7))))

    return replace(call, inputs=_one_tensor(call.inputs, random, change))


def unknown_shape(call: OpCall, random: Random) -> OpCall:
    return replace(call, inputs=_one_tensor(call.inputs, random, lambda type_: replace(type_, shape=None)))


def unknown_dtype(call: OpCall, random: Random) -> OpCall:
    return replace(call, inputs=_one_tensor(call.inputs, random, lambda type_: replace(type_, dtype=None)))


def missing_operand(call: OpCall, random: Random) -> OpCall:
    lost = random.choice([*call.inputs, None])
    return replace(call, inputs={arg: types for arg, types in call.inputs.items() if arg != lost})


def no_operands(call: OpCall, _random: Random) -> OpCall:
    return replace(call, inputs={})


def extra_operand(call: OpCall, random: Random) -> OpCall:
    """One more tensor of an argument, or an argument that the op does not have."""
    arg = random.choice([*call.inputs, "no_such_operand"])
    types = call.inputs.get(arg, ())
    return replace(call, inputs={**call.inputs, arg: (*types, types[0] if types else TensorType((2, 3)))})


def fewer_results(call: OpCall, random: Random) -> OpCall:
    lost = random.choice([*call.outputs, None])
    return replace(call, outputs={arg: types for arg, types in call.outputs.items() if arg != lost})


def more_results(call: OpCall, random: Random) -> OpCall:
    arg = random.choice([*call.outputs, "no_such_result"])
    types = call.outputs.get(arg, ())
    return replace(call, outputs={**call.outputs, arg: (*types, types[0] if types else TensorType((2, 3)))})


def other_integer(call: OpCall, random: Random) -> OpCall:
    """One int of an attribute, wherever it stands, is another."""

    def change(value: AttrValue) -> AttrValue:
        if isinstance(value, tuple) and value:
            at = random.randrange(len(value))
            return tuple(change(inner) if i == at else inner for i, inner in enumerate(value))
        return random.choice(INTS) if isinstance(value, int) and not isinstance(value, bool) else value

    names = [name for name, value in call.attrs.items() if change(value) is not value]
    if not names:
        return call
    name = random.choice(names)
    return replace(call, attrs=Attrs({**call.attrs, name: change(call.attrs[name])}))


def other_length(call: OpCall, random: Random) -> OpCall:
    """A list of an attribute is longer or shorter."""
    names = [name for name, value in call.attrs.items() if isinstance(value, tuple)]
    if not names:
        return call
    name = random.choice(names)
    value = call.attrs[name]
    assert isinstance(value, tuple)
    return replace(call, attrs=Attrs({**call.attrs, name: random.choice((value[:-1], (*value, 1), ()))}))


def other_value(call: OpCall, random: Random) -> OpCall:
    """An attribute holds something of another type."""
    if not call.attrs:
        return call
    name = random.choice(list(call.attrs))
    return replace(call, attrs=Attrs({**call.attrs, name: random.choice(VALUES)}))


def missing_attribute(call: OpCall, random: Random) -> OpCall:
    lost = random.choice([*call.attrs, None])
    return replace(call, attrs=Attrs({name: value for name, value in call.attrs.items() if name != lost}))


CHANGES: tuple[Change, ...] = (
    other_extent,
    other_rank,
    unknown_shape,
    unknown_dtype,
    missing_operand,
    no_operands,
    extra_operand,
    fewer_results,
    more_results,
    other_integer,
    other_length,
    other_value,
    missing_attribute,
)


@dataclass(frozen=True, slots=True)
class Perturbed:
    """A call that no rule was written for."""

    call: OpCall
    changes: tuple[str, ...]

    def graph(self, *, stated: bool) -> Graph:
        """The call as a graph of one operator, its results stated as a printed graph does, or unknown as in a forward job."""
        return graph_of(self.call, stated=stated)


def perturbed(call: OpCall, random: Random, times: int) -> Iterator[Perturbed]:
    """The call with each change by itself, and with several at once."""
    for _ in range(times):
        for change in CHANGES:
            yield Perturbed(change(call, random), (change.__name__,))
        several = random.sample(CHANGES, random.randint(2, 4))
        changed = call
        for change in several:
            changed = change(changed, random)
        yield Perturbed(changed, tuple(change.__name__ for change in several))


def graph_of(call: OpCall, *, stated: bool) -> Graph:
    inputs = [Operand(arg, i, f"{arg}-{i}/out", type_) for arg, types in call.inputs.items() for i, type_ in enumerate(types)]
    outputs = [
        Operand(arg, i, f"m-op-0/{arg}_{i}", type_ if stated else TensorType())
        for arg, types in call.outputs.items()
        for i, type_ in enumerate(types)
    ]
    op = Op("m-op-0", call.op_type, tuple(inputs), tuple(outputs), call.attrs, phase=Phase.FORWARD)
    return Graph("G", None, training=False, ops=(op,), modules=(), format="repr", source=Source("g.txt", ""))
