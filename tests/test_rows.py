"""Rows for data frames, and what `print` shows of an analysis."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

import irflops
from irflops.report.sections import Wish, table_by
from irflops.report.text import write_csv

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
STRUCTURED = {"inputs", "outputs", "attrs"}
"""Columns that are lists and objects in rows, and texts in a CSV file."""


@pytest.mark.parametrize("by", ["op", "module", "type", "step", "phase", "location"])
@pytest.mark.parametrize("name", ["loc", "cnn_accumulate", "functional_pool"])
def test_rows_have_the_columns_of_the_csv(name: str, by: str) -> None:
    """The same names, and by the first columns that name a row the same values."""
    analysis = irflops.analyze(FIXTURES / f"{name}.repr.txt.gz")
    stream = io.StringIO()
    write_csv(table_by(analysis, by, Wish(), whole=True), stream)
    table = list(csv.DictReader(io.StringIO(stream.getvalue())))
    found = analysis.rows(by)
    assert [column for column in table[0] if column not in found[0]] == []
    compared = [column for column in table[0] if column not in STRUCTURED]

    def texts(row: dict[str, object]) -> tuple[str, ...]:
        return tuple("" if row[column] is None else str(row[column]) for column in compared)

    assert {texts(dict(row)) for row in table} <= {texts(row) for row in found}


def test_the_summary_row_is_the_table_of_models() -> None:
    (row,) = irflops.analyze(FIXTURES / "loc.repr.txt.gz").rows("summary")
    assert (row["graph"], row["training"], row["batch"], row["certainty"], row["error"]) == ("Training_0", True, 8, "exact", None)


def test_print_shows_a_small_table() -> None:
    analysis = irflops.analyze(FIXTURES / "resnet18.repr.txt.gz")
    lines = str(analysis).splitlines()
    assert lines[0] == "Inference_0, inference: exact; 57 modules below"
    assert lines[1].split() == ["module", "class", "MACs", "FLOPs", "params", "bytes", "read", "bytes", "written"]
    assert lines[-1].split() == ["model.fc", "Linear", "512,000", "1,025,000", "513,000", "2,058,048", "8,000"]
    assert max(map(len, lines)) <= 110
