"""The time of an analysed graph on a machine."""

from __future__ import annotations

from irflops.analysis.analysis import Analysis
from irflops.errors import IrflopsError
from irflops.machines.time import Asked, Graphed, Time, time_of


def graphed_of(analysis: Analysis) -> Graphed:
    """What is timed of an analysis of a whole graph. Errors: IrflopsError for one of a part."""
    if analysis.selection is not None:
        raise IrflopsError("this is an analysis of a part, and a whole graph is needed", hint="its whole: part.whole")
    spread = analysis.is_spread
    return Graphed(
        analysis.graph,
        analysis.inference.types,
        analysis.costs,
        analysis.total,
        analysis.devices if spread else None,
        analysis.communication if spread else None,
        analysis.book,
    )


def timed(analysis: Analysis, asked: Asked) -> Time:
    """How long a step of a whole graph takes. Errors: IrflopsError for an analysis of a part."""
    return time_of(graphed_of(analysis), asked)
