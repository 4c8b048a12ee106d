"""Carries changed shapes through a graph. Where an operator leaves several readings open, each is followed until no tensors fit it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from irflops.errors import IrflopsError, error_at, quoted
from irflops.ir.graph import AttrValue, Graph, Op, Operand, Shape, TensorType
from irflops.ops import BY_TYPE
from irflops.ops.resize import CUTS
from irflops.ops.rule import Changes
from irflops.ops.shapes import broadcast_shapes
from irflops.whatif.alternatives import Alternative, Answer, Operands, alternatives
from irflops.whatif.loops import loop_axes
from irflops.whatif.request import Asked, text

MANY_WORLDS, MOST_WORLDS = 64, 512
"""Readings of the whole graph that are followed side by side: beyond many the likeliest alone, and never more than the most."""
MOST_LISTED = 4
"""Readings of an operator that an error spells out."""

_NO_CHANGES = Changes(frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class Outcome:
    """Shapes that differ from the captured ones, by lbn, and attributes that hold sizes, by operator."""

    shapes: Mapping[str, Shape | None]
    sizes: Mapping[str, Mapping[str, AttrValue]]
    op_types: Mapping[str, str]
    """Types that OneFlow would have taken for the new shapes, by operator."""
    preferred: tuple[str, ...]
    """Operators with several readings that fit, of which the one was taken that keeps tensors of one size together."""


@dataclass(slots=True)
class _World:
    """One reading of the graph so far."""

    shapes: dict[str, Shape | None] = field(default_factory=dict)
    sizes: dict[str, Mapping[str, AttrValue]] = field(default_factory=dict)
    op_types: dict[str, str] = field(default_factory=dict)
    chosen: dict[str, int] = field(default_factory=dict)
    """Which alternative was taken, by the operators that left several."""
    parted: int = 0
    """Axes along which tensors of one size were brought together, and are no longer of one size."""
    strayed: int = 0
    """Tensors that began with the batch, and no longer do."""

    spread: int = 0
    """Extents that changed beside another, of tensors made of nothing that changed: a shape seldom holds the batch twice."""

    @property
    def oddity(self) -> tuple[int, int, int]:
        """What speaks against this reading where others fit as well."""
        return self.parted, self.strayed, self.spread

    def copy(self) -> _World:
        return _World(dict(self.shapes), dict(self.sizes), dict(self.op_types), dict(self.chosen), self.parted, self.strayed, self.spread)


def carried(graph: Graph, types: Mapping[str, TensorType], inputs: Iterable[Asked]) -> Outcome:
    """The shapes of all tensors under other inputs. Errors: IrflopsError at the operator that cannot take them, or cannot be read."""
    return _Carrier(graph, types, tuple(inputs)).run()


class _Carrier:
    """The state of one pass over a graph."""

    def __init__(self, graph: Graph, types: Mapping[str, TensorType], inputs: tuple[Asked, ...]) -> None:
        self.graph = graph
        self.types = types
        self.worlds = [_World({ask.lbn: ask.after for ask in inputs})]
        self.fallen: list[_World] = []
        pairs = {pair for ask in inputs for pair in zip(ask.before, ask.after, strict=True) if pair[0] != pair[1]}
        self.roots = frozenset(pairs)
        self.batches = frozenset((ask.before[0], ask.after[0]) for ask in inputs if ask.before and ask.before[0] != ask.after[0])
        self.root_extents = {old for old, _ in pairs}
        self.seen: set[tuple[int, int]] = set()
        self.known: dict[object, Answer] = {}

    def run(self) -> Outcome:
        order = self._order()
        pieces = _pieces(order)
        loops = {op.name: (group, axes) for group in pieces.values() for axes, op in self._loops(group)}
        for op in order:
            if op.type not in ("input", "variable") and self._concerns(op):
                if op.name in loops:
                    self._end_loops(op, *loops[op.name])
                self._step(op)
                self._check_pieces(op, pieces.get(op.name, ()))
        survivors = self.worlds
        best, *others = self._likeliest(survivors)
        others += [world for world in survivors if world.parted == best.parted and self._holds_several(best, world)]
        if others:
            raise self._ambiguous(best, others)
        preferred = {name for world in self.fallen for name, at in best.chosen.items() if world.chosen.get(name, at) != at}
        return Outcome(best.shapes, best.sizes, best.op_types, tuple(op.name for op in self.graph.ops if op.name in preferred))

    def _order(self) -> list[Op]:
        """Producers before consumers; what does not depend on the inputs as late as it can be, so that its readings are settled soon."""
        ops, producers, order = self.graph.ops, self.graph.edges.fed_by, self.graph.edges.order
        reached: set[int] = set()
        for index in order:
            if ops[index].type == "input" or not reached.isdisjoint(producers[index]):
                reached.add(index)
        late: dict[int, None] = {}
        for index in [*(index for index in order if index in reached), *order]:
            waiting = [index]
            while waiting:
                at = waiting[-1]
                before = [producer for producer in producers[at] if producer not in late]
                if before and at not in late:
                    waiting += reversed(before)
                else:
                    late[waiting.pop()] = None
        return [ops[index] for index in late]

    def _likeliest(self, worlds: list[_World]) -> list[_World]:
        """The readings that nothing speaks against, or the least does; the others are set aside."""
        least = min(world.oddity for world in worlds)
        self.fallen += [world for world in worlds if world.oddity > least]
        return [world for world in worlds if world.oddity == least]

    def _holds_several(self, best: _World, other: _World) -> bool:
        """Whether readings differ by which of several equal extents of a given attribute the batch is: its place is no evidence there."""
        differ = (name for name, at in best.chosen.items() if other.chosen.get(name, at) != at)
        return 1 not in self.root_extents and any(name in best.sizes or name in other.sizes for name in differ)

    def _concerns(self, op: Op) -> bool:
        """Whether an operator may give out something else than it did."""
        if op.elided or any(operand.lbn in world.shapes for operand in op.inputs for world in self.worlds):
            return True
        rule = BY_TYPE.get(op.type or "")
        if rule is None or rule.resized is None:
            return False
        sizes = self.root_extents.union(old for old, _ in self.seen)
        return any(extent in sizes for result in op.outputs for extent in self._captured(result).shape or ())

    def _step(self, op: Op) -> None:
        """Puts the results of an operator into every world; a world in which it cannot take its operands ends."""
        going: list[_World] = []
        ended: list[tuple[_World, Answer]] = []
        for world in self.worlds:
            operands = self._operands(op, world)
            answer = self._answer(op, operands)
            if answer.missing is not None:
                raise self._unreadable(op, operands, answer.missing)
            if not op.outputs and _differ(operands):
                answer = Answer((), misfit=f"{op.type}: its operands were of one shape and are not")
            if not answer.alternatives:
                ended.append((world, answer))
            several = len(answer.alternatives) > 1
            for number, alternative in enumerate(answer.alternatives):
                after = world.copy() if several else world
                self._put(op, operands, alternative, after)
                if several:
                    after.chosen[op.name] = number
                going.append(after)
        if not going:
            world, answer = min(ended, key=lambda end: end[0].oddity)
            raise self._misfit(op, self._operands(op, world), answer.misfit or "", world)
        if len(going) > MANY_WORLDS:
            going = self._likeliest(going)
            if len(going) > MOST_WORLDS:
                raise self._too_many(going[0])
        self.worlds = going

    def _loops(self, group: Sequence[Op]) -> Iterable[tuple[frozenset[int], Op]]:
        """The operators of a group that can be the steps of a loop, each with the axes that these go along."""
        whole = self._captured(group[0].inputs[0]).shape
        parts = [self._captured(op.outputs[0]).shape for op in group]
        return ((axes, op) for axes, op in zip(loop_axes(group, whole, parts), group, strict=True) if axes)

    def _end_loops(self, op: Op, group: Sequence[Op], axes: frozenset[int]) -> None:
        """Ends the worlds in which a tensor that a loop goes over grew: OneFlow would have captured more or fewer steps."""
        whole = op.inputs[0]
        captured = self._captured(whole).shape or ()
        going = []
        for world in self.worlds:
            now = world.shapes.get(whole.lbn, captured)
            if now is None or len(now) != len(captured) or all(now[axis] == captured[axis] for axis in axes):
                going.append(world)
        if not going:
            grown = ", ".join(str(axis) for axis in sorted(axes))
            why = f"{len(group)} operators cut axis {grown} into pieces, an unrolled loop perhaps: at another size there are more or fewer"
            raise self._misfit(op, self._operands(op, self.worlds[0]), why, self.worlds[0])
        self.worlds = going

    def _check_pieces(self, last: Op, pieces: Sequence[Op]) -> None:
        """Ends the worlds in which pieces that made up a whole axis no longer do, such as the steps of an unrolled loop."""
        if len(pieces) < 2:
            return
        whole = last.inputs[0]
        captured = self._captured(whole).shape or ()
        parts = [self._captured(op.outputs[0]).shape or () for op in pieces]
        for axis, extent in enumerate(captured):
            if sum(part[axis] or 0 for part in parts if len(part) == len(captured)) != extent or any(part == captured for part in parts):
                continue
            alike = len(parts) > 2 and len({part[axis] for part in parts}) == 1
            fits = []
            for world in self.worlds:
                now = (world.shapes.get(whole.lbn, captured) or captured)[axis]
                after = [world.shapes.get(op.outputs[0].lbn, part) or part for op, part in zip(pieces, parts, strict=True)]
                if sum(part[axis] or 0 for part in after) == now and not (alike and len({part[axis] for part in after}) > 1):
                    fits.append(world)
            if not fits:
                why = f"{len(pieces)} operators cut axis {axis} into pieces, an unrolled loop perhaps, and no longer use all of it"
                raise self._misfit(last, self._operands(last, self.worlds[0]), why, self.worlds[0])
            self.worlds = fits

    def _captured(self, operand: Operand) -> TensorType:
        stated, made = operand.type, self.types.get(operand.lbn, operand.type)
        return TensorType(made.shape if made.shape is not None else stated.shape, made.dtype or stated.dtype)

    def _operands(self, op: Op, world: _World) -> Operands:
        before = tuple(map(self._captured, op.inputs))
        after = tuple(
            replace(type_, shape=world.shapes[operand.lbn]) if operand.lbn in world.shapes else type_
            for operand, type_ in zip(op.inputs, before, strict=True)
        )
        return Operands(before, after)

    def _answer(self, op: Op, operands: Operands) -> Answer:
        rule = BY_TYPE.get(op.type or "")
        sizes_matter = rule is not None and rule.resized is not None
        changes = Changes(self.roots, frozenset(self.seen)) if sizes_matter else _NO_CHANGES
        results = tuple(map(self._captured, op.outputs))
        slots = tuple((operand.arg, operand.index) for operand in (*op.inputs, *op.outputs))
        key = (op.type or op.type_candidates, op.attrs, op.elided, slots, operands, results, changes)
        answer = self.known.get(key)
        if answer is None:
            answer = self.known[key] = alternatives(op, operands, results, changes)
        return answer

    def _put(self, op: Op, operands: Operands, alternative: Alternative, world: _World) -> None:
        for result, shape in zip(op.outputs, alternative.shapes, strict=True):
            captured = self._captured(result).shape
            if shape == captured:
                continue
            world.shapes[result.lbn] = shape
            if shape is not None and captured is not None and len(shape) == len(captured):
                pairs = zip(captured, shape, strict=True)
                world.strayed += any(captured[:1] == (old,) and shape[:1] != (new,) for old, new in self.batches)
                if operands.before == operands.after:
                    world.spread += sum(a != b for a, b in zip(captured, shape, strict=True)) - 1
                self.seen.update((old, new) for old, new in pairs if old is not None and new is not None and old != new)
        if alternative.sizes:
            world.sizes[op.name] = alternative.sizes
        if alternative.op_type is not None:
            world.op_types[op.name] = alternative.op_type
        if len(op.inputs) > 1 and op.outputs:
            world.parted += _parted(
                [t.shape for t in operands.before], [t.shape for t in operands.after], self._captured(op.outputs[0]).shape
            )

    def _misfit(self, op: Op, operands: Operands, why: str, world: _World) -> IrflopsError:
        each = [
            f"{operand.arg} {_shape(after.shape)} from {self._origin(operand, world)}"
            for operand, after in zip(op.inputs, operands.after, strict=True)
        ]
        message = f"{quoted(op.name)} cannot take the new sizes: {why}"
        if each:
            message += f"; {', '.join(each[:4])}{' and others' if len(each) > 4 else ''}"
        return self._error(op, message, f"the model is bound to its size here; if only the graph is, {_ASKED_SIZE}")

    def _unreadable(self, op: Op, operands: Operands, attr: str) -> IrflopsError:
        changes = ", ".join(
            f"{operand.arg} {_shape(before.shape)} -> {_shape(after.shape)}"
            for operand, before, after in zip(op.inputs, operands.before, operands.after, strict=True)
            if before != after
        )
        what = f"this form does not tell its {attr}, and the shapes leave it open"
        message = f"{quoted(op.name)} ({op.type}) under {changes or 'new sizes'}: {what}"
        return self._error(op, message, OTHER_FORM)

    def _ambiguous(self, one: _World, others: Sequence[_World]) -> IrflopsError:
        """The first operator of which several readings fit to the end."""
        other = others[0]
        name = next((name for name, at in one.chosen.items() if other.chosen.get(name, at) != at), next(iter(one.chosen)))
        op = self.graph.by_name[name]
        lbn = next((r.lbn for r in op.outputs if one.shapes.get(r.lbn) != other.shapes.get(r.lbn)), op.outputs[0].lbn)
        captured = self._captured(next(r for r in op.outputs if r.lbn == lbn)).shape
        readings = list(dict.fromkeys(_shape(world.shapes.get(lbn, captured)) for world in (one, *others)))
        fit = "both fit" if len(readings) == 2 else f"all {len(readings)} fit"
        listed = " or ".join(readings) if len(readings) <= MOST_LISTED else f"{', '.join(readings[:MOST_LISTED])} or others"
        message = f"{quoted(name)} ({op.type}) gave {_shape(captured)} and could now give {listed}: {fit}"
        if self.graph.format == "repr" and not op.attrs:
            return self._error(op, message, OTHER_FORM)
        # No other size tells whether an extent is a constant, or where a cut counts from.
        rule = BY_TYPE.get(op.type or "")
        constant = _shape(captured) in readings or (rule is not None and rule.resized in CUTS)
        return self._error(op, message, _ASKED_SIZE if constant else OTHER_SIZE)

    def _too_many(self, world: _World) -> IrflopsError:
        op = self.graph.by_name[next(iter(world.chosen))]
        message = (
            f"more than {MOST_WORLDS} readings of {len(world.chosen)} operators fit the new sizes, from {quoted(op.name)} ({op.type}) on"
        )
        return self._error(op, message, OTHER_FORM if self.graph.format == "repr" else OTHER_SIZE)

    def _error(self, op: Op, message: str, hint: str) -> IrflopsError:
        if op.span is not None and self.graph.source.text:
            return error_at(IrflopsError, self.graph.source, op.span, message, hint)
        return IrflopsError(message, path=self.graph.source.name, hint=hint)

    def _origin(self, operand: Operand, world: _World) -> str:
        """Who makes an operand, and the variable behind it where only views and copies lie between."""
        producer = self.graph.producers.get(operand.lbn)
        if producer is None:
            return quoted(operand.lbn)
        at, hops = producer, 0
        while at.type not in ("input", "variable") and len(at.inputs) == 1 and hops < len(self.graph.ops):
            before = self.graph.producers.get(at.inputs[0].lbn)
            if before is None or at.inputs[0].lbn in world.shapes:
                break
            at, hops = before, hops + 1
        if at.type in ("input", "variable"):
            source = f"{at.type} {quoted(at.name)}"
            return source if at is producer else f"{quoted(producer.name)}, made of {source}"
        return quoted(producer.name)


OTHER_FORM = "give the job instead of the printed graph, it holds all attributes: write str(graph._full_graph_proto) to a file"
_ASKED_SIZE = "capture the graph at the size that you ask for"
OTHER_SIZE = "capture the graph at a size that no other extent has (a batch of 3, say): then the extents tell"


def _parted(before: Sequence[Shape | None], after: Sequence[Shape | None], result: Shape | None) -> int:
    """Axes on which operands that broadcast to the result were of one extent, and no longer are."""
    known = [shape for shape in before if shape is not None and None not in shape]
    if len(known) < len(before) or before == after:
        return 0
    try:
        if broadcast_shapes(*known) != result:  # type: ignore[arg-type]  # None is excluded above
            return 0
    except ValueError:
        return 0
    parted = 0
    for (was, now), (was_too, now_too) in combinations(zip(before, after, strict=True), 2):
        if was is None or now is None or was_too is None or now_too is None:
            continue
        pairs = zip(reversed(was), reversed(now), reversed(was_too), reversed(now_too), strict=False)
        parted += sum(a == b and c != d for a, c, b, d in pairs)
    return parted


def _pieces(order: Sequence[Op]) -> dict[str, list[Op]]:
    """The operators that cut the same tensor, by the name of the last of them."""
    groups: dict[str, list[Op]] = {}
    for op in order:
        rule = BY_TYPE.get(op.type or "")
        if rule is not None and rule.resized in CUTS and len(op.inputs) == len(op.outputs) == 1:
            groups.setdefault(op.inputs[0].lbn, []).append(op)
    return {group[-1].name: group for group in groups.values()}


def _differ(operands: Operands) -> bool:
    """Whether two operands were of one shape and no longer are; of an update in place, which takes no others."""
    pairs = combinations(zip(operands.before, operands.after, strict=True), 2)
    return any(a.shape == b.shape and len(a.shape or ()) > 0 and now.shape != now_too.shape for (a, now), (b, now_too) in pairs)


def _shape(shape: Shape | None) -> str:
    return "of unknown shape" if shape is None else text(shape)
