"""`irflops audit` and `irflops rules` from the outside: formats, exit codes, settings, baselines, rules of other packages."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from commands import run

import irflops
from irflops.analysis.analysis import analyze_graph
from irflops.auditing.engine import run_rules
from irflops.auditing.facts import Facts
from irflops.auditing.finding import Severity
from irflops.auditing.rule import AuditRule, Hit, Options
from irflops.auditing.rules import RULES
from irflops.auditing.settings import Settings, settings_of
from irflops.configuration.config import find_config, read_config
from irflops.errors import GraphSyntaxError, IrflopsError
from irflops.readers.notation.sketch import sketch

ROOT = Path(__file__).resolve().parent.parent
RESNET = ROOT / "fixtures" / "resnet18.repr.txt.gz"
GPT = ROOT / "fixtures" / "gpt_train.repr.txt.gz"
MLP = ROOT / "fixtures" / "mlp_train.repr.txt.gz"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _audit(*args: object) -> dict[str, Any]:
    done = run("audit", *args, "--format", "json")
    assert done.exit_code in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# Formats


def _schema(name: str) -> Any:
    return json.loads((resources.files("irflops.data") / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", [RESNET, GPT, MLP], ids=lambda path: path.name)
def test_json_has_the_schema(project: Path, path: Path) -> None:
    jsonschema.validate(_audit(path), _schema("audit"))
    jsonschema.validate(_audit(path, "--explain", "unequal-channels"), _schema("audit"))


def test_rules_json_has_the_schema() -> None:
    found = json.loads(run("rules", "--format", "json").stdout)
    jsonschema.validate(found, _schema("rules"))
    assert {rule["name"] for rule in found["rules"]} >= {rule.name for rule in RULES}


def test_sarif_has_the_standards_schema(project: Path) -> None:
    """The schema is OASIS's own: sarif-2.1/schema/sarif-schema-2.1.0.json of github.com/oasis-tcs/sarif-spec at e0583813."""
    schema = json.loads(gzip.decompress((ROOT / "tests" / "sarif-schema-2.1.0.json.gz").read_bytes()))
    for path in (RESNET, GPT, MLP):
        folded = json.loads(run("audit", path, "--format", "sarif").stdout)
        jsonschema.validate(folded, schema)
        found = json.loads(run("audit", path, "--format", "sarif", "--full").stdout)
        jsonschema.validate(found, schema)
        sarif = found["runs"][0]
        assert [result["partialFingerprints"]["irflopsFinding/v1"] for result in sarif["results"]] == [
            finding["id"] for finding in _audit(path)["findings"]
        ]
        for result in sarif["results"]:
            assert sarif["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_junit_counts_failures_from_the_fail_level_up(project: Path) -> None:
    for level, failing in (("error", 0), ("note", 20)):
        suite = ET.fromstring(run("audit", RESNET, "--format", "junit", "--fail-level", level).stdout)[0]  # noqa: S314 - our own output
        assert int(suite.attrib["failures"]) == len(suite.findall("testcase/failure")) == failing
        assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
        assert int(suite.attrib["skipped"]) == len(suite.findall("testcase/skipped"))


def test_github_annotations_are_escaped(project: Path) -> None:
    lines = run("audit", GPT, "--format", "github", "--full").stdout.splitlines()
    assert len(lines) == len(_audit(GPT)["findings"]) > 0
    assert all(line.startswith(("::notice file=", "::warning file=", "::error file=")) for line in lines)
    assert lines[0].count("::") == 2


def test_markdown_has_a_table_a_rule(project: Path) -> None:
    text = run("audit", RESNET, "--format", "markdown", "--full").stdout
    assert "## note: foldable-norm" in text
    assert text.count("\n| model.") == len(_audit(RESNET)["findings"])


def test_output_goes_to_a_file_and_never_over_the_graph(project: Path) -> None:
    assert run("audit", RESNET, "--format", "sarif", "-o", project / "a.sarif").stdout == ""
    assert json.loads((project / "a.sarif").read_text(encoding="utf-8"))["version"] == "2.1.0"
    (project / "g.txt").write_bytes(gzip.decompress(MLP.read_bytes()))
    assert run("audit", project / "g.txt", "-o", project / "g.txt").exit_code == 2


# Exit codes


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ((), 0),
        (("--fail-level", "note"), 1),
        (("--fail-level", "note", "--ignore", "foldable-norm"), 0),
        (("--fail-level", "note", "--select", "dead-op"), 0),
        (("--strict",), 0),
        (("--strict", "--ignore", "suspicious-attribute"), 0),
        (("--select", "ded-op"), 2),
        (("--explain", "nothing"), 2),
        (("--config", "missing.toml"), 2),
        (("--explain", "dead-op", "--format", "sarif"), 2),
    ],
)
def test_exit_code(project: Path, args: tuple[str, ...], code: int) -> None:
    assert run("audit", RESNET, *args).exit_code == code


