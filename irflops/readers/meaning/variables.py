"""What each variable is for: trainable, frozen, buffer, or an optimizer's state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from irflops.ir.edges import Edges
from irflops.ir.graph import Operand, Shape, VariableKind
from irflops.readers.meaning.draft import Draft
from irflops.readers.meaning.phase import LOOKED_THROUGH, is_update
from irflops.readers.meaning.resolve import free_tensor_module, is_folded_variable
from irflops.readers.meaning.updates import is_update_name, state_suffix

_WEIGHT_ARGS = frozenset({"weight", "bias", "weights", "biases", "gamma", "beta"})
_MATMULS = frozenset({"matmul", "batch_matmul", "broadcast_matmul"})
_WEIGHT_SLOTS = frozenset(
    {
        *((op_type, "b") for op_type in (*_MATMULS, "bias_add", "fused_bias_add_gelu", "fused_bias_add_mask_scale")),
        ("gather", "in"),
        ("prelu", "alpha"),
    }
)
"""Operands that are weights, by their names or by the op type and the name."""
_ADDITIONS = frozenset({"broadcast_add", "add_n"})
_BIASED = _MATMULS | {"conv1d", "conv2d", "conv3d", "deconv1d", "deconv2d", "deconv3d", "gather", "embedding"}
"""Types to whose result a bias or a table of positions is added."""


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
    weights.update(operand.lbn for operand in _biases(drafts, edges))
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
    return arg in _WEIGHT_ARGS or (op_type, arg) in _WEIGHT_SLOTS


def _biases(drafts: list[Draft], edges: Edges) -> Iterator[Operand]:
    """What is added to the result of a contraction, or to what a table gave, with a last axis as long: a bias, a table of positions."""
    additions = [draft for draft in drafts if draft.type in _ADDITIONS and len(draft.inputs) == 2]
    origins = _origins(drafts, edges) if additions else []
    for addition in additions:
        for added, to in (addition.inputs, addition.inputs[::-1]):
            maker = edges.maker(to.lbn)
            if maker is not None and drafts[origins[maker]].type in _BIASED and _as_long(added.type.shape, to.type.shape):
                yield added


def _origins(drafts: list[Draft], edges: Edges) -> list[int]:
    """By op, the one behind all that only hands its first operand on."""
    origins = list(range(len(drafts)))
    for index in edges.order:
        if drafts[index].type in LOOKED_THROUGH and drafts[index].inputs:
            maker = edges.maker(drafts[index].inputs[0].lbn)
            origins[index] = index if maker is None else origins[maker]
    return origins


def _as_long(added: Shape | None, to: Shape | None) -> bool:
    """Whether two shapes have equal last axes, as far as they are known: a forward job has none of what is computed."""
    return added is None or to is None or (bool(added) and bool(to) and (added[-1] == to[-1] or None in (added[-1], to[-1])))
