"""Reads one op call in one line, as rule examples, tests and documents write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lark

from irflops.errors import GraphSyntaxError
from irflops.ir.graph import Attrs, AttrValue, DType, TensorType
from irflops.readers.text.grammars import parser

_DTYPES = {dtype.short: dtype for dtype in DType}
_WORDS: dict[str, AttrValue] = {"true": True, "false": False, "none": None}


@dataclass(frozen=True, slots=True)
class OpCall:
    """An op call: its type, its tensors by argument, its attributes."""

    op_type: str
    inputs: Mapping[str, tuple[TensorType, ...]]
    outputs: Mapping[str, tuple[TensorType, ...]]
    attrs: Attrs


class _ToCall(lark.Transformer[lark.Token, OpCall]):
    def call(self, parts: list[Any]) -> OpCall:
        name, *items = parts
        results = items.pop() if items and isinstance(items[-1], dict) else {}
        operands = {k: v for item in items if item is not None for kind, k, v in [item] if kind == "operand"}
        attrs = {k: v for item in items if item is not None for kind, k, v in [item] if kind == "attribute"}
        return OpCall(str(name), operands, results, Attrs(attrs))

    def operand(self, parts: list[Any]) -> tuple[str, str, tuple[TensorType, ...]]:
        name, tensors = parts
        return "operand", str(name), tensors if isinstance(tensors, tuple) else (tensors,)

    def attribute(self, parts: list[Any]) -> tuple[str, str, AttrValue]:
        return "attribute", str(parts[0]), parts[1]

    def results(self, parts: list[Any]) -> dict[str, tuple[TensorType, ...]]:
        return {name: tensors for _, name, tensors in parts}

    def tensor_list(self, parts: list[Any]) -> tuple[TensorType, ...]:
        return tuple(parts)

    def tensor(self, parts: list[Any]) -> TensorType:
        name, *extents = parts
        shape = tuple(None if e == "?" else int(e) for e in extents if e is not None)
        return TensorType(shape, None if name == "?" else _DTYPES[str(name)])

    def integer(self, parts: list[Any]) -> int:
        return int(parts[0])

    def number(self, parts: list[Any]) -> float:
        return float(parts[0])

    def string(self, parts: list[Any]) -> str:
        return str(parts[0])[1:-1]

    def word(self, parts: list[Any]) -> AttrValue:
        return _WORDS.get(str(parts[0]), str(parts[0]))

    def values(self, parts: list[Any]) -> tuple[AttrValue, ...]:
        return tuple(v for v in parts if v is not None)


def read_call(text: str) -> OpCall:
    """The call that a line writes; GraphSyntaxError with the column where it does not read."""
    try:
        tree = parser("op_signature").parse(text)
        return _ToCall().transform(tree)
    except lark.UnexpectedInput as error:
        column = max(1, error.column)
        raise GraphSyntaxError("this is not an op call", path="<call>", line=1, column=column, excerpt=text) from None
