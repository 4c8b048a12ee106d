"""Floors and estimates by hand, on a machine of round figures."""

from __future__ import annotations

from dataclasses import replace

import pytest
from timed import BOOSTED, ROUND, time_of

import irflops
from irflops.analysis.timing import timed
from irflops.errors import IrflopsError
from irflops.ir.certainty import Certainty
from irflops.machines.machine import Machine
from irflops.machines.time import Asked

LAYER = """
x = input() -> out: f32[64,1000]
w = variable() -> out: f32[1000,500]
y = matmul(a: x, b: w) -> out: f32[64,500]
r = relu(x: y) -> y: f32[64,500]
output(in: r)
"""
"""64 x 500 sums of 1,000 products: 64 M FLOPs; a relu of 32,000. 256,000 + 2,000,000 bytes in, 128,000 out."""


def near(seconds: float) -> object:
    return pytest.approx(seconds, rel=1e-9)


def test_one_layer_in_single_precision() -> None:
    time = time_of(LAYER, tf32=False)
    assert time.floor_s == near(6.4032e-6)  # 64,032,000 FLOPs at 10 TFLOP/s, for the matrix unit has no fp32
    assert time.busiest.floor.binds == "vector"
    assert time.busiest.floor.compulsory.total == 2_384_000
    assert time.busiest.floor.memory_s == near(2.384e-6)
    assert time.estimate_s == near((6.4e-6 + 5e-6) + (0.256e-6 + 5e-6))
    assert time.by_bound == {"matrix": 0, "vector": near(11.4e-6), "memory": 0, "launch": near(5.256e-6)}
    assert time.critical_path_s == time.estimate_s
    assert time.floor_certainty is Certainty.EXACT


def test_single_precision_runs_as_tf32_unless_told_otherwise() -> None:
    time = time_of(LAYER)
    assert time.busiest.floor.matrix_s == near(1.28e-6)  # 64 M at 50 TFLOP/s
    assert (time.floor_s, time.busiest.floor.binds) == (near(2.384e-6), "memory")
    assert "tf32" in {note.code for note in time.notes}
    assert "tf32" not in {note.code for note in time_of(LAYER, tf32=False).notes}


def test_half_precision_takes_the_matrix_unit_and_names_what_the_vector_unit_lacks() -> None:
    time = time_of(LAYER.replace("f32", "f16"))
    matmul = next(one for one in time.busiest.ops if one.op.type == "matmul")
    assert matmul.matrix_s == near(0.64e-6)
    assert time.busiest.floor.vector_s == 0  # no fp16 on the vector unit: left out
    relu = next(one for one in time.busiest.ops if one.op.type == "relu")
    assert relu.vector_s == near(32_000 / 10e12)  # at the fp32 rate
    (note,) = (note for note in time.notes if note.code == "no-vector-rate")
    assert "round" in note.text
    assert "fp16" in note.text
    assert time.floor_certainty is Certainty.LOWER_BOUND


def test_floor_is_at_the_clock_each_rate_can_reach() -> None:
    floor = time_of(LAYER.replace("f32", "f16"), BOOSTED).busiest.floor
    assert floor.matrix_s == near(0.32e-6)  # printed at 1 GHz, 2 at most
    single = time_of(LAYER, BOOSTED).busiest.floor
    assert single.vector_s == near(6.4032e-6)  # printed at the highest clock


def test_efficiency_scales_the_estimate_alone() -> None:
    time = time_of(LAYER, tf32=False, efficiency=0.5)
    assert time.floor_s == near(6.4032e-6)
    assert time.estimate_s == near((12.8e-6 + 5e-6) + (0.256e-6 + 5e-6))
    with pytest.raises(IrflopsError, match=r"an efficiency of 1\.5"):
        Asked(ROUND, efficiency=1.5)


def test_type_without_a_rate_has_no_time_and_is_named() -> None:
    time = time_of(LAYER.replace("f32", "bf16"))
    assert (time.floor_s, time.estimate_s, time.critical_path_s, time.overlapped_s) == (None, None, None, None)
    assert time.no_time == "round lists no rate for contractions in bf16 (bfloat16)"


def test_machine_that_may_be_beaten_has_no_floor() -> None:
    time = time_of(LAYER, replace(ROUND, ceiling=False))
    assert time.floor_s is None
    assert time.estimate_s is not None
    assert "no-floor" in {note.code for note in time.notes}


def test_cache_may_keep_what_must_move() -> None:
    assert time_of(LAYER, replace(ROUND, cache_bytes=384_000)).busiest.floor.memory_s == near(2e-6)
    assert time_of(LAYER, replace(ROUND, cache_bytes=1 << 30)).busiest.floor.memory_s == 0


# ------------------------------------------------------------------ what must move


def compulsory(text: str) -> tuple[int, int, int]:
    needed = time_of(text).busiest.floor.compulsory
    return needed.read, needed.updated, needed.out


