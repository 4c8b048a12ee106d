"""`--graph all`: a row for each graph of a log."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from commands import run as run_command

import irflops
from irflops.readers import load_all

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
NAMES = ("resnet18", "mlp_train", "tied")


def print_of(name: str) -> str:
    return gzip.decompress((FIXTURES / f"{name}.repr.txt.gz").read_bytes()).decode()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log with three graphs and words between them, one of them printed twice; names are the graphs' own."""
    path = tmp_path / "train.log"
    path.write_text("start\n".join(print_of(name) + "\n" for name in (*NAMES, "mlp_train")), encoding="utf-8")
    return path


def run(*args: object) -> tuple[int, str]:
    result = run_command(*args, "-q")
    return result.exit_code, result.stdout


def test_each_graph_has_a_row(log: Path) -> None:
    code, text = run("analyze", log, "--graph", "all", "--format", "csv")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(text)))
    alone = [irflops.analyze(FIXTURES / f"{name}.repr.txt.gz") for name in NAMES]
    assert [(row["graph"], int(row["macs"])) for row in rows] == [(one.graph.name, one.total.get("macs")) for one in alone]
    assert {row["path"] for row in rows} == {str(log)}


def test_people_read_the_graphs_names_and_of_several_files_the_files_too(log: Path) -> None:
    table = run("analyze", log, "--graph", "all")[1]
    assert [line.split()[0] for line in table.splitlines()[3:]] == ["Inference_0", "Training_0", "Training_0"]
    other = FIXTURES / "loc.repr.txt.gz"
    both = run("analyze", log, other, "--graph", "all")[1]
    assert [line.split()[0] for line in both.splitlines()[3:]] == ["train", "train", "train", "loc"]


def test_the_json_is_a_list_and_what_ifs_are_of_each(log: Path) -> None:
    code, text = run("analyze", log, "--graph", "all", "--dtype", "half", "--format", "json", "--without", "ops,modules")
    assert code == 0
    found = json.loads(text)
    wanted = [irflops.analyze(FIXTURES / f"{name}.repr.txt.gz", dtype="half").total.get("param_bytes") for name in NAMES]
    assert [sum(one["totals"]["param_bytes"][kind] for kind in ("trainable", "frozen")) for one in found] == wanted


def test_a_damaged_graph_keeps_no_other_from_being_there(log: Path) -> None:
    text = log.read_text(encoding="utf-8")
    log.write_text(text.replace("sbp=(B), size=(1, 1000)", "sbp=(B), size=(1, 10 00)"), encoding="utf-8")
    code, output = run("analyze", log, "--graph", "all", "--format", "csv")
    assert code == 2
    rows = list(csv.DictReader(io.StringIO(output)))
    assert [bool(row["error"]) for row in rows] == [True, False, False]
    assert len([one for one in load_all(log) if isinstance(one, irflops.Graph)]) == 2


def test_one_graph_is_one_row_in_any_form() -> None:
    for name in ("basic_block.job.pb.gz", "basic_block.mlir.gz", "basic_block.repr.txt.gz"):
        code, text = run("analyze", FIXTURES / name, "--graph", "all", "--format", "csv")
        assert code == 0
        assert len(text.splitlines()) == 2
    assert run("analyze", FIXTURES / "SOURCE.md", "--graph", "all")[0] == 2
