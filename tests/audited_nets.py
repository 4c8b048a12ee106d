"""Small nets with a fault planted, each beside one without it, and what a form of them is audited to."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from irflops.auditing.finding import Audit


class Net(NamedTuple):
    """A model and the shape of its input; trained if `loss` is wanted."""

    forward: Callable[[ModuleType, Any, Any], Any]
    """From OneFlow, the module and the input to the output."""
    layers: Callable[[Any], dict[str, Any]]
    """From `oneflow.nn` to the module's children."""
    shape: tuple[int, ...] = (2, 8)
    dtype: str = "float32"
    trains: bool = False
    evaluates: bool = True
    left_out: tuple[str, ...] = ()
    """Children that the optimizer is not given."""


def linear(nn: Any) -> dict[str, Any]:
    return {"fc": nn.Linear(8, 8)}


def conv_norm(*, bias: bool) -> Callable[[Any], dict[str, Any]]:
    return lambda nn: {"conv": nn.Conv2d(8, 16, 3, bias=bias), "norm": nn.BatchNorm2d(16)}


def in_turn(*names: str) -> Callable[[ModuleType, Any, Any], Any]:
    def forward(_flow: ModuleType, module: Any, x: Any) -> Any:
        for name in names:
            x = getattr(module, name)(x)
        return x

    return forward


def summed(first: str, second: str) -> Callable[[ModuleType, Any, Any], Any]:
    def forward(flow: ModuleType, module: Any, x: Any) -> Any:
        hidden = module.fc(x)
        return getattr(flow, first)(hidden) + getattr(flow, second)(hidden)

    return forward


def attention(flow: ModuleType, module: Any, x: Any) -> Any:
    q, k, v = (getattr(module, name)(x) for name in "qkv")
    return flow.matmul(flow.softmax(flow.matmul(q, k.transpose(1, 2)) * 0.25, dim=-1), v)


def tied_biases(nn: Any) -> dict[str, Any]:
    layers = {"conv": nn.Conv2d(8, 16, 1), "other": nn.Conv2d(8, 16, 1), "norm": nn.BatchNorm2d(16)}
    layers["other"].bias = layers["conv"].bias
    return layers


def weights(shape: tuple[int, ...]) -> Callable[[Any], dict[str, Any]]:
    """A module with a weight of this shape, beside a linear layer."""

    def layers(nn: Any) -> dict[str, Any]:
        table = nn.Embedding(1, shape[-1])
        table.weight = nn.Parameter(table.weight.new_ones(*shape))
        return linear(nn) | {"table": table}

    return layers


def with_weight(use: Callable[[ModuleType, Any, Any], Any]) -> Callable[[ModuleType, Any, Any], Any]:
    """The linear layer's result with the weight."""
    return lambda flow, module, x: use(flow, module.fc(x), module.table.weight)


def alone(flow: ModuleType, module: Any, x: Any) -> Any:
    return module.fc(x)


PLAIN = Net(alone, linear)
TRAINED = Net(alone, linear, trains=True)
IMAGE = (1, 8, 9, 9)

