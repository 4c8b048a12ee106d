"""What the serialized forms hold, so that a diff compares what both do and says what it could not compare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from irflops.ir.graph import Graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Aspects:
    """What both graphs hold, so that it can be compared."""

    attrs: bool
    """Whether both hold all attributes."""
    result_sbp: bool
    """Whether both tell how results lie as OneFlow settled it, of some at least."""
    dead_ops: bool
    """Whether both hold operators without effect."""
    declared: bool
    """Whether both declare parameters and modules line by line."""
    stage: bool
    """Whether both hold what OneFlow's passes make, or neither does."""
    saved: bool
    """Whether both are saved graphs, or neither: saving leaves out what changes nothing."""
    fused_terms: bool
    """Whether both show the operand that is added to a result in passing (`_add_to_output`)."""

    @property
    def all_ops(self) -> bool:
        """Whether either form shows every operator that the other does."""
        return self.stage and self.saved and self.dead_ops


def aspects_of(old: Graph, new: Graph) -> Aspects:
    """What both graphs hold."""
    one, other = old.holds, new.holds
    stage, saved = one.passes == other.passes, one.dead_ops == other.dead_ops
    return Aspects(
        attrs=one.attrs and other.attrs,
        result_sbp=one.passes and other.passes,
        dead_ops=stage and saved,
        declared=one.declarations and other.declarations,
        stage=stage,
        saved=saved,
        fused_terms=stage and one.added_operands and other.added_operands,
    )


def not_compared(old: Graph, new: Graph, aspects: Aspects) -> tuple[str, ...]:
    """What one of the forms lacks, in words."""
    return tuple(_lacks(old, new, aspects))


def _lacks(old: Graph, new: Graph, aspects: Aspects) -> Iterator[str]:
    if not aspects.attrs:
        holds = "the old form, printed, holds" if new.holds.attrs else "the new form, printed, holds"
        if old.holds.attrs == new.holds.attrs:
            holds = "both forms, printed, hold"
        yield f"attributes: {holds} those alone that module texts tell; of the others, a change shows by its shapes"
    if not aspects.result_sbp:
        yield "sbp: a forward job has none yet"
    if not aspects.stage:
        what = "what OneFlow's passes add or change (backward, optimizer, recompute, merged additions)"
        yield f"{what}: a forward job, and what oneflow.save writes, were made before them"
    if not aspects.dead_ops:
        yield "operators without effect (nothing reads them, a relu of a relu): a saved graph drops them, a forward job has all"
    if old.holds.declarations != new.holds.declarations:
        yield "modules without operators, and parameters that nothing reads: only a printed graph declares them"
    if old.partial or new.partial:
        yield "what could not be read: a damaged graph was read in part"
