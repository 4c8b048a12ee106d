"""Findings that say the same as one: in the table, in SARIF and in annotations; several graphs, folders, and what mending all gains."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from commands import run

import irflops
from irflops.auditing.finding import Confidence, Finding, Severity
from irflops.auditing.folding import patterns, total_gain

ROOT = Path(__file__).resolve().parent.parent
RESNET = "fixtures/resnet18.repr.txt.gz"
GPT = "fixtures/gpt_train.repr.txt.gz"


@pytest.fixture(autouse=True)
def _at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def finding(op: str, message: str, severity: Severity = Severity.NOTE, **gain: int) -> Finding:
    module = op.partition("-")[0]
    return Finding(
        rule="rule",
        id=f"id of {op} {message}",
        severity=severity,
        certainty=Confidence.PROVEN,
        op=op,
        module=module,
        line=None,
        message=message,
        gain=gain or None,
    )


@pytest.mark.parametrize("path", [RESNET, GPT, "fixtures/densenet121.job.pb.gz"])
def test_every_finding_is_in_one_pattern(path: str) -> None:
    found = irflops.audit(path).findings
    assert found
    folded = patterns(found)
    assert Counter(one.id for pattern in folded for one in pattern.findings) == Counter(one.id for one in found)
    assert len(folded) < len(found)
    assert len(patterns(found, fold=False)) == len(found)


def test_foldable_norms_are_one_row_with_the_gain_of_all() -> None:
    found = [one for one in irflops.audit(RESNET).findings if one.rule == "foldable-norm"]
    (pattern,) = patterns(found)
    assert pattern.where == "20 at model.**"
    assert pattern.gain is not None
    for name in ("flops", "bytes_read"):
        assert pattern.gain[name] == sum((one.gain or {})[name] for one in found)
    text = run("audit", RESNET, "--no-config", "--select", "foldable-norm").stdout
    assert "20 at model.**" in text
    assert "20 findings; --full lists each" in text
    assert run("audit", RESNET, "--no-config", "--full", "--top", "99").stdout.count("-normalization-") >= 20


def test_gain_counts_once_for_an_operator() -> None:
    both = [finding("m-relu-1", "a", flops=7, params=1), finding("m-relu-1", "b", flops=5), finding("m-relu-2", "a", flops=7)]
    assert total_gain(both) == {"flops": 14, "params": 1}
    assert total_gain([finding("m-relu-1", "a")]) is None


def test_errors_that_differ_in_a_figure_stay_apart() -> None:
    messages = ("module a.0 has 12 macs", "module a.1 has 13 macs")
    notes = [finding(f"a.{n}-conv-{n}", message) for n, message in enumerate(messages)]
    errors = [finding(f"a.{n}-conv-{n}", message, Severity.ERROR) for n, message in enumerate(messages)]
    assert (len(patterns(notes)), len(patterns(errors))) == (1, 2)
    assert patterns(notes)[0].message == "module a.0 has 12 macs; 1 more like it"
    assert patterns(notes)[0].where == "2 at a.*"


def test_sarif_and_annotations_fold_alike() -> None:
    rows = json.loads(run("audit", RESNET, "--no-config", "--format", "json").stdout)["findings"]
    results = json.loads(run("audit", RESNET, "--no-config", "--format", "sarif").stdout)["runs"][0]["results"]
    assert sum(result.get("occurrenceCount", 1) for result in results) == len(rows)
    assert all(len(result.get("relatedLocations", ())) == result.get("occurrenceCount", 1) - 1 for result in results)
    lines = run("audit", RESNET, "--no-config", "--format", "github").stdout.splitlines()
    assert len(lines) == len(results) < len(rows)
    assert any("20 at model.**: " in line for line in lines)


def test_folder_and_pattern_give_a_line_a_graph(tmp_path: Path) -> None:
    dumps = tmp_path / "dumps"
    (dumps / "more").mkdir(parents=True)
    (dumps / ".hidden").mkdir()
    shutil.copy(RESNET, dumps / "a.txt.gz")
    shutil.copy(GPT, dumps / "more" / "b.txt.gz")
    shutil.copy(GPT, dumps / ".hidden" / "c.txt.gz")
    (dumps / "README.md").write_text("no dump", encoding="utf-8")
    for path in (dumps, dumps / "**" / "*.txt.gz"):
        out = run("audit", path, "--no-config")
        assert out.exit_code == 0
        assert out.stdout.startswith("Graphs")
        table = out.stdout.partition("\n\n")[0]
        assert [line.split()[0] for line in table.partition("─\n")[2].splitlines() if line[1] != " "] == ["a", "b"]
        assert out.stdout.count(", audit\n") == 2
    rows = json.loads(run("audit", dumps, "--no-config", "--format", "json").stdout)
    assert [os.path.relpath(row["source"]["path"], dumps).replace(os.sep, "/") for row in rows] == ["a.txt.gz", "more/b.txt.gz"]
    assert json.loads(run("analyze", dumps, "--format", "json", "--without", "ops").stdout)[1]["graph"]["training"] is True


def test_saved_folder_is_one_graph(tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    shutil.copy(RESNET, saved / "notes.txt.gz")
    (saved / "model.mlir").write_text("module {}", encoding="utf-8")
    assert run("audit", saved, "--no-config").exit_code == 2
    assert str(saved) in run("audit", saved, "--no-config").stderr


def test_hook_and_action_call_the_audit() -> None:
    hook = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    entry = re.search(r"^ +entry: (.+)$", hook, re.MULTILINE)
    files = re.search(r"^ +files: (.+)$", hook, re.MULTILINE)
    assert entry is not None
    assert files is not None
    assert run(*entry[1].split()[1:], RESNET, GPT).exit_code == 0
    asked = [name for name in ("dumps/a.txt", "dumps/x/b.pb.gz", "src/a.txt", "dumps/a.md") if re.search(files[1], name)]
    assert asked == ["dumps/a.txt", "dumps/x/b.pb.gz"]
    action = (ROOT / "action.yml").read_text(encoding="utf-8")
    command = re.search(r"irflops audit \$PATHS (.+) \$OPTIONS", action)
    assert command is not None
    assert run("audit", RESNET, *command[1].replace('"$FAIL_LEVEL"', "error").split()).exit_code == 0
