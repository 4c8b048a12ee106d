"""Prints what a mesh costs: devices and communication of a GPT's training step over the same step on one device.

    python benchmarks/devices.py [--layers 60 530] [--step DUMP]

The step (deep_dump.py, of two layers with more between them) is laid over a mesh by its batch: 2 x 2 x 2 and 16 x 16 x 16, of 4,096 ranks.
The time is of the process, of everything but reading: inference, costs, devices, transfers and their sums. At most 1.5 times that of one
device is wanted. The JSON is left out: it lists the ranks of every operator.
"""

from __future__ import annotations

import argparse
import gzip
import math
import time
from dataclasses import replace
from pathlib import Path

from deep_dump import deepened

import irflops
from irflops.analysis.analysis import analyze_graph
from irflops.ir.graph import Graph, Op, Operand, Placement
from irflops.ir.sbp import NdSbp, Sbp

STEP = Path(__file__).resolve().parent.parent / "fixtures" / "gpt_train.repr.txt.gz"
MESHES = ((2, 2, 2), (16, 16, 16))
WANTED = 1.5
WHOLE: NdSbp = (Sbp("B"),) * 3
SPLIT: NdSbp = (Sbp("S", 0), Sbp("B"), Sbp("B"))


def spread(graph: Graph, mesh: tuple[int, ...]) -> Graph:
    """The graph on a mesh: whatever the first dimension divides is split along it, variables are whole."""
    placement = Placement("cuda", tuple(range(math.prod(mesh))), mesh)

    def laid(op: Op, operand: Operand) -> Operand:
        extent = (operand.type.shape or (1,))[0] if len(operand.type.shape or ()) > 1 else 1
        return replace(operand, nd_sbp=WHOLE if op.type == "variable" or (extent or 1) % mesh[0] else SPLIT)

    def placed(op: Op) -> Op:
        operands, results = (tuple(laid(op, one) for one in ones) for ones in (op.inputs, op.outputs))
        return replace(op, placement=placement, inputs=operands, outputs=results)

    return replace(graph, ops=tuple(map(placed, graph.ops)))


def seconds(graph: Graph) -> float:
    """Of inference, costs, devices and communication."""
    began = time.process_time()
    analysis = analyze_graph(graph)
    assert analysis.devices.classes
    assert analysis.communication.by_collective is not None
    return time.process_time() - began


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, nargs="+", default=[60, 530])
    parser.add_argument("--step", type=Path, default=STEP)
    options = parser.parse_args()
    text = gzip.decompress(options.step.read_bytes()).decode("utf-8")
    print(f"{'operators':>9} {'ranks':>6} {'one device':>11} {'the mesh':>9} {'ratio':>6} {'wanted':>6}")
    for layers in options.layers:
        graph = irflops.loads(deepened(text, layers))
        alone = min(seconds(graph) for _ in range(3))
        for mesh in MESHES:
            meshed = spread(graph, mesh)
            found = min(seconds(meshed) for _ in range(3))
            print(f"{len(graph.ops):9,} {math.prod(mesh):6,} {alone:10.2f}s {found:8.2f}s {found / alone:6.2f} {WANTED:6.1f}", flush=True)


if __name__ == "__main__":
    main()
