"""A graph with extents left open: what stands for them, the graph at each of their values, and for which values that may be asked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import index

from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.counting.cost import COST_NAMES
from irflops.errors import IrflopsError, listed
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Graph, Note, Shape
from irflops.whatif import Misfit, WhatIf
from irflops.whatif.request import input_op, input_ops, text
from irflops.whatif.variables import variables_called

SCALED = COST_NAMES
"""The totals that are told; params are those of the model, trainable and frozen."""

MOST_SYMBOLS = 2

FAR = 4096
"""How many times a symbol's captured value is asked for to see whether something bounds it."""

Extents = tuple[int | str, ...]
"""A shape with symbols in it, and products of them: `N`, `N*T`."""

Template = Mapping[str | None, Sequence[int | str | None]] | Sequence[int | str | None]
"""Shapes by the name of an input, letters in them for what varies, None for the one symbol; a shape alone is that of the one input."""


@dataclass(frozen=True, slots=True)
class Open:
    """What is asked for: extents, some of which are symbols."""

    batch: int | str | None = None
    inputs: Mapping[str, Extents] = field(default_factory=dict)
    variables: Mapping[str, Extents] = field(default_factory=dict)
    dtype: str | None = None
    weights: str | None = None
    activations: str | None = None

    @property
    def symbols(self) -> tuple[str, ...]:
        """What varies, in the order in which it is written."""
        shapes = [*self.inputs.values(), (self.batch,), *self.variables.values()]
        words = (extent for shape in shapes for extent in shape if isinstance(extent, str))
        return tuple(dict.fromkeys(factor for word in words for factor in word.split("*") if not factor.isdigit()))


@dataclass(frozen=True, slots=True)
class Point:
    """The graph at one value of each symbol: totals and how sure they are, by name, and notes."""

    values: Mapping[str, int]
    certainty: Mapping[str, Certainty]
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """A graph with its symbols free."""

    what_if: WhatIf
    open: Open
    symbols: tuple[str, ...]
    captured: tuple[int, ...]
    """The values of the symbols in the graph as captured."""
    shapes: Mapping[str, Shape | None]
    """Of the inputs, as captured."""
    points: dict[tuple[int, ...], Point] = field(default_factory=dict)
    """What is known so far: steps share values."""

    def point(self, *values: int) -> Point:
        """The totals at one value of each symbol."""
        if values not in self.points:
            self.analysis(*values)
        return self.points[values]

    def analysis(self, *values: int) -> Analysis:
        """The analysis at one value of each symbol, whose totals are kept."""
        analysis = analyze_graph(self.member(*values), self.what_if.book)
        total, certainty = analysis.total, {name: analysis.total.certainty(name) for name in SCALED}
        self.points[values] = Point({name: total.get(name) for name in SCALED}, certainty, analysis.notes)
        return analysis

    def member(self, *values: int) -> Graph:
        """The graph at one value of each symbol."""
        filled = dict(zip(self.symbols, values, strict=True))

        def shape(extents: Extents) -> tuple[int, ...]:
            return tuple(_value(extent, filled) for extent in extents)

        asked = self.open
        return self.what_if.changed(
            batch=None if asked.batch is None else _value(asked.batch, filled),
            inputs={name: shape(extents) for name, extents in asked.inputs.items()} or None,
            variables={name: shape(extents) for name, extents in asked.variables.items()} or None,
            dtype=asked.dtype,
            weights=asked.weights,
            activations=asked.activations,
        )

    def letters(self, error: Misfit) -> dict[int, str]:
        """The symbols by the values that they had where an error came of it, as far as an input has them by themselves."""
        found: dict[int, str] = {}
        for ask in error.wanted:
            extents = zip(self.open.inputs.get(ask.op.name, ()), ask.after, strict=False)
            found |= {after: extent for extent, after in extents if isinstance(extent, str) and extent in self.symbols}
        return found

    def alone(self, place: int) -> Family:
        """The same graph with one of the symbols free, the others as captured."""
        filled = {symbol: str(value) for at, (symbol, value) in enumerate(zip(self.symbols, self.captured, strict=True)) if at != place}

        def extent(one: int | str) -> int | str:
            return "*".join(filled.get(factor, factor) for factor in one.split("*")) if isinstance(one, str) else one

        def shape(extents: Extents) -> Extents:
            return tuple(map(extent, extents))

        asked = self.open
        batch = None if asked.batch is None else extent(asked.batch)
        inputs, variables = ({name: shape(one) for name, one in each.items()} for each in (asked.inputs, asked.variables))
        fixed = replace(asked, batch=batch, inputs=inputs, variables=variables)
        return Family(self.what_if, fixed, (self.symbols[place],), (self.captured[place],), self.shapes)

    def texts(self) -> dict[str, str]:
        """Shapes by input and by variable that is asked for, the symbols in them."""
        first = next(iter(self.shapes.values()), None) or ()
        found: dict[str, tuple[int | str | None, ...]] = {
            name: self.open.inputs.get(name) or shape or () for name, shape in self.shapes.items()
        }
        if self.open.batch is not None:
            batched = [name for name, shape in self.shapes.items() if shape and shape[:1] == first[:1]]
            found |= {name: (self.open.batch, *found[name][1:]) for name in batched}
        return {name: _text(shape) for name, shape in (found | dict(self.open.variables)).items()}


