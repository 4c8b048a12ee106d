"""`irflops compare`: irflops' count and the reasons make every tool's figure, exactly."""

from __future__ import annotations

import csv
import io
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from commands import run

import irflops
from irflops.conventions.compare import between, compare_analysis
from irflops.conventions.registry import BY_NAME, CONVENTIONS, USUAL, count

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "fixtures"
GRAPHS = sorted(path.name for form in ("*.repr.txt.gz", "*.job.prototxt.gz") for path in FIXTURES.glob(form))
LAYERS = "layers/printed.repr.txt.gz"
RESNET50 = FIXTURES / "resnet50.repr.txt.gz"


@cache
def analysis(name: str, graph: str | None = None) -> irflops.Analysis:
    """Of a fixture."""
    return irflops.analyze(irflops.load(FIXTURES / name, graph))


@pytest.mark.parametrize("name", GRAPHS)
def test_count_and_reasons_make_the_figure(name: str) -> None:
    for found in compare_analysis(analysis(name)):
        answer = found.answer
        if answer.total is None:
            assert answer.raises or answer.unknown
            assert found.reasons == ()
            continue
        assert found.ours == analysis(name).total.get(found.convention.basis)
        assert found.ours + sum(reason.difference for reason in found.reasons) == answer.total, found.convention.name


@pytest.mark.parametrize("name", ["residual", "layer_norm", "conv_transpose", "lstm", "attention", "upsample_bilinear"])
def test_reasons_of_a_layer(name: str) -> None:
    for found in compare_analysis(analysis(LAYERS, name)):
        if found.answer.total is not None:
            assert found.ours + sum(reason.difference for reason in found.reasons) == found.answer.total


def test_why_the_two_modes_of_flowflops_differ_on_resnet50() -> None:
    """5519360 operations: the 16 sums of the residuals, which no module makes."""
    one, other = (count(BY_NAME[name], analysis(RESNET50.name).structure) for name in ("flowflops-eager", "flowflops-graph"))
    (reason,) = between(analysis(RESNET50.name), one, other)
    assert (reason.type, reason.count, reason.effect) == ("add_n", 16, "adds")
    assert reason.difference == 5519360


def test_reasons_say_what_happened() -> None:
    (found,) = compare_analysis(analysis(RESNET50.name), [BY_NAME["thop"]])
    by_type = {reason.type: reason for reason in found.reasons}
    assert by_type["BatchNorm2d"].effect == "adds"
    assert by_type["BatchNorm2d"].difference == 4 * 11113984  # elements that the 53 norms take
    assert by_type["BatchNorm2d"].count == 53
    (found,) = compare_analysis(analysis("gpt2_small_infer.repr.txt.gz"), [BY_NAME["flowflops-eager"]])
    by_type = {reason.type: reason for reason in found.reasons}
    assert by_type["matmul"].effect == "leaves out"
    assert by_type["matmul"].theirs == 0
    assert by_type["Linear"].effect == "counts otherwise"


def test_phases_that_a_tool_does_not_see() -> None:
    (found,) = compare_analysis(analysis("gpt_train.repr.txt.gz"), [BY_NAME["fvcore"]])
    left_out = {reason.type for reason in found.reasons if reason.phase is not None and reason.phase.value == "backward"}
    assert "broadcast_matmul_grad_b" in left_out


def test_json() -> None:
    result = run("compare", RESNET50, "--with", "flowflops-eager,flowflops-graph", "--format", "json")
    found: dict[str, Any] = json.loads(result.stdout)
    jsonschema.validate(found, schema("compare"), cls=jsonschema.Draft202012Validator)
    assert [row["total"] for row in found["conventions"]] == [4121925096, 4127444456]
    assert [row["irflops"] for row in found["conventions"]] == [4089184256] * 2
    for row in found["conventions"]:
        assert row["irflops"] + sum(reason["difference"] for reason in row["reasons"]) == row["total"]
    assert [reason["difference"] for reason in found["between"]] == [5519360]


def test_json_of_all_conventions_and_of_what_raises() -> None:
    found = json.loads(run("compare", FIXTURES / "gpt2_small_infer.repr.txt.gz", "--format", "json").stdout)
    jsonschema.validate(found, schema("compare"), cls=jsonschema.Draft202012Validator)
    rows = {row["name"]: row for row in found["conventions"]}
    assert list(rows) == [convention.name for convention in CONVENTIONS]
    assert rows["flowflops-graph"] | {"reasons": []} == rows["flowflops-graph"]
    assert (rows["flowflops-graph"]["total"], rows["flowflops-graph"]["raises"]) == (None, "KeyError: 'gather'")


def schema(name: str) -> Any:
    """The JSON Schema of a result."""
    return json.loads(run("schema", name).stdout)


def test_table_shows_figures_and_reasons() -> None:
    output = run("compare", RESNET50, "--with", "flowflops-eager,flowflops-graph").stdout
    assert "4,127,444,456" in output
    assert "From flowflops-eager to flowflops-graph" in output
    assert "5,519,360" in output


