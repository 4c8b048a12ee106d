"""From drafts to a frozen graph: what every reader does once it has read all operators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from sys import intern

from irflops.errors import GraphError, Source, Span, error_at, quoted
from irflops.ir.edges import Edges, edges_of
from irflops.ir.graph import Note, Op, Operand, TensorType, VariableKind
from irflops.ir.sbp import NdSbp
from irflops.readers.meaning.draft import Draft
from irflops.readers.meaning.names import stem_of
from irflops.readers.meaning.phase import assign_phases
from irflops.readers.meaning.resolve import is_folded_variable, resolve
from irflops.readers.meaning.runs import assign_runs
from irflops.readers.meaning.variables import assign_kinds

_WHOLE_WITHOUT_OPERANDS = frozenset({"learning_rate_schedule", "variable", "input"})
"""Types of hidden sources whose cost does not need the operands that no line shows."""


def add_hidden_sources(drafts: list[Draft], declared: Mapping[str, VariableKind]) -> list[str]:
    """Appends a named source for every operand whose producer the form does not print, such as the learning rate.

    Returns the names of those that the form declares as parameters or buffers: their variables should have been there.
    """
    made = {result.lbn for draft in drafts for result in draft.outputs}
    names = {draft.name for draft in drafts}
    hidden: dict[str, Draft] = {}
    for draft in drafts:
        for operand in draft.inputs:
            if operand.lbn in made:
                continue
            made.add(operand.lbn)
            name, _, blob = operand.lbn.partition("/")
            result = result_operand(operand.lbn, blob, operand.type)
            if name in hidden:
                hidden[name].outputs += (result,)
            elif name not in names:
                resolved = resolve(name, 0)
                types = ("variable",) if name in declared else resolved.types
                op_type = types[0] if len(types) == 1 else None
                elided = op_type not in _WHOLE_WITHOUT_OPERANDS
                own = Draft(name, op_type, (), (result,), candidates=types, elided=elided, hidden=True)
                own.number, own.role = resolved.number, resolved.role
                if op_type == "device_tick":
                    own.module = draft.module  # it says when a source runs, and was made for the one operator that reads it
                hidden[name] = own
    drafts.extend(hidden.values())
    return [name for name in hidden if name in declared]


def _slot_of(blob: str) -> tuple[str, int]:
    """The argument and index that a blob's name spells: `out_0` is the first tensor of `out`."""
    arg, _, index = blob.rpartition("_")
    if not arg or not index.isdecimal():
        return intern(blob), 0
    return intern(arg), int(index) if len(index) < 10 else 0


def result_operand(lbn: str, blob: str, type_: TensorType, nd_sbp: NdSbp | None = None) -> Operand:
    """A result under the argument and index that its blob name spells."""
    return Operand(*_slot_of(blob), lbn, type_, nd_sbp)


def link(drafts: list[Draft], source: Source) -> Edges:
    """Who feeds whom, by the numbers of drafts.

    Errors: GraphError where two operators have one name, two results one lbn, or operators feed each other in a cycle; with both positions.
    """
    _refuse_doubles(drafts, source)
    edges = edges_of(drafts)
    if len(edges.order) < len(drafts):
        raise _cycle(drafts, edges, source)
    return edges


def _refuse_doubles(drafts: list[Draft], source: Source) -> None:
    names: dict[str, Draft] = {}
    results: dict[str, Draft] = {}
    for draft in drafts:
        first = names.setdefault(draft.name, draft)
        if first is not draft:
            raise _twice(f"operator {quoted(draft.name)} is defined twice", first, draft, source)
        for result in draft.outputs:
            first = results.setdefault(result.lbn, draft)
            if first is not draft:
                raise _twice(
                    f"tensor {quoted(result.lbn)} is made twice, by {quoted(first.name)} and {quoted(draft.name)}", first, draft, source
                )


def _twice(message: str, first: Draft, second: Draft, source: Source) -> Exception:
    place = f"; first at line {source.line(first.start)}" if first.start >= 0 else ""
    return error_at(GraphError, source, _name_span(second, source), message + place)


def _name_span(draft: Draft, source: Source) -> Span:
    """Where an operator's line has its name."""
    start = max(draft.start, 0)
    at = source.text.find(draft.name, start, max(draft.end, 1))
    return Span(start, start + 1) if at < 0 else Span(at, at + len(draft.name))