def family_of(what_if: WhatIf, asked: Open, template: Template | None, symbol: str) -> Family:
    """The family that is asked for; the batch varies where nothing else does.

    Errors: IrflopsError where no extent is open, or the symbols are too many, or stand for nothing.
    """
    graph = what_if.graph
    shapes = {op.name: what_if.types[op.outputs[0].lbn].shape for op in input_ops(graph)}
    known = {name: shape or () for name, shape in shapes.items()}
    by_name = {} if template is None else template if isinstance(template, Mapping) else {None: template}
    inputs = {input_op(graph, name, known).name: _named(shape, symbol) for name, shape in by_name.items()}
    asked = replace(asked, inputs=inputs, variables={name: _named(shape, symbol) for name, shape in asked.variables.items()})
    if template is None and asked.batch is None and not asked.symbols:
        asked = replace(asked, batch=symbol)
    symbols = asked.symbols
    if not symbols:
        raise IrflopsError("no extent is left open", hint="write a letter for it: --input 1x3xNxN")
    if len(symbols) > MOST_SYMBOLS:
        raise IrflopsError(f"{listed(list(symbols))} are {len(symbols)} letters: totals are told in one or in two")
    return Family(what_if, asked, symbols, tuple(_captured(what_if, asked, one, known) for one in symbols), shapes)


def steps_of(family: Family, place: int) -> Iterator[int]:
    """How far values of a symbol can lie apart, the likeliest first.

    A batch goes by 1; where a step runs operators several times, by its captured size, which accumulated gradients divide. An image goes by
    the strides of the whole graph: then no pooling rounds. Where that is not enough, since pooling to a given size divides by its windows,
    by multiples of the smallest map too.
    """
    captured = family.captured[place]
    if family.open.batch == family.symbols[place]:
        yield from dict.fromkeys((captured,) if any(op.runs > 1 for op in family.what_if.graph.ops) else (1, captured))
        return
    doubled = tuple(value * 2 if at == place else value for at, value in enumerate(family.captured))
    before, after = family.what_if.types, family.analysis(*doubled).inference.types
    grown = {
        (old, new)
        for lbn, type_ in before.items()
        if lbn in after
        for old, new in zip(type_.shape or (), after[lbn].shape or (), strict=False)
        if old is not None and new is not None and new > old
    }
    stride = 1
    for old, new in grown:
        if captured % (new - old) == 0 and math.lcm(stride, captured // (new - old)) <= captured:
            stride = math.lcm(stride, captured // (new - old))
    smallest = min((old for old, _ in grown), default=1)
    yield from dict.fromkeys((stride, stride * smallest, captured))


def bound_of(family: Family, place: int) -> int | None:
    """The greatest value of a symbol that the graph takes, where a table ends there; None where nothing is known to bound it."""

    def refusal(value: int) -> Misfit | None:
        try:
            family.member(*(value if at == place else captured for at, captured in enumerate(family.captured)))
        except Misfit as error:
            return error
        except IrflopsError:
            return None
        return None

    captured = family.captured[place]
    far = refusal(FAR * captured)
    ends = {extent for op in far.variables for extent in family.what_if.types[op.outputs[0].lbn].shape or ()} if far is not None else set()
    for end in sorted(end for end in ends if end is not None and captured <= end < FAR * captured):
        if refusal(end) is None and refusal(end + 1) is not None:
            return end
    return None


def kept_notes(points: Iterable[Point]) -> tuple[Note, ...]:
    """The notes of all samples, those on other inputs once each: which these are is what `inputs` tells."""
    found = (note for point in points for note in point.notes if note.code != "what-if")
    return tuple({note.code if note.code.startswith("what-if") else note.text: note for note in found}.values())


def _value(extent: int | str, filled: Mapping[str, int]) -> int:
    factors = extent.split("*") if isinstance(extent, str) else (str(extent),)
    return math.prod(filled[factor] if factor in filled else int(factor) for factor in factors)


def _named(shape: Sequence[int | str | None], symbol: str) -> Extents:
    try:
        return tuple(symbol if extent is None else extent if isinstance(extent, str) else index(extent) for extent in shape)
    except TypeError:
        raise IrflopsError(f"{shape!r} is no shape: its extents are integers, and names for what varies") from None


def _captured(what_if: WhatIf, asked: Open, symbol: str, known: Mapping[str, Shape]) -> int:
    """The value that a symbol has in the captured graph, where it first stands."""
    places = [known[name][axis : axis + 1] for name, shape in asked.inputs.items() for axis, extent in enumerate(shape) if extent == symbol]
    if asked.batch == symbol:
        places.append(known[input_ops(what_if.graph)[0].name][:1])
    for name, extents in asked.variables.items():
        for op in variables_called(what_if.graph, name):
            shape = what_if.types[op.outputs[0].lbn].shape or ()
            places += [shape[axis : axis + 1] for axis, extent in enumerate(extents) if extent == symbol]
    found = [extent for place in places for extent in place if extent is not None]
    if not found:
        raise IrflopsError("the input has no such axis, or one of unknown extent", path=what_if.graph.source.name)
    return found[0]


def _text(extents: Sequence[int | str | None]) -> str:
    return "x".join(extent if isinstance(extent, str) else text((extent,)) for extent in extents) or "scalar"
