"""Polynomials with rational coefficients in one symbol or in two, and those of least degree through given points."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

MOST_DEGREES = 4
"""Of a polynomial in one symbol."""

MOST_DEGREES_IN_TWO = 5
"""Of a polynomial in two, both powers together: attention over images is N H^4."""

VERIFYING = 2
"""Points, or in two symbols diagonals of points, that a polynomial must give beyond those that it takes."""


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
        powers = [power for power, coefficient in enumerate(self.coefficients) if coefficient]
        return _spelled([(_power(symbol, power), self.coefficients[power]) for power in reversed(powers)], group)


@dataclass(frozen=True, slots=True)
class PolynomialInTwo:
    """A polynomial in two symbols: coefficients by the powers of the first and of the second, none of them 0."""

    terms: Mapping[tuple[int, int], Fraction]

    @property
    def degree(self) -> int:
        """The highest power, both symbols' together."""
        return max(map(sum, self.terms), default=0)

    def __call__(self, first: int, second: int) -> Fraction:
        return sum((coefficient * first**i * second**j for (i, j), coefficient in self.terms.items()), Fraction(0))

    def spelled(self, first: str, second: str, *, group: str = ",") -> str:
        """The polynomial as text, the highest powers first.

        >>> PolynomialInTwo({(1, 2): Fraction(3), (1, 1): Fraction(5), (0, 0): Fraction(-1)}).spelled("N", "T")
        '3 N T^2 + 5 N T - 1'
        """
        ordered = sorted(self.terms, key=lambda powers: (-sum(powers), -powers[0]))
        return _spelled([(f"{_power(first, i)} {_power(second, j)}".strip(), self.terms[i, j]) for i, j in ordered], group)


def _power(symbol: str, power: int) -> str:
    return "" if power == 0 else symbol if power == 1 else f"{symbol}^{power}"


def _spelled(terms: Iterable[tuple[str, Fraction]], group: str) -> str:
    text = ""
    for factor, coefficient in terms:
        sign = "-" if coefficient < 0 else "+"
        text += f" {sign} " if text else "-" if coefficient < 0 else ""
        size = abs(coefficient)
        number = f"{size.numerator:{group}}" + (f"/{size.denominator:{group}}" if size.denominator != 1 else "")
        text += factor if factor and size == 1 else f"{number} {factor}".rstrip()
    return text or "0"


def fitted(points: Sequence[int], values: Sequence[int]) -> Polynomial | None:
    """The polynomial of the least degree through all points; None unless two points more than it takes lie on it."""
    for degree in range(min(MOST_DEGREES, len(points) - VERIFYING - 1) + 1):
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
        coefficients = _times(coefficients, Fraction(-at))
        coefficients[0] += difference
    while coefficients and not coefficients[-1]:
        coefficients.pop()
    return Polynomial(tuple(coefficients))


def _times(coefficients: Sequence[Fraction], root: Fraction) -> list[Fraction]:
    """A polynomial times (x + root)."""
    product = [Fraction(0), *coefficients]
    for power, coefficient in enumerate(coefficients):
        product[power] += root * coefficient
    return product


def triangle(diagonals: int) -> list[tuple[int, int]]:
    """The places of a grid below its diagonals, by diagonal: (0, 0), then (0, 1) and (1, 0), and so on."""
    return [(i, total - i) for total in range(diagonals) for i in range(total + 1)]


def fitted_in_two(
    start: tuple[int, int], steps: tuple[int, int], values: Mapping[tuple[int, int], int], diagonals: int
) -> PolynomialInTwo | None:
    """The polynomial of the least degree through all points of a triangle, None unless it lies on two diagonals more than it takes.

    `values` are by place in the triangle; the place (i, j) stands for the point `start` + (i, j) `steps`.
    """
    differences: dict[tuple[int, int], Fraction] = {}
    for degree in range(min(MOST_DEGREES_IN_TWO, diagonals - VERIFYING - 1) + 1):
        places = triangle(degree + 1)
        differences |= {place: _difference(values, place) for place in places if place not in differences}
        polynomial = _from_differences(start, steps, {place: differences[place] for place in places})
        points = (((start[0] + i * steps[0], start[1] + j * steps[1]), values[i, j]) for i, j in triangle(diagonals))
        if all(polynomial(*at) == value for at, value in points):
            return polynomial
    return None


def _difference(values: Mapping[tuple[int, int], int], place: tuple[int, int]) -> Fraction:
    """The mixed forward difference of orders (i, j) at the corner, over i! j!."""
    columns = [_differences([values[i, j] for j in range(place[1] + 1)])[-1] for i in range(place[0] + 1)]
    return _differences(columns)[-1]


def _differences(values: Sequence[Fraction | int]) -> list[Fraction]:
    """Forward differences at the first value, of order n over n!."""
    found, row, factorial = [], [Fraction(value) for value in values], 1
    for order in range(len(values)):
        factorial *= max(1, order)
        found.append(row[0] / factorial)
        row = [after - before for before, after in itertools.pairwise(row)]
    return found


def _from_differences(start: tuple[int, int], steps: tuple[int, int], differences: Mapping[tuple[int, int], Fraction]) -> PolynomialInTwo:
    """Newton's form made one of powers."""
    highest = max(max(place) for place in differences)
    bases = [_falling(at, step, highest) for at, step in zip(start, steps, strict=True)]
    terms: dict[tuple[int, int], Fraction] = {}
    for (i, j), difference in differences.items():
        for power, one in enumerate(bases[0][i] if difference else ()):
            for other_power, other in enumerate(bases[1][j]):
                terms[power, other_power] = terms.get((power, other_power), Fraction(0)) + difference * one * other
    return PolynomialInTwo({powers: coefficient for powers, coefficient in terms.items() if coefficient})


def _falling(start: int, step: int, highest: int) -> list[list[Fraction]]:
    """By order n the coefficients of u (u - 1) ... (u - n + 1), where u = (x - start) / step."""
    found = [[Fraction(1)]]
    for order in range(highest):
        product = _times(found[-1], Fraction(-start - order * step))
        found.append([coefficient / step for coefficient in product])
    return found
