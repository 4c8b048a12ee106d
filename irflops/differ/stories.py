"""What edits tell together: a module that came or went, siblings that were renumbered, a pass over the graph, another batch.

Each story takes the edits that are its particles; what no story takes is told by itself, equal changes as one. Nothing is worked out
anew: the cost of a story is that of its edits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from irflops.analysis.analysis import Analysis
from irflops.counting.cost import Cost
from irflops.differ.edit import Edit
from irflops.differ.sums import Folded, folded, summed
from irflops.differ.waterfall import pattern
from irflops.ir.graph import Module, Op, Phase, VariableKind
from irflops.ir.tree import common_place

_SIGNS = {"module_added": "+", "module_removed": "-"}
_HALVES = ("float16", "bfloat16")
_CASTS = ("cast", "amp_white_identity", "amp_black_identity")
_SPREAD = ("hierarchical_parallel_cast", "hierarchical_parallel_cast_like", "parallel_cast")
_SUMS = ("add_n", "identity")
"""What gathers gradients, and hands a tensor on: where a part of the graph runs twice, OneFlow sums its gradients otherwise."""


@dataclass(frozen=True, slots=True)
class _Sides:
    old: Analysis
    new: Analysis


def told(edits: Sequence[Edit], old: Analysis, new: Analysis, *, full: bool = False) -> list[Folded]:
    """The edits as a reader wants them told: stories first, then what is left by group; with `full` each by itself."""
    if full:
        return folded(edits, full=True)
    left = list(edits)
    found: list[Folded] = []
    for teller in _TELLERS:
        stories = list(teller(left, _Sides(old, new)))
        taken = {id(edit) for story in stories for edit in story.edits}
        left = [edit for edit in left if id(edit) not in taken]
        found += stories
    return found + folded(left)


def _story(words: str, edits: Iterable[Edit], place: str, times: int = 1) -> Folded:
    every = tuple(edits)
    return Folded(every, times, place, (), summed(edit.cost for edit in every), words)


# ------------------------------------------------------------------ modules


def _modules(edits: Sequence[Edit], _sides: _Sides) -> Iterator[Folded]:
    """Modules that came or went, each with all that it holds; equal ones in one line."""
    for kind, sign in _SIGNS.items():
        tops = _outermost({_path(edit): edit for edit in edits if edit.kind == kind})
        if not tops:
            continue
        inside: dict[str, list[Edit]] = {path: [] for path in tops}
        for edit in edits:
            is_of_this_side = (edit.new is None) == (kind == "module_removed") and (edit.new is None or edit.old is None)
            top = _above(_path(edit), tops) if is_of_this_side else None
            if top is not None:
                inside[top].append(edit)
        alike: dict[tuple[str, str, Cost], list[str]] = {}
        for path, held in inside.items():
            if len(held) > 1:  # a module that holds nothing is told as an edit
                alike.setdefault((_class(tops[path]), _content(held), summed(edit.cost for edit in held)), []).append(path)
        for (name, content, _), paths in alike.items():
            words = f"{sign} module {name}".rstrip() + f": {content}{' each' if len(paths) > 1 else ''}"
            yield _story(words, (edit for path in paths for edit in inside[path]), common_place(paths), len(paths))


def _content(held: Sequence[Edit]) -> str:
    """What a module holds: operators that compute, params, modules below."""
    ops = [edit for edit in held if isinstance(_end(edit), Op) and not edit.detail.get("unused")]
    params = sum(edit.kind.startswith("param_") for edit in ops)
    parts = ((len(ops) - params, "operator"), (params, "param"), (sum(isinstance(_end(edit), Module) for edit in held) - 1, "module"))
    return ", ".join(f"{number:,} {noun}{'' if number == 1 else 's'}" for number, noun in parts if number)


def _outermost(modules: Mapping[str, Edit]) -> dict[str, Edit]:
    """Those that stand below none of the others."""
    return {path: edit for path, edit in modules.items() if _above(path.rpartition(".")[0], modules) is None}


def _above(path: str, modules: Mapping[str, Edit]) -> str | None:
    """The module itself or the nearest above it that is among these."""
    while path and path not in modules:
        path = path.rpartition(".")[0]
    return path or None


def _class(edit: Edit) -> str:
    end = _end(edit)
    return end.class_name or "" if isinstance(end, Module) else ""


def _renumbered(edits: Sequence[Edit], _sides: _Sides) -> Iterator[Folded]:
    """Modules that are called by another number, all in one line."""
    found = [edit for edit in edits if edit.kind == "module_renamed" and pattern(edit.detail["old"]) == pattern(edit.detail["new"])]
    if len(found) > 1:
        outer = _outermost({edit.detail["new"]: edit for edit in found})
        yield _story(f"{len(outer):,} modules renumbered", found, common_place([edit.detail["new"] for edit in outer.values()]))


# ------------------------------------------------------------------ passes


def _recompute(edits: Sequence[Edit], _sides: _Sides) -> Iterator[Folded]:
    """Activation checkpointing: the operators that run again, and the gradients that are summed otherwise for it."""
    for kind, sign in (("op_added", "+"), ("op_removed", "-")):
        again = [edit for edit in edits if edit.kind == kind and _phase(edit) is Phase.RECOMPUTE]
        if not again:
            continue
        blocks = dict.fromkeys(_common_tops([_path(edit) for edit in again]))
        also = [edit for edit in edits if _is_of_checkpointing(edit, kind)]
        times = f" ({len(blocks):,} x)" if len(blocks) > 1 else ""
        words = f"{sign} recompute of {common_place(list(blocks)) or 'the graph'}{times}: {len(again):,} operators"
        yield _story(words, [*again, *also], common_place(list(blocks)))


def _is_of_checkpointing(edit: Edit, kind: str) -> bool:
    types = {end.type for end in (edit.old, edit.new) if isinstance(end, Op)}
    if edit.kind == kind and types == {"identity"}:
        return True
    if edit.kind == "edge_changed" and not any(edit.cost.figures) and _phase(edit) in (Phase.BACKWARD, Phase.OPTIMIZER):
        return True  # gradients that run by the operators anew, at the same cost
    return edit.kind in ("op_moved", "op_retyped", "edge_changed") and _phase(edit) is Phase.BACKWARD and types <= set(_SUMS)


def _common_tops(paths: Sequence[str]) -> list[str]:
    """The modules that these stand in, as far up as they differ in a number: `m.blocks.0` of `m.blocks.0.attn`."""
    found = []
    for path in paths:
        levels = path.split(".")
        numbered = next((n for n, level in enumerate(levels) if level.isdecimal()), None)
        found.append(".".join(levels[: numbered + 1]) if numbered is not None else path)
    return found


def _sharded(edits: Sequence[Edit], sides: _Sides) -> Iterator[Folded]:
    """ZeRO: trainable variables, and with them the states of the optimizer, lie split over devices that held them whole."""
    for turned, words in ((False, "optimizer states sharded over {}"), (True, "optimizer states no longer sharded over {}")):
        variables = [edit for edit in edits if edit.kind == "sbp_changed" and _is_split(edit, turned=turned)]
        kind = "op_removed" if turned else "op_added"
        casts = [edit for edit in edits if edit.kind == kind and isinstance(end := _end(edit), Op) and end.type in _SPREAD]
        if not variables or not casts or not (sides.old.graph.training and sides.new.graph.training):
            continue
        end = _end(variables[0])
        assert isinstance(end, Op)
        held = f": {len(variables):,} variables, {len(casts):,} casts"
        yield _story(words.format(_parts(variables[0], end, turned=turned)) + held, [*variables, *casts], common_place(_paths(variables)))


def _is_split(edit: Edit, *, turned: bool) -> bool:
    end = _end(edit)
    if not isinstance(end, Op) or end.type != "variable" or end.kind not in (VariableKind.TRAINABLE, VariableKind.OPTIMIZER_STATE):
        return False
    whole, split = (edit.detail["new"], edit.detail["old"]) if turned else (edit.detail["old"], edit.detail["new"])
    return _sbp_of(whole) == {"B"} and any(one.startswith("S") for one in _sbp_of(split))


def _sbp_of(side: object) -> set[str]:
    results = side if isinstance(side, list) else []
    return {one for nd_sbp in results if isinstance(nd_sbp, list) for one in nd_sbp}


def _parts(edit: Edit, end: Op, *, turned: bool) -> str:
    """Over how many devices a variable is split: the product of the mesh's extents that its sbp names."""
    side = edit.detail["old" if turned else "new"]
    nd_sbp = next((one for one in side if isinstance(one, list)), []) if isinstance(side, list) else []
    mesh = end.placement.hierarchy if end.placement is not None else ()
    if len(mesh) != len(nd_sbp):
        return "devices"
    return str(math.prod(extent for extent, one in zip(mesh, nd_sbp, strict=True) if one.startswith("S")))


