"""One reading of a graph so far, and what speaks against it. Readings that part share what they had until then."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from irflops.ir.graph import AttrValue, Op, Shape
from irflops.whatif.alternatives import Alternative


class World:
    """What one reading says, in what it adds to its parent: the shapes that differ from the captured ones, and how they came about.

    A reading that parts into several hands on what it knows by reference. One whose siblings have all ended takes the place of its parent,
    so that no chain grows longer than the readings that are followed side by side.
    """

    __slots__ = ("against", "children", "chosen", "doubted", "op_types", "parent", "parted", "shapes", "sizes", "spread", "strayed", "told")

    def __init__(self, parent: World | None = None) -> None:
        self.parent = parent
        self.children: list[World] = []
        self.told = 0
        self.shapes: dict[str, Shape | None] = {}
        """Shapes that differ from the captured ones, by lbn."""
        self.sizes: dict[str, Mapping[str, AttrValue]] = {}
        """Attributes that hold sizes, by operator."""
        self.op_types: dict[str, str] = {}
        """Types that OneFlow would have taken for the new shapes, by operator."""
        self.chosen: dict[str, int] = {}
        """Which alternative was taken, by the operators that left several."""
        self.doubted: dict[str, None] = {}
        """The operators that another reading, which gave way to this one, takes in another way."""
        self.against: dict[str, str] = {}
        """What speaks against the only sizes that an operator can have, by operator."""
        self.parted: int = parent.parted if parent is not None else 0
        """Axes along which tensors of one size were brought together, and are no longer of one size."""
        self.strayed: int = parent.strayed if parent is not None else 0
        """Tensors that began with the batch, and no longer do."""
        self.spread: int = parent.spread if parent is not None else 0
        """Extents that changed beside another, of tensors made of nothing that changed: a shape seldom holds the batch twice."""

    @property
    def oddity(self) -> tuple[int, int, int]:
        """What speaks against this reading where others fit as well."""
        return self.parted, self.strayed, self.spread

    def shape(self, lbn: str, captured: Shape | None) -> Shape | None:
        """The shape of a tensor, the captured one where it did not change."""
        world: World | None = self
        while world is not None:
            if lbn in world.shapes:
                return world.shapes[lbn]
            world = world.parent
        return captured

    def put(self, op: Op, alternative: Alternative, captured: Mapping[str, Shape | None]) -> None:
        """Adds what an operator gives out."""
        for lbn, shape in zip(captured, alternative.shapes, strict=True):
            if shape != captured[lbn]:
                self.shapes[lbn] = shape
        if alternative.sizes:
            self.sizes[op.name] = alternative.sizes
        if alternative.against:
            self.against[op.name] = alternative.against
        if alternative.op_type is not None:
            self.op_types[op.name] = alternative.op_type

    def part(self, op: Op, count: int) -> list[World]:
        """The readings that this one becomes, one for each of so many alternatives of an operator."""
        self.children = [World(self) for _ in range(count)]
        for number, child in enumerate(self.children):
            child.chosen[op.name] = number
        return list(self.children)

    def end(self) -> None:
        """Takes the reading back."""
        ended, parent = self, self.parent
        while parent is not None:
            parent.children.remove(ended)
            if len(parent.children) == 1:
                parent.children[0].replace_parent()
            if parent.children:
                return
            ended, parent = parent, parent.parent

    def replace_parent(self) -> None:
        """Takes over what the parent holds, whose only child this is."""
        parent = self.parent
        assert parent is not None, "only a child is called"
        self.told = parent.told
        for name in ("shapes", "sizes", "op_types", "chosen", "doubted", "against"):
            held = getattr(parent, name)
            held.update(getattr(self, name))
            setattr(self, name, held)
        self.parent = parent.parent
        if self.parent is not None:
            siblings = self.parent.children
            siblings[siblings.index(parent)] = self

    def prevail(self, other: World) -> None:
        """Notes what another reading says, which has the same before it and is not followed any more."""
        self.doubted.update(dict.fromkeys(self.differing(other)))
        common = set(self.line())
        for world in itertools.takewhile(lambda world: world not in common, other.line()):
            self.doubted.update(world.doubted)

    def line(self) -> Iterator[World]:
        """The reading and those that it came from, the last first."""
        world: World | None = self
        while world is not None:
            yield world
            world = world.parent

    @property
    def root(self) -> World:
        """What all readings have in common."""
        world = self
        while world.parent is not None:
            world = world.parent
        return world

    def untold(self) -> Iterator[tuple[str, int]]:
        """Which alternative was taken, by operator, of the whole line but for what was told before, of this reading or another."""
        for world in self.line():
            yield from itertools.islice(world.chosen.items(), world.told, None)
            world.told = len(world.chosen)

    def changes(self, lbn: str) -> bool:
        """Whether a tensor has another shape than captured."""
        return any(lbn in world.shapes for world in self.line())

    def resizes(self, name: str) -> bool:
        """Whether an operator has other sizes in its attributes than captured."""
        return any(name in world.sizes for world in self.line())

    def differing(self, other: World) -> list[str]:
        """The operators that both readings met and take in different ways, in the order in which they were met."""
        common = set(self.line()).intersection(other.line())
        own, others = (
            {name: number for part in reversed(list(world.line())) if part not in common for name, number in part.chosen.items()}
            for world in (self, other)
        )
        return [name for name, number in own.items() if others.get(name, number) != number]
