"""From a printed operator line to a draft: what the operator is, and the names of its arguments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from irflops.ir.graph import NO_ATTRS, Attrs, Location, Operand, Role, Shape
from irflops.ir.signatures import operand_orders, signature
from irflops.readers.meaning.assemble import result_operand
from irflops.readers.meaning.draft import Draft
from irflops.readers.meaning.resolve import Resolved, free_tensor_module, has_activation, resolve, variable_module
from irflops.readers.meaning.updates import is_update_name, read_update
from irflops.readers.printed.statement import RawArg, RawOp, RawTensor

_NEEDS_NO_OPERANDS = frozenset({"input", "output", "constant_like", "device_tick"})
"""Types that a line may elide without loss: nothing is read, or the consumers tell what."""

UNPLACED = "?"
"""A draft's module where its name tells none: the place of its line decides."""

_SYSTEM_ARGS = {"output": ("in",), "identity": ("in",), "learning_rate_schedule": ("train_step",)}
"""Operand names of the system operators, for which OneFlow's definitions have none."""

_SILU = Attrs({"activation": "silu"})

_LIBRARY = re.compile(r"[/\\](?:site-packages|dist-packages)[/\\]|[/\\]lib[/\\]python\d|[/\\]python[/\\]oneflow[/\\]")


def draft_of(raw: RawOp, *, old: bool = False) -> Draft:
    """The draft of an operator line: type, arguments by name, and the module that its name claims; `old` is a line of OneFlow 0.8.0."""
    inputs, outputs = raw.inputs or (), raw.outputs or ()
    resolved = resolve(raw.name, len(inputs))
    types = _structural_type(raw) or _fitting(resolved.types, raw)
    op_type = types[0] if len(types) == 1 else None
    names: tuple[str, ...] | None = None
    orders: tuple[tuple[str, ...], ...] = ()
    if is_update_name(raw.name) and not outputs:
        update = read_update(raw.name, tuple(_op_name(arg) for arg in inputs))
        op_type, names = update if update is not None else (None, None)
    elif types:  # one type, or several that take the same operands
        own = resolved.args or _SYSTEM_ARGS.get(types[0])
        orders = (own,) if own else operand_orders(types[0], _shapes(inputs), old=old)
        names = orders[0] if orders else None
    unnamed = names is None or len(names) != len(inputs)
    if names is None or unnamed:
        names = tuple(f"in_{i}" for i in range(len(inputs)))
    draft = Draft(
        raw.name,
        op_type,
        _operands(names, inputs),
        _results(raw.name, outputs),
        placement=raw.placement,
        candidates=types,
        number=resolved.number,
        role=resolved.role,
        recompute=resolved.recompute,
        gradient=resolved.gradient,
        attrs=_SILU if has_activation(raw.name) else NO_ATTRS,
        rewritten=resolved.rewritten,
        # Of a type that is not OneFlow's nothing says how many operands there are: those of the line are all.
        elided=(unnamed and bool(inputs) and not _is_foreign(op_type)) or (raw.inputs is None and op_type not in _NEEDS_NO_OPERANDS),
        readings=tuple(tuple(_operands(order, inputs)) for order in orders) if len(orders) > 1 else (),
    )
    draft.module = named_module(raw.name, op_type, resolved)
    return draft


def _is_foreign(op_type: str | None) -> bool:
    return op_type is not None and op_type not in _SYSTEM_ARGS and signature(op_type) is None


def _fitting(types: tuple[str, ...], raw: RawOp) -> tuple[str, ...]:
    """Of several types that a name allows, those that have as many operands and results of these names; all where none has."""
    if len(types) < 2 or raw.inputs is None or not raw.outputs:
        return types
    results = {operand.arg for operand in _results(raw.name, raw.outputs)}
    return tuple(op_type for op_type in types if _takes(op_type, raw.inputs, results)) or types


def _takes(op_type: str, inputs: tuple[RawArg, ...], results: set[str]) -> bool:
    found = signature(op_type)
    if found is None or not operand_orders(op_type, _shapes(inputs)):
        return False
    return {arg.name for arg in found.outputs if not arg.optional} <= results <= {arg.name for arg in found.outputs}


