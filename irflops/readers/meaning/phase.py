"""Which part of a step each operator belongs to: one function for all forms, for none of them says it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from irflops.ir.edges import Edges
from irflops.ir.graph import Phase, Role, VariableKind
from irflops.ir.signatures import signature
from irflops.readers.meaning.draft import Draft
from irflops.readers.meaning.seed import Seed, find_seed
from irflops.readers.meaning.updates import is_update_name, state_suffix

_OPTIMIZER_NAME = re.compile(r"^Sys(?:tem)?-(?:Train-)?(?:ClipGradient|DynamicLossScale|(?:Model)?DiffScale|RegularizeGradient)")
_OPTIMIZER_ENDS = (
    "_scale_initial_diff",
    "_grad_Scale",
    *(f"{optimizer}_bias_correction_factor{power}" for optimizer in ("adam", "lamb") for power in "12"),
)
_SYSTEM_NAMES = ("System-Train-", "System-ZeRO-ParallelCast-")


LOOKED_THROUGH = frozenset(
    {
        *("repeat", "cast", "cast_like", "mutable_cast_once", "cast_to_static_shape", "copy", "copy_d2h", "copy_h2d", "to_contiguous"),
        *("identity", "identity_buffer", "amp_white_identity", "amp_black_identity", "pinned_identity", "nvtx_start", "nvtx_end"),
        *("parallel_cast", "hierarchical_parallel_cast", "hierarchical_parallel_cast_like", "ssp_variable_proxy"),
        *("stop_gradient", "depend", "throw_error"),
    }
)
"""Types that hand a variable on as it is, for the questions what it is used as, and when: those whose rules say so (`hands_on`), which
readers do not import. A test holds that they are the same."""


@cache
def is_update(op_type: str | None) -> bool:
    """Whether an op type updates a model's variable: an `*_update` with a `model` operand (`slice_update` has none)."""
    found = signature(op_type) if op_type is not None and op_type.endswith("_update") else None
    return found is not None and any(arg.name == "model" for arg in found.inputs)


def assign_phases(drafts: list[Draft], edges: Edges, training: bool, losses: Iterable[tuple[str, str]] = ()) -> Seed | None:
    """Sets every draft's phase. Returns where the backward pass begins; None where a graph shows none.

    The rules are those of the cost definitions ("Phases"), the first that matches: recompute, optimizer, system, backward, forward;
    variables follow the first operator that they serve, and operators without a number follow what they consume. A training graph that
    shows no beginning keeps its operators without a phase: forward and backward cannot be told apart. `losses` are the lbns of losses and
    their gradients, where the form says them; one without a gradient is of a form that holds the forward pass alone.
    """
    losses = tuple(losses)
    for draft in drafts:
        draft.phase = _named_phase(draft)
    updates = [index for index, draft in enumerate(drafts) if _updates(draft)]
    late = updates or [index for index, draft in enumerate(drafts) if (draft.type or "").endswith("_grad")]
    seed = find_seed(drafts, edges, late, losses) if training or late else None
    if seed is not None:
        _mark_backward(drafts, edges, seed)
    elif late or (training and all(gradient for _, gradient in losses)):
        return None
    _mark_unnumbered(drafts, edges)
    for draft in drafts:
        if draft.phase is None and draft.type != "variable":
            draft.phase = Phase.FORWARD
    _mark_variables(drafts, edges)
    return seed


def _named_phase(draft: Draft) -> Phase | None:
    """The phase that an operator's name or type tells by itself."""
    if draft.recompute:
        return Phase.RECOMPUTE
    name = draft.name
    if _updates(draft) or name.endswith(_OPTIMIZER_ENDS) or _OPTIMIZER_NAME.match(name):
        return Phase.OPTIMIZER
    if draft.type == "variable":
        return Phase.OPTIMIZER if draft.kind is VariableKind.OPTIMIZER_STATE and state_suffix(name) else None
    if draft.type in ("input", "output", "learning_rate_schedule") or draft.role is Role.BOXING or name.startswith(_SYSTEM_NAMES):
        return Phase.SYSTEM
    return Phase.BACKWARD if draft.gradient else None


def _updates(draft: Draft) -> bool:
    """Whether an operator updates a variable, by its type or, where its operands fit no known one, by its name."""
    return is_update(draft.type) or (draft.type is None and not draft.outputs and is_update_name(draft.name))


def _mark_backward(drafts: list[Draft], edges: Edges, seed: Seed) -> None:
    reached = bytearray(len(drafts))
    for index in seed.origins:
        reached[index] = 1
        drafts[index].phase = drafts[index].phase or Phase.BACKWARD
    for index in edges.order:
        if reached[index]:
            for consumer in edges.read_by[index]:
                reached[consumer] = 1
    for index, draft in enumerate(drafts):
        if reached[index] and draft.phase is None and draft.number is not None and draft.number > seed.after:
            draft.phase = Phase.BACKWARD
    _mark_unnumbered(drafts, edges)
    if not seed.named:
        _mark_servants(drafts, edges, seed.after)


def _mark_servants(drafts: list[Draft], edges: Edges, after: int) -> None:
    """Marks what is numbered after the beginning and feeds only the backward pass and the optimizer, such as a transpose of a weight."""
    later = (Phase.BACKWARD, Phase.OPTIMIZER)
    serves = bytearray(len(drafts))  # whether an operator's results are for backward and optimizer alone
    for index in reversed(edges.order):
        draft, consumers = drafts[index], edges.read_by[index]
        late = draft.phase is None and draft.number is not None and draft.number > after
        boxing = draft.role is Role.BOXING
        for_later = (late or boxing) and bool(consumers) and all(map(serves.__getitem__, consumers))
        if late and for_later:
            draft.phase = Phase.BACKWARD
        serves[index] = for_later if boxing else draft.phase in later


def _mark_unnumbered(drafts: list[Draft], edges: Edges) -> None:
    """An operator without a number takes the phase of what it consumes, the latest where it consumes several."""
    latest = (Phase.OPTIMIZER, Phase.BACKWARD, Phase.RECOMPUTE)
    for index in edges.order:
        draft = drafts[index]
        if draft.phase is not None or draft.number is not None or draft.type == "variable":
            continue
        fed = {drafts[producer].phase for producer in edges.fed_by[index]}
        draft.phase = next((phase for phase in latest if phase in fed), None)


def _mark_variables(drafts: list[Draft], edges: Edges) -> None:
    """A variable takes the phase of the operator that was made first of those that it serves; one that nothing reads is forward.

    What only hands it on is looked through: boxing identities, casts, parallel casts. What hands it on to nobody counts itself.
    """
    served: dict[int, int] = {}  # by variable, and by what hands one on
    for index in reversed(edges.order):
        draft = drafts[index]
        if draft.type == "variable" or draft.role is Role.BOXING or draft.type in LOOKED_THROUGH:
            first = min((served.get(one, one) for one in edges.read_by[index]), key=lambda one: _age(drafts[one]), default=None)
            if first is not None:
                served[index] = first
    for index, draft in enumerate(drafts):
        if draft.phase is None:
            draft.phase = drafts[served[index]].phase if index in served else Phase.FORWARD


def _age(draft: Draft) -> tuple[float, bool, str]:
    """By this the operator is least that was made first; a recomputed one has the number of that which it repeats."""
    return float("inf") if draft.number is None else draft.number, draft.recompute, draft.name
