"""Several files at once: a row or an object a model, and those that fail beside the others."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from commands import ROOT, SMALL, TRAINING, run, text

from irflops import analyze
from irflops.counting.cost import KINDS, Cost
from irflops.errors import IrflopsError
from irflops.report.summary import Model, model_table
from irflops.report.table import drawn
from irflops.report.terminal import print_table
from irflops.report.text import write_csv


@pytest.fixture(autouse=True)
def _at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_several_files_are_a_list_and_failures_are_in_it(cut: Path) -> None:
    result = run("analyze", SMALL, cut, TRAINING, "--format", "json", "--without", "ops")
    assert result.exit_code == 2
    first, failed, last = rows = json.loads(result.stdout)
    jsonschema.validate(rows, json.loads(run("schema", "analysis").stdout), cls=jsonschema.Draft202012Validator)
    assert (first["source"]["path"], last["source"]["path"]) == (SMALL, TRAINING)
    assert failed["source"] == {"path": str(cut)}
    assert failed["error"].keys() == {"message", "line", "col", "hint"}
    assert failed["error"]["message"] in result.stderr


def test_several_files_are_a_row_each() -> None:
    result = run("analyze", SMALL, "no such file", TRAINING, "--format", "csv")
    assert result.exit_code == 2
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["path"] for row in rows] == [SMALL, "no such file", TRAINING]
    assert [row["flops"] for row in rows] == [str(analyze(SMALL).total.get("flops")), "", str(analyze(TRAINING).total.get("flops"))]
    assert rows[1]["error"].startswith("cannot read the file")
    table = run("analyze", SMALL, "no such file", TRAINING)
    assert table.exit_code == 2
    shown = table.stdout.partition("─\n")[2].splitlines()
    assert [row.split()[0] for row in shown if not row.startswith("  ")] == ["basic_block", ["no", "such", "file"][0], "mlp_train"]
    assert run("analyze", SMALL, TRAINING).exit_code == 0


@pytest.mark.parametrize("width", [70, 80, 100, 140])
def test_files_that_fail_keep_the_columns_of_those_that_do_not(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    sound, some = (table_of(run("analyze", SMALL, TRAINING, *failing).stdout) for failing in ([], ["no such file", "nor such"]))
    figures = sound[1].split()
    assert some[1].split()[: len(figures)] == figures
    assert some[1].split()[len(figures) :] in ([], ["error"])
    assert ("error" in some[0]) is ("error" not in some[1])  # which is said where there is no room for it
    assert [row.split() for row in some[2:4]] == [row.split() for row in sound[2:]]


def table_of(text: str) -> list[str]:
    """Of a table the title with its notes, the headings, and each row."""
    head, _, rows = text.partition("─\n")
    *title, headings, _rule = head.splitlines()
    return [" ".join(title), headings, *rows.splitlines()]


def test_strict_holds_for_each_of_several(unknown: Path) -> None:
    assert run("analyze", SMALL, unknown, "--strict").exit_code == 1
    assert run("analyze", SMALL, unknown).exit_code == 0
    assert run("analyze", SMALL, unknown, "no such file", "--strict").exit_code == 2


def test_patterns_are_expanded_without_a_shell(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "c [1].txt"):
        (tmp_path / name).write_text(text(SMALL), encoding="utf-8")
    rows = json.loads(run("analyze", tmp_path / "*.txt", "--format", "json", "--without", "ops").stdout)
    assert [Path(row["source"]["path"]).name for row in rows] == ["a.txt", "b.txt", "c [1].txt"]
    assert json.loads(run("analyze", tmp_path / "c [1].txt", "--format", "json").stdout)["graph"]["operators"] > 0
    nothing = run("analyze", tmp_path / "*.log")
    assert nothing.exit_code == 2
    assert "*.log: error:" in nothing.stderr


def test_error_keeps_its_beginning_and_one_line() -> None:
    message = "cannot read the file:\n\tthe archive ends " + "in the middle of a member " * 9
    table = model_table([Model("a.txt", error=IrflopsError(message))])
    shown, written = io.StringIO(), io.StringIO()
    print_table(table, shown)
    write_csv(table, written)
    (row,) = csv.DictReader(io.StringIO(written.getvalue()))
    assert row["error"] == " ".join(message.split())
    assert len(written.getvalue().splitlines()) == 2
    _title, headings, *lines = table_of(shown.getvalue())
    start = headings.index("error")
    assert " ".join(line[start:].strip() for line in lines) == row["error"]
    assert {line[:start].strip() for line in lines[1:]} == {""}


def test_little_beside_much_is_more_than_nothing() -> None:
    def model(macs: int, missing: int) -> Model:
        return Model(f"{macs}.txt", operators=1, cost=Cost((macs, *[0] * 6), (0,) * len(KINDS), (0,) * len(KINDS), missing))

    table = model_table([model(10**9, 0), model(4896, 0), model(4896, 1), model(0, 0), model(0, 1)])
    (macs,) = (column for column in drawn(table) if column.column.name == "macs")
    assert macs.heading == "MMACs"
    assert macs.texts == ["1,000.00", "<0.01", ">= <0.01", "0", "unknown"]