def settle_updates(drafts: Iterable[Draft]) -> None:
    """Reads those updates anew whose operands come through boxing identities, which other lines show: their own names do not tell them."""
    drafts = tuple(drafts)
    behind = {d.outputs[0].lbn: d.inputs[0].lbn for d in drafts if d.role is Role.BOXING and d.inputs and d.outputs}
    for draft in drafts if behind else ():
        if not is_update_name(draft.name) or draft.outputs or not any(operand.lbn in behind for operand in draft.inputs):
            continue
        update = read_update(draft.name, tuple(_unboxed(operand.lbn, behind).partition("/")[0] for operand in draft.inputs))
        if update is not None:
            draft.type, draft.elided = update.op_type, False
            draft.inputs = tuple(replace(operand, arg=arg) for operand, arg in zip(draft.inputs, update.args, strict=True))


def _unboxed(lbn: str, behind: Mapping[str, str]) -> str:
    """The tensor behind boxing identities."""
    seen = {lbn}
    while lbn in behind and behind[lbn] not in seen:
        lbn = behind[lbn]
        seen.add(lbn)
    return lbn


def named_module(name: str, op_type: str | None, resolved: Resolved) -> str:
    """The module path that a name claims, or UNPLACED where it claims none.

    A variable and what updates, repeats or accumulates it belong to the module of the variable's name, whatever code read it first.
    """
    if op_type == "variable":
        free = free_tensor_module(name)
        return free if free is not None else variable_module(name) or UNPLACED
    if op_type in ("input", "output"):
        return ""
    if is_update_name(name):
        return variable_module(name) or UNPLACED
    if resolved.path is None:
        return UNPLACED
    return (variable_module(resolved.path) or resolved.path) if op_type in ("repeat", "acc") else resolved.path


def _structural_type(raw: RawOp) -> tuple[str, ...]:
    """System operators show what they are by how they print: without inner parentheses, and variables and identities by blob name alone."""
    if raw.outputs is None or len(raw.outputs) != 1 or (raw.inputs and len(raw.inputs) != 1):
        return ()
    out = raw.outputs[0]
    source = raw.inputs[0] if raw.inputs else None
    if not isinstance(out, RawTensor):
        return ()
    named = "/" in out.lbn
    if source is None:
        if raw.inputs is None:
            return ()
        return ("variable",) if not named else ("input",) if out.bare else ()
    if not (out.bare and isinstance(source, RawTensor) and source.bare):
        return ()
    return ("output",) if named else ("identity",)


def _op_name(arg: RawArg) -> str:
    tensor = arg if isinstance(arg, RawTensor) else arg[0] if arg else None
    return tensor.lbn.partition("/")[0] if tensor is not None else ""


def _shapes(args: tuple[RawArg, ...]) -> list[Shape | None]:
    return [arg.type.shape if isinstance(arg, RawTensor) else None for arg in args]


def _operands(names: tuple[str, ...], args: tuple[RawArg, ...]) -> tuple[Operand, ...]:
    found: list[Operand] = []
    for name, arg in zip(names, args, strict=True):
        if isinstance(arg, RawTensor):
            found.append(Operand(name, 0, arg.lbn, arg.type, arg.nd_sbp))
        else:
            found += [Operand(name, index, tensor.lbn, tensor.type, tensor.nd_sbp) for index, tensor in enumerate(arg)]
    return tuple(found)


def _results(op_name: str, args: tuple[RawArg, ...]) -> tuple[Operand, ...]:
    own = f"{op_name}/"
    found: list[Operand] = []
    for arg in args:
        for lbn, type_, nd_sbp, _bare in (arg,) if isinstance(arg, RawTensor) else arg:
            if "/" in lbn:
                blob = lbn[len(own) :] if lbn.startswith(own) else lbn.rpartition("/")[2]
                found.append(result_operand(lbn, blob, type_, nd_sbp))
            else:
                found.append(Operand(lbn, 0, own + lbn, type_, nd_sbp))
    return tuple(found)


def user_frame(frames: tuple[Location, ...]) -> Location:
    """The innermost frame of the user's own code; the outermost of the library's where none of the frames shown is the user's."""
    for frame in reversed(frames):
        if not _LIBRARY.search(frame.file):
            return frame
    return frames[0]
