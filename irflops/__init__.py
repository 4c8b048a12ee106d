"""irflops: what a serialized OneFlow graph costs, without OneFlow, without a GPU, without running it.

>>> import irflops
>>> analysis = irflops.analyze("fixtures/basic_block.repr.txt.gz")
>>> analysis.graph.training
False
"""

from __future__ import annotations

from os import PathLike

from irflops.analysis import Analysis, analyze_graph
from irflops.errors import IrflopsError
from irflops.ir import Graph
from irflops.readers import load, loads

__version__ = "0.1.0"


def analyze(graph: Graph | str | PathLike[str] | object, *, name: str | int | None = None, partial: bool = False) -> Analysis:
    """What a graph costs, and where: of a `Graph`, of the dump at a path, or of a live `oneflow.nn.Graph` that was called once.

    `name` chooses among several graphs in a file and `partial` accepts damaged ones, as for `load`. Errors: IrflopsError.
    """
    if isinstance(graph, Graph):
        return analyze_graph(graph)
    if isinstance(graph, str) and ("\n" in graph or "(GRAPH" in graph):
        raise IrflopsError("this is the text of a dump, not the path of one", hint="irflops.analyze(irflops.loads(text))")
    if isinstance(graph, bytes):
        raise IrflopsError("these are the bytes of a dump, not the path of one", hint="irflops.analyze(irflops.loads(data))")
    if isinstance(graph, (str, PathLike)):
        return analyze_graph(load(graph, name, partial=partial))
    if not hasattr(graph, "_full_graph_proto"):
        raise IrflopsError(f"a {type(graph).__name__} is no graph", hint="give a path, a Graph or a live oneflow.nn.Graph")
    return analyze_graph(loads(repr(graph), name, name=f"<{type(graph).__name__}>", partial=partial))


__all__ = ["Analysis", "Graph", "IrflopsError", "__version__", "analyze", "load", "loads"]