def _cycle(drafts: list[Draft], edges: Edges, source: Source) -> Exception:
    stuck = set(range(len(drafts))).difference(edges.order)
    # Each stuck operator has a stuck producer: walking back from any of them runs into a cycle.
    at, seen = min(stuck), {}
    path: list[int] = []
    while at not in seen:
        seen[at] = len(path)
        path.append(at)
        at = next(producer for producer in edges.fed_by[at] if producer in stuck)
    cycle = path[seen[at] :]
    first, second = drafts[cycle[0]], drafts[cycle[1 % len(cycle)]]
    places = f"lines {source.line(first.start)} and {source.line(second.start)}"
    message = f"{len(cycle)} operators feed each other in a cycle, through {quoted(first.name)} and {quoted(second.name)} ({places})"
    if len(cycle) == 1:
        message = f"operator {quoted(first.name)} feeds itself"
    return error_at(GraphError, source, _name_span(first, source), message)


def complete(
    drafts: list[Draft],
    source: Source,
    training: bool,
    declared: Mapping[str, VariableKind],
    notes: list[Note],
    losses: Iterable[tuple[str, str]] = (),
    *,
    declares: bool = False,
) -> bool:
    """Links the drafts and sets their kinds, phases and runs. Returns whether the backward pass is there as far as there should be one.

    `losses` are the lbns of losses and their gradients, where the form says them; OneFlow 0.8.0 adds a loss's gradient after it has dumped
    the forward job. `declares` tells whether the form declares each parameter and buffer. Appends hidden sources to `drafts`, and to
    `notes` what cannot be told.
    """
    unprinted = add_hidden_sources(drafts, declared)
    if unprinted:
        text = f"no operator line makes {', '.join(unprinted[:3])}{' and others' if len(unprinted) > 3 else ''}, which other lines read"
        notes.append(Note("unprinted-variable", f"{text}: taken from the parameters' own lines"))
    folded = sum(draft.hidden and is_folded_variable(draft.name) for draft in drafts)
    if folded:
        text = f"{folded} variables that OneFlow folded out of others stand on no line: their shapes are those that other lines read"
        notes.append(Note("folded-variable", text))
    edges = link(drafts, source)
    assign_kinds(drafts, edges, declared, declares=declares)
    lost = [draft.name for draft in drafts if draft.kind_open]
    if lost:
        text = f"no PARAMETER or BUFFER line declares {lost[0]}{f' and {len(lost) - 1} others' if len(lost) > 1 else ''}"
        notes.append(Note("lost-declaration", f"{text}: what such a variable is for is a guess"))
    losses = tuple(losses)
    seed = assign_phases(drafts, edges, training, losses)
    forward_alone = seed is None and any(not gradient for _, gradient in losses)
    if forward_alone:
        text = "the graph trains, and this form of OneFlow 0.8.0's holds the forward pass alone: no backward pass, no optimizer"
        notes.append(Note("forward-alone", text))
    if seed is not None and seed.guessed:
        text = "the loss was given a gradient of its own: the backward pass is what updates need and the graph's outputs do not"
        notes.append(Note("given-gradient", text))
    if any(draft.phase is None for draft in drafts):
        text = "no gradient of a loss (a ones_like of it) was found: forward and backward cannot be told apart"
        notes.append(Note("no-seed", text))
    known = assign_runs(drafts, edges)
    times = max((draft.runs for draft in drafts), default=1)
    if times > 1:
        notes.append(Note("accumulation", f"gradients accumulate over {times} micro-batches: the figures are of a whole step"))
    if not known:
        notes.append(
            Note("unknown-runs", "the graph accumulates gradients, and nothing tells over how many micro-batches: every run counts once")
        )
    return not forward_alone


def freeze(draft: Draft) -> Op:
    """The operator as frozen data."""
    return Op(
        draft.name,
        draft.type,
        draft.inputs,
        draft.outputs,
        draft.attrs,
        draft.placement,
        draft.module,
        draft.phase,
        draft.runs,
        Span(draft.start, draft.end) if draft.start >= 0 else None,
        draft.location,
        () if draft.type is not None else draft.candidates,
        draft.kind,
        draft.kind_source,
        draft.kind_open,
        draft.elided,
        draft.hidden,
        draft.number,
        draft.role,
        stem_of(draft.name, draft.type, draft.module, draft.number),
        draft.readings,
        draft.after,
    )
