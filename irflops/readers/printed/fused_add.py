"""Additions that a printed graph does not show: an operand `_add_to_output`, which a pass gave to the operator that makes a term.

With `allow_fuse_add_to_output` (libai, onediff) OneFlow's fuse_add_to_output_pass.cpp takes an `add_n` of two away and lets the maker of
one term add the other one. It adds that operand to the operator's inputs and not to its `input_order`, which is what a print lists. What
gives it away is a number that is missing in OneFlow's counter, behind the maker and before all that reads its result.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from irflops.ir.graph import Note, Operand, Role, TensorType
from irflops.ir.signatures import FUSED_TERM
from irflops.readers.meaning.draft import Draft

_SUMS = {
    "normalization": "y",
    "dropout": "out",
    "matmul": "out",
    "layer_norm_grad": "dx",
    "batch_matmul": "out",
    "fused_bias_add_mask_scale": "out",
    "fused_matmul_bias": "out",
    "broadcast_matmul": "out",
    "broadcast_matmul_grad_b": "out",
}
"""The types that can add a term, and the result that is then the sum."""

_ZEROS = {"normalization_grad": 2, "layer_norm_param_grad": 2, "group_norm_param_grad": 2, "normalization_add_relu_grad": 2}
"""Numbers that are gone before a gradient: OneFlow's autograd makes zeros for the mean and the deviation, which a later pass removes."""


def find_fused_terms(drafts: Sequence[Draft], notes: list[Note]) -> None:
    """Gives operators the term that they add where it can be told, and both readings where they may add one. Adds a note to `notes`.

    The term is told where one tensor of the type of the sum has no reader, and one operator can have taken it: the addition was all
    that read it.
    """
    gone = _unexplained(drafts)
    if not gone:
        return
    readers = _first_readers(drafts)
    makers = [(draft, total) for draft in drafts if (total := _sum(draft)) is not None and _can_add(draft, total, gone, readers)]
    makers_by_type = Counter(total.type for _, total in makers)
    unread = _unread(drafts, readers) if len(makers) == len(gone) else {}
    types = Counter(type_ for draft in drafts for type_ in {result.type for result in draft.outputs})
    doubtful = 0
    for draft, total in makers:
        terms = unread.get(total.type, ())
        if len(terms) == 1 and makers_by_type[total.type] == 1:
            draft.inputs += (replace(terms[0], arg=FUSED_TERM, index=0),)
        elif types[total.type] > 1:
            doubtful += draft.may_have(Operand(FUSED_TERM, 0, "", total.type))
    if doubtful:
        text = (
            f"{doubtful} operators may add a term that no print shows (allow_fuse_add_to_output): numbers of OneFlow's counter are missing"
        )
        notes.append(Note("fused-add", f"{text}; the job or a capture of the graph tells"))


def _is_counted(draft: Draft) -> bool:
    """Whether its number is of the graph's counter: what passes make has counters of its own, or the number of another operator."""
    return draft.number is not None and draft.type != "variable" and draft.role is Role.USER


def _sum(draft: Draft) -> Operand | None:
    """The result to which an operator can add a term, None where it can't or is known to."""
    arg = _SUMS.get(draft.type or "")
    if arg is None or not _is_counted(draft) or any(operand.arg == FUSED_TERM for operand in draft.inputs):
        return None
    return next((result for result in draft.outputs if result.arg == arg), None)


def _unexplained(drafts: Sequence[Draft]) -> list[int]:
    """Numbers that are missing and that no other habit of OneFlow's explains, in order; none if the others may explain all."""
    numbered = {draft.number: draft for draft in drafts if draft.number is not None and _is_counted(draft)}
    most = max(numbered, default=-1)
    if most > 16 * len(drafts) + 1024:
        return []  # no counter: a name that a user gave ends in a number
    gone = set(range(most)).difference(numbered)
    for number, draft in numbered.items():
        gone.difference_update(range(number - _ZEROS.get(draft.type or "", 0), number))
    merged = sum(max(len(draft.inputs) - 2, 0) for draft in drafts if draft.type == "add_n")
    return sorted(gone) if len(gone) > merged else []


def _first_readers(drafts: Sequence[Draft]) -> dict[str, float]:
    """By lbn, the least number of an operator that reads it; those without a number come last."""
    found: dict[str, float] = {}
    for draft in drafts:
        number = math.inf if draft.number is None else draft.number
        for operand in draft.inputs:
            found[operand.lbn] = min(number, found.get(operand.lbn, number))
    return found


def _can_add(draft: Draft, total: Operand, gone: Sequence[int], readers: Mapping[str, float]) -> bool:
    """Whether an addition may have stood between an operator and all that reads its sum."""
    if draft.number is None or total.lbn not in readers:
        return False
    place = bisect_right(gone, draft.number)
    return place < len(gone) and gone[place] < readers[total.lbn]


def _unread(drafts: Sequence[Draft], readers: Mapping[str, float]) -> dict[TensorType, list[Operand]]:
    """Results of operators that nothing reads, by type."""
    found: dict[TensorType, list[Operand]] = {}
    for draft in drafts:
        if draft.type not in ("output", "variable") and draft.outputs and not any(result.lbn in readers for result in draft.outputs):
            found.setdefault(draft.outputs[0].type, []).append(draft.outputs[0])
    return found
