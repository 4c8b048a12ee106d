"""Runs the other counters themselves on the single layers, and compares what they print with the conventions: so a new version is noticed.

    python tests/peers_live.py [PEER ...] [--print]

Runs in an environment of its own, since the counters want PyTorch; those that are not installed are passed over, fewer than two are an
error. With `--print` nothing is compared: the figures are printed as JSON. For example:

    python -m venv peers
    peers/bin/pip install torch --index-url https://download.pytorch.org/whl/cpu
    peers/bin/pip install fvcore ptflops thop torchinfo torchprofile calflops
    peers/bin/pip install -e .
    peers/bin/python tests/peers_live.py
"""

# Not collected by pytest: it is a script, and most environments have no PyTorch.

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

IMAGE = (4, 8, 8)
ROOT = Path(__file__).resolve().parent.parent


class Function(nn.Module):  # type: ignore[misc, unused-ignore] # Any where PyTorch is not installed
    """A model that is one function of its input; some counters want a parameter to be there."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.ones(1))
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


class Residual(nn.Module):  # type: ignore[misc, unused-ignore] # Any where PyTorch is not installed
    """A module called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x: Any) -> Any:
        return self.relu(x + self.conv(self.relu(x)))


LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "conv_groups": (lambda: nn.Conv2d(4, 8, 3, groups=2), IMAGE),
    "conv_dilated": (lambda: nn.Conv2d(4, 8, 3, padding=2, dilation=2, bias=False), IMAGE),
    "conv1d": (lambda: nn.Conv1d(4, 8, 3), (4, 8)),
    "conv3d": (lambda: nn.Conv3d(4, 8, 3), (4, 8, 8, 8)),
    "conv_transpose": (lambda: nn.ConvTranspose2d(4, 8, 3, stride=2), IMAGE),
    "linear": (lambda: nn.Linear(16, 8), (16,)),
    "linear_square": (lambda: nn.Linear(16, 16, bias=False), (16,)),
    "linear_tokens": (lambda: nn.Linear(16, 8), (5, 16)),
    "batch_norm": (lambda: nn.BatchNorm2d(4), IMAGE),
    "batch_norm_plain": (lambda: nn.BatchNorm2d(4, affine=False), IMAGE),
    "layer_norm": (lambda: nn.LayerNorm(8), IMAGE),
    "layer_norm_plain": (lambda: nn.LayerNorm(8, elementwise_affine=False), IMAGE),
    "group_norm": (lambda: nn.GroupNorm(2, 4), IMAGE),
    "group_norm_plain": (lambda: nn.GroupNorm(2, 4, affine=False), IMAGE),
    "instance_norm": (lambda: nn.InstanceNorm2d(4, affine=True), IMAGE),
    "relu": (nn.ReLU, IMAGE),
    "relu6": (nn.ReLU6, IMAGE),
    "prelu": (lambda: nn.PReLU(4), IMAGE),
    "elu": (nn.ELU, IMAGE),
    "leaky_relu": (nn.LeakyReLU, IMAGE),
    "gelu": (nn.GELU, IMAGE),
    "silu": (nn.SiLU, IMAGE),
    "sigmoid": (nn.Sigmoid, IMAGE),
    "tanh": (nn.Tanh, IMAGE),
    "hardswish": (nn.Hardswish, IMAGE),
    "softmax": (lambda: nn.Softmax(-1), IMAGE),
    "max_pool": (lambda: nn.MaxPool2d(2), IMAGE),
    "avg_pool": (lambda: nn.AvgPool2d(2), IMAGE),
    "adaptive_avg_pool": (lambda: nn.AdaptiveAvgPool2d(3), IMAGE),
    "adaptive_avg_pool_1": (lambda: nn.AdaptiveAvgPool2d(1), IMAGE),
    "mean": (lambda: Function(lambda x: x.mean((2, 3))), IMAGE),
    "add": (lambda: Function(lambda x: x + x), IMAGE),
    "mul": (lambda: Function(lambda x: x * x), IMAGE),
    "softmax_function": (lambda: Function(lambda x: nn.functional.softmax(x, dim=-1)), IMAGE),
    "upsample_nearest": (lambda: nn.Upsample(scale_factor=2, mode="nearest"), IMAGE),
    "upsample_bilinear": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE),
    "lstm": (lambda: nn.LSTM(16, 8, 2, batch_first=True), (5, 16)),
    "gru": (lambda: nn.GRU(16, 8, 2, batch_first=True), (5, 16)),
    "rnn": (lambda: nn.RNN(16, 8, 2, batch_first=True), (5, 16)),
    "residual": (Residual, IMAGE),
}
"""The layers of fixtures/capture_layers.py by the same names, as PyTorch writes them."""

