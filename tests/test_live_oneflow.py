"""Against live OneFlow: what it prints is what we read, and the shapes that it infers are the shapes that we infer."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import irflops
from irflops.readers.forms import FORMS, Form

pytestmark = pytest.mark.oneflow


@pytest.fixture(scope="module")
def flow() -> ModuleType:
    import oneflow

    module: ModuleType = oneflow
    return module


def _graph(flow: ModuleType, model: Any, *inputs: Any) -> Any:
    """A compiled graph of a model in evaluation mode."""

    class Live(flow.nn.Graph):  # type: ignore[misc, name-defined]  # OneFlow ships no types
        def __init__(self) -> None:
            super().__init__()
            self.model = model.eval()

        def build(self, *tensors: Any) -> Any:
            return self.model(*tensors)

    graph = Live()
    graph._compile(*inputs)
    return graph


def _conv(draw: random.Random, nn: Any) -> tuple[Any, tuple[int, ...]]:
    rank, groups = draw.randint(1, 3), draw.choice([1, 2, 3])
    kinds = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
    kernel, channels = draw.randint(1, 3), groups * draw.randint(1, 3)
    module = kinds[rank](
        channels,
        groups * draw.randint(1, 3),
        kernel,
        stride=draw.randint(1, 2),
        padding=draw.randint(0, 2),
        dilation=draw.randint(1, 2),
        groups=groups,
        bias=draw.random() < 0.5,
    )
    return module, (draw.randint(1, 3), channels, *(draw.randint(6, 9) for _ in range(rank)))


def _transposed_conv(draw: random.Random, nn: Any) -> tuple[Any, tuple[int, ...]]:
    stride, channels = draw.randint(1, 3), draw.randint(1, 4)
    module = nn.ConvTranspose2d(
        channels,
        draw.randint(1, 4),
        draw.randint(2, 4),
        stride=stride,
        padding=draw.randint(0, 1),
        output_padding=draw.randint(0, stride - 1),
    )
    return module, (2, channels, draw.randint(3, 7), draw.randint(3, 7))


def _pool(draw: random.Random, nn: Any) -> tuple[Any, tuple[int, ...]]:
    kernel = draw.randint(2, 4)
    kind = draw.choice([nn.MaxPool2d, nn.AvgPool2d])
    module = kind(kernel, stride=draw.randint(1, 3), padding=draw.randint(0, kernel // 2), ceil_mode=draw.random() < 0.5)
    return module, (2, 3, draw.randint(6, 11), draw.randint(6, 11))


def _normalized(draw: random.Random, nn: Any) -> tuple[Any, tuple[int, ...]]:
    groups = draw.randint(1, 3)
    channels = groups * draw.randint(1, 3)
    module = draw.choice([nn.BatchNorm2d(channels), nn.GroupNorm(groups, channels), nn.InstanceNorm2d(channels, affine=True)])
    return module, (2, channels, 5, 4)


def _perceptron(draw: random.Random, nn: Any) -> tuple[Any, tuple[int, ...]]:
    widths = [draw.randint(1, 9) for _ in range(3)]
    activation = draw.choice([nn.ReLU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Hardswish, nn.Mish])
    layers = (
        nn.Linear(widths[0], widths[1], bias=draw.random() < 0.5),
        activation(),
        nn.LayerNorm(widths[1]),
        nn.Linear(widths[1], widths[2]),
    )
    return nn.Sequential(*layers, nn.Softmax(dim=-1)), (*(draw.randint(1, 4) for _ in range(draw.randint(1, 3))), widths[0])


def _reshaped(draw: random.Random, nn: Any) -> tuple[Any, tuple[int, ...]]:
    padded = draw.choice([nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d])((1, 2, 0, 1))
    resized = draw.choice(
        [nn.Upsample(scale_factor=2.0, mode="nearest"), nn.AdaptiveAvgPool2d((draw.randint(1, 4), 2)), nn.PixelShuffle(2)]
    )
    return nn.Sequential(padded, resized, nn.Flatten()), (2, 4, draw.randint(4, 7), draw.randint(4, 7))


Maker = Callable[[random.Random, Any], "tuple[Any, tuple[int, ...]]"]
MAKERS: tuple[Maker, ...] = (_conv, _transposed_conv, _pool, _normalized, _perceptron, _reshaped)


def _cases() -> Iterator[Any]:
    for maker in MAKERS:
        yield from (pytest.param(maker, seed, id=f"{maker.__name__.strip('_')}-{seed}") for seed in range(6))


@pytest.mark.parametrize(("maker", "seed"), [*_cases()])
def test_shapes_and_params_are_oneflows(flow: ModuleType, maker: Maker, seed: int) -> None:
    model, shape = maker(random.Random(f"{maker.__name__}{seed}"), flow.nn)  # noqa: S311 - cases that anyone can repeat, no secrets
    analysis = irflops.analyze(_graph(flow, model, flow.zeros(*shape)))
    assert analysis.inference.disagreements == ()
    assert [unknown for unknown in analysis.unknown if unknown.reason != "missing_attribute"] == []
    assert analysis.declared_params == sum(parameter.numel() for parameter in model.parameters())


def test_every_shape_is_the_compiled_jobs(flow: ModuleType) -> None:
    nn = flow.nn
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 8 * 8, 4))
    graph = _graph(flow, model, flow.zeros(2, 3, 16, 16))
    shapes = {lbn: tuple(blob.shape.dim) for lbn, blob in graph._full_graph_proto.helper.lbn2logical_blob_desc.items()}
    types = irflops.analyze(graph).inference.types
    assert shapes
    assert {lbn: types[lbn].shape for lbn in shapes} == shapes


def test_a_live_graph_costs_what_its_print_costs(flow: ModuleType) -> None:
    graph = _graph(flow, flow.nn.Linear(3, 5), flow.zeros(7, 3))
    live, printed = irflops.analyze(graph), irflops.analyze(irflops.loads(repr(graph)))
    assert live.total == printed.total
    assert live.total.get("macs") == 7 * 3 * 5


@pytest.mark.parametrize("name", ["basic_block", "gpt_train", "cnn_accumulate", "cnn_checkpoint", "tied", "loc"])
def test_the_fixtures_are_what_oneflow_prints(name: str, root: Path, tmp_path: Path) -> None:
    capture = [sys.executable, str(root / "fixtures" / "capture.py"), name, "-o", str(tmp_path), "-f", "repr.txt"]
    subprocess.run(capture, check=True, cwd=tmp_path)
    assert (tmp_path / f"{name}.repr.txt.gz").read_bytes() == (root / "fixtures" / f"{name}.repr.txt.gz").read_bytes()


def test_the_gpts_and_their_figures_are_what_oneflow_captures(root: Path, tmp_path: Path) -> None:
    """Three GPTs, each at nine sizes, which what-ifs and formulas of one capture have to give (tests/test_scale_in_two.py)."""
    capture = [sys.executable, str(root / "fixtures" / "capture_sequences.py"), "-o", str(tmp_path)]
    with_irflops = os.environ | {"PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(root)])}
    subprocess.run(capture, check=True, cwd=tmp_path, env=with_irflops)
    kept = root / "fixtures" / "sequences"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {path.name: path.read_bytes() for path in kept.iterdir()}


def test_a_capture_is_the_graph(flow: ModuleType, tmp_path: Path) -> None:
    graph = _graph(flow, flow.nn.Sequential(flow.nn.Conv2d(3, 8, 3, padding=1), flow.nn.BatchNorm2d(8)), flow.zeros(2, 3, 8, 8))
    irflops.capture(graph, tmp_path / "graph.zip")
    captured, printed = irflops.load(tmp_path / "graph.zip"), irflops.loads(repr(graph))
    assert (captured.format, captured.version_guess) == ("capture", flow.__version__)
    assert captured.modules == printed.modules
    assert {op.name: op.kind for op in captured.ops} == {op.name: op.kind for op in printed.ops}
    conv = next(op for op in captured.ops if op.type == "conv2d")
    assert conv.attrs["padding_before"] == (1, 1)
    ours, theirs = irflops.analyze(captured), irflops.analyze(printed)
    assert ours.total == theirs.total
    assert ours.declared_params == theirs.declared_params


def test_a_graph_is_compiled_for_its_capture(flow: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    class Live(flow.nn.Graph):  # type: ignore[misc, name-defined]  # OneFlow ships no types
        def build(self, x: Any) -> Any:
            return flow.relu(x)

    graph = Live()
    with pytest.raises(irflops.IrflopsError, match="not compiled yet"):
        irflops.capture(graph, tmp_path / "graph.zip")
    assert "ERROR" not in capfd.readouterr().out
    irflops.capture(graph, tmp_path / "graph.zip", inputs=[flow.zeros(2, 3)])
    assert irflops.load(tmp_path / "graph.zip").by_name.keys() == irflops.loads(repr(graph)).by_name.keys()


USER_CODE = """\
from oneflow import nn

