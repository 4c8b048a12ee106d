"""The line of Python that an operator of the backward pass or of recomputation goes back to: that of its forward operator.

A dump tells lines of forward operators alone. OneFlow gives the gradient of an operator that operator's module; within it the forward
operator is the one whose tensors the gradient reads, or else the one whose result's gradient it takes. Where that leaves several lines,
none is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from irflops.ir.edges import NOBODY
from irflops.ir.graph import Graph, Location, Op, Phase

_FOLLOWING = (Phase.BACKWARD, Phase.RECOMPUTE)


def lines_of(graph: Graph) -> tuple[Location | None, ...]:
    """By operator the line that it stands for, its own or that of its forward operator; None where nothing tells."""
    own = tuple(op.location for op in graph.ops)
    if not any(own):
        return own
    return _Lines(graph, own).found()


class _Lines:
    def __init__(self, graph: Graph, own: Sequence[Location | None]) -> None:
        self._graph, self._own = graph, own
        self._forward: dict[str, list[int]] = {}
        """By module the forward operators that have a line."""
        self._using: dict[str, list[int]] = {}
        """By lbn those of them that make it or read it."""
        for index, op in enumerate(graph.ops):
            if own[index] is not None and op.phase is Phase.FORWARD:
                self._forward.setdefault(op.module, []).append(index)
                for lbn in dict.fromkeys(operand.lbn for operand in (*op.inputs, *op.outputs)):
                    self._using.setdefault(lbn, []).append(index)

    def found(self) -> tuple[Location | None, ...]:
        ops = self._graph.ops
        found = list(self._own)
        partner: dict[int, int] = {}
        """By operator that follows a forward operator, that operator."""
        following = [i for i, op in enumerate(ops) if self._own[i] is None and op.phase in _FOLLOWING and op.module in self._forward]
        for index in sorted(following, key=lambda i: (ops[i].number is None, ops[i].number or 0, i)):
            candidates = self._sharing(ops[index]) or self._before(index, partner)
            best = self._best(ops[index], candidates or self._forward[ops[index].module])
            if best is not None:
                partner[index] = best
                found[index] = self._own[best]
        return tuple(found)

    def _sharing(self, op: Op) -> list[int]:
        """Forward operators of the same module that share most tensors with this one."""
        shared: dict[int, int] = {}
        for operand in op.inputs:
            users = self._using.get(operand.lbn, ())
            for index in users if len(users) <= _FEW else ():
                if self._graph.ops[index].module == op.module:
                    shared[index] = shared.get(index, 0) + 1
        most = max(shared.values(), default=0)
        return [index for index, count in shared.items() if count == most]

    def _before(self, index: int, partner: Mapping[int, int]) -> list[int]:
        """The makers of what the forward operator read whose gradient this one reads, as far as they are of its module."""
        ops, edges = self._graph.ops, self._graph.edges
        found = []
        for operand in ops[index].inputs:
            maker = edges.makers[edges.tensors[operand.lbn]] if operand.lbn in edges.tensors else NOBODY
            if maker in partner:
                found += [user for read in ops[partner[maker]].inputs for user in self._using.get(read.lbn, ())[:1]]
        return [at for at in dict.fromkeys(found) if ops[at].module == ops[index].module]

    def _best(self, op: Op, candidates: Iterable[int]) -> int | None:
        """The candidate of the kindred type, of one line; None where several lines are left."""
        every = list(candidates)
        kindred = [at for at in every if _is_kindred(op.type, self._graph.ops[at].type)] or every
        return kindred[-1] if len({self._own[at] for at in kindred}) == 1 else None


_FEW = 64
"""Users of a tensor that are asked whether an operator is one's gradient: what more of them share tells nothing."""


def _is_kindred(gradient: str | None, forward: str | None) -> bool:
    """Whether one type is the other's gradient by its name: `relu_grad` of `relu`, `conv_filter_grad` of `conv2d`."""
    if gradient is None or forward is None:
        return False
    stem = forward.rstrip("0123456789d") if forward[-1:] == "d" and forward[-2:-1].isdigit() else forward
    return gradient == forward or gradient.startswith((f"{forward}_grad", f"{stem}_"))
