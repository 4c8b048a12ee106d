"""Who reads a result in the forward pass: what rules on one reader alone share."""

from __future__ import annotations

from irflops.audit.facts import Facts, Use, only
from irflops.ir import Op, Phase

_AGAIN = frozenset({Phase.BACKWARD, Phase.RECOMPUTE})


def only_forward_use(op: Op, facts: Facts) -> Use | None:
    """The one operand slot that reads the op's results in the forward pass; gradients and recomputed ops may read them again."""
    return only(use for use in facts.uses(op) if use.op.phase not in _AGAIN)