def build():
    return nn.Sequential(nn.Embedding(16, 4), nn.Linear(4, 2))
"""


def test_the_command_captures_a_model(root: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text(USER_CODE, encoding="utf-8")
    args = ["capture", "theirs:build", "--input", "3x5:int64", "-o", "graph.zip"]
    done = subprocess.run(
        [sys.executable, "-m", "irflops", *args],
        cwd=tmp_path,
        check=True,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(root)])},
    )
    assert done.stdout == b""
    analysis = irflops.analyze(tmp_path / "graph.zip")
    assert analysis.total.get("macs") == 3 * 5 * 4 * 2
    assert analysis.declared_params == 16 * 4 + 4 * 2 + 2


@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form.title))
def test_every_form_is_made_as_we_say_and_read(form: Form, flow: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    graph = _graph(flow, flow.nn.Linear(3, 5), flow.zeros(7, 3))
    exec(form.make, {"graph": graph, "oneflow": flow, "irflops": irflops})  # noqa: S102 - it is what we tell people to do
    (made,) = tmp_path.iterdir()
    read = irflops.load(made / "model.mlir" if form.name == "mlir" else made)
    assert (read.format, read.name) == (form.name, graph.name)
    assert irflops.analyze(read).total.get("macs") == 7 * 3 * 5
