"""Makes the new graph of the old one, by the edits of a diff alone: the new graph itself is never looked at.

Names are taken from the diff's pairs, for counters have no edits. Shapes are inferred anew behind every edit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from irflops.differ.edit import Consequence, Edit
from irflops.differ.follow import inferred
from irflops.differ.forms import aspects_of
from irflops.differ.result import Diff
from irflops.differ.side import INTERFACE, boxed_in, is_boxing
from irflops.ir import plain
from irflops.ir.edges import edges_of
from irflops.ir.graph import Attrs, DType, Graph, Module, Op, Operand, Parameter, Phase, Placement, TensorType, VariableKind
from irflops.ir.tree import nearest
from irflops.readers.meaning.names import named
from irflops.whatif.alternatives import recast

_KINDS = {kind.value: kind for kind in VariableKind}
_COMING = ("op_added", "param_added", "param_untied")
_GOING = ("op_removed", "param_removed", "param_tied")

Use = tuple[str, str, int]
"""An operand: the operator's name in the new graph, the argument, the index."""


def applied(diff: Diff) -> Graph:
    """The old graph with the edits made, every shape behind them inferred anew. Boxing identities are left out: nothing compares them.

    What inference cannot tell has to be among the diff's consequences. Operators stand in an order in which they can run.
    """
    graph = diff.old.graph
    own = _by_operator(diff.edits)
    wires: dict[str, dict[tuple[str, int], str | None]] = {}
    for (reader, arg, index), lbn in _wires(diff):
        wires.setdefault(reader, {})[arg, index] = lbn
    casts = not aspects_of(graph, diff.new.graph).stage
    boxed = boxed_in(graph.ops, casts=casts)
    lbns = {lbn: other for op in graph.ops if op.name in diff.pairs for lbn, other in _results(op, diff, own)}
    types = dict(diff.old.inference.types)
    made = []
    for op in graph.ops:
        if is_boxing(op, casts=casts) or op.name not in diff.pairs:
            continue
        name = diff.pairs[op.name]
        kept = replace(
            op,
            name=name,
            module=_path(op.module, diff),
            inputs=tuple(_operand(o, boxed, lbns, types) for o in op.inputs),
            outputs=tuple(replace(result, lbn=lbns[result.lbn], type=types[result.lbn]) for result in op.outputs),
        )
        kept = replace(kept, inputs=_rewired(kept.inputs, wires.get(name, {})))
        made.append(_Made(kept, _changed(kept, own.get(name, ()), diff.consequences.get(name)), settled=_is_settled(own.get(name, ()))))
    for edit in diff.edits:
        if _comes(edit):
            assert isinstance(edit.new, Op)
            op = _unboxed(edit.new, edit.detail)
            made.append(_Made(replace(op, inputs=()), op, settled=all(r.type.shape is not None for r in op.outputs)))
    ops = _typed(made, diff)
    training = any(op.phase in (Phase.BACKWARD, Phase.OPTIMIZER) for op in ops)
    return replace(graph, ops=ops, modules=_modules(diff), training=training)


@dataclass(frozen=True, slots=True)
class _Made:
    """An operator of the old graph under its new name, and after its edits."""

    before: Op
    after: Op
    settled: bool
    """Whether the edits say what its results are."""


def _is_settled(edits: Sequence[Edit]) -> bool:
    return any(edit.kind in ("op_retyped", "shape_changed", "dtype_changed") for edit in edits)


def _results(op: Op, diff: Diff, own: Mapping[str, Sequence[Edit]]) -> Iterator[tuple[str, str]]:
    """The results of an operator by the names that they had and have: those of another type have others."""
    name = diff.pairs[op.name]
    now: list[str] = []
    for edit in own.get(name, ()):
        if edit.kind == "op_retyped":
            assert isinstance(edit.new, Op)
            now = [result.lbn for result in edit.new.outputs]
    follows = diff.consequences.get(name)
    if follows is not None and follows.op_type is not None:
        now = [f"{name}/{result.arg}_{result.index}" for result in recast(op, follows.op_type).outputs]
    for number, result in enumerate(op.outputs):
        yield result.lbn, now[number] if number < len(now) else name + result.lbn[len(op.name) :]


def _operand(operand: Operand, boxed: Mapping[str, str], lbns: Mapping[str, str], types: Mapping[str, TensorType]) -> Operand:
    """An operand with its present name and the type it had, past the boxing before it."""
    lbn = boxed.get(operand.lbn, operand.lbn)
    return replace(operand, lbn=lbns.get(lbn, lbn), type=types.get(lbn, operand.type))


def _comes(edit: Edit) -> bool:
    if edit.detail.get("unused"):
        return False
    return edit.kind in _COMING or (edit.old is None and edit.kind in ("input_changed", "output_changed"))


def _goes(edit: Edit) -> bool:
    if edit.detail.get("unused"):
        return False
    return edit.kind in _GOING or (edit.new is None and edit.kind in ("input_changed", "output_changed"))


def _path(path: str, diff: Diff) -> str:
    top = nearest(path, diff.modules)
    return diff.modules.get(top, top) + path[len(top) :]