PAIRS: dict[str, tuple[Net, Net]] = {
    "dead-op": (Net(lambda flow, m, x: (flow.exp(x), m.fc(x))[1], linear), PLAIN),
    "unused-param": (Net(alone, lambda nn: linear(nn) | {"left": nn.Linear(8, 4)}), PLAIN),
    "suspicious-attribute": (
        Net(in_turn("conv", "norm"), lambda nn: conv_norm(bias=False)(nn) | {"norm": nn.BatchNorm2d(16, eps=0.0)}, IMAGE),
        Net(in_turn("conv", "norm"), conv_norm(bias=False), IMAGE),
    ),
    "training-mode": (
        Net(in_turn("fc", "drop"), lambda nn: linear(nn) | {"drop": nn.Dropout(0.5)}, evaluates=False),
        Net(in_turn("fc", "drop"), lambda nn: linear(nn) | {"drop": nn.Dropout(0.5)}),
    ),
    "never-updated-param": (
        Net(in_turn("fc", "more"), lambda nn: linear(nn) | {"more": nn.Linear(8, 8)}, trains=True, left_out=("more",)),
        Net(in_turn("fc", "more"), lambda nn: linear(nn) | {"more": nn.Linear(8, 8)}, trains=True),
    ),
    "untied-head": (
        Net(in_turn("table", "head"), lambda nn: {"table": nn.Embedding(24, 8), "head": nn.Linear(8, 24, bias=False)}, dtype="int64"),
        Net(in_turn("table", "head"), lambda nn: {"table": nn.Embedding(32, 8), "head": nn.Linear(8, 24, bias=False)}, dtype="int64"),
    ),
    "unequal-channels": (
        Net(in_turn("conv"), lambda nn: {"conv": nn.Conv2d(8, 40, 1)}, IMAGE),
        Net(in_turn("conv"), lambda nn: {"conv": nn.Conv2d(8, 32, 1)}, IMAGE),
    ),
    "heavy-group-conv": (
        Net(in_turn("conv"), lambda nn: {"conv": nn.Conv2d(16, 16, 3, groups=8)}, (1, 16, 9, 9)),
        Net(in_turn("conv"), lambda nn: {"conv": nn.Conv2d(16, 16, 3, groups=4)}, (1, 16, 9, 9)),
    ),
    "heavy-group-conv, transposed": (
        Net(in_turn("conv"), lambda nn: {"conv": nn.ConvTranspose2d(16, 16, 3, groups=8)}, (1, 16, 9, 9)),
        Net(in_turn("conv"), lambda nn: {"conv": nn.ConvTranspose2d(16, 16, 3, groups=4)}, (1, 16, 9, 9)),
    ),
    "fragmentation": (
        Net(
            lambda flow, m, x: flow.cat([getattr(m, f"b{i}")(x) for i in range(5)], dim=1),
            lambda nn: {f"b{i}": nn.Conv2d(8, 8, 1) for i in range(5)},
            IMAGE,
        ),
        Net(
            lambda flow, m, x: flow.cat([getattr(m, f"b{i}")(x) for i in range(4)], dim=1),
            lambda nn: {f"b{i}": nn.Conv2d(8, 8, 1) for i in range(4)},
            IMAGE,
        ),
    ),
    "elementwise-traffic": (
        Net(lambda flow, m, x: flow.tanh(flow.relu(m.fc(x))), linear, (64, 8)),
        Net(alone, lambda nn: {"fc": nn.Linear(8, 8, bias=False)}),
    ),
    "unaligned-channels": (
        Net(in_turn("a", "b", "c"), lambda nn: {"a": nn.Linear(8, 12), "b": nn.Linear(12, 16), "c": nn.Linear(16, 3)}),
        Net(in_turn("a", "b", "c"), lambda nn: {"a": nn.Linear(8, 16), "b": nn.Linear(16, 16), "c": nn.Linear(16, 3)}),
    ),
    "cancelling-transposes": (
        Net(lambda _flow, m, x: m.fc(x).permute(1, 0).permute(1, 0) * 2, linear),
        Net(lambda _flow, m, x: m.fc(x).permute(1, 0) * 2, linear),
    ),
    "cancelling-casts": (
        Net(lambda flow, m, x: m.fc(x).to(flow.float64).to(flow.float32) * 2, linear),
        Net(lambda flow, m, x: m.fc(x).to(flow.float16).to(flow.float32) * 2, linear),
    ),
    "cancelling-reshapes": (
        Net(lambda _flow, m, x: m.fc(x).reshape(4, 4).reshape(2, 8) * 2, linear),
        Net(lambda _flow, m, x: m.fc(x).reshape(4, 4).reshape(8, 2) * 2, linear),
    ),
    "conv-bias-before-norm": (
        Net(in_turn("conv", "norm"), conv_norm(bias=True), IMAGE),
        Net(in_turn("conv", "norm"), conv_norm(bias=False), IMAGE),
    ),
    "conv-bias-before-norm, trained": (
        Net(in_turn("conv", "norm"), conv_norm(bias=True), IMAGE, trains=True),
        Net(in_turn("conv", "norm"), conv_norm(bias=False), IMAGE, trains=True),
    ),
    "conv-bias-before-norm, along the width": (
        Net(in_turn("conv", "norm"), lambda nn: {"conv": nn.Conv2d(8, 16, 1), "norm": nn.BatchNorm2d(16)}, (1, 8, 3, 16)),
        Net(
            lambda _flow, m, x: m.norm(m.conv(x) + m.table.weight),
            lambda nn: weights((16,))(nn) | {"conv": nn.Conv2d(8, 16, 1, bias=False), "norm": nn.BatchNorm2d(16)},
            (1, 8, 3, 16),
        ),
    ),
    "foldable-norm, positions between": (
        Net(in_turn("conv", "norm"), conv_norm(bias=True), IMAGE),
        Net(
            lambda _flow, m, x: m.norm(m.conv(x) + m.table.weight),
            lambda nn: weights((1, 1, 7, 7))(nn) | conv_norm(bias=False)(nn),
            IMAGE,
        ),
    ),
    "foldable-norm, tied bias": (
        Net(lambda _flow, m, x: m.norm(m.conv(x)) + m.other(x), tied_biases, IMAGE),
        Net(lambda _flow, m, x: m.conv(x) + m.other(x), lambda nn: {name: nn.Conv2d(8, 16, 1) for name in ("conv", "other")}, IMAGE),
    ),
    "foldable-norm": (
        Net(in_turn("conv", "norm"), conv_norm(bias=False), IMAGE),
        Net(in_turn("conv", "act", "norm"), lambda nn: conv_norm(bias=False)(nn) | {"act": nn.ReLU()}, IMAGE),
    ),
    "fp32-island": (
        Net(lambda flow, m, x: flow.relu((m.fc(x).half() * 2).float()).half() * 2, linear),
        Net(lambda flow, m, x: flow.softmax((m.fc(x).half() * 2).float(), dim=-1).half() * 2, linear),
    ),
    "wide-dtype": (Net(lambda _flow, m, x: m.fc(x).double() * 2, linear), PLAIN),
    "common-subexpression": (
        Net(summed("exp", "exp"), linear),
        Net(summed("exp", "tanh"), linear),
    ),
    "materialised-broadcast": (
        Net(lambda _flow, m, x: m.fc(x) + m.fc.weight[:1].expand(2, 8), linear),
        Net(lambda _flow, m, x: m.fc(x) + m.fc.weight[:1], linear),
    ),
    "materialised-broadcast, trained": (
        Net(lambda _flow, m, x: m.fc(x) * m.fc.weight[:1].expand(2, 8), linear, trains=True),
        Net(lambda _flow, m, x: m.fc(x) * m.fc.weight[:1], linear, trains=True),
    ),
    "materialised-broadcast, minimum": (
        Net(with_weight(lambda flow, h, w: flow.minimum(h, w.expand(2, 8))), weights((1, 8))),
        Net(with_weight(lambda flow, h, w: flow.minimum(h, w)), weights((1, 8))),
    ),
    "materialised-broadcast, power": (
        Net(with_weight(lambda flow, h, w: flow.pow(w.expand(2, 8), h)), weights((1, 8))),
        Net(with_weight(lambda flow, h, w: flow.pow(w, h)), weights((1, 8))),
    ),
    "materialised-broadcast, choice": (
        Net(with_weight(lambda flow, h, w: flow.where(h > 0, h, w.expand(2, 8))), weights((1, 8))),
        Net(with_weight(lambda flow, h, w: flow.where(h > 0, h, w)), weights((1, 8))),
    ),
    "materialised-broadcast, repeat": (
        Net(with_weight(lambda _flow, h, w: h + w.repeat(2, 1)), weights((1, 8))),
        Net(with_weight(lambda _flow, h, w: h + w), weights((1, 8))),
    ),
    "materialised-broadcast, product": (
        Net(with_weight(lambda flow, h, w: flow.matmul(h, w.expand(2, 8, 5))), weights((1, 8, 5)), (2, 3, 8)),
        Net(with_weight(lambda flow, h, w: flow.matmul(h, w)), weights((1, 8, 5)), (2, 3, 8)),
    ),
    "materialised-broadcast, product, trained": (
        Net(with_weight(lambda flow, h, w: flow.matmul(h, w.expand(2, 8, 5))), weights((1, 8, 5)), (2, 3, 8), trains=True),
        Net(with_weight(lambda flow, h, w: flow.matmul(h, w)), weights((1, 8, 5)), (2, 3, 8), trains=True),
    ),
    "cancelling-transposes, trained": (
        Net(lambda _flow, m, x: m.fc(x).permute(1, 0).permute(1, 0) * 2, linear, trains=True),
        Net(lambda _flow, m, x: m.fc(x) * 2, linear, trains=True),
    ),
    "cancelling-casts, trained": (
        Net(lambda flow, m, x: m.fc(x).to(flow.float64).to(flow.float32) * 2, linear, trains=True),
        Net(lambda _flow, m, x: m.fc(x) * 2, linear, trains=True),
    ),
    "common-subexpression, trained": (
        Net(summed("exp", "exp"), linear, trains=True),
        Net(summed("exp", "tanh"), linear, trains=True),
    ),
    "untied-head, trained": (
        Net(
            in_turn("table", "head"),
            lambda nn: {"table": nn.Embedding(24, 8), "head": nn.Linear(8, 24, bias=False)},
            dtype="int64",
            trains=True,
        ),
        Net(
            in_turn("table", "head"),
            lambda nn: {"table": nn.Embedding(32, 8), "head": nn.Linear(8, 24, bias=False)},
            dtype="int64",
            trains=True,
        ),
    ),
    "unfused-attention": (
        Net(attention, lambda nn: {name: nn.Linear(8, 8) for name in "qkv"}, (2, 5, 8)),
        Net(lambda flow, m, x: flow.softmax(m.q(x), dim=-1), lambda nn: {"q": nn.Linear(8, 8)}, (2, 5, 8)),
    ),
    "unfused-attention, trained": (
        Net(attention, lambda nn: {name: nn.Linear(8, 8) for name in "qkv"}, (2, 5, 8), trains=True),
        Net(lambda flow, m, x: flow.softmax(m.q(x), dim=-1), lambda nn: {"q": nn.Linear(8, 8)}, (2, 5, 8), trains=True),
    ),
}
"""By rule, and how, a net with its fault and one without."""

CANNOT_SHOW = {
    "dead-op": {"saved"},
    "unused-param": {"job_text", "job_binary", "forward", "saved"},
    "never-updated-param": {"forward", "saved"},
}
"""By rule, the forms that leave out what it needs: there it says that it could not decide."""

LIKELY = {
    *(("training-mode", "saved"), ("foldable-norm", "saved"), ("elementwise-traffic", "saved"), ("cancelling-transposes", "repr")),
    ("conv-bias-before-norm, along the width", "repr"),
}
"""Where a form leaves out what could refute a finding."""


class Told(NamedTuple):
    """What a form of a graph is audited to, and the names of the ops that it shows."""

    audit: Audit
    ops: frozenset[str]
