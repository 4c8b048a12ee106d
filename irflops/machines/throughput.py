"""What a step of a graph works on: samples, and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from irflops.counting.infer import operand_type
from irflops.ir.graph import Graph, Op, TensorType
from irflops.ops.book import RuleBook

LOOKUPS = {"gather": ("in", "indices"), "embedding": ("weight", "indices")}
"""Op types that look rows of a table up: the arguments of the table and of the indices."""

_MOST_HOPS = 64


@dataclass(frozen=True, slots=True)
class Load:
    """What goes into a step, None where the graph has no such thing."""

    samples: int | None
    """Rows along axis 0 of the first input, which a batch changes."""
    tokens: int | None
    """Elements of the inputs that index the table of most rows: an encoder's and a decoder's both; positions and segments are none."""


def load_of(graph: Graph, types: Mapping[str, TensorType], book: RuleBook) -> Load:
    """What a step of a graph works on."""
    first = next((op for op in graph.ops if op.type == "input" and op.outputs), None)
    shape = types.get(first.outputs[0].lbn, first.outputs[0].type).shape if first is not None else None
    rows = shape[0] if shape else None
    samples = rows * first.runs if rows is not None and first is not None else None
    return Load(samples, _tokens(graph, types, book))


def _tokens(graph: Graph, types: Mapping[str, TensorType], book: RuleBook) -> int | None:
    indexed: dict[str, tuple[int, dict[str, Op]]] = {}
    for op in graph.ops:
        if op.type not in LOOKUPS:
            continue
        table_arg, index_arg = LOOKUPS[op.type]
        tables = [operand for operand in op.inputs if operand.arg == table_arg]
        indices = [operand for operand in op.inputs if operand.arg == index_arg]
        if len(tables) != 1 or len(indices) != 1:
            continue
        table, source = _behind(graph, tables[0].lbn, book), _behind(graph, indices[0].lbn, book)
        shape = operand_type(tables[0], types).shape
        if table is None or table.type != "variable" or source is None or source.type != "input" or not shape or shape[0] is None:
            continue
        indexed.setdefault(table.name, (shape[0], {}))[1][source.name] = source
    if not indexed:
        return None
    _, inputs = max(indexed.values(), key=lambda known: known[0])
    sizes = [types.get(op.outputs[0].lbn, op.outputs[0].type).numel for op in inputs.values()]
    if None in sizes:
        return None
    return sum((size or 0) * op.runs for size, op in zip(sizes, inputs.values(), strict=True))


def _behind(graph: Graph, lbn: str, book: RuleBook) -> Op | None:
    """The operator that a tensor comes from, behind those that hand it on or cut it into micro-batches."""
    for _ in range(_MOST_HOPS):
        op = graph.producers.get(lbn)
        if op is None or not op.inputs:
            return op
        facts = book.facts(op.type)
        if not (facts.is_view or facts.hands_on or op.type in ("cast", "copy", "unpack", "repeat")):
            return op
        lbn = op.inputs[0].lbn
    return None
