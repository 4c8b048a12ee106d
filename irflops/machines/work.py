"""What one device has to do: the work of each operator by type of number, and what must pass between memory and chip whatever is fused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from irflops.counting.cost import OpCost
from irflops.counting.infer import MISFIT, operand_type, view
from irflops.ir.edges import NOBODY
from irflops.ir.graph import DType, Graph, Op, TensorType
from irflops.ops.book import RuleBook
from irflops.ops.traffic import Traffic
from irflops.ops.work import FMA, Unknowable

_SOURCES = frozenset({"variable", "input"})


@dataclass(frozen=True, slots=True)
class OpWork:
    """The work of an operator in a step, all its runs together."""

    op: Op
    contraction: int = 0
    """FLOPs of its multiply-accumulates."""
    contraction_type: DType | None = None
    other: int = 0
    """All other FLOPs."""
    other_type: DType | None = None
    """The widest floating-point type among its tensors."""
    nbytes: int = 0
    """Read and written, without fusion."""
    is_known: bool = True
    """Whether none of these is unknown; what is stands as 0."""
    at_most: bool = False
    """Whether the data decide how much of it is done."""

    @property
    def is_nothing(self) -> bool:
        """Whether no kernel runs for it."""
        return self.is_known and not (self.contraction or self.other or self.nbytes)


def works(graph: Graph, types: Mapping[str, TensorType], costs: Sequence[OpCost]) -> list[OpWork]:
    """The work of each operator, in the graph's order; `costs` are of one run each."""
    return [_work(op, types, one) for op, one in zip(graph.ops, costs, strict=True)]


def _work(op: Op, types: Mapping[str, TensorType], one: OpCost) -> OpWork:
    cost, runs = one.cost, op.runs
    macs, flops, nbytes = cost.get("macs"), cost.get("flops"), cost.get("bytes")
    is_known = cost.is_known("macs") and cost.is_known("flops") and cost.is_known("bytes")
    if is_known and not (flops or nbytes):
        return OpWork(op)
    operands = [operand_type(operand, types).dtype for operand in op.inputs]
    results = [types.get(result.lbn, result.type).dtype for result in op.outputs]
    contraction = FMA * macs
    kind = (_contracted(operands) or _contracted(results)) if contraction else None
    floats = [dtype for dtype in (*operands, *results) if dtype is not None and dtype.is_float]
    return OpWork(
        op,
        contraction * runs,
        kind,
        max(flops - contraction, 0) * runs,
        max(floats, key=lambda dtype: dtype.bits, default=None),
        nbytes * runs,
        is_known and not (contraction and kind is None),
        bool(cost.at_most),
    )


def _contracted(dtypes: Sequence[DType | None]) -> DType | None:
    """The type in which operands are multiplied: that of the floating-point ones, of several the narrowest (a bias may be wider); where
    there are none, the widest.
    """
    known = [dtype for dtype in dtypes if dtype is not None]
    floats = [dtype for dtype in known if dtype.is_float]
    return min(floats, key=lambda dtype: dtype.bits) if floats else max(known, key=lambda dtype: dtype.bits, default=None)


