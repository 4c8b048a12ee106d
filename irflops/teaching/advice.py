"""The lines of a configuration that teach irflops an op type, filled in as far as the dump tells."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from irflops.ir.graph import Op, TensorType
from irflops.ir.signatures import signature

_BARE = re.compile(r"[A-Za-z0-9_-]+")
MOST_NAMES = 8
"""Tensors that the lines name; of more, formulas are the user's to write."""
MOST_SHOWN = 2
"""Tensors of one argument."""

Args = Mapping[str, Sequence[TensorType]]


def lines_for_op(op: Op, types: Mapping[str, TensorType]) -> tuple[str, ...]:
    """Lines for the type of an operator, whose tensors the first of them shows."""
    inputs: dict[str, list[TensorType]] = {}
    outputs: dict[str, list[TensorType]] = {}
    for operand in op.inputs:
        known = operand.type.numel is not None
        inputs.setdefault(operand.arg, []).append(operand.type if known else types.get(operand.lbn, operand.type))
    for result in op.outputs:
        outputs.setdefault(result.arg, []).append(types.get(result.lbn, result.type))
    return _lines(op.type or "?", inputs, outputs)


def lines_for_type(op_type: str) -> tuple[str, ...]:
    """Lines for an op type of which no operator is at hand, with the arguments of OneFlow's definition where it has one."""
    known = signature(op_type)
    if known is None:
        return _lines(op_type, {"in": ()}, {"out": ()})
    return _lines(op_type, {arg.name: () for arg in known.inputs}, {arg.name: () for arg in known.outputs})


def _lines(op_type: str, inputs: Args, outputs: Args) -> tuple[str, ...]:
    key = op_type if _BARE.fullmatch(op_type) else json.dumps(op_type, ensure_ascii=False)
    lines = [f"[ops.{key}]"]
    if any(inputs.values()) or any(outputs.values()):
        lines += [f"# {line}" for line in (*_tensors(inputs), *(f"-> {line}" for line in _tensors(outputs)))]
    if tuple(inputs) == tuple(f"in_{place}" for place in range(len(inputs))) and 0 < len(inputs) <= MOST_NAMES:
        lines.append(f"operands = {json.dumps(list(inputs))}  # by place; name them as you like")
    lines.append('# in place of all below, where it counts as another: like = "conv2d"')
    lines.append('macs = "?"  # 0 where it is no contraction')
    lines.append('flops = "2 * macs + ?"')
    lines.append(f'bytes_read = "{_bytes(inputs)}"')
    lines.append(f'bytes_written = "{_bytes(outputs)}"')
    return tuple(lines)


def _tensors(args: Args) -> list[str]:
    """A line an argument, short enough never to be wrapped: what is pasted must stay a comment."""
    shown = [f"{arg}: {', '.join(map(str, tensors[:MOST_SHOWN]))}" for arg, tensors in list(args.items())[:MOST_NAMES]]
    return [*shown, "..."] if len(args) > MOST_NAMES else shown


def _bytes(args: Args) -> str:
    if len(args) > MOST_NAMES:
        return "?"
    return " + ".join(f"nbytes({arg})" for arg in args) or "0"
