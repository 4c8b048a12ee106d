"""`memory_bytes` in conditions, budgets and diffs, and the exit codes that follow."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from commands import run

import irflops
from irflops.analysis.limits import Limit
from irflops.ir.certainty import Certainty

FOLDER = Path(__file__).parent.parent / "fixtures/memory"
TRAIN, INFER = FOLDER / "gpta_train.cuda.repr.txt.gz", FOLDER / "gpt_infer.cuda.repr.txt.gz"
PLANS = json.loads((FOLDER / "plans.json").read_text(encoding="utf-8"))


def test_a_diff_tells_where_the_peak_moved() -> None:
    found = json.loads(run("diff", INFER, TRAIN, "--fail-on", "memory_bytes>+1MiB", "--format", "json").stdout)
    totals = [PLANS[name]["cuda"]["0"]["total"] for name in ("gpt_infer", "gpta_train")]
    assert [found["costs"]["memory_bytes"][side] for side in ("old", "new")] == totals
    (condition,) = found["conditions"]
    assert condition["holds"] is True
    moved = found["peak"]["old"]["module"], found["peak"]["new"]["module"]
    assert moved[0] != moved[1]
    assert f"moved from {moved[0]} (forward) to {moved[1]} (backward)" in condition["why"]
    schema = json.loads(run("schema", "diff").stdout)
    jsonschema.validate(found, schema, cls=jsonschema.Draft202012Validator)


def test_a_plan_is_worked_out_only_where_it_is_asked_for() -> None:
    found = json.loads(run("diff", INFER, TRAIN, "--only", "costs", "--format", "json").stdout)
    assert "memory_bytes" not in found["costs"]
    assert "peak" not in found
    assert "memory_bytes" in irflops.diff(INFER, TRAIN, also=["memory_bytes"]).to_dict()["costs"]
    with pytest.raises(irflops.IrflopsError, match="on demand"):
        irflops.diff(INFER, TRAIN, also=["macs"])


def test_the_same_graph_has_the_same_peak() -> None:
    assert run("diff", TRAIN, TRAIN, "--fail-on", "memory_bytes>0").exit_code == 0


def test_another_kind_of_device_is_a_change() -> None:
    sides = FOLDER / "cnn2_adam.cudajob.pb.gz", FOLDER / "cnn2_adam.job.pb.gz"
    assert run("diff", *sides, "--ignore", "placement", "--fail-on", "memory_bytes>0").exit_code == 1
    assert run("diff", *reversed(sides), "--ignore", "placement", "--fail-on", "memory_bytes>0").exit_code == 0


@pytest.mark.parametrize(("condition", "code"), [("memory_bytes>9MiB", 1), ("memory_bytes>10MiB", 0), ("memory_bytes<1GiB", 1)])
def test_a_condition_decides_the_exit_code(condition: str, code: int) -> None:
    assert run("memory", INFER, "--fail-on", condition).exit_code == code


@pytest.mark.parametrize("condition", ["memory_bytes>", "macs>1", "memory_bytes>+10%", "memory_bytes", "memory_bytes>1parsec"])
def test_what_is_no_condition_is_refused(condition: str) -> None:
    result = run("memory", INFER, "--fail-on", condition)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("sign", "certainty", "beyond", "not_beyond"),
    [
        (">", Certainty.EXACT, True, False),
        (">", Certainty.ESTIMATE, True, False),
        (">", Certainty.LOWER_BOUND, True, None),
        ("<", Certainty.LOWER_BOUND, None, False),
        (">", Certainty.UPPER_BOUND, None, False),
        ("<", Certainty.UPPER_BOUND, True, None),
        (">", Certainty.UNBOUNDED, None, None),
    ],
)
def test_bounds_decide_what_they_can(sign: str, certainty: Certainty, beyond: bool | None, not_beyond: bool | None) -> None:
    limit = Limit("", "memory_bytes", sign, Fraction(100))
    values = (101, 99) if sign == ">" else (99, 101)
    assert [limit.judge(value, certainty).holds for value in values] == [beyond, not_beyond]


def test_an_estimate_decides_a_budget(tmp_path: Path) -> None:
    job = FOLDER / "cnn2_adam.cudajob.pb.gz"  # cuDNN decides how much memory convolutions work in
    total = PLANS["cnn2_adam"]["cuda"]["0"]["total"]
    for limit, code in ((total, 0), (total - 1, 1)):
        config = tmp_path / "irflops.toml"
        config.write_text(f"[audit.rules.budget.total]\nmemory_bytes = {limit}\n", encoding="utf-8")
        result = run("audit", job, "--config", config, "--select", "budget", "--format", "json")
        assert result.exit_code == code
        assert [finding["certainty"] for finding in json.loads(result.stdout)["findings"]] == ["likely"] * code