def test_misspelt_rule_gets_a_suggestion(project: Path) -> None:
    for command in (("audit", RESNET, "--select", "ded-op"), ("audit", RESNET, "--explain", "ded-op"), ("rules", "ded-op")):
        assert "did you mean 'dead-op'?" in run(*command).stderr


# Settings


def _settings(text: str, project: Path) -> Settings:
    (project / "irflops.toml").write_text(text, encoding="utf-8")
    return settings_of(read_config(project / "irflops.toml").table("audit"), RULES, "irflops.toml")


def test_settings_of_every_kind(project: Path) -> None:
    text = """
        [audit]
        select = ["foldable-norm", "dead-op", "unequal-channels", "budget"]
        ignore = ["dead-op"]
        fail-level = "warning"
        severity = { foldable-norm = "warning" }
        per-module-ignores = { "model.layer*" = ["foldable-norm"] }
        [audit.rules.unequal-channels]
        ratio = 1
        [audit.rules.budget]
        total = { macs = 1_000_000_000 }
        module = { "model.layer*" = { "params.trainable" = 2_000_000 } }
    """
    _settings(text, project)
    done = run("audit", RESNET, "--format", "json")
    findings = json.loads(done.stdout)["findings"]
    assert done.exit_code == 1
    found = {(f["rule"], f["severity"], f["op"] or f["module"]) for f in findings}
    assert found == {
        ("budget", "error", ""),
        ("budget", "error", "model.layer3"),
        ("budget", "error", "model.layer4"),
        ("foldable-norm", "warning", "model.bn1-normalization-1"),
        ("unequal-channels", "note", "model.layer2.0.downsample.0-conv2d-23"),
        ("unequal-channels", "note", "model.layer3.0.downsample.0-conv2d-39"),
        ("unequal-channels", "note", "model.layer4.0.downsample.0-conv2d-55"),
    }
    total = next(f for f in findings if f["rule"] == "budget" and not f["module"])
    assert total["measured"] == {"cost": "macs", "value": 1814073344}
    assert total["limit"] == {"cost": "macs", "value": 1_000_000_000}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[audti]", "'audti' is no table of irflops' configuration", "did you mean 'audit'?"),
        ("[audit]\nselct = []", "'selct' is no setting of an audit", "did you mean 'select'?"),
        ("[audit]\nselect = ['ded-op']", "audit.select: 'ded-op' is no rule", "did you mean 'dead-op'?"),
        ("[audit]\nselect = 'dead-op'", "audit.select: should be a list of rules' names", None),
        ("[audit.severity]\ndead-op = 'eror'", "audit.severity: 'eror' is no severity", "did you mean 'error'?"),
        ("[audit.rules.dead-op]\nx = 1", "audit.rules: 'x' is no setting of dead-op, which has none", None),
        ("[audit.rules.unequal-channels]\nratoi = 1", "audit.rules: 'ratoi' is no setting of unequal-channels", "did you mean 'ratio'?"),
        ("[audit.rules.unequal-channels]\nratio = 0", "audit.rules: unequal-channels.ratio: should be a positive whole number", None),
        ("[audit.rules.budget.total]\nmac = 1", "audit.rules: budget.total: 'mac' is no cost", "did you mean 'macs'?"),
        ("[audit.rules.budget.total]\nmacs = -1", "audit.rules: budget.total: macs should be a positive whole number", None),
        ("audit = 1", "audit should be a table, [audit]", None),
        ("[audit", None, None),
    ],
)
def test_setting_that_is_not_known_is_an_error_with_a_suggestion(project: Path, text: str, message: str | None, hint: str | None) -> None:
    with pytest.raises(IrflopsError) as raised:
        _settings(text, project)
    assert raised.value.path is not None
    if message is not None:
        assert (raised.value.message, raised.value.hint) == (message, hint)