def _by_operator(edits: Sequence[Edit]) -> dict[str, list[Edit]]:
    """Edits of operators that are in both graphs, by the new name."""
    found: dict[str, list[Edit]] = {}
    for edit in edits:
        if isinstance(edit.old, Op) and isinstance(edit.new, Op) and not edit.detail.get("unused"):
            found.setdefault(edit.new.name, []).append(edit)
    return found


# Edges


def _wires(diff: Diff) -> Iterator[tuple[Use, str | None]]:
    """Operands of operators in both graphs that come from elsewhere, as lbns of the new graph; None where there is none any more."""
    for edit in diff.edits:
        if _goes(edit):
            for feed in edit.detail["feeds"]:
                if feed["op"] in diff.pairs:
                    yield (diff.pairs[feed["op"]], feed["arg"], feed["index"]), feed["otherwise"]
    kept = set(diff.pairs.values())
    for edit in diff.edits:
        if _comes(edit):
            for feed in edit.detail["feeds"]:
                if feed["op"] in kept:
                    yield (feed["op"], feed["arg"], feed["index"]), feed["lbn"]
        elif edit.kind == "edge_changed":
            assert isinstance(edit.new, Op)
            yield (edit.new.name, edit.detail["arg"], edit.detail["index"]), edit.detail["new"]
        elif edit.kind == "output_changed" and "reads" in edit.detail and isinstance(edit.new, Op) and edit.old is not None:
            operand = edit.new.inputs[0]
            yield (edit.new.name, operand.arg, operand.index), edit.detail["reads"]["new"]


def _rewired(inputs: Sequence[Operand], wires: Mapping[tuple[str, int], str | None]) -> tuple[Operand, ...]:
    places = {(operand.arg, operand.index) for operand in inputs}
    kept = [(operand, wires.get((operand.arg, operand.index), operand.lbn)) for operand in inputs]
    more = [(Operand(*place, lbn or "", TensorType()), lbn) for place, lbn in wires.items() if place not in places]
    return tuple(replace(operand, lbn=lbn) for operand, lbn in [*kept, *more] if lbn is not None)


def _unboxed(op: Op, detail: Mapping[str, Any]) -> Op:
    """An operator that comes, reading past the boxing that its own graph has before it."""
    lbns = {(read["arg"], read["index"]): read["lbn"] for read in detail["reads"]}
    return replace(op, inputs=tuple(replace(o, lbn=lbns.get((o.arg, o.index), o.lbn)) for o in op.inputs))


# One operator


def _changed(op: Op, edits: Sequence[Edit], follows: Consequence | None) -> Op:
    if follows is not None:
        op = _followed(op, follows)
    for edit in edits:
        op = _with(op, edit)
    return named(op)


def _followed(op: Op, follows: Consequence) -> Op:
    if follows.op_type is not None:
        op = recast(op, follows.op_type)
    if follows.attrs is not None:
        op = replace(op, attrs=Attrs({**op.attrs, **follows.attrs}))
    if follows.types is not None:
        op = replace(op, outputs=tuple(replace(r, type=t) for r, t in zip(op.outputs, follows.types, strict=True)))
    if follows.sbp is not None:
        op = replace(op, outputs=tuple(replace(r, nd_sbp=sbp) for r, sbp in zip(op.outputs, follows.sbp, strict=True)))
    if follows.module is not None:
        op = replace(op, module=follows.module)
    if follows.placement is not None:
        op = replace(op, placement=follows.placement)
    return replace(op, phase=follows.phase or op.phase, runs=follows.runs or op.runs, kind=follows.kind or op.kind)


def _with(op: Op, edit: Edit) -> Op:
    detail = edit.detail
    match edit.kind:
        case "op_retyped":
            return _retyped(op, edit)
        case "op_moved":
            return replace(op, module=detail["new"])
        case "attr_changed":
            return replace(op, attrs=Attrs({**op.attrs, **{name: plain.attr_of(change["new"]) for name, change in detail.items()}}))
        case "shape_changed" | "dtype_changed" | "param_resized":
            return replace(op, outputs=tuple(_with_type(result, edit) for result in op.outputs))
        case "input_changed" | "output_changed":
            return _resized(op, detail)
        case "sbp_changed":
            return replace(op, outputs=tuple(replace(r, nd_sbp=plain.nd_sbp(s)) for r, s in zip(op.outputs, detail["new"], strict=True)))
        case "placement_changed":
            new = detail["new"]
            return replace(op, placement=Placement(new["device"], tuple(new["ranks"]), tuple(new["hierarchy"])))
        case "param_frozen" | "param_unfrozen":
            return replace(op, kind=_KINDS[detail["new"]])
        case _:
            return op


def _retyped(op: Op, edit: Edit) -> Op:
    """Another operator in the same place; its operands and results are those of its type."""
    assert isinstance(edit.new, Op)
    new = _unboxed(edit.new, {"reads": edit.detail["reads"]["new"]})
    attrs = Attrs({name: plain.attr_of(value) for name, value in edit.detail["attrs"]["new"].items()})
    return replace(op, type=edit.detail["new"], attrs=attrs, inputs=new.inputs, outputs=new.outputs)


