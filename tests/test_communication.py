"""What devices send one another: which edges are transfers, how they sum, and why they are made."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from commands import run

import irflops
from irflops.analysis.analysis import Analysis
from irflops.devices.nodes import Nodes
from irflops.ir.graph import Op, Placement, Role
from irflops.readers.meaning.placement import placement_of_devices
from irflops.readers.notation.sketch import sketch
from irflops.report.communication import BY

ROOT = Path(__file__).resolve().parent.parent
MESH = ROOT / "fixtures" / "changes" / "gpt_tiny_dp2tp2.repr.txt.gz"


def analysis(text: str) -> Analysis:
    return irflops.analyze(sketch(text).graph)


def test_mesh_of_a_training_step() -> None:
    """Bytes by kind of boxing as published with the graph: 128,265,280 in all."""
    found = irflops.analyze(MESH).communication
    assert (found.total_bytes, found.certainty, len(found.transfers)) == (128_265_280, "exact", 288)
    kinds = {f"{'/'.join(made)} -> {'/'.join(wanted)}": (sent.count, sent.bytes) for (made, wanted), sent in found.by_kind.items()}
    assert kinds["S(0)/P -> S(0)/S(2)"] == (34, 24_117_248)
    assert kinds["P/P -> B/B"] == (20, 8_331_328)
    assert kinds["B/B -> B/P"] == (8, 0)
    assert len(kinds) == 32


@pytest.mark.parametrize("name", ["by_collective", "by_kind", "by_phase", "by_module", "by_cause"])
def test_sums_add_up(name: str) -> None:
    found = irflops.analyze(MESH).communication
    sums = getattr(found, name).values()
    assert sum(sent.bytes for sent in sums) == found.total_bytes
    assert all(sent.reach.inside + sent.reach.across == sent.bytes for sent in sums)


def test_one_transfer_serves_all_that_want_a_tensor_alike() -> None:
    """64 bytes to be gathered on 2 devices, by two consumers: each device lacks 32."""
    found = analysis("""
        x = input() -> out: f32[4,4] @ 2 (S(0))
        y = relu(x: x{B}) -> y: f32[4,4] @ 2 (B)
        z = negative(x: x{B}) -> y: f32[4,4] @ 2 (B)
        v = exp(x: x{S(1)}) -> y: f32[4,4] @ 2 (S(1))
    """).communication
    assert [(one.move.collective, one.move.bytes, len(one.consumers), one.move.group) for one in found.transfers] == [
        ("all-gather", 64, 2, 2),
        ("all-to-all", 32, 1, 2),
    ]
    assert [one.move.bytes_per_device for one in found.transfers] == [32, 16]


CAUSES = """
training
x = input() -> out: f32[8,16] @ 2x2 (S(0),B)
w = variable() -> out: f32[16,16] @ 2x2 (S(0),S(1))
k = variable() -> out: f32[16,16] @ 2x2 (B,S(0))
h = matmul(a: x{S(0),B}, b: w{B,S(1)}) -> out: f32[8,16] @ 2x2 (S(0),S(1))
a = relu(x: h{S(0),S(1)}) -> y: f32[8,16] @ 2x2 (S(0),S(1))
y = matmul(a: a{S(0),S(1)}, b: k{B,S(0)}) -> out: f32[8,16] @ 2x2 (S(0),P)
z = gelu(in: y{S(0),B}) -> out: f32[8,16] @ 2x2 (S(0),B)
q = softmax(in: z{S(0),S(1)}) -> out: f32[8,16] @ 2x2 (S(0),S(1))
loss = reduce_sum(input_tensor: q{B,B}) -> output_tensor: f32[1] @ 2x2 (B,B)
seed = ones_like(like: loss{B,B}) -> out: f32[1] @ 2x2 (B,B)
dy = broadcast_like(x: seed{B,B}, like: y{S(0),B}) -> y: f32[8,16] @ 2x2 (S(0),B)
dk = matmul(a: a{S(0),S(1)}, b: dy{S(0),B}, transpose_a=true) -> out: f32[16,16] @ 2x2 (P,S(0))
g = scalar_mul(in: dk{B,S(0)}) -> out: f32[16,16] @ 2x2 (B,S(0))
rate = learning_rate_schedule() -> out: f32[1] @ 2x2 (B,B)
sgd_update(model: k{B,S(0)}, model_diff: g{B,S(0)}, learning_rate: rate{B,B}) -> () @ 2x2
output(in: loss{B,B}) @ 2x2
"""


def test_causes() -> None:
    """w is gathered, as under ZeRO; the product over rows of k is a partial sum; a gradient is reduced before its scale; the softmax, and
    its sum, change along the dimension by which k is split. The update gets its model as it lies.
    """
    found = analysis(CAUSES).communication
    ops = found.graph.ops
    ends = [(ops[one.producer].type, ops[one.consumer].type) for one in found.transfers]
    assert list(zip(ends, [one.move.collective for one in found.transfers], [cause.value for cause in found.causes], strict=True)) == [
        (("variable", "matmul"), "all-gather", "sharded optimizer"),
        (("matmul", "gelu"), "all-reduce", "tensor parallel"),
        (("gelu", "softmax"), "slice", "tensor parallel"),
        (("softmax", "reduce_sum"), "all-gather", "tensor parallel"),
        (("matmul", "scalar_mul"), "all-reduce", "gradient all-reduce"),
    ]


@pytest.mark.parametrize("name", ["gpt_micro_zero1", "gpt_micro_pp2dp2"])
def test_print_and_job_agree_but_for_the_learning_rate(name: str) -> None:
    """A print does not say where the learning rate is made: 4 bytes to each device."""
    printed, job = (irflops.analyze(ROOT / "fixtures" / "corpus" / f"{name}.{form}.gz").communication for form in ("repr.txt", "job.pb"))
    assert job.total_bytes is not None
    assert printed.total_bytes == job.total_bytes - 4 * 4
    sharded = printed.by_cause.get("sharded optimizer")
    assert (sharded is None) == (name == "gpt_micro_pp2dp2")


def test_runs_of_a_transfer_are_those_of_the_end_that_runs_less_often() -> None:
    """A weight of 64 x 16 floats is gathered once, the activations of 4 micro-batches of 2 x 16 floats each time."""
    found = analysis("""
        x = input() -> out: f32[8,16] @ 2 (S(0))
        u = unpack(in: x{S(0)}, unpack_num=4) -> out: f32[2,16] @ 2 (S(0))
        a = relu(x: u{B}) -> y: f32[2,16] @ 2 (B)
        p = pack(in: a{B}, pack_num=4) -> out: f32[8,16] @ 2 (B)
        output(in: p{B}) @ 2
    """).communication
    assert [(one.move.runs, one.move.bytes) for one in found.transfers] == [(4, 4 * 2 * 16 * 4)]


def replaced(text: str, places: dict[str, Placement], roles: dict[str, Role]) -> irflops.Analysis:
    """A sketch with other placements, and roles of operators by type."""
    graph = sketch(text).graph

    def moved(op: Op) -> Op:
        return replace(op, placement=places.get(op.stem, op.placement), role=roles.get(op.type or "", op.role))

    return irflops.analyze(replace(graph, ops=tuple(map(moved, graph.ops))))


STAGES = """
x = input() -> out: f32[4,4] @ 2 (S(0))
y = relu(x: x{S(0)}) -> y: f32[4,4] @ 2 (S(0))
z = negative(x: y{B}) -> y: f32[4,4] @ 2 (B)
"""


def test_other_devices_get_all_that_they_want() -> None:
    """64 bytes to each of two devices; a receiver gets 64."""
    found = replaced(STAGES, {"negative": Placement("cuda", (2, 3), (2,))}, {}).communication
    (one,) = found.transfers
    assert (one.move.collective, one.move.bytes, one.move.bytes_per_device, one.move.group, found.causes[0].value) == (
        "send/recv",
        128,
        64,
        4,
        "pipeline",
    )


def test_host_and_device_of_one_rank_copy() -> None:
    found = replaced(STAGES.replace("{B}", "{S(0)}"), {"negative": Placement("cpu", (0, 1), (2,))}, {}).communication
    assert [(one.move.collective, one.move.bytes) for one in found.transfers] == [("copy", 0)]


@pytest.mark.parametrize("mesh", [((2, 1)), ((1, 2))])
def test_between_meshes_of_other_rank_nothing_is_counted(mesh: tuple[int, ...]) -> None:
    text = STAGES.replace("z = negative(x: y{B}) -> y: f32[4,4] @ 2 (B)", "z = negative(x: y{B,B}) -> y: f32[4,4] @ 2x1 (B,B)")
    found = replaced(text, {"negative": Placement("cuda", (2, 3), mesh)}, {}).communication
    assert (found.total_bytes, found.certainty, len(found.not_counted)) == (0, "exact", 1)


def test_boxing_identities_are_looked_through() -> None:
    text = STAGES.replace("y{B}", "y{S(1)}").replace("@ 2 (B)", "@ 2 (S(1))") + "v = exp(x: z{B}) -> y: f32[4,4] @ 2 (B)\n"
    found = replaced(text, {}, {"negative": Role.BOXING}).communication
    ops = found.graph.ops
    assert [(ops[one.producer].type, ops[one.consumer].type, one.move.collective) for one in found.transfers] == [
        ("relu", "exp", "all-gather")
    ]


def test_collective_in_the_graph_is_the_transfer() -> None:
    """What is implicit on a CPU and explicit on a GPU is the same transfer, between the same ends."""
    text = STAGES.replace("y{B}", "y{S(0)}") + "v = exp(x: z{B}) -> y: f32[4,4] @ 2 (B)\n"
    explicit = replaced(text, {}, {"negative": Role.COLLECTIVE}).communication
    implicit = analysis(STAGES.replace("negative", "exp")).communication
    rows = [
        [(c.graph.ops[t.producer].type, c.graph.ops[t.consumer].type, t.move.collective, t.move.bytes) for t in c.transfers]
        for c in (explicit, implicit)
    ]
    assert rows[0] == rows[1] == [("relu", "exp", "all-gather", 64)]


def test_form_without_how_operands_are_wanted_tells_nothing() -> None:
    found = analysis("pruned\n" + STAGES)
    row = found.to_dict()
    assert (row["communication"]["total_bytes"], row["totals"]["communication_bytes"]) == (None, None)
    assert row["totals"]["certainty_by"]["communication_bytes"] == "lower_bound"
    assert [note["code"] for note in row["communication"]["notes"]] == ["communication-untold"]


def test_size_that_is_not_known_makes_a_lower_bound() -> None:
    found = analysis(STAGES.replace("f32[4,4] @ 2 (S(0))\nz", "f32[?,4] @ 2 (S(0))\nz").replace("relu(x: x{S(0)})", "mystery(x: x{S(0)})"))
    assert (found.communication.total_bytes, found.communication.certainty) == (0, "lower_bound")


# ------------------------------------------------------------------ nodes


def test_nodes_come_from_device_names() -> None:
    """Two machines of two devices, by rank and by machine."""
    by_rank = placement_of_devices("cuda", ["@0:0", "@1:1", "@2:0", "@3:1"], ())
    by_machine = placement_of_devices("cuda", ["0:0-1", "1:0-1"], ())
    assert by_rank == by_machine
    assert [Nodes().of(placement) for placement in (by_rank, by_machine) if placement is not None] == [(0, 0, 2, 2), (0, 0, 1, 1)]


@pytest.mark.parametrize(("devices", "nodes"), [(8, 2), (12, 3), (8, 8), (8, 1)])
def test_two_levels_of_a_collective(devices: int, nodes: int) -> None:
    """Per device, of S bytes and g devices a node: an all-reduce sends 2 (g-1)/g S inside and 2 (k-1)/k S/g across."""
    text = STAGES.replace("@ 2", f"@ {devices}").replace("f32[4,4]", "f32[24,24]").replace("(S(0))\nz", "(P)\nz")
    (one,) = analysis(text).communication.transfers
    g, size = devices // nodes, 24 * 24 * 4
    reach = Nodes(g).reach(one.move)
    assert reach.inside == devices * 2 * (g - 1) * size // g
    assert reach.across == devices * 2 * (nodes - 1) * size // (nodes * g)
    assert reach.inside + reach.across == one.move.bytes == 2 * (devices - 1) * size


def test_two_levels_of_an_all_to_all() -> None:
    """(g-1) S/n^2 inside and (n-g) S/n^2 across, per device."""
    text = STAGES.replace("@ 2", "@ 8").replace("f32[4,4]", "f32[16,16]").replace("{B}", "{S(1)}").replace("@ 8 (B)", "@ 8 (S(1))")
    (one,) = analysis(text).communication.transfers
    assert (Nodes(4).reach(one.move).inside, Nodes(4).reach(one.move).across) == (8 * 3 * 1024 // 64, 8 * 4 * 1024 // 64)


# ------------------------------------------------------------------ the command


def test_json_keeps_its_schema() -> None:
    schema = json.loads((ROOT / "irflops/data/schemas/comm.schema.json").read_text(encoding="utf-8"))
    whole = json.loads((ROOT / "irflops/data/schemas/analysis.schema.json").read_text(encoding="utf-8"))
    assert schema["$defs"]["communication"] == whole["$defs"]["communication"]
    found = json.loads(run("comm", str(MESH), "--format", "json").stdout)
    jsonschema.validate(found, schema, cls=jsonschema.Draft202012Validator)
    assert found["communication"]["total_bytes"] == 128_265_280
    assert found["communication"] == irflops.analyze(MESH).to_dict()["communication"]


def test_command_shows_what_sums_to_the_whole() -> None:
    out = run("comm", str(MESH)).stdout
    assert "122.3 MiB over all devices in a step, in 245 transfers" in out
    for table in ("By collective", "By cause", "By phase", "By module", "Heaviest transfers", "Not counted"):
        assert table in out
    assert "m.blocks.*.attn" in out


def test_csv_has_every_transfer() -> None:
    lines = run("comm", str(MESH), "--format", "csv").stdout.splitlines()
    assert len(lines) == 289
    assert lines[0].startswith("module,lbn,producer,consumer,from,to,collective,group,count,bytes,bytes_per_device")


@pytest.mark.parametrize(("by", "format_"), [*itertools.product(BY, ["table", "markdown"])])
def test_every_table_is_written(by: str, format_: str) -> None:
    result = run("comm", str(MESH), "--by", by, "--format", format_)
    assert (result.exit_code, bool(result.stdout)) == (0, True)


def test_one_device_sends_nothing() -> None:
    assert "0 bytes over all devices" in run("comm", str(ROOT / "fixtures" / "basic_block.repr.txt.gz")).stdout


# ------------------------------------------------------------------ a cost among the others


@pytest.mark.parametrize(("condition", "code"), [("communication_bytes>0", 1), ("communication_bytes>130MB", 0)])
def test_diff_fails_on_communication(condition: str, code: int) -> None:
    one_device = ROOT / "fixtures" / "changes" / "gpt_tiny.repr.txt.gz"
    result = run("diff", one_device, MESH, "--fail-on", condition, "--format", "json")
    found = json.loads(result.stdout)
    assert result.exit_code == code
    assert found["costs"]["communication_bytes"] == {"old": 0, "new": 128_265_280, "certainty": {"old": "exact", "new": "exact"}}


def test_condition_on_what_a_form_does_not_tell_is_undecided() -> None:
    saved = ROOT / "fixtures" / "corpus" / "gpt_micro_pp2dp2.mlir.gz"
    found = json.loads(run("diff", saved, saved, "--fail-on", "communication_bytes>1", "--format", "json").stdout)
    assert [condition["holds"] for condition in found["conditions"]] in ([False], [None])  # the same unknown on both sides may cancel
    job = ROOT / "fixtures" / "corpus" / "gpt_micro_pp2dp2.job.pb.gz"
    (condition,) = json.loads(run("diff", job, saved, "--fail-on", "communication_bytes>1", "--format", "json").stdout)["conditions"]
    assert condition["holds"] is None
    assert "how operators want their operands" in condition["why"]
