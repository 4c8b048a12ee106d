"""`cancelling-casts`: a cast that undoes the one before it, and loses nothing."""

from __future__ import annotations

from collections.abc import Iterator

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Near, Options, Outcome, Undecided
from irflops.auditing.rules._pairs import cancel, pairs
from irflops.ir.graph import DType

_FRACTION = {DType.FLOAT16: 11, DType.BFLOAT16: 8, DType.FLOAT32: 24, DType.FLOAT64: 53}
"""Bits of precision of a floating type, the hidden one included."""

_SIGNED = {DType.INT8: 7, DType.INT16: 15, DType.INT32: 31, DType.INT64: 63, DType.INT128: 127}
_UNSIGNED = {DType.BOOL: 1, DType.UINT8: 8, DType.UINT16: 16, DType.UINT32: 32, DType.UINT64: 64, DType.UINT128: 128}
_EXPONENT = {DType.FLOAT16: 5, DType.BFLOAT16: 8, DType.FLOAT32: 8, DType.FLOAT64: 11}


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    for first, second in pairs(facts, {"cast"}):
        before, between = facts.type(first.inputs[0]).dtype, facts.type(first.outputs[0]).dtype
        after = facts.type(second.outputs[0]).dtype
        if before is None or between is None or after is None:
            yield Undecided(reason="the dtypes of a pair of casts are not known", op=second)
        elif before is after and holds(between, before):
            yield cancel(first, second, facts, f"it undoes {first.name}: {before.value[0]} to {between.value[0]} and back")
        elif before is after:
            yield Near(message=f"{first.name} to {between.value[0]} loses what {second.name} cannot bring back", op=second)


def holds(wide: DType, narrow: DType) -> bool:
    """Whether a dtype has every value of another."""
    if wide is narrow:
        return True
    if narrow in _FRACTION:
        return wide in _FRACTION and _FRACTION[wide] >= _FRACTION[narrow] and _EXPONENT[wide] >= _EXPONENT[narrow]
    digits = _SIGNED.get(narrow, _UNSIGNED.get(narrow))
    if digits is None:
        return False
    if wide in _FRACTION:
        return _FRACTION[wide] >= digits and (1 << _EXPONENT[wide] - 1) > digits
    if wide in _SIGNED:
        return _SIGNED[wide] >= digits
    return narrow in _UNSIGNED and wide in _UNSIGNED and _UNSIGNED[wide] >= digits


def _graph(before: str, between: str) -> str:
    return (
        f"x = input() -> out: {before}[2,8]\na = cast(in: x) -> out: {between}[2,8]\nb = cast(in: a) -> out: {before}[2,8]\n"
        f"y = negative(x: b) -> y: {before}[2,8]\noutput(in: y)"
    )


RULE = AuditRule(
    name="cancelling-casts",
    summary="Two casts stand back to back, the second goes back to the first dtype, and the one between has every value of it.",
    why="Each reads and writes the whole tensor, and nothing comes of it.",
    fix="Remove both; the second alone where something else reads the first.",
    severity=Severity.WARNING,
    check=_check,
    good=(
        Good(name="float32 to float16 and back rounds", graph=_graph("f32", "f16")),
        Good(name="float16 and bfloat16 do not hold each other", graph=_graph("f16", "bf16")),
        Good(name="int64 does not fit float32", graph=_graph("i64", "f32")),
    ),
    bad=(
        Bad(
            name="float16 to float32 and back",
            graph=_graph("f16", "f32"),
            op="b",
            because="reads 32 and 64 bytes, writes 64 and 32",
            gain={"bytes_read": 96, "bytes_written": 96, "activation_elements": 32, "activation_bytes": 96},
            mended="x = input() -> out: f16[2,8]\ny = negative(x: x) -> y: f16[2,8]\noutput(in: y)",
        ),
    ),
)
