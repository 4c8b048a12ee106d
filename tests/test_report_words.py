"""What reports say in words and where they cut: numbers of things, what is unknown, long names, and the rows that must stay."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from irflops import load
from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.counting.infer import Disagreement
from irflops.errors import Source
from irflops.ir.graph import DType, Graph, Location, Module, Note, Op, Operand, Phase, TensorType
from irflops.report.json_writer import write_json
from irflops.report.numbers import format_count
from irflops.report.sections import Wish, table_by, whole_report
from irflops.report.summary import facts, how_sure
from irflops.report.table import drawn
from irflops.report.terminal import print_report, print_table
from irflops.report.text import write_csv, write_markdown

ROOT = Path(__file__).resolve().parent.parent


def written(write: Callable[[TextIO], None]) -> str:
    stream = io.StringIO()
    write(stream)
    return stream.getvalue()


def fixture(name: str) -> Analysis:
    return analyze_graph(load(ROOT / "fixtures" / f"{name}.repr.txt.gz"))


def tensor(name: str, arg: str = "y", *shape: int) -> Operand:
    return Operand(arg, 0, f"{name}/{arg}_0", TensorType(shape, DType.FLOAT32))


def relu(name: str, extent: int = 4, location: Location | None = None) -> Op:
    return Op(name, "relu", (tensor("x", "x", extent),), (tensor(name, "y", extent),), phase=Phase.FORWARD, location=location)


def graph_of(*ops: Op, modules: tuple[Module, ...] = ()) -> Graph:
    return Graph("g", "G", False, ops, (Module("", None, None), *modules), "repr", Source("<string>", ""))


# ------------------------------------------------------------------ numbers of things


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1, "elements", "1 element"),
        (1, "params", "1 param"),
        (1, "bytes", "1 byte"),
        (1, "MACs", "1 MAC"),
        (2, "elements", "2 elements"),
        (0, "bytes", "0 bytes"),
        (1000, "elements", "1.00 k elements"),
    ],
)
def test_one_of_a_thing_is_singular(value: int, unit: str, text: str) -> None:
    assert format_count(value, unit) == text


def test_facts_of_a_small_graph_are_singular() -> None:
    analysis = analyze_graph(graph_of(relu("r", 1), modules=(Module("model", "ReLU", None),)))
    told = dict(facts(analysis))
    assert told["size"].endswith(" in 1 module")
    assert told["activations"] == "1 element, 4 bytes: all results added up, not what is held at once"
    assert told["compute"] == "0 MACs, 1 FLOP"
    odd = Disagreement("r", "r/y_0", (1,), (2,), "differs", None)
    one, two = (replace(analysis, inference=replace(analysis.inference, disagreements=(odd,) * n)) for n in (1, 2))
    assert how_sure(one) == "exact, but 1 shape in the file disagrees with its operator"
    assert how_sure(two) == "exact, but 2 shapes in the file disagree with their operators"


def test_operators_are_as_many_as_the_tables_have() -> None:
    analysis = fixture("mlp_train")
    told = dict(facts(analysis))
    printed = sum(op.span is not None for op in analysis.graph.ops)
    hidden = len(analysis.graph.ops) - printed
    assert hidden == 1
    assert told["size"].startswith(f"{printed} operators and 1 that the dump does not print, in 5 modules")
    assert dict(facts(fixture("basic_block")))["size"].startswith("17 operators in 5 modules")


def test_nothing_known_is_said_once() -> None:
    analysis = analyze_graph(replace(graph_of(), partial=True))
    told = dict(facts(analysis))
    assert [told[name] for name in ("compute", "traffic", "activations")] == ["unknown"] * 3


# ------------------------------------------------------------------ long names


def test_name_of_a_megabyte_costs_no_time() -> None:
    name = "model." + "x" * 1_000_000 + "-relu-1"
    graph = graph_of(replace(relu(name), module=name), modules=(Module(name, name, name),))
    analysis = analyze_graph(replace(graph, name=name, notes=(Note("odd", name),)))
    start = time.process_time()
    out = written(lambda stream: print_report(whole_report(analysis, Wish()), stream))
    assert time.process_time() - start < 3
    assert len(out) < 20_000
    shown = written(lambda stream: print_table(table_by(analysis, "op", Wish()), stream))
    name_shown = "".join(line.strip().split("  ")[0] for line in shown.partition("─\n")[2].splitlines())
    assert name_shown.startswith("model.xxx")
    assert "…" in name_shown
    assert name_shown.endswith("xxx-relu-1")
    assert name in written(lambda stream: write_csv(table_by(analysis, "op", Wish()), stream))


# ------------------------------------------------------------------ rows that stay


@pytest.fixture
def located() -> Analysis:
    """Four lines of Python, and an operator of none that costs more than all."""
    lines = [relu(f"r{n}", 4 + n, Location("model.py", n, "forward")) for n in range(1, 5)]
    return analyze_graph(graph_of(relu("none", 1000), *lines))


@pytest.mark.parametrize("sort", [None, "flops", "line"])
def test_what_has_no_line_of_python_stays_and_comes_last(located: Analysis, sort: str | None) -> None:
    table = table_by(located, "location", Wish(top=2, sort=sort))
    assert [at and at.line for at in table.items] == [4, 3, None]
    assert table.total == 5
    assert drawn(table)[0].texts[-1] == "(not in the dump)"
    assert "3 of 5" in written(lambda stream: print_table(table, stream))


def test_csv_is_empty_where_there_is_no_line_of_python(located: Analysis) -> None:
    out = written(lambda stream: write_csv(table_by(located, "location", Wish(), whole=True), stream))
    last = list(csv.DictReader(io.StringIO(out)))[-1]
    assert (last["file"], last["line"], last["function"], last["flops"]) == ("", "", "", "1000")


def test_graph_has_a_name_where_modules_are_sorted() -> None:
    analysis = fixture("basic_block")
    table = table_by(analysis, "module", Wish(sort="flops"))
    assert written(lambda stream: print_table(table, stream)).splitlines()[3].startswith(" (graph)")
    assert written(lambda stream: write_markdown(table, stream)).splitlines()[2].startswith("| (graph) | MyGraph |")
    assert next(csv.DictReader(io.StringIO(written(lambda stream: write_csv(table, stream)))))["path"] == ""


def test_graph_has_its_class_everywhere() -> None:
    analysis = fixture("basic_block")
    assert analysis.rows("module")[0]["class"] == analysis.to_dict()["modules"][0]["class"] == "MyGraph"


# ------------------------------------------------------------------ JSON of what is not known


@pytest.mark.parametrize("candidates", [(), ("add_n", "add_n2")])
def test_unknown_type_keeps_the_schema(candidates: tuple[str, ...]) -> None:
    analysis = analyze_graph(graph_of(replace(relu("r"), type=None, type_candidates=candidates)))
    row = json.loads(written(lambda stream: write_json(analysis, stream)))
    assert row["by_type"][0]["type"] is None
    schema = json.loads((ROOT / "irflops/data/schemas/analysis.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(row, schema, cls=jsonschema.Draft202012Validator)