def _with_type(result: Operand, edit: Edit) -> Operand:
    if (edit.detail.get("result", result.arg), edit.detail.get("index", result.index)) != (result.arg, result.index):
        return result
    new = edit.detail["new"]
    if edit.kind == "dtype_changed":
        return replace(result, type=TensorType(result.type.shape, DType.named(new)))
    return replace(result, type=TensorType(tuple(new), result.type.dtype))


def _resized(op: Op, detail: Mapping[str, Any]) -> Op:
    """An input or output of another type, with the attribute that repeats its shape."""
    types = [result.type for result in op.outputs]
    if "shape" in detail:
        types = [TensorType(tuple(detail["shape"]["new"]), type_.dtype) for type_ in types]
        if "shape" in op.attrs:
            op = replace(op, attrs=Attrs({**op.attrs, "shape": plain.attr_of(detail["shape"]["new"])}))
    if "dtype" in detail:
        types = [TensorType(type_.shape, DType.named(detail["dtype"]["new"])) for type_ in types]
    return replace(op, outputs=tuple(replace(result, type=type_) for result, type_ in zip(op.outputs, types, strict=True)))


# Modules


def _modules(diff: Diff) -> tuple[Module, ...]:
    """Modules under their new paths, without those that went and with those that came, parents before children."""
    renamed = {
        edit.old.path: edit.new.path
        for edit in diff.edits
        if edit.kind == "module_renamed" and isinstance(edit.old, Module) and isinstance(edit.new, Module)
    }
    gone = {edit.old.path for edit in diff.edits if edit.kind == "module_removed" and isinstance(edit.old, Module)}
    parameters = _Parameters(diff)
    found = []
    for module in diff.old.graph.modules:
        if module.path not in gone:
            path = renamed.get(module.path, diff.modules.get(module.path, module.path))
            found.append(replace(module, path=path, parameters=parameters.of(module, path)))
    found += [edit.new for edit in diff.edits if edit.kind == "module_added" and isinstance(edit.new, Module)]
    return tuple(sorted(found, key=lambda module: module.path != ""))


class _Parameters:
    """Declared parameters of modules, after the edits."""

    def __init__(self, diff: Diff) -> None:
        self._declared = diff.old.graph.holds.declarations
        self._pairs = diff.pairs
        self._gone: set[str] = set()
        self._tied: dict[str, str | None] = {}
        self._come: dict[str, list[Op]] = {}
        self._types: dict[str, TensorType] = {}
        for edit in diff.edits:
            match edit:
                case Edit(kind="param_removed", old=Op() as op):
                    self._gone.add(op.name)
                case Edit(kind="param_tied", old=Op() as op):
                    self._tied[op.name] = edit.detail["with"]
                case Edit(kind="param_added" | "param_untied", new=Op() as op):
                    self._come.setdefault(op.module, []).append(op)
                case Edit(kind="param_resized", old=Op() as op):
                    self._types[op.name] = TensorType(tuple(edit.detail["new"]), op.outputs[0].type.dtype)

    def of(self, module: Module, path: str) -> tuple[Parameter, ...]:
        """The parameters that a module declares under its new path."""
        if not self._declared:
            return module.parameters
        found: dict[str, Parameter] = {}
        for parameter in module.parameters:
            was = parameter.name
            if was not in self._gone:
                name = path + was[len(module.path) :] if was.startswith(module.path) else was
                tied = self._tied.get(was, self._pairs.get(parameter.tied_to or "", parameter.tied_to))
                found[name] = replace(parameter, name=name, type=self._types.get(was, parameter.type), tied_to=tied)
        for op in self._come.get(path, ()):
            kind = op.kind or VariableKind.BUFFER
            found[op.name] = Parameter(op.name, op.outputs[0].type, kind)
        return tuple(found.values())


# Shapes


def _typed(made: Sequence[_Made], diff: Diff) -> tuple[Op, ...]:
    """The operators in an order in which they can run. One whose operands and attributes are what they were has the results it had."""
    order = edges_of(one.after for one in made).order
    types: dict[str, TensorType] = {}
    ops = []
    for index in [*order, *sorted(set(range(len(made))) - set(order))]:
        one = made[index]
        op = replace(one.after, inputs=tuple(replace(o, type=types.get(o.lbn, o.type)) for o in one.after.inputs))
        follows = diff.consequences.get(op.name)
        is_source = op.type == "variable" or not op.inputs
        told = one.settled or is_source or (follows is not None and follows.types is not None)
        if not told and (_signature(op) != _signature(one.before) or op.type in INTERFACE):
            found = inferred(op, types, diff.new.book) or [TensorType()] * len(op.outputs)
            op = replace(op, outputs=tuple(replace(r, type=t) for r, t in zip(op.outputs, found, strict=True)))
        types |= {result.lbn: result.type for result in op.outputs}
        ops.append(op)
    return tuple(ops)


def _signature(op: Op) -> tuple[object, ...]:
    return op.attrs, tuple((operand.arg, operand.index, operand.type) for operand in op.inputs)
