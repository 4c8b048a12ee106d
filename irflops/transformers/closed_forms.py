"""A graph beside the closed forms of transformers: its structure, its own count, each form, and by how much they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from irflops.counting.cost import Cost, OpCost
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Graph, TensorType
from irflops.ops.book import RuleBook
from irflops.transformers.amounts import amounts_of
from irflops.transformers.forms import Form, Measured
from irflops.transformers.literature import LeftOut, forms_of
from irflops.transformers.serving import Serving, serving_of
from irflops.transformers.structure import FIELDS, NoTransformer, Transformer, recognised


@dataclass(frozen=True)
class ClosedForms:
    """What closed forms say of a graph, in FLOPs of a step or pass, and what it is counted to be."""

    graph: Graph
    transformer: Transformer | None
    missing: str | None
    """What was looked for in vain, where it is no transformer."""
    tokens: int | None
    """T: rows of the residual stream in a step; of a graph that is no transformer, the tokens that it looks up. None without."""
    total: Cost
    measured: Measured | None
    forms: tuple[Form, ...]
    left_out: tuple[LeftOut, ...]
    serving: Serving | None
    """What a decode step moves; None where nothing generates tokens."""

    def __repr__(self) -> str:
        sizes = ", ".join(f"{field}={size}" for field, size in self.structure.items()) if self.transformer is not None else self.missing
        return f"<Closed forms of {self.graph.name}: {sizes}>"

    @property
    def structure(self) -> Mapping[str, int | None]:
        """Its sizes by name, None where one cannot be told; nothing where it is no transformer."""
        return self.transformer.sizes if self.transformer is not None else {}

    @property
    def flops(self) -> int:
        """FLOPs of a step, as counted."""
        return self.total.get("flops")

    @property
    def contractions(self) -> int:
        """FLOPs of its contractions: two for each multiply-accumulate."""
        return 2 * self.total.get("macs")

    @property
    def doubt(self) -> str | None:
        """Why differences cannot be told, where they cannot: what is counted of products or of parameters is a bound alone."""
        if not self.total.is_exact("macs"):
            return "the contractions are not all known, so that the count is a bound and no difference can be told"
        if not self.total.is_exact("params.trainable"):
            return "which variables are trained is not known for sure, so that no difference can be told"
        return None

    @property
    def other_work(self) -> Certainty:
        """How sure the term `other work` is; all other terms are exact where differences are told at all."""
        return self.total.certainty("flops")

    def to_dict(self) -> dict[str, Any] | None:
        """Plain data, the member `closed_forms` of the JSON; None for a graph without tokens."""
        if self.tokens is None:
            return None
        return {
            "structure": self._structure_row(),
            "missing": self.missing,
            "unknown": dict(self.transformer.reasons) if self.transformer is not None else {},
            "found_at": self._found_row(),
            "tokens": self.tokens,
            "counted": {
                "flops": self.flops,
                "contractions": self.contractions,
                "certainty": {"flops": str(self.total.certainty("flops")), "contractions": str(self.total.certainty("macs"))},
                "params": self.total.get("params.trainable"),
                "tables": self.measured.amounts.tables if self.measured is not None else 0,
            },
            "forms": [self._form_row(form) for form in self.forms],
            "left_out": [{"name": form.name, "why": form.why} for form in self.left_out],
            "doubt": self.doubt,
            "serving": self.serving.to_dict() if self.serving is not None else None,
        }

    def _structure_row(self) -> dict[str, Any] | None:
        found = self.transformer
        if found is None:
            return None
        return {
            **{field: found.sizes[field] for field in FIELDS},
            "gated": found.is_gated if found.feeds else None,
            "experts": found.experts,
            "tied": found.is_tied,
            "head_size": found.head_size,
            "stacks": [{"layers": stack.layers, "sequence": stack.sequence, "tokens": stack.tokens} for stack in found.stacks],
        }

    def _found_row(self) -> dict[str, list[dict[str, Any]]]:
        if self.transformer is None:
            return {}
        places = {field: self.transformer.found_at.get(field, ()) for field in FIELDS}
        ops = self.graph.ops
        return {field: [{"op": ops[at].name, "line": self.line(at)} for at in found] for field, found in places.items() if found}

    def _form_row(self, form: Form) -> dict[str, Any]:
        told = self.doubt is None
        return {
            "name": form.name,
            "source": form.source,
            "formula": form.formula,
            "flops": form.flops,
            "difference": dict(form.difference) if told else None,
            "certainty": str(self.other_work) if told else None,
        }

    def line(self, index: int) -> int | None:
        """The line of an operator in its file."""
        span = self.graph.ops[index].span
        return self.graph.source.line(span.start) if span is not None else None


def closed_forms_of(
    graph: Graph, types: Mapping[str, TensorType], costs: Sequence[OpCost], total: Cost, book: RuleBook, context: int | None = None
) -> ClosedForms:
    """The closed forms of an analyzed graph. `context` is the length that serving is asked for, unless given that of its sequences."""
    found = recognised(graph, types, costs, book)
    transformer = found if isinstance(found, Transformer) else None
    missing = found.missing if isinstance(found, NoTransformer) else None
    if found.tokens is None:
        return ClosedForms(graph, transformer, missing, None, total, None, (), (), None)
    amounts = amounts_of(found.products, transformer)
    measured = Measured(amounts, transformer, found.tokens, total.get("flops"), 2 * total.get("macs"))
    forms, left_out = forms_of(measured)
    serving = serving_of(transformer, total, context) if transformer is not None else None
    return ClosedForms(graph, transformer, missing, found.tokens, total, measured, forms, left_out, serving)
