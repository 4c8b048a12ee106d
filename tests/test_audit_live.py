"""Against live OneFlow: a fault planted in a small net is found in every form that shows it, and nowhere in the net without it.

tests/test_audit_live_mesh.py has the rules on meshes. What remains is of dumps, not of nets: OneFlow writes none of a shape that it did not
infer, of an operand that nothing makes, or of an op type that it has not. tests/test_audit.py damages real dumps for those.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from audited import said, undecided

import irflops
from irflops import Graph
from irflops.auditing.engine import run_rules
from irflops.auditing.finding import Audit
from irflops.auditing.rules import RULES
from irflops.auditing.settings import Settings
from irflops.counting.cost import FIGURES

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


def _tied_biases(nn: Any) -> dict[str, Any]:
    layers = {"conv": nn.Conv2d(8, 16, 1), "other": nn.Conv2d(8, 16, 1), "norm": nn.BatchNorm2d(16)}
    layers["other"].bias = layers["conv"].bias
    return layers


def _weights(shape: tuple[int, ...]) -> Callable[[Any], dict[str, Any]]:
    """A module with a weight of this shape, beside a linear layer."""

    def layers(nn: Any) -> dict[str, Any]:
        table = nn.Embedding(1, shape[-1])
        table.weight = nn.Parameter(table.weight.new_ones(*shape))
        return _linear(nn) | {"table": table}

    return layers


def _with_weight(use: Callable[[ModuleType, Any, Any], Any]) -> Callable[[ModuleType, Any, Any], Any]:
    """The linear layer's result with the weight."""
    return lambda flow, module, x: use(flow, module.fc(x), module.table.weight)


def _alone(flow: ModuleType, module: Any, x: Any) -> Any:
    return module.fc(x)


PLAIN = Net(_alone, _linear)
TRAINED = Net(_alone, _linear, trains=True)
IMAGE = (1, 8, 9, 9)

