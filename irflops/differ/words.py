"""What an edit says in a few words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from irflops.differ.edit import Edit
from irflops.differ.sums import Folded
from irflops.ir.graph import Module, Op
from irflops.ir.tree import common_place

MINUS = "-"


def label(item: Folded) -> str:
    """Equal changes as one sentence: `conv2d: groups 1 -> 32 x 16 in model.layer*.*.conv2`."""
    times = f" x {item.times}" if item.times > 1 else ""
    return f"{folded_words(item)}{times} in {item.place or '(graph)'}"


def folded_words(item: Folded) -> str:
    """What equal changes do; of names that differ from place to place what they have in common."""
    if item.words:
        return item.words
    edit = item.edits[0]
    if item.times > 1 and edit.kind in ("module_renamed", "op_renamed", "op_moved"):
        sides = {side: common_place([other.detail[side] for other in item.edits]) for side in ("old", "new")}
        edit = replace(edit, detail=sides)
    return words(edit, item.names)


def words(edit: Edit, names: Sequence[str] = ()) -> str:
    """What the edit does: `conv2d: groups 1 -> 32`; `names` are those of the params that it is done to, if they are several."""
    end = edit.new or edit.old
    assert end is not None
    if isinstance(end, Module):
        return _module(edit)
    if len(names) > 1 and end.type == "variable":
        end = replace(end, name=f".{', '.join(names)}")
    return _WORDS[edit.kind](edit, end)


def _module(edit: Edit) -> str:
    if edit.kind == "module_renamed":
        if edit.detail["old"] == edit.detail["new"]:  # what several have in common
            return "modules renumbered"
        return f"module {edit.detail['old']} -> {edit.detail['new']}"
    end = edit.new or edit.old
    assert isinstance(end, Module)
    return f"{'+' if edit.new is not None else MINUS} module {end.class_name or ''}".rstrip()


def _came_or_went(edit: Edit, op: Op) -> str:
    sign = "+" if edit.new is not None else MINUS
    if op.type != "variable":
        return f"{sign} {op.type or 'operator of unknown type'}"
    return f"{sign} {_leaf(op)} {_shape(edit.detail.get('shape'))}" + (", declared only" if edit.detail.get("unused") else "")


def _attrs(edit: Edit, op: Op) -> str:
    return f"{op.type}: " + ", ".join(f"{name} {_change(change)}" for name, change in edit.detail.items())


def _shapes(edit: Edit, op: Op) -> str:
    what = _leaf(op) if op.type == "variable" else f"{op.type} {edit.detail.get('result', '')}".rstrip()
    if edit.kind in ("shape_changed", "param_resized"):
        return f"{what} {_reshaped(edit.detail)}"
    return f"{what}: {_change(edit.detail)}"


def _reshaped(sides: Mapping[str, Any]) -> str:
    """Two shapes as one where they have as many axes: `(512,128->256,1,1)`."""
    old, new = sides["old"], sides["new"]
    if old is None or new is None or len(old) != len(new):
        return _change(sides, _shape)
    return f"({','.join(_extent(a) if a == b else f'{_extent(a)}->{_extent(b)}' for a, b in zip(old, new, strict=True))})"


def _extent(extent: int | None) -> str:
    return "?" if extent is None else str(extent)


def _sbp(edit: Edit, op: Op) -> str:
    what = _leaf(op) if op.type == "variable" else op.type
    return f"{what}: {_change(edit.detail, lambda sides: ' '.join('?' if s is None else ','.join(s) for s in sides))}"


def _edge(edit: Edit, op: Op) -> str:
    return f"{op.type} {edit.detail['arg']}: {_change(edit.detail, lambda lbn: 'nothing' if lbn is None else str(lbn))}"


def _interface(edit: Edit, op: Op) -> str:
    name = op.stem.partition(".")[2].partition("_")[0]
    detail = edit.detail
    if "present" in detail:
        return f"{'+' if edit.new is not None else MINUS} {op.type} {name} {_shape(detail['shape'])}"
    parts = [_reshaped(detail["shape"])] if "shape" in detail else []
    parts += [_change(detail["dtype"])] if "dtype" in detail else []
    parts += [f"reads {_change(detail['reads'])}"] if "reads" in detail else []
    return f"{op.type} {name} {', '.join(parts)}"


def _placement(side: Any) -> str:
    ranks = side["ranks"]
    in_row = len(ranks) > 1 and ranks == list(range(ranks[0], ranks[-1] + 1))
    shown = f"{ranks[0]}-{ranks[-1]}" if in_row else ",".join(map(str, ranks[:8])) + (",..." if len(ranks) > 8 else "")
    return f"{side['device']} {shown} ({'x'.join(map(str, side['hierarchy']))})"


def _tied(edit: Edit, op: Op) -> str:
    return f"{_leaf(op)} {'tied to' if edit.kind == 'param_tied' else 'no longer tied to'} {edit.detail['with']}"


def _frozen(edit: Edit, op: Op) -> str:
    return f"{_leaf(op)}: {_change(edit.detail)}"


def _renamed(edit: Edit, op: Op) -> str:
    return f"{op.type}: {_change(edit.detail)}"


_WORDS: Mapping[str, Callable[[Edit, Op], str]] = {
    "op_added": _came_or_went,
    "op_removed": _came_or_went,
    "op_moved": _renamed,
    "op_renamed": _renamed,
    "op_retyped": lambda edit, _op: _change(edit.detail),
    "attr_changed": _attrs,
    "shape_changed": _shapes,
    "dtype_changed": _shapes,
    "sbp_changed": _sbp,
    "placement_changed": lambda edit, _op: f"placement: {_change(edit.detail, _placement)}",
    "edge_changed": _edge,
    "param_added": _came_or_went,
    "param_removed": _came_or_went,
    "param_resized": _shapes,
    "param_frozen": _frozen,
    "param_unfrozen": _frozen,
    "param_tied": _tied,
    "param_untied": _tied,
    "input_changed": _interface,
    "output_changed": _interface,
}


def _leaf(op: Op) -> str:
    return op.name.rpartition(".")[2] or op.name


def _shape(shape: Any) -> str:
    return "?" if shape is None else f"({','.join(map(_extent, shape))})"


def _text(value: Any) -> str:
    return _shape(value) if isinstance(value, list) else str(value)


def _change(sides: Mapping[str, Any], tell: Any = _text) -> str:
    return f"{tell(sides['old'])} -> {tell(sides['new'])}"
