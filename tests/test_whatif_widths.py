"""Other element types in a what-if: names that people use, by what tensors are for, and what a file of the variables holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from whatif_graphs import graph_of, refusal

import irflops
from irflops.cli import cli
from irflops.ir.graph import DType, TensorType

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
RESNET = str(FIXTURES / "resnet18.repr.txt.gz")

LINEAR = (
    ("x", "input() -> out: f32[2,6]"),
    ("w", "variable() -> out: f32[6,5]"),
    ("turned", "transpose(input: f32[6,5], perm=[1,0]) -> output: f32[5,6]", "w"),
    ("y", "matmul(a: f32[2,6], b: f32[5,6], transpose_a=false, transpose_b=true) -> out: f32[2,5]", "x", "turned"),
)


def dtypes(**asked: str) -> dict[str, DType | None]:
    graph = irflops.analyze(graph_of(*LINEAR), **asked).graph  # type: ignore[arg-type]  # element types alone are asked for
    return {op.name: op.outputs[0].type.dtype for op in graph.ops}


def test_roles() -> None:
    """Weights are variables and what moves them; activations the rest; `dtype` is for what neither says."""
    int8, half = DType.INT8, DType.FLOAT16
    assert dtypes(weights="int8", activations="half") == {"x": half, "w": int8, "turned": int8, "y": half}
    assert dtypes(weights="int8") == {"x": DType.FLOAT32, "w": int8, "turned": int8, "y": DType.FLOAT32}
    assert dtypes(dtype="fp16", weights="int8") == {"x": half, "w": int8, "turned": int8, "y": half}
    assert dtypes(dtype="int8") == dict.fromkeys(("x", "w", "turned", "y"), int8)


def test_bytes_by_hand() -> None:
    """30 weights of 4 bits are 15 bytes, read and written turned and read again; 12 and 10 activations of 2 bytes."""
    total = irflops.analyze(graph_of(*LINEAR), weights="int4", activations="bfloat16").total
    assert (total.get("param_bytes"), total.get("bytes_read"), total.get("bytes_written")) == (15, 15 + 24 + 15, 15 + 20)
    assert total.get("macs") == 2 * 5 * 6


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("fp16", DType.FLOAT16),
        ("half", DType.FLOAT16),
        ("bf16", DType.BFLOAT16),
        ("fp32", DType.FLOAT32),
        ("double", DType.FLOAT64),
        ("float8_e4m3", DType.FLOAT8_E4M3),
        ("float8_e5m2", DType.FLOAT8_E5M2),
        ("int4", DType.INT4),
    ],
)
def test_names_that_people_use(name: str, dtype: DType) -> None:
    assert set(dtypes(dtype=name).values()) == {dtype}


def test_a_tensor_of_four_bits_ends_at_a_byte() -> None:
    assert [TensorType((n,), DType.INT4).nbytes for n in (1, 2, 3)] == [1, 1, 2]
    assert TensorType((3,), DType.FLOAT8_E4M3).nbytes == 3


def test_buffers_and_optimizer_states_keep_their_type() -> None:
    before, after = (irflops.analyze(RESNET, weights=weights).total for weights in (None, "int8"))
    assert after.param_bytes == (before.params[0], 0, before.param_bytes[2], 0)
    full, half = (irflops.analyze(FIXTURES / "mlp_train.repr.txt.gz", dtype=dtype).total.param_bytes for dtype in (None, "float16"))
    assert (2 * half[0], half[3]) == (full[0], full[3])


def test_what_is_not_counted_is_said() -> None:
    notes = {note.code: note.text for note in irflops.analyze(RESNET, weights="int8", activations="half").notes}
    assert "weights float32 -> int8, activations float32 -> float16" in notes["what-if"]
    assert "quantize" in notes["what-if-widths"]
    assert "what-if-widths" not in {note.code for note in irflops.analyze(RESNET, dtype="half").notes}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"dtype": "flaot16"}, "'flaot16' is no type of numbers"),
        ({"weights": "bool"}, "'bool' is no type of numbers"),
        ({"activations": "float8"}, "'float8' is no type of numbers"),
    ],
)
def test_types_that_are_none_are_answered(asked: dict[str, object], message: str) -> None:
    assert message in refusal(graph_of(*LINEAR), **asked).message


def test_a_graph_without_weights_says_so() -> None:
    graph = graph_of(("x", "input() -> out: f32[2,6]"), ("y", "relu(x: f32[2,6]) -> y: f32[2,6]", "x"))
    assert refusal(graph, weights="int8").message == "the graph has no weight of a float type"


def test_size_on_disk() -> None:
    """11,689,512 weights of a byte and 9,600 elements of float32 buffers: what a file of the model's variables holds."""
    output = CliRunner().invoke(cli, ["analyze", RESNET, "--weights", "int8", "-q"]).output
    assert "on disk      11.2 MiB" in output
    assert irflops.analyze(RESNET, weights="int8").disk_bytes == 11689512 + 4 * 9600
    assert "on disk" not in CliRunner().invoke(cli, ["analyze", RESNET, "-q"]).output
