"""Optimizers against their update formulas: the update is run on numbers that count, and the rule has to agree.

The formulas are the textbook ones, in the variant that OneFlow runs: the place of the weight decay, of the bias corrections and of a scalar
that is prepared once is OneFlow's, where papers differ in it. They are executed, and share no count with the rules.
Coefficients are plain numbers: work on them alone is not counted, as it is done once per run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from irflops.ops import BOOK
from irflops.ops.op_view import OpView
from irflops.ops.work import Work
from irflops.readers.notation.op_signature import read_call

LR, WD, EPS, BETA1, BETA2, C1, C2 = 0.1, 0.01, 1e-8, 0.9, 0.99, 0.5, 0.25


@dataclass
class Tally:
    """What has been counted so far."""

    arithmetic: int = 0
    transcendentals: int = 0


class Number:
    """A number that enters each of its operations into a tally."""

    def __init__(self, value: float, tally: Tally) -> None:
        self.value = value
        self.tally = tally

    def _count(self, value: float) -> Number:
        self.tally.arithmetic += 1
        return Number(value, self.tally)

    def __add__(self, other: Number | float) -> Number:
        return self._count(self.value + plain(other))

    def __sub__(self, other: Number | float) -> Number:
        return self._count(self.value - plain(other))

    def __mul__(self, other: Number | float) -> Number:
        return self._count(self.value * plain(other))

    def __truediv__(self, other: Number | float) -> Number:
        return self._count(self.value / plain(other))

    def __radd__(self, other: float) -> Number:
        return self._count(other + self.value)

    def __rmul__(self, other: float) -> Number:
        return self._count(other * self.value)

    def __rtruediv__(self, other: float) -> Number:
        return self._count(other / self.value)

    def __abs__(self) -> Number:
        return self._count(abs(self.value))

    def __gt__(self, other: Number | float) -> bool:
        self.tally.arithmetic += 1
        return self.value > plain(other)

    def power(self, exponent: float) -> Number:
        """Any power, roots among them: a transcendental."""
        self.tally.transcendentals += 1
        return Number(self.value**exponent, self.tally)


def plain(number: Number | float) -> float:
    """The value without its tally."""
    return number.value if isinstance(number, Number) else number


def sqrt(x: Number) -> Number:
    """A counted square root."""
    return x.power(0.5)


def larger(a: Number, b: Number) -> Number:
    """The larger of two: one operation."""
    return max(a, b)


def choose(condition: bool, a: Number, b: float) -> Number:
    """A select by an outcome that is there: one operation."""
    return a._count(a.value if condition else b)


def with_sign_of(magnitude: float, x: Number) -> Number:
    """A magnitude with the sign of x: one operation."""
    return x._count(math.copysign(magnitude, x.value))


def norm(vector: Sequence[Number]) -> Number:
    """The Euclidean norm."""
    squares = [x * x for x in vector]
    total = squares[0]
    for square in squares[1:]:
        total = total + square
    return sqrt(total)


Vector = list[Number]
States = dict[str, Vector]
Update = Callable[[Vector, Vector, States], None]


def sgd(w: Vector, g: Vector, _s: States) -> None:
    for i in range(len(w)):
        w[i] = w[i] - LR * (g[i] + WD * w[i])


def momentum(w: Vector, g: Vector, s: States) -> None:
    """With the decay in the gradient: as many steps as beside it."""
    for i in range(len(w)):
        decayed = g[i] + WD * w[i]
        s["momentum"][i] = BETA1 * s["momentum"][i] + (1 - 0.1) * decayed
        w[i] = w[i] - LR * s["momentum"][i]


def moments(g: Number, s: States, i: int) -> tuple[Number, Number]:
    """The first and second moment of Adam."""
    s["m"][i] = BETA1 * s["m"][i] + (1 - BETA1) * g
    s["v"][i] = BETA2 * s["v"][i] + (1 - BETA2) * (g * g)
    return s["m"][i], s["v"][i]


def adamw(w: Vector, g: Vector, s: States) -> None:
    """AMSGrad where there is a max_v; the first correction in the step size, the second beside the root."""
    for i in range(len(w)):
        m, v = moments(g[i], s, i)
        if "max_v" in s:
            s["max_v"][i] = v = larger(s["max_v"][i], v)
        root = sqrt(v) / math.sqrt(C2) if "bias_correction2" in s else sqrt(v)
        w[i] = w[i] - (LR / C1) * (m / (root + EPS)) - (LR * WD) * w[i]


def adagrad(w: Vector, g: Vector, s: States) -> None:
    for i in range(len(w)):
        s["sum"][i] = s["sum"][i] + g[i] * g[i]
        w[i] = w[i] - LR * g[i] / (sqrt(s["sum"][i]) + EPS) - (LR * WD) * w[i]


def rmsprop(w: Vector, g: Vector, s: States) -> None:
    """Centered where there is a mean gradient."""
    for i in range(len(w)):
        s["mean_square"][i] = BETA2 * s["mean_square"][i] + (1 - BETA2) * (g[i] * g[i])
        spread = s["mean_square"][i]
        if "mean_gradient" in s:
            s["mean_gradient"][i] = BETA2 * s["mean_gradient"][i] + (1 - BETA2) * g[i]
            spread = spread - s["mean_gradient"][i] * s["mean_gradient"][i]
        w[i] = w[i] - LR * g[i] / sqrt(spread + EPS)


def lamb(w: Vector, g: Vector, s: States) -> None:
    """With the norm of the step before decay, as OneFlow takes it."""
    steps = []
    for i in range(len(w)):
        m, v = moments(g[i], s, i)
        corrected = m / C1 if "bias_correction1" in s else m
        root = sqrt(v) / math.sqrt(C2) if "bias_correction2" in s else sqrt(v)
        steps.append(corrected / (root + EPS))
    rate = LR * (norm(w) / norm(steps))
    for i, step in enumerate(steps):
        w[i] = w[i] - rate * (step + WD * w[i])


def lars(w: Vector, g: Vector, s: States) -> None:
    """With decoupled decay, whose factor is prepared once."""
    size, slope = norm(w), norm(g)
    rate = LR * (0.001 * size / (EPS + slope + WD * size))
    decay = rate * WD
    for i in range(len(w)):
        s["momentum"][i] = BETA1 * s["momentum"][i] - rate * g[i]
        w[i] = w[i] + s["momentum"][i] - decay * w[i]


def adadelta(w: Vector, g: Vector, s: States) -> None:
    """With a learning rate."""
    for i in range(len(w)):
        s["square_avgs"][i] = BETA1 * s["square_avgs"][i] + (1 - BETA1) * (g[i] * g[i])
        step = sqrt(s["acc_deltas"][i] + EPS) / sqrt(s["square_avgs"][i] + EPS) * g[i]
        s["acc_deltas"][i] = BETA1 * s["acc_deltas"][i] + (1 - BETA1) * (step * step)
        w[i] = w[i] - LR * step


def ftrl(w: Vector, g: Vector, s: States) -> None:
    """FTRL-Proximal, with decay."""
    for i in range(len(w)):
        before = s["accumulate"][i]
        s["accumulate"][i] = before + g[i] * g[i]
        root = sqrt(s["accumulate"][i])
        sigma = (root - sqrt(before)) / LR
        s["z"][i] = s["z"][i] + g[i] - sigma * w[i]
        kept = abs(s["z"][i]) > 0.001
        solved = (with_sign_of(0.001, s["z"][i]) - s["z"][i]) / ((1.0 + root) / LR + 0.002) - (LR * WD) * w[i]
        w[i] = choose(kept, solved, 0.0)


def average(w: Vector, g: Vector, _s: States) -> None:
    for i in range(len(w)):
        w[i] = 0.999 * w[i] + (1 - 0.999) * g[i]


CORRECTIONS = ("bias_correction1", "bias_correction2")
CASES: tuple[tuple[str, Update, tuple[str, ...]], ...] = (
    ("sgd_update", sgd, ()),
    ("momentum_update", momentum, ("momentum",)),
    ("adam_update", adamw, ("m", "v")),
    ("adam_update", adamw, ("m", "v", *CORRECTIONS)),
    ("adam_update", adamw, ("m", "v", "max_v")),
    ("adam_update", adamw, ("m", "v", "max_v", *CORRECTIONS)),
    ("adagrad_update", adagrad, ("sum",)),
    ("rmsprop_update", rmsprop, ("mean_square",)),
    ("rmsprop_update", rmsprop, ("mean_square", "mean_gradient")),
    ("lamb_update", lamb, ("m", "v")),
    ("lamb_update", lamb, ("m", "v", *CORRECTIONS)),
    ("lars_update", lars, ("momentum",)),
    ("adadelta_update", adadelta, ("square_avgs", "acc_deltas")),
    ("ftrl_update", ftrl, ("accumulate", "z")),
)


def view(op_type: str, n: int, operands: Sequence[str], attrs: str = "") -> OpView:
    """A call on n weights, states as long as the model."""
    extra = "".join(f", {arg}: f32[{1 if arg in CORRECTIONS or arg.startswith('scale') else n}]" for arg in operands)
    call = read_call(f"{op_type}(model: f32[{n}], model_diff: f32[{n}], learning_rate: f32[1]{extra}{attrs}) -> ()")
    return OpView(call.op_type, call.inputs, call.outputs, call.attrs)


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize(("op_type", "update", "operands"), CASES, ids=[f"{t}:{','.join(o)}" for t, _, o in CASES])
def test_counts_what_the_formula_computes(op_type: str, update: Update, operands: tuple[str, ...], n: int) -> None:
    tally = Tally()
    vectors = {arg: [Number(1.0 + i, tally) for i in range(n)] for arg in ("model", "model_diff", *operands)}
    update(vectors["model"], vectors["model_diff"], {arg: vectors[arg] for arg in operands})
    assert BOOK.by_type[op_type].cost(view(op_type, n, operands)) == Work(
        arithmetic=tally.arithmetic, transcendentals=tally.transcendentals
    )


def test_moving_average_counts_what_its_formula_computes() -> None:
    tally = Tally()
    average([Number(1, tally) for _ in range(5)], [Number(2, tally) for _ in range(5)], {})
    call = read_call("multi_tensor_yolov5_weight_update(model: [f32[3], f32[2]], model_update: [f32[3], f32[2]]) -> ()")
    work = BOOK.by_type[call.op_type].cost(OpView(call.op_type, call.inputs, call.outputs, call.attrs))
    assert work == Work(arithmetic=tally.arithmetic)


@pytest.mark.parametrize(("op_type", "update", "operands"), CASES, ids=[f"{t}:{','.join(o)}" for t, _, o in CASES])
def test_coefficients_never_change_a_count(op_type: str, update: Update, operands: tuple[str, ...]) -> None:
    del update
    cost = BOOK.by_type[op_type].cost
    with_attrs = view(op_type, 7, operands, ", weight_decay=0.0, l1=0.0, l2=0.5, scale=2.0, beta=0.0, epsilon=1.0, nesterov=true")
    assert cost(with_attrs) == cost(view(op_type, 7, operands))


@pytest.mark.parametrize(("op_type", "update", "operands"), CASES, ids=[f"{t}:{','.join(o)}" for t, _, o in CASES])
def test_a_scale_tensor_adds_one_multiplication_per_element(op_type: str, update: Update, operands: tuple[str, ...]) -> None:
    del update
    cost = BOOK.by_type[op_type].cost
    plain_flops, scaled_flops = (cost(view(op_type, 7, args)).flops for args in (operands, (*operands, "scale_by_tensor")))
    assert plain_flops is not None
    assert scaled_flops == plain_flops + 7


@pytest.mark.parametrize(("op_type", "update", "operands"), CASES, ids=[f"{t}:{','.join(o)}" for t, _, o in CASES])
def test_model_and_states_are_read_and_written_and_nothing_else_is(op_type: str, update: Update, operands: tuple[str, ...]) -> None:
    del update
    traffic = BOOK.by_type[op_type].moved(view(op_type, 7, operands))
    in_place = {arg for arg in ("model", *operands) if arg not in CORRECTIONS}
    assert dict(traffic.writes) == dict.fromkeys(in_place, 28)
    assert dict(traffic.reads) == {
        arg: 4 if arg in (*CORRECTIONS, "learning_rate") else 28 for arg in ("model", "model_diff", "learning_rate", *operands)
    }


def test_several_models_cost_what_each_costs() -> None:
    whole = read_call(
        "multi_tensor_adam_update(model: [f32[3], f32[4]], model_diff: [f32[3], f32[4]], m: [f32[3], f32[4]], v: [f32[3], f32[4]]) -> ()"
    )
    together = BOOK.by_type[whole.op_type].cost(OpView(whole.op_type, whole.inputs, whole.outputs, whole.attrs))
    assert together == BOOK.by_type["adam_update"].cost(view("adam_update", 7, ("m", "v")))
