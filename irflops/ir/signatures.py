"""Arguments and attributes of OneFlow's op types.

The data file was taken from OneFlow's operator definitions (OneFlowUserOps.td and its parts, 0.7.0 to master): per type the operands,
results and attributes in order; `?` marks an optional argument and `*` one of several tensors. `printed` holds the orders in which a
printed graph of 0.9.0 lists the operands where they are not the definition's; `floats` the attributes that are floating numbers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Arg:
    """An argument slot of an op type."""

    name: str
    optional: bool = False
    variadic: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """Arguments and attributes of an op type, in order."""

    inputs: tuple[Arg, ...]
    outputs: tuple[Arg, ...]
    attrs: tuple[str, ...]
    printed: tuple[tuple[str, ...], ...] = ()
    """Operand names as a printed graph lists them, one order for each set of operands seen."""
    floats: tuple[str, ...] = ()
    """Attributes that hold floating numbers."""


@cache
def _table() -> dict[str, dict[str, object]]:
    text = (resources.files("irflops.data") / "signatures.json").read_text(encoding="utf-8")
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
    printed = entry.get("printed", [])
    return Signature(
        _args(str(entry["inputs"])),
        _args(str(entry["outputs"])),
        tuple(str(entry.get("attrs", "")).split()),
        tuple(tuple(order.split()) for order in printed) if isinstance(printed, list) else (),
        tuple(str(entry.get("floats", "")).split()),
    )


def _args(text: str) -> tuple[Arg, ...]:
    return tuple(Arg(word.rstrip("?*"), "?" in word[-1:], "*" in word[-1:]) for word in text.split())


@cache
def operand_names(op_type: str, count: int) -> tuple[str, ...] | None:
    """Names of that many printed operands in order, None where the signature does not allow the number.

    Orders seen in print come first; else the definition's order, with the required arguments and the first of the optional ones.
    """
    found = signature(op_type)
    if found is None:
        return None
    for order in found.printed:
        if len(order) == count:
            return order
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
