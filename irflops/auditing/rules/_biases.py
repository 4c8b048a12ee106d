"""What stands between a convolution and the norm behind it: a bias or another addition, and along which axes all three work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from irflops.auditing.channels import channel_axes
from irflops.auditing.facts import Facts, Use, argument
from irflops.auditing.finding import Confidence
from irflops.auditing.kinds import CONVOLUTIONS
from irflops.ir.graph import Op, Operand

_ADDITIONS = frozenset({"bias_add", "broadcast_add"})

OnlyUse = Callable[[Op], Use | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Biased:
    """A convolution, what adds a bias to it, and the norm behind."""

    conv: Op
    addition: Op | None
    """The op that adds the bias, None where it is an operand of the convolution, or where there is none."""
    bias: Operand | None
    certainty: Confidence
    """Whether the form proves that all go along the axis of the channels, or leaves another reading open."""


def before_norm(norm: Op, facts: Facts, only_use: OnlyUse) -> Biased | str | None:
    """The convolution that a norm alone reads, straight or behind the addition of a bias, all along the channels.

    None where something else stands there, and a reason where unknown shapes leave it open. `only_use` says who reads a result.
    """
    given = argument(norm, "x")
    before = facts.producer(given) if given is not None else None
    if given is None or before is None or only_use(before) is None:
        return None
    if before.type in CONVOLUTIONS:
        bias = argument(before, "bias")
        return _along(facts, Biased(conv=before, addition=None, bias=bias, certainty=Confidence.PROVEN), norm, given)
    if before.type not in _ADDITIONS or len(before.inputs) != 2:
        return None
    for operand, bias in (before.inputs, before.inputs[::-1]):
        conv = facts.producer(operand)
        if conv is not None and conv.type in CONVOLUTIONS and only_use(conv) is not None and facts.handed(bias) is not None:
            return _along(facts, Biased(conv=conv, addition=before, bias=bias, certainty=Confidence.PROVEN), norm, given)
    return None


def _along(facts: Facts, found: Biased, norm: Op, given: Operand) -> Biased | str | None:
    out = facts.shape(given)
    if out is None:
        return "the shapes before a norm are not known"
    readings = [channel_axes(found.conv, facts), _norm_axes(norm, out, facts)]
    if found.addition is not None and found.bias is not None:
        if facts.shape(found.conv.outputs[0]) != out:
            return None
        readings.append(_bias_axes(found.addition, found.bias, out, facts))
    axes: frozenset[int] | None = None
    for reading in readings:
        if reading is None:
            return "the shapes before a norm are not known"
        axes = reading if axes is None else axes & reading
    if not axes:
        return None
    sure = all(reading is not None and len(reading) == 1 for reading in readings)
    return found if sure else Biased(conv=found.conv, addition=found.addition, bias=found.bias, certainty=Confidence.LIKELY)


def _norm_axes(norm: Op, out: tuple[int, ...], facts: Facts) -> frozenset[int] | None:
    """The axis of a norm, or those that it may have: as long as its vectors. None where that is unknown."""
    axis = norm.attrs.get("axis")
    vector = next((operand for arg in ("gamma", "beta", "moving_mean") if (operand := argument(norm, arg)) is not None), None)
    return _axes(axis, facts.shape(vector) if vector is not None else None, out)


def _bias_axes(addition: Op, bias: Operand, out: tuple[int, ...], facts: Facts) -> frozenset[int] | None:
    """The axis along which an addition has a value for each place, or those that it may be; none where there are several at once."""
    shape = facts.shape(bias)
    if addition.type == "bias_add":
        return _axes(addition.attrs.get("axis"), shape, out)
    if shape is None:
        return None
    first = len(out) - len(shape)
    own = [axis for axis, extent in enumerate(shape, first) if extent != 1]
    if len(own) > 1 or first < 0:
        return frozenset()
    if own:
        return frozenset(own) if shape[own[0] - first] == out[own[0]] else frozenset()
    return frozenset(axis for axis, extent in enumerate(out) if extent == 1)  # one value, for one channel


def _axes(axis: object, vector: tuple[int, ...] | None, out: tuple[int, ...]) -> frozenset[int] | None:
    """The axis that an attribute says, or where it is unknown those as long as a vector."""
    if isinstance(axis, int) and -len(out) <= axis < len(out):
        return frozenset({axis % len(out)})
    if vector is None or len(vector) != 1:
        return None
    return frozenset(at for at, extent in enumerate(out) if extent == vector[0])
