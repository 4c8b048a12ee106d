"""The calls of modules in the order in which the model makes them: what a user of torchinfo expects of a summary.

A call has what its own operators do; what the modules below it do stands in their rows, or with it where those are not shown. So the rows
add up to the forward pass, whatever the depth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add

from irflops.analysis.analysis import Analysis
from irflops.counting.cost import ZERO, Cost
from irflops.ir.graph import Phase, Shape
from irflops.ir.tree import Tree, tree_of
from irflops.lifting.calls import LiftedCall
from irflops.lifting.steps import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A call of a module."""

    path: str
    level: int
    """Levels below the outermost module, 0 for that."""
    label: str
    """What the path adds to that of the module above."""
    class_name: str | None
    input_shape: Shape | None
    """Of the first tensor that went in."""
    output_shape: Shape | None
    """Of the first that came out."""
    kernel: tuple[int, ...] | None
    """Extents of the window, of a convolution or a pooling."""
    cost: Cost
    """Of this call in the forward pass: its own operators, and those of modules below that have no row. Parameters are the first call's."""
    call: int
    """Which call of the module it is, from 1."""
    calls: int
    """How many there are."""


@dataclass(slots=True)
class _Call:
    path: str
    number: int
    of: int
    lifted: LiftedCall | None
    steps: Sequence[Step]
    below: list[_Call] = field(default_factory=list)
    start: int | None = None
    """Where its first operator stands in the order of the trace; None where it has none."""


def layers(analysis: Analysis, depth: int | None = None) -> list[Layer]:
    """The calls of all modules in the forward pass, parents first, `depth` levels below the outermost ones."""
    tree = tree_of(analysis.modules)
    calls = _calls(analysis, tree)
    own = _own_params(analysis)
    found: list[Layer] = []
    waiting = [(call, 0) for call in reversed(_ordered(calls, tree.children.get("", ())))]
    while waiting:
        call, level = waiting.pop()
        is_cut = level == depth
        found.append(_layer(analysis, tree, call, level, [call, *_under(call)] if is_cut else [call], own))
        if not is_cut:
            waiting += [(below, level + 1) for below in reversed(call.below)]
    graph = calls[""][0] if calls.get("") else None
    if graph is not None and (rest := _layer(analysis, tree, graph, 0, [graph], own)).cost != ZERO:
        found.append(rest)
    return found


def _calls(analysis: Analysis, tree: Tree) -> dict[str, list[_Call]]:
    """By module its calls, each with those that it makes, in their order."""
    lifted: dict[str, list[LiftedCall]] = {}
    for call in analysis.structure.calls:
        lifted.setdefault(call.path, []).append(call)
    forward: dict[str, list[Step]] = {}
    for step in analysis.structure.steps:
        if step.phase is Phase.FORWARD:
            forward.setdefault(step.module if step.module in analysis.modules else "", []).append(step)
    found: dict[str, list[_Call]] = {}
    for path, _ in reversed(list(tree.walk())):
        below = tree.children.get(path, ())
        known = lifted.get(path, [])
        is_called = bool(known or forward.get(path) or any(found[child] for child in below))
        count = max(len(known), int(is_called))
        told = {step.index for call in known for step in call.steps}
        rest = [step for step in forward.get(path, ()) if step.index not in told]
        found[path] = [
            _Call(path, n, count, call, [*(call.steps if call is not None else ()), *(rest if not n else ())])
            for n, call in enumerate(known or [None] * count)
        ]
        for child in below:
            _share(found[child], found[path])
        for made in found[path]:
            by_path = _by_path(made.below)
            made.below = _ordered(by_path, [child for child in below if child in by_path])
            starts = [_place(step) for step in made.steps] + [call.start for call in made.below if call.start is not None]
            made.start = min(starts, default=None)
    return found


