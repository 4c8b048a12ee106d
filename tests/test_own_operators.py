"""Op types that a configuration teaches: counted, marked, and refused with the place where the file cannot be used."""

from __future__ import annotations

import csv
import io
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import ROOT, SMALL, run
from own_graphs import FORWARD_JOB, JOB, MACS, PRINT, own_dump

import irflops
from irflops.configuration.config import read_config
from irflops.ops import BOOK
from irflops.teaching import book_of

FOUR_LINES = """\
[ops.my_cuda_conv]
operands = ["in", "weight"]
macs = "numel(out) * numel(weight) / weight[0]"
shape = "[in[0], weight[0], in[2], in[3]]"
"""
LIKE = '[ops.my_cuda_conv]\nlike = "conv2d"\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _configured(project: Path, content: str, name: str = "irflops.toml") -> Path:
    path = project / name
    path.write_text(content, encoding="utf-8")
    return path


def _json(*args: object) -> Any:
    done = run(*args, "--format", "json")
    assert done.exit_code in (0, 1), done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("form", [PRINT, FORWARD_JOB, JOB])
@pytest.mark.parametrize("rules", [FOUR_LINES, LIKE])
def test_few_lines_make_every_total_exact(project: Path, form: str, rules: str) -> None:
    dump = own_dump(project, form)
    assert _json("analyze", dump)["totals"]["certainty"] != "exact"
    _configured(project, rules)
    taught, known = _json("analyze", dump), _json("analyze", ROOT / form)
    assert taught["totals"] == known["totals"]
    assert taught["unknown"] == []
    assert taught["shape_disagreements"] == []
    (op,) = (op for op in taught["ops"] if op["type"] == "my_cuda_conv")
    assert (op["macs"], op["by"]) == (MACS, "irflops.toml:1")
    assert [operand["arg"] for operand in op["inputs"]] == ["in", "weight"]


@pytest.mark.parametrize("rules", [FOUR_LINES, LIKE])
def test_other_batches_are_counted_too(project: Path, rules: str) -> None:
    _configured(project, rules)
    found = _json("analyze", own_dump(project, FORWARD_JOB), "--batch", 3)
    assert found["totals"] == _json("analyze", ROOT / FORWARD_JOB, "--batch", 3)["totals"]


def test_pyproject_teaches_too_and_settings_are_found_as_an_audits_are(project: Path) -> None:
    dump = own_dump(project)
    _configured(project, "[project]\nname = 'x'\n\n[tool.irflops.ops.my_cuda_conv]\nlike = 'conv2d'\n", "pyproject.toml")
    other = _configured(project, '[ops.my_cuda_conv]\nmacs = 7\n[ops.relu]\nflops = "0"\n', "other.toml")
    assert _json("analyze", dump)["own_rules"] == [{"type": "my_cuda_conv", "by": "pyproject.toml:4", "replaces": False, "count": 1}]
    assert _json("analyze", dump, "--no-config")["own_rules"] == []
    rules = {rule["type"]: (rule["by"], rule["replaces"]) for rule in _json("analyze", dump, "--config", other)["own_rules"]}
    assert rules == {"my_cuda_conv": ("other.toml:1", False), "relu": ("other.toml:3", True)}
    assert run("analyze", dump, "--config", other, "--no-config").exit_code == 2


