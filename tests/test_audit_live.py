"""Against live OneFlow: a fault planted in a small net is found in every form that shows it, and nowhere in the net without it.

tests/test_audit_live_mesh.py has the rules on meshes. What remains is of dumps, not of nets: OneFlow writes none of a shape that it did not
infer, of an operand that nothing makes, or of an op type that it has not. tests/test_audit.py damages real dumps for those.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from audited import said, undecided
from audited_nets import CANNOT_SHOW, IMAGE, LIKELY, PAIRS, PLAIN, Net, Told, conv_norm, in_turn

import irflops
from irflops import Graph
from irflops.auditing.engine import run_rules
from irflops.auditing.rules import RULES
from irflops.auditing.settings import Settings
from irflops.counting.cost import FIGURES

pytestmark = pytest.mark.oneflow


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
    net = Net(in_turn("conv", "norm", "drop"), lambda nn: conv_norm(bias=False)(nn) | {"drop": nn.Dropout(0.5)}, IMAGE, trains=True)
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