def _mixed_precision(edits: Sequence[Edit], _sides: _Sides) -> Iterator[Folded]:
    """AMP: tensors that became half as wide, and the casts to and from them."""
    for kind, half, words in (("op_added", "new", "+ automatic mixed precision"), ("op_removed", "old", "- automatic mixed precision")):
        casts = [edit for edit in edits if edit.kind == kind and isinstance(end := _end(edit), Op) and _is_cast_to_half(end)]
        narrowed = [edit for edit in edits if edit.kind == "dtype_changed" and str(edit.detail.get(half)) in _HALVES]
        if casts and len(casts) + len(narrowed) > 1:
            held = f": {len(casts):,} casts, {len(narrowed):,} dtypes changed"
            yield _story(words + held, [*casts, *narrowed], common_place(_paths([*casts, *narrowed])))


def _is_cast_to_half(op: Op) -> bool:
    if op.type not in _CASTS:
        return False
    dtypes = {operand.type.dtype.value for operand in (*op.inputs, *op.outputs) if operand.type.dtype is not None}
    return op.type != "cast" or bool(dtypes & set(_HALVES))


# ------------------------------------------------------------------ the batch


def _batch(edits: Sequence[Edit], sides: _Sides) -> Iterator[Folded]:
    """Another batch: inputs and outputs that differ in their first axis alone, and whether a sample costs what it did."""
    old, new = sides.old.batch, sides.new.batch
    if old is None or new is None or old == new:
        return
    found = [edit for edit in edits if edit.kind in ("input_changed", "output_changed") and _is_of_batch(edit, old, new)]
    if any(edit.kind == "input_changed" for edit in found):
        yield _story(f"batch {old:,} -> {new:,}: {_per_sample(sides, old, new)}", found, "")