COMMANDS = {
    "analyze": (),
    "audit": (),
    "comm": (),
    "compare": (),
    "diff": (SMALL,),
    "explain": ("my_cuda_conv",),
    "memory": (),
    "scale": ("--batch",),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_report_says_whose_rule_counts(project: Path, command: str) -> None:
    dump, config = own_dump(project), _configured(project, LIKE, "mine.toml")
    args = [ROOT / SMALL if arg == SMALL else arg for arg in COMMANDS[command]]
    marked = run(command, dump, *args, "--config", config)
    assert marked.exit_code in (0, 1), marked.stderr
    assert "mine.toml:1" in marked.stdout
    assert "mine.toml:1" not in run(command, dump, *args, "--no-config").stdout
    if command not in ("audit", "scale"):
        assert "mine.toml:1" in json.dumps(_json(command, dump, *args, "--config", config)) or command == "comm"


def test_tables_and_csv_say_so_too(project: Path) -> None:
    dump = own_dump(project)
    _configured(project, LIKE)
    for by in ("op", "type"):
        rows = csv.DictReader(io.StringIO(run("analyze", dump, "--by", by, "--format", "csv").stdout))
        assert {(row["type"], row["by"]) for row in rows if row["by"]} == {("my_cuda_conv", "irflops.toml:1")}
    assert "by" not in run("analyze", dump, "--by", "type", "--format", "csv", "--no-config").stdout.splitlines()[0].split(",")


def test_rule_in_place_of_irflops_own_is_noted(project: Path) -> None:
    _configured(project, '[ops.relu]\nflops = "3 * numel(x)"\n')
    found = _json("analyze", ROOT / SMALL)
    (relu,) = (row for row in found["by_type"] if row["type"] == "relu")
    assert (relu["flops"], relu["by"]) == (2 * 3 * 262_144, "irflops.toml:1")
    assert "relu is counted by irflops.toml:1, in place of irflops' own rule: 2 operators" in [note["text"] for note in found["notes"]]


def test_unknown_operators_have_assumed_bytes_in_no_total(project: Path) -> None:
    dump = own_dump(project)
    found, known = _json("analyze", dump), _json("analyze", ROOT / PRINT)
    # The convolution reads 131,072 numbers of the image and 18,432 of the weight, and writes 262,144, four bytes each.
    assert found["assumed"] == {"bytes_read": 598_016, "bytes_written": 1_048_576}
    for name, assumed in found["assumed"].items():
        assert found["totals"][name] == known["totals"][name] - assumed
        assert found["totals"]["certainty_by"][name] == "lower_bound"
    assert known["assumed"] == {"bytes_read": 0, "bytes_written": 0}
    assert "584.0 KiB read, 1.0 MiB written by 1 operator without a rule, in no total" in run("analyze", dump).stdout
    # A condition is decided by what is known alone: with the assumed bytes nothing would have changed.
    done = run("diff", ROOT / PRINT, dump, "--fail-on", "bytes>+1%")
    assert done.exit_code == 1
    assert "what cannot be decided fails" in done.stderr


@pytest.mark.parametrize("command", ["audit", "explain"])
def test_advice_has_the_lines_to_paste(project: Path, command: str) -> None:
    dump = own_dump(project)
    shown = run(command, dump, *COMMANDS[command], *(["--select", "unknown-op"] if command == "audit" else [])).stdout
    assert all(line in shown for line in ("# in_0: f32[1,32,64,64]", "# in_1: f32[64,32,3,3]", "# -> out: f32[1,64,64,64]"))
    lines = [line.strip() for line in shown.splitlines()]
    first = next(n for n, line in enumerate(lines) if "[ops.my_cuda_conv]" in line)
    pasted = "\n".join(["[ops.my_cuda_conv]", *lines[first + 1 : first + 10]])
    _configured(project, pasted)
    done = run("analyze", dump)  # as pasted, what is asked for is an error where the answer belongs
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{project / 'irflops.toml'}:7:9: error: '?' cannot stand here in a formula" in done.stderr
    _configured(project, pasted.replace('"?"', '"numel(out) * prod(in_1[1:])"').replace("2 * macs + ?", "2 * macs"))
    found = _json("analyze", dump)
    assert (found["totals"]["certainty"], found["totals"]["macs"]) == ("exact", 92_274_688)


def test_ops_shows_and_checks_rules_of_ones_own(project: Path) -> None:
    example = '[[ops.my_cuda_conv.examples]]\ncall = "my_cuda_conv(in: f32[1,8,4,4], weight: f32[16,8,3,3]) -> out: f32[1,16,4,4]"\n'
    _configured(project, f'{FOUR_LINES}{example}macs = 18432\nbecause = "256 results of 72 products"\n')
    assert "counted by  irflops.toml:1" in run("ops", "my_cuda_conv").stdout
    done = run("ops", "--check")
    assert (done.exit_code, done.stdout) == (0, "my_cuda_conv by irflops.toml:1: 1 of 1 examples hold\n")
    _configured(project, f"{FOUR_LINES}{example}macs = 18431\nbytes_written = 1024\n")
    done = run("ops", "--check")
    assert done.exit_code == 1
    assert "macs: the rule says 18,432, the example 18,431" in done.stdout
    assert "bytes_written" not in done.stdout
    assert run("ops", "--check", "conv2d").exit_code == 0
    done = run("ops", "their_conv")
    assert done.exit_code == 2
    assert "[ops.their_conv]" in done.stderr


@pytest.mark.parametrize(
    ("rules", "place", "said"),
    [
        ("[ops.my_cuda_conv]\n", "1:2", "ops.my_cuda_conv does not say what it counts"),
        ("[ops]\nmy_cuda_conv = 3\n", "2:16", "ops.my_cuda_conv should be a table"),
        ('[ops.x]\nlike = "conv2e"\n', "2:8", "'conv2e' is no op type that irflops has a rule for"),
        ('[ops.x]\nmaks = "1"\n', "2:8", "'maks' is no setting of an op type"),
        ('[ops.x]\nmacs = "1"\narguments = { in = "x" }\n', "3:13", "arguments say how it is like another op type"),
        ('[ops.x]\nmacs = "numel(out) ** 2"\n', "2:21", "'*' cannot stand here"),
        ('[ops.x]\nmacs = """\nnumel(out)\n  ** 2"""\n', "4:4", "'*' cannot stand here"),
        ('[ops.x]\nflops = "numel(\\u006fut) ^ 2"\n', "2:26", "'^' cannot stand here"),
        ("[ops.x]\nmacs = -1\n", "2:8", "macs should be a formula"),
        ("[ops.x]\nmacs = true\n", "2:8", "macs should be a formula"),
        ("[ops.x]\nmacs = ''\n", "2:8", "macs should be a formula"),
        ("[ops.variable]\nmacs = 1\n", "1:2", "'variable' is no type of operators that compute"),
        ("[ops.x]\nmacs = 1\noperands = ['a', 'a']\n", "3:12", "operands should be a list of names, each once"),
        ("[ops.x]\nmacs = 1\neffects = ['loud']\n", "3:11", "'loud' is no effect"),
        ("[ops.x]\nmacs = 1\ndtype = 'float17'\n", "3:9", "'float17' is no dtype"),
        ("[ops.x]\nmacs = 1\n[[ops.x.examples]]\ncall = 'y() -> ()'\nmacs = 1\n", "4:8", "the call is one of y"),
        ("[ops.x]\nmacs = 1\n[[ops.x.examples]]\ncall = 'x('\nmacs = 1\n", "4:8", "this is not an op call"),
        ("[ops.x]\nmacs = 1\n[[ops.x.examples]]\ncall = 'x() -> ()'\n", "3:3", "an example states a figure"),
        ("[ops.x]\nmacs = 1\n[[ops.x.examples]]\ncall = 'x() -> ()'\nmacs = -1\n", "5:8", "macs should be a count"),
        ('[ops.x]\nmacs = "' + "(" * 500_000 + '"\n', "2:2009", "a formula has more than 2,000 characters"),
        ('[ops.x]\nmacs = "' + "(" * 1_000_000 + ")" * 1_000_000 + '"\n', "2:1048569", "of more than 1,048,576 bytes is not read"),
        ('[ops.x]\nmacs = "2**10**10"\n', "2:11", "'*' cannot stand here"),
        ("[ops.x]\nmacs = \"__import__('os')\"\n", "2:9", "there is no function '__import__'"),
    ],
)
def test_rule_that_cannot_be_used_is_one_error_at_its_place(project: Path, rules: str, place: str, said: str) -> None:
    path = _configured(project, rules)
    for command in (("analyze", ROOT / SMALL), ("ops", "--check")):
        done = run(*command)
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr.startswith(f"{path}:{place}: error: ")
        assert said in done.stderr
        assert done.stderr.count("error:") == 1
        assert len(done.stderr) < 1500


@pytest.mark.parametrize(
    ("rule", "place", "said"),
    [
        ('macs = "numel(out) / 5"', "2:20", "262,144 / 5 leaves a rest of 4"),
        ('macs = "numel(wieght)"', "2:15", "my_cuda_conv has no operand or result 'wieght' here"),
        ('macs = "__builtins__"', "2:9", "my_cuda_conv has no operand or result '__builtins__' here"),
        ('macs = "10"\nflops = "3"', "3:10", "this comes to 3, and 10 macs are 20 flops already"),
        ('macs = "1"\nbytes_read = "0 - 1"', "3:15", "this comes to -1, and no count is negative"),
        ('macs = "1"\nshape = "[in_0[9]]"', "3:11", "has 4 numbers, and none at 9"),
    ],
)
def test_formula_that_does_not_go_with_an_operator_names_both(project: Path, rule: str, place: str, said: str) -> None:
    path = _configured(project, f"[ops.my_cuda_conv]\n{rule}\n")
    done = run("analyze", own_dump(project))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{path}:{place}: error: ")
    assert said in done.stderr
    assert "in my_cuda_conv(in_0: f32[1,32,64,64], in_1: f32[64,32,3,3])" in done.stderr


def test_shape_that_contradicts_the_dump_is_a_disagreement(project: Path) -> None:
    _configured(project, '[ops.my_cuda_conv]\nmacs = "1"\nshape = "in_0"\n')
    (found,) = _json("analyze", own_dump(project))["shape_disagreements"]
    assert (found["file"], found["inferred"]) == ([1, 64, 64, 64], [1, 32, 64, 64])


def test_names_and_constants_are_mapped(project: Path) -> None:
    dump = own_dump(project, FORWARD_JOB)
    text = dump.read_text(encoding="utf-8")
    start = text.index('op_type_name: "my_cuda_conv"')
    block = text[start : text.index("\n  op {", start)]
    renamed = block.replace('key: "in"', 'key: "image"').replace('key: "weight"', 'key: "filters"').replace('key: "groups"', 'key: "parts"')
    assert renamed.count("image") == 1
    dump.write_text(text.replace(block, renamed), encoding="utf-8")
    _configured(
        project,
        "[ops.my_cuda_conv]\nlike = 'conv2d'\narguments = { in = 'image', weight = 'filters' }\nattributes = { groups = 'parts' }\n",
    )
    found = _json("analyze", dump)
    assert (found["totals"]["certainty"], found["totals"]["macs"]) == ("exact", 92_274_688)
    assert found["shape_disagreements"] == []


def test_view_moves_nothing_and_updates_are_written(project: Path) -> None:
    dump = own_dump(project)
    _configured(project, "[ops.my_cuda_conv]\nflops = 0\naliases = { out = 'in_0' }\n")
    (op,) = (op for op in _json("analyze", dump)["ops"] if op["type"] == "my_cuda_conv")
    assert (op["bytes_read"], op["bytes_written"], op["activation_bytes"]) == (0, 0, 0)
    _configured(project, "[ops.my_cuda_conv]\nflops = 0\nupdates = ['in_1']\n")
    (op,) = (op for op in _json("analyze", dump)["ops"] if op["type"] == "my_cuda_conv")
    assert (op["bytes_read"], op["bytes_written"]) == (598_016, 1_048_576 + 73_728)


def test_library_takes_a_book(project: Path) -> None:
    dump = own_dump(project)
    book = book_of(read_config(_configured(project, FOUR_LINES, "mine.toml")))
    analysis = irflops.analyze(dump, op_rules=book)
    assert (analysis.total.get("macs"), str(analysis.total.worst)) == (92_274_688, "exact")
    assert pickle.loads(pickle.dumps(analysis)).own_rules == analysis.own_rules  # noqa: S301 - our own
    assert [f.rule for f in irflops.audit(dump, op_rules=book).findings if f.rule == "unknown-op"] == []
    assert irflops.diff(dump, dump, op_rules=book).own_rules == analysis.own_rules
    assert irflops.explain(dump, "my_cuda_conv", op_rules=book).by == "mine.toml:1"
    assert len(irflops.compare(dump, ["fvcore"], op_rules=book)) == 1
    assert irflops.plan_memory(dump, op_rules=book).own_rules == analysis.own_rules
    assert next(t for t in irflops.scale(dump, op_rules=book).totals if t.name == "macs").polynomial is not None
    assert irflops.analyze(irflops.analyze(dump), op_rules=book).total == analysis.total
    assert book_of(read_config(_configured(project, "", "none.toml"))) is BOOK


def test_start_imports_no_rules_of_ones_own(project: Path) -> None:
    code = f"""
import sys
from irflops.cli import cli
try:
    cli.main(["analyze", {str(ROOT / SMALL)!r}, "--format", "json", "-o", "out.json"])
except SystemExit as end:
    assert not end.code
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=project)
    assert not {"irflops.teaching.book", "irflops.teaching.tables", "importlib.metadata"} & set(done.stdout.split())
