"""Numbers that are missing in OneFlow's counter of operators: each was an operator that a pass took away, and most say which."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence

from irflops.ir.graph import Phase, Role
from irflops.readers.meaning.draft import Draft
from irflops.readers.meaning.resolve import free_tensor_module

_ZEROS = {
    "normalization_grad": 2,
    "normalization_add_relu_grad": 2,
    "layer_norm_param_grad": 2,
    "group_norm_param_grad": 2,
    "sparse_softmax_cross_entropy_grad": 1,
    "sparse_softmax_cross_entropy_ms_grad": 1,
    "fused_tril_scale_softmax_mask_scale_grad": 1,
    "fused_scale_mask_softmax_dropout_grad": 1,
}
"""Numbers that are gone before a gradient: OneFlow's autograd makes zeros for results that nothing uses (the mean and the deviation, the
probabilities), which a later pass removes."""


def is_counted(draft: Draft) -> bool:
    """Whether its number is of the graph's counter: what passes make has counters of its own, or the number of another operator."""
    return draft.number is not None and draft.type != "variable" and draft.role is Role.USER


def unexplained_numbers(drafts: Sequence[Draft]) -> list[int]:
    """Numbers that are missing and that no other habit of OneFlow's explains, in order. Phases have to be known."""
    numbered = {draft.number: draft for draft in drafts if draft.number is not None and is_counted(draft)}
    most = max(numbered, default=-1)
    if most > 16 * len(drafts) + 1024:
        return []  # no counter: a name that a user gave ends in a number
    gone = set(range(most)).difference(numbered)
    gone.difference_update(draft.number for draft in drafts if draft.number is not None and free_tensor_module(draft.name) is not None)
    each = 2 if any(draft.type == "acc" for draft in drafts) else 1  # over micro-batches zeros are repeated, by an operator each
    for number, draft in numbered.items():
        gone.difference_update(range(number - each * _ZEROS.get(draft.type or "", 0), number))
    left = sorted(gone)
    makers = {result.lbn: draft for draft in drafts for result in draft.outputs}
    for after, before in _merged_sums(numbered, makers):
        place = bisect_right(left, after)
        if place + 1 == bisect_left(left, before):
            del left[place]
    return left


def _merged_sums(numbered: Mapping[int, Draft], makers: Mapping[str, Draft]) -> Iterator[tuple[int, int]]:
    """The sums that one of more terms was made of: each by the number that it stood behind, at the earliest, and the one before."""
    for number, draft in numbered.items():
        if draft.type == "add_n" and len(draft.inputs) > 2 and draft.phase is Phase.BACKWARD:  # elsewhere a user may have written it so
            made = [makers.get(operand.lbn) for operand in draft.inputs]
            terms = sorted(-1 if maker is None or maker.number is None else maker.number for maker in made)
            yield from ((term, number) for term in terms[1:-1])
