"""`irflops audit` against settings that cannot be used, baselines of all kinds, and file names that are no text."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from commands import ROOT, SMALL, TRAINING, run, text

import irflops
from irflops.auditing.settings import Settings
from irflops.configuration.config import find_config, read_config
from irflops.errors import IrflopsError
from irflops.toml_file import MAX_BYTES

GRAPH = ROOT / SMALL


def _env() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# The configuration


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("pyproject.toml", "tool = 5", "pyproject.toml: error: tool should be a table, [tool]\n"),
        ("pyproject.toml", 'tool = "irflops"', "pyproject.toml: error: tool should be a table, [tool]\n"),
        ("pyproject.toml", "[tool]\nirflops = 5", "pyproject.toml: error: tool.irflops should be a table, [tool.irflops]\n"),
        ("pyproject.toml", "[tool]\nirflops = []", "pyproject.toml: error: tool.irflops should be a table, [tool.irflops]\n"),
        ("pyproject.toml", "[tool.irflops]\naudit = 1", "error: tool.irflops.audit should be a table, [tool.irflops.audit]\n"),
        ("irflops.toml", "[audit]\nx = " + "9" * 5000, "irflops.toml:2:5: error: an integer has more than 100 digits\n"),
        ("irflops.toml", "[audit]\nx = 0x" + "f" * 5000, "irflops.toml: error: an integer has more than 100 digits\n"),
        ("irflops.toml", "[audit]\nx = [[1], {y = [1" + "0" * 100 + "]}]", "irflops.toml: error: an integer has more than 100 digits\n"),
        ("irflops.toml", "x = " + "[" * 3000, "irflops.toml: error: arrays or tables are nested too deep to be read\n"),
        ("irflops.toml", ".".join("a" * 40_000) + " = 1", "irflops.toml:1:1: error: a key of more than 100 parts\n"),
        ("irflops.toml", "x = {" + ".".join(['"a"'] * 40_000) + " = 1}", "irflops.toml:1:6: error: a key of more than 100 parts\n"),
        (
            "irflops.toml",
            "#" * (MAX_BYTES + 1),
            f":1:{MAX_BYTES + 1}: error: a file of more than {MAX_BYTES:,} bytes is not read\n",
        ),
        ("irflops.toml", "[audit]\n\nx = oops", "irflops.toml:3:5: error: this is no TOML: Invalid value\n   3 | x = oops\n"),
        ("irflops.toml", "[audit]\nx = {a = 1", "irflops.toml:2:11: error: this is no TOML: Unclosed inline table\n   2 | x = {a = 1\n"),
        ("irflops.toml", b"[audit]\nx = '\xff'", "irflops.toml:2: error: this is no TOML: it is not UTF-8\n"),
        ("irflops.toml", "'" + "x" * 5000 + "' = 1", f"'{'x' * 50}...{'x' * 50}' is no table of irflops' configuration\n"),
    ],
)
def test_configuration_that_cannot_be_used_is_one_clear_error(project: Path, file: str, content: str | bytes, said: str) -> None:
    (project / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    done = run("audit", GRAPH)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(str(project))
    assert said in done.stderr


def test_long_text_is_no_key(project: Path) -> None:
    (project / "irflops.toml").write_text("# " + "a." * 400 + "\n[audit]\nignore = [\n'dead-op']\n", encoding="utf-8")
    assert find_config(project).table("audit") == {"ignore": ["dead-op"]}


def test_configuration_may_begin_with_a_byte_order_mark(project: Path) -> None:
    (project / "irflops.toml").write_bytes(b"\xef\xbb\xbf[audit]\nignore = ['dead-op']")
    assert find_config().table("audit") == {"ignore": ["dead-op"]}


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="a file without an end")
def test_file_without_an_end_is_read_to_the_bound() -> None:
    with pytest.raises(IrflopsError, match="is not read"):
        read_config(Path("/dev/zero"))


@pytest.mark.skipif(sys.platform == "win32", reason="a current directory cannot be removed there")
def test_directory_that_was_removed_has_no_configuration(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = project / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    done = run("audit", GRAPH, "--select", "dead-op")
    assert (done.exit_code, done.stderr) == (0, "")


def test_budget_of_a_type_that_does_not_exist_is_an_error(project: Path, unknown: Path) -> None:
    def audited(op_type: str, path: Path, *args: str) -> tuple[int, str]:
        (project / "irflops.toml").write_text(f"[audit.rules.budget.type.{op_type}]\nflops = 1", encoding="utf-8")
        done = run("audit", path, *args)
        return done.exit_code, done.stderr.removeprefix(str(project / "irflops.toml"))

    no_type = ": error: audit.rules: budget.type: {!r} is no op type of OneFlow's, and none of this graph\nhint: {}\n"
    for args in ((), ("--select", "dead-op")):
        assert audited("conv2", GRAPH, *args) == (2, no_type.format("conv2", "did you mean 'conv2d'?"))
    assert audited("xyzzyxyz", GRAPH) == (2, no_type.format("xyzzyxyz", "irflops analyze --by type lists those of a graph"))
    assert audited("frobnicate", GRAPH)[0] == 2
    assert audited("frobnicate", unknown, "--select", "budget") == (1, "")  # a custom type, which this graph has; its cost is open
    assert audited("conv2d", GRAPH, "--select", "budget") == (1, "")
    for lacking in ("conv3d", "optimizer_state_of_nobody", "tick", "boxing_identity"):
        assert audited(lacking, GRAPH, "--select", "budget")[0] == (2 if lacking.endswith("nobody") else 0)
    # Only what is audited has to have it: an older graph may lack what the budget is for.
    (project / "irflops.toml").write_text("[audit.rules.budget.type.frobnicate]\nflops = 1", encoding="utf-8")
    assert run("audit", unknown, "--baseline", GRAPH, "--select", "budget").exit_code == 1  # open, and not refused


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            {"budget": {"type": {"conv2": {"macs": 1}}}},
            "audit.rules: budget.type: 'conv2' is no op type of OneFlow's, and none of this graph",
        ),
        ({"budget": {"totl": {}}}, "audit.rules: 'totl' is no setting of budget"),
        ({"bugdet": {}}, "audit.rules: 'bugdet' is no rule"),
    ],
)
def test_settings_of_python_are_judged_too(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(IrflopsError) as raised:
        irflops.audit(GRAPH, Settings(rules=rules))
    assert raised.value.message == message


# Explaining


def test_rule_that_is_explained_is_asked_though_ignored(project: Path) -> None:
    (project / "irflops.toml").write_text("[audit]\nignore = ['foldable-norm']", encoding="utf-8")
    for args in ((), ("--ignore", "foldable-norm"), ("--no-config", "--ignore", "foldable-norm")):
        shown = run("audit", GRAPH, "--explain", "foldable-norm", *args).stdout
        assert " ignored      by the settings; asked here all the same\n findings" in shown.replace(f" read from    {GRAPH}\n", "")
        assert "model.bn1-normalization-1" in shown
    (project / "irflops.toml").write_text('[audit.per-module-ignores]\n"model.*" = ["foldable-norm"]', encoding="utf-8")
    assert "foldable-norm" not in run("audit", GRAPH).stdout
    shown = run("audit", GRAPH, "--explain", "foldable-norm").stdout
    assert " ignored      by the settings in model.*; asked here all the same\n" in shown
    assert "model.bn1-normalization-1" in shown
    assert " ignored " not in run("audit", GRAPH, "--explain", "foldable-norm", "--no-config").stdout


@pytest.mark.parametrize(
    ("rule", "message", "measure"),
    [
        ("unknown-op", "ops looked at: 17; their types: 10, each with a rule", {"cost": "ops", "value": 0}),
        ("dangling-input", "operands looked at: 18; sources that OneFlow leaves out: 0", {"cost": "operands", "value": 0}),
    ],
)
def test_rule_that_looks_at_all_says_at_how_much(rule: str, message: str, measure: dict[str, Any]) -> None:
    (row,) = json.loads(run("audit", GRAPH, "--no-config", "--explain", rule, "--format", "json").stdout)["explained"]
    assert row == {"rule": rule, "op": None, "module": "", "message": message, "measured": measure, "limit": measure}
    assert "nothing in this graph" not in run("audit", ROOT / TRAINING, "--no-config", "--explain", rule).stdout


# Baselines


@pytest.fixture
def two(project: Path) -> Path:
    """Two different graphs in one file, the second with a finding of its own."""
    other = text(SMALL).replace("MyGraph_0", "Other_1").replace("model.relu-relu-2", "model.relu-frobnicate-2")
    path = project / "two.txt"
    path.write_text(text(SMALL) + other, encoding="utf-8")
    return path


def _audited(*args: object, stdin: bytes | None = None) -> list[str]:
    done = run("audit", *args, "--no-config", "--format", "json", stdin=stdin)
    assert done.exit_code in (0, 1), done.stderr
    return [finding["rule"] for finding in json.loads(done.stdout)["findings"]]


def test_graph_is_chosen_in_the_baseline_too(two: Path) -> None:
    assert _audited(two, "--graph", "2", "--baseline", two) == []
    assert _audited(two, "--graph", "Other_1", "--baseline", "-", stdin=two.read_bytes()) == []
    assert "unknown-op" in _audited(two, "--graph", "2", "--baseline", GRAPH)  # which holds one alone
    assert "unknown-op" in _audited(two, "--graph", "2", "--baseline", two, "--graph-baseline", "1")
    assert _audited(GRAPH, "--baseline", two, "--graph-baseline", "MyGraph_0") == []
    done = run("audit", GRAPH, "--no-config", "--baseline", two)
    assert done.exit_code == 2
    assert done.stderr.endswith("hint: choose one by name or number: --graph-baseline MyGraph_0 or --graph-baseline 1\n")
    assert run("audit", GRAPH, "--baseline", GRAPH, "--graph-baseline", "7").exit_code == 2
    assert run("audit", GRAPH, "--graph-baseline", "1").exit_code == 2


def test_audit_is_read_as_dumps_are(project: Path) -> None:
    plain = run("audit", GRAPH, "--no-config", "--format", "json").stdout.encode()
    contents = [
        plain,
        gzip.compress(plain),
        b"\xef\xbb\xbf" + plain,
        b"\n\r\n " + plain,
        plain.decode().encode("utf-16"),
        b"[" + plain + b"]",
    ]
    assert _audited(GRAPH) != []
    for content in contents:
        (project / "old").write_bytes(content)
        assert _audited(GRAPH, "--baseline", "old") == []
        assert _audited(GRAPH, "--baseline", "-", stdin=content) == []
    assert run("audit", GRAPH, "--baseline", "old", "--max-size", "200").exit_code == 2
    assert run("audit", "-", "--baseline", "-", stdin=plain).exit_code == 2


def test_figure_of_any_size_is_no_matter_in_a_baseline(project: Path) -> None:
    row = json.loads(run("audit", GRAPH, "--no-config", "--format", "json").stdout)
    content = json.dumps(row).replace('"line": 1', f'"line": {"1" * 5000}')
    (project / "old.json").write_text(content, encoding="utf-8")
    assert _audited(GRAPH, "--baseline", "old.json") == []


def test_audit_is_chosen_among_several(project: Path) -> None:
    new, other = (run("audit", path, "--no-config", "--format", "json").stdout for path in (GRAPH, ROOT / TRAINING))
    (project / "old.json").write_text(f"[{other}, {new}]", encoding="utf-8")
    for choice in ("2", "MyGraph_0"):
        assert _audited(GRAPH, "--baseline", "old.json", "--graph-baseline", choice) == []
    assert _audited(GRAPH, "--baseline", "old.json", "--graph", "MyGraph_0") == []
    assert _audited(GRAPH, "--baseline", "old.json", "--graph-baseline", "1") == _audited(GRAPH)
    assert _audited(GRAPH, "--baseline", "old.json") == []  # the one of the same file
    for args in (("--graph-baseline", "3"), ("--graph-baseline", "\N{SUPERSCRIPT TWO}")):
        done = run("audit", GRAPH, "--no-config", "--baseline", "old.json", *args)
        assert done.exit_code == 2
        assert "old.json: error: 2 audits are in this file, and none is of " in done.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"schema": "irflops.analysis/1"}', "this is JSON of irflops, but not of an audit"),
        ('{"schema": "irflops.audit/1", "findings": [{}]}', "this audit has findings without ids"),
        ('{"schema": "irflops.audit/1"}', "this audit has findings without ids"),
        ('[{"schema": "irflops.audit/1"}, 5]', f"2 audits are in this file, and none is of {GRAPH} alone:\n  1  ?\n  2  ?"),
        ("[]", "no OneFlow graph in here"),
        ("{}", "no OneFlow graph in here"),
        ("[" * 100_000, "no OneFlow graph in here"),
        ('{"schema": "irflops.audit/1"', "this is a result of irflops itself, as JSON"),
    ],
)
def test_json_that_is_no_baseline_is_an_error(project: Path, content: str, message: str) -> None:
    (project / "old.json").write_text(content, encoding="utf-8")
    done = run("audit", GRAPH, "--no-config", "--baseline", "old.json")
    assert done.exit_code == 2
    assert message in done.stderr


# What is written


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes there")
def test_file_name_that_is_no_text_goes_through_every_format(project: Path) -> None:
    name = os.fsdecode(b"\xff.txt")
    (project / name).write_text(text(SMALL), encoding="utf-8")
    formats = {
        "audit": ("table", "json", "markdown", "sarif", "junit", "github"),
        "analyze": ("table", "json", "csv", "markdown", "latex"),
        "diff": ("table", "json", "markdown", "github"),
    }
    for command, names in formats.items():
        paths = [name] * (2 if command == "diff" else 1)
        for format_ in names:
            done = subprocess.run(
                [sys.executable, "-m", "irflops", command, *paths, "--format", format_], capture_output=True, check=False, env=_env()
            )
            assert (done.returncode, done.stderr) == (0, b""), (command, format_)
            done.stdout.decode("utf-8")
            output = os.fsdecode(b"\xfe." + format_.encode())
            assert run(command, *paths, "--format", format_, "-o", output).exit_code == 0
            (project / output).read_text(encoding="utf-8")
    uris = [
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for path in (name, project / name)
        for result in json.loads(run("audit", path, "--format", "sarif").stdout)["runs"][0]["results"]
    ]
    assert set(uris) == {"%FF.txt", f"{project.as_uri()}/%FF.txt"}
    assert json.loads(run("audit", name, "--format", "json").stdout)["source"]["path"] == name


def test_control_characters_reach_no_terminal_and_no_log(project: Path) -> None:
    """A job's text may hold what a print cannot."""
    job = gzip.decompress((ROOT / "fixtures/basic_block.job.pb.gz").read_bytes())
    (project / "job.pb").write_bytes(job.replace(b"model.bn1-normalization-1", b"model.bn1\x1bnormalization-1"))
    for format_ in ("table", "markdown", "github", "junit", "sarif", "json"):
        shown = run("audit", "job.pb", "--no-config", "--format", format_).stdout
        assert "\x1b" not in shown
        assert "normalization-1" in shown
        if format_ == "junit":
            ET.fromstring(shown)  # noqa: S314 - our own output
