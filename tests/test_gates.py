"""Gates of an audit: budgets, baselines, several graphs, and what is never told of a form against what is undecided."""

from __future__ import annotations

import gzip
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from click.testing import CliRunner

import irflops
from irflops.analysis.analysis import analyze_graph
from irflops.auditing.engine import run_rules
from irflops.auditing.finding import Audit, Confidence, Finding, Measure, Severity
from irflops.auditing.ratchet import Baseline, only_new
from irflops.auditing.rules import RULES
from irflops.auditing.settings import Settings
from irflops.cli import cli
from irflops.ir.holds import Holds
from irflops.readers.notation.sketch import sketch

FIXTURES = Path(__file__).parent.parent / "fixtures"
SCHEMA: dict[str, Any] = json.loads((Path(irflops.__file__).parent / "data/schemas/audit.schema.json").read_text(encoding="utf-8"))


def path(name: str) -> str:
    return str(FIXTURES / f"{name}.gz")


def run(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(cli, ["audit", *arguments])
    return found.exit_code, found.output


@pytest.fixture
def budget(tmp_path: Path) -> Any:
    """Runs an audit by a budget alone: its exit code and output."""

    def audited(text: str, *arguments: str) -> tuple[int, str]:
        config = tmp_path / "budget.toml"
        config.write_text(text, encoding="utf-8")
        return run(*arguments, "--config", str(config), "--select", "budget")

    return audited


CNN, LARGER, BATCH, TRAINING = (
    path(f"changes/{name}") for name in ("cnn.job.pb", "cnn_larger_kernel.job.pb", "cnn_batch.job.pb", "cnn_train.fwd.prototxt")
)
MACS = "[audit.rules.budget.total]\nmacs = {}\n"


def test_a_budget_is_kept_exceeded_or_open(budget: Any) -> None:
    """543,872 MACs; of a training step the forward job tells no less than 1,603,968."""
    assert budget(MACS.format(543_872), CNN)[0] == 0
    assert budget(MACS.format(543_871), CNN)[0] == 1
    assert budget(MACS.format(1_603_967), TRAINING)[0] == 1
    code, said = budget(MACS.format(2_000_000), TRAINING)
    assert (code, "1,603,968 are counted, 2,000,000 are allowed" in said) == (1, True)
    assert budget(MACS.format(2_000_000), TRAINING, "--fail-level", "error")[0] == 1
    no_error = '[audit.severity]\nbudget = "warning"\n' + MACS.format(2_000_000)
    assert budget(no_error, TRAINING)[0] == 0  # an excess would not fail either
    assert budget(no_error, TRAINING, "--strict")[0] == 1


def test_parameters_of_a_forward_job_are_known(budget: Any) -> None:
    total = irflops.analyze(TRAINING).total
    for name in ("params", "param_bytes", "params.trainable", "params.buffer"):
        text = '[audit.rules.budget.total]\n"{}" = {}\n'
        assert [budget(text.format(name, total.get(name) - less), TRAINING)[0] for less in (0, 1)] == [0, 1]
    assert budget('[audit.rules.budget.total]\n"params.optimizer_state" = 0\n', TRAINING)[0] == 1


@pytest.mark.parametrize(
    ("limit", "code"), [('"96.0001KiB"', 2), ('"97KiB"', 0), ('"96KiB"', 1), ("98_496", 0), ('"98495B"', 1), ('"98.496kB"', 0)]
)
def test_budgets_have_units(budget: Any, limit: str, code: int) -> None:
    """98,496 bytes of activations; a part of one is no amount."""
    assert budget(f"[audit.rules.budget.total]\nactivation_bytes = {limit}\n", CNN)[0] == code


def test_params_of_a_budget_are_those_of_the_model(budget: Any) -> None:
    """4,436 trainable ones, and 120 elements in buffers, which are none."""
    assert budget("[audit.rules.budget.total]\nparams = 4436\n", CNN)[0] == 0
    assert budget("[audit.rules.budget.total]\nparams = 4435\n", CNN)[0] == 1
    printed = path("changes/cnn.repr.txt")
    assert budget("[audit.rules.budget.total]\ndeclared_params = 4435\n", printed)[0] == 1
    assert budget('[audit.rules.budget.module."model.blocks"]\ndeclared_params = 10\n', printed)[0] == 1
    assert budget("[audit.rules.budget.total]\ndeclared_params = 4436\n", CNN)[0] == 1  # a job declares none
    assert budget("[audit.rules.budget.type.conv2d]\ndeclared_params = 1\n", printed)[0] == 2


def test_a_pattern_has_to_match_a_module_of_some_graph(budget: Any) -> None:
    text = '[audit.rules.budget.module."{}"]\nmacs = "1G"\n'
    code, said = budget(text.format("model.block.*"), CNN)
    assert (code, "did you mean 'model.blocks." in said) == (2, True)
    gpt = path("changes/gpt.job.pb")
    only_gpt = next(p for p in irflops.analyze(gpt).modules if p and p not in irflops.analyze(CNN).modules)
    assert budget(text.format(only_gpt), CNN)[0] == 2
    assert budget(text.format(only_gpt), CNN, gpt)[0] == 0
    assert budget(text.format(only_gpt) + text.format("model.blocks.*"), CNN, gpt)[0] == 0


# Baselines


def finding(value: int, limit: int | None = 10, cost: str = "macs") -> Finding:
    allowed = Measure(cost, limit) if limit is not None else None
    return Finding(
        rule="r", id="a", severity=Severity.ERROR, certainty=Confidence.PROVEN, op=None, module="", line=None, message="m",
        measured=Measure(cost, value), limit=allowed,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "batch", "before", "batch_before", "is_new"),
    [
        (finding(12), 1, 12, 1, False),
        (finding(13), 1, 12, 1, True),
        (finding(11), 1, 12, 1, False),
        (finding(24), 2, 12, 1, False),
        (finding(25), 2, 12, 1, True),
        (finding(12), 1, 24, 2, False),
        (finding(13), 1, 24, 2, True),
        (finding(24), None, 12, 1, True),
        (finding(24, cost="params"), 2, 12, 1, True),
        (finding(9, 16, "channels"), 1, 9, 1, False),
        (finding(7, 16, "channels"), 1, 9, 1, True),
        (finding(13, None), 1, 12, 1, False),
    ],
)
def test_what_is_worse_is_new(found: Finding, batch: int | None, before: int, batch_before: int, is_new: bool) -> None:
    assert found.measured is not None
    audit = Audit("new", "g", (found,), batch=batch)
    known = Baseline("old", {"a": Measure(found.measured.cost, before)}, batch_before)
    assert bool(only_new(audit, known).findings) is is_new
    assert only_new(audit, Baseline("old", {})).findings == (found,)


