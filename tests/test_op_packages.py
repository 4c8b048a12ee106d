"""Op rules of other packages: asked for types that have no rule, and named where they fail."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import ROOT, SMALL, run
from own_graphs import own_dump

import irflops
from irflops.errors import IrflopsError
from irflops.readers.notation.sketch import sketch
from irflops.teaching.proof import failures

EXAMPLE = ROOT / "tests" / "op_plugin"

SPARSE = """
x = input() -> out: f16[2,8]
w = variable() -> out: f16[4,8]
y = sparse_linear_2_4(x: x, weight: w) -> out: f16[2,4]
output(in: y)
"""

_PACKAGE = """
from irflops.ir.graph import TensorType
from irflops.ops.rule import OpRule
from irflops.ops.traffic import Traffic, touch_all
from irflops.ops.work import MissingAttribute, Work
{top}
def shape(op):
    {shape}
def cost(op):
    {cost}
def traffic(op):
    {traffic}
RULE = OpRule(op_types={types}, summary="s", formula="f", shape=shape, cost=cost, traffic=traffic, examples=(), by="acme")
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def theirs(project: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Installs a package `acme-ops` with a rule for `my_cuda_conv`."""
    info = project / "acme_ops-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-ops\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[irflops.op_rules]\nacme = acme_ops:RULE\n", encoding="utf-8")
    monkeypatch.syspath_prepend(project)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two versions within a second look the same

    def install(**parts: str) -> None:
        usual = {"top": "", "types": "('my_cuda_conv',)", "shape": "raise MissingAttribute('x')"}
        usual |= {"cost": "return Work(macs=5)", "traffic": "return touch_all(op)"}
        (project / "acme_ops.py").write_text(_PACKAGE.format_map(usual | parts), encoding="utf-8")
        monkeypatch.delitem(sys.modules, "acme_ops", raising=False)
        importlib.invalidate_caches()

    return install


def test_package_counts_a_type_that_has_no_rule(project: Path, theirs: Any) -> None:
    theirs()
    dump = own_dump(project)
    found = json.loads(run("analyze", dump, "--format", "json").stdout)
    assert found["own_rules"] == [{"type": "my_cuda_conv", "by": "acme", "replaces": False, "count": 1}]
    assert irflops.analyze(dump).own_rules[0].by == "acme"
    (project / "irflops.toml").write_text('[ops.my_cuda_conv]\nlike = "conv2d"\n', encoding="utf-8")  # which is nearer to the user
    assert json.loads(run("analyze", dump, "--format", "json").stdout)["own_rules"][0]["by"] == "irflops.toml:1"


def test_package_changes_no_type_that_has_a_rule_and_is_not_loaded_for_one(project: Path, theirs: Any) -> None:
    theirs(types="('my_cuda_conv', 'relu')")
    found = json.loads(run("analyze", own_dump(project), "--format", "json").stdout)
    assert [rule["type"] for rule in found["own_rules"]] == ["my_cuda_conv"]
    theirs(top="raise KeyError('loaded')")
    assert run("analyze", ROOT / SMALL).exit_code == 0
    assert "acme_ops" not in sys.modules


@pytest.mark.parametrize(
    ("parts", "line", "said"),
    [
        ({"cost": "raise KeyError('x')"}, 10, "KeyError: 'x'"),
        ({"cost": "raise SystemExit(3)"}, 10, "SystemExit: 3"),
        ({"cost": "return 5"}, 9, "TypeError: its cost rule returns a int, and no Work"),
        ({"cost": "return Work(macs=1.5)"}, 9, "TypeError: macs would be 1.5, which is no count"),
        ({"cost": "return Work(arithmetic=-1)"}, 9, "TypeError: arithmetic would be -1, which is no count"),
        ({"shape": "return [1]"}, 7, "TypeError: its shape rule returns a list, and no types by result"),
        ({"shape": "return {'out': (1, 2)}"}, 7, "TypeError: its shape rule gives out a int, and no TensorType"),
        ({"shape": "return {'out': TensorType((1.5,))}"}, 7, "TypeError: its shape rule gives out a shape that is no tuple of integers"),
        ({"traffic": "return {}"}, 11, "TypeError: its traffic rule returns a dict, and no Traffic"),
        ({"traffic": "return Traffic(reads={'x': None}, writes={})"}, 11, "TypeError: the bytes of x would be None, which is no count"),
    ],
)
def test_rule_of_a_package_that_fails_is_named(project: Path, theirs: Any, parts: dict[str, str], line: int, said: str) -> None:
    theirs(**parts)
    done = run("analyze", own_dump(project))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        f"{project / 'acme_ops.py'}:{line}: error: the rule for my_cuda_conv of the package acme-ops failed with {said}\n"
        "hint: count it by a table [ops.my_cuda_conv] of irflops.toml, and tell the authors of acme-ops\n"
    )
    with pytest.raises(IrflopsError):
        irflops.analyze(own_dump(project))


def test_rule_of_a_package_may_not_know(project: Path, theirs: Any) -> None:
    theirs(cost="raise MissingAttribute('x')")
    found = json.loads(run("analyze", own_dump(project), "--format", "json").stdout)
    assert [(row["type"], row["reason"]) for row in found["unknown"]] == [("my_cuda_conv", "missing_attribute")]
    theirs(shape="raise ValueError('shapes of a kind that it does not take')")
    found = json.loads(run("analyze", own_dump(project), "--format", "json").stdout)
    assert [row["reason"] for row in found["shape_disagreements"]] == ["my_cuda_conv: shapes of a kind that it does not take"]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"top": "raise SystemExit(5)"}, "the rules of acme-ops cannot be loaded: SystemExit: 5"),
        ({"types": "()"}, "the rules of acme-ops cannot be loaded: TypeError: rule 's': op_types is empty"),
        ({"top": "OpRule = lambda **_: 3"}, "acme-ops names acme_ops:RULE as op rules, which is none"),
    ],
)
def test_package_whose_rules_cannot_be_loaded_is_named(project: Path, theirs: Any, parts: dict[str, str], said: str) -> None:
    theirs(**parts)
    for command in (("analyze", own_dump(project)), ("ops",)):
        done = run(*command)
        assert (done.exit_code, done.stderr) == (2, f"error: {said}\nhint: uninstall acme-ops\n")


def test_two_packages_for_one_type_are_an_error(project: Path, theirs: Any) -> None:
    theirs()
    points = project / "acme_ops-1.0.dist-info" / "entry_points.txt"
    points.write_text("[irflops.op_rules]\nacme = acme_ops:RULE\nagain = acme_ops:RULE\n", encoding="utf-8")
    done = run("analyze", own_dump(project))
    assert (done.exit_code, "adds a rule for my_cuda_conv, and acme-ops does too" in done.stderr) == (2, True)


def _example_rules() -> Any:
    path = EXAMPLE / "irflops_example_ops" / "__init__.py"
    spec = importlib.util.spec_from_file_location("irflops_example_ops", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.RULES


def test_examples_of_the_example_package_hold_and_make_totals_exact() -> None:
    rules = _example_rules()
    assert [failures(rule, example) for rule in rules for example in rule.examples] == [()]
    analysis = irflops.analyze(sketch(SPARSE).graph, op_rules=irflops.ops.BOOK.with_rules(*rules))
    assert (analysis.total.get("macs"), str(analysis.total.worst)) == (32, "exact")


def test_example_package_that_is_installed_is_found(tmp_path: Path) -> None:
    if importlib.util.find_spec("hatchling") is None or importlib.util.find_spec("pip") is None:
        pytest.skip("pip and hatchling build the example package")
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(target), str(EXAMPLE)]
    subprocess.run(pip, check=True)
    dump = own_dump(tmp_path)
    dump.write_text(dump.read_text(encoding="utf-8").replace("my_cuda_conv", "sparse_linear_2_4"), encoding="utf-8")
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(target), str(ROOT)])}

    def irflops_says(*args: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "irflops", *map(str, args)]
        return subprocess.run(command, env=env, cwd=target, capture_output=True, text=True, check=False)

    done = irflops_says("ops", "--check")
    assert (done.returncode, done.stdout) == (0, "sparse_linear_2_4 by irflops-example-ops: 1 of 1 examples hold\n")
    # Its weight has four axes here, which the rule does not take: that is said, and no error.
    assert "linear_2_4 takes 2" in irflops_says("analyze", dump, "--wide").stdout
