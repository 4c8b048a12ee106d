"""Update formulas of optimizers per element of the model, written out step by step.

w is the model, g its model_diff, lr the learning rate, wd the weight decay; n = numel(model). What is the same for all elements and comes
from coefficients alone (1 - beta, lr * wd, lr / bias_correction1, sqrt(bias_correction2)) is worked out once per run and not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from irflops.ops.costs import WorkRule
from irflops.ops.op_view import OpView
from irflops.ops.work import Work

SOURCE = "OneFlow's model_update_kernel_util.h"
IGNORES = "the scale, l1 and l2 that OneFlow can fuse into an update as attributes; that skip_if may skip it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """An update formula as counts."""

    flops: int
    """Arithmetic operations per element."""
    roots: int = 0
    """sqrt, rsqrt and pow per element."""
    states: tuple[str, ...] = ()
    """Operands besides the model that are updated in place."""
    optional: Mapping[str, int] = field(default_factory=dict)
    """Operations per element that an operand adds where present. A scale that is a tensor adds one; two are multiplied once per run."""
    norms: int = 0
    """Euclidean norms over the whole model: n squares, n - 1 additions and a root each."""
    once: int = 0
    """Operations on numbers that come from the norms, once per run."""


SGD = Update(flops=4)
MOMENTUM = Update(flops=7, states=("momentum", "momentum_buf"))
ADAM = Update(flops=13, roots=1, states=("m", "v", "max_v"), optional={"bias_correction2": 1, "max_v": 1})
ADAGRAD = Update(flops=8, roots=1, states=("sum",))
RMSPROP = Update(flops=8, roots=1, states=("mean_square", "mean_gradient"), optional={"mean_gradient": 5})
LAMB = Update(flops=13, roots=1, states=("m", "v"), optional={"bias_correction1": 1, "bias_correction2": 1}, norms=2, once=2)
LARS = Update(flops=6, states=("momentum",), norms=2, once=7)
ADADELTA = Update(flops=14, roots=2, states=("square_avgs", "acc_deltas"))
FTRL = Update(flops=18, roots=2, states=("accumulate", "z"))
AVERAGE = Update(flops=3)

SGD_STEPS = "w <- w - lr * (g + wd * w): 4"
MOMENTUM_STEPS = "m <- beta * m + (1 - dampening) * g: 3; w <- w - lr * m - (lr * wd) * w: 4"
ADAM_STEPS = (
    "m <- beta1 * m + (1 - beta1) * g: 3; v <- beta2 * v + (1 - beta2) * g * g: 4; denominator sqrt(v) / sqrt(bias_correction2) + eps: 1, "
    "and 1 where bias_correction2 is present; max_v <- max(max_v, v): 1 where present; "
    "w <- w - (lr / bias_correction1) * (m / denominator) - (lr * wd) * w: 5; one sqrt"
)
ADAGRAD_STEPS = "sum <- sum + g * g: 2; w <- w - lr / (sqrt(sum) + eps) * g - (lr * wd) * w: 6; one sqrt"
FTRL_STEPS = (
    "a' <- a + g * g: 2; sigma = (pow(a') - pow(a)) / lr: 2; z <- z + g - sigma * w: 3; |z| against lambda1: 2; "
    "(copysign(lambda1, z) - z) / ((beta + pow(a')) / lr + lambda2): 6; - (lr * wd) * w: 2; 0 or that: 1; two pow"
)


def update_cost(update: Update, per: str = "model") -> WorkRule:
    """The cost rule of an update, for each element of an operand argument."""

    def cost(op: OpView) -> Work:
        n = op.numel(per)
        each = update.flops + sum(flops for arg, flops in update.optional.items() if op.inputs(arg))
        each += 1 if op.inputs("scale_by_tensor") or op.inputs("down_scale_by_tensor") else 0
        norms = update.norms * (2 * n - 1) if n else 0
        return Work(arithmetic=each * n + norms + update.once, transcendentals=update.roots * n + update.norms)

    return cost
