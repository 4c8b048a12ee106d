"""Writes a live OneFlow graph into one file, with all that its printed graph and its job tell.

OneFlow is never imported here: whoever has a graph of it has imported it.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from irflops.errors import IrflopsError
from irflops.files import whole_file
from irflops.readers.capture.archive import Captured, pack

_CALL = "call it once before: graph(*inputs), or give inputs=(...) to irflops.capture, which compiles and does not run it"


def write_capture(graph: Any, path: str | PathLike[str], inputs: Sequence[object] | None, version: str) -> None:
    """See `irflops.capture`; `version` is that of irflops."""
    _refuse_others(graph)
    if inputs is not None:
        compile_for(graph, inputs)
    if not is_compiled(graph) or graph._full_graph_proto is None:
        raise IrflopsError(f"the graph {graph.name!r} is not compiled yet, so it has no operators", hint=_CALL)
    oneflow = sys.modules.get("oneflow")
    if oneflow is not None and oneflow.env.get_rank() != 0:
        return  # all ranks have the same graph, and often the same folder
    # Maps have no order of their own on the wire: unless it is asked for, the bytes change from process to process.
    job = graph._full_graph_proto.SerializeToString(deterministic=True)
    captured = Captured(f"{graph!r}\n".encode("utf-8", errors="replace"), job, getattr(oneflow, "__version__", None))
    about = {"irflops": version, "python": platform.python_version(), "graph": str(graph.name)}
    _write(Path(path), pack(captured, about))


def _refuse_others(graph: object) -> None:
    # Asked of the class: of a graph that is not compiled, OneFlow prints an error whenever one asks for its job.
    if hasattr(type(graph), "_full_graph_proto"):
        return
    kind = type(graph).__name__
    if hasattr(graph, "state_dict"):
        raise IrflopsError(f"a {kind} is a module, not a graph", hint="wrap it in a oneflow.nn.Graph, and call that once")
    raise IrflopsError(f"an object of type {kind} is no graph", hint="give a oneflow.nn.Graph that was called once")


def is_compiled(graph: Any) -> bool:
    """Whether the graph was called once, or compiled."""
    return bool(graph._is_compiled)


def compile_for(graph: Any, inputs: Sequence[object]) -> None:
    """Compiles a graph that is not compiled yet, without a run. Ranks compile together: all of them come here or none."""
    if not graph._is_compiled:
        graph._compile(*inputs)


def _write(path: Path, data: bytes) -> None:
    if not path.name:
        raise IrflopsError("a capture is a file, and this path names none", path=str(path))
    try:
        with whole_file(path) as draft:
            draft.write_bytes(data)
    except OSError as error:
        raise IrflopsError(f"cannot write the capture: {error.strerror or error}", path=str(path)) from None