def test_lookup_reads_the_rows_looked_up() -> None:
    text = """
    i = input() -> out: i64[10]
    w = variable() -> out: f32[1000,16]
    y = gather(in: w, indices: i, axis=0) -> out: f32[10,16]
    output(in: y)
    """
    assert compulsory(text) == (10 * 8 + 10 * 16 * 4, 0, 10 * 16 * 4)


def test_variable_that_many_read_counts_once_and_through_views() -> None:
    text = """
    w = variable() -> out: f32[16,16]
    v = reshape(in: w, shape=[256]) -> out: f32[256]
    a = relu(x: v) -> y: f32[256]
    b = relu(x: w) -> y: f32[16,16]
    output(in: a)
    """
    assert compulsory(text) == (1024, 0, 1024)


def test_what_only_views_touch_and_what_is_handed_out_as_it_is_counts_nothing() -> None:
    text = """
    w = variable() -> out: f32[16,16]
    v = reshape(in: w, shape=[256]) -> out: f32[256]
    output(in: v)
    """
    assert compulsory(text) == (0, 0, 0)


def test_update_writes_what_it_updates() -> None:
    text = """
    training
    w = variable() -> out: f32[16,16]
    g = input() -> out: f32[16,16]
    l = input() -> out: f32[1]
    sgd_update(model: w, model_diff: g, learning_rate: l, learning_rate_scale=1.0, l1=0.0, l2=0.0, weight_decay=0.0)
    """
    assert compulsory(text) == (1024 + 1024 + 4, 1024, 0)


# ------------------------------------------------------------------ what is not known


def test_unknown_operator_leaves_a_lower_bound_and_no_estimate() -> None:
    time = time_of(LAYER.replace("r = relu(x: y) -> y: f32[64,500]", "r = mlir_jit(in: y) -> out: f32[64,500]"))
    assert time.floor_s is not None
    assert time.floor_certainty is Certainty.LOWER_BOUND
    assert time.estimate_s is None
    assert time.known_estimate_s >= time.floor_s
    assert time.no_estimate is not None
    assert "unknown" in time.no_estimate
    assert [one.op.type for one in time.unknown] == ["mlir_jit"]


def test_work_that_the_data_decide_is_in_no_floor() -> None:
    text = """
    x = input() -> out: f32[400,4]
    y = nms(in: x, iou_threshold=0.5, keep_n=-1) -> out: i8[400]
    output(in: y)
    """
    time = time_of(text)
    (nms,) = (one for one in time.busiest.ops if one.op.type == "nms")
    assert nms.vector_s > 0
    assert nms.least_vector_s == 0
    assert time.floor_s == near(400e-12)  # the result; how much is read is not sure
    assert time.floor_certainty is Certainty.LOWER_BOUND


def test_integers_are_timed_by_their_bytes() -> None:
    text = """
    x = input() -> out: i32[1000]
    y = scalar_add(in: x, has_int_operand=true, int_operand=1) -> out: i32[1000]
    output(in: y)
    """
    (one,) = (one for one in time_of(text).busiest.ops if one.op.type == "scalar_add")
    assert (one.vector_s, one.memory_s) == (0, near(8e-9))
    assert one.bound == "launch"


def test_selection_has_no_time() -> None:
    part = irflops.select(irflops.analyze("fixtures/basic_block.repr.txt.gz"), phase="forward")
    with pytest.raises(IrflopsError, match="a whole graph is needed"):
        timed(part, Asked(ROUND))


# ------------------------------------------------------------------ real graphs


@pytest.mark.parametrize("fixture", ["basic_block", "mlp_train", "resnet18", "cnn_accumulate", "cnn_checkpoint", "gpt2_small_infer"])
def test_estimate_is_never_under_the_floor_and_parts_sum(fixture: str) -> None:
    time = timed(irflops.analyze(f"fixtures/{fixture}.repr.txt.gz"), Asked(ROUND))
    assert time.floor_s is not None
    assert time.estimate_s is not None
    assert time.critical_path_s is not None
    assert time.floor_s <= time.estimate_s
    assert time.critical_path_s <= time.estimate_s * (1 + 1e-12)
    assert sum(time.by_bound.values()) == near(time.estimate_s)
    assert sum(part.estimate_s for part in time.by_phase.values()) == near(time.estimate_s)
    assert time.by_module[""].estimate_s == near(time.estimate_s)


def test_accumulation_launches_each_micro_batch() -> None:
    time = timed(irflops.analyze("fixtures/cnn_accumulate.repr.txt.gz"), Asked(ROUND))
    assert [one.launch_s for one in time.busiest.ops if one.op.type == "conv2d"] == [near(2 * 5e-6)] * 2
    assert time.micro_batches == 2


def slow(machine: Machine) -> Machine:
    return replace(machine, memory_bandwidth=None)


def test_machine_without_bandwidth_has_no_estimate() -> None:
    time = time_of(LAYER, slow(ROUND), tf32=False)
    assert time.floor_s == near(6.4032e-6)
    assert (time.estimate_s, time.no_estimate) == (None, "round lists no memory bandwidth")
