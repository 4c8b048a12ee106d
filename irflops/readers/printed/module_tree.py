"""The module tree of a printed graph: levels as they are read, and the frozen modules that they become."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import NamedTuple

from irflops.errors import Span
from irflops.ir.graph import Module, ModuleCall, Parameter, Shape, TensorType, VariableKind
from irflops.ir.sbp import NdSbp
from irflops.readers.meaning.draft import Draft
from irflops.readers.meaning.phase import LOOKED_THROUGH
from irflops.readers.printed.operators import UNPLACED


class Line(NamedTuple):
    """An INPUT or OUTPUT line."""

    name: str | None
    """None where a listing lost it."""
    type: TensorType | None
    """None where the value is no tensor."""
    nd_sbp: NdSbp | None = None


@dataclass
class Level:
    """A module whose lines are being read."""

    path: str | None
    """None where a listing lost it."""
    text: str | None
    start: int
    end: int
    inputs: list[Line] = field(default_factory=list)
    outputs: list[Line] = field(default_factory=list)
    parameters: list[Parameter] = field(default_factory=list)
    unnamed: list[Parameter] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)


def name_lost_modules(modules: Sequence[Level]) -> None:
    """Listings that lost their `:name:` parts: a module's path follows from the names of its operators, its parameters from their order."""
    for level in modules:
        if level.path is None:
            paths = [d.module if d.module != UNPLACED else d.name.rpartition(".")[0] for d in level.drafts]
            level.path = Counter(paths).most_common(1)[0][0] if paths else ""
        free: dict[tuple[TensorType, bool], deque[str]] = {}
        for draft in level.drafts if level.unnamed else ():
            if draft.type == "variable":
                free.setdefault((draft.outputs[0].type, _is_buffer_name(draft.name)), deque()).append(draft.name)
        for parameter in level.unnamed:
            fits = free.get((parameter.type, parameter.kind is VariableKind.BUFFER))
            level.parameters.append(Parameter(fits.popleft() if fits else parameter.name, parameter.type, parameter.kind))


def _is_buffer_name(name: str) -> bool:
    return name.rpartition(".")[2].startswith(("running_", "num_batches_tracked"))


def frozen_modules(modules: Sequence[Level], drafts: list[Draft], class_of: Callable[[str], str | None]) -> tuple[Module, ...]:
    """The module tree, one entry per path; a module printed twice is one."""
    by_path: dict[str, list[Level]] = {}
    for level in modules:
        by_path.setdefault(level.path or "", []).append(level)
    names = {draft.name for draft in drafts}
    shared = _shared_variables(drafts)
    frozen = []
    for path, levels in by_path.items():
        first = levels[0]
        parameters: dict[object, Parameter] = {}
        for number, parameter in enumerate(parameter for level in levels for parameter in level.parameters):
            owned = parameter.name in names or not parameter.name or parameter.kind is VariableKind.BUFFER
            key = path, parameter.name.rpartition(".")[2], parameter.type.shape
            tied = parameter if owned or key not in shared else replace(parameter, tied_to=shared[key])
            parameters.setdefault(parameter.name or number, tied)
        frozen.append(
            Module(
                path,
                class_of(first.text) if first.text else None,
                first.text,
                Span(first.start, first.end),
                tuple(tensors_of(line for level in levels for line in level.inputs)),
                tuple(tensors_of(line for level in levels for line in level.outputs)),
                tuple(parameters.values()),
                _calls([line for level in levels for line in level.inputs], [line for level in levels for line in level.outputs]),
            )
        )
    return tuple(frozen)


def tensors_of(lines: Iterable[Line]) -> list[TensorType]:
    """The types of those lines that are of tensors."""
    return [line.type for line in lines if line.type is not None]


def _calls(inputs: list[Line], outputs: list[Line]) -> tuple[ModuleCall, ...]:
    """The calls of a module: a name stands once in each, so that one that comes again begins the next."""
    pairs = zip_longest(_by_call(inputs), _by_call(outputs), fillvalue=())
    return tuple(ModuleCall(tuple(tensors_of(took)), tuple(tensors_of(gave))) for took, gave in pairs)


def _by_call(lines: list[Line]) -> list[list[Line]]:
    calls: list[list[Line]] = []
    seen: set[str | None] = set()
    for line in lines:
        if not calls or line.name in seen:
            calls.append([])
            seen.clear()
        seen.add(line.name)
        calls[-1].append(line)
    return calls


def _shared_variables(drafts: list[Draft]) -> dict[tuple[str, str, Shape | None], str]:
    """The variable that a module's operators read, by module path, last name and shape.

    A parameter without a variable of its own is tied to it. The first by name counts, where several fit.
    """
    variable_of = {result.lbn: draft.name for draft in drafts if draft.type == "variable" for result in draft.outputs}
    shapes = {draft.name: draft.outputs[0].type.shape for draft in drafts if draft.type == "variable" and draft.outputs}
    found: dict[tuple[str, str, Shape | None], str] = {}
    for draft in drafts:
        if draft.type in LOOKED_THROUGH and draft.inputs and draft.inputs[0].lbn in variable_of:
            variable_of.update((result.lbn, variable_of[draft.inputs[0].lbn]) for result in draft.outputs)
    for draft in drafts:
        for operand in draft.inputs:
            name = variable_of.get(operand.lbn)
            if name is not None:
                key = draft.module, name.rpartition(".")[2], shapes[name]
                found[key] = min(name, found.get(key, name))
    return found
