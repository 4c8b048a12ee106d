"""The feed-forward layers of a transformer: linear layers that widen the residual stream, and one that brings it back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace

from irflops.transformers.attention import stream_of
from irflops.transformers.products import Kind, Product, Products

_FAR = 16
"""Operators between a linear layer and the sum with the residual stream: a bias, dropout, a norm of primitives."""

_FACTORS = frozenset({"broadcast_mul", "multiply"})


@dataclass(frozen=True, slots=True)
class FeedForward:
    """One feed-forward layer; products by their numbers."""

    up: tuple[int, ...]
    """The linear layers that widen: one; two, or one of twice the width, where a product of two parts is brought back."""
    down: int
    width: int
    """Features in between."""
    gated: bool
    experts: int
    """Feed-forward layers side by side over one residual stream: weights in one tensor, or apart."""
    stream: str
    """What it reads, before a norm."""


def feed_forwards(products: Products, hidden: int, taken: Collection[int]) -> tuple[FeedForward, ...]:
    """The feed-forward layers over a residual stream of `hidden` features, in order; `taken` are products with another role.

    Their results are added to the stream. Where no such sum is seen they count all the same: a print of OneFlow's does not show what an
    operator adds to its result.
    """
    found: list[tuple[FeedForward, bool]] = []
    for down, product in enumerate(products.all):
        if product.kind is not Kind.WEIGHT or down in taken or product.width != hidden or not product.before:
            continue
        up = tuple(sorted(product.before))
        layers = [products.all[number] for number in up]
        if any(number in taken or layer.kind is not Kind.WEIGHT or layer.depth != hidden for number, layer in zip(up, layers, strict=True)):
            continue
        widths = [layer.width for layer in layers]
        gated = widths in ([product.depth] * 2, [2 * product.depth])
        if not gated and widths != [product.depth]:
            continue
        stream = stream_of(products, layers[0].operands[0])
        feed = FeedForward(up, down, product.depth, gated, product.matrices, stream)
        found.append((feed, _joins_stream(products, product)))
    joined = [feed for feed, joins in found if joins] or [feed for feed, _ in found]
    beside = Counter(feed.stream for feed in joined)
    return tuple(replace(feed, experts=feed.experts * beside[feed.stream]) for feed in joined)


def _joins_stream(products: Products, product: Product) -> bool:
    """Whether the result is added to something of its size before another product."""
    graph = products.graph
    op, lbn = graph.ops[product.op], product.result
    size = products.numel(lbn)
    for _ in range(_FAR):
        if any(operand.arg == "_add_to_output" for operand in op.inputs):
            return True
        readers = [graph.edges.owners[slot] for slot in graph.edges.uses(lbn)]
        forward = [index for index in readers if products.is_forward(graph.ops[index])]
        following = [index for index in forward if graph.ops[index].type not in products.book.contractions]
        for index in following:
            parts = {operand.lbn for operand in graph.ops[index].inputs if products.is_real(operand)}
            equal = [part for part in parts if products.numel(part) == size]
            if len(equal) > 1 and graph.ops[index].type not in _FACTORS:
                return True
        onward = [
            (index, result.lbn) for index in following for result in graph.ops[index].outputs[:1] if products.numel(result.lbn) == size
        ]
        if not onward:
            return False
        index, lbn = onward[0]
        op = graph.ops[index]
    return False
