"""A script for several ranks: compiles small nets on a mesh, and writes every form of each to a folder by rank and net.

python -m oneflow.distributed.launch --nproc_per_node 2 tests/mesh_nets.py DIR
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import oneflow as flow

import irflops

WIDTH = 512
"""A weight of 512 x 512 floats is 1 MiB."""


class Net(NamedTuple):
    """Linear layers of equal width, how their weights and the input lie on two devices, and whether the net trains."""

    weights: Any
    given: Any
    layers: int = 1
    trains: bool = False
    zero: bool = False


def nets() -> dict[str, Net]:
    """By rule, `-planted` with its fault and `-sound` without."""
    broadcast, split = flow.sbp.broadcast, flow.sbp.split(0)
    return {
        "replicated-large-param-planted": Net(broadcast, split),
        "replicated-large-param-sound": Net(split, broadcast),
        "unsharded-optimizer-state-planted": Net(broadcast, split, trains=True),
        "unsharded-optimizer-state-sound": Net(broadcast, split, trains=True, zero=True),
        # Features come out split and are wanted whole by the next layer: the second and the third gather them.
        "boxing-in-loop-planted": Net(split, broadcast, layers=3),
        "boxing-in-loop-sound": Net(broadcast, split, layers=3),
    }


def compiled(net: Net) -> Any:
    """The net's graph."""
    placement = flow.placement("cpu", ranks=[0, 1])
    layers = flow.nn.Sequential(*(flow.nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(net.layers)))
    # Each rank has whole weights: they are made one tensor first, and then split.
    layers.to_global(placement=placement, sbp=flow.sbp.broadcast).to_global(placement=placement, sbp=net.weights)

    class Graph(flow.nn.Graph):  # type: ignore[misc]  # OneFlow ships no types
        def __init__(self) -> None:
            super().__init__()
            self.layers = layers
            if net.trains:
                self.add_optimizer(flow.optim.SGD(layers.parameters(), lr=0.1, momentum=0.9))
            self.config.enable_zero(net.zero)

        def build(self, x: Any) -> Any:
            y = self.layers(x)
            if net.trains:
                y = y.sum()
                y.backward()
            return y

    graph = Graph()
    graph._compile(flow.ones(4, WIDTH, placement=placement, sbp=net.given))
    return graph


def write(graph: Any, directory: Path) -> None:
    """One file or folder for each form."""
    directory.mkdir(parents=True)
    flow.save(graph, str(directory / "saved"))
    (directory / "repr").write_text(repr(graph), encoding="utf-8")
    (directory / "job_text").write_text(str(graph._full_graph_proto), encoding="utf-8")
    (directory / "job_binary").write_bytes(graph._full_graph_proto.SerializeToString())
    (directory / "forward").write_text(str(graph._graph_proto), encoding="utf-8")
    irflops.capture(graph, directory / "capture")


if __name__ == "__main__":
    for name, net in nets().items():
        write(compiled(net), Path(sys.argv[1]) / str(flow.env.get_rank()) / name)
