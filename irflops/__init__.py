"""irflops: what a serialized OneFlow graph costs, without OneFlow, without a GPU, without running it.

>>> import irflops
>>> analysis = irflops.analyze("fixtures/basic_block.repr.txt.gz")
>>> analysis.graph.training
False
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

from irflops.analysis import Analysis, analyze_graph
from irflops.capturing import write_capture
from irflops.errors import IrflopsError
from irflops.ir import Graph
from irflops.readers import load, loads
from irflops.whatif import Inputs, changed

__version__ = "0.1.0"


def analyze(
    graph: Graph | str | PathLike[str] | object,
    *,
    name: str | int | None = None,
    partial: bool = False,
    batch: int | None = None,
    inputs: Inputs | None = None,
    dtype: str | None = None,
) -> Analysis:
    """What a graph costs, and where: of a `Graph`, of the dump at a path, or of a live `oneflow.nn.Graph` that was called once.

    `name` chooses among several graphs in a file and `partial` accepts damaged ones, as for `load`. What if it had been captured otherwise:
    at another `batch`; with other `inputs`, a shape or shapes by name; with `dtype` for its commonest float type. Errors: IrflopsError.
    """
    return analyze_graph(changed(_graph(graph, name, partial), batch=batch, inputs=inputs, dtype=dtype))


def _graph(graph: object, name: str | int | None, partial: bool) -> Graph:
    if isinstance(graph, Graph):
        return graph
    if isinstance(graph, str) and ("\n" in graph or "(GRAPH" in graph):
        raise IrflopsError("this is the text of a dump, not the path of one", hint="irflops.analyze(irflops.loads(text))")
    if isinstance(graph, bytes):
        raise IrflopsError("these are the bytes of a dump, not the path of one", hint="irflops.analyze(irflops.loads(data))")
    if isinstance(graph, (str, PathLike)):
        return load(graph, name, partial=partial)
    if not hasattr(graph, "_full_graph_proto"):
        raise IrflopsError(f"a {type(graph).__name__} is no graph", hint="give a path, a Graph or a live oneflow.nn.Graph")
    return loads(repr(graph), name, name=f"<{type(graph).__name__}>", partial=partial)


def capture(graph: object, path: str | PathLike[str], *, inputs: Sequence[object] | None = None) -> None:
    """Writes a live `oneflow.nn.Graph` into one file that `load` reads, with all that its printed graph and its job tell and no weights.

    The graph was called once before, or is compiled here for `inputs`, without a run. Every rank may call this: rank 0 alone writes. A
    file that is there is replaced, and only by a whole one. Errors: IrflopsError where it is no compiled graph, or cannot be written.
    """
    write_capture(graph, path, inputs, __version__)


__all__ = ["Analysis", "Graph", "IrflopsError", "__version__", "analyze", "capture", "load", "loads"]
