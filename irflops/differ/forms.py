"""What the serialized forms hold, so that a diff compares what both do and says what it could not compare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from irflops.ir.graph import Graph

_PRINTED = ("repr",)
_DECLARING = ("repr", "capture")
_SAVED = ("mlir", "saved_graph")


@dataclass(frozen=True, slots=True, kw_only=True)
class Aspects:
    """What both graphs hold, so that it can be compared."""

    attrs: bool
    """Whether both hold all attributes."""
    result_sbp: bool
    dead_ops: bool
    """Whether both hold operators without effect."""
    declared: bool
    """Whether both declare parameters and modules line by line."""
    stage: bool
    """Whether both were dumped before OneFlow's passes, or both after them."""
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
    forms = old.format, new.format
    late = is_late(old), is_late(new)
    return Aspects(
        attrs=not any(form in _PRINTED for form in forms),
        result_sbp=all(late),
        dead_ops=late[0] == late[1] and (not any(form in _SAVED for form in forms) or old.format == new.format),
        declared=all(form in _DECLARING for form in forms),
        stage=late[0] == late[1],
        saved=sum(form in _SAVED for form in forms) != 1,
        fused_terms=late[0] == late[1] and not any(form in _PRINTED for form in forms),
    )


def is_late(graph: Graph) -> bool:
    """Whether a graph was dumped after OneFlow's passes: a forward job, from before, states no shape of anything computed."""
    computed = [op for op in graph.ops if op.outputs and op.type not in ("variable", "input", "output")]
    return not computed or any(op.outputs[0].type.shape is not None for op in computed)


def not_compared(old: Graph, new: Graph, aspects: Aspects) -> tuple[str, ...]:
    """What one of the forms lacks, in words."""
    return tuple(_lacks(old, new, aspects))


def _lacks(old: Graph, new: Graph, aspects: Aspects) -> Iterator[str]:
    names = {True: "the old form", False: "the new form"}
    if not aspects.attrs:
        which = "both forms" if old.format == new.format else names[old.format in _PRINTED]
        hold = "hold" if which == "both forms" else "holds"
        yield f"attributes: {which}, printed, {hold} those alone that module texts tell; of the others, a change shows by its shapes"
    if not aspects.result_sbp:
        yield "sbp: a forward job has none yet"
    if not aspects.stage:
        yield "what OneFlow's passes add or change (backward, optimizer, recompute, merged additions): a forward job was dumped before them"
    if not aspects.dead_ops:
        yield "operators without effect (nothing reads them, a relu of a relu): a saved graph drops them, a forward job has all"
    if not aspects.declared and old.format != new.format:
        yield "modules without operators, and parameters that nothing reads: only a printed graph declares them"
    if old.partial or new.partial:
        yield "what could not be read: a damaged graph was read in part"
