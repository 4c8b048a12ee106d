"""Printed graphs of a few lines, and those in fixtures/."""

from __future__ import annotations

from pathlib import Path

import irflops
from irflops import Graph
from irflops.ir.graph import Op

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
CPU = '), placement=(oneflow.placement(type="cpu", ranks=[0])))'


def fixture(name: str) -> Graph:
    """A printed graph in fixtures/, by its name."""
    return irflops.load(FIXTURES / f"{name}.repr.txt.gz")


def graph_of(*lines: str, training: bool = False) -> Graph:
    """The graph of these lines."""
    head = f"(GRAPH:Net_0:Net): (\n  (CONFIG:config:GraphConfig(training={training}, ))\n"
    return irflops.loads(head + "".join(f"  {line}\n" for line in lines) + ")\n")


def t(tensor: str) -> str:
    """A tensor of an operator line, from `lbn 8,16`."""
    lbn, _, size = tensor.partition(" ")
    return f"{lbn}:(sbp=(B), size=({size}), dtype=(oneflow.float32))"


def line(name: str, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> str:
    """An operator line, from tensors as in `lbn 8,16`; an output is named by its blob."""
    return f"(OPERATOR: {name}({', '.join(map(t, inputs))}) -> ({', '.join(t(f'{name}/{out}') for out in outputs)}{CPU}"


def variable(name: str, size: str = "4,16") -> str:
    """The line of a variable."""
    return f"(OPERATOR: {name}() -> (out:sbp=(B), size=({size}), dtype=(oneflow.float32){CPU}"


def op_of(name: str, inputs: tuple[str, ...], outputs: tuple[str, ...], module: str = "m", text: str = "Mine()") -> Op:
    """An operator that stands in a module with this text."""
    graph = graph_of(f"(MODULE:{module}:{text}): (", line(name, inputs, outputs), ")")
    return graph.by_name[name]