def _share(calls: Sequence[_Call], parents: Sequence[_Call]) -> None:
    """Gives each call of a module the calls that it makes of one below: as many to each, or all to the first where that cannot be."""
    each, rest = divmod(len(calls), len(parents)) if parents else (0, 0)
    for number, call in enumerate(calls):
        parents[number // each if each and not rest else 0].below.append(call)


def _by_path(calls: Iterable[_Call]) -> dict[str, list[_Call]]:
    found: dict[str, list[_Call]] = {}
    for call in calls:
        found.setdefault(call.path, []).append(call)
    return found


def _ordered(calls: Mapping[str, Sequence[_Call]], paths: Iterable[str]) -> list[_Call]:
    """Calls of sibling modules in the order in which they are made; one without operators comes behind the one defined before it."""
    keyed: list[tuple[int, int, _Call]] = []
    last = -1
    for path in paths:
        for call in calls.get(path, ()):
            last = call.start if call.start is not None else last
            keyed.append((last, len(keyed), call))
    return [call for _, _, call in sorted(keyed, key=lambda key: key[:2])]


def _place(step: Step) -> int:
    """Where a step stands in the order of the trace: by OneFlow's counter, or by the file where it has none."""
    return step.op.number if step.op.number is not None else step.index


def _under(call: _Call) -> Iterator[_Call]:
    waiting = [*call.below]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += one.below


def _own_params(analysis: Analysis) -> dict[str, Cost]:
    """By module what its own variables hold, those of modules below not."""
    found: dict[str, Cost] = {}
    for index, op in enumerate(analysis.graph.ops):
        if op.type == "variable":
            path = op.module if op.module in analysis.modules else ""
            found[path] = found.get(path, ZERO) + analysis.op_cost(index)
    return found


def _layer(analysis: Analysis, tree: Tree, call: _Call, level: int, parts: Sequence[_Call], own: Mapping[str, Cost]) -> Layer:
    work = [analysis.op_cost(index) for part in parts for step in part.steps for index in step.ops]
    held = [own.get(part.path, ZERO) for part in parts if part.number == 0]
    x, y = _shapes(analysis, call)
    return Layer(
        path=call.path,
        level=level,
        label=(tree.label(call.path) if level else call.path) or "(graph)",
        class_name=_class_name(analysis, call),
        input_shape=x,
        output_shape=y,
        kernel=_kernel(call),
        cost=reduce(add, [*work, *held], ZERO),
        call=call.number + 1,
        calls=call.of,
    )


def _class_name(analysis: Analysis, call: _Call) -> str | None:
    if call.lifted is not None:
        return call.lifted.class_name or call.lifted.printed
    return analysis.module_classes.get(call.path) or (None if call.path else analysis.graph.class_name)


def _shapes(analysis: Analysis, call: _Call) -> tuple[Shape | None, Shape | None]:
    """What went in and came out, as the form tells it, or else by the operators: those of a layer, or all that are called in it."""
    made = analysis.module_calls.get(call.path, ())
    told = made[call.number] if len(made) == call.of else None
    x = told.inputs[0].shape if told is not None and told.inputs else None
    y = told.outputs[0].shape if told is not None and told.outputs else None
    if x is None or y is None:
        found = _ends(analysis, call)
        x, y = x or found[0], y or found[1]
    return x, y


def _ends(analysis: Analysis, call: _Call) -> tuple[Shape | None, Shape | None]:
    """The first that goes into an operator of a call or of one that it makes, and the last that comes out."""
    under = [call, *_under(call)]
    steps = sorted((step for part in under for step in part.steps), key=_place)
    if not steps:
        return None, None
    if call.lifted is not None and not call.below and "indices" not in {operand.arg for operand in steps[0].op.inputs}:
        return call.lifted.x, call.lifted.y
    return _went_in(analysis, steps[0]), steps[-1].y


def _went_in(analysis: Analysis, step: Step) -> Shape | None:
    """What goes into a step: of a lookup in a table not the table, but what is looked up."""
    for operand in step.op.inputs:
        if operand.arg == "indices":
            return analysis.inference.types.get(operand.lbn, operand.type).shape
    return step.x


def _kernel(call: _Call) -> tuple[int, ...] | None:
    """The window of the step that a call is named after."""
    step = call.lifted.step if call.lifted is not None else None
    if step is None:
        return None
    told = step.op.attrs.get("kernel_size")
    if isinstance(told, tuple) and told:
        return tuple(extent for extent in told if isinstance(extent, int))
    if step.kind in ("conv", "conv_transpose") and step.weight is not None and len(step.weight) > 2:
        spatial = step.weight[1:-1] if step.op.attrs.get("data_format") == "channels_last" else step.weight[2:]
        return tuple(extent for extent in spatial if extent is not None)
    return None
