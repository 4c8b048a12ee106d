"""What a graph's totals are as functions of one symbol: its batch, or an extent of its input. Exact: fractions, never floats."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from operator import or_

from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.analysis.rows import Row
from irflops.counting.cost import COST_NAMES
from irflops.errors import IrflopsError
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Graph, Note, Shape
from irflops.ops import BOOK
from irflops.ops.book import RuleBook
from irflops.whatif import WhatIf
from irflops.whatif.request import input_op, input_ops, text

MOST_DEGREES = 4
SAMPLES = MOST_DEGREES + 3
"""A polynomial of degree 4 takes five points; two more verify it."""

SCHEMA = "irflops.scale/1"
"""Name and version of the JSON form."""

SCALED = COST_NAMES
"""The totals that are told; params are those of the model, trainable and frozen."""


@dataclass(frozen=True, slots=True)
class Polynomial:
    """A polynomial in one symbol; coefficients from the lowest power up, the last one not 0."""

    coefficients: tuple[Fraction, ...]

    @property
    def degree(self) -> int:
        """The highest power, 0 for a constant."""
        return max(0, len(self.coefficients) - 1)

    def __call__(self, at: int) -> Fraction:
        value = Fraction(0)
        for coefficient in reversed(self.coefficients):
            value = value * at + coefficient
        return value

    def spelled(self, symbol: str, *, group: str = ",") -> str:
        """The polynomial as text, the highest power first.

        >>> Polynomial((Fraction(5), Fraction(0), Fraction(-3, 2))).spelled("N")
        '-3/2 N^2 + 5'
        """
        text = ""
        for power, coefficient in [(power, c) for power, c in enumerate(self.coefficients) if c][::-1]:
            sign = "-" if coefficient < 0 else "+"
            text += f" {sign} " if text else "-" if coefficient < 0 else ""
            factor = "" if power == 0 else symbol if power == 1 else f"{symbol}^{power}"
            size = abs(coefficient)
            number = f"{size.numerator:{group}}" + (f"/{size.denominator:{group}}" if size.denominator != 1 else "")
            text += factor if factor and size == 1 else f"{number} {factor}".rstrip()
        return text or "0"


@dataclass(frozen=True, slots=True)
class Total:
    """One total: its values at the samples, and the polynomial through them if there is one."""

    name: str
    values: tuple[int, ...]
    polynomial: Polynomial | None
    certainty: Certainty

    def to_dict(self, symbol: str) -> Row:
        """The total as plain data."""
        polynomial = self.polynomial
        coefficients = None if polynomial is None else [[c.numerator, c.denominator] for c in polynomial.coefficients or (Fraction(0),)]
        return {
            "formula": None if polynomial is None else polynomial.spelled(symbol, group=""),
            "degree": None if polynomial is None else polynomial.degree,
            "coefficients": coefficients,
            "values": list(self.values),
            "certainty": self.certainty.value,
        }


@dataclass(frozen=True, slots=True)
class Scaling:
    """How the totals of a graph grow."""

    graph: Graph
    symbol: str
    captured: int
    """The symbol's value in the graph as captured."""
    inputs: Mapping[str, str]
    """Shapes by input, with the symbol in them; of inputs that do not change, as captured."""
    samples: tuple[int, ...]
    """Where the totals were worked out: every polynomial fits all of them."""
    totals: tuple[Total, ...]
    notes: tuple[Note, ...] = ()
    """What a reader of the totals should know, beyond the inputs that vary."""

    def __repr__(self) -> str:
        return f"<Scaling of {self.graph.name} by {self.symbol}, captured at {self.captured}: {self.fitted} polynomials>"

    @property
    def step(self) -> int:
        """How far the samples lie apart: between them sizes may round, and the polynomials are not verified there."""
        return self.samples[1] - self.samples[0]

    @property
    def fitted(self) -> int:
        """How many of the totals are polynomials."""
        return sum(total.polynomial is not None for total in self.totals)

    def to_dict(self) -> Row:
        """All of it as plain data, the JSON of `irflops scale --format json`."""
        graph = self.graph
        return {
            "schema": SCHEMA,
            "source": {"path": graph.source.name, "format": graph.format},
            "graph": {"name": graph.name, "class": graph.class_name, "training": graph.training},
            "symbol": self.symbol,
            "captured": self.captured,
            "inputs": dict(self.inputs),
            "samples": list(self.samples),
            "valid_for": {"start": self.captured, "step": self.step},
            "notes": [{"code": note.code, "text": note.text} for note in self.notes],
            "totals": {total.name: total.to_dict(self.symbol) for total in self.totals},
        }


