"""The longest way through a graph, where each operator and each transfer takes its time."""

from __future__ import annotations

from collections.abc import Mapping

from irflops.ir.edges import NOBODY
from irflops.ir.graph import Graph


def longest_path(graph: Graph, times: Mapping[str, float], sent: Mapping[tuple[str, int], float]) -> float:
    """Seconds of the longest way; `times` by operator's name, `sent` by tensor and the number of the operator that it is sent to."""
    edges, ops = graph.edges, graph.ops
    ends = [0.0] * len(ops)
    by_number = {graph.edges.tensors[lbn]: lbn for lbn, _ in sent if lbn in graph.edges.tensors} if sent else {}
    for index in edges.order:
        ready = 0.0
        for slot in range(edges.first_slot[index], edges.first_slot[index + 1]):
            tensor = edges.reads[slot]
            maker = edges.makers[tensor]
            if maker == NOBODY:
                continue
            lbn = by_number.get(tensor)
            ready = max(ready, ends[maker] + (sent.get((lbn, index), 0.0) if lbn is not None else 0.0))
        ends[index] = ready + times.get(ops[index].name, 0.0)
    return max(ends, default=0.0)
