"""What one rank runs: the operators placed on it and on its host, the parts of their tensors that it holds, and what brings tensors to it.

A job has no operator for what brings a tensor from one placement, or one way to lie, to another; OneFlow's compiler adds tasks for it. Here
they are operators too: copies from the host, and boxing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from irflops.counting.infer import operand_type
from irflops.devices.layout import Layout, makers, wanted
from irflops.devices.physical import Box, Laid, parts
from irflops.ir.graph import Graph, Op, Operand, Phase, Placement, Role, TensorType, VariableKind
from irflops.ir.sbp import NdSbp
from irflops.ops.temporary import DeviceKind

COPY = "copy_h2d"
BOXING = "boxing"
"""Types of the operators that are added."""


@dataclass(frozen=True)
class Share:
    """What one rank runs."""

    ops: tuple[Op, ...]
    """In the order of the job, operands and results of the types that they have on the rank."""
    kinds: Mapping[str, DeviceKind]
    """By operator's name where it runs."""
    kept: frozenset[str]
    """Operators that were added and whose results keep memory of their own."""
    moved: int
    """Tensors that were brought from one way to lie to another."""


def kinds_of(graph: Graph, on: DeviceKind | None = None) -> tuple[DeviceKind, list[DeviceKind]]:
    """What a graph is for, and by operator where it runs: on `on`, if one asks about another kind of device than it was captured for.

    A graph for CUDA keeps the schedule of the learning rate and what else counts steps on the host. A variable is where all its readers
    are: the first line of a print says `cpu` whatever is true.
    """
    stated = [None if op.placement is None else DeviceKind(op.placement.device) if _is_kind(op.placement) else None for op in graph.ops]
    captured = DeviceKind.CUDA if DeviceKind.CUDA in stated else DeviceKind.CPU
    kind = on or captured
    if kind is DeviceKind.CPU:
        return kind, [kind] * len(stated)
    counts_steps = [op.phase is Phase.SYSTEM and op.role is Role.SYSTEM for op in graph.ops]
    if captured is DeviceKind.CPU:
        return kind, [DeviceKind.CPU if hosted else kind for hosted in _on_host(graph, counts_steps)]
    found = [place or (DeviceKind.CPU if counting else kind) for place, counting in zip(stated, counts_steps, strict=True)]
    for at, op in enumerate(graph.ops):
        if op.type == "variable" and op.kind is not VariableKind.OPTIMIZER_STATE and found[at] is DeviceKind.CPU:
            readers = {found[reader] for reader in graph.edges.read_by[at]}
            found[at] = DeviceKind.CUDA if readers == {DeviceKind.CUDA} else DeviceKind.CPU
    return kind, found


def _is_kind(placement: Placement) -> bool:
    return placement.device in {kind.value for kind in DeviceKind}


def _on_host(graph: Graph, counts_steps: Sequence[bool]) -> list[bool]:
    """By operator whether a graph for CUDA would have it on the host: what counts steps, and what is worked out of that alone."""
    hosted = [counting and _is_small(op) for op, counting in zip(graph.ops, counts_steps, strict=True)]
    for at in graph.edges.order:
        fed = graph.edges.fed_by[at]
        hosted[at] |= bool(fed) and all(hosted[maker] for maker in fed) and _is_small(graph.ops[at])
    return hosted


def _is_small(op: Op) -> bool:
    return all(result.type.numel in (None, 1) for result in op.outputs)


@dataclass(slots=True)
class _Added:
    """Operators that are added, each before the first operator that reads what it makes."""

    kinds: dict[str, DeviceKind]
    one_stream: bool
    ops: list[Op] = field(default_factory=list)
    made: dict[tuple[object, ...], Operand] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    moved: int = 0

    def add(self, key: tuple[object, ...], op: Op, kind: DeviceKind, *, keeps: bool) -> Operand:
        """The result of an operator that is added once for all that want the same."""
        self.ops.append(op)
        self.kinds[op.name] = kind
        if keeps:
            self.kept.add(op.name)
        result = self.made[key] = op.outputs[0]
        return result


