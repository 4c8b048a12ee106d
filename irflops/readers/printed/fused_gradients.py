"""Sums of two gradients that a print of OneFlow 0.8.0 does not show: a pass gave one gradient to the operator that makes the other.

Where several operators use one tensor, 0.8.0 adds their gradients up in an `X_clone_grad_N`, named after its maker. With
`allow_fuse_add_to_output` the sum of two is gone where the maker of one can add the other, an operand that no print lists. A sum that
should be there and is not gives it away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from irflops.ir.graph import Note, Operand
from irflops.ir.signatures import FUSED_TERM
from irflops.readers.meaning.draft import Draft
from irflops.readers.meaning.gradients import gradient_parts, suffixes_of

_SUMS = {
    "conv_data_grad": "dx",
    "layer_norm_grad": "dx",
    "matmul": "out",
    "batch_matmul": "out",
    "broadcast_matmul": "out",
    "broadcast_matmul_grad_b": "out",
}
"""Types of gradient operators that can add a term in 0.8.0, and the result that is then the sum."""

_PASSED_ON = frozenset(
    {"add_n", "scalar_add", "broadcast_add", "broadcast_sub", "bias_add", "scalar_add_by_tensor", "scalar_sub_by_tensor"}
)
"""Types whose result's gradient is that of an operand, without an operator."""

_GIVES_NONE = frozenset(
    {
        *("indices", "index", "segment_ids", "mask", "target", "label", "condition", "like", "dtype_like", "ids", "segment_ids"),
        *("moving_mean", "moving_variance", "input_lengths", "target_lengths", "targets", "rois"),
    }
)
"""Operands for which no gradient is made."""

_NAMED = {
    "-DataGrad": ("in", "x"),
    "-FilterGrad": ("weight",),
    "-BiasGrad": ("bias",),
    "_param_grad": ("gamma", "beta"),
}
"""Operands whose gradient an operator is, by what its name has more, where that does not spell the operand as `_grad_a` does."""


def find_fused_gradients(drafts: Sequence[Draft], notes: list[Note]) -> None:
    """Gives gradient operators that may add a term both readings, with the term and without. Adds a note to `notes`."""
    gradients = _by_forward(drafts)
    if not gradients:
        return
    names = {draft.name for draft in drafts}
    summed = {name.partition("_clone_grad_")[0] for name in names if "_clone_grad_" in name}
    readers: dict[str, list[tuple[Draft, str]]] = {}
    for draft in drafts:
        for operand in draft.inputs if not draft.gradient else ():
            readers.setdefault(operand.lbn, []).append((draft, operand.arg))
    trained = _trained(drafts, gradients, readers)
    doubtful = 0
    for draft in drafts:
        if draft.gradient or draft.name in summed:
            continue
        for result in draft.outputs:
            users = [(user, arg) for user, arg in readers.get(result.lbn, ()) if user.name in trained and _gives(user, arg, gradients)]
            if len(users) != 2:
                continue
            for gradient, total in _adders(users, gradients, result):
                doubtful += gradient.may_have(Operand(FUSED_TERM, 0, "", total.type))
    if doubtful:
        text = f"{doubtful} gradients may add a term that no print shows (allow_fuse_add_to_output): sums of gradients are missing"
        notes.append(Note("fused-add", f"{text}; the job of the graph tells"))


def _by_forward(drafts: Sequence[Draft]) -> dict[str, list[tuple[str, Draft]]]:
    """Gradient operators, each with what its name has more, by the name of their forward operator."""
    names = {draft.name for draft in drafts}
    found: dict[str, list[tuple[str, Draft]]] = {}
    for draft in drafts:
        for part in gradient_parts(draft.name) if draft.gradient else ():
            if part.forward in names:
                found.setdefault(part.forward, []).append((part.suffix, draft))
                break
    return found


def _trained(drafts: Sequence[Draft], gradients: Mapping[str, object], readers: Mapping[str, Sequence[tuple[Draft, str]]]) -> set[str]:
    """The forward operators whose result has a gradient: as far as an operator of theirs shows it, or one that they hand it on to."""
    found: set[str] = set()
    for draft in sorted((draft for draft in drafts if not draft.gradient and draft.number is not None), key=_number, reverse=True):
        users = (user for result in draft.outputs for user, _ in readers.get(result.lbn, ()))
        if draft.name in gradients or (draft.type in _PASSED_ON and any(user.name in found for user in users)):
            found.add(draft.name)
    return found


def _number(draft: Draft) -> int:
    return draft.number or 0


def _gives(user: Draft, arg: str, gradients: Mapping[str, Sequence[tuple[str, Draft]]]) -> bool:
    """Whether an operator that has a gradient gives one to this operand of it, as far as names tell."""
    if arg in _GIVES_NONE:
        return False
    of_operand = _suffixes(user, arg)
    made = {suffix for suffix, _ in gradients.get(user.name, ())}
    return user.type in _PASSED_ON or not of_operand or not made.isdisjoint(of_operand)


def _suffixes(user: Draft, arg: str) -> set[str]:
    """What the names of gradients have more that are of this operand alone; none where one operator makes those of several."""
    return {
        suffix
        for suffix in suffixes_of(user.type or "")
        if arg in _NAMED.get(suffix, ()) or (suffix not in _NAMED and f"_{arg}_" in f"{suffix}_")
    }


def _adders(
    users: Sequence[tuple[Draft, str]], gradients: Mapping[str, Sequence[tuple[str, Draft]]], summed: Operand
) -> Iterator[tuple[Draft, Operand]]:
    """The gradient operators that may add the other gradient to theirs, each with its result."""
    for user, arg in users:
        of_operand = _suffixes(user, arg)
        for suffix, gradient in gradients.get(user.name, ()):
            if not of_operand or suffix in of_operand:
                name = _SUMS.get(gradient.type or "")
                yield from ((gradient, result) for result in gradient.outputs if result.arg == name and result.type == summed.type)
