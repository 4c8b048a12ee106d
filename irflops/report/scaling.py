"""How totals grow with one symbol or two: a line per total, as a table."""

from __future__ import annotations

from irflops.analysis.scale import Scaling, Total
from irflops.report.numbers import Figure
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
    "saved_bytes": "saved bytes",
    "params": "params",
    "param_bytes": "param bytes",
}


MOST_POINTS = 4
"""Points in two symbols that are spelled out."""


def scaling_facts(scaling: Scaling) -> list[tuple[str, str]]:
    """What varies, and where it was checked, for people: labels and texts."""
    facts = [("input" if not number else "", f"{name}  {shape}") for number, (name, shape) in enumerate(scaling.inputs.items())]
    facts.append(("captured", _captured(scaling)))
    facts.append(("checked", f"{_checked(scaling)}: every formula gives these exactly"))
    facts.append(("valid", f"for {scaling.domain}"))
    facts += [("note", note.text) for note in scaling.notes]
    return facts


def _captured(scaling: Scaling) -> str:
    return ", ".join(f"{axis.symbol} = {axis.captured}" for axis in scaling.axes)


def _checked(scaling: Scaling) -> str:
    if len(scaling.axes) == 1:
        return f"{scaling.symbol} = {', '.join(map(str, scaling.samples))}"
    points = scaling.points
    shown = [f"({', '.join(map(str, point))})" for point in points[: MOST_POINTS if len(points) > MOST_POINTS else None]]
    more = f" and {len(points) - MOST_POINTS} more" if len(points) > MOST_POINTS else ""
    return f"({', '.join(scaling.symbols)}) = {', '.join(shown)}{more}"


def scaling_table(scaling: Scaling) -> Table:
    """A row per total: its formula, and its value as captured."""
    columns = (
        Column(name="total", title="total", get=lambda total: _TITLES[total.name], numeric=False),
        Column(name="formula", title=f"in {' and '.join(scaling.symbols)}", get=lambda total: _formula(total, scaling), numeric=False),
        Column(
            name="captured",
            title=f"at {_captured(scaling)}",
            get=lambda total: Figure(total.values[0], total.certainty),
        ),
        Column(name="certainty", title="certainty", get=lambda total: total.certainty.value, numeric=False),
    )
    title = f"Totals as functions of {' and '.join(scaling.symbols)}, for {scaling.domain}"
    people = ("total", "formula", "captured") if len(scaling.axes) == 1 else ("total", "formula")  # formulas in two are long, and never cut
    return Table(name="scale", title=title, columns=columns, items=scaling.totals, people=people)


def sample_table(scaling: Scaling, *, every: bool = False) -> Table:
    """A row per sample: the totals that no polynomial gives, or `every` one."""
    shown = [total for total in scaling.totals if every or not total.is_fitted]

    def column(total: Total) -> Column:
        return Column(name=total.name, title=_TITLES[total.name], get=lambda number: Figure(total.values[number], total.certainty))

    def symbol(place: int, name: str, title: str) -> Column:
        return Column(name=name, title=title, get=lambda number: Figure(scaling.points[number][place]))

    names = ("symbol", "second")
    columns = (
        *(symbol(place, names[place], axis.symbol) for place, axis in enumerate(scaling.axes)),
        *map(column, shown),
    )
    title = "Values" if every else f"Values of what is {NOT_POLYNOMIAL}"
    return Table(name="samples", title=title, columns=columns, items=range(len(scaling.points)), people=tuple(c.name for c in columns))


def _formula(total: Total, scaling: Scaling) -> str:
    formula = total.formula(scaling.symbols)
    return NOT_POLYNOMIAL if formula is None else total.certainty.sign + formula
