"""Why tensors move between devices."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from irflops.devices.transfers import RealEdges, Transfer
from irflops.ir.graph import Op, Operand, Phase
from irflops.ops.book import RuleBook


class Cause(str, enum.Enum):
    """Why a tensor moves: the first of these that is the case."""

    PIPELINE = "pipeline"
    """The consumer stands on other devices."""
    SHARDED_OPTIMIZER = "sharded optimizer"
    """Out of a variable, or into its update, along a dimension of the mesh by which the variable is split and the other end is not."""
    GRADIENTS = "gradient all-reduce"
    """The partial sums of a gradient on its way to the optimizer."""
    TENSOR_PARALLEL = "tensor parallel"
    """Along a dimension by which a variable of the contraction before or after is split."""
    RESHARDING = "resharding"
    """Nobody asked for it: OneFlow chose, or the user's own sbp makes it so."""

    COPY = "copy"
    """Between host and device of one rank; nothing goes over a wire."""

    def __str__(self) -> str:
        return self.value


_SCALES = frozenset(
    {
        *("cast", "scalar_mul", "scalar_mul_by_tensor", "scalar_div_by_tensor", "l1_l2_regularize_gradient", "multiply", "broadcast_mul"),
        *("add_n", "acc", "count_not_finite", "multi_count_not_finite", "pinned_identity", "identity", "copy"),
    }
)
"""What a gradient passes through on its way to the optimizer: casts, scales, and sums over uses and micro-batches."""


class Causes:
    """What decides the causes of a graph's transfers, worked out for all of them at once."""

    def __init__(self, edges: RealEdges, book: RuleBook) -> None:
        self._layout = edges.layout
        self._book = book
        self._ops = edges.layout.graph.ops
        self._edges = edges
        self._to_optimizer = self._ways_to_optimizer()
        self._before, self._after = self._contractions()

    def cause(self, transfer: Transfer) -> Cause:
        """Why a tensor moves."""
        move = transfer.move
        if move.crosses:
            return Cause.PIPELINE
        if not move.steps:
            return Cause.COPY
        producer = self._ops[transfer.producer]
        split = [at for at in move.dimensions if move.made[at].kind == "S"]
        if producer.type == "variable" and split:
            return Cause.SHARDED_OPTIMIZER
        for index in transfer.consumers:
            model = _model(self._ops[index])
            own = None if model is None else self._edges.origin(model.lbn)
            nd_sbp = None if own is None else own.operand.nd_sbp
            if nd_sbp is not None and len(nd_sbp) == len(move.made) and any(nd_sbp[at].kind == "S" for at in move.dimensions):
                return Cause.SHARDED_OPTIMIZER
        sums = any(move.made[at].kind == "P" for at in move.dimensions)
        if sums and producer.phase is Phase.BACKWARD and any(self._to_optimizer[index] for index in transfer.consumers):
            return Cause.GRADIENTS
        near = self._before[transfer.producer]
        for index in transfer.consumers:
            near |= self._after[index]
        return Cause.TENSOR_PARALLEL if any(near >> at & 1 for at in move.dimensions) else Cause.RESHARDING

    def _ways_to_optimizer(self) -> Sequence[int]:
        """By operator, whether it is the optimizer's, or hands a gradient on to it."""
        graph = self._layout.graph
        found = bytearray(op.phase is Phase.OPTIMIZER and op.type != "variable" for op in self._ops)
        for index in reversed(graph.edges.order):
            op = self._ops[index]
            if op.type in _SCALES or op.type in self._book.handed_on:
                found[index] |= any(found[reader] for reader in graph.edges.read_by[index])
        return found

    def _contractions(self) -> tuple[Sequence[int], Sequence[int]]:
        """By operator, the dimensions by which variables of the nearest contractions before and after it are split, as bits."""
        edges, ops = self._layout.graph.edges, self._ops
        own = {index: self._split(op) for index, op in enumerate(ops) if op.type in self._book.contractions}
        before, after = [0] * len(ops), [0] * len(ops)
        for index in edges.order:
            bits = own.get(index)
            if bits is None:
                bits = 0
                for maker in edges.fed_by[index]:
                    bits |= before[maker]
            before[index] = bits
        for index in reversed(edges.order):
            bits = own.get(index)
            if bits is None:
                bits = 0
                for reader in edges.read_by[index]:
                    bits |= after[reader]
            after[index] = bits
        return before, after

    def _split(self, op: Op) -> int:
        """The dimensions by which a variable of a contraction is split as it wants it."""
        bits = 0
        for operand in op.inputs:
            if operand.nd_sbp is not None and self._is_variable(operand):
                bits |= sum(1 << at for at, sbp in enumerate(operand.nd_sbp) if sbp.kind == "S")
        return bits

    def _is_variable(self, operand: Operand) -> bool:
        made = self._edges.origin(operand.lbn)
        while made is not None:
            maker = self._ops[made.index]
            if maker.type == "variable":
                return True
            if maker.type not in self._book.handed_on or not maker.inputs:
                return False
            made = self._edges.origin(maker.inputs[0].lbn)
        return False


def _model(op: Op) -> Operand | None:
    """The variable that an operator updates, None where it is no update."""
    if op.phase is not Phase.OPTIMIZER or op.outputs:
        return None
    return next((operand for operand in op.inputs if operand.arg == "model"), None)
