"""Tables that the inputs of a graph index: those of tokens, positions and segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from irflops.transformers.products import Products


@dataclass(frozen=True, slots=True)
class Lookup:
    """Rows of a parameter, taken by indices that depend on what goes into the graph."""

    op: int
    table: int
    """The variable, by the position of its operator."""
    rows: int
    """Rows of the table."""
    indices: int
    """Rows that are taken in a step."""


def lookups_of(products: Products) -> tuple[Lookup, ...]:
    """All lookups of the forward pass, by integers that come straight from the graph's inputs."""
    graph, found = products.graph, []
    for index, op in enumerate(graph.ops):
        if not products.is_forward(op) or len(op.inputs) < 2 or not op.outputs or op.type in products.book.contractions:
            continue
        tables = [(operand, products.roots[operand.lbn]) for operand in op.inputs if products.roots.get(operand.lbn)]
        indices = [operand for operand in op.inputs if products.is_data(operand)]
        if len(tables) != 1 or len(indices) != 1:
            continue
        (table, roots), (taken,) = tables[0], indices
        dtype, shape = products.type(taken).dtype, products.type(table).shape
        if dtype is None or dtype.is_float or shape is None or len(shape) != 2 or None in shape:
            continue
        count = products.type(taken).numel or 0
        rows, width = shape[0] or 0, shape[1] or 0
        if count and products.numel(op.outputs[0].lbn) == count * width:
            found.append(Lookup(index, roots[0], rows, count * op.runs))
    return tuple(found)


def tokens_of(products: Products, lookups: Sequence[Lookup]) -> int | None:
    """Elements of the inputs that index the table of most rows, over a step; None where none is indexed."""
    if not lookups:
        return None
    table = max(lookups, key=lambda lookup: lookup.rows).table
    return sum(lookup.indices for lookup in lookups if lookup.table == table)
