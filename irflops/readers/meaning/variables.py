"""What each variable is for: trainable, frozen, buffer, or an optimizer's state."""

from __future__ import annotations

from collections.abc import Mapping

from irflops.ir.edges import Edges
from irflops.ir.graph import VariableKind
from irflops.readers.meaning.draft import Draft
from irflops.readers.meaning.phase import is_update
from irflops.readers.meaning.resolve import free_tensor_module, is_folded_variable
from irflops.readers.meaning.updates import is_update_name, state_suffix

_WEIGHT_ARGS = frozenset({"weight", "bias", "gamma", "beta"})
_MATMULS = frozenset({"matmul", "batch_matmul", "broadcast_matmul"})
LOOKED_THROUGH = frozenset(
    {
        *("repeat", "cast", "cast_like", "mutable_cast_once", "cast_to_static_shape", "copy", "copy_d2h", "copy_h2d", "to_contiguous"),
        *("identity", "identity_buffer", "amp_white_identity", "amp_black_identity", "pinned_identity", "nvtx_start", "nvtx_end"),
        *("parallel_cast", "hierarchical_parallel_cast", "hierarchical_parallel_cast_like", "ssp_variable_proxy"),
        *("stop_gradient", "depend", "throw_error"),
    }
)
"""Types that hand a variable on as it is, for the question what it is used as: those whose rules say so (`hands_on`), which readers do
not import. A test holds that they are the same."""


def assign_kinds(drafts: list[Draft], edges: Edges, declared: Mapping[str, VariableKind], *, declares: bool) -> None:
    """Sets kind and kind_source of every variable; `declared` are the kinds that the form states, by variable name.

    A form that `declares` parameters and buffers says so of each: a variable whose line is not there was lost, and its kind is open
    unless an optimizer updates it. Tensors outside of the module tree, states and what OneFlow made itself have no line.
    """
    weights = _weight_feeders(drafts, edges)
    for index, draft in enumerate(drafts):
        if draft.type != "variable":
            continue
        if draft.name in declared:
            draft.kind, draft.kind_source = declared[draft.name], "declared"
            continue
        draft.kind, draft.kind_source = _inferred_kind(drafts, edges, index, bool(weights[index])), "inferred"
        draft.kind_open = declares and _has_line(draft) and draft.kind is not VariableKind.OPTIMIZER_STATE
        if draft.kind_open and _is_updated(drafts, edges, index):
            draft.kind, draft.kind_open = VariableKind.TRAINABLE, False
        if draft.trainable and draft.kind is not VariableKind.OPTIMIZER_STATE and free_tensor_module(draft.name) is None:
            draft.kind, draft.kind_source = VariableKind.TRAINABLE, "declared"


def _has_line(draft: Draft) -> bool:
    """Whether a variable has a PARAMETER or BUFFER line in a form that declares."""
    return free_tensor_module(draft.name) is None and not is_folded_variable(draft.name)


def _is_updated(drafts: list[Draft], edges: Edges, index: int) -> bool:
    return any(is_update(drafts[c].type) or is_update_name(drafts[c].name) for c in edges.read_by[index])


def _inferred_kind(drafts: list[Draft], edges: Edges, index: int, is_weight: bool) -> VariableKind:
    name = drafts[index].name
    if name.startswith("System-"):
        return VariableKind.OPTIMIZER_STATE
    if state_suffix(name) and _is_updated(drafts, edges, index):
        return VariableKind.OPTIMIZER_STATE
    if drafts[index].hidden and is_folded_variable(name):
        return VariableKind.TRAINABLE  # as jobs say of those that OneFlow folded out of others, which no line of a print declares
    return VariableKind.FROZEN if is_weight else VariableKind.BUFFER


def _weight_feeders(drafts: list[Draft], edges: Edges) -> bytearray:
    """By op, whether a result of it is used as a weight, straight or through repeat, cast or a boxing identity."""
    weights = {operand.lbn for draft in drafts for operand in draft.inputs if _is_weight_slot(draft.type, operand.arg)}
    feeds = bytearray(len(drafts))
    for maker in map(edges.maker, weights):
        if maker is not None:
            feeds[maker] = 1
    for index in reversed(edges.order):
        if feeds[index] and drafts[index].type in LOOKED_THROUGH:
            maker = edges.maker(drafts[index].inputs[0].lbn) if drafts[index].inputs else None
            if maker is not None:
                feeds[maker] = 1
    return feeds


def _is_weight_slot(op_type: str | None, arg: str) -> bool:
    if arg in _WEIGHT_ARGS:
        return True
    return (op_type in _MATMULS and arg == "b") or (op_type == "gather" and arg == "in")
