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

import torch
from torch import nn

ROOT = Path(__file__).resolve().parent.parent


sys.path.insert(0, str(ROOT / "fixtures"))
from single_layers import layers  # noqa: E402 - a script of a folder that is no package

LAYERS = layers(torch, unused_parameter=True)
del LAYERS["attention"]  # it is there for what is lifted out of it
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