@dataclass(frozen=True, slots=True)
class Compulsory:
    """Bytes that must pass between memory and chip at least once in a step."""

    read: int
    """Of variables and inputs."""
    updated: int
    """Of variables that are written in place."""
    out: int
    """Of the graph's outputs that an operator makes."""
    is_known: bool
    """Whether no size among them is unknown."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.read + self.updated + self.out


class _Flow:
    """Follows tensors through operators that only name them anew."""

    def __init__(self, graph: Graph, types: Mapping[str, TensorType], book: RuleBook) -> None:
        self.graph, self.types, self.book = graph, types, book
        self._traffic: dict[int, Traffic | None] = {}

    def traffic(self, index: int) -> Traffic | None:
        """What an operator moves, None where that is not known, or at most so much."""
        if index not in self._traffic:
            self._traffic[index] = self._moved(self.graph.ops[index])
        return self._traffic[index]

    def _moved(self, op: Op) -> Traffic | None:
        rule = self.book.rule(op.type)
        if rule is None or op.type is None or op.readings or op.elided or rule.upper_bound:
            return None
        try:
            return rule.moved(view(op, op.type, self.types))
        except (Unknowable, MISFIT):
            return None

    def uses(self, lbn: str) -> Iterator[tuple[int, str, str]]:
        """The operators that read a tensor or a view of it, the argument, and the tensor by the name under which they do."""
        ops, edges = self.graph.ops, self.graph.edges
        waiting, seen = [lbn], {lbn}
        while waiting:
            name = waiting.pop()
            for slot in edges.uses(name):
                index = edges.owners[slot]
                op = ops[index]
                arg = op.inputs[slot - edges.first_slot[index]].arg
                facts = self.book.facts(op.type)
                if not facts.is_view:
                    yield index, arg, name
                    continue
                aliased = [result.lbn for result in op.outputs if facts.aliases.get(result.arg) == arg]
                waiting += [other for other in aliased if other not in seen]
                seen.update(aliased)

    def origin(self, lbn: str) -> tuple[str, Op | None]:
        """The tensor that a name is a view of, and the operator that makes it."""
        ops, edges = self.graph.ops, self.graph.edges
        for _ in range(len(ops) + 1):
            maker = edges.maker(lbn)
            if maker is None or maker == NOBODY:
                return lbn, None
            op = ops[maker]
            arg = next((self.book.facts(op.type).aliases.get(result.arg) for result in op.outputs if result.lbn == lbn), None)
            behind = next((operand.lbn for operand in op.inputs if operand.arg == arg), None)
            if behind is None:
                return lbn, op
            lbn = behind
        return lbn, None  # names that stand for one another in a circle


def compulsory(graph: Graph, types: Mapping[str, TensorType], book: RuleBook) -> Compulsory:
    """What must move, of a device's graph.

    Of each variable and input the smaller of its size and what its readers read: a table that lookups alone read counts the rows looked
    up. What an update writes to a variable. The outputs that an operator makes. A tensor that only views touch counts nothing.
    """
    flow = _Flow(graph, types, book)
    read = updated = out = 0
    is_known = True
    outputs: set[str] = set()
    for op in graph.ops:
        if op.type in _SOURCES:
            for result in op.outputs:
                one, written, sure = _of_source(flow, op, result.lbn)
                read, updated, is_known = read + one, updated + written, is_known and sure
        elif op.type == "output" and op.inputs:
            lbn, maker = flow.origin(op.inputs[0].lbn)
            if lbn in outputs or maker is None or maker.type in _SOURCES:
                continue
            outputs.add(lbn)
            size = operand_type(op.inputs[0], types).nbytes
            out, is_known = out + (size or 0) * op.runs, is_known and size is not None
    return Compulsory(read, updated, out, is_known)


def _of_source(flow: _Flow, op: Op, lbn: str) -> tuple[int, int, bool]:
    """Bytes of a variable or an input that must be read, those of it that an update writes, and whether both are known."""
    size = flow.types.get(lbn, TensorType()).nbytes
    needed = written = 0
    is_known = True
    for index, arg, name in flow.uses(lbn):
        reader = flow.graph.ops[index]
        if reader.type == "output":
            continue
        traffic = flow.traffic(index)
        if traffic is None:
            is_known = False
            continue
        alone = sum(operand.arg == arg for operand in reader.inputs) == 1
        reads = traffic.reads.get(arg, 0)
        if not alone:
            reads = min(reads, flow.types.get(name, TensorType()).nbytes or 0)
        needed += reads * reader.runs
        if op.type == "variable" and alone and arg in flow.book.facts(reader.type).updates:
            written = max(written, traffic.writes.get(arg, 0))
    if size is None:
        return 0, 0, False
    return min(needed, size * (op.runs if op.type == "input" else 1)), min(written, size), is_known
