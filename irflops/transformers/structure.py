"""A graph as a transformer: its blocks, their sizes, and the operators by which each size is known."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from irflops.counting.cost import OpCost
from irflops.ir.graph import Graph, Phase, TensorType
from irflops.ops.book import RuleBook
from irflops.transformers.attention import Site, sites_of, stream_of
from irflops.transformers.feed_forward import FeedForward, feed_forwards
from irflops.transformers.lookups import Lookup, lookups_of, tokens_of
from irflops.transformers.products import Kind, Products

FIELDS = ("layers", "hidden", "heads", "kv_heads", "ffn", "sequence", "vocabulary", "batch")
"""What closed forms take, in the order of the JSON."""


class Role(enum.Enum):
    """What a product of the forward pass is for."""

    PROJECTION = "projection"
    """Makes queries, keys or values of a sequence, or follows its own attention."""
    ATTENTION = "attention"
    CROSS = "cross attention"
    """Any product of an attention from one sequence to another."""
    FEED_FORWARD = "feed-forward"
    EXPERT = "expert"
    """A feed-forward layer beside others, or what says which of them a token goes to."""
    HEAD = "head"
    """Makes logits: of words, or of classes."""
    PATCHES = "patch embedding"
    """A convolution, or linear layer, over what goes into the graph."""
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Stack:
    """Blocks one after the other over one sequence."""

    layers: int
    tokens: int
    """Rows of the residual stream in a step, over all micro-batches."""
    sequence: int | None
    """Positions that attend to one another."""
    sites: tuple[Site, ...]
    """The attentions of the sequence to itself, one a block."""


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """A graph as a transformer. A size is None where it cannot be told, and `reasons` says why."""

    products: Products
    roles: tuple[Role, ...]
    """By product."""
    sites: tuple[Site, ...]
    feeds: tuple[FeedForward, ...]
    stacks: tuple[Stack, ...]
    sizes: Mapping[str, int | None]
    """By FIELDS."""
    reasons: Mapping[str, str]
    """By field that is None, why."""
    found_at: Mapping[str, tuple[int, ...]]
    """By field that is known the operators that tell it, by position."""
    head: int | None
    """The product that makes logits."""
    table: Lookup | None
    """The table that tokens look up."""

    @property
    def tokens(self) -> int:
        """Rows of the residual streams in a step: those of an encoder and a decoder together."""
        return sum(stack.tokens for stack in self.stacks)

    @property
    def is_gated(self) -> bool:
        """Whether its feed-forward layers multiply two parts."""
        return any(feed.gated for feed in self.feeds)

    @property
    def experts(self) -> int:
        """Feed-forward weights side by side in a block; 1 without experts."""
        return max((feed.experts for feed in self.feeds), default=1)

    @property
    def head_size(self) -> int | None:
        """Features of a head; None where attentions differ or it is not known."""
        sizes = {site.head_size for site in self.sites}
        return sizes.pop() if len(sizes) == 1 else None

    @property
    def is_tied(self) -> bool | None:
        """Whether logits are made by the table that tokens look up; None without both."""
        if self.head is None or self.table is None:
            return None
        return self.products.all[self.head].weight == self.table.table


@dataclass(frozen=True, slots=True)
class NoTransformer:
    """Why a graph is none."""

    missing: str
    products: Products
    tokens: int | None
    """Elements of the inputs that index the table of most rows; None where none does."""


def recognised(graph: Graph, types: Mapping[str, TensorType], costs: Sequence[OpCost], book: RuleBook) -> Transformer | NoTransformer:
    """A graph as a transformer, or why it is none."""
    products = Products(graph, types, costs, book)
    lookups = lookups_of(products)
    tokens = tokens_of(products, lookups)

    def none(missing: str) -> NoTransformer:
        return NoTransformer(missing, products, tokens)

    if graph.training and any(op.phase is None for op in graph.ops):
        return none("the phases of its step are not known, so that no forward pass can be looked at by itself")
    sites = sites_of(products)
    own = [site for site in sites.found if not site.crosses]
    if not sites.found:
        if not sites.refused:
            return none("no attention: no product of activations whose softmax is multiplied with other activations")
        reasons = Counter(reason for reason, _ in sites.refused)
        return none(f"no attention of a transformer: {reasons.most_common(1)[0][0]}")
    if not own:
        return none("no sequence that attends to itself: each attention is from one sequence to another")
    widths = sorted({products.all[site.out].width for site in sites.found})
    if len(widths) > 1:
        return none(f"no one width: its blocks are of {_several(widths)} features, and closed forms hold for one")
    return _transformer(products, sites.found, lookups)


def _several(values: Iterable[int]) -> str:
    return ", ".join(f"{value:,}" for value in values)


class _Sizes:
    """Sizes as they are found, with the operators that tell them, or the reason why they are not known."""

    def __init__(self, products: Products) -> None:
        self._products = products
        self.values: dict[str, int | None] = {}
        self.reasons: dict[str, str] = {}
        self.found_at: dict[str, tuple[int, ...]] = {}

    def one(self, field: str, values: Iterable[int | None], products: Iterable[int], unknown: str, several: str) -> int | None:
        """A size that all tell alike; `several` says what differs, with `{}` for the sizes."""
        told = set(values)
        known = sorted(value for value in told if value is not None)
        if len(told) == 1 and known:
            self.set(field, known[0], products)
        elif None in told or not told:
            self.lack(field, unknown)
        else:
            self.lack(field, several.format(_several(known)))
        return self.values[field]

    def set(self, field: str, value: int, products: Iterable[int]) -> None:
        self.values[field] = value
        self.found_at[field] = tuple(sorted({self._products.all[number].op for number in products}))

    def lack(self, field: str, reason: str) -> None:
        self.values[field], self.reasons[field] = None, reason


def _transformer(products: Products, sites: tuple[Site, ...], lookups: Sequence[Lookup]) -> Transformer:
    own = [site for site in sites if not site.crosses]
    hidden = products.all[sites[0].out].width
    roles = [_default_role(products, number) for number in range(len(products.all))]
    for site in sites:
        for number in site.products:
            roles[number] = Role.CROSS if site.crosses else Role.ATTENTION
        for number in site.layers:
            roles[number] = Role.CROSS if site.crosses else Role.PROJECTION
    taken = {number for site in sites for number in site.layers}
    feeds = feed_forwards(products, hidden, taken)
    for feed in feeds:
        for number in (*feed.up, feed.down):
            roles[number] = Role.EXPERT if feed.experts > 1 else Role.FEED_FORWARD
    for number in _routers(products, roles, feeds):
        roles[number] = Role.EXPERT
    table = max(lookups, key=lambda lookup: lookup.rows, default=None)
    head = _head(products, roles, table)
    last = head if head is not None else _last(products, roles)
    if last is not None:
        roles[last] = Role.HEAD
    stacks = _stacks(products, sites)
    sizes = _Sizes(products)
    sizes.set("layers", len(own), (site.out for site in own))
    sizes.set("hidden", hidden, (site.out for site in sites))
    sizes.one(
        "heads",
        (site.heads for site in sites),
        (site.scores for site in own),
        "the scores do not tell how many heads there are",
        "its attentions have {} heads",
    )
    sizes.one(
        "kv_heads",
        (site.kv_heads for site in sites),
        (site.key for site in own),
        "the layers that make keys and values have no whole number of heads",
        "its attentions have {} heads of keys and values",
    )
    sizes.one(
        "ffn",
        (feed.width for feed in feeds),
        (number for feed in feeds for number in (*feed.up, feed.down)),
        "no pair of linear layers widens the residual stream and adds to it",
        "its feed-forward layers are {} features wide",
    )
    _set_sequence(products, sizes, own, stacks)
    _set_vocabulary(products, sizes, head, table)
    return Transformer(
        products=products,
        roles=tuple(roles),
        sites=sites,
        feeds=feeds,
        stacks=tuple(Stack(len(group), _tokens(products, group[0]), _sequence(products, group), tuple(group)) for group in stacks),
        sizes={field: sizes.values[field] for field in FIELDS},
        reasons=sizes.reasons,
        found_at=sizes.found_at,
        head=head,
        table=table,
    )


def _routers(products: Products, roles: Sequence[Role], feeds: Sequence[FeedForward]) -> list[int]:
    """The linear layers that weigh experts: as wide as there are experts, over the stream that these read."""
    experts = {feed.stream: feed.experts for feed in feeds if feed.experts > 1}
    return [
        number
        for number, product in enumerate(products.all)
        if experts
        and roles[number] is Role.OTHER
        and product.kind is Kind.WEIGHT
        and experts.get(stream_of(products, product.operands[0])) == product.width
    ]


def _default_role(products: Products, number: int) -> Role:
    product = products.all[number]
    first = product.kind in (Kind.CONV, Kind.WEIGHT) and product.before == frozenset()
    return Role.PATCHES if first else Role.OTHER


def _head(products: Products, roles: Sequence[Role], table: Lookup | None) -> int | None:
    """The linear layer that makes logits: with the table that tokens look up, or at least as wide as that has rows, behind a block."""
    if table is None:
        return None
    free = [
        number
        for number, product in enumerate(products.all)
        if roles[number] is Role.OTHER and product.kind is Kind.WEIGHT and (product.weight == table.table or product.width >= table.rows)
    ]
    tied = [number for number in free if products.all[number].weight == table.table]
    return max(tied or free, key=lambda number: products.all[number].macs, default=None)


def _last(products: Products, roles: Sequence[Role]) -> int | None:
    """The linear layer behind all blocks that no other reads: that of classes, where there are no tokens."""
    read = {number for product in products.all for number in product.before or ()}
    free = [
        number
        for number, product in enumerate(products.all)
        if roles[number] is Role.OTHER and product.kind is Kind.WEIGHT and number not in read
    ]
    return free[0] if len(free) == 1 else None


def _tokens(products: Products, site: Site) -> int:
    return site.rows * products.graph.ops[products.all[site.out].op].runs


def _stacks(products: Products, sites: Sequence[Site]) -> list[list[Site]]:
    """The attentions of sequences to themselves, those of one residual stream together."""
    last: dict[str, int] = {}  # by tensor the attention before it, by its place in `sites`
    group = list(range(len(sites)))
    mixes = {products.all[number].op: place for place, site in enumerate(sites) for number in site.products}
    graph = products.graph

    def find(place: int) -> int:
        while group[place] != place:
            group[place] = group[group[place]]
            place = group[place]
        return place

    for index in graph.edges.order:
        op = graph.ops[index]
        if not products.is_forward(op):
            continue
        behind = max((last[operand.lbn] for operand in op.inputs if operand.lbn in last), default=None)
        place = mixes.get(index)
        if place is not None:
            before = last.get(products.all[sites[place].query].operands[0])
            if before is not None and index == products.all[sites[place].mix].op:
                group[find(place)] = find(before)
            behind = place
        if behind is not None:
            last.update((result.lbn, behind) for result in op.outputs)
    found: dict[int, list[Site]] = {}
    for place, site in enumerate(sites):
        if not site.crosses:
            found.setdefault(find(place), []).append(site)
    return list(found.values())


def _sequence(products: Products, sites: Sequence[Site]) -> int | None:
    found = {site.rows // site.batch if site.batch and site.rows % site.batch == 0 else None for site in sites}
    (one,) = found if len(found) == 1 else (None,)
    return one


def _set_sequence(products: Products, sizes: _Sizes, own: Sequence[Site], stacks: Sequence[Sequence[Site]]) -> None:
    """Positions of a sequence and sequences of a step, where an input of the graph has as many."""
    lengths = [_sequence(products, group) for group in stacks]
    scores = [site.scores for site in own]
    sizes.one(
        "sequence",
        lengths,
        scores,
        "its attentions do not tell how long a sequence is",
        "its stacks of blocks work on sequences of {} positions",
    )
    runs = {site.out: products.graph.ops[products.all[site.out].op].runs for site in own}
    batches = [site.batch for site in own]
    steps = [None if site.batch is None else site.batch * runs[site.out] for site in own]
    unknown, several = "its attentions do not tell how many sequences there are", "its attentions work on {} sequences"
    if sizes.one("batch", steps, scores, unknown, several) is None:
        return
    if not _is_fed(products, {batch for batch in (*batches, *steps) if batch is not None}, own):
        windows = f"attention is over windows: no input of the graph has {_several({site.batch or 0 for site in own})} samples"
        for field in ("batch", "sequence"):
            sizes.lack(field, windows)
            sizes.found_at.pop(field, None)


def _is_fed(products: Products, batches: set[int], own: Sequence[Site]) -> bool:
    """Whether some input has as many samples, or is one row of all tokens."""
    ops, tokens = products.graph.ops, {site.rows for site in own}
    for op in ops:
        if op.inputs or op.type == "variable" or op.phase not in (None, Phase.FORWARD, Phase.SYSTEM):
            continue
        for result in op.outputs:
            found = products.types.get(result.lbn)
            shape = (found.shape or ()) if found is not None else ()
            if batches & set(shape) or (len(shape) == 1 and shape[0] in tokens) or not batches - {1}:
                return True
    return False


def _set_vocabulary(products: Products, sizes: _Sizes, head: int | None, table: Lookup | None) -> None:
    if table is None:
        sizes.lack("vocabulary", "no input of the graph looks up a table of tokens")
        return
    if head is not None:
        sizes.set("vocabulary", products.all[head].width, [head])
        return
    sizes.set("vocabulary", table.rows, ())
    sizes.found_at["vocabulary"] = (table.op,)
