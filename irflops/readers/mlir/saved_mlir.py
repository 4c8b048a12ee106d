"""From a saved graph's model.mlir to a graph: which job or function of it, and what is said of the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from irflops.errors import NotAGraphError, Source
from irflops.ir.graph import Graph, Note, Phase
from irflops.ir.holds import Holds
from irflops.readers.choice import Choosable, choose
from irflops.readers.forms import SAVED_MLIR, SAVED_STEP
from irflops.readers.meaning.assemble import complete, freeze
from irflops.readers.meaning.draft import Draft
from irflops.readers.mlir.mlir_calls import Calls, at
from irflops.readers.mlir.mlir_functions import Function, Functions, functions_of
from irflops.readers.mlir.mlir_graph import GraphBuilder
from irflops.readers.mlir.mlir_lowered import nothing_left
from irflops.readers.mlir.mlir_modules import assign_modules
from irflops.readers.mlir.mlir_names import OpNames

_NAMED = 3
"""Functions that a note names."""


def read_mlir(source: Source, choice: str | int | None = None) -> Graph:
    """The graph of a model.mlir: its job, or where it has none the function that holds OneFlow's operators.

    `choice` is the name or 1-based number of one, where there are several. A call of a function stands for its body.
    Errors: GraphSyntaxError, GraphError, ChoiceError; NotAGraphError where no operator of OneFlow's is in it.
    """
    functions = functions_of(source)
    graphs = functions.graphs()
    if not graphs:
        raise nothing_left(source, functions.foreign)
    chosen = _choose(source, functions, graphs, choice)
    reached = functions.reached(chosen)
    names = OpNames(name for function in reached for name in function.content.operators)
    builder = GraphBuilder(source, Calls(functions), names)
    builder.build(chosen)
    if not builder.drafts:
        raise NotAGraphError(f"{chosen.name} has no operators", path=source.name, hint="save a graph that was called once")
    graph = _graph(builder, chosen.name)
    ids = set(map(id, reached))
    left_out = [function.name for function in functions.holding if chosen.is_job and not function.is_job and id(function) not in ids]
    return replace(graph, notes=(*graph.notes, *names.notes(), *_notes(builder, left_out)))


def _choose(source: Source, functions: Functions, graphs: list[Function], choice: str | int | None) -> Function:
    """The chosen one of several graphs; a function beside jobs can be chosen by its name. Errors: ChoiceError."""
    beside = functions.by_name.get(str(choice))
    if (
        beside is not None
        and any(beside is function for function in functions.holding)
        and all(beside.name != each.name for each in graphs)
    ):
        return beside
    listed = [Choosable(each.name, each.span.start, each.span.end, len(each.content.operators)) for each in graphs]
    return graphs[choose(source, listed, choice)]


def _graph(builder: GraphBuilder, name: str) -> Graph:
    modules = assign_modules(builder.drafts, builder.scopes, builder.source.name)
    notes: list[Note] = []
    complete(builder.drafts, builder.source, bool(builder.losses), {}, notes, [(loss, "") for loss in builder.losses])
    trains = any(draft.phase in (Phase.BACKWARD, Phase.OPTIMIZER) for draft in builder.drafts)
    return Graph(
        name=name,
        class_name=None,
        training=bool(builder.losses) or trains,
        ops=tuple(map(freeze, builder.drafts)),
        modules=modules,
        format=SAVED_MLIR.name,
        source=builder.source,
        notes=tuple(notes),
        holds=_holds(builder.drafts),
    )


def _holds(drafts: Sequence[Draft]) -> Holds:
    """What the file tells: `oneflow.save` writes the forward job; one with an optimizer was made from the full job, after the passes."""
    if any(draft.phase is Phase.OPTIMIZER for draft in drafts):
        return SAVED_STEP
    return SAVED_MLIR.holds


def _notes(builder: GraphBuilder, left_out: list[str]) -> Iterator[Note]:
    """What to say of a graph beside its operators; `left_out` are the functions beside its job that the job does not call."""
    if builder.stale:
        text = "result_segment_sizes of another number of results than stand there"
        yield Note("stale-sizes", f"{builder.stale} operators have {text}: passed over, since their op types take as many as there are")
    if builder.bodiless:
        text = "called, and no body is in this file: what these calls compute is unknown"
        yield Note("no-body", f"{_named([*builder.bodiless])} {text}")
    if left_out:
        yield Note("uncalled-function", f"{_named(left_out)}: beside the job, which does not call it; --graph NAME reads it alone")


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(at, names[:_NAMED])) + more
