"""Times in diffs, conditions and budgets."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from commands import ROOT, run
from timed import ROUND

import irflops
from irflops.auditing.times import time_limits
from irflops.differ.times import TimeChange, time_change, time_condition
from irflops.errors import IrflopsError
from irflops.machines.time import Asked
from irflops.readers.notation.sketch import sketch

ONE = """
x = input() -> out: f16[64,1024]
w = variable() -> out: f16[1024,1024]
y = matmul(a: x, b: w) -> out: f16[64,1024]
output(in: y)
"""
TWO_NARROW = """
x = input() -> out: f16[64,1024]
w = variable() -> out: f16[1024,256]
y = matmul(a: x, b: w) -> out: f16[64,256]
v = variable() -> out: f16[256,1024]
z = matmul(a: y, b: v) -> out: f16[64,1024]
output(in: z)
"""
"""Half the FLOPs in two products: a kernel more."""


def change(old: str, new: str) -> TimeChange:
    diff = irflops.diff(irflops.analyze(sketch(old).graph), irflops.analyze(sketch(new).graph))
    return time_change(diff, Asked(ROUND))


def test_fewer_flops_and_yet_slower_is_told_with_the_reason() -> None:
    found = change(ONE, TWO_NARROW)
    # One product: 5 us and 2,359,296 bytes at 1 TB/s. Two of half the FLOPs together: 10 us and two times 688,128.
    assert found.old.estimate_s == pytest.approx(7.359296e-6)
    assert found.new.estimate_s == pytest.approx(10e-6 + 2 * 0.688128e-6)
    assert found.reasons[0] == "fewer FLOPs (-50.0%), and yet slower (+54.6%)"
    assert any("waiting for launches: 1 -> 2 kernels" in reason for reason in found.reasons)


def test_other_type_is_told_by_where_products_run() -> None:
    wide = ONE.replace("f16", "f64").replace("64,1024", "4096,1024")
    reasons = change(wide.replace("f64", "f32"), wide).reasons
    assert any("100% of products on the" in reason or "of products on the" in reason for reason in reasons)


def test_equal_graphs_have_no_reason() -> None:
    assert change(ONE, ONE).reasons == ()


@pytest.mark.parametrize(
    ("text", "holds"),
    [("estimate_s>+50%", True), ("estimate_s>+60%", False), ("estimate_s>=+4us", True), ("estimate_s<0", False), ("floor_s<-1us", True)],
)
def test_conditions(text: str, holds: bool) -> None:
    found = time_condition(text)
    assert found is not None
    assert found.judge(change(ONE, TWO_NARROW)).holds is holds


def test_condition_on_what_is_not_known_is_undecided() -> None:
    found = time_condition("estimate_s>+1%")
    assert found is not None
    verdict = found.judge(change(ONE, ONE.replace("y = matmul(a: x, b: w)", "y = mlir_jit(in: [x, w])")))
    assert verdict.holds is None
    assert verdict.fails
    assert "unknown in the new graph" in verdict.why
    assert time_condition("macs>+1%") is None
    with pytest.raises(IrflopsError, match="is no condition"):
        time_condition("estimate_s>+5 apples")


def test_diff_command_tells_times() -> None:
    old, new = (str(ROOT / "fixtures" / "corpus" / f"{name}.job.pb.gz") for name in ("resnet18", "shufflenet_v2_x0_5"))
    result = run("diff", old, new, "--machine", "a100-sxm4-80gb", "--only", "costs", "--fail-on", "estimate_s>+5%")
    assert result.exit_code == 1
    for words in ("fewer FLOPs (-97.7%), and yet slower", "waiting for launches: 69 -> 212 kernels", "estimate_s>+5% holds"):
        assert words in result.stdout
    row = json.loads(run("diff", old, new, "--machine", "a100-sxm4-80gb", "--format", "json").stdout)
    jsonschema.validate(row, json.loads(run("schema", "diff").stdout), cls=jsonschema.Draft202012Validator)
    assert row["time"]["new"]["estimate_s"] > row["time"]["old"]["estimate_s"]
    passes = run("diff", old, new, "--machine", "a100-sxm4-80gb", "--fail-on", "floor_s>+1%")
    assert passes.exit_code == 0
    needs = run("diff", old, new, "--fail-on", "floor_s>+1%")
    assert (needs.exit_code, "needs a machine" in needs.stderr) == (2, True)


def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: str) -> tuple[int, str]:
    (tmp_path / "irflops.toml").write_text(f"[audit.rules.budget]\n{budget}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    result = run("audit", str(ROOT / "fixtures" / "resnet18.repr.txt.gz"), "--select", "budget")
    return result.exit_code, result.stdout + result.stderr


def test_budget_of_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = 'machine = "t4"\n'
    assert audit(tmp_path, monkeypatch, machine + 'time = { estimate_s = "1s", floor_s = 1 }')[0] == 0
    code, words = audit(tmp_path, monkeypatch, machine + 'time = { floor_s = "100us" }')
    assert code == 1
    assert "more than its budget" in words
    assert "t4" in words


def test_budget_that_cannot_be_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "limits of time need a machine" in audit(tmp_path, monkeypatch, 'time = { floor_s = "1ms" }')[1]
    code, words = audit(tmp_path, monkeypatch, 'machine = "a101"\ntime = { floor_s = "1ms" }')
    assert code == 2
    assert "no machine 'a101'" in words
    assert "write 0.42s" in audit(tmp_path, monkeypatch, 'time = { floor_s = "1 hour" }')[1]


OWN = "[machines.mine]\nname = 'Mine'\nsource = 'measured'\nvector = { fp32 = 1e12 }\n"


def test_machines_of_the_configuration_are_those_of_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration that a command was told to read is the one whose machines it knows, in a budget and by an option alike."""
    resnet = str(ROOT / "fixtures" / "resnet18.repr.txt.gz")
    budget = '[audit.rules.budget]\nmachine = "mine"\ntime = { floor_s = "1us" }\n'
    (tmp_path / "irflops.toml").write_text(OWN + budget, encoding="utf-8")
    (tmp_path / "other.toml").write_text(budget, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for command in (("time", resnet, "--machine", "mine"), ("sweep", resnet, "--machine", "mine"), ("machines", "mine")):
        assert run(*command).exit_code == 0
        refused = run(*command, "--no-config")
        assert (refused.exit_code, "there is no machine 'mine'" in refused.stderr) == (2, True)
    found = run("audit", resnet, "--select", "budget")
    assert (found.exit_code, "mine" in found.stdout) == (1, True)
    refused = run("audit", resnet, "--select", "budget", "--config", "other.toml")
    assert (refused.exit_code, "no machine 'mine'" in refused.stderr) == (2, True)


def test_limits_are_seconds_or_texts() -> None:
    assert time_limits({"floor_s": 0.5, "estimate_s": "5ms"}) == {"floor_s": 5 * 10**11, "estimate_s": 5 * 10**9}
    for wrong in ({"floor_s": 0}, {"floor_s": True}, {"floors": 1}, 3):
        with pytest.raises(ValueError, match=r"seconds|time|limits|floors"):
            time_limits(wrong)
