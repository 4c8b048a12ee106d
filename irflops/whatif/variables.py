"""Which variables a what-if gives other shapes, and what follows a variable: its optimizer states, and those that are called like it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping

from irflops.errors import IrflopsError, quoted
from irflops.ir.graph import Graph, Op, TensorType, VariableKind
from irflops.ir.tree import path_pattern
from irflops.whatif.request import Asked, Variables, captured_shape, new_shape

_NUMBER = re.compile(r"(?<![^.])[0-9]+(?![^.])")
"""A level of a path that counts modules of one kind: `blocks.3`."""


def asked_variables(graph: Graph, types: Mapping[str, TensorType], variables: Variables | None) -> tuple[Asked, ...]:
    """The variables that change, with their optimizer states, in file order.

    Errors: IrflopsError where no variable is called so, or its axes are others.
    """
    wanted: dict[str, tuple[int, ...]] = {}
    for pattern, shape in (variables or {}).items():
        for op in variables_called(graph, pattern):
            after = new_shape(graph, op, captured_shape(graph, op, types), shape)
            wanted |= dict.fromkeys((op.name, *(state.name for state in _states(graph, types, op))), after)
    found = ((op, captured_shape(graph, op, types)) for op in graph.ops if op.name in wanted)
    return tuple(Asked(op, op.outputs[0].lbn, before, wanted[op.name]) for op, before in found if wanted[op.name] != before)


def alike(graph: Graph, types: Mapping[str, TensorType], op: Op) -> tuple[str, list[Op]]:
    """The variables of one shape whose names differ by numbers of modules alone, and a pattern that names them all and no other."""
    pattern = _NUMBER.sub("*", op.name)
    shape = types[op.outputs[0].lbn].shape
    matches = re.compile(path_pattern(pattern)).fullmatch
    found = [other for other in _variables(graph) if matches(other.name)]
    if all(types[other.outputs[0].lbn].shape == shape for other in found) and op in found and len(found) > 1:
        return pattern, found
    return op.name, [op]


def _variables(graph: Graph) -> Iterator[Op]:
    return (op for op in graph.ops if op.type == "variable" and op.outputs)


def variables_called(graph: Graph, pattern: str) -> list[Op]:
    """The variables of a name, or of a pattern of names. Errors: IrflopsError with the nearest name where there is none."""
    shared = {p.name: p.tied_to for module in graph.modules for p in module.parameters if p.tied_to is not None}
    name = shared.get(pattern, pattern)
    there = {op.name: op for op in _variables(graph)}
    if name in there:
        return [there[name]]
    matches = re.compile(path_pattern(pattern)).fullmatch
    found = [op for op in there.values() if "*" in pattern and op.kind is not VariableKind.OPTIMIZER_STATE and matches(op.name)]
    if not found:
        near = difflib.get_close_matches(pattern, list(there), n=1)
        hint = f"did you mean {near[0]}?" if near else "irflops analyze --by op lists them" if there else "the graph has none"
        raise IrflopsError(f"no variable is called {quoted(pattern)}", path=graph.source.name, hint=hint)
    return found


def _states(graph: Graph, types: Mapping[str, TensorType], variable: Op) -> Iterator[Op]:
    """The optimizer states of a variable's shape that its update reads."""
    lbn = variable.outputs[0].lbn
    for reader in (graph.ops[graph.edges.owners[slot]] for slot in graph.edges.uses(lbn)):
        for operand in reader.inputs:
            state = graph.producers.get(operand.lbn)
            if state is not None and state.kind is VariableKind.OPTIMIZER_STATE and types[operand.lbn].shape == types[lbn].shape:
                yield state
