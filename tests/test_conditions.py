"""Conditions of a diff: three answers, and what the unknown leaves to them."""

from __future__ import annotations

import gzip
import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from commands import run as run_command

import irflops
from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.analysis.named import COMMUNICATION, NAMES, ON_DEMAND, amount, cost_of
from irflops.counting.cost import FIGURES
from irflops.differ import Diff, diff_analyses
from irflops.differ.conditions import condition
from irflops.differ.interval import Interval, exactly
from irflops.errors import IrflopsError
from irflops.ir.certainty import Certainty
from irflops.readers.notation.sketch import sketch

FIXTURES = Path(__file__).parent.parent / "fixtures"


def drawn(text: str) -> Analysis:
    return analyze_graph(sketch(text).graph)


def chain(*steps: str, shape: str = "2,8") -> Analysis:
    """Ops in a row, each on the result of the one before."""
    lines = [f"v0 = input() -> out: f32[{shape}]"]
    for n, step in enumerate(steps, 1):
        lines.append(f"v{n} = {step}({'in' if step.startswith('custom') else 'x'}: v{n - 1}) -> y: f32[{shape}]")
    return drawn("\n".join([*lines, f"output(in: v{len(steps)})"]))


def holds(old: Analysis, new: Analysis, *texts: str) -> list[bool | None]:
    diff = diff_analyses(old, new)
    return [condition(text).judge(diff).holds for text in texts]


def test_what_became_unknown_decides_nothing_that_it_may_change() -> None:
    """16 comparisons become an unknown number: it may be more than 16 and it may be less."""
    old, new = chain("relu", "relu"), chain("relu", "custom_op")
    assert holds(old, new, "flops>0", "flops<0", "macs>+1%", "structure") == [None, None, None, True]
    assert holds(old, new, "flops<-16", "params>0") == [False, False]  # 16 of 32 at the least are left
    assert holds(new, old, "flops>+16", "flops<0") == [False, None]  # 32 now, and 16 at least before


def test_an_unknown_op_in_both_cancels() -> None:
    old, new = chain("custom_op", "relu"), chain("custom_op", "relu", "relu")
    assert holds(old, new, "flops>+15", "flops>+16", "flops<0", "flops>=16") == [True, False, False, True]
    assert {diff_analyses(old, new).change.certainty(name) for name in ("macs", "flops", "bytes_read")} == {Certainty.EXACT}


def test_of_an_unknown_whole_a_part_is_unknown() -> None:
    """16 operations more than 16 and an unknown number: 100 % of them at most."""
    old, new = chain("custom_op", "relu"), chain("custom_op", "relu", "relu")
    assert holds(old, new, "flops>+100%", "flops>+10%", "flops>+0%") == [False, None, True]


def test_an_unknown_op_cancels_with_one_that_nothing_distinguishes_alone() -> None:
    old = chain("custom_op", "relu")
    for new in (chain("custom_op", "relu", shape="2,9"), chain("custom_other", "relu"), chain("custom_op", "custom_op")):
        assert holds(old, new, "flops>+1") == [None]
    assert holds(old, chain("relu"), "flops>+1", "flops<0") == [False, None]  # it went, and may have cost nothing


@pytest.mark.parametrize("name", ["flops", "bytes", "activation_bytes"])
def test_a_graph_and_itself_hold_no_condition(name: str) -> None:
    one, other = chain("custom_op", "relu"), chain("custom_op", "relu")
    assert holds(one, other, f"{name}>0", f"{name}<0", f"{name}>+1%", f"{name}<-1%", f"per_sample.{name}>+1%") == [False] * 5


def test_shapes_behind_an_unknown_op_cancel_where_nothing_upstream_changed() -> None:
    """What the unknown op makes has no shape, so the relu behind it costs an unknown number too."""
    text = "x = input() -> out: f32[2,8]\ny = custom_op(in: x) -> out: f32[?,8]\nz = relu(x: y) -> y: f32[?,8]\n{}output(in: z)"
    old = drawn(text.format(""))
    behind = drawn(text.format("u = relu(x: x) -> y: f32[2,8]\noutput(in: u)\n"))
    before = drawn(text.format("").replace("in: x", "in: u").replace("y = custom", "u = tanh(x: x) -> y: f32[2,8]\ny = custom"))
    assert holds(old, behind, "flops>+16", "flops>+15") == [False, True]
    assert holds(old, before, "flops>+16") == [None]