def test_a_baseline_is_a_ratchet(budget: Any, tmp_path: Path) -> None:
    text = MACS.format(500_000)
    for name, first in (("old.json", (CNN,)), ("several.json", (CNN, path("changes/gpt.job.pb")))):
        code, written = budget(text, *first, "--format", "json")
        assert code == 1
        (tmp_path / name).write_text(written, encoding="utf-8")
    for old in (CNN, path("changes/cnn.repr.txt"), str(tmp_path / "old.json"), str(tmp_path / "several.json")):
        assert budget(text, CNN, "--baseline", old)[0] == 0
    for old in (CNN, str(tmp_path / "old.json")):
        assert budget(text, BATCH, "--baseline", old)[0] == 0  # two and a half times as many, for so many more samples
        assert budget(text, LARGER, "--baseline", old)[0] == 1
        assert budget(text, CNN, LARGER, "--baseline", old)[0] == 1
    assert budget(text, CNN, "--baseline", LARGER)[0] == 0


# Several graphs, and formats


def test_several_paths_are_a_list(tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_text("nothing", encoding="utf-8")
    code, written = run(CNN, path("resnet18.repr.txt"), "--format", "json")
    rows = json.loads(written)
    assert (code, [row["source"]["path"] for row in rows]) == (0, [CNN, path("resnet18.repr.txt")])
    for row in rows:
        jsonschema.validate(row, SCHEMA, cls=jsonschema.Draft202012Validator)
    found = CliRunner().invoke(cli, ["audit", CNN, str(bad), "--format", "json", "-o", str(tmp_path / "out.json")])
    rows = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert (found.exit_code, "findings" in rows[0], "error" in rows[1]) == (2, True, True)
    assert "bad.txt: error" in found.output


def test_every_format_has_all_graphs_and_what_fails_undecided(budget: Any) -> None:
    text = MACS.format(2_000_000)
    for format_ in ("table", "markdown", "sarif", "junit", "github"):
        code, written = budget(text, CNN, TRAINING, "--format", format_)
        assert (code, "1,603,968 are counted" in written) == (1, True), format_
    suites = ET.fromstring(budget(text, CNN, TRAINING, "--format", "junit")[1])  # noqa: S314 - we wrote it
    assert (len(suites), suites.get("failures"), suites.get("tests")) == (2, "1", "2")


# What is never told, and what is undecided


@pytest.mark.parametrize("form", ["repr.txt", "job.pb", "fwd.prototxt", "mlir"])
@pytest.mark.parametrize("name", ["cnn", "cnn_train", "gpt", "gpt_train"])
def test_a_sound_graph_is_complete_in_every_form(name: str, form: str) -> None:
    audit = irflops.audit(path(f"changes/{name}.{form}"))
    assert audit.complete, audit.doubts
    told = {fact.name: getattr(irflops.load(path(f"changes/{name}.{form}")).holds, fact.name) for fact in fields(Holds)}
    needs = {rule.name: rule.needs for rule in RULES}
    assert all(any(not told[need] for need in needs[doubt.rule]) for doubt in audit.untold)
    assert {"rule": "unused-param", "why": "the form declares no parameters, and makes none that nothing reads"} in (
        audit.to_dict()["not_applicable"]
    ) or form == "repr.txt"


def test_an_unknown_operator_leaves_something_undecided() -> None:
    text = gzip.decompress(Path(path("resnet18.repr.txt")).read_bytes()).decode()
    audit = irflops.audit(irflops.loads(re.sub(r"-conv2d-(\d+)", r"-my_conv-\1", text)))
    assert not audit.complete
    assert "elementwise-traffic" in {doubt.rule for doubt in audit.doubts}


def test_shapes_tell_what_attributes_a_form_lacks() -> None:
    """A pool that makes nothing is as odd where its output size is told by its shape alone."""
    rule = next(rule for rule in RULES if rule.name == "suspicious-attribute")
    line = "x = input() -> out: f32[1,8,4,4]\ny = adaptive_avg_pool2d(x: x{}) -> y: f32[1,8,{},1]\noutput(in: y)"
    for attrs in ("", ", output_size=[{},1]"):
        for size in (0, 1):
            audit = run_rules(analyze_graph(sketch(line.format(attrs.format(size), size)).graph), [rule])
            assert (len(audit.findings), audit.complete) == (1 - size, True)


COUNTING = """
x = input() -> out: f32[2,8]
bn | mean = variable(kind=buffer) -> out: f32[8]
bn | var = variable(kind=buffer) -> out: f32[8]
bn | gamma = variable() -> out: f32[8]
bn | beta = variable() -> out: f32[8]
{module} | count = variable(kind=buffer) -> out: {type}
{module} | counted = {op}(in: count) -> out: {type}
bn | y, m, v = normalization(x: x, moving_mean: mean, moving_variance: var, gamma: gamma, beta: beta, axis=1, epsilon=0.00001, \
training=true, momentum=0.9) -> y: f32[2,8], mean: f32[8], inv_variance: f32[8]
output(in: y)
"""


@pytest.mark.parametrize(
    ("module", "type_", "op", "is_dead"),
    [("bn", "i64[]", "scalar_add", False), ("bn", "i64[1]", "scalar_add", False), ("other", "i64[]", "scalar_add", True),
     ("bn", "f32[8]", "scalar_add", True), ("bn", "i64[]", "scalar_mul", True)],
)  # fmt: skip
def test_the_count_of_batches_alone_is_not_dead(module: str, type_: str, op: str, is_dead: bool) -> None:
    rule = next(rule for rule in RULES if rule.name == "dead-op")
    graph = sketch(COUNTING.format(module=module, type=type_, op=op)).graph
    assert bool(run_rules(analyze_graph(graph), [rule], Settings()).findings) is is_dead
