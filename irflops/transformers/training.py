"""What each product of a forward pass costs in the rest of a training step: in its gradients, and when it is computed again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from irflops.ir.graph import Op, Operand, Phase
from irflops.transformers.products import Kind, Products

_FAR = 16
"""Views, casts and boxing between a tensor and the gradient that reads it."""


@dataclass(frozen=True, slots=True)
class Work:
    """Multiply-accumulates of a step, over all runs."""

    forward: tuple[int, ...]
    """By product."""
    backward: tuple[int, ...]
    """By product, of its gradients."""
    recomputed: int
    """Of products that are computed again for the backward pass, in operators of their own or inside that of a gradient."""
    elsewhere: int
    """Of contractions that belong to no product of the forward pass."""

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.forward) + sum(self.backward) + self.recomputed + self.elsewhere


def work_of(products: Products) -> Work:
    """The work of each product in a step, by who reads what it multiplied."""
    graph, costs = products.graph, products.costs
    forward = [product.macs * graph.ops[product.op].runs for product in products.all]
    backward = [0] * len(forward)
    recomputed, elsewhere = 0, 0
    known = {product.op for product in products.all}
    gradients = _Gradients(products)
    for index in graph.edges.order:
        op = graph.ops[index]
        if op.type not in products.book.contractions or index in known:
            continue
        macs = costs[index].cost.get("macs") * op.runs
        if op.phase is Phase.RECOMPUTE:
            recomputed += macs
            continue
        number = gradients.product_of(op, macs) if op.phase is Phase.BACKWARD else None
        if number is None:
            elsewhere += macs
            continue
        again = max(0, macs - 2 * forward[number]) if products.all[number].kind is Kind.ATTENTION else 0
        backward[number] += macs - again
        recomputed += again
    ordered = set(graph.edges.order)
    missed = sum(costs[index].cost.get("macs") * op.runs for index, op in enumerate(graph.ops) if index not in ordered)
    return Work(tuple(forward), tuple(backward), recomputed, elsewhere + missed)


class _Gradients:
    """Which product a contraction of the backward pass is a gradient of: one that multiplied what it multiplies."""

    def __init__(self, products: Products) -> None:
        self._products = products
        self._originals = _originals(products)
        self._by_tensor: dict[str, list[int]] = {}
        self._by_weight: dict[int, list[int]] = {}
        self._open: list[int] = []
        for number, product in enumerate(products.all):
            self._open.append(2)
            for lbn in {near for operand in product.operands for near in self._behind(operand)}:
                self._by_tensor.setdefault(lbn, []).append(number)
            if product.weight is not None:
                self._by_weight.setdefault(product.weight, []).append(number)

    def product_of(self, op: Op, macs: int) -> int | None:
        """The product that a contraction is a gradient of, None where it reads nothing that one multiplied."""
        numbers = dict.fromkeys(number for operand in op.inputs for number in self._near(operand))
        runs = self._products.graph.ops
        known = [number for number in numbers if self._products.all[number].macs]

        def fits(number: int) -> tuple[bool, bool, bool]:
            product = self._products.all[number]
            of_one = product.macs * runs[product.op].runs
            return macs % of_one == 0, macs == of_one, self._open[number] > 0

        best = max(known, key=fits, default=None)  # of several that fit alike the first
        if best is None or (not fits(best)[0] and self._products.all[best].kind is not Kind.ATTENTION):
            return None
        self._open[best] -= 1
        return best

    def _near(self, operand: Operand) -> Iterator[int]:
        for root in self._products.roots.get(operand.lbn, ()):
            yield from self._by_weight.get(root, ())
        for lbn in self._behind(operand.lbn):
            yield from self._by_tensor.get(lbn, ())

    def _behind(self, lbn: str) -> Iterator[str]:
        """A tensor, and what it is a view, a cast or a copy of; of one that was computed again the first."""
        graph = self._products.graph
        for _ in range(_FAR):
            lbn = self._originals.get(lbn, lbn)
            yield lbn
            index = graph.edges.maker(lbn)
            if index is None or graph.ops[index].type in self._products.book.contractions:
                return
            data = [operand for operand in graph.ops[index].inputs if self._products.is_data(operand)]
            if len(data) != 1 or self._products.numel(data[0].lbn) != self._products.numel(lbn):
                return
            lbn = data[0].lbn


def _originals(products: Products) -> dict[str, str]:
    """By tensor that was computed again the one of the forward pass: an operator of the same type on the same operands makes it.

    Of several that do, as those that cut a tensor in parts, it is the one of the same counter; without counters, of the same attributes.
    """
    graph = products.graph
    if not any(op.phase is Phase.RECOMPUTE for op in graph.ops):
        return {}
    forward: dict[tuple[object, ...], list[Op]] = {}
    for op in graph.ops:
        if products.is_forward(op):
            forward.setdefault(_key(op, {}), []).append(op)
    found: dict[str, str] = {}
    for index in graph.edges.order:
        op = graph.ops[index]
        alike = forward.get(_key(op, found)) if op.phase is Phase.RECOMPUTE else None
        if alike:
            first = next((one for one in alike if one.number == op.number), None) or _with_attributes(alike, op)
            found.update((again.lbn, made.lbn) for again, made in zip(op.outputs, first.outputs, strict=False))
    return found


def _key(op: Op, found: dict[str, str]) -> tuple[object, ...]:
    return op.type, *((operand.arg, operand.index, found.get(operand.lbn, operand.lbn)) for operand in op.inputs)


def _with_attributes(alike: Sequence[Op], op: Op) -> Op:
    """Of several operators the first with the attributes of another, else the first."""
    return next((one for one in alike if one.attrs == op.attrs), alike[0])
