"""Channels, features and kernels of contractions, read off their shapes: no form leaves those out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from irflops.auditing.facts import Facts, argument
from irflops.auditing.kinds import CONVOLUTIONS, TRANSPOSED_CONVOLUTIONS
from irflops.ir.graph import Op

_WEIGHT_ARGS = ("weight", "b", "w")


@dataclass(frozen=True, slots=True)
class Channels:
    """What goes into a contraction and comes out of it, per position."""

    ins: int
    outs: int
    groups: int = 1
    kernel: tuple[int, ...] = ()


def conv_channels(op: Op, facts: Facts) -> Channels | None:
    """Of a convolution or a transposed one. None where a shape is unknown, or where it is open which axis holds the channels."""
    fitting = list(_by_axis(op, facts).values())
    return fitting[0] if len(fitting) == 1 else None


def channel_axes(op: Op, facts: Facts) -> frozenset[int] | None:
    """The axis of a convolution's result that holds the channels, or those that may, where the form leaves it open. None if a shape is."""
    return frozenset(_by_axis(op, facts)) or None


def _by_axis(op: Op, facts: Facts) -> dict[int, Channels]:
    """The channels by the axis that may hold them: the layout says which, and where it is unknown the shapes."""
    operand, weight_operand = argument(op, "in"), argument(op, "weight")
    if operand is None or weight_operand is None or not op.outputs:
        return {}
    given, weight, out = facts.shape(operand), facts.shape(weight_operand), facts.shape(op.outputs[0])
    if given is None or weight is None or out is None or not len(given) == len(weight) == len(out) > 2:
        return {}
    layout = op.attrs.get("data_format")
    axes = {"channels_first": [1], "channels_last": [len(given) - 1]}.get(str(layout), [1, len(given) - 1])
    read = _transposed_at if op.type in TRANSPOSED_CONVOLUTIONS else _channels_at
    return {axis: channels for axis in axes if (channels := read(axis, given, weight, out)) is not None}


def _channels_at(axis: int, given: tuple[int, ...], weight: tuple[int, ...], out: tuple[int, ...]) -> Channels | None:
    if out[axis] != weight[0] or not weight[axis] or given[axis] % weight[axis]:
        return None
    return Channels(given[axis], weight[0], given[axis] // weight[axis], _kernel(axis, weight))


def _transposed_at(axis: int, given: tuple[int, ...], weight: tuple[int, ...], out: tuple[int, ...]) -> Channels | None:
    """The weight has the operand's channels first, and those of one group of the result on the axis."""
    if given[axis] != weight[0] or not weight[axis] or out[axis] % weight[axis]:
        return None
    groups = out[axis] // weight[axis]
    return Channels(given[axis], out[axis], groups, _kernel(axis, weight)) if groups and not given[axis] % groups else None


def _kernel(axis: int, weight: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(extent for at, extent in enumerate(weight) if at not in (0, axis))


def weighted_features(op: Op, facts: Facts) -> Channels | None:
    """Of a contraction with a variable: its channels, or rows and columns of its weight. None for products of two activations."""
    if op.type in CONVOLUTIONS:
        return conv_channels(op, facts)
    weight_operand = next((found for arg in _WEIGHT_ARGS if (found := argument(op, arg)) is not None), None)
    if weight_operand is None or not op.outputs or facts.handed(weight_operand) is None:
        return None
    weight, out = facts.shape(weight_operand), facts.shape(op.outputs[0])
    if weight is None or out is None or not weight or not out:
        return None
    if op.type in TRANSPOSED_CONVOLUTIONS:
        return conv_channels(op, facts)
    if not out[-1] or math.prod(weight) % out[-1] or len(weight) != 2:
        return None
    return Channels(math.prod(weight) // out[-1], out[-1])
