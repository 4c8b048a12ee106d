"""When recomputation begins, where a form does not tell: OneFlow's checkpointing pass adds control edges that no print shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from irflops.ir.graph import Graph, Op, Operand, Phase
from irflops.readers.meaning.resolve import repeated_name
from irflops.whatif.checkpointing import places_of, waited_for


def lacks_edges(graph: Graph) -> bool:
    """Whether a graph computes something again, and the form does not tell what that waits for."""
    again = [op for op in graph.ops if op.phase is Phase.RECOMPUTE]
    return bool(again) and not any(op.after for op in again)


def with_edges(graph: Graph) -> Graph | None:
    """The graph with the control edges that the pass would add; None where what is computed again is not found."""
    again = {at for at, op in enumerate(graph.ops) if op.phase is Phase.RECOMPUTE}
    known = graph.by_name
    original: dict[str, str] = {}
    for at in again:
        op = graph.ops[at]
        source = known.get(repeated_name(op.name))
        if source is None or len(source.outputs) != len(op.outputs):
            return None
        original |= {made.lbn: own.lbn for made, own in zip(op.outputs, source.outputs, strict=True)}
    kept = [at for at in range(len(graph.ops)) if at not in again]
    before = replace(graph, ops=tuple([_reading(graph.ops[at], original) for at in kept]))
    place = {at: number for number, at in enumerate(kept)}
    order = places_of(before)
    after: dict[int, str] = {}
    for members in connected(graph, again):
        readers = {place[reader] for at in members for reader in graph.edges.read_by[at] if reader not in again}
        if not readers:
            return None
        end = waited_for(before, readers, order)
        inside = set(members)
        after |= {at: end for at in members if not graph.edges.fed_by[at] or any(maker not in inside for maker in graph.edges.fed_by[at])}
    return replace(graph, ops=tuple([replace(op, after=(after[at],)) if at in after else op for at, op in enumerate(graph.ops)]))


def _reading(op: Op, original: dict[str, str]) -> Op:
    def read(operand: Operand) -> Operand:
        return replace(operand, lbn=original[operand.lbn]) if operand.lbn in original else operand

    return replace(op, inputs=tuple(map(read, op.inputs))) if any(operand.lbn in original for operand in op.inputs) else op


def connected(graph: Graph, again: set[int]) -> list[Sequence[int]]:
    """What is computed again, by what hangs together."""
    found: list[Sequence[int]] = []
    seen: set[int] = set()
    for first in sorted(again):
        if first in seen:
            continue
        seen.add(first)
        members = [first]
        for at in members:
            for beside in (*graph.edges.fed_by[at], *graph.edges.read_by[at]):
                if beside in again and beside not in seen:
                    seen.add(beside)
                    members.append(beside)
        found.append(members)
    return found
