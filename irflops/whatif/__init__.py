"""What a captured graph would be with other inputs: at another batch, another size, another float type. No figures, no format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

from irflops.counting.infer import infer
from irflops.errors import quoted
from irflops.ir.certainty import Certainty
from irflops.ir.graph import (
    Attrs,
    AttrValue,
    DType,
    Graph,
    Module,
    ModuleCall,
    Note,
    Op,
    Operand,
    Parameter,
    Phase,
    Shape,
    TensorType,
    VariableKind,
)
from irflops.ops import BOOK
from irflops.ops.book import RuleBook
from irflops.whatif.alternatives import recast
from irflops.whatif.idle import without_idle
from irflops.whatif.mesh import MeshSize, with_mesh
from irflops.whatif.prepared import Prepared, prepare
from irflops.whatif.refusals import OTHER_FORM, OTHER_SIZE, Misfit
from irflops.whatif.request import Asked, Inputs, Variables, asked, text
from irflops.whatif.tables import options_for
from irflops.whatif.variables import asked_variables
from irflops.whatif.widths import Swap, Widths, widths_of
from irflops.whatif.worlds import UNCHANGED, Outcome, carried

LISTED = 3
"""Operators that a note names."""


class WhatIf:
    """A graph whose what-ifs are asked for: what they share is worked out once."""

    def __init__(self, graph: Graph, book: RuleBook = BOOK) -> None:
        self.graph = graph
        self.book = book

    @cached_property
    def types(self) -> Mapping[str, TensorType]:
        """The captured type of every tensor, by lbn."""
        return infer(self.graph, self.book).types

    @cached_property
    def prepared(self) -> Prepared:
        """How to carry other shapes through the graph."""
        return prepare(self.graph, self.types, self.book)

    def changed(
        self,
        *,
        batch: int | None = None,
        inputs: Inputs | None = None,
        variables: Variables | None = None,
        dtype: str | DType | None = None,
        weights: str | DType | None = None,
        activations: str | DType | None = None,
    ) -> Graph:
        """As the function of this name."""
        graph, types = self.graph, self.types
        wanted = asked(graph, types, batch, inputs) if batch is not None or inputs is not None else ()
        wanted += asked_variables(graph, types, variables)
        outcome = self._carried(wanted) if wanted else UNCHANGED
        widths = widths_of(graph, types, self.book, dtype, weights, activations)
        after = {lbn: _after(type_, outcome.shapes.get(lbn, type_.shape), widths.of(lbn)) for lbn, type_ in types.items()}
        means = _means(graph, types, after)
        ops, idle = without_idle(graph.ops, tuple(_op(op, after, outcome, widths) for op in graph.ops), self.book)
        grown = _broadcast(graph, outcome, self.book)
        resized = {ask.op.name: ask.after for ask in wanted if ask.op.type == "variable"}
        return replace(
            graph,
            ops=ops,
            modules=tuple(_module(module, widths, resized, whole=not wanted) for module in graph.modules),
            notes=(*graph.notes, *_notes(graph, wanted, outcome, widths, means), *_not_counted(idle, grown)),
            doubt=_doubt(graph, outcome, means + idle + grown),
        )

    def _carried(self, wanted: tuple[Asked, ...]) -> Outcome:
        try:
            return carried(self.prepared, wanted)
        except Misfit as error:
            error.wanted = wanted
            raise

    def advised(self, error: Misfit, letters: Mapping[int, str] | None = None) -> Misfit:
        """An error of `changed` with a hint that names the options which let the graph take the sizes, where some do: that takes tries.

        `letters` are what to write for extents that vary, by what they are in `error`.
        """
        error.hint = options_for(self.prepared, error.wanted, error, letters or {}) or error.hint
        return error


def changed(
    graph: Graph,
    *,
    batch: int | None = None,
    inputs: Inputs | None = None,
    variables: Variables | None = None,
    dtype: str | DType | None = None,
    weights: str | DType | None = None,
    activations: str | DType | None = None,
    mesh: MeshSize | None = None,
    book: RuleBook = BOOK,
) -> Graph:
    """The graph with other inputs, every shape inferred anew.

    `batch` sets axis 0 of the first input, and of every other with the same extent there. `inputs` gives shapes by the name of an input; a
    shape alone is that of the one input there is. `variables` gives shapes by the name of a variable, or by a pattern of names; their
    optimizer states follow. `dtype` takes the place of the commonest float type, in tensors, variables and the attributes that name it;
    optimizer states keep theirs. `weights` is for trainable and frozen parameters alone, and for what is cut from them; `activations` for
    all that is no variable. `mesh` is the extents of another mesh of devices, in order or by name. A note says what changed. Errors:
    IrflopsError, at the operator that cannot take the new sizes, or whose attributes could mean several things.
    """
    if any(one is not None for one in (batch, inputs, variables, dtype, weights, activations)):
        what_if = WhatIf(graph, book)
        try:
            graph = what_if.changed(batch=batch, inputs=inputs, variables=variables, dtype=dtype, weights=weights, activations=activations)
        except Misfit as error:
            raise what_if.advised(error) from None
    return graph if mesh is None else with_mesh(graph, mesh)


def _after(type_: TensorType, shape: Shape | None, swap: Swap) -> TensorType:
    return TensorType(shape, swap.get(type_.dtype, type_.dtype) if type_.dtype is not None else None)


def _op(op: Op, types: Mapping[str, TensorType], outcome: Outcome, widths: Widths) -> Op:
    if op.name in outcome.op_types:
        op = recast(op, outcome.op_types[op.name])
    inputs = tuple(_operand(operand, types) for operand in op.inputs)
    outputs = tuple(_operand(result, types) for result in op.outputs)
    attrs = _attrs(op, outcome, widths)
    if inputs == op.inputs and outputs == op.outputs and attrs is op.attrs:
        return op
    return replace(op, inputs=inputs, outputs=outputs, attrs=attrs)


def _operand(operand: Operand, types: Mapping[str, TensorType]) -> Operand:
    type_ = types.get(operand.lbn)
    return operand if type_ is None or type_ == operand.type else replace(operand, type=type_)


def _attrs(op: Op, outcome: Outcome, widths: Widths) -> Attrs:
    """Attributes with their sizes and dtypes as they are now; the very same object where nothing differs."""
    new: dict[str, AttrValue] = dict(outcome.sizes.get(op.name, {}))
    if op.type in ("input", "output", "variable") and "shape" in op.attrs and op.outputs:
        shape = outcome.shapes.get(op.outputs[0].lbn)
        extents = tuple(extent for extent in shape or () if extent is not None)
        if shape is not None and len(extents) == len(shape):
            new["shape"] = extents
    swap = widths.of(op.outputs[0].lbn) if op.outputs else widths.every
    if swap:
        names = {old.word: now.word for old, now in swap.items()}
        new |= {name: names[value] for name, value in op.attrs.items() if isinstance(value, str) and value in names}
    return Attrs({**op.attrs, **new}) if new else op.attrs


def _module(module: Module, widths: Widths, resized: Mapping[str, tuple[int, ...]], *, whole: bool) -> Module:
    """The module with its parameters' types; what went in and came out is known no more under other shapes."""

    def now(parameter: Parameter) -> Parameter:
        shape = resized.get(parameter.tied_to or parameter.name, parameter.type.shape)
        return replace(parameter, type=_after(parameter.type, shape, widths.of_kind(parameter.kind)))

    parameters = tuple(map(now, module.parameters))
    if whole:
        through = {
            name: tuple(_after(type_, type_.shape, widths.activations) for type_ in tensors)
            for name, tensors in (("inputs", module.inputs), ("outputs", module.outputs))
        }
        return replace(module, parameters=parameters, inputs=through["inputs"], outputs=through["outputs"])
    calls = (ModuleCall((), ()),) * len(module.calls)
    return replace(module, parameters=parameters, inputs=(), outputs=(), calls=calls)


