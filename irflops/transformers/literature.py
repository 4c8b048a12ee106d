"""Which closed forms there are, with their sources, and which of them a graph has the sizes for."""

from __future__ import annotations

from dataclasses import dataclass

from irflops.transformers.forms import Assumed, Form, Measured, by_parameters, by_sizes
from irflops.transformers.structure import Transformer

_SCALING = "Kaplan et al. 2020, Scaling Laws for Neural Language Models, table 1"
_HOFFMANN = "Hoffmann et al. 2022, Training Compute-Optimal Large Language Models, appendix F"
_PALM = "Chowdhery et al. 2022, PaLM, appendix B"
_NARAYANAN = "Narayanan et al. 2021, Efficient Large-Scale Language Model Training on GPU Clusters, appendix: all blocks recomputed"
_KORTHIKANTI = "Korthikanti et al. 2022, Reducing Activation Recomputation in Large Transformer Models, appendix A"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A form that a graph lacks a size for."""

    name: str
    why: str


def forms_of(of: Measured) -> tuple[tuple[Form, ...], tuple[LeftOut, ...]]:
    """All forms that hold for a graph; those of training beside a graph with gradients, else their forward third."""
    each = of.factor
    name = f"{each} T P"
    found = [by_parameters(name, f"{_SCALING}, with every parameter", f"{each} T P", of)]
    if of.transformer is None:
        return tuple(found), ()
    without = f"{each} T (P - tables)"
    found.append(by_parameters(without, f"{_SCALING}, without tables", without, of, tables=False))
    left_out = []
    for title, lacks in (("attention's", ("sequence",)), ("sizes'", ("sequence", "heads", "ffn"))):
        missing = [field for field in lacks if not _has(of, of.transformer, field)]
        if missing:
            reasons = "; ".join(f"{field}: {of.transformer.reasons.get(field, 'not known')}" for field in missing)
            left_out += [LeftOut(form, reasons) for form in _NAMES[title]]
            continue
        found += _with_attention(of, of.transformer) if title == "attention's" else _with_sizes(of, of.transformer)
    return tuple(found), tuple(left_out)


_NAMES = {
    "attention's": ("PaLM", "causal half", "Megatron 2022", "Megatron 2021"),
    "sizes'": ("Kaplan", "Chinchilla"),
}
"""Forms that take the length of sequences, and those that take heads and the width of feed-forward layers too."""


def _has(of: Measured, transformer: Transformer, field: str) -> bool:
    """Whether a size is known: the length of sequences may differ from stack to stack."""
    if field == "sequence":
        return all(stack.sequence is not None for stack in of.stacks) and ("batch" not in transformer.reasons)
    return transformer.sizes[field] is not None


def _with_attention(of: Measured, transformer: Transformer) -> list[Form]:
    """Forms that take l, h, s, and V where there is one."""
    each, scored, blocks = of.factor, of.scored, of.blocks
    found = [
        by_parameters(
            "PaLM",
            _PALM,
            f"T ({each} P + {2 * each} l h s)",
            of,
            scores=2 * each * scored,
        ),
        by_parameters(
            "causal half",
            f"{_SCALING}: half of the scores, as a causal mask leaves them",
            f"T ({each} (P - tables) + {each} l h s)",
            of,
            tables=False,
            scores=each * scored,
            halves=True,
        ),
    ]
    logits = each * of.head_tokens * of.size("hidden") * of.size("vocabulary")
    has_words = of.size("vocabulary") > 0
    whole = Assumed(
        projections=4 * each * blocks,
        feed_forward=8 * each * blocks,
        attention=2 * each * scored,
        logits=logits,
    )
    words = " + V/12lh" if has_words else ""
    found.append(by_sizes("Megatron 2022", _KORTHIKANTI, f"{12 * each} B s l h^2 (1 + s/6h{words})", of, transformer, whole))
    if of.amounts.trains:
        again = Assumed(
            projections=whole.projections,
            feed_forward=whole.feed_forward,
            attention=whole.attention,
            logits=logits,
            recompute=24 * blocks + 4 * scored,
        )
        words = " + V/16lh" if has_words else ""
        title = "Megatron 2021"
        found.append(by_sizes(title, _NARAYANAN, f"96 B s l h^2 (1 + s/6h{words})", of, transformer, again))
    return found


def _with_sizes(of: Measured, transformer: Transformer) -> list[Form]:
    """Forms that take heads and the width of feed-forward layers as they are."""
    each, hidden = of.factor, of.size("hidden")
    heads, ffn, vocabulary = of.size("heads"), of.size("ffn"), of.size("vocabulary")
    head_size = next((site.head_size for site in transformer.sites if not site.crosses and site.head_size), 0) or 0
    width = heads * head_size
    rows = of.over_stacks(lambda stack: stack.layers * stack.tokens)
    scores = of.over_stacks(lambda stack: stack.layers * stack.tokens * (stack.sequence or 0))
    kaplan = Assumed(
        projections=4 * each * rows * hidden * width,
        feed_forward=2 * each * rows * hidden * ffn,
        attention=each * scores * width,
        halves=True,
    )
    chinchilla = Assumed(
        projections=kaplan.projections,
        feed_forward=kaplan.feed_forward,
        attention=2 * each * scores * width,
        logits=each * of.head_tokens * hidden * vocabulary,
        tables=each * of.tokens * hidden * vocabulary,
        softmax=each // 2 * 3 * heads * scores,
    )
    return [
        by_sizes(
            "Kaplan",
            _SCALING,
            f"T ({each} N + {each} l s a), N = 2 h l (2 a + f)",
            of,
            transformer,
            kaplan,
        ),
        by_sizes(
            "Chinchilla",
            _HOFFMANN,
            f"T ({each} V h + l ({4 * each} h a + {2 * each} s a + {3 * each // 2} n s + {2 * each} h f) + {each} h V)",
            of,
            transformer,
            chinchilla,
        ),
    ]
