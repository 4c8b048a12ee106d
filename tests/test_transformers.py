"""Transformers built in the ways that models are: their sizes and each term of a difference by hand; layers by the formulas of articles."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from commands import ROOT, run

import irflops
from irflops.conventions.layer_forms import layers_of
from irflops.readers.notation.sketch import sketch

FOLDER = ROOT / "fixtures" / "transformers"
RESNET = "fixtures/resnet18.repr.txt.gz"

# As fixtures/capture_transformers.py builds them: layers, hidden, heads, kv heads, ffn, sequence, vocabulary, batch; gated, experts, tied.
BUILT: dict[str, tuple[tuple[int | None, ...], tuple[bool, int, bool]]] = {
    "grouped": ((3, 48, 6, 2, 112, 16, 320, 2), (True, 1, True)),
    "decoding": ((1, 32, 4, 2, 80, 1, 256, 3), (True, 1, False)),
    "encoder_decoder": ((4, 32, 2, 2, 64, None, 128, 2), (False, 1, True)),
    "encoder": ((2, 48, 4, 4, 96, 12, 300, 3), (False, 1, True)),
    "experts": ((2, 32, 4, 4, 48, 8, 128, 2), (False, 3, False)),
}


@cache
def _closed(name: str, form: str = "repr.txt") -> irflops.ClosedForms:
    return irflops.closed_forms(FOLDER / f"{name}.{form}.gz")


def _terms(name: str, form: str) -> dict[str, int]:
    """The differences of a form, without the other work."""
    (found,) = [one for one in _closed(name).forms if one.name == form]
    return {term: flops for term, flops in found.difference.items() if term != "other work"}


@pytest.mark.parametrize("form", ["repr.txt", "job.pb"])
@pytest.mark.parametrize("name", BUILT)
def test_sizes_are_those_that_were_built(name: str, form: str) -> None:
    forms = _closed(name, form)
    sizes, kinds = BUILT[name]
    assert tuple(forms.structure.values()) == sizes
    assert forms.transformer is not None
    assert (forms.transformer.is_gated, forms.transformer.experts, forms.transformer.is_tied) == kinds
    for one in forms.forms:
        assert one.flops + sum(one.difference.values()) == forms.flops
        assert "unexplained" not in one.difference


def test_grouped_heads_and_gates() -> None:
    """32 tokens, 3 layers: 4 of 6 heads lack keys and values of 8 features; three products of 48 x 112 stand for two of 48 x 192."""
    assert _terms("grouped", "Megatron 2022") == {
        "grouped kv heads": -3 * 6 * 32 * 48 * 4 * (8 + 8),
        "gated ffn": 3 * 6 * 32 * 48 * (3 * 112 - 2 * 192),
    }
    # The tied table of 320 x 48 is read by the logits, and so no table; norms hold 3 x 2 x 48 + 48.
    assert _terms("grouped", "6 T P") == {"attention": 12 * 32 * 16 * 3 * 48, "biases and norms": -6 * 32 * 7 * 48}


def test_one_step_of_decoding_attends_to_all_before() -> None:
    """3 tokens of sequences of 16: the form knows the one that goes in."""
    terms = _terms("decoding", "Megatron 2022")
    assert terms["attention"] == 4 * 3 * 16 * 32 - 4 * 3 * 1 * 32
    serving = _closed("decoding").serving
    assert serving is not None
    assert (serving.context, serving.sequences, serving.cache_bytes_a_token) == (16, 3, 2 * 2 * 8 * 4)


def test_encoder_and_decoder() -> None:
    """20 and 12 tokens in two layers each; 4 products of 32 x 16, where heads of h features have 32 x 32; 2 x 32 x 64 for 8 x 32 x 32."""
    terms = _terms("encoder_decoder", "Megatron 2022")
    assert terms["attention width"] == 2 * (20 + 12) * 6 * (4 * 32 * 16 - 4 * 32 * 32)
    assert terms["ffn width"] == 2 * (20 + 12) * 6 * (2 * 32 * 64 - 8 * 32 * 32)
    cross = 12 * 2 * 32 * 16 + 20 * 2 * 32 * 16 + 2 * 2 * 2 * 6 * 10 * 8  # query and out, key and value, scores and what becomes of them
    assert terms["cross attention"] == 2 * 6 * cross
    rows = (20 - 32) * 2 + (12 - 32) * 2
    assert _terms("encoder_decoder", "6 T P")["other rows"] == 6 * rows * (4 * 32 * 16 + 2 * 32 * 64)


def test_what_does_not_train() -> None:
    """36 tokens; the first block of 4 x 48 x 48 + 2 x 48 x 96 has no gradient of its weights, and no parameter in P."""
    weights = 4 * 48 * 48 + 2 * 48 * 96
    terms = _terms("encoder", "6 T P")
    assert (terms["frozen weights"], terms["gradients not taken"]) == (6 * 36 * weights, -2 * 36 * weights)
    assert terms["tables"] == -6 * 36 * 12 * 48  # positions alone: segments do not train, and the logits read the table of tokens
    # The pooler and the classes see the first token of 3 sequences.
    assert terms["other products"] == 6 * (3 - 36) * (48 * 48 + 2 * 48)


def test_experts_stand_side_by_side() -> None:
    """16 tokens through three experts of 2 x 32 x 48 and what weighs them, 32 x 3, for 8 x 32 x 32."""
    assert _terms("experts", "Megatron 2022") == {"experts": 2 * 6 * 16 * (3 * 2 * 32 * 48 + 32 * 3 - 8 * 32 * 32)}


# ------------------------------------------------------------------ what cannot be told

ATTENTION = """
tokens = input() -> out: i64[2,8]
table = variable() -> out: f32[50,16]
x = gather(in: table, indices: tokens, axis=0) -> out: f32[2,8,16]
wq = variable() -> out: f32[16,16]
q = broadcast_matmul(a: x, b: wq, transpose_a=false, transpose_b=true, alpha=1.0) -> out: f32[2,8,16]
wk = variable() -> out: f32[16,16]
k = broadcast_matmul(a: x, b: wk, transpose_a=false, transpose_b=true, alpha=1.0) -> out: f32[2,8,16]
wv = variable() -> out: f32[16,16]
v = broadcast_matmul(a: x, b: wv, transpose_a=false, transpose_b=true, alpha=1.0) -> out: f32[2,8,16]
s = batch_matmul(a: q, b: k, transpose_a=false, transpose_b=true, alpha=1.0) -> out: f32[2,8,8]
p = SOFTMAX(in: s) -> out: f32[2,8,8]
m = batch_matmul(a: p, b: v, transpose_a=false, transpose_b=false, alpha=1.0) -> out: f32[2,8,16]
"""
OUT = """
wo = variable() -> out: f32[16,16]
o = broadcast_matmul(a: m, b: wo, transpose_a=false, transpose_b=true, alpha=1.0) -> out: f32[2,8,16]
r = add_n(in: [x, o]) -> out: f32[2,8,16]
output(in: r)
"""


def _of(text: str) -> irflops.ClosedForms:
    return irflops.closed_forms(sketch(text).graph)


def test_attention_alone_has_no_feed_forward_layer() -> None:
    forms = _of(ATTENTION.replace("SOFTMAX", "softmax") + OUT)
    assert forms.transformer is not None
    assert forms.structure == {
        "layers": 1,
        "hidden": 16,
        "heads": 1,
        "kv_heads": 1,
        "ffn": None,
        "sequence": 8,
        "vocabulary": 50,
        "batch": 2,
    }
    assert forms.transformer.reasons == {"ffn": "no pair of linear layers widens the residual stream and adds to it"}
    assert {left.name for left in forms.left_out} == {"Kaplan", "Chinchilla"}


def test_products_without_a_softmax_are_no_attention() -> None:
    forms = _of(ATTENTION.replace("SOFTMAX", "relu").replace("p = relu(in: s) -> out", "p = relu(x: s) -> y") + OUT)
    assert forms.transformer is None
    assert forms.missing is not None
    assert forms.missing.startswith("no attention")
    # Tokens there are, so that 2 T P stands alone, and what it does not tell comes first.
    (only,) = forms.forms
    assert (only.name, only.flops) == ("2 T P", 2 * 16 * (4 * 256 + 800))
    assert next(iter(only.difference)) == "unexplained"
    assert only.difference["unexplained"] == 2 * 2 * 2 * 8 * 8 * 16
    assert only.flops + sum(only.difference.values()) == forms.flops


def test_values_without_a_layer_behind_are_no_block() -> None:
    forms = _of(ATTENTION.replace("SOFTMAX", "softmax") + "output(in: m)\n")
    assert forms.missing == "no attention of a transformer: no linear layer is behind the values"


def test_unknown_operator_leaves_no_difference() -> None:
    text = ATTENTION.replace("SOFTMAX", "softmax") + OUT.replace(
        "output(in: r)", "z = nobody_knows(in: r) -> out: f32[2,8,16]\noutput(in: z)"
    )
    forms = _of(text)
    assert forms.transformer is not None
    assert forms.doubt is not None
    row = forms.to_dict()
    assert row is not None
    assert row["counted"]["certainty"] == {"flops": "lower_bound", "contractions": "lower_bound"}
    assert [form["difference"] for form in row["forms"]] == [None] * len(row["forms"])
    assert row["doubt"].startswith("the contractions are not all known")


# ------------------------------------------------------------------ attention in one operator

PACKED = """
tokens = input() -> out: i64[2,8]
table = variable() -> out: f16[50,16]
x = gather(in: table, indices: tokens, axis=0) -> out: f16[2,8,16]
w = variable() -> out: f16[48,16]
t = broadcast_matmul(a: x, b: w, transpose_a=false, transpose_b=true, alpha=1.0) -> out: f16[2,8,48]
"""
SLICED = "num_heads=4, causal=true, " + ", ".join(
    f"{arg}_hidden_slice_start={at}, {arg}_hidden_slice_end={at + 16}"
    for at, arg in zip((0, 16, 32), ("query", "key", "value"), strict=True)
)
INFERENCE = f"m = fused_multi_head_attention_inference(query: t, key: t, value: t, {SLICED}) -> out: f16[2,8,16]\n"
FLASH = (
    "z = reshape(in: t, shape=[2,8,3,4,4]) -> out: f16[2,8,3,4,4]\n"
    + "".join(
        f"{name}0 = narrow(in: z, dim=2, start={start}, length=1) -> out: f16[2,8,1,4,4]\n"
        f"{name} = reshape(in: {name}0, shape=[2,8,4,4]) -> out: f16[2,8,4,4]\n"
        for start, name in enumerate("qkv")
    )
    + "f, lse, rng = scaled_dot_product_flash_attention(query: q, key: k, value: v, p_dropout=0.0, softmax_scale=0.5, is_causal=true, "
    "window_size_left=-1, window_size_right=0, seed=0) -> out: f16[2,8,4,4], softmax_lse: f32[2,4,8], rng_state: u64[2]\n"
    "m = reshape(in: f, shape=[2,8,16]) -> out: f16[2,8,16]\n"
)
SCORES = """
u = transpose(input: t, perm=[1,0,2]) -> output: f16[8,2,48]
MADE
p = softmax(in: s) -> out: f16[2,4,8,8]
n = batch_matmul(a: p, b: v, transpose_a=false, transpose_b=false, alpha=1.0) -> out: f16[2,4,8,4]
l = transpose(input: n, perm=[0,2,1,3]) -> output: f16[2,8,4,4]
m = reshape(in: l, shape=[2,8,16]) -> out: f16[2,8,16]
"""
MADE = (
    "s, v = fused_self_attention_query_mul_key_and_value(hidden_states: u, head_size=4, alpha=0.5) "
    "-> query_mul_key: f16[2,4,8,8], value: f16[2,4,8,4]"
)
BEHIND = OUT.replace("f32", "f16")


@pytest.mark.parametrize("attention", [INFERENCE, FLASH, SCORES.replace("MADE", MADE)], ids=["inference", "flash", "scores"])
def test_attention_in_one_operator(attention: str) -> None:
    """16 tokens of sequences of 8, 4 heads of 4 features: two products of 8 x 16 for each token."""
    forms = _of(PACKED + attention + BEHIND)
    assert forms.structure == {
        "layers": 1,
        "hidden": 16,
        "heads": 4,
        "kv_heads": 4,
        "ffn": None,
        "sequence": 8,
        "vocabulary": 50,
        "batch": 2,
    }
    (plain,) = [form for form in forms.forms if form.name == "2 T P"]
    assert plain.difference["attention"] == 2 * 2 * 16 * 8 * 16
    assert "unexplained" not in plain.difference


def test_print_of_such_an_operator_does_not_tell_heads() -> None:
    forms = _of(PACKED + INFERENCE.replace(f", {SLICED}", "") + BEHIND)
    assert forms.transformer is not None
    assert [forms.structure[field] for field in ("layers", "hidden", "heads", "kv_heads", "sequence", "batch")] == [1, 16, None, None, 8, 2]
    assert forms.transformer.reasons["heads"] == "the scores do not tell how many heads there are"
    assert forms.doubt is not None


# ------------------------------------------------------------------ on a machine


def _json(*args: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("forms", *args, "--format", "json").stdout)
    jsonschema.validate(found, json.loads(run("schema", "forms").stdout), cls=jsonschema.Draft202012Validator)
    return found


def test_run_and_decode_on_a_machine() -> None:
    """32 tokens a step: 1,000 tokens are 32 steps; 2,039 GB/s of an A100 read what a decode step needs."""
    path = FOLDER / "grouped.repr.txt.gz"
    found = _json(path, "--tokens", "1e3", "--machine", "a100-sxm4-80gb")
    time = json.loads(run("time", path, "--machine", "a100-sxm4-80gb", "--format", "json").stdout)["time"]
    ran, forms = found["run"], found["closed_forms"]
    assert (ran["steps"], ran["flops"]) == (32, 32 * forms["counted"]["flops"])
    assert ran["six_p_tokens"] == 6 * forms["counted"]["params"] * 1000
    assert ran["device_hours"]["floor"] == pytest.approx(32 * time["floor_s"] / 3600)
    assert ran["device_hours"]["estimate"] == pytest.approx(32 * time["estimate_s"] / 3600)
    assert found["decode"]["floor_s"] == pytest.approx(forms["serving"]["step_bytes"] / 2039e9, rel=1e-3)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((RESNET, "--tokens", "3e9"), "works on no tokens"),
        ((FOLDER / "decoding.repr.txt.gz", "--tokens", "3e9"), "computes no gradients"),
        ((RESNET, "--tokens", "1.55e1"), "no whole number"),
        ((RESNET, "--tokens", "0"), "no whole number"),
        ((RESNET, "--machine", "nowhere"), "there is no machine 'nowhere'"),
        ((RESNET, "--step-time", "1s"), "--step-time needs a machine"),
    ],
)
def test_what_cannot_be_asked(args: tuple[object, ...], said: str) -> None:
    result = run("forms", *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


# ------------------------------------------------------------------ convolutions and fully connected layers


def test_layers_by_hand() -> None:
    """The stem of a ResNet: 64 x 112 x 112 outputs of 3 x 7 x 7 taps, no bias. Its last layer: 1,000 of 512, with one."""
    layers = layers_of(irflops.analyze(RESNET))
    assert len(layers) == 21
    stem, last = layers[0].to_dict(), layers[-1].to_dict()
    assert (stem["outputs"], stem["taps"], stem["bias"]) == (802_816, 147, False)
    assert {form["name"]: form["flops"] for form in stem["forms"]} == {
        "macs": 118_013_952,
        "without_bias": 235_225_088,
        "with_bias": 236_027_904,
        "bias_as_tap": 237_633_536,
        "activation": 236_830_720,
    }
    assert stem["counted"] == {"flops": 236_027_904, "certainty": "exact"}
    assert (last["outputs"], last["taps"], last["bias"]) == (1000, 512, True)
    assert [form["flops"] for form in last["forms"]] == [512_000, 1_023_000, 1_024_000, 1_026_000, 1_025_000]
    assert [form["difference"] for form in last["forms"]] == [513_000, 2_000, 1_000, -1_000, 0]


def test_explain_shows_the_formulas_of_a_layer() -> None:
    shown = run("explain", RESNET, "model.fc-matmul-68").stdout
    assert "n = 512 taps, N = 1,000 outputs; 1,025,000 counted, its bias among them" in shown
    found = json.loads(run("explain", RESNET, "model.fc-matmul-68", "--format", "json").stdout)
    jsonschema.validate(found, json.loads(run("schema", "explain").stdout), cls=jsonschema.Draft202012Validator)
    assert found["layer"]["taps"] == 512
    assert json.loads(run("explain", RESNET, "model.relu-relu-2", "--format", "json").stdout)["layer"] is None


def test_net_of_convolutions_shows_its_layers() -> None:
    found = _json(RESNET)
    assert (found["closed_forms"], len(found["layers"])) == (None, 21)
    assert "Layers by the formulas of articles  20 of 21" in run("forms", RESNET).stdout
    assert len(run("forms", RESNET, "--format", "csv").stdout.splitlines()) == 22
