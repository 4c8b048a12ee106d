"""From the operators of one device to its tasks and registers: what OneFlow's compiler does when it builds its task graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from irflops.counting.infer import MISFIT, view
from irflops.ir.graph import Op, Phase, Role
from irflops.memory.ranks import BOXING, Share
from irflops.memory.registers import NO_TASK, Device, Register, Task, size_of
from irflops.ops.book import RuleBook
from irflops.ops.temporary import AskedOf, DeviceKind, aligned
from irflops.ops.work import Unknowable

_UNREUSED = frozenset({"input", "output", "return", "variable"})
"""OneFlow's own operators whose results keep memory of their own."""
_TICKS = frozenset({"tick", "device_tick", "acc_tick", "acc_ctrl_tick", "cast_to_tick", "source_tick", "sink_tick"})
"""Operators that say when others may run. No dump has all of them: what theirs take is known for a whole graph."""

_WITHOUT_MEMORY = _TICKS | {"repeat"}
"""Operators whose results take no memory that is counted here: a repeated variable lies on the variable."""
_WITHOUT_BUFFER = _UNREUSED | _TICKS | {BOXING}
"""Types without a rule whose kernels work in nothing else."""


@dataclass(slots=True)
class _Draft:
    """A device under construction."""

    book: RuleBook
    workspace: int
    unknown: dict[str, None] = field(default_factory=dict)
    asked: dict[str, AskedOf] = field(default_factory=dict)


def device_of(share: Share, book: RuleBook, workspace: int = 0, stages: int = 1) -> Device:
    """The tasks and registers of what one rank runs, its host's among them.

    `workspace` are the bytes that cuDNN takes for a convolution; OneFlow asks for one at least. `stages` are those of the pipeline.
    """
    draft = _Draft(book, workspace)
    ops, kinds = share.ops, share.kinds
    placed = [kinds[op.name] for op in ops]
    numbers = {op.name: at for at, op in enumerate(ops)}
    readers: dict[str, dict[int, None]] = {}
    for at, op in enumerate(ops):
        for operand in op.inputs:
            readers.setdefault(operand.lbn, {})[at] = None
    registers: list[Register] = []
    made: dict[str, int] = {}
    results: list[tuple[int, ...]] = []
    buffers: list[int] = []
    for at, op in enumerate(ops):
        kind, first = placed[at], len(registers)
        keeps = op.type in _UNREUSED or book.facts(op.type).unreused or op.name in share.kept
        reused = kind is DeviceKind.CUDA and not keeps
        for result in op.outputs:
            made[result.lbn] = len(registers)
            type_ = result.type
            nbytes = 0 if op.type in _WITHOUT_MEMORY else type_.nbytes
            if nbytes is None:
                draft.unknown[op.name] = None
            if op.type == "identity_buffer" and nbytes is not None:
                nbytes = aligned(nbytes) * _slots(op, [ops[reader] for reader in readers.get(result.lbn, ())], stages)
            size = size_of(nbytes or 0, len(type_.shape or ()), DeviceKind.CUDA if op.type == "variable" else kind)
            registers.append(Register(result.lbn, type_, size, kind, at, tuple(readers.get(result.lbn, ())), reused))
        results.append(tuple(range(first, len(registers))))
        worked = _buffer(op, kind, draft)
        if worked:
            registers.append(Register(op.name, None, size_of(worked, 1, kind), kind, at, (), kind is DeviceKind.CUDA))
        buffers.append(len(registers) - 1 if worked else NO_TASK)
    tasks = []
    for at, op in enumerate(ops):
        reads = tuple([made.get(operand.lbn, NO_TASK) for operand in op.inputs])
        waits = dict.fromkeys(registers[register].maker for register in reads if register != NO_TASK)
        waits |= {numbers[name]: None for name in op.after if name in numbers}
        waits.pop(at, None)
        tasks.append(Task(op, placed[at], book.facts(op.type), results[at], reads, buffers[at], tuple(waits)))
    return Device(tuple(tasks), tuple(registers), tuple(draft.unknown), draft.asked)


def _slots(op: Op, readers: Sequence[Op], stages: int) -> int:
    """How many micro-batches a pipeline's buffer holds: as many as are under way where backward reads what forward made on one stage."""
    stated = op.attrs.get("buffer_size")
    if isinstance(stated, int) and stated > 0:
        return stated
    waits = op.phase is Phase.FORWARD and any(reader.phase is not Phase.FORWARD for reader in readers)
    return 2 * stages if waits else 1


def _buffer(op: Op, kind: DeviceKind, draft: _Draft) -> int:
    """Bytes of the buffer that an operator's kernel works in."""
    rule = draft.book.rule(op.type)
    if rule is None or op.type is None:
        if op.type not in _WITHOUT_BUFFER and op.role is not Role.COLLECTIVE:
            draft.unknown[op.name] = None
        return 0
    try:
        asked = rule.temporary(view(op, op.type, {}), kind)
    except (Unknowable, MISFIT):
        draft.unknown[op.name] = None
        return 0
    if isinstance(asked, AskedOf):
        draft.asked[op.name] = asked
        return max(draft.workspace, 1) if asked is AskedOf.CUDNN else 0
    return asked
