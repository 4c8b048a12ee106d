"""Reads a capture: operators as the job has them, modules and declarations as the printed graph has them."""

from __future__ import annotations

from dataclasses import replace

from irflops.errors import GraphError, IrflopsError, Source, quoted
from irflops.ir.graph import Graph, Op, VariableKind
from irflops.ir.tree import nearest
from irflops.readers.capture.archive import JOB, REPR, unpack
from irflops.readers.compression import MAX_SIZE
from irflops.readers.forms import CAPTURE
from irflops.readers.intake import source_of
from irflops.readers.job.job import read_job_binary
from irflops.readers.printed.graph_repr import read_graph
from irflops.readers.printed.log import scan

_RESTATED = frozenset({"accumulation", "momentum-or-lars", "no-seed", "unknown-runs", "unprinted-variable"})
"""Notes on a printed graph that are of no use beside its job: the job repeats them, or tells what the print does not."""


def read_capture(data: bytes, name: str, max_size: int = MAX_SIZE) -> Graph:
    """The graph in the bytes of a capture. Errors: IrflopsError where the archive or one of its members cannot be read."""
    captured = unpack(data, name, max_size)
    source = source_of(captured.printed, f"{name}/{REPR}")
    graphs = scan(source).graphs
    if len(graphs) != 1:
        raise IrflopsError(f"a capture's {REPR} holds one printed graph, this one {len(graphs)}", path=source.name)
    printed = read_graph(source, graphs[0])
    merged = merge(read_job_binary(captured.job, f"{name}/{JOB}"), printed)
    return replace(merged, source=Source(name, source.text), version_guess=captured.oneflow or merged.version_guess)


def merge(job: Graph, printed: Graph) -> Graph:
    """One graph of a job and the print of the same graph.

    Operators, their attributes and types are the job's. Modules, what they declare, who owns an operator and where it is printed are the
    print's; a variable that a PARAMETER or BUFFER line declares is of the kind that this line says. Operators that OneFlow prints and
    its job has not (boxing) are left out. Errors: GraphError where the two are of different graphs.
    """
    if job.name != printed.name:
        raise GraphError(f"the printed graph is {quoted(printed.name)}, the job {quoted(job.name)}", path=printed.source.name)
    paths = frozenset(module.path for module in printed.modules)
    declared = {parameter.name: parameter.kind for module in printed.modules for parameter in module.parameters}
    lines = printed.by_name
    ops = tuple(_merged(op, lines.get(op.name), declared.get(op.name), paths) for op in job.ops)
    notes = [*job.notes, *(note for note in printed.notes if note.code not in _RESTATED and note not in job.notes)]
    return replace(printed, ops=ops, training=job.training, format=CAPTURE.name, holds=CAPTURE.holds, notes=tuple(notes))


def _merged(op: Op, line: Op | None, kind: VariableKind | None, paths: frozenset[str]) -> Op:
    """An operator of the job with what its line in the print adds."""
    module = line.module if line is not None else nearest(op.module, paths)
    if kind is not None and op.type == "variable":
        # A phase follows the kind: a parameter may be named like an optimizer's state.
        phase = line.phase if line is not None and op.kind is not kind else op.phase
        op = replace(op, kind=kind, kind_source="declared", phase=phase)
    span = line.span if line is not None else None
    return replace(op, module=module, span=span, location=op.location or (line.location if line is not None else None))
