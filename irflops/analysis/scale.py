"""What a graph's totals are as functions of one symbol or two: its batch, or extents of its inputs. Exact: fractions, never floats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from operator import or_

from irflops.analysis.family import SCALED, Family, Open, Point, Template, bound_of, family_of, kept_notes, steps_of
from irflops.analysis.polynomial import (
    MOST_DEGREES,
    MOST_DEGREES_IN_TWO,
    VERIFYING,
    Polynomial,
    PolynomialInTwo,
    fitted,
    fitted_in_two,
    triangle,
)
from irflops.analysis.rows import Row
from irflops.errors import IrflopsError
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Graph, Note
from irflops.ops import BOOK
from irflops.ops.book import RuleBook
from irflops.whatif import Misfit, WhatIf

SAMPLES = MOST_DEGREES + 1 + VERIFYING
"""A polynomial of degree 4 takes five points; two more verify it."""

FEWEST_DIAGONALS = 6
"""Diagonals of points that are worked out in two symbols: of those of degree 3, as attention over a batch is, and two to verify it."""

SCHEMA = "irflops.scale/1"
"""Name and version of the JSON form."""


@dataclass(frozen=True, slots=True)
class Total:
    """One total: its values at the samples, and the polynomial through them if there is one."""

    name: str
    values: tuple[int, ...]
    polynomial: Polynomial | None
    """In one symbol."""
    certainty: Certainty
    in_two: PolynomialInTwo | None = None
    """In two symbols."""

    @property
    def is_fitted(self) -> bool:
        """Whether there is a polynomial."""
        return self.polynomial is not None or self.in_two is not None

    def at(self, *values: int) -> Fraction | None:
        """The polynomial's value for these of the symbols, None where there is none."""
        if self.in_two is not None:
            return self.in_two(*values)
        return None if self.polynomial is None else self.polynomial(*values)

    def formula(self, symbols: Sequence[str], *, group: str = ",") -> str | None:
        """The polynomial as text, None where there is none."""
        if self.in_two is not None:
            return self.in_two.spelled(symbols[0], symbols[1], group=group)
        return None if self.polynomial is None else self.polynomial.spelled(symbols[0], group=group)

    def to_dict(self, symbols: Sequence[str]) -> Row:
        """The total as plain data."""
        one, two = self.polynomial, self.in_two
        coefficients = None if one is None else [[c.numerator, c.denominator] for c in one.coefficients or (Fraction(0),)]
        found: Row = {
            "formula": self.formula(symbols, group=""),
            "degree": one.degree if one is not None else two.degree if two is not None else None,
            "coefficients": coefficients,
            "values": list(self.values),
            "certainty": self.certainty.value,
        }
        if two is not None:
            found["terms"] = [{"powers": list(powers), "coefficient": [c.numerator, c.denominator]} for powers, c in two.terms.items()]
        return found


@dataclass(frozen=True, slots=True)
class Axis:
    """One of the symbols: where it starts, and for which values formulas hold."""

    symbol: str
    captured: int
    """Its value in the graph as captured."""
    step: int
    """How far the samples lie apart: between them sizes may round, and the polynomials are not verified there."""
    first: int = 1
    """The least value of those: 2 where at 1 the graph is another."""
    stop: int | None = None
    """The greatest value for which formulas hold, where a table ends; None where nothing is known to bound it."""

    @property
    def domain(self) -> str:
        """The values for which formulas hold, in words."""
        where = f"every {self.symbol}" if self.step == 1 else f"{self.symbol} = {self.captured} + {self.step} k"
        since = "" if self.first == 1 else f" from {self.first}" if self.stop is not None else f" from {self.first} on"
        return where + since + ("" if self.stop is None else f" up to {self.stop}")

    def to_dict(self) -> Row:
        """The domain as plain data."""
        found = {"start": self.captured, "step": self.step}
        return found | ({} if self.first == 1 else {"first": self.first}) | ({} if self.stop is None else {"stop": self.stop})


@dataclass(frozen=True, slots=True)
class Scaling:
    """How the totals of a graph grow."""

    graph: Graph
    axes: tuple[Axis, ...]
    inputs: Mapping[str, str]
    """Shapes by input, with the symbols in them; of inputs that do not change, as captured. So of variables that are asked for."""
    points: tuple[tuple[int, ...], ...]
    """Values of the symbols at which the totals were worked out: every polynomial fits all of them."""
    totals: tuple[Total, ...]
    notes: tuple[Note, ...] = ()
    """What a reader of the totals should know, beyond the inputs that vary."""

    def __repr__(self) -> str:
        where = ", ".join(f"{axis.symbol} = {axis.captured}" for axis in self.axes)
        return f"<Scaling of {self.graph.name} by {where} as captured: {self.fitted} polynomials>"

    @property
    def symbols(self) -> tuple[str, ...]:
        """What varies."""
        return tuple(axis.symbol for axis in self.axes)

    @property
    def symbol(self) -> str:
        """The first of what varies, mostly the only one."""
        return self.axes[0].symbol

    @property
    def captured(self) -> int:
        """The first symbol's value in the graph as captured."""
        return self.axes[0].captured

    @property
    def samples(self) -> tuple[int, ...]:
        """The first symbol's value at each point."""
        return tuple(point[0] for point in self.points)

    @property
    def domain(self) -> str:
        """The values for which formulas hold, in words."""
        return " and ".join(axis.domain for axis in self.axes)

    @property
    def fitted(self) -> int:
        """How many of the totals are polynomials."""
        return sum(total.is_fitted for total in self.totals)

    def to_dict(self) -> Row:
        """All of it as plain data, the JSON of `irflops scale --format json`."""
        graph, first, several = self.graph, self.axes[0], len(self.axes) > 1
        return {
            "schema": SCHEMA,
            "source": {"path": graph.source.name, "format": graph.format},
            "graph": {"name": graph.name, "class": graph.class_name, "training": graph.training},
            "symbol": first.symbol,
            "captured": first.captured,
            "inputs": dict(self.inputs),
            "samples": list(self.samples),
            "valid_for": first.to_dict(),
            "symbols": {axis.symbol: axis.to_dict() for axis in self.axes},
            **({"points": [list(point) for point in self.points]} if several else {}),
            "notes": [{"code": note.code, "text": note.text} for note in self.notes],
            "totals": {total.name: total.to_dict(self.symbols) for total in self.totals},
        }