def test_nearest_configuration_counts(project: Path) -> None:
    below = project / "a" / "b"
    below.mkdir(parents=True)
    (project / "irflops.toml").write_text("[audit]\nignore = ['dead-op']", encoding="utf-8")
    (project / "a" / "pyproject.toml").write_text("[project]\nname = 'x'", encoding="utf-8")
    assert find_config(below).path == str(project / "irflops.toml")
    (project / "a" / "pyproject.toml").write_text("[tool.irflops.audit]\nignore = ['budget']", encoding="utf-8")
    assert find_config(below).table("audit") == {"ignore": ["budget"]}
    (project / "a" / "irflops.toml").write_text("", encoding="utf-8")
    assert find_config(below).tables == {}


def test_command_line_beats_the_configuration(project: Path) -> None:
    (project / "irflops.toml").write_text("[audit]\nselect = ['dead-op']\nfail-level = 'note'", encoding="utf-8")
    assert run("audit", RESNET).exit_code == 0
    assert run("audit", RESNET, "--select", "foldable-norm").exit_code == 1
    assert run("audit", RESNET, "--no-config").exit_code == 0
    assert len(_audit(RESNET, "--no-config")["findings"]) > 0


# Baselines and ids


def test_baseline_leaves_out_what_it_has(project: Path) -> None:
    (project / "old.json").write_text(json.dumps(_audit(RESNET)), encoding="utf-8")
    for baseline in (RESNET, project / "old.json"):
        assert _audit(RESNET, "--baseline", baseline)["findings"] == []
    assert len(_audit(RESNET, "--baseline", MLP)["findings"]) == len(_audit(RESNET)["findings"])


def test_id_outlives_a_renumbering(project: Path) -> None:
    """An op added early renumbers all others, and moves their lines."""
    text = gzip.decompress(RESNET.read_bytes()).decode("utf-8")
    shifted = text.replace("-normalization-", "-normalization-100").replace("-conv2d-", "-conv2d-100")
    (project / "new.txt").write_text("\n\n" + shifted, encoding="utf-8")
    assert _audit(project / "new.txt", "--baseline", RESNET)["findings"] == []


def test_python_has_the_audit_too() -> None:
    audit = irflops.audit(irflops.analyze(RESNET))
    assert {finding.rule for finding in audit.findings} == {"foldable-norm"}
    assert audit.worst() is Severity.NOTE
    assert irflops.audit(RESNET).to_dict()["findings"] == audit.to_dict()["findings"]


# Damage to a real dump


def _edited(project: Path, old: str, new: str, source: Path = RESNET) -> list[dict[str, Any]]:
    text = gzip.decompress(source.read_bytes()).decode("utf-8")
    assert old in text
    (project / "edited.txt").write_text(text.replace(old, new, 1), encoding="utf-8")
    findings: list[dict[str, Any]] = _audit(project / "edited.txt")["findings"]
    return [finding for finding in findings if finding["severity"] != "note"]


def test_line_that_is_missing_dangles(project: Path) -> None:
    text = gzip.decompress(RESNET.read_bytes()).decode("utf-8")
    line = next(line for line in text.splitlines(keepends=True) if "OPERATOR: model.layer1.0.relu-relu-6(" in line)
    found = _edited(project, line, "")
    assert {"rule": "dangling-input", "op": "model.layer1.0.conv2-conv2d-7"}.items() <= found[0].items()
    assert [finding["rule"] for finding in found] == ["dangling-input", "dead-op"]


def test_shape_that_is_wrong_disagrees(project: Path) -> None:
    found = _edited(project, "model.fc-matmul-68/out_0:(sbp=(B), size=(1, 1000)", "model.fc-matmul-68/out_0:(sbp=(B), size=(1, 1001)")
    assert {(finding["rule"], finding["severity"]) for finding in found} == {("shape-disagreement", "error")}


