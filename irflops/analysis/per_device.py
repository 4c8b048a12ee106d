"""What one device computes and holds, as an analysis of its own: every table then is of that device."""

from __future__ import annotations

from dataclasses import replace

from irflops.analysis.analysis import Analysis
from irflops.counting.fold import fold, unsure_bits
from irflops.devices.part import graph_of_rank
from irflops.errors import IrflopsError
from irflops.ir.graph import Note
from irflops.ir.tree import tree_of


def of_device(analysis: Analysis, rank: int | None = None) -> Analysis:
    """The analysis of one device of a graph, the busiest unless a rank is given.

    Errors: IrflopsError where the graph has no such rank, and for an analysis of a part.
    """
    if analysis.selection is not None:
        raise IrflopsError("this is an analysis of a part, and a whole graph is needed", hint="its whole: part.whole")
    devices = analysis.devices
    one = devices.busiest if rank is None else devices.of_rank(rank)
    rank = one.ranks[0][0] if rank is None and one is not None else rank or 0
    if not analysis.is_spread:
        if one is None:
            raise IrflopsError(f"no operator runs on rank {rank}", path=analysis.graph.source.name)
        return analysis
    found = graph_of_rank(analysis.graph, analysis.inference.types, analysis.costs, analysis.book, rank)
    sums = fold(found.graph.ops, found.costs, tree_of(analysis.modules), unsure_bits(analysis.graph))
    alike = one.count if one is not None else 1
    others = f"one of {alike:,} that do the same, " if alike > 1 else ""
    text = (
        f"all figures are of rank {rank}, {others}of {devices.ranks:,} in all: shapes are those of its parts, attributes those of the graph"
    )
    notes = (*analysis.notes, *devices.notes, Note("per-device", text))
    return replace(
        analysis,
        graph=found.graph,
        inference=replace(analysis.inference, types=found.types, disagreements=()),
        costs=found.costs,
        total=sums.total,
        phases=sums.phases,
        types=sums.types,
        modules=sums.modules,
        unknown=sums.unknown,
        notes=notes,
    )