def _means(graph: Graph, before: Mapping[str, TensorType], after: Mapping[str, TensorType]) -> tuple[str, ...]:
    """Sums over axes of 1 that have grown: of a mean over one element OneFlow leaves out the multiplication by 1 / n."""
    found = []
    for op in graph.ops:
        if op.type == "reduce_sum" and len(op.inputs) == len(op.outputs) == 1:
            operand, result = op.inputs[0].lbn, op.outputs[0].lbn
            was, now = (
                (types.get(operand, op.inputs[0].type).numel, types.get(result, op.outputs[0].type).numel) for types in (before, after)
            )
            if was[0] is not None and was[0] == was[1] and now[0] != now[1]:
                found.append(op.name)
    return tuple(found)


def _doubt(graph: Graph, outcome: Outcome, not_counted: tuple[str, ...]) -> Certainty:
    guessed = Certainty.UNBOUNDED if outcome.preferred or outcome.against or outcome.exhausted_at else Certainty.EXACT
    return graph.doubt | guessed | (Certainty.LOWER_BOUND if not_counted else Certainty.EXACT)


def _broadcast(graph: Graph, outcome: Outcome, book: RuleBook) -> tuple[str, ...]:
    """Operators of a training step whose operands were of one shape and now broadcast: backward sums a gradient for the smaller one."""
    if not graph.training:
        return ()
    changed_type = ((op, outcome.op_types.get(op.name)) for op in graph.ops if op.phase is Phase.FORWARD)
    return tuple(op.name for op, now in changed_type if now is not None and now in book.equal)


