"""The messages of a OneFlow job: names, numbers and kinds of their fields.

The data file was taken from the descriptors of OneFlow 0.9.0 (oneflow/core/job/*.proto, operator/op_conf.proto), with the fields that
master adds. Messages that it does not describe are opaque: their content is passed over. Those that it describes in part may hold more.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from irflops.data import data_text
from irflops.errors import Span
from irflops.ir.graph import DType

Message = dict[str, Any]
"""A message as plain data: a value by field name, a list where the field repeats. Absent fields are absent. Enums are numbers."""

SCALARS = frozenset({"string", "int32", "int64", "bool", "float", "double", "enum"})

DATA_TYPES: tuple[tuple[int, str, DType | None], ...] = (
    (0, "kInvalidDataType", None),
    (1, "kChar", DType.CHAR),
    (2, "kFloat", DType.FLOAT32),
    (3, "kDouble", DType.FLOAT64),
    (4, "kInt8", DType.INT8),
    (5, "kInt32", DType.INT32),
    (6, "kInt64", DType.INT64),
    (7, "kUInt8", DType.UINT8),
    (8, "kOFRecord", None),
    (9, "kFloat16", DType.FLOAT16),
    (10, "kTensorBuffer", None),
    (11, "kBFloat16", DType.BFLOAT16),
    (12, "kBool", DType.BOOL),
    (13, "kUInt16", DType.UINT16),
    (14, "kUInt32", DType.UINT32),
    (15, "kUInt64", DType.UINT64),
    (16, "kUInt128", DType.UINT128),
    (17, "kInt16", DType.INT16),
    (18, "kInt128", DType.INT128),
    (19, "kComplex32", DType.COMPLEX32),
    (20, "kComplex64", DType.COMPLEX64),
    (21, "kComplex128", DType.COMPLEX128),
)
"""Number, name and element type of OneFlow's DataType (oneflow/core/common/data_type.proto)."""

DTYPE_BY_NUMBER = {number: dtype for number, _, dtype in DATA_TYPES}
DTYPE_BY_WORD = {name: dtype for _, name, dtype in DATA_TYPES}
NUMBER_BY_WORD = {name: number for number, name, _ in DATA_TYPES}


def dtype_word(number: int) -> str:
    """An attribute's data type by its name, or as a number that OneFlow never had."""
    dtype = DTYPE_BY_NUMBER.get(number)
    return dtype.word if dtype is not None else f"data type {number}"


SECTIONS = {
    "net": "DLNetConf",
    "placement": "Placement",
    "job_parallel_view_conf": "JobParallelViewConf",
    "helper": "JobHelperConf",
}
"""Fields of a job whose own fields are statements, by message; the other fields of a job are statements themselves."""


PASSED_OVER = frozenset({("Placement", "blob_placement_group"), ("JobHelperConf", "op_name2arg_signature")})
"""Messages with those of their fields that nothing here reads, and that are a fifth of a job."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A piece of a job: a field of one of its sections, or of the job itself."""

    section: str
    """`""` for the job itself."""
    field: str
    value: Callable[[], Any]
    """The field's value, a list if it repeats: made when asked, for half of a job matters to nobody."""
    span: Span | None = None
    unknown: tuple[str, ...] = ()
    """Names of fields in it that are not known here."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message."""

    name: str
    number: int
    kind: str
    """A scalar's kind or a message's name; every enum of a job that matters is a DataType."""
    repeated: bool = False


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(data_text("job_fields.json"))
    return table


@cache
def messages() -> Mapping[str, Mapping[str, Field]]:
    """Fields by name, by message. A message that a field mentions and that is missing here is opaque."""
    return {
        message: {name: Field(name, entry[0], entry[1], len(entry) > 2) for name, entry in fields.items()}
        for message, fields in _table()["messages"].items()
    }


def system_op_types() -> frozenset[str]:
    """Types of OneFlow's own operators, each of which has a message of its own."""
    confs = (field for field in messages()["OperatorConf"] if field.endswith("_conf"))
    return frozenset(conf.removesuffix("_conf") for conf in confs if conf != "user_conf")


def fields_of(message: str) -> Mapping[str, Field] | None:
    """The fields of a message, None if it is opaque."""
    return messages().get(message)


@cache
def is_whole(message: str) -> bool:
    """Whether all fields of a message are described, so that any other is a newer one."""
    return message in messages() and message not in _table()["partial"]


def single(value: float) -> float:
    """The nearest number of 32 bits: what a `float` field holds, however many digits a text shows."""
    try:
        rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return rounded
