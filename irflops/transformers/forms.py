"""The closed forms of the literature, and by how much a graph's own count differs from each, term by term.

A difference is what the graph has more than the form, or less where it is negative. Terms are worked out each by itself; what they leave
of the whole difference is `unexplained`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from irflops.transformers.amounts import Amounts
from irflops.transformers.structure import Role, Stack, Transformer

BLOCK = (Role.PROJECTION, Role.FEED_FORWARD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A closed form for one graph."""

    name: str
    source: str
    formula: str
    flops: int
    difference: Mapping[str, int]
    """By term; with `flops` they sum to the FLOPs of the graph."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """FLOPs that a form has for each part of a transformer."""

    projections: int
    feed_forward: int
    attention: int
    logits: int = 0
    recompute: int = 0
    tables: int = 0
    softmax: int = 0
    halves: bool = False
    """Whether `attention` is of the half of the scores that a causal mask leaves."""

    @property
    def flops(self) -> int:
        """All of them."""
        return self.projections + self.feed_forward + self.attention + self.logits + self.recompute + self.tables + self.softmax


@dataclass(frozen=True)
class Measured:
    """A graph with all that its forms take. Sizes that are not known are 0, and no form that takes one is asked for."""

    amounts: Amounts
    transformer: Transformer | None
    tokens: int
    """T of the forms."""
    flops: int
    contractions: int

    @property
    def params(self) -> int:
        """P of the forms: trainable parameters, each once."""
        return sum(self.amounts.trainable.values())

    @property
    def factor(self) -> int:
        """FLOPs for each parameter and token: 2, or 6 with gradients."""
        return 2 * self.amounts.times

    def size(self, field: str) -> int:
        """A size of the transformer."""
        return (self.transformer.sizes[field] or 0) if self.transformer is not None else 0

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """Its stacks of blocks."""
        return self.transformer.stacks if self.transformer is not None else ()

    def over_stacks(self, of: Callable[[Stack], int]) -> int:
        """A sum over stacks: of an encoder and a decoder each has its own sequence."""
        return sum(map(of, self.stacks))

    @property
    def scored(self) -> int:
        """l T s h: features that scores are multiplied with, over blocks, tokens and positions."""
        hidden = self.size("hidden")
        return self.over_stacks(lambda stack: stack.layers * stack.tokens * (stack.sequence or 0) * hidden)

    @property
    def blocks(self) -> int:
        """l T h^2, over stacks."""
        hidden = self.size("hidden")
        return self.over_stacks(lambda stack: stack.layers * stack.tokens * hidden * hidden)

    @property
    def head_tokens(self) -> int:
        """Tokens of the stack that logits are made of: all of them unless that is one of several."""
        if self.transformer is None or self.transformer.head is None or len(self.stacks) < 2:
            return self.tokens
        product = self.amounts.products.all[self.transformer.head]
        rows = product.rows * self.amounts.products.graph.ops[product.op].runs
        return next((stack.tokens for stack in self.stacks if stack.tokens == rows), self.tokens)

    def left(self, flops: int, terms: Mapping[str, int]) -> dict[str, int]:
        """The terms that are not 0, first what none of them explains."""
        other_work = self.flops - self.contractions
        unexplained = self.flops - flops - other_work - sum(terms.values())
        everything = {"unexplained": unexplained, **terms, "other work": other_work}
        return {term: value for term, value in everything.items() if value}


def by_parameters(
    name: str, source: str, formula: str, of: Measured, *, tables: bool = True, scores: int = 0, halves: bool = False
) -> Form:
    """A form of 6 or 2 FLOPs for each parameter and token, with or without tables, and with FLOPs for attention or none."""
    amounts, each = of.amounts, of.factor * of.tokens
    flops = each * (of.params - (0 if tables else amounts.tables)) + scores
    terms: dict[str, int] = {}
    if of.transformer is not None:
        terms["attention"] = amounts.flops(Role.ATTENTION) - scores - (scores if halves else 0)
        terms["causal half"] = scores if halves else 0
        terms |= _by_role(of, each)
    terms["tables"] = -each * amounts.tables if tables else 0
    terms["biases and norms"] = -each * amounts.vectors
    terms["recompute"] = 2 * amounts.work.recomputed
    return Form(name=name, source=source, formula=formula, flops=flops, difference=of.left(flops, terms))


def _by_role(of: Measured, each: int) -> dict[str, int]:
    """Of products with weights, what they take beside 6 or 2 FLOPs for each parameter and token."""
    amounts = of.amounts
    products, ops = amounts.products.all, amounts.products.graph.ops
    block = [(number, products[number]) for number in amounts.of(*BLOCK)]
    rows = {number: product.rows * ops[product.op].runs for number, product in block}
    read = sum(product.depth * product.width for _, product in block if product.weight in amounts.trainable)
    frozen = sum(product.depth * product.width for _, product in block if product.weight not in amounts.trainable)
    return {
        "cross attention": amounts.flops(Role.CROSS) - each * amounts.params(Role.CROSS),
        "logits": amounts.flops(Role.HEAD) - each * amounts.params(Role.HEAD),
        "experts": amounts.flops(Role.EXPERT) - each * amounts.params(Role.EXPERT),
        "other rows": sum(of.factor * (rows[number] - of.tokens) * product.depth * product.width for number, product in block),
        "shared weights": each * (read - amounts.params(*BLOCK)),
        "frozen weights": each * frozen,
        "gradients not taken": _not_taken(amounts),
        **_outside(amounts, each),
    }


def _not_taken(amounts: Amounts) -> int:
    """Of the blocks' products, what they lack to two gradients each."""
    roles = (*BLOCK, Role.ATTENTION)
    return amounts.flops(*roles) - amounts.ideal(*roles)


