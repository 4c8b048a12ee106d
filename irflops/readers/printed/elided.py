"""What a print leaves out as `(...)`: inputs and outputs in OneFlow 0.8.0, and operators that are no user operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from irflops.ir.graph import Operand, TensorType
from irflops.readers.meaning.assemble import result_operand
from irflops.readers.meaning.draft import Draft
from irflops.readers.meaning.gradients import FIRST_GRADIENT, is_first_gradient
from irflops.readers.printed.module_tree import Line

_PACK = "System-GradientAccumulation-OutputPack-"
"""What OneFlow 0.8.0 calls the operator that puts an output's micro-batches together, before the output's name."""


def fill_elided(drafts: Sequence[Draft], inputs: Iterable[Line], outputs: Iterable[Line]) -> None:
    """Fills in operands and results that lines leave out, as far as other lines tell them; `inputs` and `outputs` are the graph's own."""
    if all(draft.outputs for draft in drafts):
        return
    used = {operand.lbn: operand for draft in drafts for operand in draft.inputs}
    _fill_results(drafts, used)
    _fill_inputs(drafts, used, inputs)
    losses = _fill_losses(drafts)
    _fill_outputs(drafts, used, losses, outputs)
    _fill_likes(drafts)


def _fill_results(drafts: Sequence[Draft], used: dict[str, Operand]) -> None:
    """The results of an operator are what others read of it."""
    by_maker: dict[str, list[Operand]] = {}
    for operand in used.values():
        by_maker.setdefault(operand.lbn.partition("/")[0], []).append(operand)
    for draft in drafts:
        if not draft.outputs and draft.type not in ("input", "output"):
            draft.outputs = tuple(result_operand(o.lbn, o.lbn.partition("/")[2], o.type, o.nd_sbp) for o in by_maker.get(draft.name, ()))


def _fill_inputs(drafts: Sequence[Draft], used: dict[str, Operand], lines: Iterable[Line]) -> None:
    """An input has the type of what its consumers read, and lies as its INPUT line says."""
    elided = [draft for draft in drafts if draft.type == "input" and not draft.outputs]
    for draft, line in _with_lines(elided, lines):
        lbn = f"{draft.name}/out"
        seen = used.get(lbn)
        type_ = seen.type if seen else line.type or TensorType()
        draft.outputs = (Operand("out", 0, lbn, type_, line.nd_sbp or (seen.nd_sbp if seen else None)),)


def _fill_losses(drafts: Sequence[Draft]) -> list[Operand]:
    """The gradient of a loss is made like the loss, whose lbn its name spells. Returns the losses."""
    seeds = {draft.name: draft for draft in drafts if not draft.inputs and is_first_gradient(draft.name)}
    if not seeds:
        return []
    losses = []
    for result in (result for draft in drafts for result in draft.outputs):
        seed = seeds.get(result.lbn.replace("/", "_") + FIRST_GRADIENT)
        if seed is not None:
            seed.inputs = (replace(result, arg="like", index=0),)
            losses.append(result)
    return losses


def _fill_outputs(drafts: Sequence[Draft], used: dict[str, Operand], losses: list[Operand], lines: Iterable[Line]) -> None:
    """An output reads what is packed for it; or, the one of its type, the one tensor of that type that nothing reads or that is a loss."""
    packed = {draft.name[len(_PACK) :]: draft.outputs for draft in drafts if draft.name.startswith(_PACK)}
    unread = {result.lbn: result for draft in drafts if draft.type != "output" for result in draft.outputs if result.lbn not in used}
    unread.update((loss.lbn, loss) for loss in losses)
    by_type: dict[TensorType, list[Operand]] = {}
    for result in unread.values():
        by_type.setdefault(result.type, []).append(result)
    elided = list(_with_lines([draft for draft in drafts if draft.type == "output" and not draft.outputs], lines))
    types = Counter(line.type for draft, line in elided if draft.name not in packed)
    for draft, line in elided:
        type_ = line.type or TensorType()
        fits = packed.get(draft.name) or tuple(by_type.get(type_, ()) if types[line.type] == 1 else ())
        draft.elided = len(fits) != 1
        if draft.elided:
            draft.outputs = (Operand("out", 0, f"{draft.name}/out", type_, line.nd_sbp),)
        else:
            draft.inputs = (replace(fits[0], arg="in", index=0),)
            draft.outputs = (Operand("out", 0, f"{draft.name}/out", fits[0].type, line.nd_sbp),)


def _fill_likes(drafts: Sequence[Draft]) -> None:
    """A loss scale is made like the gradient that its one reader multiplies with it."""
    elided = {f"{draft.name}/out": draft for draft in drafts if draft.type == "constant_like" and not draft.inputs}
    for reader in drafts if elided else ():
        scale = next((elided[operand.lbn] for operand in reader.inputs if operand.lbn in elided), None)
        others = [operand for operand in reader.inputs if operand.lbn not in elided]
        if scale is not None and len(others) == 1:
            scale.inputs = (replace(others[0], arg="like", index=0),)


def _with_lines(drafts: list[Draft], lines: Iterable[Line]) -> Iterable[tuple[Draft, Line]]:
    """Each with its own line: by name, or in order where a listing lost names."""
    tensors = [line for line in lines if line.type is not None]
    named = {line.name: line for line in tensors if line.name}
    names = {draft.name for draft in drafts}
    rest = iter([line for line in tensors if line.name not in names])
    for draft in drafts:
        yield draft, named.get(draft.name) or next(rest, Line(None, None))