PAIRS: dict[str, tuple[Net, Net]] = {
    "dead-op": (Net(lambda flow, m, x: (flow.exp(x), m.fc(x))[1], _linear), PLAIN),
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
    "heavy-group-conv, transposed": (
        Net(_in_turn("conv"), lambda nn: {"conv": nn.ConvTranspose2d(16, 16, 3, groups=8)}, (1, 16, 9, 9)),
        Net(_in_turn("conv"), lambda nn: {"conv": nn.ConvTranspose2d(16, 16, 3, groups=4)}, (1, 16, 9, 9)),
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
    "conv-bias-before-norm, trained": (
        Net(_in_turn("conv", "norm"), _conv_norm(bias=True), IMAGE, trains=True),
        Net(_in_turn("conv", "norm"), _conv_norm(bias=False), IMAGE, trains=True),
    ),
    "conv-bias-before-norm, along the width": (
        Net(_in_turn("conv", "norm"), lambda nn: {"conv": nn.Conv2d(8, 16, 1), "norm": nn.BatchNorm2d(16)}, (1, 8, 3, 16)),
        Net(
            lambda _flow, m, x: m.norm(m.conv(x) + m.table.weight),
            lambda nn: _weights((16,))(nn) | {"conv": nn.Conv2d(8, 16, 1, bias=False), "norm": nn.BatchNorm2d(16)},
            (1, 8, 3, 16),
        ),
    ),
    "foldable-norm, positions between": (
        Net(_in_turn("conv", "norm"), _conv_norm(bias=True), IMAGE),
        Net(
            lambda _flow, m, x: m.norm(m.conv(x) + m.table.weight),
            lambda nn: _weights((1, 1, 7, 7))(nn) | _conv_norm(bias=False)(nn),
            IMAGE,
        ),
    ),
    "foldable-norm, tied bias": (
        Net(lambda _flow, m, x: m.norm(m.conv(x)) + m.other(x), _tied_biases, IMAGE),
        Net(lambda _flow, m, x: m.conv(x) + m.other(x), lambda nn: {name: nn.Conv2d(8, 16, 1) for name in ("conv", "other")}, IMAGE),
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
    "materialised-broadcast, trained": (
        Net(lambda _flow, m, x: m.fc(x) * m.fc.weight[:1].expand(2, 8), _linear, trains=True),
        Net(lambda _flow, m, x: m.fc(x) * m.fc.weight[:1], _linear, trains=True),
    ),
    "materialised-broadcast, minimum": (
        Net(_with_weight(lambda flow, h, w: flow.minimum(h, w.expand(2, 8))), _weights((1, 8))),
        Net(_with_weight(lambda flow, h, w: flow.minimum(h, w)), _weights((1, 8))),
    ),
    "materialised-broadcast, power": (
        Net(_with_weight(lambda flow, h, w: flow.pow(w.expand(2, 8), h)), _weights((1, 8))),
        Net(_with_weight(lambda flow, h, w: flow.pow(w, h)), _weights((1, 8))),
    ),
    "materialised-broadcast, choice": (
        Net(_with_weight(lambda flow, h, w: flow.where(h > 0, h, w.expand(2, 8))), _weights((1, 8))),
        Net(_with_weight(lambda flow, h, w: flow.where(h > 0, h, w)), _weights((1, 8))),
    ),
    "materialised-broadcast, repeat": (
        Net(_with_weight(lambda _flow, h, w: h + w.repeat(2, 1)), _weights((1, 8))),
        Net(_with_weight(lambda _flow, h, w: h + w), _weights((1, 8))),
    ),
    "materialised-broadcast, product": (
        Net(_with_weight(lambda flow, h, w: flow.matmul(h, w.expand(2, 8, 5))), _weights((1, 8, 5)), (2, 3, 8)),
        Net(_with_weight(lambda flow, h, w: flow.matmul(h, w)), _weights((1, 8, 5)), (2, 3, 8)),
    ),
    "materialised-broadcast, product, trained": (
        Net(_with_weight(lambda flow, h, w: flow.matmul(h, w.expand(2, 8, 5))), _weights((1, 8, 5)), (2, 3, 8), trains=True),
        Net(_with_weight(lambda flow, h, w: flow.matmul(h, w)), _weights((1, 8, 5)), (2, 3, 8), trains=True),
    ),
    "cancelling-transposes, trained": (
        Net(lambda _flow, m, x: m.fc(x).permute(1, 0).permute(1, 0) * 2, _linear, trains=True),
        Net(lambda _flow, m, x: m.fc(x) * 2, _linear, trains=True),
    ),
    "cancelling-casts, trained": (
        Net(lambda flow, m, x: m.fc(x).to(flow.float64).to(flow.float32) * 2, _linear, trains=True),
        Net(lambda _flow, m, x: m.fc(x) * 2, _linear, trains=True),
    ),
    "common-subexpression, trained": (
        Net(_summed("exp", "exp"), _linear, trains=True),
        Net(_summed("exp", "tanh"), _linear, trains=True),
    ),
    "untied-head, trained": (
        Net(
            _in_turn("table", "head"),
            lambda nn: {"table": nn.Embedding(24, 8), "head": nn.Linear(8, 24, bias=False)},
            dtype="int64",
            trains=True,
        ),
        Net(
            _in_turn("table", "head"),
            lambda nn: {"table": nn.Embedding(32, 8), "head": nn.Linear(8, 24, bias=False)},
            dtype="int64",
            trains=True,
        ),
    ),
    "unfused-attention": (
        Net(_attention, lambda nn: {name: nn.Linear(8, 8) for name in "qkv"}, (2, 5, 8)),
        Net(lambda flow, m, x: flow.softmax(m.q(x), dim=-1), lambda nn: {"q": nn.Linear(8, 8)}, (2, 5, 8)),
    ),
    "unfused-attention, trained": (
        Net(_attention, lambda nn: {name: nn.Linear(8, 8) for name in "qkv"}, (2, 5, 8), trains=True),
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


def _forms(flow: ModuleType, graph: Any, directory: Path) -> dict[str, Graph]:
    """The graph read from each form that OneFlow makes of it."""
    flow.save(graph, str(directory / "saved"))
    irflops.capture(graph, directory / "graph.zip")
    return {
        "repr": irflops.loads(repr(graph)),
        "job_text": irflops.loads(str(graph._full_graph_proto)),
        "job_binary": irflops.loads(graph._full_graph_proto.SerializeToString()),
        "forward": irflops.loads(str(graph._graph_proto)),
        "saved": irflops.load(directory / "saved"),
        "capture": irflops.load(directory / "graph.zip"),
    }


Audits = Callable[[Net], dict[str, Told]]


@pytest.fixture(scope="module")
def audits(flow: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Audits:
    """What every form of a net is audited to; each net is compiled once."""

    @cache
    def audited(net: Net) -> dict[str, Told]:
        forms = _forms(flow, _compiled(flow, net), tmp_path_factory.mktemp("forms"))
        return {
            form: Told(run_rules(irflops.analyze(graph), RULES), frozenset(op.name for op in graph.ops)) for form, graph in forms.items()
        }

    return audited


@pytest.mark.parametrize("pair", PAIRS)
def test_planted_fault_is_found(audits: Audits, pair: str) -> None:
    rule = pair.partition(",")[0]
    for form, told in audits(PAIRS[pair][0]).items():
        found = {finding.certainty.value for finding in told.audit.findings if finding.rule == rule}
        if form in CANNOT_SHOW.get(rule, ()):
            assert (found, rule in undecided(told.audit)) == (set(), True), form
        else:
            assert found == {"likely" if rule == "untied-head" or {(rule, form), (pair, form)} & LIKELY else "proven"}, form


@pytest.mark.parametrize("pair", PAIRS)
def test_net_without_the_fault_has_no_finding(audits: Audits, pair: str) -> None:
    rule = pair.partition(",")[0]
    for form, told in audits(PAIRS[pair][1]).items():
        assert [finding.message for finding in told.audit.findings if finding.rule == rule] == [], form


@pytest.mark.parametrize("planted", [True, False])
@pytest.mark.parametrize("pair", PAIRS)
def test_forms_of_a_net_differ_in_certainty_alone(audits: Audits, pair: str, planted: bool) -> None:
    """A form lacks a finding only where it leaves the rule open, or the op itself: OneFlow saves no dead one.

    Of a training step it saves the forward pass alone, which is another graph.
    """
    net = PAIRS[pair][not planted]
    told = {form: one for form, one in audits(net).items() if form != "saved" or not net.trains}
    in_any: dict[str, dict[str, Any]] = {}
    for one in told.values():
        in_any = said(one.audit) | in_any
    for form, one in told.items():
        own = said(one.audit)
        lost = {id_: finding for id_, finding in in_any.items() if id_ not in own and finding["rule"] not in undecided(one.audit)}
        assert [id_ for id_, finding in lost.items() if form != "saved" or finding["op"] in one.ops] == [], form
        assert own == {id_: in_any[id_] for id_ in own}, form


def test_saved_training_step_is_not_called_one_for_inference(flow: ModuleType, tmp_path: Path) -> None:
    """`oneflow.save` leaves out the backward pass: what follows from its lack is likely at most."""
    net = Net(_in_turn("conv", "norm", "drop"), lambda nn: _conv_norm(bias=False)(nn) | {"drop": nn.Dropout(0.5)}, IMAGE, trains=True)
    found = {form: run_rules(irflops.analyze(graph), RULES) for form, graph in _forms(flow, _compiled(flow, net), tmp_path).items()}
    modes = {form: [f.certainty.value for f in audit.findings if f.rule == "training-mode"] for form, audit in found.items()}
    assert modes.pop("saved") == ["likely", "likely"]
    assert not any(modes.values())
    assert {"dead-op", "never-updated-param"} <= undecided(found["saved"])


def test_budget_is_kept_or_not_in_every_form(flow: ModuleType, tmp_path: Path) -> None:
    """64 weights for each of two rows."""
    for form, graph in _forms(flow, _compiled(flow, PLAIN), tmp_path).items():
        analysis = irflops.analyze(graph)
        for macs, count in ((2 * 64, 0), (2 * 64 - 1, 1)):
            audit = run_rules(analysis, RULES, Settings(rules={"budget": {"total": {"macs": macs}}}))
            assert [finding.rule for finding in audit.findings].count("budget") == count, form


def test_oneflow_refuses_an_sbp_of_another_rank_than_the_mesh(flow: ModuleType) -> None:
    """So no net has the fault of `placement-sbp-mismatch`: tests/test_audit.py makes it in a dump."""
    broadcast = flow.sbp.broadcast
    placed = flow.ones(4, 8, placement=flow.placement("cpu", ranks=[0]), sbp=broadcast)
    with pytest.raises(RuntimeError, match="PlacedNdSbp"):
        placed.to_global(sbp=[broadcast, broadcast])


MENDED = [
    "conv-bias-before-norm",
    "foldable-norm, tied bias",
    *(pair for pair in PAIRS if pair.startswith("materialised-broadcast") and not pair.endswith("trained")),
]
"""Pairs whose net without the fault is the mended one, op for op."""


@pytest.mark.parametrize("pair", MENDED)
def test_gain_is_what_the_mended_net_saves(flow: ModuleType, audits: Audits, pair: str) -> None:
    totals = []
    for net in PAIRS[pair]:
        analysis = irflops.analyze(irflops.loads(repr(_compiled(flow, net))))
        figures = {name: analysis.total.get(name) for name in FIGURES}
        totals.append(figures | {"params": sum(analysis.total.params), "param_bytes": sum(analysis.total.param_bytes)})
    rule = pair.partition(",")[0]
    gain = next(finding.gain for finding in audits(PAIRS[pair][0])["repr"].audit.findings if finding.rule == rule)
    assert gain == {name: totals[0][name] - totals[1][name] for name in totals[0] if totals[0][name] != totals[1][name]}


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair.endswith("trained")])
def test_gain_of_a_training_step_is_not_stated(audits: Audits, pair: str) -> None:
    """Gradients and updates change too. The forward pass that `oneflow.save` writes alone is another graph."""
    rule = pair.partition(",")[0]
    for form, told in audits(PAIRS[pair][0]).items():
        if form != "saved":
            assert {finding.gain is None for finding in told.audit.findings if finding.rule == rule} == {True}, form