def test_what_forms_hide_is_unknown_unless_nothing_changed() -> None:
    def form(name: str) -> Analysis:
        return irflops.analyze(FIXTURES / "changes" / f"{name}.fwd.prototxt.gz")

    assert holds(form("cnn_train"), form("cnn_train"), "macs>0", "flops>+1%", "bytes<0") == [False] * 3
    old, new = form("cnn_train"), form("cnn_train_gelu")
    assert holds(old, new, "flops>+1%", "params.trainable>0", "params.optimizer_state>0") == [None, False, None]


def test_a_sample_is_no_dearer_in_a_larger_batch() -> None:
    old, new = chain("relu", shape="2,8"), chain("relu", shape="4,8")
    assert holds(old, new, "flops>+1%", "per_sample.flops>0", "per_sample.flops>=0") == [True, False, True]
    no_input = drawn("w = variable() -> out: f32[2,8]\ny = relu(x: w) -> y: f32[2,8]\noutput(in: y)")
    assert holds(no_input, no_input, "per_sample.flops>0") == [None]
    for one, other, side in ((no_input, old, "old"), (old, no_input, "new")):
        verdict = condition("per_sample.flops>0").judge(diff_analyses(one, other))
        assert (verdict.holds, verdict.why) == (None, f"the {side} graph has no input that tells its batch")


def test_figures_of_a_verdict_are_whole_or_have_two_places() -> None:
    """24 + 24 operations on three samples, and 8 on a parameter: 56, which is 18 2/3 a sample."""
    lines = ["x = input() -> out: f32[3,8]", "w = variable() -> out: f32[8]", "r = relu(x: w) -> y: f32[8]"]
    lines += ["y = broadcast_add(x: x, y: r) -> z: f32[3,8]", "z = relu(x: y) -> y: f32[3,8]", "output(in: z)"]
    old, new = chain("relu", shape="3,8"), drawn("\n".join(lines))
    diff = diff_analyses(old, new)
    assert condition("flops>0").judge(diff).why == "24 -> 56"
    assert condition("per_sample.flops>0").judge(diff).why == "8 -> 18.67 per sample"
    assert condition("macs>0").judge(diff).why == "0 -> 0"


def test_declared_params_are_a_cost() -> None:
    """A bias of 12 elements more; a job declares nothing."""
    sides = [irflops.analyze(FIXTURES / "changes" / f"{name}.repr.txt.gz") for name in ("cnn", "cnn_bias")]
    assert holds(sides[0], sides[1], "declared_params>11", "declared_params>12", "params>11", "params>12") == [True, False, True, False]
    assert holds(irflops.analyze(FIXTURES / "changes" / "cnn.job.pb.gz"), sides[1], "declared_params>1%") == [None]


def test_every_name_of_a_cost_is_one_everywhere() -> None:
    analysis = irflops.analyze(FIXTURES / "resnet18.repr.txt.gz")
    columns = analysis.rows("module")[0]
    for name in NAMES:
        value, sure = cost_of(analysis, name)
        assert (value is not None, sure) == (True, Certainty.EXACT)
        assert condition(f"{name}>1%").cost == name
        assert columns.get(name, value) == value
    assert cost_of(analysis, "params")[0] == cost_of(analysis, "declared_params")[0] == 11_689_512
    wish = [
        "--by",
        "module",
        "--depth",
        "0",
        "--format",
        "csv",
        "--columns",
        ",".join(name for name in NAMES if name not in (COMMUNICATION, *ON_DEMAND)),
    ]  # of no module
    shown = run_command("analyze", FIXTURES / "resnet18.repr.txt.gz", *wish)
    heads, values = (line.split(",") for line in shown.stdout.splitlines())
    assert [int(value) for value in values] == [cost_of(analysis, name)[0] for name in heads]


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("bytes>+3MiB", 3 << 20),
        ("param_bytes>2kB", 2000),
        ("macs>1.5G", 1_500_000_000),
        ("flops>-2e3", -2000),
        ("activation_bytes > 1 GiB", 1 << 30),
    ],
)
def test_amounts_have_units(text: str, limit: int) -> None:
    assert condition(text).limit == limit


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("macs>+3MiB", "write 1000000, 1e6 or 1M"),
        ("bytes>3M", "write 1048576, 1MiB or 1MB"),
        ("bytes>", "write 1048576"),
        ("per_sample.params>1%", "whatever the batch"),
        ("per_sample.mac>1%", "did you mean macs?"),
        ("param>1", "did you mean params?"),
        ("macs>%", "is no condition"),
        ("macs>1e999%", "is no condition"),
    ],
)
def test_what_is_no_condition_says_what_would_be(text: str, said: str) -> None:
    with pytest.raises(IrflopsError) as caught:
        condition(text)
    assert said in str(caught.value)


