"""What tests of what-ifs share: captured graphs, and graphs of a few operators, written as in the examples of the rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

import irflops
from irflops import Graph, IrflopsError
from irflops.errors import Source
from irflops.ir.graph import Attrs, Module, Op, Operand, Phase, Shape, TensorType, VariableKind
from irflops.readers.notation.op_signature import read_call

CAPTURED = Path(__file__).resolve().parents[1] / "fixtures" / "what_if"
FORMS = ("job.pb", "repr.txt")

Line = tuple[str, ...]
"""An operator's name, its call (`-> none: f32[]` where it gives out nothing), and the operators behind its operands in order."""


def graph_of(*lines: Line) -> Graph:
    """The graph of these operators; each operand is the first result of the operator that is named."""
    ops = tuple(_op(*line) for line in lines)
    firsts = {op.name: op.outputs[0].lbn for op in ops if op.outputs}
    linked = tuple(_linked(op, line[2:], firsts) for op, line in zip(ops, lines, strict=True))
    return Graph("made", None, False, linked, (Module("", None, None),), "job_text", Source("made", ""))


def _op(name: str, call: str, *_producers: str) -> Op:
    read = read_call(call)
    results = {arg: types for arg, types in read.outputs.items() if arg != "none"}
    outputs = tuple(Operand(arg, index, f"{name}/{arg}_{index}", type_) for arg, index, type_ in _slots(results))
    inputs = tuple(Operand(arg, index, "", type_) for arg, index, type_ in _slots(read.inputs))
    kind = VariableKind.TRAINABLE if read.op_type == "variable" else None
    return Op(name, read.op_type, inputs, outputs, Attrs(read.attrs), phase=Phase.FORWARD, kind=kind)


def _slots(args: Mapping[str, tuple[TensorType, ...]]) -> Iterator[tuple[str, int, TensorType]]:
    return ((arg, index, type_) for arg, types in args.items() for index, type_ in enumerate(types))


def _linked(op: Op, producers: Line, firsts: Mapping[str, str]) -> Op:
    inputs = tuple(Operand(o.arg, o.index, firsts[name], o.type) for o, name in zip(op.inputs, producers, strict=True))
    return Op(op.name, op.type, inputs, op.outputs, op.attrs, phase=op.phase, kind=op.kind)


def shapes_of(graph: Graph) -> dict[str, Shape | None]:
    """The shape of each operator's first result."""
    return {op.name: op.outputs[0].type.shape for op in graph.ops if op.outputs}


@cache
def captured(name: str, at: str, form: str) -> Graph:
    """A model that OneFlow captured at these input sizes."""
    return irflops.load(CAPTURED / f"{name}.{at}.{form}.gz")


def refusal(graph: Graph, **asked: object) -> IrflopsError:
    """The error of a what-if."""
    with pytest.raises(IrflopsError) as caught:
        irflops.analyze(graph, **asked)  # type: ignore[arg-type]  # whatever a user might ask
    return caught.value
