"""Diffs of captured graphs with one known change, and the command."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from click.testing import Result
from commands import run as run_command
from jobs import X, content, job, message, user

import irflops
from irflops.analysis.analysis import Analysis
from irflops.differ import Diff, diff_analyses
from irflops.differ.conditions import condition
from irflops.differ.edit import REVERSE, difference
from irflops.differ.sums import folded
from irflops.errors import IrflopsError
from irflops.ir.graph import Module, Op, Phase
from irflops.ir.tree import common_place

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
FORMS = ("repr.txt", "fwd.prototxt", "job.prototxt", "job.pb", "mlir")
SAME = ("basic_block", "gpt_train")


@cache
def analysis(name: str, form: str) -> Analysis:
    """A captured graph before or after a change; the text of a full job is made of its binary form."""
    if form == "job.prototxt":
        job = message()
        job.ParseFromString(content(f"changes/{name}", "job.pb"))
        return irflops.analyze(irflops.loads(str(job)))
    return irflops.analyze(irflops.loads(content(f"changes/{name}", form)))


def name_of(end: Op | Module | None) -> str | None:
    return None if end is None else end.path if isinstance(end, Module) else re.sub(r"-\d+$", "", end.name)


def found(diff: Diff, phase: Phase | None = Phase.FORWARD) -> Counter[tuple[str, str | None, str | None]]:
    """Kinds and names of the edits, without counters, and without those of parameters that a printed graph alone declares.

    With a phase, of operators of no other.
    """
    return Counter(
        (edit.kind, name_of(edit.old), name_of(edit.new))
        for edit in diff.edits
        if not edit.detail.get("unused")
        and (phase is None or not isinstance(end := edit.new or edit.old, Op) or end.phase is phase or end.type in ("input", "output"))
    )


INPUT = ("input_changed", "_Inference_0_input.0.0_2", "_Inference_0_input.0.0_2")
OUTPUT = ("output_changed", "_Inference_0_output.0.0_2", "_Inference_0_output.0.0_2")
CONV = "model.blocks.0.conv"
MIDDLE = "model.blocks.1"


def both(kind: str, name: str) -> tuple[str, str, str]:
    return kind, name, name


CHANGES: dict[str, tuple[str, set[tuple[str, str | None, str | None]]]] = {
    "cnn_scaled_input": ("cnn", {("op_added", None, "model-scalar_mul")}),
    "cnn_without_middle": (
        "cnn",
        {
            *(("op_removed", f"{MIDDLE}{name}", None) for name in (".conv-conv2d", ".norm-normalization", "-relu", "-add_n")),
            *(("param_removed", f"{MIDDLE}.norm.{name}", None) for name in ("weight", "bias", "running_mean", "running_var")),
            ("param_removed", f"{MIDDLE}.conv.weight", None),
            *(("module_removed", f"{MIDDLE}{name}", None) for name in ("", ".conv", ".norm")),
            ("module_renamed", "model.blocks.2", "model.blocks.1"),
            ("module_renamed", "model.blocks.3", "model.blocks.2"),
        },
    ),
    "cnn_gelu": ("cnn", {("op_retyped", "model.blocks.2.activation-relu", "model.blocks.2.activation-gelu")}),
    "cnn_larger_kernel": ("cnn", {both("attr_changed", f"{CONV}-conv2d"), both("param_resized", f"{CONV}.weight")}),
    "cnn_bias": ("cnn", {("op_added", None, f"{CONV}-bias_add"), ("param_added", None, f"{CONV}.bias")}),
    "cnn_wider_head": ("cnn", {both("param_resized", f"model.head.{name}") for name in ("weight", "bias")} | {OUTPUT}),
    "cnn_narrower_stem": (
        "cnn",
        {both("param_resized", f"model.norm.{name}") for name in ("weight", "bias", "running_mean", "running_var")}
        | {both("param_resized", "model.stem.weight"), both("param_resized", f"{CONV}.weight")},
    ),
    "cnn_batch": ("cnn", {INPUT, OUTPUT}),
    "cnn_size": ("cnn", {INPUT}),
    "cnn_train_frozen": ("cnn_train", {both("param_frozen", "model.stem.weight")}),
    "cnn_train_gelu": ("cnn_train", {("op_retyped", "model.blocks.2.activation-relu", "model.blocks.2.activation-gelu")}),
    "gpt_tied": ("gpt", {("param_tied", "model.head.weight", None)}),
    "gpt_train_tied": ("gpt_train", {("param_tied", "model.head.weight", None)}),
}
"""What each change is of, and what of it the diff shows forward."""

BEHIND = {
    "cnn_train_frozen": {"op_removed": 2, "param_removed": 1},
    "cnn_train_gelu": {"op_retyped": 1},
    "gpt_train_tied": {"op_added": 1, "op_removed": 1, "param_removed": 1},
}
"""What comes with it in the backward pass and the optimizer, where both forms have those."""


@pytest.mark.parametrize(("old_form", "new_form"), list(product(FORMS, FORMS)))
@pytest.mark.parametrize("name", CHANGES)
def test_known_change_and_no_other(name: str, old_form: str, new_form: str) -> None:
    base, expected = CHANGES[name]
    diff = diff_analyses(analysis(base, old_form), analysis(name, new_form))
    assert found(diff) == Counter(dict.fromkeys(expected, 1))
    behind = found(diff, None) - found(diff)
    if "fwd.prototxt" not in (old_form, new_form):
        assert Counter(kind for kind, _, _ in behind.elements()) == BEHIND.get(name, {})


@pytest.mark.parametrize(("old_form", "new_form"), list(product(FORMS, FORMS)))
def test_added_block_is_all_there_is(old_form: str, new_form: str) -> None:
    diff = diff_analyses(analysis("gpt", old_form), analysis("gpt_block_added", new_form))
    assert {edit.kind for edit in diff.edits} == {"op_added", "param_added", "module_added"}
    assert {name_of(edit.new) for edit in diff.edits if edit.kind == "module_added"} >= {"model.blocks.1", "model.blocks.1.qkv"}
    assert all(str(name_of(edit.new)).startswith("model.blocks.1") for edit in diff.edits)


@pytest.mark.parametrize("name", SAME)
def test_no_edit_between_forms_of_one_graph(name: str) -> None:
    analyses = [irflops.analyze(irflops.loads(content(name, form))) for form in FORMS]
    for one, other in product(analyses, analyses):
        assert diff_analyses(one, other).edits == ()


def test_forms_that_lack_something_say_so() -> None:
    diff = diff_analyses(analysis("cnn", "repr.txt"), analysis("cnn", "fwd.prototxt"))
    assert [text.partition(":")[0] for text in diff.not_compared][:2] == ["attributes", "sbp"]
    assert diff_analyses(analysis("cnn", "job.pb"), analysis("cnn", "job.pb")).not_compared == ()


def test_costs_of_edits_and_what_follows_are_the_whole_change() -> None:
    diff = diff_analyses(analysis("cnn", "job.pb"), analysis("cnn_narrower_stem", "job.pb"))
    rest = difference(diff.new.total, diff.old.total)
    for edit in diff.edits:
        rest = difference(rest, edit.cost)
    assert rest.figures == diff.follows.figures
    assert sum(edit.cost.get("macs") for edit in diff.edits) == diff.new.total.get("macs") - diff.old.total.get("macs")


def test_cost_of_an_edit_is_that_of_its_operator() -> None:
    """A bias of 12 channels is added on 2 images of 8 x 8: 1,536 additions, 12 params of 4 bytes."""
    diff = diff_analyses(analysis("cnn", "job.pb"), analysis("cnn_bias", "job.pb"))
    by_kind = {edit.kind: edit.cost for edit in diff.edits}
    assert (by_kind["op_added"].get("macs"), by_kind["op_added"].get("flops")) == (0, 2 * 12 * 8 * 8)
    assert (sum(by_kind["param_added"].params), sum(by_kind["param_added"].param_bytes)) == (12, 48)


def test_equal_changes_share_a_group() -> None:
    text = gzip.decompress((FIXTURES / "resnet18.repr.txt.gz").read_bytes()).decode()
    swapped = re.sub(r"(model\.layer\d\.\d\.relu)-relu-(\d+)(?=[(/])", r"\1-tanh-\2", text)
    assert swapped != text
    diff = diff_analyses(*(irflops.analyze(irflops.loads(form)) for form in (text, swapped)))
    assert {edit.kind for edit in diff.edits} == {"op_retyped"}
    (together,) = folded(diff.edits)
    assert (together.times, together.place) == (len(diff.edits), "model.layer*.*.relu")
    assert len(folded(diff.edits, full=True)) == len(diff.edits) > 8


def test_places_have_levels_in_common() -> None:
    assert common_place(["", ""]) == ""
    assert common_place(["m.a.0", "m.b.0"]) == "m.*.0"


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("macs>+1%", True),
        ("macs > 40%", False),
        ("macs>=+43.5%", False),
        ("flops>+1e2", True),
        ("flops>+1e9", False),
        ("params.trainable>0", True),
        ("params.frozen>0", False),
        ("macs<-1%", False),
        ("structure", True),
    ],
)
def test_conditions(text: str, holds: bool) -> None:
    """The kernel of one convolution grows from 3 x 3 to 5 x 5."""
    diff = diff_analyses(analysis("cnn", "job.pb"), analysis("cnn_larger_kernel", "job.pb"))
    assert condition(text).judge(diff).holds is holds


@pytest.mark.parametrize(("text", "hint"), [("macs", "write macs>"), ("mac>1%", "did you mean macs?"), ("nonsense>1", "costs: macs")])
def test_what_is_no_condition(text: str, hint: str) -> None:
    with pytest.raises(IrflopsError, match=r"condition|no cost") as caught:
        condition(text)
    assert hint in str(caught.value)


def path(name: str, form: str = "job.pb") -> str:
    return str(FIXTURES / "changes" / f"{name}.{form}.gz")


def run(*arguments: str) -> Result:
    return run_command("diff", *arguments)


@pytest.mark.parametrize("format_", ["table", "json", "markdown", "github"])
def test_exit_code_says_whether_anything_changed(format_: str) -> None:
    assert run(path("cnn"), path("cnn", "repr.txt"), "--format", format_).exit_code == 0
    assert run(path("cnn"), path("cnn_bias", "repr.txt"), "--format", format_).exit_code == 1


@pytest.mark.parametrize(("conditions", "code"), [(["macs>+1%"], 0), (["structure"], 1), (["macs>+1%", "params.trainable>0"], 1)])
def test_with_conditions_only_they_fail(conditions: list[str], code: int) -> None:
    arguments = [word for text in conditions for word in ("--fail-on", text)]
    assert run(path("cnn"), path("cnn_bias"), *arguments).exit_code == code


@pytest.mark.parametrize("arguments", [["--fail-on", "mac>1"], ["--ignore", "everything"], ["--only", "names"], ["--graph-new", "nobody"]])
def test_bad_usage(arguments: list[str]) -> None:
    assert run(path("cnn"), path("cnn"), *arguments).exit_code == 2


def document(*arguments: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(run(*arguments, "--format", "json").stdout)
    return read


SCHEMA: dict[str, Any] = json.loads((Path(irflops.__file__).parent / "data/schemas/diff.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", [*CHANGES, "gpt_block_added"])
def test_json_is_as_the_schema_says(name: str) -> None:
    base = CHANGES.get(name, ("gpt", set()))[0]
    read = document(path(base), path(name, "repr.txt"))
    jsonschema.validate(read, SCHEMA, cls=jsonschema.Draft202012Validator)
    parts: Counter[str] = Counter()
    for edit in read["edits"]:
        parts.update(edit["cost"])
    parts.update(read["follows"])
    assert all(sides["new"] - sides["old"] == parts[cost] for cost, sides in read["costs"].items() if cost != "declared_params")
    assert all(" in " in edit["reading"] for edit in read["edits"])


def test_parts_of_the_json_can_be_asked_for_alone() -> None:
    assert "edits" not in document(path("cnn"), path("cnn_bias"), "--only", "costs")
    structure = document(path("cnn"), path("cnn_bias"), "--only", "structure")
    assert "costs" not in structure
    assert structure["edits"]


def test_ignored_kinds_are_no_edits() -> None:
    text = gzip.decompress((FIXTURES / "resnet18.repr.txt.gz").read_bytes()).decode()
    renamed = re.sub(r"(?<=[:(\[ ])(_?)model(?=[.:(_-])", r"\1net", text)
    old, new = (irflops.loads(form) for form in (text, renamed))
    assert [edit.kind for edit in irflops.diff(old, new).edits] == ["module_renamed"]
    assert irflops.diff(old, new, ignore=["renames"]).edits == ()


def test_python_takes_paths_graphs_and_analyses() -> None:
    graph = irflops.load(path("cnn_bias"))
    for old, new in ((path("cnn"), path("cnn_bias")), (irflops.load(path("cnn")), irflops.analyze(graph))):
        diff = irflops.diff(old, new)
        assert [edit.kind for edit in diff.edits] == ["op_added", "param_added"]
        assert diff.to_dict()["schema"] == "irflops.diff/1"


def scans(*axes: int) -> str:
    """A chain of running sums over these axes."""
    ops = [X]
    last = "x/out"
    for number, axis in enumerate(axes):
        axis_ = f'attr {{ key: "dim" value {{ at_int64: {axis} }} }}'
        ops.append(user(f"m-cumsum-{number}", "cumsum", f"x={last} out=m-cumsum-{number}/y_0", axis_).replace('key: "out"', 'key: "y"'))
        last = f"m-cumsum-{number}/y_0"
    return job(*ops)


@pytest.mark.parametrize(
    ("old", "new", "gone"),
    [
        ((-1, -3), (-3,), "m-cumsum-0"),
        ((-1, -2), (-2,), "m-cumsum-0"),
        ((-1, -2), (-1,), "m-cumsum-1"),
        ((-2, -1), (-1,), "m-cumsum-0"),
        ((-1, -2, -1), (-2, -1), "m-cumsum-0"),
        ((-2, -2, -1, -2), (-2, -2, -2), "m-cumsum-2"),
    ],
)
def test_the_operator_that_went_is_named_though_another_has_an_attribute_of_its_hash(
    old: tuple[int, ...], new: tuple[int, ...], gone: str
) -> None:
    """In CPython hash(-1) == hash(-2)."""

    def name(end: Op | Module | None) -> str | None:
        return end.name if isinstance(end, Op) else None

    sides = [irflops.loads(scans(*axes)) for axes in (old, new)]
    assert [(edit.kind, name(edit.old)) for edit in irflops.diff(*sides).edits] == [("op_removed", gone)]
    assert [(edit.kind, name(edit.new)) for edit in irflops.diff(*sides[::-1]).edits] == [("op_added", gone)]


@pytest.mark.parametrize(
    ("old", "new", "is_change"), [("-0.0", "0.0", True), ("nan", "nan", False), ("-1.0", "-2.0", True), ("1e0", "1", False)]
)
def test_attributes_are_compared_as_they_are_written(old: str, new: str, is_change: bool) -> None:
    def filled(value: str) -> str:
        shape = 'attr { key: "shape" value { at_shape { dim: 2 dim: 8 } } } attr { key: "dtype" value { at_data_type: kFloat } } '
        fill = (
            f'attr {{ key: "floating_value" value {{ at_double: {value} }} }} attr {{ key: "is_floating_value" value {{ at_bool: true }} }}'
        )
        return job(user("m-constant-0", "constant", "out=m-constant-0/out_0", shape + fill))

    diff = irflops.diff(*(irflops.loads(filled(value)) for value in (old, new)))
    assert [edit.kind for edit in diff.edits] == (["attr_changed"] if is_change else [])


def test_edits_are_the_same_in_every_run_of_python() -> None:
    """Whatever the hashes of strings are."""
    command = [sys.executable, "-m", "irflops", "diff", path("cnn"), path("cnn_without_middle", "mlir"), "--format", "json"]
    runs = [subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed}, check=False) for seed in "123"]
    assert [(run.returncode, run.stdout) for run in runs] == [(1, runs[0].stdout)] * 3


def test_every_kind_has_an_opposite_or_is_its_own() -> None:
    assert all(REVERSE[REVERSE[kind]] == kind for kind in REVERSE)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", [*CHANGES, "gpt_block_added"])
def test_tables_fit_a_terminal(name: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    base = CHANGES.get(name, ("gpt", set()))[0]
    lines = run(path(base), path(name)).stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(("Totals", "What changed")))
    assert max(map(len, lines[start:])) <= width
    assert not [line for line in lines if "…" in line]


def shown(write: Callable[..., Result], *arguments: str) -> str:
    return write(*arguments).stdout


def test_waterfall_adds_up_as_it_is_printed() -> None:
    text = shown(run, path("cnn"), path("cnn_without_middle"), "--format", "markdown", "--full")
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in text.split("## Where the change")[1].splitlines()]
    params = [row[2].replace(",", "") for row in rows if len(row) == 4 and row[0] not in ("step", "---")]
    assert int(params[0]) + sum(int(cell) for cell in params[1:-1] if cell) == int(params[-1])
