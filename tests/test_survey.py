"""The script that reads folders of dumps: what it counts, and what it does not pass over."""

from __future__ import annotations

import gzip
import io
import json
import re
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPT: dict[str, Any] = runpy.run_path(str(Path(__file__).with_name("survey.py")))
main: Callable[[list[str], io.StringIO], int] = SCRIPT["main"]


@pytest.fixture
def folder(root: Path, tmp_path: Path) -> Path:
    """Two dumps of two models with their shapes, and what else lies in such folders."""
    inner = tmp_path / "dumps" / "inner"
    inner.mkdir(parents=True)
    for name in ("basic_block", "mlp_train"):
        for form in ("repr.txt", "shapes.json"):
            shutil.copy(root / "fixtures" / f"{name}.{form}.gz", inner)
    for name in ("README.md", "make.py", ".hidden"):
        (inner / name).write_text("no dump", encoding="utf-8")
    return tmp_path / "dumps"


def surveyed(folder: Path) -> tuple[int, list[str]]:
    stream = io.StringIO()
    code = main([str(folder)], stream)
    return code, [line.rstrip() for line in stream.getvalue().splitlines()]


def test_folder_of_sound_dumps(folder: Path) -> None:
    code, (heading, first, second, total) = surveyed(folder)
    assert code == 0
    assert heading.split() == ["model", "form", "ops", "shapes", "checked", "disagreements", "seconds", "problem"]
    rows = [line.split() for line in (first, second)]
    assert [row[:2] for row in rows] == [["basic_block.repr.txt", "repr"], ["mlp_train.repr.txt", "repr"]]
    assert [row[4] for row in rows] == ["0", "0"]
    assert all(int(row[3]) > int(row[2]) / 2 for row in rows), "shapes were checked"
    assert total.split()[:3] == ["total", "2", "dumps"]
    assert int(total.split()[4]) == sum(int(row[3]) for row in rows)


def test_oneflows_shapes_are_held_against_ours(folder: Path) -> None:
    shapes = folder / "inner" / "basic_block.shapes.json.gz"
    known = json.loads(gzip.decompress(shapes.read_bytes()))
    lbn = next(name for name in known if "conv2d" in name)
    known |= {lbn: [1, 2, 3], "no such tensor/out": [1]}
    shapes.unlink()
    shapes.with_suffix("").write_text(json.dumps(known), encoding="utf-8")
    code, lines = surveyed(folder)
    assert code == 1
    assert lines[1].split()[4] == "1"
    assert "1, 2, 3" in " ".join(lines)


def test_file_that_disagrees(folder: Path) -> None:
    dump = folder / "inner" / "basic_block.repr.txt.gz"
    text = gzip.decompress(dump.read_bytes()).decode()
    wrong, count = re.subn(r"(-conv2d-0\(.* -> .*size=\()1, 64, 64, 64\)", r"\g<1>1, 64, 64, 63)", text)
    assert count == 1
    dump.with_suffix("").write_text(wrong, encoding="utf-8")
    dump.unlink()
    code, lines = surveyed(folder)
    assert code == 1
    assert int(lines[1].split()[4]) > 0


def test_dump_that_does_not_read_fails_and_the_others_are_there(folder: Path) -> None:
    (folder / "aaa.repr.txt").write_text("(GRAPH:a:A): (\n", encoding="utf-8")
    code, lines = surveyed(folder)
    assert code == 1
    assert lines[1].split()[:3] == ["aaa.repr.txt", "?", "0"]
    assert lines[-1].split()[:3] == ["total", "3", "dumps"]


def test_a_bug_of_ours_is_a_row(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_path: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("irflops.load", broken)
    code, lines = surveyed(folder)
    assert code == 1
    assert sum("a bug, KeyError('a bug')" in line for line in lines) == 2


def test_empty_folder_is_no_success(tmp_path: Path) -> None:
    assert surveyed(tmp_path) == (1, ["no dumps"])


def test_saved_graph_is_one_dump(folder: Path) -> None:
    saved = folder / "saved"
    (saved / "model.weight").mkdir(parents=True)
    for path in (saved / "model.mlir", saved / "model.weight" / "out"):
        path.write_bytes(b"")
    assert [path.name for path in SCRIPT["dumps"](folder)] == ["basic_block.repr.txt.gz", "mlp_train.repr.txt.gz", "saved"]