def test_an_amount_is_a_number_with_a_unit_that_its_cost_has() -> None:
    assert amount(" +2.5 MiB ", "bytes") == Fraction(5 << 19)
    for text in ("1 2", "MiB", "1EiB", "0x10", "nan"):
        with pytest.raises(ValueError, match="is no number of bytes"):
            amount(text, "bytes")


def test_intervals_hold_what_they_may() -> None:
    some = Interval(Fraction(2), None)
    assert some + exactly(3) == Interval(Fraction(5), None)
    assert some * Fraction(-2) == Interval(None, Fraction(-4))
    assert some * Fraction(0) == exactly(0)
    assert Interval(None, Fraction(1)) + some == Interval(None, None)


# Reports


@pytest.fixture(scope="module")
def custom(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """ResNet-18, and the same with convolutions of the user's own, which nothing here can count."""
    text = gzip.decompress((FIXTURES / "resnet18.repr.txt.gz").read_bytes()).decode()
    folder = tmp_path_factory.mktemp("custom")
    old, new = folder / "old.txt", folder / "new.txt"
    old.write_text(text, encoding="utf-8")
    new.write_text(re.sub(r"-conv2d-(\d+)", r"-my_conv-\1", text), encoding="utf-8")
    return str(old), str(new)


def run(*arguments: str) -> tuple[int, str]:
    found = run_command("diff", *arguments)
    return found.exit_code, found.stdout


@pytest.mark.parametrize("format_", ["table", "markdown", "github"])
def test_no_report_sells_the_unknown_as_a_saving(custom: tuple[str, str], format_: str) -> None:
    code, text = run(*custom, "--format", format_)
    assert code == 1
    sold = [line for line in text.splitlines() if re.search(r"-\d+\.\d%", line) and not line.strip("| ").startswith("conv2d")]
    assert sold == []
    assert "unknown" in text


def test_what_is_unknown_of_a_change_is_null_in_json(custom: tuple[str, str]) -> None:
    code, text = run(*custom, "--format", "json", "--fail-on", "macs>+1%", "--fail-on", "params>0")
    read: dict[str, Any] = json.loads(text)
    assert code == 1
    assert [(row["condition"], row["holds"]) for row in read["conditions"]] == [("macs>+1%", None), ("params>0", False)]
    assert "20 operators (my_conv)" in read["conditions"][0]["why"]
    assert read["costs"]["macs"]["certainty"] == {"old": "exact", "new": "lower_bound"}
    assert all(edit["cost"]["macs"] is None and edit["certainty"]["macs"] == "lower_bound" for edit in read["edits"])
    (conv,) = (row for row in read["by_type"] if row["type"] == "conv2d")
    assert "certainty" not in conv
    root = next(row for row in read["modules"] if row["path"]["new"] == "")
    assert root["certainty"]["macs"] == "lower_bound"


def test_exit_codes_of_conditions(custom: tuple[str, str]) -> None:
    old, new = custom
    assert run(old, new, "--fail-on", "macs>+1%")[0] == 1
    assert run(new, old, "--fail-on", "macs>+1%")[0] == 1
    assert run(new, new, "--fail-on", "macs>+1%")[0] == 0
    assert run(old, new, "--fail-on", "params>0")[0] == 0


def law(diff: Diff) -> None:
    """The parts of a change are no surer than it is: what no part leaves open, the total does not."""
    parts = [edit.cost for edit in diff.edits] + [diff.follows]
    for name in FIGURES:
        assert all(part.is_exact(name) for part in parts) <= diff.change.is_exact(name)


@pytest.mark.parametrize(("old", "new"), [("cnn_train", "cnn_train_gelu"), ("cnn", "cnn_bias"), ("gpt", "gpt_block_added")])
@pytest.mark.parametrize("forms", [("repr.txt", "job.pb"), ("fwd.prototxt", "fwd.prototxt"), ("mlir", "repr.txt")])
def test_the_parts_tell_what_the_total_tells(old: str, new: str, forms: tuple[str, str]) -> None:
    law(diff_analyses(*(irflops.analyze(FIXTURES / "changes" / f"{name}.{form}.gz") for name, form in zip((old, new), forms, strict=True))))
