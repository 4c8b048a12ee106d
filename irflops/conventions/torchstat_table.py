"""The table that torchstat prints: a row per module without others below it, as its last call left it, and a total."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from irflops.conventions.rule import NotTold, Rule, ToolError, numel, x, y
from irflops.conventions.torchstat import FLOPS, MADD
from irflops.ir.graph import Shape
from irflops.lifting.calls import LiftedCall
from irflops.lifting.structure import Structure

_BYTES = 4
_WRAP = 1 << 32
_READS_PARAMETERS = frozenset({"Conv2d", "Linear", "PReLU"})
_READS = frozenset({"ReLU", "ReLU6", "ELU", "LeakyReLU", "MaxPool2d", "AvgPool2d"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRow:
    """A row; a figure is None where the tool ends with an exception, or where the form does not tell."""

    name: str
    input_shape: Shape | None
    """Of one sample, as all sizes of the table."""
    output_shape: Shape | None
    params: int | None
    memory_bytes: int | None
    """Of the result; the tool prints it in units of 1024 x 1024 bytes."""
    madd: int | None
    flops: int | None
    mem_read: int | None
    """Bytes, in 32 bits as the tool has them."""
    mem_write: int | None
    mem_total: int | None


def torchstat_rows(structure: Structure) -> tuple[LayerRow, ...]:
    """The rows of the modules, and the row `total`. As in the tool, the bytes of the total are those of the last row, but for their sum."""
    calls = [call for call in structure.calls if call.is_leaf and call.is_last]
    tops = {call.path.partition(".")[0] for call in calls}
    prefix = f"{tops.pop()}." if len(tops) == 1 else ""
    rows = [_row(structure, call, call.path.removeprefix(prefix)) for call in calls]
    if not rows:
        return ()

    def total(values: list[int | None]) -> int | None:
        return None if None in values else sum(value or 0 for value in values)

    last = LayerRow(
        name="total",
        input_shape=None,
        output_shape=None,
        params=total([row.params for row in rows]),
        memory_bytes=total([row.memory_bytes for row in rows]),
        madd=total([row.madd for row in rows]),
        flops=total([row.flops for row in rows]),
        mem_read=rows[-1].mem_read,
        mem_write=rows[-1].mem_write,
        mem_total=total([row.mem_total for row in rows]),
    )
    return (*rows, last)


def _row(structure: Structure, call: LiftedCall, path: str) -> LayerRow:
    name = call.class_name or ""
    samples = structure.batch if call.batched else 1
    read, written = _memory(call, samples)
    return LayerRow(
        name=path,
        input_shape=call.x[1:] if call.x is not None else None,
        output_shape=call.y[1:] if call.y is not None else None,
        params=_known(lambda: sum(numel(shape) for shape in call.parameters.values())),
        memory_bytes=_known(lambda: _BYTES * numel(call.y[1:] if call.y is not None else None)),
        madd=_counted(MADD.modules.get(name), call, 1),
        flops=_counted(FLOPS.modules.get(name), call, samples),
        mem_read=read,
        mem_write=written,
        mem_total=None if read is None or written is None else read + written,
    )


def _known(count: Callable[[], int]) -> int | None:
    try:
        return count()
    except NotTold:
        return None


def _counted(rule: Rule | None, call: LiftedCall, samples: int) -> int | None:
    if rule is None:
        return 0
    try:
        return int(rule.count(call)) // max(1, samples)
    except (ToolError, NotTold):
        return None


def _memory(call: LiftedCall, samples: int) -> tuple[int | None, int | None]:
    """Bytes read and written."""
    name = call.class_name or ""
    try:
        if name in _READS_PARAMETERS:
            read = x(call) // samples + sum(numel(shape) for shape in call.parameters.values())
        elif name == "BatchNorm2d":
            read = x(call) // samples + 2 * numel(call.x[1:2] if call.x is not None else None)
        elif name in _READS:
            read = x(call) // samples
        else:
            return 0, 0
        return _wrapped(read * _BYTES), _wrapped(y(call) // samples * _BYTES)
    except NotTold:
        return None, None


def _wrapped(count: int) -> int:
    """As a signed integer of 32 bits."""
    return (count + _WRAP // 2) % _WRAP - _WRAP // 2
