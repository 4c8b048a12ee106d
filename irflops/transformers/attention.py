"""Where a forward pass attends: a product of queries with keys, a softmax or the like, and a product of that with values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from irflops.ir.graph import Op
from irflops.transformers.products import Kind, Product, Products

_FAR = 64
"""Operators that a norm, or what else makes queries of the residual stream, may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One attention, in rows and features of one run; products by their numbers."""

    scores: int
    mix: int
    """The product with values; the same as `scores` where one operator does all."""
    others: tuple[int, ...] = ()
    """More products of scores and values that belong to it: heads by themselves."""
    query: int
    key: int
    value: int
    """The linear layers that make queries, keys and values; one and the same where they are made together."""
    out: int
    """The linear layer behind it."""
    rows: int
    """Rows of queries, over the whole batch."""
    keys: int
    """Positions that each query attends to."""
    heads: int | None
    head_size: int | None
    value_size: int | None
    """Heads of queries and their features; None where the form does not tell, as a print of one operator for all."""
    kv_heads: int | None
    crosses: bool
    """Whether keys are made of another sequence than queries."""
    cached: bool
    """Whether keys come from elsewhere too: those of earlier steps."""
    batch: int | None
    """Sequences that attend by themselves."""

    @property
    def products(self) -> tuple[int, ...]:
        """The products of activations."""
        return tuple(dict.fromkeys((self.scores, self.mix, *self.others)))

    @property
    def layers(self) -> tuple[int, ...]:
        """The linear layers that it is between."""
        return tuple(dict.fromkeys((self.query, self.key, self.value, self.out)))


@dataclass(frozen=True, slots=True)
class Sites:
    """The attentions of a graph in order, and why others are none."""

    found: tuple[Site, ...]
    refused: tuple[tuple[str, int], ...]
    """Reasons, each with the number of the product where it holds."""


def sites_of(products: Products) -> Sites:
    """All attentions of a forward pass."""
    readers = _linear_readers(products)
    found: list[Site] = []
    refused: list[tuple[str, int]] = []
    taken: set[int] = set()
    by_out: dict[int, int] = {}
    for number, product in enumerate(products.all):
        pair = _halves(products, number, product, taken)
        if pair is None:
            continue
        taken.update(pair)
        site = _site(products, *pair, readers)
        if isinstance(site, str):
            refused.append((site, number))
        elif site.out in by_out:
            first = found[by_out[site.out]]
            found[by_out[site.out]] = _joined(first, site)
        else:
            by_out[site.out] = len(found)
            found.append(site)
    return Sites(tuple(found), tuple(refused))


def _joined(first: Site, other: Site) -> Site:
    """Heads that stand by themselves, and of which one linear layer makes the result."""
    heads = None if first.heads is None or other.heads is None else first.heads + other.heads
    kv_heads = None if first.kv_heads is None or other.kv_heads is None else first.kv_heads + other.kv_heads
    return replace(first, others=(*first.others, *other.products), heads=heads, kv_heads=kv_heads)


def _halves(products: Products, number: int, product: Product, taken: set[int]) -> tuple[int, int] | None:
    """The product of scores and that with values, where this is the latter or both."""
    if product.kind is Kind.ATTENTION:
        return number, number
    if product.kind is not Kind.ACTIVATIONS:
        return None
    for lbn in product.operands:
        if lbn not in products.bent:
            continue
        near = [one for one in products.of(lbn) if products.all[one].kind is Kind.ACTIVATIONS and one not in taken]
        if near:
            return max(near), number
    return None


def _linear_readers(products: Products) -> dict[int, list[int]]:
    """By product, the linear layers whose rows are made of it."""
    found: dict[int, list[int]] = {}
    for number, product in enumerate(products.all):
        if product.kind in (Kind.WEIGHT, Kind.CONV):
            for before in product.before or ():
                found.setdefault(before, []).append(number)
    return found


def _largest(products: Products, numbers: Iterable[int]) -> int | None:
    return max(numbers, key=lambda number: products.all[number].macs, default=None)


def _site(products: Products, scores: int, mix: int, readers: dict[int, list[int]]) -> Site | str:
    out = _largest(products, readers.get(mix, ()))
    if out is None:
        return "no linear layer is behind the values"
    last = products.all[out]
    if last.kind is Kind.CONV:
        return "a convolution is behind the values, where a transformer has a linear layer"
    if not last.rows:
        return "the rows of the linear layer behind the values are not known"
    query, key, value = (_maker(products, lbn) for lbn in _operands(products, scores, mix))
    if query is None or key is None or value is None:
        return "queries, keys and values are not each made by a linear layer"
    if Kind.CONV in {products.all[one].kind for one in (query, key, value)}:
        return "queries, keys or values are made by a convolution, where a transformer has a linear layer"
    if scores == mix:
        return _fused(products, scores, (query, key, value), out)
    return _plain(products, scores, mix, (query, key, value), out)


def _operands(products: Products, scores: int, mix: int) -> tuple[str, str, str]:
    """Queries, keys and values, by lbn."""
    first, last = products.all[scores], products.all[mix]
    if scores == mix:
        return first.operands[0], first.operands[1], first.operands[2]
    left = scores in products.of(last.operands[0])  # a row of scores for each query, as in P V; in V^T P^T a column
    a, b = first.operands[:2]
    return (a, b, last.operands[1]) if left else (b, a, last.operands[0])


def _maker(products: Products, lbn: str) -> int | None:
    """The linear layer or convolution that a tensor is made by: of several, such as a layer and what adapts it, the largest."""
    linear = (number for number in products.of(lbn) if products.all[number].kind in (Kind.WEIGHT, Kind.CONV))
    return _largest(products, linear)


def _plain(products: Products, scores: int, mix: int, made_by: tuple[int, int, int], out: int) -> Site | str:
    first, last, layer = products.all[scores], products.all[mix], products.all[out]
    rows, numel = layer.rows, products.numel(first.result)
    keys = last.macs // products.numel(last.result) if products.numel(last.result) else 0
    if not keys or not numel or numel % (rows * keys):
        return "the scores are not heads x queries x keys"
    heads = numel // (rows * keys)
    head_size = first.macs // numel
    value_size = products.numel(last.result) // (rows * heads)
    kv_heads = _kv_heads(products, made_by, heads, head_size, value_size)
    query, key, value = made_by
    crosses = scores != mix and not _same_source(products, query, key)
    key_numel = products.numel(_operands(products, scores, mix)[1])
    uncached = {products.all[key].rows * count * head_size for count in (heads, kv_heads) if count}
    cached = key_numel not in uncached and first.operands[0] != first.operands[1]
    batch = _batch(products, first, key_numel // (head_size * keys) if head_size else 0, heads, kv_heads) if cached or crosses else None
    if batch is None and not cached and not crosses and rows % keys == 0:
        batch = rows // keys
    return Site(
        scores=scores,
        mix=mix,
        query=query,
        key=key,
        value=value,
        out=out,
        rows=rows,
        keys=keys,
        heads=heads,
        head_size=head_size,
        value_size=value_size,
        kv_heads=kv_heads,
        crosses=crosses,
        cached=cached,
        batch=batch,
    )


def _batch(products: Products, scores: Product, matrices: int, heads: int, kv_heads: int | None) -> int | None:
    """Sequences of the keys: their matrices are one a head, or one a head of keys where each serves several of queries."""
    by = heads if products.graph.ops[scores.op].type == "batch_matmul" else kv_heads
    return matrices // by if by and matrices % by == 0 and matrices else None


def _kv_heads(products: Products, made_by: tuple[int, int, int], heads: int, head_size: int, value_size: int) -> int | None:
    """Heads of keys and values, from the widths of the linear layers that make them; None where these do not add up."""
    query, key, value = made_by
    width = products.all[key].width
    if not head_size or not value_size:
        return None
    if query == key == value:
        numerator, denominator = width - heads * head_size, head_size + value_size
    elif key == value:
        numerator, denominator = width, head_size + value_size
    elif query == key:
        numerator, denominator = width - heads * head_size, head_size
    else:
        numerator, denominator = width, head_size
    if numerator <= 0 or numerator % denominator:
        return None
    found = numerator // denominator
    return found if heads % found == 0 else None


def _fused(products: Products, number: int, made_by: tuple[int, int, int], out: int) -> Site | str:
    """One operator for all: its operands' shapes or its attributes tell the heads."""
    product, layer = products.all[number], products.all[out]
    op = products.graph.ops[product.op]
    shapes = [(found.shape or ()) if (found := products.types.get(lbn)) is not None else () for lbn in product.operands]
    rows = layer.rows
    query, key, value = made_by
    crosses = not _same_source(products, query, key)
    hidden = products.numel(product.result) // rows
    if op.type == "scaled_dot_product_flash_attention" and all(len(shape) == 4 for shape in shapes):
        batch, _, heads, head_size = shapes[0]
        keys, kv_heads = shapes[1][1], shapes[1][2]
    else:
        heads, head_size = _stated_heads(op, shapes, hidden)
        kv_heads = None if heads is None else _kv_heads(products, made_by, heads, head_size or 0, head_size or 0)
        keys = product.macs // (2 * rows * hidden) if hidden else None
        if not keys and len(shapes[1]) == 3:  # a print, which does not tell the work either: [batch, positions, features]
            keys = shapes[1][1]
        batch = rows // keys if keys and not crosses and rows % keys == 0 else None
    if not keys:
        return "the shapes of an attention in one operator are not known"
    return Site(
        scores=number,
        mix=number,
        query=query,
        key=key,
        value=value,
        out=out,
        rows=rows,
        keys=keys,
        heads=heads,
        head_size=head_size,
        value_size=head_size,
        kv_heads=kv_heads,
        crosses=crosses,
        cached=not crosses and batch is not None and rows // batch != keys,
        batch=batch,
    )


