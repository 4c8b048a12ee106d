"""The conventions of other counters: each against what its tool printed, of single layers and of whole models."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import irflops
from irflops.conventions.registry import ALIASES, BY_NAME, CONVENTIONS, Answer, Convention, convention_called, count
from irflops.conventions.torchstat_table import torchstat_rows
from irflops.errors import IrflopsError
from irflops.readers.notation.sketch import sketch
from irflops.whatif import changed

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "fixtures"
LAYERS = FIXTURES / "layers/printed.repr.txt.gz"
JOBS: dict[str, str] = json.loads(gzip.decompress((FIXTURES / "layers/jobs.json.gz").read_bytes()))


@cache
def layer(name: str, form: str = "repr") -> irflops.Analysis:
    """The analysis of a graph of one layer, printed or as a job."""
    return irflops.analyze(irflops.load(LAYERS, name) if form == "repr" else irflops.loads(JOBS[name]))


@cache
def model(name: str) -> irflops.Analysis:
    """The analysis of a whole model."""
    return irflops.analyze(FIXTURES / f"{name}.repr.txt.gz")


def analyzed(text: str) -> irflops.Analysis:
    """The analysis of a sketch."""
    return irflops.analyze(sketch(text).graph)


def answer(convention: str | Convention, analysis: irflops.Analysis) -> Answer:
    """What the tool would print."""
    return count(BY_NAME[convention] if isinstance(convention, str) else convention, analysis.structure)


EXAMPLES = [
    pytest.param(convention, example, form, id=f"{convention.name}-{example.layer}-{form}")
    for convention in CONVENTIONS
    for example in convention.examples
    for form in ("repr", "job")
]


@pytest.mark.parametrize(("convention", "example", "form"), EXAMPLES)
def test_example_is_what_the_tool_printed(convention: Convention, example: object, form: str) -> None:
    layer_name, total, raises = (getattr(example, name) for name in ("layer", "total", "raises"))
    found = answer(convention, layer(layer_name, form))
    assert (found.total, found.raises, found.unknown) == (total, raises, None)


def test_every_convention_has_examples() -> None:
    assert [c.name for c in CONVENTIONS if not c.examples] == []
    assert [e.layer for c in CONVENTIONS for e in c.examples if e.layer not in JOBS] == []


# ------------------------------------------------------------------ the table of single layers, as its tools printed it, row by row

COLUMNS = (
    "flowflops-eager", "flowflops-graph", "torch", "fvcore", "ptflops", "ptflops-aten", "thop",
    "calflops-flops", "torchinfo", "torchprofile", "torchstat", "torchstat-madd",
)  # fmt: skip
CRASH = "-"
ROWS: dict[str, tuple[int | str, ...]] = {
    "conv_groups": (5472, 5472, 20736, 10368, 5472, 5472, 10368, 21312, 10944, 10368, 5472, 10368),
    "conv_dilated": (18432, 28800, 73728, 36864, 18432, 18432, 36864, 73728, 36864, 36864, 18432, 36352),
    "conv_transpose": (CRASH, CRASH, 73728, 36864, 20744, 20744, 166464, 73872, 171088, 166464, 0, 36864),
    "linear": (264, 264, 512, 256, 136, 136, 256, 512, 272, 256, 128, 248),
    "linear_tokens": (1288, 1288, 2560, 1280, 680, 680, 1280, 2560, 272, 1280, CRASH, CRASH),
    "batch_norm": (512, 512, 0, 1024, 512, 0, 2048, 1024, 16, 512, 512, 1024),
    "layer_norm": (0, CRASH, 0, 2560, 256, 0, 2048, 2560, 32, 512, 0, 0),
    "group_norm": (512, 276, 0, 2560, 512, 0, 0, 2560, 16, 512, 0, 0),
    "relu": (256, 256, 0, 0, 512, 0, 0, 512, 0, 0, 256, 256),
    "silu": (0, 256, 0, 0, 256, 0, 0, 512, 0, 0, 0, 0),
    "softmax": (0, CRASH, 0, 0, 256, 0, 1472, 512, 0, 0, 0, 767),
    "max_pool": (256, 256, 0, 0, 512, 0, 0, 512, 0, 0, 256, 192),
    "avg_pool": (256, 256, 0, 0, 512, 0, 128, 512, 0, 128, 256, 256),
    "adaptive_avg_pool": (256, 256, 0, 512, 512, 0, 584, 512, 0, 72, 0, 0),
    "mean": (0, 260, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0),
    "add": (0, 512, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "mul": (0, 512, 0, 0, 0, 0, 0, 0, 0, 512, 0, 0),
    "lstm": (7840, CRASH, 0, 0, 7840, 0, 15360, 27200, 14080, 12800, CRASH, CRASH),
}
"""Of two samples of 4 channels and 8 x 8 positions, as fixtures/capture_layers.py has them. Fused attention is no operator of a dump."""


@pytest.mark.parametrize("name", ROWS)
def test_row_of_single_layers(name: str) -> None:
    # The stride of a transposed convolution is no part of a printed graph, and calflops counts by it: the job has it.
    analysis = layer(name, "job" if name == "conv_transpose" else "repr")
    found = {convention: answer(convention, analysis) for convention in COLUMNS}
    assert tuple(CRASH if a.raises else a.total for a in found.values()) == ROWS[name]


def test_attention_is_counted_where_fused_attention_is_too() -> None:
    found = {name: answer(name, layer("attention")).total for name in ("torch", "torchprofile", "torchinfo", "thop")}
    assert found == {"torch": 9600, "torchprofile": 4800, "torchinfo": 0, "thop": 0}


# ------------------------------------------------------------------ laws

WHOLE_BATCH = (
    "torch",
    "fvcore",
    "fvcore-activations",
    "thop",
    "calflops",
    "calflops-flops",
    "deepspeed",
    "deepspeed-flops",
    "torchinfo",
    "torchprofile",
)
ONE_SAMPLE = ("ptflops", "ptflops-aten", "torchstat", "torchstat-madd")


@pytest.mark.parametrize("name", [name for name in JOBS if not name.endswith("_x2")])
@pytest.mark.parametrize("form", ["repr", "job"])
def test_twice_the_batch_is_twice_the_figure_or_the_same(name: str, form: str) -> None:
    one, two = layer(name, form), layer(f"{name}_x2", form)
    for convention in (*WHOLE_BATCH, *ONE_SAMPLE):
        a, b = answer(convention, one), answer(convention, two)
        factor = 2 if convention in WHOLE_BATCH else 1
        assert b.total == (None if a.total is None else factor * a.total), convention


@pytest.mark.parametrize("name", [name for name in JOBS if name not in ("softmax_function", "softmax_function_x2")])
def test_classes_inferred_from_operators_give_the_same(name: str) -> None:
    """A printed graph and a job agree, but where one lacks what a tool counts by. A function in a module without others looks like one."""
    printed, job = layer(name), layer(name, "job")
    assert (printed.structure.source, job.structure.source) == ("module_tree", "inferred")
    for convention in CONVENTIONS:
        a, b = answer(convention, printed), answer(convention, job)
        assert (a.total, a.raises) == (b.total, b.raises) or a.unknown, convention.name


@pytest.mark.parametrize("convention", [c.name for c in CONVENTIONS])
def test_what_if_counts_as_if_captured(convention: str) -> None:
    for name in ("residual", "linear_tokens", "batch_norm"):
        other = irflops.analyze(changed(irflops.load(LAYERS, name), batch=4))
        assert answer(convention, other).total == answer(convention, layer(f"{name}_x2")).total


# ------------------------------------------------------------------ whole models

PUBLISHED: dict[str, dict[str, int]] = {
    "resnet18": {
        "flowflops-graph": 1822930408,
        "flowflops-eager": 1822177768,
        "torch": 3628146688,
        "fvcore": 1819065856,
        "fvcore-activations": 2484712,
        "ptflops": 1825313768,
        "ptflops-aten": 1814074344,
        "thop": 1824033792,
        "torchstat": 1821399040,
        "torchstat-madd": 3638757912,
        "calflops": 1814073344,
        "calflops-flops": 3636250112,
        "deepspeed": 1814073344,
        "deepspeed-flops": 3636250112,
        "torchinfo": 1814083944,
        "torchprofile": 1816557568,
    },
    "resnet50": {
        "flowflops-graph": 4127444456,
        "flowflops-eager": 4121925096,
        "torch": 8178368512,
        "fvcore": 4111512576,
        "fvcore-activations": 11114984,
        "ptflops": 4132436968,
        "ptflops-aten": 4089185256,
        "thop": 4133742592,
        "torchstat": 4118537216,
        "torchstat-madd": 8219637272,
        "calflops": 4089184256,
        "calflops-flops": 8211108352,
        "deepspeed": 4089184256,
        "deepspeed-flops": 8211108352,
        "torchinfo": 4089238376,
        "torchprofile": 4100300288,
    },
    "densenet121": {
        "flowflops-graph": 2882720488,
        "flowflops-eager": 2882620136,
        "torch": 5668323328,
        "fvcore": 2865546752,
        "fvcore-activations": 6900200,
        "ptflops": 2899843048,
        "ptflops-aten": 2834162664,
        "thop": 2897007104,
        "torchstat": 2882619136,
        "torchstat-madd": 5742018328,
        "calflops": 2834161664,
        "calflops-flops": 5716881152,
        "deepspeed": 2834161664,
        "deepspeed-flops": 5716881152,
        "torchinfo": 2834246312,
        "torchprofile": 2850005760,
    },
}
"""As the tools print them for flowvision's models, and for torchvision's of the same architecture."""


@pytest.mark.parametrize(("name", "convention"), [(name, convention) for name, row in PUBLISHED.items() for convention in row])
def test_figure_of_a_model(name: str, convention: str) -> None:
    assert answer(convention, model(name)).total == PUBLISHED[name][convention]


def test_transformer_ends_flowflops() -> None:
    found = answer("flowflops-graph", model("gpt2_small_infer"))
    assert (found.total, found.raises) == (None, "KeyError: 'gather'")


def test_other_tools_see_the_forward_pass_alone() -> None:
    step = model("gpt_train")
    forward, torch = answer("fvcore", step), answer("torch", step)
    assert {part.phase.value for part in forward.contributions if part.phase} == {"forward"}
    assert "backward" in {part.phase.value for part in torch.contributions if part.phase}
    assert torch.total == 2 * step.total.get("macs")


NET = """
x = input() -> out: f32[2,8]
w = variable() -> out: f32[4,8]
a = matmul(a: x, b: w, transpose_a=false, transpose_b=true) -> out: f32[2,4]
"""


@pytest.mark.parametrize(("convention", "figure"), [("fvcore", 64), ("fvcore-activations", 8), ("torch", 128)])
def test_an_operator_that_may_be_a_product_leaves_a_figure_unknown(convention: str, figure: int) -> None:
    """What a port to PyTorch has in its place, and whether the tool knows that, nobody can say: it is neither 0 nor its elements."""
    assert answer(convention, analyzed(NET)).total == figure
    found = answer(convention, analyzed(NET + "b = frobnicate(x: a) -> y: f32[2,4]"))
    assert (found.total, found.unknown) == (None, "whether frobnicate is a product is not known")


@pytest.mark.parametrize(
    "call",
    [
        "b = dot(x: v, y: v) -> out: f32[]",
        "b = matrix_vector_product(a: x, b: v) -> out: f32[2]",
        "b, l, r = scaled_dot_product_flash_attention(query: q, key: q, value: q) -> out: f16[1,2,4,8], lse: f32[1,4,2], rng_state: u64[2]",
    ],
)
def test_fvcore_has_no_handle_for_some_products(call: str) -> None:
    """`aten::dot`, `aten::mv` and `aten::scaled_dot_product_attention` are in neither of its tables: it warns, and adds nothing."""
    text = f"{NET}v = input() -> out: f32[8]\nq = input() -> out: f16[1,2,4,8]\n{call}"
    assert (answer("fvcore", analyzed(text)).total, answer("fvcore-activations", analyzed(text)).total) == (64, 8)


def test_fvcore_takes_a_vector_times_a_matrix_for_a_product() -> None:
    """`aten::matmul`, whatever the ranks: 4 x 8 multiply-accumulates, 8 results."""
    text = f"{NET}v = input() -> out: f32[4]\nb = vector_matrix_product(a: v, b: w) -> out: f32[8]"
    assert (answer("fvcore", analyzed(text)).total, answer("fvcore-activations", analyzed(text)).total) == (64 + 32, 8 + 8)


def test_parts_make_the_whole() -> None:
    for convention in CONVENTIONS:
        found = answer(convention, model("resnet18"))
        assert found.total == sum(part.value for part in found.contributions) + found.rest
        assert found.rest == 0
        owners = [index for part in found.contributions for index in part.ops]
        assert len(owners) == len(set(owners))


# ------------------------------------------------------------------ torchstat's own table


def test_torchstat_rows_are_the_last_calls() -> None:
    rows = {row.name: row for row in torchstat_rows(layer("residual").structure)}
    assert list(rows) == ["conv", "relu", "total"]
    assert (rows["conv"].params, rows["conv"].flops, rows["conv"].madd) == (148, 9472, 18432)  # 64 x 4 outputs, 36 taps and a bias each
    assert (rows["conv"].mem_read, rows["conv"].mem_write) == (4 * (256 + 148), 1024)
    assert (rows["relu"].flops, rows["relu"].memory_bytes) == (256, 1024)
    assert rows["total"].flops == 9472 + 256
    assert (rows["total"].mem_read, rows["total"].mem_total) == (1024, 4 * (256 + 148) + 3 * 1024)  # the tool's own total is the last row's


def test_torchstat_without_two_axes() -> None:
    rows = torchstat_rows(layer("linear_tokens").structure)
    assert [(row.name, row.flops, row.madd) for row in rows] == [("model", None, None), ("total", None, None)]


# ------------------------------------------------------------------ names


def test_convention_by_name() -> None:
    assert convention_called("thop").tool == "thop"
    assert all(BY_NAME[alias].figure == BY_NAME[name].figure for alias, name in ALIASES.items())
    with pytest.raises(IrflopsError, match="no convention") as caught:
        convention_called("ptflop")
    assert caught.value.hint == "did you mean ptflops?"


@pytest.mark.parametrize(
    "rule",
    [rule for c in CONVENTIONS for table in (c.modules, c.operators, c.raw) for rule in table.values()],
    ids=lambda r: r.formula[:40],
)
def test_rule_has_a_formula(rule: object) -> None:
    formula: str = getattr(rule, "formula", "")
    counts: Callable[[object], object] = getattr(rule, "count", lambda _: None)
    assert formula
    assert callable(counts)