def scaling(
    graph: Graph, template: Template | None = None, symbol: str = "N", book: RuleBook = BOOK, *, asked: Open | None = None
) -> Scaling:
    """The totals as functions of the batch, or of the symbols in a template and in what else is `asked`.

    Errors: IrflopsError where the graph cannot take other sizes.
    """
    what_if = WhatIf(graph, book)
    family = family_of(what_if, asked or Open(), template, symbol)
    try:
        return _in_one(family) if len(family.symbols) == 1 else _in_two(family)
    except Misfit as error:
        raise what_if.advised(error, family.letters(error)) from None


def _in_one(family: Family) -> Scaling:
    """The totals of the step that gives the most polynomials."""
    best: Scaling | None = None
    failure: IrflopsError | None = None
    for step in steps_of(family, 0):
        samples = tuple(family.captured[0] + k * step for k in range(SAMPLES))
        try:
            points = [family.point(value) for value in samples]
        except IrflopsError as error:
            failure = failure or error
            continue
        totals = [Total(name, values, fitted(samples, values), certainty) for name, values, certainty in _values(points)]
        found = _scaling(family, (step,), [(value,) for value in samples], points, totals)
        if best is None or found.fitted > best.fitted:
            best = found
        if found.fitted == len(SCALED):
            break
    if best is None:
        assert failure is not None, "there is a step, and it failed"
        raise failure
    return _bounded(family, best)


def _in_two(family: Family) -> Scaling:
    """The totals by steps that are likely, or else by those that give the most polynomials in each symbol alone."""
    try:
        found = _on_grid(family, (next(steps_of(family, 0)), next(steps_of(family, 1))))
    except IrflopsError:
        found = None
    if found is None or found.fitted < len(SCALED):
        first, second = (_in_one(family.alone(place)).axes[0].step for place in range(2))
        other = _on_grid(family, (first, second))
        found = other if found is None or other.fitted > found.fitted else found
    return _bounded(family, found)


def _on_grid(family: Family, steps: tuple[int, int]) -> Scaling:
    """The totals on a triangle of points, which grows until each of them is a polynomial or the most is reached."""
    start = family.captured[0], family.captured[1]
    found: Scaling | None = None
    for diagonals in range(FEWEST_DIAGONALS, MOST_DEGREES_IN_TWO + 1 + VERIFYING + 1):
        places = triangle(diagonals)
        values = [tuple(at + k * step for at, k, step in zip(start, place, steps, strict=True)) for place in places]
        points = [family.point(*value) for value in values]
        totals = [
            Total(name, each, None, certainty, fitted_in_two(start, steps, dict(zip(places, each, strict=True)), diagonals))
            for name, each, certainty in _values(points)
        ]
        found = _scaling(family, steps, values, points, totals)
        if found.fitted == len(SCALED):
            break
    assert found is not None, "there are diagonals"
    return found


def _values(points: Sequence[Point]) -> Iterator[tuple[str, tuple[int, ...], Certainty]]:
    """By total its values at the points, and how sure they are together."""
    for name in SCALED:
        yield name, tuple(point.values[name] for point in points), reduce(or_, (point.certainty[name] for point in points))


def _scaling(
    family: Family, steps: Sequence[int], values: Sequence[tuple[int, ...]], points: Sequence[Point], totals: Sequence[Total]
) -> Scaling:
    axes = tuple(Axis(*axis) for axis in zip(family.symbols, family.captured, steps, strict=True))
    return Scaling(family.what_if.graph, axes, family.texts(), tuple(values), tuple(totals), kept_notes(points))


def _bounded(family: Family, found: Scaling) -> Scaling:
    """The same with the ends of where formulas hold: at 1 axes may need no sum or copy; at the end of a table an index may need no cut."""

    def holds(place: int, value: int) -> bool:
        at = tuple(value if other == place else captured for other, captured in enumerate(family.captured))
        try:
            totals = family.point(*at).values
        except IrflopsError:
            return False
        return all(total.at(*at) == totals[total.name] for total in found.totals if total.is_fitted)

    axes = []
    for place, axis in enumerate(found.axes):
        first = 1 if axis.step > 1 or axis.captured == 1 or holds(place, 1) else 2
        stop = None if family.open.batch == axis.symbol else bound_of(family, place)
        if stop is not None and not holds(place, stop):
            stop -= 1
        axes.append(replace(axis, first=first, stop=stop))
    return replace(found, axes=tuple(axes))


__all__ = ["MOST_DEGREES", "SCALED", "SCHEMA", "Axis", "Open", "Polynomial", "Scaling", "Template", "Total", "fitted", "scaling"]