def _stated_heads(op: Op, shapes: Sequence[tuple[int | None, ...]], hidden: int) -> tuple[int | None, int | None]:
    """Heads and their features, by the attributes; in a print, which has none, by an operand that has an axis of heads."""
    heads, head_size = op.attrs.get("num_heads"), op.attrs.get("query_head_size")
    if isinstance(heads, int) and heads > 0 and hidden % heads == 0:
        return heads, hidden // heads
    if isinstance(head_size, int) and head_size > 0 and hidden % head_size == 0:
        return hidden // head_size, head_size
    by_shape = {shape[-1] for shape in shapes if len(shape) == 4 and shape[-1]}
    if len(by_shape) == 1:
        (found,) = by_shape
        if found and hidden % found == 0:
            return hidden // found, found
    return None, None


def _same_source(products: Products, query: int, key: int) -> bool:
    """Whether two linear layers read one sequence, each through a norm of its own or not."""
    if query == key:
        return True
    a, b = (products.all[number].operands[0] for number in (query, key))
    return a == b or stream_of(products, a) == stream_of(products, b)


def stream_of(products: Products, lbn: str) -> str:
    """What a tensor was before norms, casts and views: the residual stream, a sum of two, or what a product made."""
    graph = products.graph
    for _ in range(_FAR):
        index = graph.edges.maker(lbn)
        if index is None or graph.ops[index].type in products.book.contractions:
            return lbn
        sizes = {operand.lbn: products.type(operand).numel or 0 for operand in graph.ops[index].inputs if products.is_real(operand)}
        if not sizes:
            return lbn
        most = max(sizes.values())
        largest = [one for one, size in sizes.items() if size == most]
        if len(largest) != 1 or most != products.numel(lbn):
            return lbn
        lbn = largest[0]
    return lbn