Template = Mapping[str | None, Sequence[int | None]] | Sequence[int | None]
"""Shapes by the name of an input, None in a shape for the symbol; a shape alone is that of the one input there is."""


def scaling(graph: Graph, template: Template | None = None, symbol: str = "N", book: RuleBook = BOOK) -> Scaling:
    """The totals as functions of the batch, or of the symbol in a template.

    Errors: IrflopsError where the graph cannot take other sizes.
    """
    what_if = WhatIf(graph, book)
    shapes = {op.name: what_if.types[op.outputs[0].lbn].shape for op in input_ops(graph)}
    family = _family(what_if, shapes, template)
    best: Scaling | None = None
    failure: IrflopsError | None = None
    for step in _steps(family):
        samples = tuple(family.captured + k * step for k in range(SAMPLES))
        try:
            points = [family.point(value) for value in samples]
        except IrflopsError as error:
            failure = failure or error
            continue
        inputs = {name: _text(shape, family.places.get(name, ()), symbol) for name, shape in shapes.items()}
        found = Scaling(graph, symbol, family.captured, inputs, samples, _totals(samples, points), _kept_notes(points))
        if best is None or found.fitted > best.fitted:
            best = found
        if found.fitted == len(SCALED):
            break
    if best is None:
        assert failure is not None, "there is a step, and it failed"
        raise failure
    return best


@dataclass(frozen=True, slots=True)
class _Point:
    """The graph at one value of its symbol: totals and how sure they are, by name, and notes."""

    values: Mapping[str, int]
    certainty: Mapping[str, Certainty]
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class _Family:
    """A graph with its symbol free."""

    what_if: WhatIf
    captured: int
    template: Mapping[str, Sequence[int | None]] | None
    places: Mapping[str, frozenset[int]]
    """Axes that the symbol takes, by input."""
    points: dict[int, _Point] = field(default_factory=dict)
    """What is known so far: steps share values."""

    def point(self, value: int) -> _Point:
        """The totals at one value of the symbol."""
        if value not in self.points:
            self.analysis(value)
        return self.points[value]

    def analysis(self, value: int) -> Analysis:
        """The analysis at one value of the symbol, whose totals are kept."""
        analysis = analyze_graph(self._member(value), self.what_if.book)
        total, certainty = analysis.total, {name: analysis.total.certainty(name) for name in SCALED}
        self.points[value] = _Point({name: total.get(name) for name in SCALED}, certainty, analysis.notes)
        return analysis

    def _member(self, value: int) -> Graph:
        if self.template is None:
            return self.what_if.changed(batch=value)
        filled: dict[str | None, Sequence[int]] = {
            name: tuple(value if extent is None else extent for extent in shape) for name, shape in self.template.items()
        }
        return self.what_if.changed(inputs=filled)


def _family(what_if: WhatIf, shapes: Mapping[str, Shape | None], template: Template | None) -> _Family:
    graph = what_if.graph
    known = {name: shape or () for name, shape in shapes.items()}
    if template is None:
        first = known[input_ops(graph)[0].name]
        places = {name: frozenset({0}) for name, shape in known.items() if shape[:1] == first[:1]}
        return _Family(what_if, _extent(graph, first[:1]), None, places if first else {})
    by_name: Mapping[str | None, Sequence[int | None]] = template if isinstance(template, Mapping) else {None: template}
    named = {input_op(graph, name, known).name: tuple(shape) for name, shape in by_name.items()}
    places = {name: frozenset(axis for axis, extent in enumerate(shape) if extent is None) for name, shape in named.items()}
    taken = [known[name][axis] for name, axes in places.items() for axis in sorted(axes) if axis < len(known[name])]
    if not any(places.values()):
        raise IrflopsError("no extent is left open", hint="write a letter for it: --input 1x3xNxN")
    return _Family(what_if, _extent(graph, taken[:1]), named, places)