def _outside(amounts: Amounts, each: int) -> dict[str, int]:
    """Products that are in no block: with `each` FLOPs for their parameters taken off."""
    return {
        "patch embedding": amounts.flops(Role.PATCHES) - each * amounts.params(Role.PATCHES),
        "other products": amounts.flops(Role.OTHER) - each * amounts.params(Role.OTHER),
    }


def by_sizes(name: str, source: str, formula: str, of: Measured, transformer: Transformer, assumed: Assumed) -> Form:
    """A form of the sizes of a transformer, part by part."""
    amounts = of.amounts
    experts = transformer.experts > 1
    widened = amounts.flops(Role.EXPERT) if experts else amounts.ideal(Role.FEED_FORWARD)
    feed = "experts" if experts else "gated ffn" if transformer.is_gated else "ffn width"
    terms = {
        **_projections(of, transformer, assumed),
        feed: widened - assumed.feed_forward,
        "attention": amounts.ideal(Role.ATTENTION) - assumed.attention * (2 if assumed.halves else 1),
        "causal half": assumed.attention if assumed.halves else 0,
        "logits": amounts.flops(Role.HEAD) - assumed.logits,
        "cross attention": amounts.flops(Role.CROSS),
        "gradients not taken": _not_taken(amounts),
        **_outside(amounts, 0),
        "tables": -assumed.tables,
        "softmax": -assumed.softmax,
        "recompute": 2 * amounts.work.recomputed - assumed.recompute,
    }
    if experts:
        terms["ffn width"] = amounts.ideal(Role.FEED_FORWARD)
    return Form(name=name, source=source, formula=formula, flops=assumed.flops, difference=of.left(assumed.flops, terms))


def _projections(of: Measured, transformer: Transformer, assumed: Assumed) -> dict[str, int]:
    """Of the layers that make queries, keys and values and follow attention: fewer heads of keys, heads of another width, other rows."""
    ops, products = of.amounts.products.graph.ops, of.amounts.products.all
    found = of.amounts.ideal(Role.PROJECTION)
    grouped = even = 0
    for site in transformer.sites:
        if site.crosses:
            continue
        each = of.factor * site.rows * ops[products[site.out].op].runs * of.size("hidden")
        if site.heads is None or site.kv_heads is None or site.head_size is None or site.value_size is None:
            return {"attention width": found - assumed.projections}
        features = site.head_size + site.value_size
        grouped += each * (site.kv_heads - site.heads) * features
        even += each * 2 * site.heads * features
    return {
        "grouped kv heads": grouped,
        "attention width": even - assumed.projections,
        "other rows": found - grouped - even,
    }
