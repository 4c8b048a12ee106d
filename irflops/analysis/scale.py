"""What a graph's totals are as functions of one symbol: its batch, or an extent of its input. Exact: fractions, never floats."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from operator import or_

from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.analysis.rows import Row
from irflops.counting.cost import COST_NAMES
from irflops.counting.infer import infer
from irflops.errors import IrflopsError
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Graph, Note, Shape
from irflops.ops import BOOK
from irflops.ops.book import RuleBook
from irflops.records import dataclass
from irflops.whatif import changed
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
    shapes = {op.name: infer(graph, book).types[op.outputs[0].lbn].shape for op in input_ops(graph)}
    family = _family(graph, shapes, template, book)
    best: Scaling | None = None
    failure: IrflopsError | None = None
    for step in _steps(family):
        samples = tuple(family.captured + k * step for k in range(SAMPLES))
        try:
            members = [family.member(value) for value in samples]
        except IrflopsError as error:
            failure = failure or error
            continue
        analyses = [analyze_graph(member, book) for member in members]
        inputs = {name: _text(shape, family.places.get(name, ()), symbol) for name, shape in shapes.items()}
        found = Scaling(graph, symbol, family.captured, inputs, samples, _totals(samples, analyses), _kept_notes(analyses))
        if best is None or found.fitted > best.fitted:
            best = found
        if found.fitted == len(SCALED):
            break
    if best is None:
        assert failure is not None, "there is a step, and it failed"
        raise failure
    return best


@dataclass(frozen=True, slots=True)
class _Family:
    """A graph with its symbol free."""

    graph: Graph
    captured: int
    template: Mapping[str, Sequence[int | None]] | None
    places: Mapping[str, frozenset[int]]
    """Axes that the symbol takes, by input."""
    book: RuleBook

    def member(self, value: int) -> Graph:
        """The graph at one value of the symbol."""
        if self.template is None:
            return changed(self.graph, batch=value, book=self.book)
        filled: dict[str | None, Sequence[int]] = {
            name: tuple(value if extent is None else extent for extent in shape) for name, shape in self.template.items()
        }
        return changed(self.graph, inputs=filled, book=self.book)


def _family(graph: Graph, shapes: Mapping[str, Shape | None], template: Template | None, book: RuleBook) -> _Family:
    known = {name: shape or () for name, shape in shapes.items()}
    if template is None:
        first = known[input_ops(graph)[0].name]
        places = {name: frozenset({0}) for name, shape in known.items() if shape[:1] == first[:1]}
        return _Family(graph, _extent(graph, first[:1]), None, places if first else {}, book)
    by_name: Mapping[str | None, Sequence[int | None]] = template if isinstance(template, Mapping) else {None: template}
    named = {input_op(graph, name, known).name: tuple(shape) for name, shape in by_name.items()}
    places = {name: frozenset(axis for axis, extent in enumerate(shape) if extent is None) for name, shape in named.items()}
    taken = [known[name][axis] for name, axes in places.items() for axis in sorted(axes) if axis < len(known[name])]
    if not any(places.values()):
        raise IrflopsError("no extent is left open", hint="write a letter for it: --input 1x3xNxN")
    return _Family(graph, _extent(graph, taken[:1]), named, places, book)


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
        yield from dict.fromkeys((captured,) if any(op.runs > 1 for op in family.graph.ops) else (1, captured))
        return
    before, after = (infer(graph, family.book).types for graph in (family.graph, family.member(2 * captured)))
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


def _kept_notes(analyses: Sequence[Analysis]) -> tuple[Note, ...]:
    """The notes of all samples, those on other inputs once each: which these are is what `inputs` tells."""
    found = (note for analysis in analyses for note in analysis.notes if note.code != "what-if")
    return tuple({note.code if note.code.startswith("what-if") else note.text: note for note in found}.values())


def _totals(samples: Sequence[int], analyses: Sequence[Analysis]) -> tuple[Total, ...]:
    totals = []
    for name in SCALED:
        values = tuple(analysis.total.get(name) for analysis in analyses)
        certainty = reduce(or_, (analysis.total.certainty(name) for analysis in analyses))
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
