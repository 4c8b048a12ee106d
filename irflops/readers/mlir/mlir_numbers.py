"""Numbers of MLIR, as wide as the types that stand behind them."""

from __future__ import annotations

import struct

from irflops.errors import quoted
from irflops.readers.job.job_schema import single
from irflops.readers.text.skeleton import BadValue

_DIGITS = 40
"""Of an integer; the widest type has 39."""

_FLOATS = {"f16": "<e", "f32": "<f", "f64": "<d"}
"""How a float type's bits are packed."""


class DataType(int):
    """An integer of type i32. Such attributes of OneFlow's user operators are data types: the other integers there have a sign (`si32`)."""


def integer(text: str, number: int) -> int:
    """The integer that a text spells; `number` is its own among the values of its statement. Errors: BadValue."""
    if len(text) <= _DIGITS:
        try:
            return int(text, 16 if "0x" in text else 10)
        except ValueError:
            pass
    raise BadValue(f"expected an integer, got {quoted(text)}", number)


def number_of_type(text: str, number: int, type_: str) -> int | float | None:
    """A number of a float type, as wide as that; of no type an integer if it is written so, and None for bits of one knows not what.

    Errors: BadValue.
    """
    if "0x" in text:
        return _bits(integer(text, number), type_, number) if type_ else None
    if not type_ and text.lstrip("-").isdecimal():
        return integer(text, number)
    return single(float(text)) if type_ == "f32" else float(text)


def _bits(bits: int, type_: str, number: int) -> float:
    """The float of a type that has these bits: how MLIR writes infinities and what is no number."""
    if type_ == "bf16":
        type_, bits = "f32", bits << 16
    layout = _FLOATS.get(type_)
    width = struct.calcsize(layout) if layout is not None else 0
    if layout is None or not 0 <= bits < 1 << (8 * width):
        raise BadValue(f"{hex(bits)} are no bits of type {quoted(type_)}", number)
    value: float = struct.unpack(layout, bits.to_bytes(width, "little"))[0]
    return value