def test_csv_latex_and_markdown() -> None:
    rows = list(csv.DictReader(io.StringIO(run("compare", RESNET50, "--with", "thop", "--format", "csv").stdout)))
    assert [(row["convention"], row["irflops"]) for row in rows] == [("thop", "4089184256")]
    reasons = list(csv.DictReader(io.StringIO(run("compare", RESNET50, "--with", "thop", "--reasons", "--format", "csv").stdout)))
    assert {row["type"] for row in reasons} == {"BatchNorm2d", "AdaptiveAvgPool2d"}
    assert run("compare", RESNET50, "--with", "thop", "--format", "latex").stdout.count(r"\begin{tabular}") == 1
    assert "\n## Conventions\n\n| convention |" in run("compare", RESNET50, "--with", "thop", "--format", "markdown").stdout


def test_unknown_convention() -> None:
    result = run("compare", RESNET50, "--with", "thop,fvcor")
    assert result.exit_code == 2
    assert "did you mean fvcore?" in result.stderr


# ------------------------------------------------------------------ analyze --convention, and conventions


def test_analyze_by_a_convention() -> None:
    found = json.loads(run("analyze", RESNET50, "--convention", "flowflops-graph", "--format", "json", "--without", "ops").stdout)
    jsonschema.validate(found | {"ops": []}, schema("analysis"), cls=jsonschema.Draft202012Validator)
    convention = found["convention"]
    assert (convention["total"], convention["raises"], convention["source"]) == (4127444456, None, "module_tree")
    assert sum(row["total"] for row in convention["by_type"]) == 4127444456
    assert {row["path"]: row["total"] for row in convention["by_module"]}[""] == 4127444456
    assert {"type": "add_n", "count": 16, "total": 5519360} in convention["by_type"]


def test_analyze_by_a_convention_that_raises_is_an_answer() -> None:
    result = run("analyze", FIXTURES / "gpt2_small_infer.repr.txt.gz", "--convention", "flowflops-graph", "--format", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["convention"] | {"by_type": [], "by_module": []} == {
        "name": "flowflops-graph",
        "figure": 'get_model_complexity_info(mode="graph")[0]',
        "unit": '"Mac": MACs + 1 per element of the rest',
        "total": None,
        "raises": "KeyError: 'gather'",
        "unknown": None,
        "source": "module_tree",
        "by_type": [],
        "by_module": [],
    }


def test_torchstat_prints_its_own_table() -> None:
    output = run("analyze", FIXTURES / LAYERS, "--graph", "residual", "--convention", "torchstat", "--by", "module", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(output.stdout)))
    assert [(row["name"], row["params"], row["flops"], row["madd"], row["memory"]) for row in rows] == [
        ("conv", "148", "9472", "18432", "0.00"),
        ("relu", "0", "256", "256", "0.00"),
        ("total", "148", "9728", "18688", "0.00"),
    ]


def test_steps_are_a_table_of_the_analysis() -> None:
    found = json.loads(run("analyze", FIXTURES / "gpt2_small_infer.repr.txt.gz", "--format", "json", "--without", "ops,modules").stdout)
    steps = {row["kind"]: row for row in found["by_step"]}
    assert (steps["layer_norm"]["count"], steps["layer_norm"]["operators"]) == (25, 225)
    assert sum(row["flops"] for row in found["by_step"]) == found["totals"]["flops"]
    assert "layer_norm" in run("analyze", FIXTURES / "gpt2_small_infer.repr.txt.gz", "--by", "step").stdout


@pytest.mark.parametrize("args", [["--phase", "forward"], ["--module", "model"], ["--by", "op"]])
def test_convention_with_options_that_do_not_go_with_it(args: list[str]) -> None:
    assert run("analyze", RESNET50, "--convention", "thop", *args).exit_code == 2


def test_conventions_are_listed() -> None:
    found = json.loads(run("conventions", "--format", "json").stdout)
    jsonschema.validate(found, schema("conventions"), cls=jsonschema.Draft202012Validator)
    assert [row["name"] for row in found["conventions"]] == [convention.name for convention in CONVENTIONS]
    assert "M + Y[bias]" in run("conventions", "ptflops").stdout
    assert run("conventions", "ptflop").exit_code == 2


def test_people_see_the_usual_tools_and_programs_all() -> None:
    text = run("compare", RESNET50, "-q").stdout
    rows = text.partition("Conventions")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in rows if line.split()[1:2] and line.split()[1][0].isdigit()] == list(USUAL)
    assert "--with all" in text
    assert len(list(csv.DictReader(io.StringIO(run("compare", RESNET50, "--format", "csv").stdout)))) == len(CONVENTIONS)
    assert run("compare", RESNET50, "-q", "--with", "all").stdout.count("16 conventions are known") == 0


def test_tools_that_print_the_same_are_one_row() -> None:
    text = run("compare", RESNET50, "-q", "--with", "calflops,thop,deepspeed").stdout
    (row,) = (line for line in text.splitlines() if line.startswith(" calflops"))
    assert row.split()[:3] == ["calflops,", "deepspeed", "4,089,184,256"]
    apart = run("compare", RESNET50, "-q", "--with", "calflops,calflops-flops").stdout
    assert "calflops, calflops-flops" not in apart


def test_a_tool_that_would_crash_says_so_and_where() -> None:
    text = run("compare", ROOT / "fixtures" / "basic_block.repr.txt.gz", "-q", "--with", "torchstat").stdout
    assert re.search(r"^ torchstat +crashes", text, re.MULTILINE)
    assert "torchstat crashes on the code of this graph at Linear: AssertionError" in " ".join(text.split())
