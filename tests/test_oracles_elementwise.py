"""Broadcasts, sums, reductions, softmax and losses against loops that are run and counted: no formula of a rule is used here."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from irflops.ir.graph import Attrs, AttrValue, DType, TensorType
from irflops.ops import BOOK
from irflops.ops.op_view import OpView

Shape = tuple[int, ...]
Index = tuple[int, ...]


@dataclass
class Tally:
    """Counts the operations that a loop asks for."""

    arithmetic: int = 0
    transcendentals: int = 0
    read: set[tuple[str, Index]] = field(default_factory=set)

    def op(self) -> None:
        self.arithmetic += 1

    def transcendental(self) -> None:
        self.transcendentals += 1


def indices(shape: Shape) -> Iterator[Index]:
    return itertools.product(*(range(extent) for extent in shape))


def rows(shape: Shape) -> Iterator[Index]:
    return indices(shape[:-1])


def folded(tally: Tally, terms: int) -> None:
    """Runs an accumulator over so many terms: the first is taken as it is."""
    for k in range(terms):
        if k:
            tally.op()


def view(op_type: str, inputs: Mapping[str, Shape | list[Shape]], outputs: Mapping[str, Shape], attrs: Mapping[str, AttrValue]) -> OpView:
    def tensors(shapes: Shape | list[Shape]) -> list[TensorType]:
        return [TensorType(s, DType.FLOAT32) for s in (shapes if isinstance(shapes, list) else [shapes])]

    return OpView(op_type, {k: tensors(v) for k, v in inputs.items()}, {k: tensors(v) for k, v in outputs.items()}, Attrs(dict(attrs)))


def check(
    op_type: str, inputs: Mapping[str, Shape | list[Shape]], outputs: Mapping[str, Shape], tally: Tally, **attrs: AttrValue
) -> OpView:
    op = view(op_type, inputs, outputs, attrs)
    inferred = {arg: t.shape for arg, t in BOOK.by_type[op_type].shape(op).items() if isinstance(t, TensorType)}
    assert inferred == dict(outputs)
    work = BOOK.by_type[op_type].cost(op)
    assert (work.macs, work.flops, work.transcendentals) == (0, tally.arithmetic, tally.transcendentals)
    return op


def random_shape(rng: random.Random, rank: int) -> Shape:
    return tuple(rng.randint(1, 4) for _ in range(rank))


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311  # for shapes, not for secrets


SEEDS = range(8)


@pytest.mark.parametrize("seed", SEEDS)
def test_softmax(seed: int) -> None:
    rng = seeded(seed)
    shape = random_shape(rng, rng.randint(1, 3))
    n = shape[-1]
    tally = Tally()
    for _ in rows(shape):
        folded(tally, n)  # maximum
        for _ in range(n):
            tally.op()  # x - max
            tally.transcendental()
        folded(tally, n)  # sum
        for _ in range(n):
            tally.op()  # quotient
    check("softmax", {"in": shape}, {"out": shape}, tally)


@pytest.mark.parametrize("seed", SEEDS)
def test_softmax_grad(seed: int) -> None:
    rng = seeded(seed)
    shape = random_shape(rng, rng.randint(1, 3))
    n = shape[-1]
    tally = Tally()
    for _ in rows(shape):
        for _ in range(n):
            tally.op()  # y * dy
        folded(tally, n)
        for _ in range(n):
            tally.op()  # dy - sum
            tally.op()  # y *
    check("softmax_grad", {"y": shape, "dy": shape}, {"dx": shape}, tally)


@pytest.mark.parametrize("seed", SEEDS)
def test_log_softmax_and_its_gradient(seed: int) -> None:
    rng = seeded(seed)
    shape = random_shape(rng, rng.randint(1, 3))
    n = shape[-1]
    forward, backward = Tally(), Tally()
    for _ in rows(shape):
        folded(forward, n)
        for _ in range(n):
            forward.op()
            forward.transcendental()
        folded(forward, n)
        forward.transcendental()  # the logarithm of the sum
        for _ in range(n):
            forward.op()
        folded(backward, n)
        for _ in range(n):
            backward.transcendental()
            backward.op()
            backward.op()
    check("log_softmax", {"in": shape}, {"prob": shape}, forward)
    check("log_softmax_grad", {"prob": shape, "dy": shape}, {"dx": shape}, backward)


@pytest.mark.parametrize("op_type", ["reduce_sum", "reduce_max", "reduce_min", "reduce_prod"])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("keep", [True, False])
def test_reductions(op_type: str, seed: int, keep: bool) -> None:
    rng = seeded(seed)
    shape = random_shape(rng, 3)
    axes = tuple(rng.sample(range(3), rng.randint(1, 3)))
    tally, seen = Tally(), set()
    for index in indices(shape):
        result = tuple(0 if axis in axes else i for axis, i in enumerate(index))
        if result in seen:
            tally.op()
        seen.add(result)
    out = tuple(1 if axis in axes else extent for axis, extent in enumerate(shape) if keep or axis not in axes)
    assert len(seen) == math.prod(out)
    check(op_type, {"input_tensor": shape}, {"output_tensor": out}, tally, axis=axes, keepdims=keep)


@pytest.mark.parametrize("seed", SEEDS)
def test_var(seed: int) -> None:
    rng = seeded(seed)
    shape = random_shape(rng, 3)
    axis = rng.randrange(3)
    out = (*shape[:axis], *shape[axis + 1 :])
    tally = Tally()
    for _ in indices(out):
        folded(tally, shape[axis])
        tally.op()  # the mean's division
        for _ in range(shape[axis]):
            tally.op()  # x - mean
            tally.op()  # its square
        folded(tally, shape[axis])
        tally.op()
    check("var", {"input": shape}, {"output": out}, tally, dim=(axis,), keepdim=False, unbiased=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_cumulative(seed: int) -> None:
    rng = seeded(seed)
    shape = random_shape(rng, 3)
    axis = rng.randrange(-3, 3)
    tally = Tally()
    for index in indices(shape):
        if index[axis]:
            tally.op()
    for op_type in ("cumsum", "cumprod"):
        check(op_type, {"x": shape}, {"y": shape}, tally, dim=axis)


def _operand(rng: random.Random, out: Shape) -> Shape:
    """A shape that broadcasts to `out`."""
    return tuple(extent if rng.random() < 0.6 else 1 for extent in out[rng.randint(0, len(out)) :])


@pytest.mark.parametrize("op_type", ["broadcast_add", "broadcast_div", "broadcast_maximum", "broadcast_pow"])
@pytest.mark.parametrize("seed", SEEDS)
def test_broadcast(op_type: str, seed: int) -> None:
    rng = seeded(seed)
    out = random_shape(rng, 3)
    x = tuple(extent if rng.random() < 0.6 else 1 for extent in out)
    y = _operand(rng, out)
    out = tuple(max(x[i], ((1,) * (3 - len(y)) + y)[i]) for i in range(3))
    tally = Tally()
    for index in indices(out):
        (tally.transcendental if op_type == "broadcast_pow" else tally.op)()
        for name, shape in (("x", x), ("y", y)):
            aligned = index[len(out) - len(shape) :]
            tally.read.add((name, tuple(0 if extent == 1 else i for i, extent in zip(aligned, shape, strict=True))))
    op = check(op_type, {"x": x, "y": y}, {"z": out}, tally)
    assert sum(BOOK.by_type[op_type].traffic(op).reads.values()) == 4 * len(tally.read)


@pytest.mark.parametrize("seed", SEEDS)
def test_broadcast_div_grad(seed: int) -> None:
    rng = seeded(seed)
    z = random_shape(rng, 3)
    y = _operand(rng, z)
    tally, sums = Tally(), set()
    for index in indices(z):
        tally.op()  # dz * z
        tally.op()  # / y
        target = tuple(0 if extent == 1 else i for i, extent in zip(index[3 - len(y) :], y, strict=True))
        if target in sums:
            tally.op()
        sums.add(target)
    for _ in sums:
        tally.op()  # the sign
    check("broadcast_div_grad", {"dz": z, "z": z, "y": y}, {"dy": y}, tally)


@pytest.mark.parametrize("seed", SEEDS)
def test_add_n(seed: int) -> None:
    rng = seeded(seed)
    shape, count = random_shape(rng, 2), rng.randint(2, 5)
    tally = Tally()
    for _ in indices(shape):
        folded(tally, count)
    check("add_n", {"in": [shape] * count}, {"out": shape}, tally)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_nll(seed: int, weighted: bool) -> None:
    rng = seeded(seed)
    targets, classes = random_shape(rng, rng.randint(1, 2)), rng.randint(2, 6)
    forward, backward = Tally(), Tally()
    for index in indices(targets):
        label = rng.randrange(classes)
        forward.read |= {("input", (*index, label)), ("target", index)}
        for tally in (forward, backward):
            tally.op()  # the sign
            if weighted:
                tally.op()
    losses = (math.prod(targets),)
    weight: dict[str, Shape | list[Shape]] = {"weight": (classes,)} if weighted else {}
    made: dict[str, Shape] = {"output": losses, "out_weight": losses}
    op = check("nll", {"input": (*targets, classes), "target": targets, **weight}, made, forward)
    reads = BOOK.by_type["nll"].traffic(op).reads
    assert reads["input"] + reads["target"] == 4 * len(forward.read)
    check(
        "nll_grad",
        {"out_grad": losses, "input": (*targets, classes), "target": targets, **weight},
        {"in_grad": (*targets, classes)},
        backward,
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_sparse_softmax_cross_entropy(seed: int) -> None:
    rng = seeded(seed)
    shape = random_shape(rng, 2)
    tally = Tally()
    for _ in rows(shape):
        folded(tally, shape[-1])
        for _ in range(shape[-1]):
            tally.op()
            tally.transcendental()
        folded(tally, shape[-1])
        for _ in range(shape[-1]):
            tally.op()
        tally.transcendental()  # log prob[label]
        tally.op()  # the sign
    labels = shape[:-1]
    check("sparse_softmax_cross_entropy", {"prediction": shape, "label": labels}, {"prob": shape, "out": labels}, tally)
