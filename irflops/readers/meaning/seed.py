"""Where the backward pass of a training graph begins: the gradients of its losses, found by what they are."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from irflops.ir.edges import Edges
from irflops.readers.meaning.draft import Draft
from irflops.readers.meaning.gradients import is_first_gradient

_ONES_LIKE = re.compile(r"(?:^|-)ones_like-\d+$")


@dataclass(frozen=True, slots=True)
class Seed:
    """Where a backward pass begins."""

    origins: tuple[int, ...]
    """Operators that make the gradient of a loss, or read a gradient that the user made."""
    after: int
    """Operators of the backward pass have numbers above this one, as far as they have numbers."""
    named: bool = False
    """Whether the names of its operators tell the backward pass, as in OneFlow 0.8.0."""
    guessed: bool = False
    """Whether nothing but what the graph returns told it."""


def find_seed(drafts: list[Draft], edges: Edges, updates: Collection[int], declared: Iterable[tuple[str, str]] = ()) -> Seed | None:
    """Where the backward pass begins, None where nothing tells.

    `updates` are the operators that the backward pass is for; `declared` are losses and their gradients, as lbns, where the form says them.
    A loss without a gradient is one whose backward pass is not in the form.
    """
    declared = tuple(declared)
    named = tuple(index for index, draft in enumerate(drafts) if draft.gradient and is_first_gradient(draft.name))
    if named:
        return Seed(named, -1, named=True)
    if any(not gradient for _, gradient in declared):
        return None
    return _declared(drafts, edges, declared) or _ones_like_a_loss(drafts, edges, updates) or _told_by_outputs(drafts, edges, updates)


def _declared(drafts: list[Draft], edges: Edges, pairs: Iterable[tuple[str, str]]) -> Seed | None:
    """The gradients that the form names; of one that the user made before the loss, or gave from outside, its readers after the loss."""
    origins: list[int] = []
    begins: list[int] = []
    for loss, gradient in pairs:
        maker, before = edges.maker(gradient), edges.maker(loss)
        if maker is None:
            continue
        number = drafts[maker].number
        begin = drafts[before].number if before is not None else None
        if begin is None:
            begin = number
        if begin is None:
            continue
        begins.append(begin)
        if number is not None and number >= begin:
            origins.append(maker)
        else:
            readers = dict.fromkeys(edges.owners[slot] for slot in edges.uses(gradient))
            origins += [reader for reader in readers if (drafts[reader].number or 0) > begin]
    return Seed(tuple(origins), min(begins)) if origins else None


def _ones_like_a_loss(drafts: list[Draft], edges: Edges, updates: Collection[int]) -> Seed | None:
    """`ones_like` operators that a loss feeds, which is what `loss.backward()` makes; wherever it was called.

    A mask or a label that is made alike leads on to a loss, and to what the graph returns; the gradient of a loss of one element may do so
    too, where the graph returns gradients. Without updates, a loss has one element.
    """
    candidates = [index for index, draft in enumerate(drafts) if _is_ones_like(drafts, edges, index)]
    candidates.sort(key=lambda index: drafts[index].number or 0)
    losses = {edges.fed_by[index][0] for index in candidates}
    to_loss = _leading(edges, losses)
    to_output = _leading(edges, [index for index, draft in enumerate(drafts) if draft.type == "output"])
    to_update = _leading(edges, updates)
    first = [index for index in candidates if not to_loss[index] and (to_update[index] or not updates)]
    inward = [index for index in first if not to_output[index]]
    scalars = ([index for index in found if _one_element(drafts[index])] for found in (inward, first))
    origins = next(filter(None, scalars), inward if updates else [])
    return Seed(tuple(origins), drafts[origins[0]].number or 0) if origins else None


def _is_ones_like(drafts: list[Draft], edges: Edges, index: int) -> bool:
    draft = drafts[index]
    if draft.number is None or draft.recompute or len(draft.inputs) != 1 or not _ONES_LIKE.search(draft.name):
        return False
    fed = edges.fed_by[index]
    return bool(fed) and drafts[fed[0]].type != "variable"


def _one_element(draft: Draft) -> bool:
    shape = draft.inputs[0].type.shape
    return shape is None or all(extent == 1 for extent in shape)


def _leading(edges: Edges, ends: Iterable[int]) -> bytearray:
    """By operator, whether its results lead to one of these; they themselves do not."""
    wanted = set(ends)
    leads = bytearray(len(edges.fed_by))
    for index in reversed(edges.order):
        if leads[index] or index in wanted:
            for maker in edges.fed_by[index]:
                leads[maker] = 1
    return leads


def _told_by_outputs(drafts: list[Draft], edges: Edges, updates: Collection[int]) -> Seed | None:
    """The backward pass of a gradient that the user gave: what updates need and the graph's outputs, the loss among them, do not.

    None where operators of the two are not numbered one after the other, as they would be. What is computed from nothing, such as the
    gradient itself, may have been made before.
    """
    returned = _leading(edges, [index for index, draft in enumerate(drafts) if draft.type == "output"])
    needed = _leading(edges, updates)
    numbered = [(draft.number, index) for index, draft in enumerate(drafts) if draft.number is not None and draft.phase is None]
    begin = min((number for number, index in numbered if needed[index] and not returned[index] and edges.fed_by[index]), default=-1)
    forward = [number for number, index in numbered if returned[index] and number < begin]
    if not forward or any(needed[index] and returned[index] and number > begin for number, index in numbered):
        return None
    after = max(forward)
    origins = tuple(index for number, index in numbered if needed[index] and not returned[index] and number > after)
    return Seed(origins, after, guessed=True)
