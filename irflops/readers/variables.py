"""What each variable is for: trainable, frozen, buffer, or an optimizer's state."""

from __future__ import annotations

from collections.abc import Mapping

from irflops.ir import VariableKind
from irflops.readers.draft import Draft, Links
from irflops.readers.phase import is_update
from irflops.readers.updates import state_suffix

_WEIGHT_ARGS = frozenset({"weight", "bias", "gamma", "beta"})
_MATMULS = frozenset({"matmul", "batch_matmul", "broadcast_matmul"})
_LOOKED_THROUGH = frozenset({"repeat", "cast", "identity", "hierarchical_parallel_cast", "parallel_cast"})


def assign_kinds(drafts: list[Draft], links: Links, declared: Mapping[str, VariableKind]) -> None:
    """Sets kind and kind_source of every variable; `declared` are the kinds that the form states, by variable name."""
    for index, draft in enumerate(drafts):
        if draft.type != "variable":
            continue
        if draft.name in declared:
            draft.kind, draft.kind_source = declared[draft.name], "declared"
        else:
            draft.kind, draft.kind_source = _inferred_kind(drafts, links, index), "inferred"


def _inferred_kind(drafts: list[Draft], links: Links, index: int) -> VariableKind:
    name = drafts[index].name
    if name.startswith("System-"):
        return VariableKind.OPTIMIZER_STATE
    updated = any(is_update(drafts[consumer].type) for consumer in links.consumers[index])
    if state_suffix(name) and updated:
        return VariableKind.OPTIMIZER_STATE
    return VariableKind.FROZEN if feeds_a_weight(drafts, links, index) else VariableKind.BUFFER


def feeds_a_weight(drafts: list[Draft], links: Links, index: int) -> bool:
    """Whether a variable is used as a weight, straight or through repeat, cast or a boxing identity."""
    pending, seen = [index], {index}
    while pending:
        producer = pending.pop()
        results = {result.lbn for result in drafts[producer].outputs}
        for consumer in links.consumers[producer]:
            draft = drafts[consumer]
            for operand in draft.inputs:
                if operand.lbn in results and _is_weight_slot(draft.type, operand.arg):
                    return True
            if draft.type in _LOOKED_THROUGH and consumer not in seen:
                seen.add(consumer)
                pending.append(consumer)
    return False


def _is_weight_slot(op_type: str | None, arg: str) -> bool:
    if arg in _WEIGHT_ARGS:
        return True
    return (op_type in _MATMULS and arg == "b") or (op_type == "gather" and arg == "in")