def share_of(rank: int, layout: Layout, types: Mapping[str, TensorType], kinds: Sequence[DeviceKind], *, one_stream: bool = False) -> Share:
    """What a rank runs, on its device and its host; with `one_stream` collectives are operators like others, whose results are reused."""
    graph, made = layout.graph, makers(layout)
    placed = {op.name: kind for op, kind in zip(graph.ops, kinds, strict=True)}
    added = _Added(dict(placed), one_stream)
    for op, placement in zip(graph.ops, layout.placements, strict=True):
        if rank not in placement.ranks:
            continue
        own = _on_rank(op, placement, rank, types, made)
        inputs = tuple([_brought(operand, own, placement, rank, made, placed, added) for operand in own.inputs])
        added.ops.append(own if inputs == own.inputs else replace(own, inputs=inputs))
    return Share(tuple(added.ops), added.kinds, frozenset(added.kept), added.moved)


def _on_rank(op: Op, placement: Placement, rank: int, types: Mapping[str, TensorType], made: Mapping[str, tuple[Operand, Placement]]) -> Op:
    """An operator with the parts of its tensors that a rank holds."""
    tensors = [operand_type(operand, types) for operand in op.inputs] + [types.get(result.lbn, result.type) for result in op.outputs]
    lies: Sequence[NdSbp | None] = [operand.nd_sbp for operand in op.inputs]
    if len(placement.ranks) > 1:
        lies = [*wanted(op, placement, made), *(result.nd_sbp for result in op.outputs)]
        tensors = list(_held([Laid(type_, nd_sbp) for type_, nd_sbp in zip(tensors, lies, strict=True)], placement, rank))
    inputs = tuple([_laid(operand, type_, nd_sbp) for operand, type_, nd_sbp in zip(op.inputs, tensors, lies, strict=False)])
    outputs = tuple([_laid(result, type_, result.nd_sbp) for result, type_ in zip(op.outputs, tensors[len(op.inputs) :], strict=True)])
    return op if inputs == op.inputs and outputs == op.outputs else replace(op, inputs=inputs, outputs=outputs)


def _laid(operand: Operand, type_: TensorType, nd_sbp: NdSbp | None) -> Operand:
    same = operand.type is type_ and operand.nd_sbp is nd_sbp
    return operand if same else replace(operand, type=type_, nd_sbp=nd_sbp)


def _held(tensors: Sequence[Laid], placement: Placement, rank: int) -> tuple[TensorType, ...]:
    at = _coordinates(placement, rank)
    return next(part.types for part in parts(tensors, placement.hierarchy) if _is_at(at, part.box))


def _coordinates(placement: Placement, rank: int) -> tuple[int, ...]:
    place = placement.ranks.index(rank)
    found = []
    for extent in reversed(placement.hierarchy):
        found.append(place % extent)
        place //= extent
    return tuple(reversed(found))


def _is_at(coordinates: Sequence[int], box: Box) -> bool:
    return all(first <= at < end for at, (first, end) in zip(coordinates, box, strict=True))


def _brought(
    operand: Operand,
    op: Op,
    placement: Placement,
    rank: int,
    made: Mapping[str, tuple[Operand, Placement]],
    placed: Mapping[str, DeviceKind],
    added: _Added,
) -> Operand:
    """An operand as what brings it to where it is read makes it; itself where nothing needs to."""
    maker = made.get(operand.lbn)
    if maker is None:
        return operand
    result, place = maker
    there = placed.get(operand.lbn.partition("/")[0], placed[op.name])
    if there is DeviceKind.CPU and placed[op.name] is DeviceKind.CUDA:
        return _copied(operand, op, placement, added)
    alike = place.ranks == placement.ranks and place.hierarchy == placement.hierarchy
    if alike and (operand.nd_sbp is None or len(place.ranks) == 1 or operand.nd_sbp == result.nd_sbp):
        return operand
    return _boxed(operand, op, result, place, placement, rank, added)


def _copied(operand: Operand, op: Op, placement: Placement, added: _Added) -> Operand:
    """A copy of what the host makes, and behind it the identity that OneFlow adds; a print has that one."""
    phase = Phase.OPTIMIZER if op.phase is Phase.OPTIMIZER else Phase.SYSTEM
    copy = added.made.get((operand.lbn, COPY))
    if copy is None:
        one = _one(f"{operand.lbn} copied", COPY, operand, placement, phase)
        copy = added.add((operand.lbn, COPY), one, DeviceKind.CUDA, keeps=True)
    if op.role is not Role.BOXING:
        key = (operand.lbn, "identity")
        handed = added.made.get(key)
        copy = handed or added.add(
            key,
            _one(f"{operand.lbn} on the device", "identity", replace(operand, lbn=copy.lbn), placement, phase),
            DeviceKind.CUDA,
            keeps=False,
        )
    return replace(operand, lbn=copy.lbn)


