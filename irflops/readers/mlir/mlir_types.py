"""Tensor types as MLIR writes them, and which of its eight-bit integers are OneFlow's bool.

OneFlow writes int8 and bool alike (`si8`: oneflow/ir/lib/OneFlow/OneFlowDataTypeConversion.cpp). Both take a byte, so no figure depends on
which of them it is; the operators that make and hand on such tensors tell all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from irflops.errors import quoted
from irflops.ir.graph import UNKNOWN_TENSOR, DType, TensorType
from irflops.readers.printed.values import MAX_RANK

_TENSOR = re.compile(r"tensor<(?:\*x|((?:(?:[0-9]{1,19}|\?)x)*))((?!x)[A-Za-z!][^\s,]*)\s*(?:,.*)?>\Z", re.DOTALL)

_ELEMENTS = {
    "f16": DType.FLOAT16,
    "bf16": DType.BFLOAT16,
    "f8E4M3": DType.FLOAT8_E4M3,
    "f8E4M3FN": DType.FLOAT8_E4M3,
    "f8E5M2": DType.FLOAT8_E5M2,
    "f32": DType.FLOAT32,
    "f64": DType.FLOAT64,
    "i1": DType.BOOL,
    "complex<f16>": DType.COMPLEX32,
    "complex<f32>": DType.COMPLEX64,
    "complex<f64>": DType.COMPLEX128,
    "!oneflow.char_element": DType.CHAR,
} | {
    f"{sign}i{bits}": dtype
    for bits, signed, unsigned in (
        (4, DType.INT4, DType.UINT4),
        (8, DType.INT8, DType.UINT8),
        (16, DType.INT16, DType.UINT16),
        (32, DType.INT32, DType.UINT32),
        (64, DType.INT64, DType.UINT64),
        (128, DType.INT128, DType.UINT128),
    )
    for sign, dtype in (("s", signed), ("", signed), ("u", unsigned))
}

CONTROL = "tensor<i1>"
"""The type of edges that say what runs after what."""


class NoTensorType(ValueError):
    """A text that begins like the type of a tensor and is none, or none of OneFlow's."""


def tensor_type(text: str) -> TensorType:
    """The type that a text spells; unknown where it is another's than a tensor's. Errors: NoTensorType."""
    if not text.startswith("tensor<"):
        return UNKNOWN_TENSOR
    tensor = _TENSOR.match(text)
    if tensor is None:
        raise NoTensorType(f"{quoted(text)} is no type of a tensor")
    extents, element = tensor.groups()
    if extents is None:
        return TensorType(None, _ELEMENTS.get(element))
    extents = extents.split("x")[:-1]
    if len(extents) > MAX_RANK:
        raise NoTensorType(f"a tensor of {len(extents)} dimensions; OneFlow has at most 20")
    shape = tuple(None if extent == "?" else int(extent) for extent in extents)
    return TensorType(shape, _ELEMENTS.get(element))


_PREDICATES = re.compile(
    r"(?:broadcast|scalar)_(?:equal|not_equal|greater|greater_equal|less|less_equal)\Z|(?:^|_)logical_|^broadcast_(?:isclose|inplace_)"
    r"|^is(?:nan|inf|finite)\Z|^reduce_(?:all|any)\Z|^in_top_k\Z"
)
"""Op types whose result says whether something holds, of whatever type their operands are."""

_BESIDES = frozenset({"condition", "mask", "like", "index", "indices", "indice"})
"""Operands that steer what an operator does, and whose type is not its result's."""

_INT8 = frozenset({"device_tick", "tick", "cast_to_tick"})
"""Op types that make bytes, and no answers, out of other types: ticks."""


def is_bool(op_type: str | None, dtypes: Iterable[str], operands: Iterable[tuple[str, TensorType]]) -> bool:
    """Whether an operator's results of eight bits are bool.

    `dtypes` are the data types that its attributes name, `operands` its operands by argument, their own types already told apart.
    """
    named = set(dtypes) & {"bool", "int8"}
    if len(named) == 1:
        return "bool" in named
    if op_type is None or op_type in _INT8:
        return False
    if _PREDICATES.search(op_type):
        return True
    bytes_ = [type_.dtype for arg, type_ in operands if arg not in _BESIDES and type_.dtype in (DType.INT8, DType.BOOL)]
    return all(dtype is DType.BOOL for dtype in bytes_)