def _is_of_batch(edit: Edit, old: int, new: int) -> bool:
    shape = edit.detail.get("shape")
    if not isinstance(shape, Mapping) or edit.detail.keys() != {"shape"}:
        return False
    before, after = shape["old"], shape["new"]
    if not before or not after or len(before) != len(after) or before[1:] != after[1:] or None in (before[0], after[0]):
        return False
    return bool(before[0] * new == after[0] * old)


def _per_sample(sides: _Sides, old: int, new: int) -> str:
    """Whether MACs and FLOPs of a sample are the same."""
    totals = [(side.total.get(name), side.total.is_exact(name)) for name in ("macs", "flops") for side in (sides.old, sides.new)]
    if not all(sure for _, sure in totals):
        return "whether a sample costs the same is not known"
    (macs, _), (macs_now, _), (flops, _), (flops_now, _) = totals
    if macs * new == macs_now * old and flops * new == flops_now * old:
        return "per sample unchanged"
    return "MACs per sample unchanged" if macs * new == macs_now * old else "a sample costs otherwise"


# ------------------------------------------------------------------ ends of edits


def _end(edit: Edit) -> Op | Module:
    end = edit.new or edit.old
    assert end is not None
    return end


def _path(edit: Edit) -> str:
    end = _end(edit)
    return end.path if isinstance(end, Module) else end.module


def _paths(edits: Sequence[Edit]) -> list[str]:
    return [_path(edit) for edit in edits]


def _phase(edit: Edit) -> Phase | None:
    end = _end(edit)
    return end.phase if isinstance(end, Op) else None


_TELLERS: tuple[Callable[[Sequence[Edit], _Sides], Iterator[Folded]], ...] = (
    _modules,
    _renumbered,
    _recompute,
    _sharded,
    _mixed_precision,
    _batch,
)
