"""How totals grow with a symbol: a line per total, as a table."""

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


def _formula(total: Total, symbol: str) -> str:
    if total.polynomial is None:
        return NOT_POLYNOMIAL
    return total.certainty.sign + total.polynomial.spelled(symbol)
