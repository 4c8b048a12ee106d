"""The command line: what stands on which stream, and with which code it ends."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from commands import ROOT, SMALL, TRAINING, run, text

from irflops import analyze, cli
from irflops.cli import analyze as analyze_command
from irflops.cli import lines as lines_command
from irflops.cli.schema import SCHEMAS
from irflops.ir.signatures import op_types
from irflops.ops import BOOK


@pytest.fixture(autouse=True)
def _at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def run_process(*args: str | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LC_", "LANG"))}
    env |= {"PYTHONPATH": str(ROOT)} | options.pop("env", {})
    return subprocess.run([sys.executable, "-m", "irflops", *map(str, args)], capture_output=True, check=False, env=env, **options)


# ------------------------------------------------------------------ exit codes


def test_fine() -> None:
    result = run("analyze", SMALL)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "92.27 MMACs" in result.stdout


def test_strict_is_for_what_is_unknown(unknown: Path) -> None:
    relaxed, strict = run("analyze", unknown), run("analyze", unknown, "--strict")
    assert (relaxed.exit_code, strict.exit_code) == (0, 1)
    assert relaxed.stdout == strict.stdout
    assert ">= " in strict.stdout
    assert "frobnicate" in strict.stdout
    assert run("analyze", SMALL, "--strict").exit_code == 0


def test_error_is_on_standard_error_alone() -> None:
    result = run("analyze", "no such file.txt")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("no such file.txt: error: ")


def test_damaged_graph_is_an_error_unless_partial(cut: Path) -> None:
    refused, read = run("analyze", cut), run("analyze", cut, "--partial", "--format", "json")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "hint: irflops analyze --partial" in refused.stderr
    assert read.exit_code == 0
    assert json.loads(read.stdout)["totals"]["certainty"] == "lower_bound"
    assert run("analyze", cut, "--partial", "--strict").exit_code == 1


@pytest.mark.parametrize(
    "args",
    [
        ["analyze"],
        ["analyze", SMALL, "--by", "colour"],
        ["analyze", SMALL, "--max-size", "0"],
        ["analyze", SMALL, "--max-size", "many"],
        ["analyze", SMALL, "--max-size", "1K"],
        ["analyze", SMALL, "--format", "json", "--without", "totals"],
        ["analyze", SMALL, "--without", "ops"],
        ["analyze", SMALL, "--format", "csv", "--without", "ops"],
        ["analyze", SMALL, "--format", "json", "--columns", "path,macs"],
        ["analyze", SMALL, TRAINING, "--format", "json", "--columns", "path,macs"],
        ["analyze", SMALL, "--top", "0"],
        ["analyze", SMALL, "--graph", "NoSuchGraph"],
        ["analyze", SMALL, "--by", "op", "--sort", "colour"],
        ["analyze", SMALL, "--module", "no.such.module"],
        ["analyze", SMALL, TRAINING, "--by", "op"],
        ["analyze", SMALL, "-o", "no/such/folder/out.txt"],
        ["lines", "no such file"],
        ["schema", "no-such-schema"],
        ["ops", "no_such_op"],
        ["no-such-command"],
    ],
    ids=" ".join,
)
def test_bad_usage(args: list[str]) -> None:
    result = run(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr
    assert "Traceback" not in result.stderr


def test_our_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(analyze_command, "analyze_graph", broken)
    result = run("analyze", SMALL)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "Traceback" in result.stderr
    assert "KeyError: 'a bug'" in result.stderr
    assert "bug of irflops" in result.stderr


@pytest.mark.parametrize(("code", "seen"), [(0, 0), (None, 0), (7, 7)])
def test_exit_of_another_is_its_own(code: int | None, seen: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def leaving(*_args: object) -> None:
        raise SystemExit(code)

    monkeypatch.setattr(analyze_command, "analyze_graph", leaving)
    assert run("analyze", SMALL).exit_code == seen


def test_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(analyze_command, "analyze_graph", interrupted)
    result = run("analyze", SMALL)
    assert (result.exit_code, result.stdout, result.stderr.strip()) == (130, "", "")


@pytest.mark.parametrize("args", [["analyze", SMALL], ["analyze", SMALL, "--format", "json"], ["ops"], ["--help"]], ids=" ".join)
def test_closed_pipe_ends_quietly(args: list[str]) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, "-m", "irflops", *args],
        stdout=write_end,
        stderr=subprocess.PIPE,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk_is_an_error_and_no_bug() -> None:
    result = run("analyze", SMALL, "--format", "json", "-o", "/dev/full")
    assert result.exit_code == 2
    assert result.stderr.startswith("/dev/full: error: cannot write")


# ------------------------------------------------------------------ where it reads and writes


def test_standard_input() -> None:
    result = run("analyze", "-", "--format", "json", stdin=(ROOT / SMALL).read_bytes())
    assert result.exit_code == 0
    assert json.loads(result.stdout)["source"]["path"] == "<stdin>"


def test_output_file(tmp_path: Path) -> None:
    target = tmp_path / "a folder" / "größe 模型.json"
    target.parent.mkdir()
    result = run("analyze", SMALL, "--format", "json", "-o", target)
    assert (result.exit_code, result.stdout) == (0, "")
    assert json.loads(target.read_text(encoding="utf-8")) == json.loads(run("analyze", SMALL, "--format", "json").stdout)
    table = tmp_path / "table.txt"
    assert run("analyze", SMALL, "-o", table).exit_code == 0
    assert "─" in table.read_text(encoding="utf-8")
    assert run("analyze", SMALL, "-o", "-").stdout == run("analyze", SMALL).stdout


def test_dump_is_never_overwritten(tmp_path: Path) -> None:
    dump, link = tmp_path / "graph.txt", tmp_path / "link.txt"
    dump.write_text(text(SMALL), encoding="utf-8")
    link.symlink_to(dump)
    for inputs, target in (([dump], dump), ([dump], link), ([link], dump), ([SMALL, dump], dump)):
        result = run("analyze", *inputs, "-o", target)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "would overwrite the file it is made from" in result.stderr
    with dump.open("rb") as stdin:
        assert run_process("analyze", "-", "-o", dump, stdin=stdin).returncode == 2
    assert dump.read_text(encoding="utf-8") == text(SMALL)
    other = tmp_path / "other.txt"
    other.write_text("old", encoding="utf-8")
    assert run("analyze", dump, "-o", other).exit_code == 0
    assert "MMACs" in other.read_text(encoding="utf-8")


def test_failure_writes_no_file(tmp_path: Path) -> None:
    assert run("analyze", "no such file", "-o", tmp_path / "out.txt").exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["table", "json", "csv", "markdown", "latex"])
def test_ascii_locale(how: str, tmp_path: Path) -> None:
    dump = tmp_path / "größe 模型.txt"
    dump.write_text(text(SMALL).replace("(GRAPH:MyGraph_0:MyGraph)", "(GRAPH:Größe_0:Größe)"), encoding="utf-8")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    done = run_process("analyze", dump.name, "--format", how, env=ascii_only, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    assert b"model" in done.stdout


def test_no_colour_where_none_is_wanted_and_colour_where_it_is() -> None:
    assert b"\x1b" not in run_process("analyze", SMALL).stdout
    forced = {"FORCE_COLOR": "1", "TERM": "xterm"}
    plain = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"PYTHONPATH": str(ROOT)} | forced
    command = [sys.executable, "-m", "irflops", "analyze", SMALL]
    assert b"\x1b[" in subprocess.run(command, capture_output=True, check=True, env=plain).stdout


def test_width_follows_the_environment() -> None:
    wide, narrow = (run_process("analyze", TRAINING, "--by", "op", env={"COLUMNS": width}).stdout.decode() for width in ("160", "70"))
    assert max(map(len, narrow.splitlines()[1:])) <= 70 < max(map(len, wide.splitlines()))


# ------------------------------------------------------------------ options


def test_columns_sort_and_top() -> None:
    result = run("analyze", SMALL, "--by", "op", "--columns", "name, bytes_read", "--sort", "bytes_read", "--top", "3", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    reads = sorted((row["bytes_read"] for row in analyze(SMALL).rows("op")), reverse=True)
    assert [int(row["bytes_read"]) for row in rows] == reads[:3]
    assert rows[0].keys() == {"name", "bytes_read"}


def test_unknown_column_names_a_near_one() -> None:
    result = run("analyze", SMALL, "--by", "op", "--columns", "name,flop")
    assert result.exit_code == 2
    assert "hint: did you mean flops?" in result.stderr


def test_phase_and_module_hold_for_the_whole_report() -> None:
    result = run("analyze", TRAINING, "--phase", "backward", "--by", "type", "--format", "csv")
    flops = sum(int(row["flops"]) for row in csv.DictReader(io.StringIO(result.stdout)))
    assert flops == analyze(TRAINING).phases["backward"].get("flops")
    report = run("analyze", TRAINING, "--phase", "backward").stdout
    assert "selected     phase backward" in report


@pytest.mark.parametrize("format_", ["table", "json", "csv"])
def test_a_phase_that_the_graph_lacks_is_an_error(format_: str) -> None:
    result = run("analyze", SMALL, "--phase", "backward", "--format", format_)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "error: no operator of this graph is in the phase backward" in result.stderr
    assert "hint: its operators are in forward" in result.stderr


def test_json_has_the_selection_alone() -> None:
    whole, part = (json.loads(run("analyze", TRAINING, *args, "--format", "json").stdout) for args in ([], ["--phase", "backward"]))
    jsonschema.validate(part, schema("analysis"), cls=jsonschema.Draft202012Validator)
    assert part["selection"] == {"phase": "backward", "module": None}
    assert "selection" not in whole
    assert {op["phase"] for op in part["ops"]} == {"backward"}
    assert part["phases"].keys() == whole["phases"].keys()
    assert part["phases"]["backward"] == whole["phases"]["backward"]
    assert part["totals"]["flops"] == part["modules"][0]["flops"] == whole["phases"]["backward"]["flops"]
    assert not any(part["phases"]["forward"][name] for name in ("macs", "flops", "bytes_read"))

    layer = json.loads(run("analyze", TRAINING, "--module", "model.*", "--format", "json").stdout)
    jsonschema.validate(layer, schema("analysis"), cls=jsonschema.Draft202012Validator)
    assert [module["path"] for module in layer["modules"]] == ["", "model.0", "model.1", "model.2"]
    wanted = [module for module in whole["modules"] if module["path"].startswith("model.")]
    assert layer["modules"][1:] == wanted
    assert layer["totals"]["flops"] == sum(module["flops"] for module in wanted) == sum(op["flops"] for op in layer["ops"])
    assert layer["totals"]["declared_params"] == layer["totals"]["params"]["trainable"]

    ignored = ["--by", "op", "--top", "1", "--depth", "0", "--sort", "flops"]
    assert run("analyze", TRAINING, *ignored, "--format", "json").stdout == run("analyze", TRAINING, "--format", "json").stdout


def test_summary_in_a_table_is_of_the_selection() -> None:
    result = run("analyze", TRAINING, "--by", "summary", "--phase", "backward", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(result.stdout))
    assert row["flops"] == str(analyze(TRAINING).phases["backward"].get("flops"))


def test_graph_is_chosen_by_name_or_number(tmp_path: Path) -> None:
    log = tmp_path / "two.log"
    log.write_text(f"epoch 1\n{text(SMALL)}\nepoch 2\n{text(TRAINING)}\ndone\n", encoding="utf-8")
    neither = run("analyze", log)
    assert (neither.exit_code, neither.stdout) == (2, "")
    names = [analyze(path).graph.name for path in (SMALL, TRAINING)]
    assert all(name in neither.stderr for name in names)
    for choice, name in (("1", names[0]), ("2", names[1]), (names[1], names[1])):
        assert json.loads(run("analyze", log, "--graph", choice, "--format", "json").stdout)["graph"]["name"] == name


@pytest.mark.parametrize(
    ("given", "size"), [("500M", 500 << 20), ("2G", 2 << 30), ("1k", 1024), ("3GiB", 3 << 30), ("7", 7), ("8 MB", 8 << 20)]
)
def test_size(given: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def count(_path: str, max_size: int) -> dict[str, int]:
        seen.append(max_size)
        return {}

    monkeypatch.setattr(lines_command, "count_lines", count)
    assert run("lines", SMALL, "--max-size", given).exit_code == 0
    assert seen == [size]


# ------------------------------------------------------------------ other commands


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("schema", name).stdout)
    return found


def test_lines_add_up_to_the_file() -> None:
    row = json.loads(run("lines", SMALL, "--format", "json").stdout)
    jsonschema.validate(row, schema("lines"), cls=jsonschema.Draft202012Validator)
    assert sum(row["lines"].values()) == row["total"] == len(text(SMALL).splitlines())
    assert row["lines"]["foreign"] == 0
    table = run("lines", SMALL).stdout
    assert [line.split()[1] for line in table.splitlines() if "operator" in line] == [str(row["lines"]["operator"])]


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))
    assert name in run("schema").stdout.splitlines()


def test_ops_lists_every_op_type_and_says_which_have_a_rule() -> None:
    listed = json.loads(run("ops", "--format", "json").stdout)
    jsonschema.validate(listed, schema("ops"), cls=jsonschema.Draft202012Validator)
    rows = {row["type"]: row for row in listed["ops"]}
    assert len(rows) == len(listed["ops"])
    assert set(rows) == set(BOOK.by_type) | set(op_types())
    assert len(op_types()) > 700
    ruled = {name for name, row in rows.items() if row["status"] in ("ruled", "data_dependent")}
    assert ruled == set(BOOK.by_type)
    unruled = {name: row["reason"] for name, row in rows.items() if row["status"] == "unsupported"}
    assert unruled.keys() == rows.keys() - ruled
    assert all(unruled.values())
    assert "compiled" in unruled["mlir_jit"]
    assert (rows["nms"]["since"], rows["nms"]["until"], rows["dropout"]["differs"]) == ("0.7.0", None, {"seed": "attribute from 1.0.0"})
    shown = run("ops", "eager_nccl_all_reduce").stdout
    assert "since       0.7.0 or before, until 0.8.0" in shown
    assert "not always  model_copy (operand from 0.8.0)" in run("ops", "adam_update").stdout
    assert [row["type"] for row in csv.DictReader(io.StringIO(run("ops", "--format", "csv").stdout))] == list(rows)
    *table, last = run("ops").stdout.splitlines()
    assert last.startswith(f"{len(ruled)} of {len(rows)} op types have a rule")
    assert len(table) == 3 + len(ruled) + 1


def test_op_tells_how_it_is_counted() -> None:
    told = run("ops", "conv2d").stdout
    rule = BOOK.by_type["conv2d"]
    assert told.startswith(f"conv2d\n\n {rule.summary}\n")
    assert " ".join(rule.formula.split()) in " ".join(told.split())
    assert max(map(len, told.splitlines())) <= 100
    assert run("ops", "conv2").stderr == "error: OneFlow has no op type 'conv2'\nhint: did you mean conv2d?\n"


def test_help_is_for_people() -> None:
    for args in ([], *([name] for name in cli.COMMANDS)):
        result = run(*args, "--help")
        assert result.exit_code == 0
        assert "..." not in result.stdout.partition("Commands:")[2]
    listed = [line.split() for line in run("--help").stdout.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()]
    assert [name for name, *words in listed if words] == list(cli.COMMANDS)
    assert "Examples:" in run("analyze", "-h").stdout
    assert run("--version").stdout.startswith("irflops ")
