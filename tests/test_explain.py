"""`irflops explain`: all that is known of one operator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from commands import run

import irflops
from irflops.errors import IrflopsError
from irflops.explaining.explanation import explain_op, find_op
from irflops.readers.notation.sketch import sketch

ROOT = Path(__file__).resolve().parent.parent
RESNET18 = ROOT / "fixtures" / "resnet18.repr.txt.gz"
CONV = "model.layer1.0.conv1-conv2d-4"
ANALYSIS = irflops.analyze(RESNET18)


def explained(*args: object) -> dict[str, Any]:
    """The JSON, which has its schema."""
    found: dict[str, Any] = json.loads(run("explain", *args, "--format", "json").stdout)
    schema = json.loads(run("schema", "explain").stdout)
    jsonschema.validate(found, schema, cls=jsonschema.Draft202012Validator)
    return found


@pytest.mark.parametrize("wanted", [CONV, "layer1.0.conv1-conv2d", "line:68"])
def test_op_is_found(wanted: str) -> None:
    assert ANALYSIS.graph.ops[find_op(ANALYSIS, wanted)].name == CONV


@pytest.mark.parametrize(
    ("wanted", "message", "hint"),
    [
        ("relu", "17 operators have 'relu' in their names", "model.relu-relu-2, model.layer1.0.relu-relu-6"),
        ("model.layer1.0.conv1-conv2d-5", "no operator is called", "did you mean model.layer1.0.conv"),
        ("line:3", "no operator stands on line 3", "the next is 'model.conv1.weight', line 13"),
        ("line:999999", "no operator stands on line", "no operator stands below it"),
        ("quux", "no operator is called 'quux'", "--by op lists them"),
    ],
)
def test_near_misses_get_suggestions(wanted: str, message: str, hint: str) -> None:
    with pytest.raises(IrflopsError) as caught:
        find_op(ANALYSIS, wanted)
    assert message in caught.value.message
    assert hint in str(caught.value.hint)
    assert run("explain", RESNET18, wanted).exit_code == 2


def test_convolution() -> None:
    found = explained(RESNET18, CONV)
    assert (found["type"], found["line"], found["module"]["class"], found["step"]["kind"]) == ("conv2d", 68, "Conv2d", "conv")
    assert found["numbers"].startswith("macs = 200704 * 64 * 9;")
    assert found["numbers"].endswith("macs = 115605504, flops = 231211008")  # 64 x 56 x 56 results of 64 channels x 9 taps
    assert found["costs"]["macs"] == 115605504
    assert found["shares"]["macs"] == round(115605504 / 1814073344, 6)
    tensors = {tensor["arg"]: tensor for tensor in found["tensors"]}
    assert (tensors["in"]["bytes_read"], tensors["weight"]["bytes_read"], tensors["out"]["bytes_written"]) == (802816, 147456, 802816)
    assert tensors["in"]["made_by"] == "model.maxpool-max_pool_2d-3"
    attributes = {attribute["name"]: attribute for attribute in found["attributes"]}
    assert attributes["strides"] == {"name": "strides", "value": [1, 1], "known_from": "the text of its module, line 59"}
    assert attributes["tuning_cache"]["known_from"] is None
    views = {view["name"]: view["value"] for view in found["conventions"]}
    assert (views["torch"], views["torchinfo"], views["fvcore-activations"]) == (231211008, 115605504, 200704)


def test_part_of_a_norm() -> None:
    found = explained(ROOT / "fixtures" / "gpt2_small_infer.repr.txt.gz", "blocks.3.ln1-var")
    assert found["step"]["kind"] == "layer_norm"
    assert len(found["step"]["ops"]) == 9
    views = {view["name"]: view for view in found["conventions"]}
    assert views["thop"]["value"] == 4 * 2 * 512 * 768
    assert "9 operators" in views["thop"]["why"]
    assert views["torch"] == {"name": "torch", "unit": "FLOPs, 2 per MAC", "value": 0, "why": "it has no rule for layer_norm"}
    assert views["torchstat"]["value"] is None


def test_backward_operator() -> None:
    analysis = irflops.analyze(ROOT / "fixtures" / "gpt_train.repr.txt.gz")
    index = next(i for i, op in enumerate(analysis.graph.ops) if op.type == "broadcast_matmul_grad_b")
    views = {view.convention.name: view for view in explain_op(analysis, index).conventions}
    assert views["fvcore"].why == "it does not see the backward phase"
    assert views["torch"].value == 2 * analysis.op_cost(index).get("macs")


def test_job_tells_its_attributes() -> None:
    found = explained(ROOT / "fixtures" / "basic_block.job.prototxt.gz", "model.conv1-conv2d")
    assert {attribute["known_from"] for attribute in found["attributes"] if attribute["known_from"]} == {"the job"}


def test_variable_and_unknown_cost() -> None:
    variable = explained(RESNET18, "model.conv1.weight")
    assert variable["step"] is None
    pool = explained(ROOT / "fixtures" / "functional_pool.repr.txt.gz", "max_pool_2d")
    assert pool["reason"] == "missing_attribute"
    assert pool["costs"]["flops"] is None
    assert "flops = unknown" in pool["numbers"]


def test_text() -> None:
    output = run("explain", RESNET18, CONV).stdout
    assert output.startswith(f"{CONV}\n\n type         conv2d\n")
    for part in (
        "in numbers   macs = 200704 * 64 * 9",
        "6.4% of the graph",
        "Operands and results",
        "By other counters",
        "line\n              59",
    ):
        assert part in output


@pytest.mark.parametrize(("bias", "numbers"), [("", "flops = 2 * macs: macs"), (", bias: b", "flops = 2 * macs, + 200 for a bias")])
def test_numbers_have_the_terms_of_operands_that_are_there(bias: str, numbers: str) -> None:
    text = "x = input() -> out: f32[1,3,10,10]\nw = variable() -> out: f32[2,3,1,1]\nb = variable() -> out: f32[2]\n"
    sizes = "filters=2, kernel_size=[1,1], strides=[1,1], dilation_rate=[1,1], groups=1, padding_before=[0,0]"
    conv = f"c = conv2d(in: x, weight: w{bias}, {sizes})"
    found = irflops.explain(irflops.analyze(sketch(f"{text}{conv} -> out: f32[1,2,10,10]\n").graph), "c")
    assert numbers in (found.numbers or "")
