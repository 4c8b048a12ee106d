"""A sweep over machines and variants, for people: a row each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from irflops.analysis.sweeping import Row
from irflops.ir.certainty import Certainty
from irflops.report.numbers import Figure
from irflops.report.table import Column, Table
from irflops.report.timing import seconds_words

_PICO = 10**12


def sweep_table(rows: Sequence[Row]) -> Table:
    """A row per machine and variant; columns of what varies."""

    def text(name: str, title: str, get: Callable[[Row], str | None], *, exported: bool = True) -> Column:
        return Column(name=name, title=title, get=get, numeric=False, exported=exported)

    def seconds(name: str, title: str, get: Callable[[Row], float | None]) -> tuple[Column, Column]:
        def figure(row: Row) -> Figure | None:
            value = get(row)
            return None if value is None else Figure(round(value * _PICO))

        return (
            Column(name=name, title=title, get=lambda row: seconds_words(get(row)), exported=False),
            Column(name=f"{name}_ps", title=f"{title} ps", get=figure),
        )

    columns = (
        Column(name="best", title="", get=lambda row: "*" if row.best else "", numeric=False),
        text("machine", "machine", lambda row: row.machine),
        Column(name="batch", title="batch", get=lambda row: row.variant.batch),
        text("dtype", "dtype", lambda row: row.variant.dtype),
        text("mesh", "mesh", _mesh),
        *seconds("floor", "floor", lambda row: row.floor_s),
        *seconds("estimate", "estimate", lambda row: row.estimate_s),
        Column(name="samples_per_s", title="samples/s", get=_rate),
        text("waits_for", "waits for", lambda row: row.waits_for),
        text("fits", "fits", lambda row: None if row.fit is None or row.fit.fits is None else "yes" if row.fit.fits else "no"),
        Column(name="why", title="why not", get=lambda row: row.why, numeric=False, prose=True),
    )
    varied = [name for name in ("batch", "dtype", "mesh") if len({str(getattr(row.variant, name)) for row in rows}) > 1]
    fits = ["fits"] if any(row.fit is not None and row.fit.fits is not True for row in rows) else []
    people = ("best", "machine", *varied, "floor", "estimate", "samples_per_s", *fits, "why")
    return Table(name="sweep", title="Time of a step", columns=columns, items=rows, people=people)


def _mesh(row: Row) -> str | None:
    mesh = row.variant.mesh
    if mesh is None:
        return None
    return ",".join(f"{name}={size}" for name, size in mesh.items()) if isinstance(mesh, Mapping) else "x".join(map(str, mesh))


def _rate(row: Row) -> Figure | None:
    return None if row.samples_per_s is None else Figure(round(row.samples_per_s), Certainty.ESTIMATE)
