"""What irflops says of times, beside what others measured and published: fixtures/measured has the rows, each with its source."""

from __future__ import annotations

import runpy
from typing import Any

import pytest
from commands import ROOT

import irflops
from irflops.analysis.timing import timed
from irflops.machines.known import machine_called
from irflops.machines.time import Asked
from irflops.machines.utilization import utilization_of
from irflops.readers.notation.sketch import sketch

PAGE: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "accuracy_page.py"))
PUBLISHED: dict[str, Any] = PAGE["published"]()


def test_no_measured_step_is_under_the_floor_and_the_page_is_up_to_date() -> None:
    held = PAGE["steps"]()
    assert len(held) == 148
    assert [one.row["id"] for one in held if one.measured_s < one.floor_s] == []
    assert [one.row["id"] for one in held if one.estimate_s < one.floor_s] == []
    single = [one for one in held if one.row["precision"] == "fp32" and one.row["batch"] >= 32 and one.row["machine"].startswith("v100")]
    best = [one.estimate_s / one.measured_s for one in single if one.row["model"] == "resnet50" and one.row["task"] == "infer"]
    assert all(0.86 <= ratio <= 0.95 for ratio in best)
    assert (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8") == PAGE["accuracy_page"]()


def test_no_measured_product_is_over_the_dense_peak() -> None:
    assert len(PUBLISHED["products"]) == 20
    over = [
        row["machine"]
        for row in PUBLISHED["products"]
        if row["tflops"] * 1e12 > (machine := machine_called(row["machine"])).matrix[row["number"]] * machine.boost("matrix", row["number"])
    ]
    assert over == []


def test_no_measured_collective_is_under_its_floor() -> None:
    found = PAGE["collectives"]()
    assert len(found) > 60
    assert [row["id"] for row in found if row["step_s"] < row["floor_s"]] == []
    large = [row["estimate_s"] / row["step_s"] for row in found if row["bytes"] >= 1 << 30]
    assert all(0.6 <= ratio <= 1.1 for ratio in large)


# ------------------------------------------------------------------ published utilization, from configurations


def step(*, dtype: str, devices: int, layers: int, products: list[tuple[int, int, int, int]], head: tuple[int, int, int]) -> str:
    """A training step as products alone: each is (how many in a layer, rows, depth, columns), three times for its two gradients.

    All layers' products of a kind are one batched product, and the devices split the batch of it, or the rows.
    """
    lines = []
    for number, (count, rows, depth, columns) in enumerate([(3 * layers * n, r, d, c) for n, r, d, c in products] + [(3, *head)]):
        axis = 0 if count % devices == 0 else 1
        at = f"@ {devices} (S({axis}))" if devices > 1 else ""
        weights = f"@ {devices} ({'S(0)' if axis == 0 else 'B'})" if devices > 1 else ""
        lines += [
            f"a{number} = input() -> out: {dtype}[{count},{rows},{depth}] {at}",
            f"b{number} = input() -> out: {dtype}[{count},{depth},{columns}] {weights}",
            f"y{number} = batch_matmul(a: a{number}, b: b{number}) -> out: {dtype}[{count},{rows},{columns}] {at}",
            f"output(in: y{number}) {at}",
        ]
    return "\n".join(lines)


def mfu(text: str, machine: str, seconds: float) -> float:
    return utilization_of(timed(irflops.analyze(sketch(text).graph), Asked(machine_called(machine))), seconds).mfu


def gpt(shape: dict[str, int], batch: int) -> tuple[list[tuple[int, int, int, int]], tuple[int, int, int]]:
    """The products of a GPT: projections of queries, keys, values and output, two of the ffn, scores and values of each head."""
    h, s, tokens = shape["h"], shape["s"], batch * shape["s"]
    heads = batch * shape["heads"]
    width = h // shape["heads"]
    return [(4, tokens, h, h), (2, tokens, h, 4 * h), (heads, s, width, s), (heads, s, s, width)], (tokens, h, shape["vocab"])


@pytest.mark.parametrize("row", [row for row in PUBLISHED["runs"] if row["mfu"]], ids=lambda row: str(row["id"]))
def test_megatron_2022(row: dict[str, Any]) -> None:
    shape = row["shape"]
    products, head = gpt(shape, row["batch"])
    text = step(dtype="f16", devices=row["devices"], layers=shape["l"], products=products, head=head)
    assert mfu(text, row["machine"], row["step_s"]) == pytest.approx(row["mfu"], rel=0.005)


def test_oneflow_gpt() -> None:
    """49.43 TFLOP/s with full recomputation: a fourth pass, which the layers have and the head has not."""
    (row,) = (row for row in PUBLISHED["runs"] if row["tflops"])
    shape = row["shape"]
    products, head = gpt(shape, row["batch"])
    layers = step(dtype="f16", devices=1, layers=shape["l"], products=products, head=(1, 1, 1))
    whole = step(dtype="f16", devices=1, layers=shape["l"], products=products, head=head)
    of_layers, of_all = (mfu(text, row["machine"], row["step_s"]) for text in (layers, whole))
    hardware = (of_all + of_layers / 3) * 125  # of the V100's dense peak, in TFLOP/s
    assert hardware == pytest.approx(49.43, rel=0.005)


def test_palm() -> None:
    """46.2 % on 6,144 TPU v4 at 238,300 tokens a second: 48 heads of 256 with one of keys and values, a gated ffn."""
    h, s, batch, heads, width, vocab = 18432, 2048, 2048, 48, 256, 256_000
    tokens = batch * s
    products = [
        (2, tokens, h, heads * width),
        (2, tokens, h, width),
        (3, tokens, h, 4 * h),
        (batch * heads, s, width, s),
        (batch * heads, s, s, width),
    ]
    text = step(dtype="bf16", devices=6144, layers=118, products=products, head=(tokens, h, vocab))
    assert mfu(text, "tpu-v4", tokens / 238_300) == pytest.approx(0.462, rel=0.005)


# ------------------------------------------------------------------ rooflines of three operators, by hand


@pytest.mark.parametrize(
    ("machine", "bounds", "seconds"),
    [
        # A product of 4,096 cubed: 137.4 GFLOPs. A product with one row, 33.5 MB of weights. A sum of two tensors of 64 Mi elements.
        ("a100-sxm4-80gb", ("matrix", "memory", "memory"), (137.438953472e9 / 312e12, 33.570816e6 / 2039e9, 402.653184e6 / 2039e9)),
        ("h100-sxm5-80gb", ("matrix", "memory", "memory"), (137.438953472e9 / 989.4e12, 33.570816e6 / 3350e9, 402.653184e6 / 3350e9)),
    ],
)
def test_rooflines_by_hand(machine: str, bounds: tuple[str, ...], seconds: tuple[float, ...]) -> None:
    text = """
    a = input() -> out: bf16[4096,4096]
    b = input() -> out: bf16[4096,4096]
    y = matmul(a: a, b: b) -> out: bf16[4096,4096]
    r = input() -> out: bf16[1,4096]
    z = matmul(a: r, b: b) -> out: bf16[1,4096]
    p = input() -> out: bf16[8192,8192]
    q = input() -> out: bf16[8192,8192]
    s = add_n(in: [p, q]) -> out: bf16[8192,8192]
    output(in: s)
    """
    time = timed(irflops.analyze(sketch(text).graph), Asked(machine_called(machine)))
    ops = [one for one in time.busiest.ops if one.op.type in ("matmul", "add_n")]
    assert tuple(one.bound for one in ops) == bounds
    assert [one.estimate_s for one in ops] == [pytest.approx(one + 5e-6, rel=1e-3) for one in seconds]
    ridge = machine_called(machine).matrix["bf16"] / (machine_called(machine).memory_bandwidth or 1)
    intensity = [(one.work.contraction + one.work.other) / one.work.nbytes for one in ops]
    assert intensity[0] > ridge > intensity[1] > intensity[2]
