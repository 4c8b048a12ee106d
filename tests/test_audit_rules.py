"""Every example of every audit rule: good graphs give nothing, bad ones exactly what they say, and the gain is what mending saves."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from dataclasses import replace
from pathlib import Path

import pytest

from irflops.analysis.analysis import analyze_graph
from irflops.auditing import rules as package
from irflops.auditing.engine import run_rules
from irflops.auditing.finding import Audit, Confidence
from irflops.auditing.rule import AuditRule, Bad, Good
from irflops.auditing.rules import RULES
from irflops.auditing.settings import Settings
from irflops.counting.cost import COST_NAMES, Cost
from irflops.readers.notation.sketch import sketch

GOOD = [pytest.param(rule, example, id=f"{rule.name}: {example.name}") for rule in RULES for example in rule.good]
BAD = [pytest.param(rule, example, id=f"{rule.name}: {example.name}") for rule in RULES for example in rule.bad]
MENDED = [pytest.param(rule, example, id=f"{rule.name}: {example.name}") for rule in RULES for example in rule.bad if example.mended]


def _audit(rule: AuditRule, graph: str, settings: object) -> Audit:
    assert isinstance(settings, dict)
    return run_rules(analyze_graph(sketch(graph).graph), [rule], Settings(rules={rule.name: settings}))


@pytest.mark.parametrize(("rule", "example"), GOOD)
def test_good_graph_gives_nothing(rule: AuditRule, example: Good) -> None:
    audit = _audit(rule, example.graph, example.settings)
    assert audit.findings == ()
    assert audit.complete != example.undecided
    assert bool(audit.untold) == example.untold


@pytest.mark.parametrize(("rule", "example"), BAD)
def test_bad_graph_gives_what_it_says(rule: AuditRule, example: Bad) -> None:
    drawn = sketch(example.graph)
    audit = _audit(rule, example.graph, example.settings)
    assert len(audit.findings) == 1
    found = audit.findings[0]
    assert found.op == (drawn.ops[example.op] if example.op is not None else None)
    assert (found.measured, found.limit, found.certainty) == (example.measured, example.limit, example.certainty)
    assert found.gain == example.gain
    assert found.severity is rule.severity
    assert example.because


def _totals(graph: str) -> dict[str, int]:
    total: Cost = analyze_graph(sketch(graph).graph).total
    sums = {name: total.get(name) for name in COST_NAMES if not name.startswith("param")}
    return sums | {"params": sum(total.params), "param_bytes": sum(total.param_bytes)}


@pytest.mark.parametrize(("rule", "example"), MENDED)
def test_gain_is_the_difference_to_the_mended_graph(rule: AuditRule, example: Bad) -> None:
    assert _audit(rule, example.mended, example.settings).findings == ()
    before, after = _totals(example.graph), _totals(example.mended)
    assert example.gain is not None
    assert {name: before[name] - after[name] for name in example.gain} == example.gain
    unstated = {name for name in COST_NAMES if before[name] != after[name]} - set(example.gain)
    assert unstated <= ({"macs", "flops", "transcendentals"} if rule.name == "unfused-attention" else set())


def test_every_rule_that_states_a_gain_shows_the_mended_graph() -> None:
    per_device = {"unsharded-optimizer-state"}  # no total has what one device holds
    missing = [f"{rule.name}: {e.name}" for rule in RULES for e in rule.bad if e.gain and not e.mended and rule.name not in per_device]
    assert missing == []


def test_part_of_a_graph_proves_nothing_that_the_rest_could_refute() -> None:
    for rule in RULES:
        for example in rule.bad if rule.refutable else ():
            graph = replace(sketch(example.graph).graph, partial=True)
            audit = run_rules(analyze_graph(graph), [rule], Settings(rules={rule.name: dict(example.settings)}))
            assert [(f.certainty, f.gain) for f in audit.findings] == [(Confidence.LIKELY, None)], f"{rule.name}: {example.name}"
            assert not audit.complete


def test_sketches_are_sound() -> None:
    """But for the rules on soundness itself, an example has no disagreement, no unknown op and no missing producer."""
    own = {"shape-disagreement", "unknown-op", "dangling-input", "budget", "placement-sbp-mismatch"}
    for rule in RULES:
        if rule.name in own:
            continue
        sound = [r for r in RULES if r.name in own - {"budget"}]
        for name, text in [(e.name, e.graph) for e in rule.good] + [(e.name, e.graph) for e in rule.bad]:
            found = run_rules(analyze_graph(sketch(text).graph), sound).findings
            assert [f.message for f in found] == [], f"{rule.name}: {name}"


FILES = sorted(module.name for module in pkgutil.iter_modules(package.__path__))


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith("_")])
def test_file_has_one_rule_of_its_name(name: str) -> None:
    rule = importlib.import_module(f"irflops.auditing.rules.{name}").RULE
    assert rule.name == name.replace("_", "-")
    assert any(rule is registered for registered in RULES)


def test_every_example_that_is_written_is_collected() -> None:
    written = sum(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Good", "Bad")
        for path in Path(package.__path__[0]).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )
    assert sum(len(rule.good) + len(rule.bad) for rule in RULES) == written