def _boxed(operand: Operand, op: Op, result: Operand, place: Placement, placement: Placement, rank: int, added: _Added) -> Operand:
    """What brings a tensor to lie as an operator wants it.

    A collective's result keeps memory of its own. Pieces are another thing: what a rank cuts, and what it puts together, is reused, and
    what comes from others keeps memory of its own.
    """
    key = (operand.lbn, placement, operand.nd_sbp)
    known = added.made.get(key)
    if known is not None:
        return replace(operand, lbn=known.lbn)
    added.moved += 1
    alike = place.ranks == placement.ranks
    name = f"{operand.lbn} as {_words(operand.nd_sbp)}"
    one = _one(name, BOXING, operand, placement, op.phase)
    one = replace(one, inputs=(replace(operand, arg="in", index=0),) if rank in place.ranks else ())
    group = 1 if added.one_stream or not alike else _exchanged(result.nd_sbp, operand.nd_sbp, placement)
    from_pieces = group > 1
    if from_pieces:
        _add_pieces(one, group, added)
    elif not added.one_stream and alike and _is_scattered(result.nd_sbp, operand.nd_sbp):
        _add_packs(one, added)
    is_slice = alike and result.nd_sbp is not None and all(sbp.kind == "B" for sbp in result.nd_sbp)
    reused = is_slice or from_pieces or (added.one_stream and alike)
    return replace(operand, lbn=added.add(key, one, DeviceKind.CUDA, keeps=not reused).lbn)


def _add_pieces(merged: Op, group: int, added: _Added) -> None:
    """The pieces of an exchange: a rank's own, which are cut, and those that come from the others of its group."""
    numel, dtype = merged.outputs[0].type.numel, merged.outputs[0].type.dtype
    if numel is None:
        return
    for what, elements in (("cut", numel), ("received", numel - numel // group)):
        result = replace(merged.outputs[0], lbn=f"{merged.name}, {what}/out", type=TensorType((elements,), dtype))
        piece = replace(merged, name=f"{merged.name}, {what}", outputs=(result,))
        added.add((piece.name,), piece, DeviceKind.CUDA, keeps=what == "received")


def _add_packs(moved: Op, added: _Added) -> None:
    """What a collective works on where parts do not lie one behind the other: its operand packed, and what it gives, which is unpacked."""
    operand, result = moved.inputs[0].type if moved.inputs else None, moved.outputs[0]
    for what, type_ in (("packed", operand), ("to unpack", result.type)):
        if type_ is not None:
            made = replace(result, lbn=f"{moved.name}, {what}/out", type=type_)
            added.add((made.lbn,), replace(moved, name=f"{moved.name}, {what}", outputs=(made,)), DeviceKind.CUDA, keeps=False)


def _is_scattered(made: NdSbp | None, wanted: NdSbp | None) -> bool:
    """Whether a collective gathers or scatters parts along another axis than the first."""
    if made is None or wanted is None or len(made) != len(wanted):
        return False
    pairs = [(one, other) for one, other in zip(made, wanted, strict=True) if one != other]
    return any((one.kind == "S" and bool(one.axis) and other.kind == "B") or (one.kind == "P" and bool(other.axis)) for one, other in pairs)


def _exchanged(made: NdSbp | None, wanted: NdSbp | None, placement: Placement) -> int:
    """How many ranks exchange pieces of a tensor: those along the dimensions that split it by one axis and are to split it by another."""
    if made is None or wanted is None or len(made) != len(wanted):
        return 1
    pairs = zip(made, wanted, placement.hierarchy, strict=False)
    return prod(extent for one, other, extent in pairs if one.kind == other.kind == "S" and one.axis != other.axis)


def _words(nd_sbp: NdSbp | None) -> str:
    return "is wanted" if nd_sbp is None else "x".join(map(str, nd_sbp))


def _one(name: str, op_type: str, operand: Operand, placement: Placement, phase: Phase | None) -> Op:
    """An operator that hands one tensor on."""
    return Op(
        name,
        op_type,
        (replace(operand, arg="in", index=0),),
        (Operand("out", 0, f"{name}/out", operand.type, operand.nd_sbp),),
        placement=placement,
        phase=phase,
        role=Role.BOXING,
    )