def _extent(graph: Graph, extents: Sequence[int | None]) -> int:
    if not extents or extents[0] is None:
        raise IrflopsError("the input has no such axis, or one of unknown extent", path=graph.source.name)
    return extents[0]


def _text(shape: Shape | None, places: frozenset[int] | tuple[int, ...], symbol: str) -> str:
    return "x".join(symbol if axis in places else text((extent,)) for axis, extent in enumerate(shape or ())) or "scalar"


def _steps(family: _Family) -> Iterator[int]:
    """How far the samples can lie apart, the likeliest first.

    A batch goes by 1; where a step runs operators several times, by its captured size, which accumulated gradients divide. An image goes by
    the strides of the whole graph: then no pooling rounds. Where that is not enough, since pooling to a given size divides by its windows,
    by multiples of the smallest map too.
    """
    captured = family.captured
    if family.template is None:
        yield from dict.fromkeys((captured,) if any(op.runs > 1 for op in family.what_if.graph.ops) else (1, captured))
        return
    before, after = family.what_if.types, family.analysis(2 * captured).inference.types
    grown = {
        (old, new)
        for lbn, type_ in before.items()
        for old, new in zip(type_.shape or (), after[lbn].shape or (), strict=False)
        if old is not None and new is not None and new > old
    }
    stride = 1
    for old, new in grown:
        if captured % (new - old) == 0 and math.lcm(stride, captured // (new - old)) <= captured:
            stride = math.lcm(stride, captured // (new - old))
    smallest = min((old for old, _ in grown), default=1)
    yield from dict.fromkeys((stride, stride * smallest, captured))


def _kept_notes(points: Sequence[_Point]) -> tuple[Note, ...]:
    """The notes of all samples, those on other inputs once each: which these are is what `inputs` tells."""
    found = (note for point in points for note in point.notes if note.code != "what-if")
    return tuple({note.code if note.code.startswith("what-if") else note.text: note for note in found}.values())


def _totals(samples: Sequence[int], points: Sequence[_Point]) -> tuple[Total, ...]:
    totals = []
    for name in SCALED:
        values = tuple(point.values[name] for point in points)
        certainty = reduce(or_, (point.certainty[name] for point in points))
        totals.append(Total(name, values, fitted(samples, values), certainty))
    return tuple(totals)


def fitted(points: Sequence[int], values: Sequence[int]) -> Polynomial | None:
    """The polynomial of the least degree, 4 at the most, through all points; None unless two points more than it takes lie on it."""
    for degree in range(min(MOST_DEGREES, len(points) - 3) + 1):
        polynomial = _through(points[: degree + 1], values[: degree + 1])
        if all(polynomial(at) == value for at, value in zip(points, values, strict=True)):
            return polynomial
    return None


def _through(points: Sequence[int], values: Sequence[int]) -> Polynomial:
    """Newton's interpolation."""
    differences = [Fraction(value) for value in values]
    for order in range(1, len(points)):
        for i in range(len(points) - 1, order - 1, -1):
            differences[i] = (differences[i] - differences[i - 1]) / (points[i] - points[i - order])
    coefficients: list[Fraction] = []
    for difference, at in zip(reversed(differences), reversed(points), strict=True):
        shifted = [Fraction(0), *coefficients]
        for power, coefficient in enumerate(coefficients):
            shifted[power] -= at * coefficient
        shifted[0] += difference
        coefficients = shifted
    while coefficients and not coefficients[-1]:
        coefficients.pop()
    return Polynomial(tuple(coefficients))
