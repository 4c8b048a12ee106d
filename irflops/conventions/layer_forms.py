"""The formulas that articles give for a convolution or a fully connected layer, beside what irflops counts for it.

All are of outputs N and the taps n of each: n = Ci/g K1 K2 of a convolution, the input features of a linear layer. They differ in whether
a sum of n products takes n - 1 additions or n, in what a bias is, and in whether an activation counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from irflops.analysis.analysis import Analysis
from irflops.analysis.rows import Row
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Phase
from irflops.lifting.steps import Step

KINDS = ("conv", "linear")
"""Kinds of step that the formulas are of."""


@dataclass(frozen=True, slots=True)
class LayerFormula:
    """A formula of outputs N and taps n."""

    name: str
    formula: str
    of: Callable[[int, int], int]
    """Its value, for outputs and taps."""
    why: str


FORMULAS: tuple[LayerFormula, ...] = (
    LayerFormula("macs", "n N", lambda n, outputs: n * outputs, "multiply-accumulates; often printed as FLOPs"),
    LayerFormula("without_bias", "(2 n - 1) N", lambda n, outputs: (2 * n - 1) * outputs, "n products and n - 1 additions"),
    LayerFormula(
        "with_bias", "2 n N", lambda n, outputs: 2 * n * outputs, "a bias is the n-th addition; or 2 FLOPs for each multiply-accumulate"
    ),
    LayerFormula(
        "bias_as_tap", "2 (n + 1) N", lambda n, outputs: 2 * (n + 1) * outputs, "a bias is one more tap: Molchanov et al. 2017, appendix"
    ),
    LayerFormula("activation", "(2 n + 1) N", lambda n, outputs: (2 * n + 1) * outputs, "with bias, and one operation of an activation"),
)
"""In the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class LayerForms:
    """One layer by the formulas of articles, in FLOPs of one run over the whole batch."""

    name: str
    """The operator that it is named after."""
    kind: str
    line: int | None
    outputs: int
    """N."""
    taps: int
    """n."""
    bias: bool
    flops: int
    """As irflops counts them, with the bias."""
    certainty: Certainty

    def value(self, formula: LayerFormula) -> int:
        """What a formula gives."""
        return formula.of(self.taps, self.outputs)

    def to_dict(self) -> Row:
        """Plain data, for the JSON."""
        return {
            "op": self.name,
            "kind": self.kind,
            "line": self.line,
            "outputs": self.outputs,
            "taps": self.taps,
            "bias": self.bias,
            "counted": {"flops": self.flops, "certainty": str(self.certainty)},
            "forms": [
                {"name": form.name, "formula": form.formula, "flops": self.value(form), "difference": self.flops - self.value(form)}
                for form in FORMULAS
            ],
        }


def layer_forms_of(analysis: Analysis, step: Step) -> LayerForms | None:
    """The formulas for a call of a layer; None where it is no convolution or linear layer, or its sizes are not known."""
    if step.kind not in KINDS or step.phase is not Phase.FORWARD or not step.macs or step.y is None or None in step.y:
        return None
    outputs = math.prod(extent or 0 for extent in step.y)
    if not outputs or step.macs % outputs:
        return None
    costs = [analysis.costs[index].cost for index in step.ops]
    certainty = Certainty.EXACT
    for cost in costs:
        certainty |= cost.certainty("flops")
    return LayerForms(
        name=step.op.name,
        kind=step.kind,
        line=analysis.line(step.op),
        outputs=outputs,
        taps=step.macs // outputs,
        bias=step.bias > 0,
        flops=sum(cost.get("flops") for cost in costs),
        certainty=certainty,
    )


def layers_of(analysis: Analysis) -> tuple[LayerForms, ...]:
    """All convolutions and linear layers of the forward pass, in the order of the file."""
    found = (layer_forms_of(analysis, step) for step in analysis.structure.steps)
    return tuple(layer for layer in found if layer is not None)
