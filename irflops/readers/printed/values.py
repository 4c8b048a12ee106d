"""What the values of a printed graph mean: sizes, dtypes, sbp, placements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from irflops.errors import quoted
from irflops.ir.graph import DType, Placement
from irflops.ir.sbp import NdSbp, Sbp
from irflops.readers.text.syntax import SyntaxProblem

MAX_DEPTH = 1000
"""Levels of nested parentheses that a value may have."""
MAX_RANK = 64
"""Dimensions that a tensor may have; OneFlow itself stops at 20."""
MAX_EXTENT = 2**63
"""OneFlow's extents are int64."""

_DTYPES = {dtype.word: dtype for dtype in DType} | {"float": DType.FLOAT32, "double": DType.FLOAT64, "half": DType.FLOAT16}


class Name(str):
    """A dotted name or an `<angle>` text within a value, as against a quoted string."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Call:
    """`name(args, key=value)`."""

    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


def check_depth(text: str) -> None:
    depth = 0
    for at, char in enumerate(text):
        if char in "([{":
            depth += 1
            if depth > MAX_DEPTH:
                raise SyntaxProblem(at, at + 1, f"nested deeper than {MAX_DEPTH} levels")
        elif char in ")]}":
            depth -= 1


def shape_of(size: Any, text: str) -> tuple[int, ...]:
    if isinstance(size, Call):  # prints of 2021: flow.Size([1, 3])
        size = size.args[0] if size.args else ()
    if isinstance(size, int):
        size = (size,)
    if not isinstance(size, (tuple, list)):
        raise _bad_size(text, f"a size is a list of integers, not {quoted(size)}")
    for extent in size:
        if not isinstance(extent, int):
            raise _bad_size(text, f"a size is made of integers, not {quoted(extent)}")
    if len(size) > MAX_RANK:
        raise _bad_size(text, f"a tensor of {len(size)} dimensions; OneFlow has at most 20")
    for extent in size:
        if extent < 0:
            raise _bad_size(text, f"a tensor cannot have {extent} elements along a dimension")
        if extent >= MAX_EXTENT:
            raise _bad_size(text, f"an extent of {extent} does not fit OneFlow's 64 bits")
    return tuple(size)


def _bad_size(text: str, message: str) -> SyntaxProblem:
    at = max(0, text.find("size="))
    end = text.find(")", at)
    return SyntaxProblem(at, end + 1 if end >= 0 else len(text), message)


def dtype_of(value: Any) -> DType | None:
    while isinstance(value, (tuple, list)) and len(value) == 1:
        (value,) = value
    return _DTYPES.get(value.rpartition(".")[2]) if isinstance(value, str) else None


def nd_sbp_of(value: Any) -> NdSbp | None:
    if not isinstance(value, (tuple, list)):
        return None
    entries = [_sbp(entry) for entry in value]
    return tuple(e for e in entries if e is not None) if None not in entries else None


def _sbp(value: Any) -> Sbp | None:
    """One of `B`, `P`, `S(0)`, `oneflow.sbp.split(dim=0)`, `oneflow.sbp.broadcast`, `oneflow.sbp.partial_sum`."""
    name = (value.name if isinstance(value, Call) else value if isinstance(value, str) else "").rpartition(".")[2]
    if isinstance(value, Call) and name in ("S", "split"):
        axes = [*value.args, *value.kwargs.values()]
        return Sbp("S", axes[0]) if axes and isinstance(axes[0], int) else None
    return {"B": Sbp("B"), "broadcast": Sbp("B"), "P": Sbp("P"), "partial_sum": Sbp("P")}.get(name)


def placement_of(call: Call) -> Placement | None:
    """`placement(type="cpu", ranks=[[0, 1], [2, 3]])`; in prints of 2021 `placement(device_type=..., machine_device_ids={0: [0]}, ...)`."""
    device = call.kwargs.get("type", call.kwargs.get("device_type", "cpu"))
    ranks = call.kwargs.get("ranks", call.args[1] if len(call.args) > 1 else None)
    if ranks is None and isinstance(call.kwargs.get("machine_device_ids"), dict):
        machines = call.kwargs["machine_device_ids"].values()
        ranks = [rank for ids in machines for rank in (ids if isinstance(ids, list) else [ids])]
    hierarchy = _extents(ranks if isinstance(ranks, list) else [])
    flat = _flatten(ranks)
    if not all(isinstance(rank, int) for rank in flat):
        return None
    return Placement(device if isinstance(device, str) else "?", tuple(flat), hierarchy)


def _extents(ranks: Any) -> tuple[int, ...]:
    extents = []
    while isinstance(ranks, list):
        extents.append(len(ranks))
        ranks = ranks[0] if ranks else None
    return tuple(extents)


def _flatten(ranks: Any) -> list[Any]:
    flat: list[Any] = []
    pending = [ranks]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(reversed(value))
        else:
            flat.append(value)
    return flat