def test_sbp_of_another_rank_does_not_fit(project: Path) -> None:
    old = "model.fc-matmul-68/out_0:(sbp=(B), size=(1, 1000)"
    found = _edited(project, old, old.replace("(B)", "(B, B)"))
    assert [finding["rule"] for finding in found] == ["placement-sbp-mismatch"]


# Explaining, and the rules


def test_explain_shows_what_came_nearest(project: Path) -> None:
    explained = _audit(RESNET, "--explain", "unequal-channels")["explained"]
    assert explained[0]["measured"] == {"cost": "channels", "value": 128}
    assert explained[0]["limit"] == {"cost": "channels", "value": 256}
    assert "128 channels" in run("audit", RESNET, "--explain", "unequal-channels").stdout


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_explains_itself(project: Path, rule: AuditRule) -> None:
    done = run("rules", rule.name)
    assert done.exit_code == 0
    assert rule.bad[0].name in done.stdout
    assert run("audit", MLP, "--explain", rule.name).exit_code == 0


def test_two_findings_of_one_op_are_told_apart() -> None:
    def twice(facts: Facts, _options: Options) -> list[Hit]:
        op = next(facts.of("relu"))
        return [Hit(message="one", op=op), Hit(message="two", op=op)]  # a rule against its contract

    graph = sketch(RULES[2].good[0].graph).graph
    rule = AuditRule(name="twice", summary="s", why="w", fix="f", severity=Severity.NOTE, check=twice, good=RULES[2].good, bad=RULES[2].bad)
    assert [f.id for f in run_rules(analyze_graph(graph), [rule]).findings] == ["twice::relu:1", "twice::relu:1:2"]


@pytest.mark.parametrize("text", ["x", "x = relu(x: y", "a, b = relu(x: f32[2]) -> y: f32[2]", "x relu() -> y: f32[2]"])
def test_sketch_that_does_not_read_is_an_error(text: str) -> None:
    with pytest.raises(GraphSyntaxError):
        sketch(text)


# Rules of other packages


@pytest.fixture(scope="session")
def installed_plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example package, installed into a folder of its own."""
    if importlib.util.find_spec("hatchling") is None or importlib.util.find_spec("pip") is None:
        pytest.skip("pip and hatchling build the example package")
    target = tmp_path_factory.mktemp("plugin")
    source = ROOT / "tests" / "audit_plugin"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(target), str(source)]
    subprocess.run(pip, check=True)
    return target


def _with_plugin(target: Path, *args: object) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(target), str(ROOT)])}
    command = [sys.executable, "-m", "irflops", *map(str, args)]
    return subprocess.run(command, env=env, cwd=target, capture_output=True, text=True, check=False)


def test_package_adds_a_rule(installed_plugin: Path) -> None:
    done = _with_plugin(installed_plugin, "audit", RESNET, "--select", "large-kernel", "--format", "json", "--fail-level", "warning")
    assert done.returncode == 1, done.stderr
    assert [finding["op"] for finding in json.loads(done.stdout)["findings"]] == ["model.conv1-conv2d-0"]
    assert "large-kernel (warning)" in _with_plugin(installed_plugin, "rules", "large-kernel").stdout


def test_settings_reach_an_added_rule(installed_plugin: Path) -> None:
    (installed_plugin / "irflops.toml").write_text("[audit.rules.large-kernel]\nsize = 7", encoding="utf-8")
    done = _with_plugin(installed_plugin, "audit", RESNET, "--select", "large-kernel", "--format", "json", "--fail-level", "warning")
    assert (done.returncode, json.loads(done.stdout)["findings"]) == (0, [])


def test_examples_of_an_added_rule_hold() -> None:
    path = ROOT / "tests" / "audit_plugin" / "irflops_example_rules" / "__init__.py"
    spec = importlib.util.spec_from_file_location("irflops_example_rules", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for rule in module.RULES:
        for good in rule.good:
            settings = Settings(rules={rule.name: good.settings})
            assert run_rules(analyze_graph(sketch(good.graph).graph), [rule], settings).findings == ()
        for bad in rule.bad:
            found = run_rules(analyze_graph(sketch(bad.graph).graph), [rule]).findings
            assert [(f.measured, f.limit) for f in found] == [(bad.measured, bad.limit)]
