"""A listing as web pages publish it: white space is eaten, and whatever stands between two colons as well."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

import irflops
from irflops import Graph

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "basic_block.repr.txt.gz"
PRINTED = gzip.decompress(FIXTURE.read_bytes()).decode()


def mangled(text: str, *, wrapped: bool = False) -> str:
    """The print without white space within lines and without `:name:` parts; with `wrapped`, long tensor lines stay on two lines."""
    if not wrapped:
        text = re.sub(r",\n +(?=grad_fn)", ",", text)
    lines = ["".join(line.split()) for line in text.splitlines()]
    text = "\n".join(re.sub(r"^\((GRAPH|CONFIG|INPUT|OUTPUT|PARAMETER|BUFFER|MODULE):[^:]*:", r"(\1", line) for line in lines)
    assert "(GRAPHMyGraph):(" in text
    assert "(MODULEConv2d(32,64,kernel_size=(3,3)" in text
    assert "(PARAMETERtensor(...,size=(64,32,3,3)" in text
    assert " " not in text
    return text + "\n"


def as_0_8(text: str) -> str:
    """A mangled listing in the form of 0.8.0, the version of the published one: no GraphModule level, another word before the placement."""
    lines: list[str] = []
    levels: list[bool] = []
    for line in text.splitlines():
        if line.startswith("(GraphModule:"):
            if not line.endswith("()"):
                levels.append(False)
            continue
        if line == ")" and not levels.pop():
            continue
        levels += [True] * line.endswith("):(")
        lines.append(line.replace(",grad_fn=<accumulate_grad>", ",requires_grad=True").replace("),placement=(", "):placement=("))
    return "\n".join(lines) + "\n"


LISTINGS = {
    "as printed": PRINTED,
    "mangled": mangled(PRINTED),
    "mangled, wrapped": mangled(PRINTED, wrapped=True),
    "mangled, 0.8.0": as_0_8(mangled(PRINTED)),
    "mangled, in an article": f"Printing the graph gives\n\n{mangled(PRINTED)}\nwhere `OPERATOR` lines are operators (see above).\n",
}


@pytest.fixture(params=LISTINGS.values(), ids=list(LISTINGS))
def graph(request: pytest.FixtureRequest) -> Graph:
    return irflops.loads(request.param)


def test_costs_of_the_basic_block_by_hand(graph: Graph) -> None:
    """Input 1x32x64x64: conv 3x3 to 64 channels, batch norm, relu, plus the input twice over, relu, linear 64 -> 64 over the last axis."""
    total = irflops.analyze(graph).total
    elements = 64 * 64 * 64  # of every result in the block
    conv = elements * 32 * 3 * 3  # no groups: each result sums 32 channels of 3x3 taps; padded positions count
    linear = elements * 64
    batch_norm = 2 * elements  # in inference: one scale, one shift
    relus = 2 * elements  # one comparison each
    residual = elements  # the addition; the concatenation only copies
    bias = elements  # of the linear layer; the convolution has none
    assert total.get("macs") == conv + linear == 92_274_688
    assert total.get("flops") == 2 * (conv + linear) + batch_norm + relus + residual + bias == 186_122_240
    assert total.get("transcendentals") == 0  # the variance's root is folded into the scale
    trainable, frozen, buffers, states = total.params
    assert trainable == 64 * 32 * 3 * 3 + 2 * 64 + 64 * 64 + 64 == 22_720
    assert (frozen, buffers, states) == (0, 2 * 64, 0)  # moving mean and variance; the batch counter has no operator here
    assert total.param_bytes == (4 * 22_720, 0, 4 * 128, 0)
    # conv, batch norm, two relus, concatenation, sum, product and biased sum each make a tensor of their own.
    assert total.get("activation_elements") == 8 * elements
    assert total.get("bytes_written") == total.get("activation_bytes") == 4 * 8 * elements
    half = elements // 2  # the input
    weights = 64 * 32 * 3 * 3 + 4 * 64 + 64 * 64 + 64
    read = half + elements + elements + 2 * half + 2 * elements + elements + elements + elements
    assert total.get("bytes_read") == 4 * (read + weights)
    assert total.worst == "exact"


def test_costs_stand_with_their_modules(graph: Graph) -> None:
    analysis = irflops.analyze(graph)
    elements = 64 * 64 * 64
    macs = {path: cost.get("macs") for path, cost in analysis.modules.items()}
    assert macs["model.conv1"] == elements * 32 * 3 * 3
    assert macs["model.fc"] == elements * 64
    assert macs["model"] == macs[""] == macs["model.conv1"] + macs["model.fc"]
    assert macs["model.bn1"] == macs["model.relu"] == 0
    classes = {module.path: module.class_name for module in graph.modules}
    assert classes["model.bn1"] == "BatchNorm2d"
    assert classes["model"] == "BasicBlock"
    assert classes["model.relu"] == "ReLU"


def test_the_parameters_that_lost_their_names_have_them_again(graph: Graph) -> None:
    declared = {p.name for module in graph.modules for p in module.parameters if p.type.numel != 1}
    assert declared == {
        *("model.conv1.weight", "model.bn1.weight", "model.bn1.bias", "model.fc.weight", "model.fc.bias"),
        *("model.bn1.running_mean", "model.bn1.running_var"),
    }
    assert irflops.analyze(graph).declared_params == 22_720


def test_operators_are_those_of_the_print(graph: Graph) -> None:
    printed = irflops.loads(PRINTED)
    assert [op.name for op in graph.ops] == [op.name for op in printed.ops]
    for op in graph.ops:
        original = printed.by_name[op.name]
        assert (op.type, op.module, op.attrs, op.kind) == (original.type, original.module, original.attrs, original.kind)
        assert (op.inputs, op.outputs, op.placement) == (original.inputs, original.outputs, original.placement)


def test_the_version_shows_in_the_form() -> None:
    assert irflops.loads(LISTINGS["mangled, 0.8.0"]).version_guess == "0.8.0"
    assert irflops.loads(LISTINGS["mangled"]).version_guess == "0.9.0 or later"
