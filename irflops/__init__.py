"""irflops: what a serialized OneFlow graph costs, without OneFlow, without a GPU, without running it.

>>> import irflops
>>> analysis = irflops.analyze("fixtures/basic_block.repr.txt.gz")
>>> analysis.graph.training
False
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import TYPE_CHECKING

from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.auditing import audit_analysis
from irflops.capturing.write import write_capture
from irflops.errors import IrflopsError
from irflops.ir.graph import Graph
from irflops.readers import load, load_live, loads
from irflops.whatif import Inputs, changed

if TYPE_CHECKING:
    from irflops.auditing.finding import Audit
    from irflops.auditing.settings import Settings
    from irflops.differ import Diff

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
    return load_live(graph)


def audit(graph: Analysis | Graph | str | PathLike[str] | object, settings: Settings | None = None) -> Audit:
    """What the audit rules find in an analysis, or in whatever `analyze` takes. Errors: IrflopsError."""
    # The name is the package's too: `from irflops.audit.finding import ...` goes on working, since the package is imported above.
    return audit_analysis(graph if isinstance(graph, Analysis) else analyze(graph), settings)


def diff(old: object, new: object, *, ignore: Iterable[str] = ()) -> Diff:
    """What changed from one graph to another, and what each change costs; each an `Analysis`, or what `analyze` takes.

    Operators are compared, not text: neither counters nor names count, and the forms may differ. `ignore` leaves kinds of change out:
    `renames`, `moves`, `placement`. Errors: IrflopsError.
    """
    from irflops.differ import diff_analyses  # here for start-up time: most programs compare nothing

    return diff_analyses(*(side if isinstance(side, Analysis) else analyze(side) for side in (old, new)), ignore=ignore)


def capture(graph: object, path: str | PathLike[str], *, inputs: Sequence[object] | None = None) -> None:
    """Writes a live `oneflow.nn.Graph` into one file that `load` reads, with all that its printed graph and its job tell and no weights.

    The graph was called once before, or is compiled here for `inputs`, without a run. Every rank may call this: rank 0 alone writes. A
    file that is there is replaced, and only by a whole one. Errors: IrflopsError where it is no compiled graph, or cannot be written.
    """
    write_capture(graph, path, inputs, __version__)


__all__ = ["Analysis", "Graph", "IrflopsError", "__version__", "analyze", "audit", "capture", "diff", "load", "loads"]
