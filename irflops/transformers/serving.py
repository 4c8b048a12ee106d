"""What a transformer holds and moves to generate a token: its weights, and the keys and values of the tokens before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from irflops.counting.cost import Cost
from irflops.ir.certainty import Certainty
from irflops.ir.graph import DType
from irflops.transformers.attention import Site
from irflops.transformers.structure import Transformer


@dataclass(frozen=True, slots=True)
class Serving:
    """Bytes of a decode step, one token of each sequence. None where a size is not known."""

    weight_bytes: int
    weight_certainty: Certainty
    cache_bytes_a_token: int | None
    """Keys and values that one token of one sequence leaves, over all layers."""
    context: int | None
    """Tokens before, of each sequence."""
    sequences: int | None

    @property
    def cache_bytes(self) -> int | None:
        """Keys and values of all sequences."""
        if self.cache_bytes_a_token is None or self.context is None or self.sequences is None:
            return None
        return self.cache_bytes_a_token * self.context * self.sequences

    @property
    def step_bytes(self) -> int | None:
        """What one step reads at least, every weight and the whole cache once: divided by a bandwidth the floor of its time."""
        return None if self.cache_bytes is None else self.weight_bytes + self.cache_bytes

    def floor_s(self, bandwidth: float | None) -> float | None:
        """Seconds of a step at least on one device that reads so many bytes a second; None where that is not known."""
        return self.step_bytes / bandwidth if self.step_bytes is not None and bandwidth else None

    def to_dict(self) -> dict[str, int | str | None]:
        """Plain data, for the JSON."""
        return {
            "weight_bytes": self.weight_bytes,
            "weight_certainty": str(self.weight_certainty),
            "cache_bytes_a_token": self.cache_bytes_a_token,
            "context": self.context,
            "sequences": self.sequences,
            "cache_bytes": self.cache_bytes,
            "step_bytes": self.step_bytes,
        }


def serving_of(transformer: Transformer, total: Cost, context: int | None) -> Serving | None:
    """What serving takes; None for a graph that looks up no tokens, and so generates none."""
    if transformer.sizes["vocabulary"] is None:
        return None
    sites = _generating(transformer)
    own = context if context is not None else _length(sites)
    return Serving(
        weight_bytes=total.get("param_bytes"),
        weight_certainty=total.certainty("param_bytes"),
        cache_bytes_a_token=_cache(transformer, sites),
        context=own,
        sequences=transformer.sizes["batch"],
    )


def _generating(transformer: Transformer) -> Sequence[Site]:
    """The attentions whose keys grow with each token: of an encoder and a decoder those of the stack that logits are made of."""
    head = transformer.head
    if len(transformer.stacks) == 1 or head is None:
        return [site for stack in transformer.stacks for site in stack.sites]
    product = transformer.products.all[head]
    rows = product.rows * transformer.products.graph.ops[product.op].runs
    stack = next((stack for stack in transformer.stacks if stack.tokens == rows), transformer.stacks[-1])
    return stack.sites


def _length(sites: Sequence[Site]) -> int | None:
    lengths = {site.keys for site in sites}
    return lengths.pop() if len(lengths) == 1 else None


def _cache(transformer: Transformer, sites: Sequence[Site]) -> int | None:
    total = 0
    for site in sites:
        dtype = _dtype(transformer, site)
        if site.kv_heads is None or site.head_size is None or site.value_size is None or dtype is None:
            return None
        total += dtype.nbytes(site.kv_heads * (site.head_size + site.value_size))
    return total


def _dtype(transformer: Transformer, site: Site) -> DType | None:
    result = transformer.products.all[site.key].result
    found = transformer.products.types.get(result)
    return found.dtype if found is not None else None
