"""The same graph on another mesh, and the figures of one device of a mesh."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import run

import irflops
from irflops.analysis.per_device import of_device
from irflops.errors import IrflopsError
from irflops.ir.graph import Graph
from irflops.readers.notation.sketch import sketch
from irflops.whatif import changed
from irflops.whatif.zero import zero_on

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "fixtures" / "corpus"
MESH = ROOT / "fixtures" / "changes" / "gpt_tiny_dp2tp2.repr.txt.gz"
FORMS = ("repr.txt", "job.pb")

DATA = """
x = input() -> out: f32[24,8] @ 2 (S(0))
w = variable() -> out: f32[8,8] @ 2 (B)
y = matmul(a: x{S(0)}, b: w{B}, transpose_a=false, transpose_b=false, alpha=1.0) -> out: f32[24,8] @ 2 (S(0))
z = relu(x: y{B}) -> y: f32[24,8] @ 2 (B)
output(in: z{B}) @ 2
"""


def graph(text: str) -> Graph:
    return sketch(text).graph


@pytest.mark.parametrize("devices", [1, 3, 4, 12])
def test_data_parallelism_divides_the_rows(devices: int) -> None:
    """24 rows of 8 x 8 products; a gather sends the 768 bytes to all but one device each."""
    analysis = irflops.analyze(changed(graph(DATA), mesh=(devices,)))
    (one,) = analysis.devices.classes
    assert (one.count, one.total.get("macs")) == (devices, 24 * 64 // devices)
    assert analysis.communication.total_bytes == (devices - 1) * 768
    assert analysis.total == irflops.analyze(graph(DATA)).total


def test_split_that_is_even_no_more_is_told() -> None:
    found = changed(graph(DATA), mesh=(5,))
    assert [note.code for note in found.notes] == ["what-if-mesh", "what-if-uneven"]
    assert "_g_input.0.0_0/out" in found.notes[1].text


@pytest.mark.parametrize(("size", "message"), [((2, 2), "1 dimensions, not 2"), ((0,), "at least one device"), ((1 << 21,), "more than")])
def test_mesh_that_cannot_be(size: tuple[int, ...], message: str) -> None:
    with pytest.raises(IrflopsError, match=message):
        changed(graph(DATA), mesh=size)


def test_graph_on_one_device_has_no_mesh() -> None:
    with pytest.raises(IrflopsError, match="runs on one device"):
        changed(irflops.load(ROOT / "fixtures" / "basic_block.repr.txt.gz"), mesh=(2,))


@pytest.mark.parametrize(("named", "size"), [({"data": 4}, (4, 2)), ({"tensor": 8}, (2, 8)), ({"dp": 8, "tp": 4}, (8, 4))])
def test_dimensions_have_names(named: dict[str, int], size: tuple[int, ...]) -> None:
    source = irflops.load(MESH)
    assert changed(source, mesh=named).ops == changed(source, mesh=size).ops


@pytest.mark.parametrize("form", FORMS)
def test_stages_keep_their_layers_and_get_a_mesh_each(form: str) -> None:
    before = irflops.analyze(CORPUS / f"gpt_micro_pp2dp2.{form}.gz")
    after = irflops.analyze(changed(before.graph, mesh=(4,)))
    assert [stage.intervals for stage in after.devices.stages] == [[(0, 3)], [(4, 7)]]
    assert after.devices.summed("macs") == before.devices.summed("macs")
    assert after.total == before.total


@pytest.mark.parametrize("form", FORMS)
def test_zero_decides_anew(form: str) -> None:
    """Weights of 64 x 64 over 4 have parts of 1,024 elements, the least that OneFlow's ZeRO makes; over 8 they stay whole."""
    before = irflops.load(CORPUS / f"gpt_micro_zero1.{form}.gz")
    after = changed(before, mesh=(8,))
    lies = {
        name: [str(sbp) for sbp in after.by_name[name].outputs[0].nd_sbp or ()] for name in after.by_name if name.endswith("proj.weight-m")
    }
    assert lies
    assert set(map(tuple, lies.values())) == {("B",)}
    assert [str(sbp) for sbp in after.by_name["m.blocks.0.up.weight-m"].outputs[0].nd_sbp or ()] == ["S(0)"]
    assert {len(op.placement.ranks) for op in after.ops if op.placement is not None} == {1, 8}


@pytest.mark.parametrize("form", FORMS)
def test_zero_on_the_captured_mesh_is_what_was_captured(form: str) -> None:
    for name, mesh in (("gpt_micro_zero1", (4,)), ("gpt_micro_pp2dp2", (2,))):
        source = irflops.load(CORPUS / f"{name}.{form}.gz")
        assert zero_on(source, mesh, mesh) == source.ops


# ------------------------------------------------------------------ one device


@pytest.mark.parametrize("rank", range(4))
@pytest.mark.parametrize("name", ["gpt_micro_pp2dp2", "gpt_micro_zero1"])
def test_one_device_has_the_figures_of_its_class(name: str, rank: int) -> None:
    whole = irflops.analyze(CORPUS / f"{name}.job.pb.gz")
    one, its_class = of_device(whole, rank), whole.devices.of_rank(rank)
    assert its_class is not None
    assert (one.total, one.phases) == (its_class.total, its_class.phases)
    assert one.modules[""] == one.total


def test_uneven_parts_of_a_device() -> None:
    whole = irflops.analyze(graph(DATA.replace("24,8", "5,8")))
    found = [of_device(whole, rank) for rank in (0, 1)]
    assert [one.total.get("macs") for one in found] == [3 * 64, 2 * 64]
    assert of_device(whole).total == found[0].total
    assert [one.inference.types[one.graph.ops[0].outputs[0].lbn].shape for one in found] == [(3, 8), (2, 8)]
    with pytest.raises(IrflopsError, match="no operator runs on rank 2"):
        of_device(whole, 2)


def test_command_turns_every_table_to_one_device() -> None:
    found = json.loads(run("analyze", MESH, "--per-device", "--format", "json").stdout)
    assert found["totals"]["macs"] == 1423704064
    assert found["devices"]["ranks"] == 1
    assert "per-device" in {note["code"] for note in found["notes"]}
    assert run("analyze", MESH, "--rank", "7").exit_code == 2


def test_command_takes_another_mesh() -> None:
    whole = json.loads(run("comm", MESH, "--mesh", "4x2", "--format", "json").stdout)["communication"]
    assert (
        whole["total_bytes"]
        == json.loads(run("analyze", MESH, "--mesh", "data=4", "--format", "json").stdout)["totals"]["communication_bytes"]
    )
    assert run("analyze", MESH, "--mesh", "4,2").exit_code == 2
