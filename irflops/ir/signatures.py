"""Arguments and attributes of OneFlow's op types.

The data file was taken from OneFlow's operator definitions (OneFlowUserOps.td and its parts, 0.7.0 to master): per type the operands,
results and attributes in order; `?` marks an optional argument and `*` one of several tensors. `floats` are the attributes that are
floating numbers. `printed` holds the orders in which a job and a printed graph list the operands where they are not the definition's: those
of OneFlow's builders (functional/impl, autograd and job_rewriter of 0.9.0 and 1.0.0), one for each set of operands; `printed_0_8` those of
0.8.0's, where they differ. An operand that only its shape tells from another one is written with its rank (`b:1`, `attn_bias:2+`), or with
the operand whose shape it has (`skip=x`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from irflops.data import data_text
from irflops.ir.graph import Shape

FUSED_TERM = "_add_to_output"
"""The operand that an operator adds to its result in passing, where a pass of OneFlow's took an addition away."""

TERM_ADDERS = {
    "normalization": "y",
    "dropout": "out",
    "matmul": "out",
    "layer_norm_grad": "dx",
    "batch_matmul": "out",
    "fused_bias_add_mask_scale": "out",
    "fused_matmul_bias": "out",
    "broadcast_matmul": "out",
    "broadcast_matmul_grad_b": "out",
}
"""The types to which that pass gives a term (fuse_add_to_output_pass.cpp of 0.9.0), and the result that is then the sum."""


@dataclass(frozen=True, slots=True)
class Arg:
    """An argument slot of an op type."""

    name: str
    optional: bool = False
    variadic: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """An operand's place in a printed order, and what its shape must be there."""

    name: str
    rank: int | None = None
    or_more: bool = False
    """Whether `rank` is the least that it may be."""
    like: str | None = None
    """The operand whose shape it has."""

    def fits(self, shape: Shape | None, by_name: dict[str, Shape | None]) -> bool:
        """Whether a tensor of that shape can stand here; one of unknown shape can."""
        if shape is None:
            return True
        if self.rank is not None and (len(shape) < self.rank if self.or_more else len(shape) != self.rank):
            return False
        other = by_name.get(self.like) if self.like is not None else None
        return other is None or other == shape


Order = tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """Arguments and attributes of an op type, in order."""

    inputs: tuple[Arg, ...]
    outputs: tuple[Arg, ...]
    attrs: tuple[str, ...]
    printed: tuple[Order, ...] = ()
    """Operands as a job and a printed graph list them, one order for each set of operands, where it is not the definition's."""
    printed_0_8: tuple[Order, ...] = ()
    """The same of OneFlow 0.8.0, where it differs."""
    floats: tuple[str, ...] = ()
    """Attributes that hold floating numbers."""


@cache
def _table() -> dict[str, dict[str, object]]:
    text = data_text("signatures.json")
    table: dict[str, dict[str, object]] = json.loads(text)
    return table


def op_types() -> tuple[str, ...]:
    """All op types that OneFlow defines, in the order of their names."""
    return tuple(sorted(_table()))


@cache
def signature(op_type: str) -> Signature | None:
    """The signature of an op type, None if OneFlow has no such type."""
    entry = _table().get(op_type)
    if entry is None:
        return None
    return Signature(
        _args(str(entry["inputs"])),
        _args(str(entry["outputs"])),
        tuple(str(entry.get("attrs", "")).split()),
        _orders(entry.get("printed")),
        _orders(entry.get("printed_0_8")),
        tuple(str(entry.get("floats", "")).split()),
    )


def _args(text: str) -> tuple[Arg, ...]:
    return tuple(Arg(word.rstrip("?*"), "?" in word[-1:], "*" in word[-1:]) for word in text.split())


def _orders(texts: object) -> tuple[Order, ...]:
    return tuple(tuple(map(_place, text.split())) for text in texts) if isinstance(texts, list) else ()


def _place(word: str) -> Place:
    name, is_like, like = word.partition("=")
    if is_like:
        return Place(name, like=like)
    name, has_rank, rank = word.partition(":")
    return Place(name, int(rank.rstrip("+")), rank.endswith("+")) if has_rank else Place(name)


def operand_orders(op_type: str, shapes: Sequence[Shape | None], *, old: bool = False) -> tuple[tuple[str, ...], ...]:
    """Names of printed operands in order, given the shape of each (None for a list of tensors): every order that could be meant.

    `old` asks for those of OneFlow 0.8.0. None where the signature does not allow the number. Orders of a builder come first; else the
    definition's, with the required arguments and the first of the optional ones.
    """
    names, conditions = _names_of(op_type, len(shapes), old)
    if not any(conditions):
        return names
    found: list[tuple[str, ...]] = []
    for order, asked in zip(names, conditions, strict=True):
        by_name = dict(zip(order, shapes, strict=True))
        if all(place.fits(by_name[place.name], by_name) for place in asked):
            found.append(order)
    return tuple(found)


@cache
def _names_of(op_type: str, count: int, old: bool) -> tuple[tuple[tuple[str, ...], ...], tuple[Order, ...]]:
    """Orders of that many operands: the names alone, and of each those places that ask for a shape."""
    orders = _orders_of(op_type, count, old)
    return tuple(names for _, names in orders), tuple(
        tuple(place for place in order if place.rank is not None or place.like is not None) for order, _ in orders
    )


def _orders_of(op_type: str, count: int, old: bool) -> tuple[tuple[Order, tuple[str, ...]], ...]:
    """Orders of that many operands, each with the names alone."""
    found = signature(op_type)
    if found is None:
        return ()
    for known in (found.printed_0_8 if old else (), found.printed):
        orders = [order for order in known if len(order) == count]
        if orders:
            return tuple((order, tuple(place.name for place in order)) for order in orders)
    names = _defined(found, count)
    return () if names is None else ((tuple(map(Place, names)), names),)


def _defined(found: Signature, count: int) -> tuple[str, ...] | None:
    """The definition's order, None where it does not allow the number."""
    required = sum(not arg.optional for arg in found.inputs)
    spare = count - required
    if spare < 0 or spare > len(found.inputs) - required:
        return None
    names = []
    for arg in found.inputs:
        if arg.optional and spare == 0:
            continue
        spare -= arg.optional
        names.append(arg.name)
    return tuple(names)
