"""Ways to need less memory, for people."""

from __future__ import annotations

from collections.abc import Sequence

from irflops.fitting.change import Way
from irflops.fitting.ways import Fit, Ways
from irflops.report.numbers import Figure, format_count
from irflops.report.table import Column, Table


def ways_table(ways: Ways) -> Table:
    """A row per change, that which saves most first."""
    title = "Ways down" if ways.is_whole else "Ways down, not all: the graph is large"
    return _table("ways", title, ways.found)


def fit_table(fit: Fit) -> Table:
    """A row per combination that fits, the one that adds the fewest FLOPs first; where none fits, the nearest."""
    size = format_count(fit.limit, "bytes")
    if fit.fits:
        return _table("fit", f"What fits into {size}{'' if fit.is_whole else ', as far as was tried'}", fit.fits)
    title = f"Nothing fits into {size}{'' if fit.is_whole else ' of what was tried'}; the nearest"
    return _table("fit", title, [fit.nearest] if fit.nearest is not None else [])


def _table(name: str, title: str, ways: Sequence[Way]) -> Table:
    columns = (
        Column(name="way", title="what", get=lambda way: way.change.words, numeric=False),
        Column(name="total", title="needs", get=lambda way: Figure(way.total, way.certainty), unit="bytes"),
        Column(name="saved", title="saves", get=_saved, exported=False),
        Column(name="saved_bytes", title="saves", get=lambda way: way.saved),
        Column(name="flops_added", title="adds", get=lambda way: Figure(way.flops_added, way.flops_certainty), unit="FLOPs"),
    )
    return Table(name=name, title=title, columns=columns, items=ways, people=("way", "total", "saved", "flops_added"))


def _saved(way: Way) -> str:
    """Less than nothing where it would need more."""
    return format_count(way.saved, "bytes") if way.saved >= 0 else f"-{format_count(-way.saved, 'bytes')}"
