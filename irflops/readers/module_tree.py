"""The module tree of a printed graph: levels as they are read, and the frozen modules that they become."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from irflops.errors import Span
from irflops.ir import Module, Parameter, TensorType, VariableKind
from irflops.readers.draft import Draft
from irflops.readers.operators import UNPLACED


@dataclass
class Level:
    """A module whose lines are being read."""

    path: str | None
    """None where a listing lost it."""
    text: str | None
    start: int
    end: int
    inputs: list[TensorType] = field(default_factory=list)
    outputs: list[TensorType] = field(default_factory=list)
    parameters: list[Parameter] = field(default_factory=list)
    unnamed: list[Parameter] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    order: int = 0


def name_lost_modules(modules: Sequence[Level]) -> None:
    """Listings that lost their `:name:` parts: a module's path follows from the names of its operators, its parameters from their order."""
    for level in modules:
        if level.path is None:
            paths = [d.module if d.module != UNPLACED else d.name.rpartition(".")[0] for d in level.drafts]
            level.path = Counter(paths).most_common(1)[0][0] if paths else ""
        free = [d for d in level.drafts if d.type == "variable"]
        for parameter in level.unnamed:
            fits = [
                d
                for d in free
                if d.outputs[0].type == parameter.type and _is_buffer_name(d.name) == (parameter.kind is VariableKind.BUFFER)
            ]
            name = fits[0].name if fits else parameter.name
            free = [d for d in free if d.name != name]
            level.parameters.append(Parameter(name, parameter.type, parameter.kind))


def _is_buffer_name(name: str) -> bool:
    return name.rpartition(".")[2].startswith(("running_", "num_batches_tracked"))


def frozen_modules(modules: Sequence[Level], drafts: list[Draft], class_of: Callable[[str], str | None]) -> tuple[Module, ...]:
    """The module tree, one entry per path; a module printed twice is one."""
    names = {draft.name for draft in drafts}
    makers = {d.name: d for d in drafts if d.type == "variable"}
    read_by_module = _reads(drafts)
    found: dict[str, Module] = {}
    for level in modules:
        path = level.path or ""
        parameters = tuple(_with_owner(p, path, names, makers, read_by_module) for p in level.parameters)
        if path in found:
            earlier = found[path]
            known = {p.name for p in earlier.parameters}
            parameters = earlier.parameters + tuple(p for p in parameters if p.name not in known or not p.name)
            found[path] = Module(
                path,
                earlier.class_name,
                earlier.text,
                earlier.span,
                earlier.inputs + tuple(level.inputs),
                earlier.outputs + tuple(level.outputs),
                parameters,
            )
            continue
        class_name = class_of(level.text) if level.text else None
        found[path] = Module(
            path, class_name, level.text, Span(level.start, level.end), tuple(level.inputs), tuple(level.outputs), parameters
        )
    return tuple(found.values())


def _reads(drafts: list[Draft]) -> dict[str, set[str]]:
    """By module path, the names of the variables that its operators read."""
    variables = {draft.name for draft in drafts if draft.type == "variable"}
    reads: dict[str, set[str]] = {}
    for draft in drafts:
        for operand in draft.inputs:
            name = operand.lbn.partition("/")[0]
            if name in variables:
                reads.setdefault(draft.module, set()).add(name)
    return reads


def _with_owner(parameter: Parameter, path: str, names: set[str], makers: dict[str, Draft], reads: dict[str, set[str]]) -> Parameter:
    """A parameter without a variable of its own is tied if its module reads another module's variable of the same last name and shape."""
    if parameter.name in names or not parameter.name or parameter.kind is VariableKind.BUFFER:
        return parameter
    last = parameter.name.rpartition(".")[2]
    for name in sorted(reads.get(path, ())):
        if name.rpartition(".")[2] == last and makers[name].outputs[0].type.shape == parameter.type.shape:
            return Parameter(parameter.name, parameter.type, parameter.kind, tied_to=name)
    return parameter
