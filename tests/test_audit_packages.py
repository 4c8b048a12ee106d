"""Rules of other packages that fail: the error names them, and is neither the user's nor ours."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import ROOT, SMALL, run

import irflops
from irflops.auditing import registry
from irflops.auditing.facts import Facts
from irflops.auditing.rule import Hit, Options
from irflops.auditing.rules import RULES
from irflops.errors import IrflopsError

GRAPH = ROOT / SMALL


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


_PACKAGE = """
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Setting, Undecided
{top}
def check(facts, options):
    {check}
def parse(value):
    {parse}
good, bad = Good(name="g", graph="x"), Bad(name="b", graph="y", op=None, because="z")
setting = Setting(name="size", meaning="m", default={default}, parse=parse)
RULE = AuditRule(
    name={name}, summary="s", why="w", fix="f", severity={severity}, check=check, good=(good,), bad=(bad,), settings=(setting,)
)
"""


@pytest.fixture
def theirs(project: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Installs a package `acme-rules` with the rule `acme`."""
    (project / "acme_rules-1.0.dist-info").mkdir()
    (project / "acme_rules-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: acme-rules\nVersion: 1.0\n", encoding="utf-8"
    )
    points = project / "acme_rules-1.0.dist-info" / "entry_points.txt"
    points.write_text("[irflops.rules]\nacme = acme_rules:RULE\n", encoding="utf-8")
    monkeypatch.syspath_prepend(project)

    def install(check: str = "return []", **parts: str) -> None:
        usual = {"top": "", "parse": "return value", "severity": "Severity.NOTE", "name": "'acme'", "default": "1"}
        (project / "acme_rules.py").write_text(_PACKAGE.format_map(usual | parts | {"check": check}), encoding="utf-8")
        monkeypatch.delitem(sys.modules, "acme_rules", raising=False)
        importlib.invalidate_caches()

    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two versions within a second look the same
    return install


@pytest.mark.parametrize(
    ("check", "line", "said"),
    [
        ("raise KeyError('size')", 6, "KeyError: 'size'"),
        ("raise SystemExit(7)", 6, "SystemExit: 7"),
        ("facts.shape(3); yield 1", 6, "AttributeError: 'int' object has no attribute 'type'"),
        ("return None", 5, "TypeError: its check returns None, and no outcomes"),
        ("return 5", 5, "TypeError: its check returns a int, and no outcomes"),
        ("yield 'x'", 5, "TypeError: a str is among its outcomes, which are Hit, Near and Undecided"),
        ("yield Hit(message='m', op='model.relu-relu-2')", 5, "TypeError: the op of a Hit is of type str"),
        ("yield Hit(message=None)", 5, "TypeError: the message of a Hit is of type NoneType"),
        ("yield Near(message='m', closeness=None)", 5, "TypeError: the closeness of a Near is of type NoneType"),
        ("yield Undecided(reason=5)", 5, "TypeError: the reason of a Undecided is of type int"),
        ("yield Hit(message='m', measured=Measure('x', 1.5))", 5, "TypeError: the measured of a Hit should be a whole number with a name"),
        ("yield Hit(message='m', gain={'macs': 1.5})", 5, "TypeError: the gain of a Hit should be a whole number with a name"),
        (
            "import dataclasses; yield Hit(message='m', op=dataclasses.replace(facts.graph.ops[0], name='other'))",
            5,
            "ValueError: a Hit is about an op that is not in the graph: other",
        ),
    ],
)
def test_rule_of_another_package_that_fails_is_named(project: Path, theirs: Any, check: str, line: int, said: str) -> None:
    theirs(check)
    done = run("audit", GRAPH)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        f"{project / 'acme_rules.py'}:{line}: error: the rule 'acme' of the package acme-rules failed with {said}\n"
        "hint: leave it out with --ignore acme, and tell the authors of acme-rules\n"
    )
    assert run("audit", GRAPH, "--ignore", "acme").exit_code == 0
    with pytest.raises(IrflopsError):
        irflops.audit(GRAPH)


def test_rule_of_another_package_that_works_is_asked(project: Path, theirs: Any) -> None:
    theirs("op = facts.graph.ops[0]; yield Hit(message='m', op=op, gain={'macs': 2}); yield Near(message='n'); yield Undecided(reason='r')")
    done = run("audit", GRAPH, "--select", "acme", "--format", "json", "--fail-level", "note")
    assert done.exit_code == 1
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["message"], finding["gain"]) == ("m", {"macs": 2})


def test_setting_of_another_package_that_fails_is_named(project: Path, theirs: Any) -> None:
    (project / "irflops.toml").write_text("[audit.rules.acme]\nsize = 1", encoding="utf-8")
    theirs(parse="raise TypeError('what')")
    done = run("audit", GRAPH)
    assert done.exit_code == 2
    assert (
        "error: the rule 'acme' of the package acme-rules cannot read its setting 'size': TypeError: what\nhint: leave size" in done.stderr
    )
    theirs(parse="raise ValueError('should be blue')")
    done = run("audit", GRAPH)
    assert (done.exit_code, done.stderr) == (2, f"{project / 'irflops.toml'}: error: audit.rules: acme.size: should be blue\n")


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"top": "raise SystemExit(5)"}, "SystemExit: 5"),
        ({"top": "raise SystemExit"}, "SystemExit"),
        ({"top": "import nothing_of_that_name"}, "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ({"severity": "'note'"}, "TypeError: rule 'acme': severity is of type str"),
        ({"name": "'a,b'"}, "TypeError: rule 'a,b': a name has letters, digits, - and _ alone"),
        ({"default": "{1, 2}"}, "TypeError: setting 'size': its default is nothing that TOML holds"),
    ],
)
def test_package_whose_rules_cannot_be_loaded_is_named(project: Path, theirs: Any, parts: dict[str, str], said: str) -> None:
    theirs(**parts)
    for command in (("audit", GRAPH), ("rules",)):
        done = run(*command)
        assert (done.exit_code, done.stderr) == (
            2,
            f"error: the rules of acme-rules cannot be loaded: {said}\nhint: uninstall acme-rules\n",
        )


def test_damaged_metadata_of_any_package_is_an_error(project: Path, theirs: Any) -> None:
    theirs()
    (project / "acme_rules-1.0.dist-info" / "METADATA").unlink()
    assert run("audit", GRAPH).exit_code == 0
    (project / "acme_rules-1.0.dist-info" / "entry_points.txt").write_text("[console_scripts]\nno sign\n", encoding="utf-8")
    assert run("audit", GRAPH).exit_code in (0, 2)  # some versions of Python pass it over


def test_fault_of_an_own_rule_is_ours(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_facts: Facts, _options: Options) -> list[Hit]:
        raise KeyError("ours")

    monkeypatch.setattr(registry, "RULES", (replace(RULES[0], check=fails), *RULES[1:]))
    done = run("audit", GRAPH)
    assert done.exit_code == 3
    assert "This is a bug of irflops" in done.stderr