BATCH = 2


def _torch(model: nn.Module, shape: tuple[int, ...]) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model(torch.rand(BATCH, *shape))
    return int(counter.get_total_flops())


def _fvcore(model: nn.Module, shape: tuple[int, ...]) -> int:
    from fvcore.nn import FlopCountAnalysis

    return int(FlopCountAnalysis(model, torch.rand(BATCH, *shape)).total())


def _fvcore_activations(model: nn.Module, shape: tuple[int, ...]) -> int:
    from fvcore.nn import ActivationCountAnalysis

    return int(ActivationCountAnalysis(model, torch.rand(BATCH, *shape)).total())


def _ptflops(backend: str) -> Callable[[nn.Module, tuple[int, ...]], int]:
    def count(model: nn.Module, shape: tuple[int, ...]) -> int:
        from ptflops import get_model_complexity_info

        return int(get_model_complexity_info(model, shape, as_strings=False, print_per_layer_stat=False, backend=backend)[0])

    return count


def _thop(model: nn.Module, shape: tuple[int, ...]) -> int:
    from thop import profile

    return int(profile(model, inputs=(torch.rand(BATCH, *shape),), verbose=False)[0])


def _torchinfo(model: nn.Module, shape: tuple[int, ...]) -> int:
    from torchinfo import summary

    return int(summary(model, input_size=(BATCH, *shape), verbose=0).total_mult_adds)


def _torchprofile(model: nn.Module, shape: tuple[int, ...]) -> int:
    from torchprofile import profile_macs

    return int(profile_macs(model, torch.rand(BATCH, *shape)))


def _calflops(index: int) -> Callable[[nn.Module, tuple[int, ...]], int]:
    def count(model: nn.Module, shape: tuple[int, ...]) -> int:
        from calflops import calculate_flops

        options = {"print_results": False, "print_detailed": False, "output_as_string": False}
        return int(calculate_flops(model, input_shape=(BATCH, *shape), **options)[index])

    return count


PEERS: dict[str, tuple[str, Callable[[nn.Module, tuple[int, ...]], int]]] = {
    "torch": ("torch", _torch),
    "fvcore": ("fvcore", _fvcore),
    "fvcore-activations": ("fvcore", _fvcore_activations),
    "ptflops": ("ptflops", _ptflops("pytorch")),
    "ptflops-aten": ("ptflops", _ptflops("aten")),
    "thop": ("thop", _thop),
    "torchinfo": ("torchinfo", _torchinfo),
    "torchprofile": ("torchprofile", _torchprofile),
    "calflops": ("calflops", _calflops(0)),
    "calflops-macs": ("calflops", _calflops(1)),
}
"""By convention: the package that has to be there, and how to ask it."""


def figure(ask: Callable[[nn.Module, tuple[int, ...]], int], name: str) -> int | str:
    """What a counter says of a layer, or the exception that it ends with."""
    make, shape = LAYERS[name]
    silent = io.StringIO()
    try:
        with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
            return ask(make().eval(), shape)
    except Exception as error:  # noqa: BLE001 - whatever the counter raises is its answer
        return f"{type(error).__name__}: {error}"


def compared(peer: str, figures: dict[str, int | str]) -> list[str]:
    """Where a counter and its convention disagree, a line each."""
    import irflops
    from irflops.conventions.registry import BY_NAME, count

    lines = []
    for layer, live in figures.items():
        graph = irflops.load(ROOT / "fixtures" / "layers/printed.repr.txt.gz", layer)
        ours = count(BY_NAME[peer], irflops.analyze(graph).structure)
        expected = None if isinstance(live, str) else live
        if ours.total != expected:
            lines.append(f"{peer} {layer}: it prints {live}, the convention {ours.total if ours.raises is None else ours.raises}")
    return lines


def main() -> int:
    """The exit code: 1 where a counter and its convention disagree, 2 where fewer than two counters are installed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("peers", nargs="*", metavar="PEER", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--print", action="store_true", dest="printed", help="print the figures, compare nothing")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    wanted = arguments.peers or [name for name, (package, _) in PEERS.items() if importlib.util.find_spec(package)]
    if len({PEERS[name][0] for name in wanted}) < 2 and not arguments.peers:
        print("fewer than two counters are installed; the first lines of this file say how", file=sys.stderr)
        return 2
    found = {name: {layer: figure(PEERS[name][1], layer) for layer in LAYERS} for name in wanted}
    if arguments.printed:
        print(json.dumps(found, indent=1))
        return 0
    lines = [line for name in wanted for line in compared(name, found[name])]
    print("\n".join([*lines, f"{sum(map(len, found.values())) - len(lines)} of {sum(map(len, found.values()))} figures agree"]))
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
