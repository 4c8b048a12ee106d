"""Sweeps, rooflines, and this computer as a machine."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from commands import ROOT, SMALL, TRAINING, run
from timed import BOOSTED, ROUND, time_of

import irflops
from irflops.analysis.sweeping import Row, Variant, judged
from irflops.analysis.timing import graphed_of, timed
from irflops.errors import IrflopsError
from irflops.machines import measure
from irflops.machines.known import machine_called, machines_of_file, own_machines
from irflops.machines.sweep import sweep
from irflops.machines.time import Asked
from irflops.report.roofline import draw, plot, roofline_of


@pytest.mark.parametrize("fixture", ["basic_block", "cnn_accumulate", "cnn_checkpoint", "mlp_train", "functional_pool"])
@pytest.mark.parametrize("dtype", [None, "bfloat16"])
def test_many_machines_at_once_are_each_as_by_itself(fixture: str, dtype: str | None) -> None:
    analysis = irflops.analyze(f"fixtures/{fixture}.repr.txt.gz", dtype=dtype)
    machines = [*own_machines(), ROUND, BOOSTED, replace(ROUND, memory_bandwidth=None)]
    for found in sweep(graphed_of(analysis), machines, efficiency=0.7):
        time = timed(analysis, Asked(found.machine, efficiency=0.7))
        assert found.floor_s == (None if time.floor_s is None else pytest.approx(time.floor_s))
        assert found.estimate_s == (None if time.estimate_s is None else pytest.approx(time.estimate_s))
        if time.estimate_s is not None:
            assert found.by_bound == pytest.approx(dict(time.by_bound))
        assert (found.why is None) == (time.no_estimate is None)


def test_best_has_most_samples_and_others_say_what_they_lose_by() -> None:
    def row(machine: str, samples: int, by_bound: dict[str, float]) -> Row:
        return Row(machine, Variant(samples, None, None), samples, 1, 0.1, sum(by_bound.values()), by_bound)

    rows = judged(
        [
            row("slow", 10, {"memory": 3.0, "launch": 1.0}),
            row("fast", 20, {"memory": 1.0, "launch": 1.0}),
            Row("x", Variant(1, None, None), why="no rate"),
        ]
    )
    assert [one.best for one in rows] == [False, True, False]
    assert [one.why for one in rows] == ["4.00x a sample: memory", None, "no rate"]


def test_command_gives_a_row_each() -> None:
    result = run("sweep", SMALL, "--machine", "t4,v100-sxm2-16gb", "--batch", "1,8", "--dtype", "float32,bfloat16", "--format", "json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    jsonschema.validate(found, json.loads(run("schema", "sweep").stdout), cls=jsonschema.Draft202012Validator)
    assert len(found["rows"]) == 8
    assert sum(row["best"] for row in found["rows"]) == 1
    assert all("lists no rate" in row["why"] for row in found["rows"] if row["dtype"] == "bfloat16")
    table = run("sweep", SMALL, "--machine", "t4,a100-sxm4-80gb").stdout
    assert "a100-sxm4-80gb" in table
    assert run("sweep", SMALL, "--machine", "t4", "--format", "csv").stdout.startswith("best,machine,batch,dtype,mesh,floor_ps,")


def test_mesh_takes_each_machine_by_itself() -> None:
    path = str(ROOT / "fixtures" / "corpus" / "gpt_micro_zero1.job.pb.gz")
    rows = json.loads(run("sweep", path, "--machine", "a100-sxm4-80gb", "--mesh", "2,4", "--format", "json").stdout)["rows"]
    assert [row["devices"] for row in rows] == [2, 4]
    assert all("communication" in row["by_bound"] for row in rows)


@pytest.mark.parametrize(
    "args",
    [
        ["--machine", "no-such"],
        ["--machine", ","],
        ["--machine", "t4", "--batch", "x"],
        ["--machine", "t4", "--batch", ",".join(map(str, range(1, 10_002)))],
        ["--machine", "t4", "--mesh", "2x"],
        [],
    ],
)
def test_bad_usage(args: list[str]) -> None:
    result = run("sweep", SMALL, *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr


def test_what_if_that_a_graph_cannot_take_is_a_row_that_says_so() -> None:
    rows = json.loads(run("sweep", TRAINING, "--machine", "t4", "--dtype", "float99,float16", "--format", "json").stdout)["rows"]
    assert rows[0]["estimate_s"] is None
    assert "float99" in rows[0]["why"]
    assert rows[1]["best"]


# ------------------------------------------------------------------ rooflines


def test_no_point_is_over_the_roof_and_all_are_drawn() -> None:
    time = timed(irflops.analyze("fixtures/resnet18.repr.txt.gz"), Asked(machine_called("v100-sxm2-16gb")))
    line = roofline_of(time)
    assert all(flops <= line.allowed(intensity) * (1 + 1e-9) for intensity, flops, _ in line.points)
    text = plot(line)
    assert text.startswith(f"Roofline of v100-sxm2-16gb: {len(line.points)} operators")
    assert "fp32 vector 15.70 TFLOP/s" in text
    assert {mark for mark in "Vol" if mark in text.split("roofs")[0]} >= {"l"}


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(IrflopsError, match="nothing to draw"):
        roofline_of(time_of("x = input() -> out: f32[4]\noutput(in: x)"))
    with pytest.raises(IrflopsError, match="no roofline"):
        roofline_of(
            time_of("x = input() -> out: f32[4]\ny = relu(x: x) -> y: f32[4]\noutput(in: y)", replace(ROUND, memory_bandwidth=None))
        )


def test_drawing_needs_matplotlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    line = roofline_of(time_of("x = input() -> out: f32[4]\ny = relu(x: x) -> y: f32[4]\noutput(in: y)"))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(IrflopsError, match="needs matplotlib"):
        draw(line, str(tmp_path / "roofline.svg"))


def test_drawing_by_matplotlib(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    line = roofline_of(time_of("x = input() -> out: f32[4]\ny = relu(x: x) -> y: f32[4]\noutput(in: y)"))
    draw(line, str(tmp_path / "roofline.svg"))
    assert (tmp_path / "roofline.svg").read_text(encoding="utf-8").lstrip().startswith("<?xml")
    with pytest.raises(IrflopsError, match="cannot write"):
        draw(line, str(tmp_path / "no" / "such.svg"))


def test_command_draws_in_characters() -> None:
    assert "Roofline of t4" in run("time", TRAINING, "--machine", "t4", "--roofline").stdout


# ------------------------------------------------------------------ this computer


def test_this_computer_is_a_machine_that_its_own_work_does_not_beat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Others may slow a measurement down, and it is then taken again; nothing speeds one up."""
    extents = (64, 96, 128, 160, 192, 224, 256, 288, 320, 384)
    monkeypatch.setattr(measure, "PRODUCTS", extents[2::2])
    path = tmp_path / "own.toml"
    fastest, bandwidth = 0.0, 0.0
    for _ in range(8):
        path.write_text(measure.measured(0.1).to_toml(), encoding="utf-8")
        (machine,) = machines_of_file(str(path))
        assert machine.kind == "cpu"
        assert machine.memory_bandwidth is not None
        fastest, bandwidth = max(fastest, machine.vector["fp64"]), max(bandwidth, machine.memory_bandwidth)
        floors, times = [], []
        for extent in extents:
            floors.append(2 * extent**3 / fastest)
            times.append(measure.product_seconds(extent, "fp64", 0.01))
        for shift in range(17, 27):
            floors.append(max(2 * (1 << shift) - machine.cache_bytes, 0) / bandwidth)
            times.append(measure.copy_seconds(1 << shift, 0.01))
        if all(time >= 0.95 * floor for floor, time in zip(floors, times, strict=True)):
            return
    if os.getloadavg()[0] > (os.cpu_count() or 1):
        pytest.skip("other programs keep this computer too busy to find its best")
    pytest.fail("products or copies stay faster than what was measured as the best")


def test_measure_takes_no_name() -> None:
    result = run("machines", "t4", "--measure")
    assert (result.exit_code, "takes neither NAME" in result.stderr) == (2, True)
