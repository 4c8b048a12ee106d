"""Additions that a printed graph does not show: an operand `_add_to_output`, which a pass gave to the operator that makes a term.

With `allow_fuse_add_to_output` (libai, onediff) OneFlow's fuse_add_to_output_pass.cpp takes an `add_n` of two away and lets the maker of
one term add the other one. It adds that operand to the operator's inputs and not to its `input_order`, which is what a print lists. What
gives it away is a number that is missing in OneFlow's counter, behind the maker and before all that reads its result.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from irflops.ir.graph import Note, Operand, Phase, TensorType
from irflops.ir.signatures import FUSED_TERM, TERM_ADDERS
from irflops.readers.meaning.draft import Draft
from irflops.readers.meaning.phase import LOOKED_THROUGH, is_update
from irflops.readers.meaning.resolve import repeated_name
from irflops.readers.printed.missing_numbers import is_counted, unexplained_numbers

_HANDS_GRADIENT_ON = LOOKED_THROUGH | {"acc"}
_MOST_HOPS = 64
"""Operators between a weight and its use, or its gradient and its update, that are looked through."""


def find_fused_terms(drafts: Sequence[Draft], notes: list[Note], *, partial: bool = False) -> None:
    """Gives operators the term that they add where it can be told, and both readings where they may add one. Adds a note to `notes`.

    The term is told where one tensor of the type of the sum has no reader, and one operator can have taken it: the addition was all
    that read it. What is computed again adds what the operator adds that it repeats, and the gradient of a weight is a sum only where
    several operators of the forward pass use the weight. Phases have to be known. With `partial` operators are lost, and with them readers
    and numbers.
    """
    if not partial and _is_off(drafts):
        return
    gone = unexplained_numbers(drafts)
    readers = _first_readers(drafts)
    last = max((draft.number for draft in drafts if draft.number is not None and is_counted(draft)), default=-1) + 1
    alone = {draft.name for draft in _weight_gradients(drafts)}
    sums = [(draft, total) for draft in drafts if draft.name not in alone and (total := _sum(draft)) is not None]
    makers = [(draft, total) for draft, total in sums if total.lbn in readers and _can_add(draft, total, gone, readers)]
    told = not partial and len(makers) == len(gone)
    if not told:  # what nothing reads may be a term, and what comes last may have had a sum behind it, whose number would be the next
        makers = [(draft, total) for draft, total in sums if _can_add(draft, total, [*gone, last], readers)]
    makers_by_type = Counter(total.type for _, total in makers)
    unread = _unread(drafts, readers) if told else {}
    types = Counter(type_ for draft in drafts if draft.type != "output" for type_ in {result.type for result in draft.outputs})
    for draft, total in makers:
        terms = unread.get(total.type, ())
        if len(terms) == 1 and makers_by_type[total.type] == 1:
            draft.inputs += (replace(terms[0], arg=FUSED_TERM, index=0),)
        elif partial or types[total.type] > 1:
            draft.may_have(Operand(FUSED_TERM, 0, "", total.type))
    _repeat_terms(drafts)
    _find_terms_of_copies(drafts, readers)
    doubtful = sum(any(map(_adds, draft.readings)) for draft in drafts)
    if doubtful:
        text = f"{doubtful} operators may add a term that no print shows (allow_fuse_add_to_output)"
        why = "numbers of OneFlow's counter are missing" if gone else "a sum may have been the last operator"
        why = "operators are lost" if partial else why
        notes.append(Note("fused-add", f"{text}: {why}; the job or a capture of the graph tells"))


def _is_off(drafts: Sequence[Draft]) -> bool:
    """Whether the pass did not run: a sum of two in the forward pass is still there that it would have taken.

    The pass takes a sum where a maker's result has no other reader and the other term does not come of it. It leaves some to its second
    run, those behind a sum that it took, and one that stands behind a maker is no evidence.
    """
    makers = {result.lbn: draft for draft in drafts for result in draft.outputs}
    readers = Counter(operand.lbn for draft in drafts for operand in draft.inputs)
    for draft in drafts:
        if draft.type != "add_n" or len(draft.inputs) != 2 or draft.phase is not Phase.FORWARD:
            continue
        for term, other in (draft.inputs, draft.inputs[::-1]):
            maker, source = makers.get(term.lbn), makers.get(other.lbn)
            total = _sum(maker) if maker is not None else None
            if maker is None or source is None or total is None or total.lbn != term.lbn or readers[term.lbn] != 1:
                continue
            behind = [source, *(makers.get(operand.lbn) for operand in maker.inputs)]
            before = source.number is None or source.type == "variable" or (maker.number is not None and source.number < maker.number)
            if before and not any(one is not None and one.type in TERM_ADDERS for one in behind):
                return True
    return False


def _adds(operands: Sequence[Operand]) -> bool:
    return any(operand.arg == FUSED_TERM for operand in operands)


def _repeat_terms(drafts: Sequence[Draft]) -> None:
    """Gives operators that compute again under checkpointing the terms of those that they repeat."""
    copies = {repeated_name(draft.name): draft for draft in drafts if draft.recompute}
    for draft in drafts:
        copy = copies.get(draft.name)
        if copy is None or _adds(copy.inputs):
            continue
        for operand in draft.inputs:
            if operand.arg == FUSED_TERM:
                maker = copies.get(operand.lbn.partition("/")[0])
                lbn = f"{maker.name}/{operand.lbn.partition('/')[2]}" if maker is not None else operand.lbn
                copy.inputs += (replace(operand, lbn=lbn),)
        if any(map(_adds, draft.readings)):
            copy.may_have(Operand(FUSED_TERM, 0, "", next(operand.type for operand in draft.readings[-1] if operand.arg == FUSED_TERM)))


def _find_terms_of_copies(drafts: Sequence[Draft], readers: Mapping[str, object]) -> None:
    """Gives an operator that computes again a term that the one that it repeats does not add, its result being read there by others too.

    What is computed again reads what is computed again: where a copy reads one term's copy in the place of a sum, that copy is the sum.
    Where a sum has no copy, one of its terms' copies a reader and the other's none, the one may be the sum that gradients read.
    """
    copies = {repeated_name(draft.name): draft for draft in drafts if draft.recompute}
    if not copies:
        return
    again = {
        f"{name}/{result.lbn.partition('/')[2]}": (copy, result) for name, copy in copies.items() for result in copy.outputs
    }  # by the lbn that is computed again
    sums = {
        draft.outputs[0].lbn: draft.inputs
        for draft in drafts
        if draft.type == "add_n" and len(draft.inputs) == 2 and draft.outputs and draft.name not in copies
    }
    replaced = {
        (operand.lbn, other.lbn)
        for draft in drafts
        if draft.name in copies
        for operand, other in zip(draft.inputs, copies[draft.name].inputs, strict=False)
    }
    for total, terms in sums.items():
        for term, other in (terms, terms[::-1]):
            maker, result = again.get(term.lbn, (None, None))
            if maker is None or result is None or not _may_be_sum(maker, result) or any(map(_adds, maker.readings)):
                continue
            if (total, result.lbn) in replaced:
                lbn = again[other.lbn][1].lbn if other.lbn in again else other.lbn
                maker.inputs += (replace(other, arg=FUSED_TERM, index=0, lbn=lbn),)
            elif other.lbn in again and result.lbn in readers and again[other.lbn][1].lbn not in readers:
                maker.may_have(Operand(FUSED_TERM, 0, "", other.type))


def _weight_gradients(drafts: Sequence[Draft]) -> Iterator[Draft]:
    """The operators that make the gradient of a variable that one operator of the forward pass uses, as far as updates tell."""
    makers = {result.lbn: draft for draft in drafts for result in draft.outputs}
    uses = _forward_uses(drafts)
    for draft in drafts:
        operands = {operand.arg: operand.lbn for operand in draft.inputs}
        if not is_update(draft.type) or uses.get(operands.get("model", ""), 2) > 1:
            continue
        maker = makers.get(operands.get("model_diff", ""))
        for _ in range(_MOST_HOPS):
            if maker is None or not maker.inputs or (maker.phase is Phase.BACKWARD and maker.type not in _HANDS_GRADIENT_ON):
                break
            maker = makers.get(maker.inputs[0].lbn)  # past what scales, clips or casts it
        if maker is not None and maker.phase is Phase.BACKWARD:
            yield maker


def _forward_uses(drafts: Sequence[Draft]) -> dict[str, int]:
    """By lbn of a variable, how many operands of the forward pass it is, casts and repeats looked through."""
    readers: dict[str, list[Draft]] = {}
    for draft in drafts:
        if draft.phase in (Phase.FORWARD, Phase.SYSTEM):
            for operand in draft.inputs:
                readers.setdefault(operand.lbn, []).append(draft)
    found = {}
    for variable in drafts:
        if variable.type == "variable" and variable.outputs:
            count, waiting = 0, [variable.outputs[0].lbn]
            while waiting and count < 2 and len(waiting) < _MOST_HOPS:
                for reader in readers.get(waiting.pop(), ()):
                    if reader.type in LOOKED_THROUGH:
                        waiting += [result.lbn for result in reader.outputs]
                    else:
                        count += 1
            found[variable.outputs[0].lbn] = count + len(waiting)
    return found


def _sum(draft: Draft) -> Operand | None:
    """The result of an operator of the graph's counter to which it can add a term, None where it can't or is known to."""
    return next((result for result in draft.outputs if _may_be_sum(draft, result)), None) if is_counted(draft) else None


def _may_be_sum(draft: Draft, result: Operand) -> bool:
    """Whether a result is the one to which its operator can add a term, and adds none."""
    return TERM_ADDERS.get(draft.type or "") == result.arg and not _adds(draft.inputs)


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
    if draft.number is None:
        return False
    place = bisect_right(gone, draft.number)
    return place < len(gone) and gone[place] < readers.get(total.lbn, math.inf)


def _unread(drafts: Sequence[Draft], readers: Mapping[str, float]) -> dict[TensorType, list[Operand]]:
    """Results of operators that nothing reads, by type."""
    found: dict[TensorType, list[Operand]] = {}
    for draft in drafts:
        if draft.type not in ("output", "variable") and draft.outputs and not any(result.lbn in readers for result in draft.outputs):
            found.setdefault(draft.outputs[0].type, []).append(draft.outputs[0])
    return found
