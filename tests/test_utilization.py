"""MFU and HFU: by hand, of published runs from their configurations, and what is said where they cannot be."""

from __future__ import annotations

import json

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from commands import SMALL, TRAINING, run
from timed import ROUND, time_of

import irflops
from irflops.analysis.timing import timed
from irflops.errors import IrflopsError
from irflops.machines.time import Asked
from irflops.machines.utilization import utilization_of

PRODUCT = """
x = input() -> out: f32[1000,1000]
w = variable() -> out: f32[1000,1000]
y = matmul(a: x, b: w) -> out: f32[1000,1000]
output(in: y)
"""
"""2 GFLOPs."""


def test_forward_graph_by_hand() -> None:
    used = utilization_of(time_of(PRODUCT, tf32=False), 1e-3)
    assert used.mfu == pytest.approx(2e9 / 10e12 / 1e-3)
    assert used.hfu == used.mfu
    assert dict(used.flops) == {"fp32": 2 * 10**9}
    assert dict(utilization_of(time_of(PRODUCT), 1e-3).flops) == {"tf32": 2 * 10**9}


def test_peak_is_the_printed_one_whatever_the_efficiency() -> None:
    assert utilization_of(time_of(PRODUCT, efficiency=0.5), 1e-3).mfu == utilization_of(time_of(PRODUCT), 1e-3).mfu


def test_recomputation_is_in_hfu_alone_and_the_optimizer_in_neither() -> None:
    analysis = irflops.analyze("fixtures/cnn_checkpoint.repr.txt.gz")
    used = utilization_of(timed(analysis, Asked(ROUND)), 1.0)
    again = analysis.phases["recompute"].get("macs")
    assert again > 0
    assert used.hfu is not None
    assert used.hfu - used.mfu == pytest.approx(2 * again / 50e12)
    model = analysis.phases["forward"].get("macs") + analysis.phases["backward"].get("macs")
    assert used.mfu == pytest.approx(2 * model / 50e12)


def test_more_than_the_peak_names_what_is_likely_wrong() -> None:
    with pytest.raises(IrflopsError, match="MFU would be") as error:
        utilization_of(time_of(PRODUCT), 30e-6)  # 2 GFLOPs at 50 TFLOP/s are 40 us, at 100 TFLOP/s 20
    assert error.value.hint is not None
    assert "--dtype float16" in error.value.hint
    with pytest.raises(IrflopsError, match="MFU would be") as error:
        utilization_of(time_of(PRODUCT), 1e-9)
    assert error.value.hint is not None
    assert "batch" in error.value.hint


def test_no_rate_no_utilization() -> None:
    with pytest.raises(IrflopsError, match="round lists no rate for contractions in bf16"):
        utilization_of(time_of(PRODUCT.replace("f32", "bf16")), 1.0)


# ------------------------------------------------------------------ the commands


def test_json_keeps_its_schema() -> None:
    for command, name in (("analyze", "analysis"), ("time", "time")):
        result = run(command, TRAINING, "--machine", "v100-sxm2-16gb", "--step-time", "1s", "--format", "json")
        assert result.exit_code == 0, result.stderr
        row = json.loads(result.stdout)
        schema = json.loads(run("schema", name).stdout)
        jsonschema.validate(row, schema, cls=jsonschema.Draft202012Validator)
        assert row["time"]["machine"] == "v100-sxm2-16gb"
        assert 0 < row["utilization"]["mfu"] < 1
        assert row["time"]["memory"]["fits"] is True


def test_report_and_tables() -> None:
    whole = run("time", TRAINING, "--machine", "a100-sxm4-80gb", "--step-time", "1s")
    assert whole.exit_code == 0, whole.stderr
    for part in ("floor", "estimate", "samples/s", "energy", "utilization  MFU", "memory", "Time above the floor", "tf32"):
        assert part in whole.stdout
    head = run("time", TRAINING, "--machine", "a100-sxm4-80gb", "--by", "op", "--format", "csv").stdout.splitlines()[0]
    assert head.startswith("name,type,bound,estimate_ps,floor_ps,wasted_ps,")
    facts = run("analyze", SMALL, "--machine", "t4").stdout
    assert "NVIDIA T4 16 GB" in facts
    markdown = run("time", TRAINING, "--machine", "t4", "--format", "markdown")
    assert markdown.exit_code == 0
    assert "| phase" in markdown.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["time", SMALL], "--machine NAME"),
        (["time", SMALL, "--machine", "no-such-machine"], "there is no machine 'no-such-machine'"),
        (["analyze", SMALL, "--machine", "no-such-machine"], "there is no machine 'no-such-machine'"),
        (["analyze", SMALL, "--step-time", "1s"], "--step-time needs a machine"),
        (["analyze", SMALL, "--no-tf32"], "--no-tf32 needs a machine"),
        (["analyze", SMALL, "--machine", "t4", "--by", "op"], "irflops time has tables"),
        (["analyze", SMALL, TRAINING, "--machine", "t4"], "--machine is for one PATH"),
        (["time", SMALL, "--machine", "t4", "--step-time", "5"], "'5' is no time"),
        (["time", SMALL, "--machine", "t4", "--step-time", "0s"], "'0s' is no time"),
        (["time", SMALL, "--machine", "t4", "--step-time", "1ns"], "MFU would be"),
        (["time", SMALL, "--machine", "t4", "--network", "ib"], "there is no network 'ib'"),
        (["time", SMALL, "--machine", "t4", "--efficiency", "0"], "efficiency"),
        (["time", SMALL, "--machine", "t4", "--machine-file", "no/such.toml"], "cannot read"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_bad_usage(args: list[str], message: str) -> None:
    result = run(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_rate_that_a_machine_lacks_is_named() -> None:
    result = run("analyze", SMALL, "--machine", "v100-sxm2-16gb", "--dtype", "bfloat16")
    assert result.exit_code == 0
    assert "v100-sxm2-16gb lists no rate for contractions in bf16 (bfloat16)" in " ".join(result.stdout.split())
    row = json.loads(run("analyze", SMALL, "--machine", "v100-sxm2-16gb", "--dtype", "bfloat16", "--format", "json").stdout)["time"]
    assert (row["floor_s"], row["estimate_s"]) == (None, None)
