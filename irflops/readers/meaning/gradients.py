"""Gradient operators of OneFlow 0.8.0, which are named after the operator whose gradient they are: `model.act-relu-2_grad`.

Later versions give them names like those of all other operators. The data file holds, by the forward operator's type and by what its name
gets appended, the type of the gradient operator, or several where attributes of the forward operator decide. After a type stand its
operands where this builder gives them in another order than other builders of the type do. It was read from all of OneFlow 0.8.0's
builders (REGISTER_USER_OP_GRAD); `N` is a number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from irflops.data import data_text
from irflops.ir.signatures import operand_orders

PREFIX = "System-AutoGrad-"
"""What stands before the names of some of them: `System-AutoGrad-model.conv1-conv2d-0-FilterGrad`."""

FIRST_GRADIENT = "_grad_ConstantLike"
"""What the name of the operator that makes a loss's gradient has after the loss's lbn."""

_ANY_TYPE = re.compile(
    r"_(?:(?P<sum>clone_grad_.*)|grad_(?:(?P<seed>ConstantLike)|(?P<scaled>Scale)|(?P<cast>Cast)|(?P<repeat>Repeat)))$", re.DOTALL
)
"""Names that oneflow/core/job_rewriter/autograd.cpp and clone_grad.cpp give without asking for a type."""

_ANY_TYPE_TYPES = {"sum": "add_n", "seed": "constant_like", "scaled": "scalar_mul_by_tensor", "cast": "cast", "repeat": "repeat"}

_NUMBERED = re.compile(r"_\d+$")


class Reading(NamedTuple):
    """What a gradient operator may be."""

    op_type: str
    args: tuple[str, ...] = ()
    """Its operands in printed order, none where they are those of its type."""

    def takes(self, operands: int) -> bool:
        """Whether it has that many operands."""
        if self.args:
            return len(self.args) == operands
        return bool(operand_orders(self.op_type, [None] * operands, old=True))


class Gradient(NamedTuple):
    """A name in two parts."""

    forward: str
    """The operator whose gradient this is."""
    suffix: str


def is_first_gradient(name: str) -> bool:
    """Whether a name is that of the operator which makes the gradient of a loss: where the backward pass of OneFlow 0.8.0 begins."""
    return name.endswith(FIRST_GRADIENT)


def gradient_of_any(name: str) -> str | None:
    """The type of a gradient operator that is named alike whatever it is the gradient of: a sum of gradients, the gradient of a loss."""
    found = _ANY_TYPE.search(name)
    return _ANY_TYPE_TYPES[found.lastgroup] if found is not None and found.lastgroup else None


def gradient_parts(name: str) -> Iterator[Gradient]:
    """The ways in which a name reads as a forward operator's and what a gradient's name has more, the shortest forward name first."""
    forward = name.removeprefix(PREFIX)
    spelled = _NUMBERED.sub("_N", forward)
    for suffix in _suffixes() if spelled.endswith(_suffixes()) else ():
        if spelled.endswith(suffix) and len(spelled) > len(suffix):
            yield Gradient(spelled[: -len(suffix)], suffix)
    if forward != name:
        yield Gradient(forward, "")


def readings(forward_types: tuple[str, ...], suffix: str, operands: int) -> tuple[Reading, ...]:
    """What the gradient operator of a forward operator may be; `operands` tells some of them apart, 0 none."""
    found = [reading for op_type in forward_types for reading in _table().get((op_type, suffix), ())]
    fitting = [reading for reading in found if len(found) > 1 and reading.takes(operands)]
    return tuple(fitting or found)


@cache
def _table() -> dict[tuple[str, str], tuple[Reading, ...]]:
    text = data_text("gradients.json")
    entries: dict[str, dict[str, str]] = json.loads(text)
    return {
        (op_type, suffix): tuple(Reading(words.split()[0], tuple(words.split()[1:])) for words in given.split("|"))
        for op_type, by_suffix in entries.items()
        for suffix, given in by_suffix.items()
    }


@cache
def _suffixes() -> tuple[str, ...]:
    """What gradients' names have more than their forward operators', the longest first: one may end as a shorter one does."""
    return tuple(sorted({suffix for _, suffix in _table() if suffix}, key=lambda suffix: (-len(suffix), suffix)))


@cache
def suffixes_of(forward_type: str) -> tuple[str, ...]:
    """What the names of an operator's gradients may have more than its own."""
    return tuple(suffix for op_type, suffix in _table() if op_type == forward_type)
