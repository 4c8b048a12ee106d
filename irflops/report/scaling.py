"""How totals grow with a symbol: a line per total, as a table and as JSON. The polynomials come as they are; here they are spelled."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from irflops.analysis.scale import SCHEMA, Polynomial, Scaling, Total
from irflops.report.numbers import SIGNS, Figure
from irflops.report.table import Column, Table

NOT_POLYNOMIAL = "not polynomial here"

_TITLES = {
    "macs": "MACs",
    "flops": "FLOPs",
    "transcendentals": "transcendentals",
    "bytes_read": "bytes read",
    "bytes_written": "bytes written",
    "activation_elements": "activation elements",
    "activation_bytes": "activation bytes",
    "params": "params",
    "param_bytes": "param bytes",
}


def scaling_facts(scaling: Scaling) -> list[tuple[str, str]]:
    """What varies, and where it was checked, for people: labels and texts."""
    facts = [("input" if not number else "", f"{name}  {shape}") for number, (name, shape) in enumerate(scaling.inputs.items())]
    facts.append(("captured", f"{scaling.symbol} = {scaling.captured}"))
    facts.append(("checked", f"{scaling.symbol} = {', '.join(map(str, scaling.samples))}: every formula gives these exactly"))
    facts.append(("valid", f"for {_domain(scaling)}"))
    facts += [("note", note.text) for note in scaling.notes]
    return facts


def _domain(scaling: Scaling) -> str:
    symbol = scaling.symbol
    return f"every {symbol}" if scaling.step == 1 else f"{symbol} = {scaling.captured} + {scaling.step} k"


def scaling_table(scaling: Scaling) -> Table:
    """A row per total: its formula, and its value as captured."""
    columns = (
        Column(name="total", title="total", get=lambda total: _TITLES[total.name], numeric=False),
        Column(name="formula", title=f"in {scaling.symbol}", get=lambda total: _formula(total, scaling.symbol), numeric=False),
        Column(
            name="captured",
            title=f"at {scaling.symbol} = {scaling.captured}",
            get=lambda total: Figure(total.values[0], total.certainty),
        ),
        Column(name="certainty", title="certainty", get=lambda total: total.certainty.value, numeric=False),
    )
    title = f"Totals as functions of {scaling.symbol}, for {_domain(scaling)}"
    return Table(name="scale", title=title, columns=columns, items=scaling.totals, people=("total", "formula", "captured"))


def sample_table(scaling: Scaling, *, every: bool = False) -> Table:
    """A row per sample: the totals that no polynomial gives, or `every` one."""
    shown = [total for total in scaling.totals if every or total.polynomial is None]

    def column(total: Total) -> Column:
        return Column(name=total.name, title=_TITLES[total.name], get=lambda number: Figure(total.values[number], total.certainty))

    columns = (
        Column(name="symbol", title=scaling.symbol, get=lambda number: Figure(scaling.samples[number])),
        *map(column, shown),
    )
    title = "Values" if every else f"Values of what is {NOT_POLYNOMIAL}"
    return Table(name="samples", title=title, columns=columns, items=range(len(scaling.samples)), people=tuple(c.name for c in columns))


def scaling_row(scaling: Scaling) -> dict[str, Any]:
    """All of it as plain data, the JSON of contract `irflops.scale/1`."""
    graph = scaling.graph
    return {
        "schema": SCHEMA,
        "source": {"path": graph.source.name, "format": graph.format},
        "graph": {"name": graph.name, "class": graph.class_name, "training": graph.training},
        "symbol": scaling.symbol,
        "captured": scaling.captured,
        "inputs": dict(scaling.inputs),
        "samples": list(scaling.samples),
        "valid_for": {"start": scaling.captured, "step": scaling.step},
        "notes": [{"code": note.code, "text": note.text} for note in scaling.notes],
        "totals": {total.name: _total_row(total, scaling.symbol) for total in scaling.totals},
    }


def _total_row(total: Total, symbol: str) -> dict[str, Any]:
    polynomial = total.polynomial
    coefficients = None if polynomial is None else [[c.numerator, c.denominator] for c in polynomial.coefficients or (Fraction(0),)]
    return {
        "formula": None if polynomial is None else spelled(polynomial, symbol, group=""),
        "degree": None if polynomial is None else polynomial.degree,
        "coefficients": coefficients,
        "values": list(total.values),
        "certainty": total.certainty.value,
    }


def _formula(total: Total, symbol: str) -> str:
    if total.polynomial is None:
        return NOT_POLYNOMIAL
    return SIGNS[total.certainty] + spelled(total.polynomial, symbol)


def spelled(polynomial: Polynomial, symbol: str, *, group: str = ",") -> str:
    """A polynomial as text, the highest power first.

    >>> spelled(Polynomial((Fraction(5), Fraction(0), Fraction(-3, 2))), "N")
    '-3/2 N^2 + 5'
    """
    terms: Sequence[tuple[int, Fraction]] = [(power, c) for power, c in enumerate(polynomial.coefficients) if c][::-1]
    text = ""
    for power, coefficient in terms:
        sign = "-" if coefficient < 0 else "+"
        text += f" {sign} " if text else "-" if coefficient < 0 else ""
        factor = "" if power == 0 else symbol if power == 1 else f"{symbol}^{power}"
        size = abs(coefficient)
        number = f"{size.numerator:{group}}" + (f"/{size.denominator:{group}}" if size.denominator != 1 else "")
        text += factor if factor and size == 1 else f"{number} {factor}".rstrip()
    return text or "0"
