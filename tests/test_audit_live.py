"""Against live OneFlow: a fault planted in a small net is found in every form that shows it, and nowhere in the net without it."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import pytest

import irflops
from irflops.audit.engine import run_rules
from irflops.audit.finding import Audit
from irflops.audit.rules import RULES
from irflops.cost import FIGURES

pytestmark = pytest.mark.oneflow


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


def _linear(nn: Any) -> dict[str, Any]:
    return {"fc": nn.Linear(8, 8)}


def _conv_norm(*, bias: bool) -> Callable[[Any], dict[str, Any]]:
    return lambda nn: {"conv": nn.Conv2d(8, 16, 3, bias=bias), "norm": nn.BatchNorm2d(16)}


def _in_turn(*names: str) -> Callable[[ModuleType, Any, Any], Any]:
    def forward(_flow: ModuleType, module: Any, x: Any) -> Any:
        for name in names:
            x = getattr(module, name)(x)
        return x

    return forward


def _summed(first: str, second: str) -> Callable[[ModuleType, Any, Any], Any]:
    def forward(flow: ModuleType, module: Any, x: Any) -> Any:
        hidden = module.fc(x)
        return getattr(flow, first)(hidden) + getattr(flow, second)(hidden)

    return forward


def _attention(flow: ModuleType, module: Any, x: Any) -> Any:
    q, k, v = (getattr(module, name)(x) for name in "qkv")
    return flow.matmul(flow.softmax(flow.matmul(q, k.transpose(1, 2)) * 0.25, dim=-1), v)


def _alone(flow: ModuleType, module: Any, x: Any) -> Any:
    return module.fc(x)


PLAIN = Net(_alone, _linear)
TRAINED = Net(_alone, _linear, trains=True)
IMAGE = (1, 8, 9, 9)

PAIRS: dict[str, tuple[Net, Net]] = {
    "dead-op": (Net(lambda flow, m, x: (flow.exp(m.fc(x)), m.fc(x))[1], _linear), PLAIN),
    "unused-param": (Net(_alone, lambda nn: _linear(nn) | {"left": nn.Linear(8, 4)}), PLAIN),
    "suspicious-attribute": (
        Net(_in_turn("conv", "norm"), lambda nn: _conv_norm(bias=False)(nn) | {"norm": nn.BatchNorm2d(16, eps=0.0)}, IMAGE),
        Net(_in_turn("conv", "norm"), _conv_norm(bias=False), IMAGE),
    ),
    "training-mode": (
        Net(_in_turn("fc", "drop"), lambda nn: _linear(nn) | {"drop": nn.Dropout(0.5)}, evaluates=False),
        Net(_in_turn("fc", "drop"), lambda nn: _linear(nn) | {"drop": nn.Dropout(0.5)}),
    ),
    "never-updated-param": (
        Net(_in_turn("fc", "more"), lambda nn: _linear(nn) | {"more": nn.Linear(8, 8)}, trains=True, left_out=("more",)),
        Net(_in_turn("fc", "more"), lambda nn: _linear(nn) | {"more": nn.Linear(8, 8)}, trains=True),
    ),
    "untied-head": (
        Net(_in_turn("table", "head"), lambda nn: {"table": nn.Embedding(24, 8), "head": nn.Linear(8, 24, bias=False)}, dtype="int64"),
        Net(_in_turn("table", "head"), lambda nn: {"table": nn.Embedding(32, 8), "head": nn.Linear(8, 24, bias=False)}, dtype="int64"),
    ),
    "unequal-channels": (
        Net(_in_turn("conv"), lambda nn: {"conv": nn.Conv2d(8, 40, 1)}, IMAGE),
        Net(_in_turn("conv"), lambda nn: {"conv": nn.Conv2d(8, 32, 1)}, IMAGE),
    ),
    "heavy-group-conv": (
        Net(_in_turn("conv"), lambda nn: {"conv": nn.Conv2d(16, 16, 3, groups=8)}, (1, 16, 9, 9)),
        Net(_in_turn("conv"), lambda nn: {"conv": nn.Conv2d(16, 16, 3, groups=4)}, (1, 16, 9, 9)),
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
        Net(lambda flow, m, x: flow.tanh(flow.relu(m.fc(x))), _linear, (64, 8)),
        Net(_alone, lambda nn: {"fc": nn.Linear(8, 8, bias=False)}),
    ),
    "unaligned-channels": (
        Net(_in_turn("a", "b", "c"), lambda nn: {"a": nn.Linear(8, 12), "b": nn.Linear(12, 16), "c": nn.Linear(16, 3)}),
        Net(_in_turn("a", "b", "c"), lambda nn: {"a": nn.Linear(8, 16), "b": nn.Linear(16, 16), "c": nn.Linear(16, 3)}),
    ),
    "cancelling-transposes": (
        Net(lambda _flow, m, x: m.fc(x).permute(1, 0).permute(1, 0) * 2, _linear),
        Net(lambda _flow, m, x: m.fc(x).permute(1, 0) * 2, _linear),
    ),
    "cancelling-casts": (
        Net(lambda flow, m, x: m.fc(x).to(flow.float64).to(flow.float32) * 2, _linear),
        Net(lambda flow, m, x: m.fc(x).to(flow.float16).to(flow.float32) * 2, _linear),
    ),
    "cancelling-reshapes": (
        Net(lambda _flow, m, x: m.fc(x).reshape(4, 4).reshape(2, 8) * 2, _linear),
        Net(lambda _flow, m, x: m.fc(x).reshape(4, 4).reshape(8, 2) * 2, _linear),
    ),
    "conv-bias-before-norm": (
        Net(_in_turn("conv", "norm"), _conv_norm(bias=True), IMAGE),
        Net(_in_turn("conv", "norm"), _conv_norm(bias=False), IMAGE),
    ),
    "foldable-norm": (
        Net(_in_turn("conv", "norm"), _conv_norm(bias=False), IMAGE),
        Net(_in_turn("conv", "act", "norm"), lambda nn: _conv_norm(bias=False)(nn) | {"act": nn.ReLU()}, IMAGE),
    ),
    "fp32-island": (
        Net(lambda flow, m, x: flow.relu((m.fc(x).half() * 2).float()).half() * 2, _linear),
        Net(lambda flow, m, x: flow.softmax((m.fc(x).half() * 2).float(), dim=-1).half() * 2, _linear),
    ),
    "wide-dtype": (Net(lambda _flow, m, x: m.fc(x).double() * 2, _linear), PLAIN),
    "common-subexpression": (
        Net(_summed("exp", "exp"), _linear),
        Net(_summed("exp", "tanh"), _linear),
    ),
    "materialised-broadcast": (
        Net(lambda _flow, m, x: m.fc(x) + m.fc.weight[:1].expand(2, 8), _linear),
        Net(lambda _flow, m, x: m.fc(x) + m.fc.weight[:1], _linear),
    ),
    "unfused-attention": (
        Net(_attention, lambda nn: {name: nn.Linear(8, 8) for name in "qkv"}, (2, 5, 8)),
        Net(lambda flow, m, x: flow.softmax(m.q(x), dim=-1), lambda nn: {"q": nn.Linear(8, 8)}, (2, 5, 8)),
    ),
}
"""By rule, a net with its fault and one without."""

PRINT_ALONE = {"unused-param"}
"""Rules on what a job has no trace of."""


@pytest.fixture(scope="module")
def flow() -> ModuleType:
    import oneflow

    module: ModuleType = oneflow
    return module


def _compiled(flow: ModuleType, net: Net) -> Any:
    class Model(flow.nn.Module):  # type: ignore[misc, name-defined]  # OneFlow ships no types
        def __init__(self) -> None:
            super().__init__()
            for name, child in net.layers(flow.nn).items():
                setattr(self, name, child)

        def forward(self, x: Any) -> Any:
            return net.forward(flow, self, x)

    model = Model()
    model.eval() if net.evaluates and not net.trains else model.train()

    class Graph(flow.nn.Graph):  # type: ignore[misc, name-defined]  # the same
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            if net.trains:
                given = [p for name, p in model.named_parameters() if name.partition(".")[0] not in net.left_out]
                self.add_optimizer(flow.optim.SGD(given, lr=0.1))

        def build(self, x: Any) -> Any:
            y = self.model(x)
            if net.trains:
                y = y.sum()
                y.backward()
            return y

    graph = Graph()
    graph._compile(flow.ones(*net.shape, dtype=getattr(flow, net.dtype)))
    return graph


def _audits(graph: Any) -> dict[str, Audit]:
    texts = {"repr": repr(graph), "job_text": str(graph._full_graph_proto), "job_binary": graph._full_graph_proto.SerializeToString()}
    return {form: run_rules(irflops.analyze(irflops.loads(text)), RULES) for form, text in texts.items()}


@pytest.mark.parametrize("rule", PAIRS)
def test_planted_fault_is_found(flow: ModuleType, rule: str) -> None:
    audits = _audits(_compiled(flow, PAIRS[rule][0]))
    for form, audit in audits.items():
        if form != "repr" and rule in PRINT_ALONE:
            continue
        assert rule in {finding.rule for finding in audit.findings}, form


@pytest.mark.parametrize("rule", PAIRS)
def test_net_without_the_fault_has_no_finding(flow: ModuleType, rule: str) -> None:
    for form, audit in _audits(_compiled(flow, PAIRS[rule][1])).items():
        assert [finding.message for finding in audit.findings if finding.rule == rule] == [], form


@pytest.mark.parametrize("rule", ["conv-bias-before-norm", "materialised-broadcast"])
def test_gain_is_what_the_mended_net_saves(flow: ModuleType, rule: str) -> None:
    """Of the rules whose net without the fault is the mended one, op for op."""
    totals = []
    for net in PAIRS[rule]:
        analysis = irflops.analyze(irflops.loads(repr(_compiled(flow, net))))
        figures = {name: analysis.total.get(name) for name in FIGURES}
        totals.append(figures | {"params": sum(analysis.total.params), "param_bytes": sum(analysis.total.param_bytes)})
    audit = _audits(_compiled(flow, PAIRS[rule][0]))["repr"]
    gain = next(finding.gain for finding in audit.findings if finding.rule == rule)
    assert gain == {name: totals[0][name] - totals[1][name] for name in totals[0] if totals[0][name] != totals[1][name]}
