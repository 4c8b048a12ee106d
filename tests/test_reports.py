"""What comes out: golden outputs in tests/golden/ (`pytest --update` writes them anew), the JSON Schema, and hostile contents."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from analysed import ROOT, SMALL, TRAINING, analysis_of, text_of
from rich.cells import cell_len

from irflops import diff
from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.counting.cost import Cost, OpCost
from irflops.errors import Source
from irflops.ir.graph import Attrs, DType, Graph, Module, Op, Operand, Phase, TensorType
from irflops.ir.tree import tree_of
from irflops.report.json_writer import write_json, write_members
from irflops.report.sections import BY, Wish, summary_report, table_by, whole_report
from irflops.report.table import drawn
from irflops.report.terminal import print_report, print_table
from irflops.report.text import write_csv, write_latex, write_markdown, write_markdown_report

FIXTURES = sorted(path.name for path in (ROOT / "fixtures").glob("*.repr.txt.gz"))


@pytest.fixture(autouse=True)
def _at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    def check(name: str, text: str) -> None:
        path = ROOT / "tests" / "golden" / name
        if request.config.getoption("--update"):
            path.write_text(text, encoding="utf-8", newline="\n")
        assert text == path.read_text(encoding="utf-8")

    return check


# ------------------------------------------------------------------ golden outputs


@pytest.mark.parametrize("fixture", [SMALL, TRAINING])
def test_whole_report(fixture: str, golden: Callable[[str, str], None]) -> None:
    report = whole_report(analysis_of(fixture), Wish())
    golden(f"{fixture}.txt", text_of(lambda stream: print_report(report, stream)))
    golden(f"{fixture}.md", text_of(lambda stream: write_markdown_report(report, stream)))


def test_whole_report_in_ascii(golden: Callable[[str, str], None]) -> None:
    report = whole_report(analysis_of(SMALL), Wish())
    golden(f"{SMALL}.ascii.txt", text_of(lambda stream: print_report(report, stream), "ascii"))


def test_whole_report_in_colour(golden: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    report = whole_report(analysis_of(SMALL), Wish())
    golden(f"{SMALL}.colour.txt", text_of(lambda stream: print_report(report, stream)))


ODD = "a\tb\x07\x08 \x0b\x0c\rc 深い学習 e\u0301 \U0001f600 \x1b[31mred\x85 \u2028 [bold]x[/bold] :smile: \n  second "


@pytest.mark.parametrize("width", ["100", "40", "250"])
@pytest.mark.parametrize("fixture", [SMALL, TRAINING, "gpt_train", "cnn_accumulate"])
def test_what_is_no_terminal_gets_what_rich_would_write(fixture: str, width: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", width)
    report = whole_report(analysis_of(fixture), Wish())
    odd = replace(report, headline=ODD, facts=[(ODD, ODD), *report.facts], notes=[*report.notes, ODD * 5])
    plain = text_of(lambda stream: print_report(odd, stream))
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    rich = text_of(lambda stream: print_report(odd, stream))
    # Versions of rich before 15 leave a space where they break a line.
    assert [line.rstrip() for line in plain.splitlines()] == [line.rstrip() for line in rich.splitlines()]


@pytest.mark.parametrize("by", [by for by in BY if by != "summary"])
def test_table_of_each_kind(by: str, golden: Callable[[str, str], None]) -> None:
    table = table_by(analysis_of(TRAINING), by, Wish(), whole=True)
    golden(f"{TRAINING}.{by}.csv", text_of(lambda stream: write_csv(table, stream)))
    golden(f"{TRAINING}.{by}.tex", text_of(lambda stream: write_latex(table, stream)))


def test_json(golden: Callable[[str, str], None]) -> None:
    analysis = analysis_of(SMALL)
    golden(f"{SMALL}.json", text_of(lambda stream: write_json(analysis, stream), "ascii"))


def test_html_of_notebooks(golden: Callable[[str, str], None]) -> None:
    golden(f"{SMALL}.html", analysis_of(SMALL)._repr_html_() + "\n")


@pytest.mark.parametrize("fixture", FIXTURES)
def test_report_fits_in_its_width_and_gives_each_item_a_row(fixture: str) -> None:
    report = whole_report(analysis_of(fixture), Wish())
    lines = text_of(lambda stream: print_report(replace(report, facts=[], notes=[]), stream)).splitlines()
    assert max(map(len, lines)) <= 100
    assert [line for line in lines if line != line.rstrip()] == []
    rows = sum(len(table.items) for table in report.tables)
    notes = sum(bool(re.match("   (each operator begins|not shown|equal layers|without )", line)) for line in lines)
    assert len(lines) == 2 + rows + notes + 4 * len(report.tables)


# ------------------------------------------------------------------ JSON


def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "irflops/data/schemas/analysis.schema.json").read_text(encoding="utf-8"))
    return found


def test_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("fixture", FIXTURES)
def test_json_keeps_its_schema(fixture: str) -> None:
    analysis = analysis_of(fixture)
    written = json.loads(text_of(lambda stream: write_json(analysis, stream), "ascii"))
    jsonschema.validate(written, schema(), cls=jsonschema.Draft202012Validator)
    assert written == analysis.to_dict()


def test_schema_refuses_what_lacks_a_cost() -> None:
    row = analysis_of(SMALL).to_dict()
    del row["ops"][0]["flops"]
    with pytest.raises(jsonschema.ValidationError, match="'flops' is a required property"):
        jsonschema.validate(row, schema())


def test_json_leaves_parts_out() -> None:
    analysis = analysis_of(SMALL)
    written = json.loads(text_of(lambda stream: write_json(analysis, stream, ["ops", "modules"])))
    assert written == analysis.to_dict(["ops", "modules"])
    assert not {"ops", "modules"} & written.keys()


# ------------------------------------------------------------------ contents nobody expects

HUGE = 7**6000
"""5,071 digits: more than Python makes text of by itself."""


def tensor(name: str, *shape: int) -> Operand:
    return Operand("out", 0, f"{name}/out", TensorType(shape, DType.FLOAT32))


def graph_of(*ops: Op, modules: tuple[Module, ...] = ()) -> Graph:
    return Graph("g", "G", False, ops, (Module("", None, None), *modules), "repr", Source("<string>", ""))


def with_cost(graph: Graph, cost: Cost) -> Analysis:
    analysis = analyze_graph(graph)
    return replace(analysis, costs=tuple(OpCost(cost) for _ in graph.ops), total=cost, modules=dict.fromkeys(analysis.modules, cost))


def test_integers_of_any_size_are_written_whole() -> None:
    limit = sys.get_int_max_str_digits() if hasattr(sys, "get_int_max_str_digits") else None
    analysis = with_cost(graph_of(Op("x", "relu", (), (tensor("x", 2),), phase=Phase.FORWARD)), Cost((HUGE,) * 8))
    out = text_of(lambda stream: write_json(analysis, stream))
    table = text_of(lambda stream: write_csv(table_by(analysis, "op", Wish(), whole=True), stream))
    digits = "".join(str(HUGE // 10**at % 10**1000).zfill(1000) for at in range(5000, -1, -1000)).lstrip("0")
    assert out.count(f'"macs":{digits},') == 5
    assert f",{digits}," in table
    assert limit is None or sys.get_int_max_str_digits() == limit


def test_integers_of_any_size_are_shown_short() -> None:
    analysis = with_cost(graph_of(Op("x", "relu", (), (tensor("x", 2),), phase=Phase.FORWARD)), Cost((HUGE,) * 8))
    report = whole_report(analysis, Wish())
    assert "e5070 MACs" in text_of(lambda stream: print_report(report, stream))
    assert "10^5070 and more" in analysis._repr_html_()


def test_infinities_have_names_in_json() -> None:
    attrs = Attrs({"min_val": float("-inf"), "max_val": float("inf"), "alpha": float("nan"), "beta": 0.5})
    analysis = analyze_graph(graph_of(Op("x", "relu", (), (tensor("x", 2),), attrs=attrs)))
    written = json.loads(text_of(lambda stream: write_json(analysis, stream)), parse_constant=pytest.fail)
    assert written["ops"][0]["attrs"] == {"min_val": "-Infinity", "max_val": "Infinity", "alpha": "NaN", "beta": 0.5}
    assert analysis.to_dict() == written


def test_infinities_of_a_change_have_names_in_json() -> None:
    old, new = (
        analyze_graph(graph_of(Op("x", "relu", (), (tensor("x", 2),), attrs=Attrs({"bounds": (float("-inf"), bound)}))))
        for bound in (0.5, float("inf"))
    )
    found = diff(old, new)
    assert found.edits[0].detail == {"bounds": {"old": [float("-inf"), 0.5], "new": [float("-inf"), float("inf")]}}
    written = json.loads(text_of(lambda stream: write_members(found.parts(), stream)), parse_constant=pytest.fail)
    assert found.to_dict() == written
    assert written["edits"][0]["detail"] == {"bounds": {"old": ["-Infinity", 0.5], "new": ["-Infinity", "Infinity"]}}


EVIL = "a\x1b[31m|b\n<script>&_%$#{}\\^~\"'`,c"


@pytest.fixture
def evil() -> Analysis:
    op = Op(EVIL, EVIL, (), (tensor(EVIL, 2),), module=EVIL)
    return analyze_graph(graph_of(op, modules=(Module(EVIL, EVIL, EVIL),)))


def test_names_do_not_command_the_terminal(evil: Analysis) -> None:
    report = whole_report(evil, Wish())
    for out in (
        text_of(lambda stream: print_report(report, stream)),
        text_of(lambda stream: write_markdown_report(report, stream)),
        text_of(lambda stream: write_latex(report.tables[0], stream)),
    ):
        assert "\x1b" not in out


def test_names_do_not_break_out_of_markup(evil: Analysis) -> None:
    assert "<script>" not in evil._repr_html_()
    table = table_by(evil, "op", Wish(columns=["name", "type"]))
    rows = text_of(lambda stream: write_markdown(table, stream)).splitlines()
    assert len(rows) == 3
    assert rows[2].replace("\\\\", "").replace("\\|", "").count("|") == 3
    latex = text_of(lambda stream: write_latex(table, stream))
    assert r"\textless{}script\textgreater{}\&\_\%\$\#\{\}\textbackslash{}\textasciicircum{}\textasciitilde{}" in latex


def test_csv_gives_names_back_whole(evil: Analysis) -> None:
    out = text_of(lambda stream: write_csv(table_by(evil, "op", Wish(columns=["name"])), stream))
    assert list(csv.reader(io.StringIO(out, newline=""))) == [["name"], [EVIL]]


def test_long_names_wrap_and_are_never_cut() -> None:
    names = ["model." + "深" * 80 + ".conv-conv2d-1", "other." + "x" * 200 + ".conv-conv2d-2"]
    ops = (Op(name, "relu", (), (tensor(name, 2),), phase=Phase.FORWARD) for name in names)
    out = text_of(lambda stream: print_table(table_by(analyze_graph(graph_of(*ops)), "op", Wish()), stream))
    lines = out.partition("─\n")[2].splitlines()
    assert "".join(line.split("  ")[0 if line[1] != " " else -1].strip() for line in lines) == "".join(names)
    assert max(cell_len(line) for line in out.splitlines()) <= 100


def test_narrow_terminal_leaves_columns_out_and_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "44")
    lines = text_of(lambda stream: print_table(table_by(analysis_of(SMALL), "op", Wish()), stream)).splitlines()
    said = " ".join(line.strip() for line in lines)
    assert "not shown for lack of room: x, type, MiB moved, line; --wide shows all" in said
    assert max(map(len, lines)) <= 44
    assert "…" not in said
    whole = text_of(lambda stream: print_table(table_by(analysis_of(SMALL), "op", Wish()), stream, wide=True))
    assert "not shown" not in whole
    assert whole.splitlines()[1].split()[-3:] == ["MiB", "moved", "line"]


# ------------------------------------------------------------------ tables


def test_nothing_known_is_unknown_and_a_bound_is_marked() -> None:
    known = Op("x", "relu", (), (tensor("x", 4),), phase=Phase.FORWARD)
    op = replace(known, inputs=(replace(tensor("x", 4), arg="x"),), outputs=(replace(tensor("y", 4), arg="y"),), name="y")
    analysis = analyze_graph(graph_of(op, replace(op, name="z", type="no_such_type", outputs=(tensor("z", 4),))))
    (macs, flops) = (column for column in drawn(table_by(analysis, "op", Wish())) if column.column.name in ("macs", "flops"))
    assert (macs.texts, flops.texts) == (["0", "unknown"], ["4", "unknown"])
    (total,) = (column.texts[0] for column in drawn(table_by(analysis, "module", Wish())) if column.column.name == "flops")
    assert total == ">= 4"
    report = text_of(lambda stream: print_report(whole_report(analysis, Wish()), stream))
    assert "unknown MACs" not in report
    assert ">= 4 FLOPs" in report
    assert "no_such_type" in report
    assert "lower bounds: something of 1 operator is unknown" in report
    row = list(csv.DictReader(io.StringIO(text_of(lambda s: write_csv(table_by(analysis, "op", Wish(), whole=True), s)))))[1]
    assert (row["name"], row["flops"], row["reason"]) == ("z", "", "no_rule")


@pytest.mark.parametrize("by", ["op", "type", "phase", "location"])
def test_rows_add_up_to_the_total(by: str) -> None:
    analysis = analysis_of(TRAINING)
    out = text_of(lambda stream: write_csv(table_by(analysis, by, Wish(), whole=True), stream))
    rows = list(csv.DictReader(io.StringIO(out)))
    for name in ("macs", "flops", "bytes_read", "params.trainable"):
        total = analysis.rows("summary")[0][name]
        assert sum(int(row[name]) for row in rows) == total


def test_sorted_tree_becomes_a_list() -> None:
    analysis = analysis_of("resnet18")
    table = table_by(analysis, "module", Wish(sort="params", depth=2, top=3))
    assert [place.path for place in table.items] == ["", "model", "model.layer4"]
    assert drawn(table)[0].texts[2] == "model.layer4"
    by_name = table_by(analysis, "op", Wish(sort="name", top=2, full=True))
    assert [one.name for one in by_name.items] == sorted(op.name for op in analysis.graph.ops)[:2]


def test_depth_opens_as_much_as_a_screen_holds() -> None:
    small, large = (table_by(analysis_of(name), "module", Wish(full=True)) for name in (SMALL, "densenet121"))
    assert len(small.items) == len(analysis_of(SMALL).graph.modules)
    assert 2 <= len(large.items) <= 30
    one = table_by(analysis_of("resnet18"), "module", Wish(depth=1, full=True))
    assert [place.path for place in one.items] == ["", "model"]
    assert one.notes == ("1 of 5 levels; --depth 5 shows all",)


def test_summary_alone_has_no_table() -> None:
    report = summary_report(analysis_of(SMALL))
    assert report.tables == ()
    assert dict(report.facts)["certainty"] == "exact"


def test_tree_hangs_orphans_from_the_nearest_module_above() -> None:
    tree = tree_of(["a", "a.b.c", "a.b.c.d", "x.y"])
    assert list(tree.walk()) == [("", 0), ("a", 1), ("a.b.c", 2), ("a.b.c.d", 3), ("x.y", 1)]
    assert [tree.label(path) for path in ("a", "a.b.c", "a.b.c.d", "x.y")] == ["a", "b.c", "d", "x.y"]


def test_stream_of_rows_is_never_held() -> None:
    """The writer takes operators one by one."""
    analysis = analysis_of(SMALL)
    seen: list[int] = []

    class Watched(Analysis):
        def parts(self) -> Iterator[tuple[str, Any]]:
            for name, value in super().parts():
                yield name, (_counted(value) if name == "ops" else value)

    def _counted(rows: Iterator[Any]) -> Iterator[Any]:
        for row in rows:
            seen.append(len(stream.getvalue()))
            yield row

    fields = {name: getattr(analysis, name) for name in Analysis.__dataclass_fields__}
    many = replace(analysis.graph, ops=analysis.graph.ops * 100)
    stream = io.StringIO()
    write_json(Watched(**fields | {"graph": many, "costs": analysis.costs * 100}), stream)
    assert seen[-1] > len(stream.getvalue()) // 2
