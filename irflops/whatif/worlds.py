"""Carries changed shapes through a graph. Where an operator leaves several readings open, each is followed until no tensors fit it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from irflops.errors import IrflopsError
from irflops.ir.graph import AttrValue, Op, Shape, TensorType
from irflops.ops.rule import Changes
from irflops.ops.shapes import broadcast_shapes
from irflops.whatif.alternatives import Alternative, Choice, Operands, alternatives
from irflops.whatif.lookups import overrun
from irflops.whatif.prepared import Loop, Pieces, Prepared
from irflops.whatif.refusals import ambiguous, exhausted, misfit, too_many
from irflops.whatif.request import Asked
from irflops.whatif.world import World

MANY_WORLDS, MOST_WORLDS = 64, 512
"""Readings of the whole graph that are followed side by side: beyond many the likeliest alone, and never more than the most."""

MOST_STEPS, STEPS_PER_TENSOR = 300_000, 6
"""Tensors that are looked at over all readings of the whole graph: so many, and so many more for each operand and result of the graph. One
of many axes counts several times."""
STEPS_PER_TRY = 8
"""As how many of them a set of attributes counts that is tried."""

MOST_COMPARED = 4096
"""Shapes that are compared, over all worlds, to see which worlds differ."""

MOST_REFUSED = 16
"""Operators at which readings ended that are remembered."""

MOST_SEEN = 64
"""Extents that one extent is seen to have become; more of them tell nothing."""

_NO_CHANGES = Changes(frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class Outcome:
    """Shapes that differ from the captured ones, by lbn, and attributes that hold sizes, by operator."""

    shapes: Mapping[str, Shape | None]
    sizes: Mapping[str, Mapping[str, AttrValue]]
    op_types: Mapping[str, str]
    """Types that OneFlow would have taken for the new shapes, by operator."""
    preferred: tuple[str, ...]
    """Operators with several readings that fit, of which the likeliest was taken."""
    untold: Mapping[str, str]
    """Operators whose results nothing tells, with the attribute that they lack."""
    against: Mapping[str, str]
    """By operator what speaks against the sizes that it has now."""
    exhausted_at: str = ""
    """The operator from which on results are unknown, for what a print leaves open was more than is tried."""


UNCHANGED = Outcome({}, {}, {}, (), {}, {})


def carried(prepared: Prepared, inputs: Iterable[Asked]) -> Outcome:
    """The shapes of all tensors under other inputs. Errors: IrflopsError at the operator that cannot take them, or cannot be read."""
    return _Carrier(prepared, tuple(inputs)).run()


class _Carrier:
    """The state of one pass over a graph."""

    def __init__(self, prepared: Prepared, inputs: tuple[Asked, ...]) -> None:
        self.prepared = prepared
        self.worlds = [World()]
        self.worlds[0].shapes.update((ask.lbn, ask.after) for ask in inputs)
        self.varying: set[str] = set()
        """Tensors whose shape the worlds may not agree on."""
        self.fallen: dict[str, set[int]] = {}
        """By operator, what the worlds took that were set aside for a likelier one."""
        pairs = {pair for ask in inputs for pair in zip(ask.before, ask.after, strict=True) if pair[0] != pair[1]}
        self.roots: dict[int, set[int]] = {}
        self.seen: dict[int, set[int]] = {}
        for old, new in pairs:
            self.roots.setdefault(old, set()).add(new)
        self.batches = frozenset((ask.before[0], ask.after[0]) for ask in inputs if ask.before and ask.before[0] != ask.after[0])
        self.guessed: set[str] = set()
        """Operators of which the likeliest of several settings was taken."""
        self.untold: dict[str, str] = {}
        """Operators whose results nothing tells, with the attribute that they lack."""
        self.known: dict[object, Choice] = {}
        self.cut = False
        """Whether readings were set aside because they were too many."""
        self.exhausted_at = ""
        """The operator at which the steps ran out, from which on a print's results are unknown."""
        self.refused: dict[str, None] = {}
        """Operators at which readings ended: a larger table there may be what the graph lacks."""
        tensors = sum(len(op.inputs) + len(op.outputs) for op in prepared.order)
        self.steps_left = MOST_STEPS + STEPS_PER_TENSOR * tensors

    def run(self) -> Outcome:
        for number, op in enumerate(self.prepared.order):
            if op.type not in ("input", "variable") and self._concerns(op):
                if op.name in self.prepared.loops:
                    self._end_loops(op, self.prepared.loops[op.name])
                self._step(op)
                if op.name in self.prepared.pieces:
                    self._check_pieces(op, self.prepared.pieces[op.name])
                if len(self.worlds) > 1:
                    self._merge(number, op)
        best, *others = self._likeliest()
        others += [world for world in self.worlds if world.parted == best.parted and self._holds_several(best, world)]
        if others and self.prepared.holds_attributes:
            raise ambiguous(self.prepared, best, others)
        self._set_aside([world for world in self.worlds if world is not best])
        preferred = {name for name, number in best.chosen.items() if self.fallen.get(name, {number}) != {number}}
        preferred.update(self.guessed, best.doubted)
        in_order = tuple(op.name for op in self.prepared.graph.ops if op.name in preferred)
        return Outcome(best.shapes, best.sizes, best.op_types, in_order, self.untold, best.against, self.exhausted_at)

    def _likeliest(self) -> list[World]:
        """The worlds that nothing speaks against, or the least does."""
        least = min(world.oddity for world in self.worlds)
        return [world for world in self.worlds if world.oddity == least]

    def _set_aside(self, worlds: Sequence[World]) -> None:
        """Ends worlds that others are likelier than, and remembers what they took."""
        for world in worlds:
            for name, number in world.untold():
                self.fallen.setdefault(name, set()).add(number)
        self._end(worlds)

    def _cut(self, worlds: Sequence[World]) -> None:
        """Sets worlds aside because they are too many: one of them may be the right one."""
        if worlds:
            self.cut = True
            self._set_aside(worlds)

    def _merge(self, number: int, op: Op) -> None:
        """Of the worlds that differ in no tensor that is still to be read, keeps the likeliest: they all have the same before them."""
        slots = [slot.lbn for slot in (*op.inputs, *op.outputs)]
        read = [lbn for lbn in slots if lbn in self.varying and self.prepared.last_read.get(lbn, 0) <= number]
        self.varying.difference_update(read)
        if not read or self.prepared.holds_attributes or self.exhausted_at or len(self.varying) * len(self.worlds) > MOST_COMPARED:
            return
        self._spend(op, len(self.worlds) * (1 + len(self.varying)) // 4)
        captured = [(lbn, self.prepared.types[lbn].shape) for lbn in self.varying]
        kept: dict[tuple[Shape | None, ...], World] = {}
        worlds = [(world, tuple(world.shape(lbn, shape) for lbn, shape in captured)) for world in self.worlds]
        for world, shapes in worlds:
            if shapes not in kept or world.oddity < kept[shapes].oddity:
                kept[shapes] = world
        ended = []
        for world, shapes in worlds:
            if kept[shapes] is not world:
                kept[shapes].prevail(world)
                ended.append(world)
        self._end(ended)

    def _end(self, worlds: Iterable[World]) -> None:
        ended = set(worlds)
        for world in ended:
            world.end()
        self.worlds = [world for world in self.worlds if world not in ended]
        if len(self.worlds) == 1:
            self.varying.clear()

    def _holds_several(self, best: World, other: World) -> bool:
        """Whether readings differ by which of several equal extents of a given attribute the batch is: its place is no evidence there."""
        return 1 not in self.roots and any(best.resizes(name) or other.resizes(name) for name in best.differing(other))

    def _concerns(self, op: Op) -> bool:
        """Whether an operator may give out something else than it did."""
        shapes = self.worlds[0].root.shapes
        if op.elided or any(operand.lbn in shapes or operand.lbn in self.varying for operand in op.inputs):
            return True
        rule = self.prepared.book.rule(op.type)
        if rule is None or rule.resized is None:
            return False
        return any(extent in self.roots or extent in self.seen for shape in self.prepared.shapes(op).values() for extent in shape or ())

    def _step(self, op: Op) -> None:
        """Puts the results of an operator into every world; a world in which it cannot take its operands ends."""
        captured = self.prepared.shapes(op)
        if self.exhausted_at and len(self.worlds) > 1:
            self._cut([world for world in self.worlds if world is not min(self.worlds, key=lambda world: world.oddity)])
        if self.varying.isdisjoint(operand.lbn for operand in op.inputs):
            asked = self._ask(op, self.worlds[0])
            if len(asked[1].alternatives) == 1:
                self.worlds[0].root.put(op, asked[1].alternatives[0], captured)
                return
            choices = [(world, *asked) for world in self.worlds]
        else:
            choices = [(world, *self._ask(op, world)) for world in self.worlds]
        ended = [world for world, _, choice in choices if not choice.alternatives]
        if len(ended) == len(choices):
            world, operands, choice = min(choices, key=lambda asked: asked[0].oddity)
            why = choice.misfit or ""
            if self.prepared.holds_attributes or not (self.cut or self.guessed):
                raise self._misfit(op, operands, why, world)
            self._set_aside([other for other in self.worlds if other is not world])
            world.root.put(op, Alternative((None,) * len(op.outputs), {}, against=why), captured)
            return
        if ended and len(self.refused) < MOST_REFUSED:
            self.refused[op.name] = None
        first = choices[0][2].alternatives
        if len(first) == 1 and all(choice.alternatives == first for *_, choice in choices):
            self._agree(op, captured, choices)
            return
        self._end(ended)
        self._spend(op, sum(len(choice.alternatives) for *_, choice in choices))
        self.worlds = [part for world, operands, choice in choices for part in self._parts(op, captured, world, operands, choice)]
        if len(self.worlds) > 1:
            self.varying.update(captured)
        if len(self.worlds) > MANY_WORLDS:
            likeliest = set(self._likeliest())
            self._cut([world for world in self.worlds if world not in likeliest])
        if len(self.worlds) > MOST_WORLDS:
            if self.prepared.holds_attributes:
                raise too_many(self.prepared, self.worlds[0], MOST_WORLDS)
            self._cut(self.worlds[MANY_WORLDS:])

    def _agree(self, op: Op, captured: Mapping[str, Shape | None], choices: Sequence[tuple[World, Operands, Choice]]) -> None:
        """Puts what every world says into what they have in common."""
        for world, operands, choice in choices:
            self._weigh(op, operands, choice.alternatives[0], captured, world)
        choices[0][0].root.put(op, choices[0][2].alternatives[0], captured)

    def _parts(self, op: Op, captured: Mapping[str, Shape | None], world: World, operands: Operands, choice: Choice) -> list[World]:
        """What a world becomes by the results of an operator, a world for each alternative."""
        several = len(choice.alternatives) > 1
        parts = world.part(op, len(choice.alternatives)) if several else [world] * len(choice.alternatives)
        for part, alternative in zip(parts, choice.alternatives, strict=True):
            part.put(op, alternative, captured)
            self._weigh(op, operands, alternative, captured, part)
        return parts

    def _end_loops(self, op: Op, loop: Loop) -> None:
        """Ends the worlds in which a tensor that a loop goes over grew: OneFlow would have captured more or fewer steps."""
        whole = op.inputs[0]
        captured = self.prepared.captured(whole).shape or ()
        ended = []
        for world in self.worlds:
            now = world.shape(whole.lbn, captured)
            if now is not None and len(now) == len(captured) and any(now[axis] != captured[axis] for axis in loop.axes):
                ended.append(world)
        if len(ended) == len(self.worlds):
            grown = ", ".join(str(axis) for axis in sorted(loop.axes))
            why = f"{loop.steps} operators cut axis {grown} into pieces, an unrolled loop perhaps: at another size there are more or fewer"
            raise self._misfit(op, self._operands(op, self.worlds[0]), why, self.worlds[0])
        self._end(ended)

    def _check_pieces(self, last: Op, pieces: Pieces) -> None:
        """Ends the worlds in which pieces that made up a whole axis no longer do, such as the steps of an unrolled loop."""
        whole = last.inputs[0]
        captured = self.prepared.captured(whole).shape or ()
        parts = [(op.outputs[0].lbn, self.prepared.captured(op.outputs[0]).shape or ()) for op in pieces.ops]
        for axis in () if self.exhausted_at else pieces.axes:
            self._spend(last, len(parts) * len(self.worlds))
            alike = len(parts) > 2 and len({part[axis] for _, part in parts if len(part) == len(captured)}) == 1
            ended = []
            for world in self.worlds:
                now = (world.shape(whole.lbn, captured) or captured)[axis]
                after = [(world.shape(lbn, part) or part)[axis] or 0 for lbn, part in parts if len(part) == len(captured)]
                if sum(after) != now or (alike and len(set(after)) > 1):
                    ended.append(world)
            if len(ended) == len(self.worlds):
                why = f"{len(parts)} operators cut axis {axis} into pieces, an unrolled loop perhaps, and no longer use all of it"
                raise self._misfit(last, self._operands(last, self.worlds[0]), why, self.worlds[0])
            self._end(ended)

    def _misfit(self, op: Op, operands: Operands, why: str, world: World) -> IrflopsError:
        refused = [self.prepared.graph.by_name[name] for name in self.refused]
        return misfit(self.prepared, op, operands, why, world, refused, guessed=bool(self.guessed or self.fallen))

    def _operands(self, op: Op, world: World) -> Operands:
        before = tuple(map(self.prepared.captured, op.inputs))
        after = []
        for operand, type_ in zip(op.inputs, before, strict=True):
            shape = world.shape(operand.lbn, type_.shape)
            after.append(type_ if shape is type_.shape else replace(type_, shape=shape))
        return Operands(before, tuple(after))

    def _ask(self, op: Op, world: World) -> tuple[Operands, Choice]:
        """What an operator gives out in a world, with the extents seen to change in it. Errors: IrflopsError where nothing tells."""
        if self.exhausted_at:
            return Operands((), ()), Choice((Alternative((None,) * len(op.outputs), {}),))
        operands = self._operands(op, world)
        results = tuple(map(self.prepared.captured, op.outputs))
        widest = max((len(type_.shape or ()) for type_ in (*operands.before, *results)), default=0)
        self._spend(op, (len(op.inputs) + len(op.outputs)) * (1 + widest // 8))
        rule = self.prepared.book.rule(op.type)
        changes = self._changes(op, (*operands.before, *results)) if rule is not None and rule.resized is not None else _NO_CHANGES
        slots = tuple((operand.arg, operand.index) for operand in (*op.inputs, *op.outputs))
        key = (op.type or op.type_candidates, op.attrs, op.elided, slots, operands, results, changes)
        choice = self.known.get(key)
        if choice is None:
            choice = self.known[key] = alternatives(op, operands, results, changes, self.prepared.book)
            self._spend(op, STEPS_PER_TRY * choice.tried * (1 + widest // 8))
        if choice.missing is not None:
            self.untold[op.name] = choice.missing
        if (not op.outputs or (rule is not None and rule.expands)) and _differ(operands):
            return operands, Choice((), misfit=f"{op.type}: its operands were of one shape and are not")
        if (why := overrun(self.prepared, op, operands, world)) is not None:
            return operands, Choice((), misfit=why)
        if choice.guessed:
            self.guessed.add(op.name)
        for alternative in choice.alternatives:
            self._see(op, alternative)
        return operands, choice

    def _spend(self, op: Op, steps: int) -> None:
        """Counts steps. Where they run out a job is refused; a print, of which something always stays open, is answered with unknowns."""
        self.steps_left -= steps
        if self.steps_left < 0 and not self.exhausted_at:
            if self.prepared.holds_attributes:
                raise exhausted(self.prepared, op)
            self.exhausted_at = op.name

    def _changes(self, op: Op, types: Iterable[TensorType]) -> Changes:
        """What became of the extents that an operator has in its tensors and attributes, and of 1, wherever else they changed."""
        extents = {1}.union(*(type_.shape for type_ in types if type_.shape is not None))
        for value in op.attrs.values():
            extents.update(part for part in (value if isinstance(value, tuple) else (value,)) if isinstance(part, int))
        roots, seen = (
            frozenset((old, new) for old in extents if old is not None for new in pairs.get(old, ())) for pairs in (self.roots, self.seen)
        )
        return Changes(roots, seen)

    def _see(self, op: Op, alternative: Alternative) -> None:
        """Remembers which extents changed, and into what."""
        for result, shape in zip(op.outputs, alternative.shapes, strict=True):
            captured = self.prepared.captured(result).shape
            if shape is None or captured is None or shape == captured or len(shape) != len(captured):
                continue
            for old, new in zip(captured, shape, strict=True):
                if old is not None and new is not None and old != new and len(news := self.seen.setdefault(old, set())) < MOST_SEEN:
                    news.add(new)

    def _weigh(self, op: Op, operands: Operands, alternative: Alternative, captured: Mapping[str, Shape | None], world: World) -> None:
        """Counts what speaks against a world, as far as worlds differ by it."""
        for was, now in zip(captured.values(), alternative.shapes, strict=True):
            if was is None or now is None or now == was or len(now) != len(was):
                continue
            world.strayed += any(was[:1] == (old,) and now[:1] != (new,) for old, new in self.batches)
            if operands.before == operands.after:
                world.spread += sum(a != b for a, b in zip(was, now, strict=True)) - 1
        if len(op.inputs) > 1 and captured:
            world.parted += _parted(
                [type_.shape for type_ in operands.before], [type_.shape for type_ in operands.after], next(iter(captured.values()))
            )


def _parted(before: Sequence[Shape | None], after: Sequence[Shape | None], result: Shape | None) -> int:
    """Pairs of axes on which operands that broadcast to the result were of one extent, and no longer are."""
    known = [shape for shape in before if shape is not None and None not in shape]
    if len(known) < len(before) or before == after:
        return 0
    try:
        if broadcast_shapes(*known) != result:  # type: ignore[arg-type]  # None is excluded above
            return 0
    except ValueError:
        return 0
    became: dict[tuple[int, int | None], Counter[int | None]] = {}
    for was, now in zip(before, after, strict=True):
        if was is not None and now is not None:
            for place, (old, new) in enumerate(zip(reversed(was), reversed(now), strict=False)):
                became.setdefault((place, old), Counter())[new] += 1
    return sum(news.total() ** 2 - sum(count**2 for count in news.values()) for news in became.values()) // 2


def _differ(operands: Operands) -> bool:
    """Whether two operands were of one shape and no longer are; of an update in place, which takes no others."""
    became: dict[Shape, Shape] = {}
    pairs = ((was.shape, now.shape) for was, now in zip(operands.before, operands.after, strict=True))
    return any(was and now is not None and became.setdefault(was, now) != now for was, now in pairs)
