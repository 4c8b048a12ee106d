"""What a training step would be with activation checkpointing of some modules, as OneFlow's pass makes it.

Backward reads no result of a checkpointed module, but those of operators that compute them again; these wait for what the first backward
operator waits for (oneflow/core/job_rewriter/checkpointing_pass.cpp, of 0.9.0).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from irflops.ir.graph import Graph, Note, Op, Operand, Phase, Role
from irflops.readers.meaning.resolve import RECOMPUTE_PREFIXES

_PREFIX = RECOMPUTE_PREFIXES[0]
_NEVER_AGAIN = frozenset(
    {"normalization", "normalization_add_relu", "cudnn_fused_normalization_add_relu", "repeat", "unpack", "variable", "input", "output"}
)
"""Types that are not computed again: a batch norm would update its moving averages twice."""

_AFTER_FORWARD = (Phase.BACKWARD, Phase.RECOMPUTE, Phase.OPTIMIZER)


@dataclass(frozen=True, slots=True)
class Segment:
    """Operators that are computed again together."""

    members: tuple[int, ...]
    """In the order of the graph."""
    readers: tuple[int, ...]
    """The operators behind the forward pass that read what they make."""
    waits_for: str
    """The operator that recomputation waits for."""


def checkpointed(graph: Graph, modules: Iterable[str]) -> tuple[Graph, tuple[int, ...]]:
    """The graph with these modules checkpointed, and the operators that it computes again, by number.

    The graph itself where backward reads nothing of them.
    """
    wanted = tuple(dict.fromkeys(modules))
    segments = list(_segments(graph, wanted))
    again = {member: None for segment in segments for member in segment.members}
    if not again:
        return graph, ()
    moved: dict[int, dict[str, str]] = {}
    made: list[Op] = []
    for segment in segments:
        renamed = {result.lbn: f"{_PREFIX}{result.lbn}" for member in segment.members for result in graph.ops[member].outputs}
        made += [_again(graph.ops[member], renamed, segment.waits_for) for member in segment.members]
        for reader in segment.readers:
            moved.setdefault(reader, {}).update(renamed)
    ops = [replace(op, inputs=_read(op.inputs, moved[at])) if at in moved else op for at, op in enumerate(graph.ops)]
    note = Note("checkpointed", f"as if activation checkpointing were on for {_words(wanted)}: {len(made)} operators are computed again")
    return replace(graph, ops=(*ops, *made), notes=(*graph.notes, note)), tuple(again)


def _words(modules: Sequence[str]) -> str:
    return ", ".join(modules[:3]) + (f" and {len(modules) - 3} others" if len(modules) > 3 else "")


def _again(op: Op, renamed: dict[str, str], waits_for: str) -> Op:
    """The operator that computes another's results anew. Sources of a segment wait; what reads them waits by that."""
    inputs = _read(op.inputs, renamed)
    is_source = not op.inputs or any(operand.lbn not in renamed for operand in op.inputs)
    outputs = tuple([replace(result, lbn=renamed[result.lbn]) for result in op.outputs])
    after = (*op.after, waits_for) if is_source else op.after
    return replace(op, name=f"{_PREFIX}{op.name}", inputs=inputs, outputs=outputs, phase=Phase.RECOMPUTE, role=Role.SYSTEM, after=after)


def _read(operands: Sequence[Operand], renamed: dict[str, str]) -> tuple[Operand, ...]:
    return tuple([replace(operand, lbn=renamed[operand.lbn]) if operand.lbn in renamed else operand for operand in operands])


def _segments(graph: Graph, modules: Sequence[str]) -> Iterator[Segment]:
    """What is computed again: connected operators of one module and one placement, if backward reads any of their results.

    OneFlow puts an identity before each module that is checkpointed, so that modules one behind the other are apart.
    """
    chosen = _owners(graph, modules)
    order: list[int] | None = None
    seen: set[int] = set()
    edges, ops = graph.edges, graph.ops
    for first in chosen:
        if first in seen:
            continue
        seen.add(first)
        members = [first]
        for at in members:
            for beside in (*edges.fed_by[at], *edges.read_by[at]):
                if beside not in seen and chosen.get(beside) == chosen[first] and ops[beside].placement == ops[first].placement:
                    seen.add(beside)
                    members.append(beside)
        readers = sorted({reader for at in members for reader in edges.read_by[at] if ops[reader].phase in _AFTER_FORWARD})
        if readers:
            order = order or places_of(graph)
            yield Segment(tuple(sorted(members)), tuple(readers), waited_for(graph, readers, order))


def waited_for(graph: Graph, readers: Collection[int], places: Sequence[int]) -> str:
    """What recomputation waits for: the latest operand of the first reader, by the places of operators in the order of the pass."""
    first = min(readers, key=places.__getitem__)
    return graph.ops[max(graph.edges.fed_by[first], key=places.__getitem__)].name


def _owners(graph: Graph, modules: Sequence[str]) -> dict[int, str]:
    """By operator that may be computed again the module of those wanted that it is in, in the order of the graph."""
    wanted = set(modules)
    known: dict[str, str | None] = {}

    def owner(path: str) -> str | None:
        if path not in known:
            known[path] = path if path in wanted else owner(path.rpartition(".")[0]) if path else None
        return known[path]

    found = {}
    for at, op in enumerate(graph.ops):
        if op.phase is Phase.FORWARD and op.role is Role.USER and op.type is not None and op.type not in _NEVER_AGAIN and not op.elided:
            module = owner(op.module)
            if module is not None:
                found[at] = module
    return found


def places_of(graph: Graph) -> list[int]:
    """By operator its place in the order of OneFlow's graphs: first come, first served from the sources on, as they stand in the job."""
    followers = graph.edges.read_by
    left = [len(fed) for fed in graph.edges.fed_by]
    ready = deque(at for at, count in enumerate(left) if not count)
    places, count = [len(left)] * len(left), 0
    while ready:
        at = ready.popleft()
        places[at], count = count, count + 1
        for follower in followers[at]:
            left[follower] -= 1
            if not left[follower]:
                ready.append(follower)
    return places
