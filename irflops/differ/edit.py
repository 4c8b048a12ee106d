"""What a diff is: frozen edits, with the operators and modules that they are about on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from operator import sub
from typing import Any

from irflops.counting.cost import Cost
from irflops.ir.graph import Attrs, Module, Op, Phase, Placement, TensorType, VariableKind
from irflops.ir.sbp import NdSbp

EDIT_KINDS = (
    "op_added",
    "op_removed",
    "op_moved",
    "op_renamed",
    "op_retyped",
    "attr_changed",
    "shape_changed",
    "dtype_changed",
    "sbp_changed",
    "placement_changed",
    "edge_changed",
    "param_added",
    "param_removed",
    "param_resized",
    "param_frozen",
    "param_unfrozen",
    "param_tied",
    "param_untied",
    "module_added",
    "module_removed",
    "module_renamed",
    "input_changed",
    "output_changed",
)
"""Every kind of edit, in the order in which they are listed."""

REVERSE = {
    "op_added": "op_removed",
    "param_added": "param_removed",
    "param_frozen": "param_unfrozen",
    "param_tied": "param_untied",
    "module_added": "module_removed",
}
REVERSE |= {after: before for before, after in REVERSE.items()}
"""What a kind of edit is called in the diff the other way round; the others keep their names."""

IGNORABLE = {
    "renames": ("op_renamed", "module_renamed"),
    "moves": ("op_moved",),
    "placement": ("placement_changed", "sbp_changed"),
}
"""Kinds of edit by the word that leaves them out."""

_SIDES = {"old": "new", "new": "old"}


@dataclass(frozen=True, slots=True)
class Edit:
    """One change between two versions of a graph, by itself: what follows from it is none."""

    kind: str
    """One of EDIT_KINDS."""
    old: Op | Module | None
    new: Op | Module | None
    detail: Mapping[str, Any] = field(default_factory=dict)
    """What changed, as plain data: `old` and `new` of a value, what an operator that comes or goes reads and feeds."""
    cost: Cost = field(default_factory=Cost)
    """What the edit itself adds to each figure; negative where it saves. Its certainty is that of the change."""
    group: str = ""
    """Equal changes at different places share it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """What follows for an operator from edits elsewhere, where inference cannot work it out; None where it can, or nothing follows."""

    op_type: str | None = None
    """The type that OneFlow takes where two operands are, or are no longer, of one shape."""
    attrs: Attrs | None = None
    """Attributes that hold sizes, where a size in them could mean several things."""
    types: tuple[TensorType, ...] | None = None
    """Types of the results, where no shape rule tells them."""
    sbp: tuple[NdSbp | None, ...] | None = None
    """Of the results; OneFlow chooses it, and no rule here says how."""
    placement: Placement | None = None
    """Of an optimizer's state, which goes where its variable goes."""
    module: str | None = None
    """Of a variable, which goes where its readers go."""
    phase: Phase | None = None
    runs: int | None = None
    kind: VariableKind | None = None


def difference(new: Cost, old: Cost) -> Cost:
    """How much more the one is than the other, marked as a change: it is more where the new lacks something, less where the old does."""
    return Cost(
        tuple(map(sub, new.figures, old.figures)),
        tuple(map(sub, new.params, old.params)),
        tuple(map(sub, new.param_bytes, old.param_bytes)),
        new.missing | old.at_most,
        new.at_most | old.missing,
    )


def reversed_edit(edit: Edit) -> Edit:
    """The edit that undoes this one."""
    kind = REVERSE.get(edit.kind, edit.kind)
    return replace(edit, kind=kind, old=edit.new, new=edit.old, detail=_turned(edit.detail), cost=difference(Cost(), edit.cost), group="")


def _turned(detail: Any) -> Any:
    """Details with old and new changed places; what an operator reads and feeds is told from its own side, and stays."""
    if isinstance(detail, Mapping):
        turned = {_SIDES.get(name, name): _turned(value) for name, value in detail.items()}
        return {name: turned[name] for name in detail} if turned.keys() == detail.keys() else turned
    return detail
