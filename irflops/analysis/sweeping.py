"""A graph on many machines, at many batches, types and meshes: which is best, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.analysis.fits import Fit, fit_of
from irflops.analysis.timing import graphed_of, timed
from irflops.errors import IrflopsError
from irflops.ir.graph import Graph
from irflops.machines.sweep import Swept, sweep
from irflops.machines.throughput import load_of
from irflops.machines.time import Asked
from irflops.ops import BOOK
from irflops.ops.book import RuleBook
from irflops.whatif import MeshSize, changed


@dataclass(frozen=True, slots=True)
class Variant:
    """What if: each None as captured."""

    batch: int | None
    dtype: str | None
    mesh: MeshSize | None


@dataclass(frozen=True, slots=True)
class Row:
    """One machine and one variant."""

    machine: str
    variant: Variant
    samples: int | None = None
    devices: int = 1
    floor_s: float | None = None
    estimate_s: float | None = None
    by_bound: Mapping[str, float] | None = None
    fit: Fit | None = None
    why: str | None = None
    """Why something is not known, or why it is not the best."""
    best: bool = False

    @property
    def samples_per_s(self) -> float | None:
        """As estimated."""
        return None if self.samples is None or not self.estimate_s else self.samples / self.estimate_s

    @property
    def waits_for(self) -> str | None:
        """What most of the estimate is."""
        if not self.by_bound or not self.estimate_s:
            return None
        return max(self.by_bound, key=lambda name: (self.by_bound or {})[name])

    @property
    def merit(self) -> float | None:
        """What the best has most of: samples a second, or steps where there are none; None of what does not fit or is not known."""
        if not self.estimate_s or (self.fit is not None and self.fit.fits is False):
            return None
        return (self.samples or 1) / self.estimate_s

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON."""
        mesh = self.variant.mesh
        return {
            "machine": self.machine,
            "batch": self.variant.batch,
            "dtype": self.variant.dtype,
            "mesh": dict(mesh) if isinstance(mesh, Mapping) else list(mesh) if mesh is not None else None,
            "devices": self.devices,
            "samples": self.samples,
            "floor_s": self.floor_s,
            "estimate_s": self.estimate_s,
            "samples_per_s": self.samples_per_s,
            "waits_for": self.waits_for,
            "by_bound": dict(self.by_bound) if self.by_bound else None,
            "fits": self.fit.fits if self.fit is not None else None,
            "needed_bytes": self.fit.needed_bytes if self.fit is not None else None,
            "best": self.best,
            "why": self.why,
        }


def swept(
    graph: Graph,
    asked: Sequence[Asked],
    batches: Sequence[int | None],
    dtypes: Sequence[str | None],
    meshes: Sequence[MeshSize | None],
    book: RuleBook = BOOK,
) -> list[Row]:
    """A row for each machine and variant, in their order; the best is marked, and each other says what it loses by."""
    rows: list[Row] = []
    for batch, dtype, mesh in product(batches, dtypes, meshes):
        rows += _variant(graph, asked, Variant(batch, dtype, mesh), book)
    return judged(rows)


def _variant(graph: Graph, asked: Sequence[Asked], variant: Variant, book: RuleBook) -> Iterator[Row]:
    try:
        found = graph
        if variant != Variant(None, None, None):
            found = changed(graph, batch=variant.batch, dtype=variant.dtype, mesh=variant.mesh, book=book)
        analysis = analyze_graph(found, book)
    except IrflopsError as error:
        yield from (Row(one.machine.id, variant, why=error.message) for one in asked)
        return
    load = load_of(analysis.graph, analysis.inference.types, analysis.book)
    for one, time in zip(asked, _times(analysis, asked), strict=True):
        yield Row(
            one.machine.id,
            variant,
            load.samples,
            analysis.ranks,
            time.floor_s,
            time.estimate_s,
            time.by_bound,
            fit_of(analysis, one.machine),
            time.why,
        )


def _times(analysis: Analysis, asked: Sequence[Asked]) -> list[Swept]:
    if not analysis.is_spread:
        first = asked[0]
        return sweep(graphed_of(analysis), [one.machine for one in asked], tf32=first.tf32, efficiency=first.efficiency)
    found = []
    for one in asked:
        time = timed(analysis, one)
        bounds = time.by_bound if time.no_time is None else {}
        found.append(Swept(one.machine, time.floor_s, time.estimate_s, bounds, time.no_estimate))
    return found


def judged(rows: Sequence[Row]) -> list[Row]:
    """The rows with the best marked; the others say what they lose by."""
    best = max((row for row in rows if row.merit is not None), key=lambda row: row.merit or 0.0, default=None)
    if best is None:
        return list(rows)
    return [replace(row, best=True) if row is best else replace(row, why=row.why or _loses(row, best)) for row in rows]


def _loses(row: Row, best: Row) -> str | None:
    """What a row has more of than the best, for each sample."""
    if row.fit is not None and row.fit.fits is False:
        return "does not fit"
    if not row.estimate_s or not row.by_bound or not best.by_bound or row.merit is None or best.merit is None:
        return None
    each, of_best = (row.samples or 1), (best.samples or 1)
    more = {name: seconds / each - best.by_bound.get(name, 0.0) / of_best for name, seconds in row.by_bound.items()}
    name = max(more, key=more.__getitem__)
    return f"{best.merit / row.merit:.2f}x a sample: {name}" if more[name] > 0 else f"{best.merit / row.merit:.2f}x a sample"