def _not_counted(idle: tuple[str, ...], grown: tuple[str, ...]) -> list[Note]:
    notes = []
    if idle:
        what = "these would cut off nothing any more; OneFlow leaves out an index like that, and they are not counted"
        notes.append(Note("what-if-idle", f"{what}: {_names(idle)}"))
    if grown:
        what = "the operands of these were of one shape and are not: backward sums a gradient of the smaller one, which is not counted"
        notes.append(Note("what-if-broadcast", f"{what}: {_names(grown)}"))
    return notes


def _alike(wanted: tuple[Asked, ...]) -> list[tuple[tuple[str, str], dict[str, None]]]:
    """Names of what changes, by what it changes from and into; each input by itself, and no optimizer states, which follow."""
    found: dict[object, tuple[tuple[str, str], dict[str, None]]] = {}
    for number, ask in enumerate(wanted):
        if ask.op.kind is not VariableKind.OPTIMIZER_STATE:
            key = text(ask.before), text(ask.after)
            _, names = found.setdefault(number if ask.op.type == "input" else key, (key, {}))
            names[f"{ask.op.type} {quoted(ask.op.name)}"] = None
    return list(found.values())


def _names(names: tuple[str, ...]) -> str:
    return _listed([quoted(name) for name in names])


def _listed(texts: list[str]) -> str:
    more = f" and {len(texts) - LISTED} more" if len(texts) > LISTED else ""
    return f"{', '.join(texts[:LISTED])}{more}"


def _notes(graph: Graph, wanted: tuple[Asked, ...], outcome: Outcome, widths: Widths, means: tuple[str, ...]) -> list[Note]:
    parts = [f"{_listed(list(each))} {before} -> {after}" for (before, after), each in _alike(wanted)] + widths.words
    notes = [Note("what-if", f"not as captured: {'; '.join(parts) or 'nothing differs from what was asked for'}")]
    if widths.weights != widths.activations:
        what = "operators that would quantize, cast or scale between the types of weights and of activations are not in the graph"
        notes.append(Note("what-if-widths", f"{what}, and not counted"))
    unknown = sum(shape is None for shape in outcome.shapes.values())
    if outcome.exhausted_at:
        what = f"more readings are open up to {quoted(outcome.exhausted_at)} than are tried: from there on results are unknown"
        notes.append(Note("what-if-exhausted", f"{what}, and no total of work is exact: {OTHER_FORM}"))
    elif unknown and not (outcome.against and not outcome.untold):
        untold = [f"{quoted(name)} ({attr})" for name, attr in outcome.untold.items()]
        behind = (
            f"operators whose attributes nothing tells, {_listed(untold)}" if untold else "operators without a rule, or without operands"
        )
        notes.append(Note("what-if-unknown", f"{unknown} tensors behind {behind}, have no known shape any more"))
    if outcome.preferred:
        what = (
            "the attributes of these operators could mean several things; taken is what keeps tensors of one size at one size, or else "
            "what OneFlow's API does unless told otherwise"
        )
        sure = f"no total of work is exact: {OTHER_SIZE if graph.holds.attrs else OTHER_FORM}"
        notes.append(Note("what-if-reading", f"{what}: {_names(outcome.preferred)}; {sure}"))
    if outcome.against:
        listed = _listed([f"{quoted(name)}: {why}" for name, why in outcome.against.items()])
        notes.append(Note("what-if-constant", f"perhaps the model does not take this size, and no total of work is exact: {listed}"))
    if means:
        what = "these sums went over axes of 1, which have grown: if they are means, OneFlow multiplies by 1 / n now, which is not counted"
        notes.append(Note("what-if-mean", f"{what}: {_names(means)}"))
    return notes


__all__ = ["Asked", "Inputs", "MeshSize", "Misfit", "Variables", "WhatIf", "changed", "text"]
