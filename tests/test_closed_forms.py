"""A graph beside the closed forms of transformers: sizes as configured, counts by hand, differences to the unit."""

from __future__ import annotations

import csv
import io
import json
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from commands import ROOT, SMALL, run

import irflops
from irflops.errors import IrflopsError
from irflops.report.closed_forms import BY

FIXTURES = ROOT / "fixtures"
GPT = "fixtures/gpt_train.repr.txt.gz"
FIELDS = ("layers", "hidden", "heads", "kv_heads", "ffn", "sequence", "vocabulary", "batch")

# As configured where each was captured (fixtures/SOURCE.md): layers, hidden, heads, kv heads, ffn, sequence, vocabulary, batch.
CONFIGURED: dict[str, tuple[int | None, ...]] = {
    "gpt_train": (2, 32, 4, 4, 128, 16, 64, 2),
    "gpt2_small_infer": (12, 768, 12, 12, 3072, 512, 50257, 2),
    "corpus/gpt2_small_infer": (12, 768, 12, 12, 3072, 512, 50257, 2),
    "corpus/gpt_tiny_train": (4, 256, 8, 8, 1024, 128, 1000, 4),
    "changes/gpt_tiny": (4, 256, 8, 8, 1024, 128, 1000, 4),
    "corpus/gpt_tiny_train_dp2tp2": (4, 256, 8, 8, 1024, 128, 1000, 4),
    "corpus/gpt_micro_zero1": (2, 64, 4, 4, 256, 24, 211, 8),
    "corpus/gpt_micro_amp": (2, 64, 4, 4, 256, 24, 211, 4),
    "corpus/gpt_micro_ckpt": (2, 64, 4, 4, 256, 24, 211, 4),
    "corpus/gpt_micro_pp2dp2": (2, 64, 4, 4, 256, 24, 211, 8),
    "changes/gpt": (1, 16, 2, 2, 64, 8, 32, 2),
    "changes/gpt_tied": (1, 16, 2, 2, 64, 8, 32, 2),
    "changes/gpt_train": (1, 16, 2, 2, 64, 8, 32, 2),
    "changes/gpt_train_tied": (1, 16, 2, 2, 64, 8, 32, 2),
    "changes/gpt_block_added": (2, 16, 2, 2, 64, 8, 32, 2),
    "v080/gpt": (1, 16, 2, 2, 32, 6, 20, 4),
    "what_if/gpt_train.2": (1, 24, 3, 3, 96, 12, 32, 2),
    "what_if/gpt_train.6": (1, 24, 3, 3, 96, 12, 32, 6),
    "memory/gpt_infer": (4, 128, 4, 4, 512, 128, 1024, 4),
    "memory/gpt_pp2acc": (4, 128, 4, 4, 512, 128, 1024, 4),
    "memory/gpt_tp22": (4, 128, 4, 4, 512, 128, 1024, 8),
    "memory/gpt_zero2": (4, 128, 4, 4, 512, 128, 1024, 4),
    "real/libai_gpt_eval": (2, 64, 4, 4, 256, 32, 200, 2),
    "real/libai_gpt_train_tensor_parallel": (2, 64, 4, 4, 128, 16, 96, 4),
    "real/libai_t5_eval": (4, 64, 4, 4, 128, None, 200, 2),
    "real/libai_vit_train": (2, 64, 4, 4, 256, 17, None, 2),
    "real/libai_vit_train_acc": (2, 64, 4, 4, 256, 17, None, 4),
    "real/libai_vit_train_ckpt": (2, 64, 4, 4, 256, 17, None, 4),
    "corpus/vit_tiny_patch16_224": (12, 192, 3, 3, 768, 197, None, 1),
    "corpus/v080_vit_tiny_patch16_224": (12, 192, 3, 3, 768, 197, None, 1),
    "what_if/vit.5x64": (2, 24, 3, 3, 48, 65, None, 5),
}
ENDINGS = ("repr.txt.gz", "cuda.repr.txt.gz", "job.pb.gz", "cudajob.pb.gz", "job.prototxt.gz", "fwd.prototxt.gz", "mlir.gz")
DUMPS = [
    pytest.param(name, path, id=path.name) for name in CONFIGURED for ending in ENDINGS if (path := FIXTURES / f"{name}.{ending}").exists()
]


@cache
def _closed(path: Path) -> irflops.ClosedForms:
    return irflops.closed_forms(path)


@pytest.mark.parametrize(("name", "path"), DUMPS)
def test_sizes_are_those_that_were_configured(name: str, path: Path) -> None:
    forms = _closed(path)
    assert tuple(forms.structure.values()) == CONFIGURED[name]
    assert tuple(forms.structure) == FIELDS
    assert forms.transformer is not None
    unknown = {field for field, size in forms.structure.items() if size is None}
    assert set(forms.transformer.reasons) == unknown
    assert set(forms.transformer.found_at) == set(FIELDS) - unknown


@pytest.mark.parametrize(("name", "path"), DUMPS)
def test_form_and_differences_are_the_count(name: str, path: Path) -> None:
    """To the unit, and nothing is left unexplained."""
    forms = _closed(path)
    assert len(forms.forms) >= (4 if CONFIGURED[name][5] else 2)
    for form in forms.forms:
        assert form.flops + sum(form.difference.values()) == forms.flops
        assert "unexplained" not in form.difference
        assert all(form.difference.values())


@pytest.mark.parametrize("name", CONFIGURED)
def test_every_form_of_a_graph_tells_the_same(name: str) -> None:
    """Of the terms those that are of products; a form that hides what is computed again, or gradients, lacks those."""
    answers: dict[bool, set[str]] = {}
    for path in (param.values[1] for param in DUMPS if param.values[0] == name):
        assert isinstance(path, Path)
        forms = _closed(path)
        assert forms.measured is not None
        told = [
            (form.name, form.flops, {term: flops for term, flops in form.difference.items() if term not in ("other work", "recompute")})
            for form in forms.forms
            if form.name != "Megatron 2021"
        ]
        answers.setdefault(forms.measured.amounts.trains, set()).add(json.dumps(told, sort_keys=True))
    assert all(len(found) == 1 for found in answers.values())


# ------------------------------------------------------------------ by hand


def _form(forms: irflops.ClosedForms, name: str) -> tuple[int, dict[str, int]]:
    (found,) = [form for form in forms.forms if form.name == name]
    return found.flops, dict(found.difference)


def test_gpt_by_hand() -> None:
    """4 layers, h 256, s 128, V 1000, B 4, so T 512; P 3,704,320, of which tables 288,768 and biases and norms 13,824."""
    forms = _closed(FIXTURES / "changes/gpt_tiny.repr.txt.gz")
    assert (forms.tokens, forms.flops, forms.contractions) == (512, 11_406_657_032, 11_255_414_784)
    other = {"other work": 151_242_248}
    idle = {"biases and norms": -42_467_328}
    assert _form(forms, "6 T P") == (11_379_671_040, {"attention": 805_306_368, "tables": -887_095_296, **idle, **other})
    assert _form(forms, "PaLM") == (12_184_977_408, {"tables": -887_095_296, **idle, **other})
    assert _form(forms, "causal half") == (10_895_228_928, {"causal half": 402_653_184, **idle, **other})
    assert _form(forms, "Megatron 2022") == (11_255_414_784, other)
    assert _form(forms, "Megatron 2021") == (14_745_075_712, {"recompute": -3_489_660_928, **other})
    assert _form(forms, "Chinchilla")[1] == {"tables": -786_432_000, "softmax": -18_874_368, **other}


def test_full_recomputation_is_what_megatron_counts() -> None:
    """Every block is computed twice forward, so that the form of 2021 lacks the other work alone."""
    forms = _closed(FIXTURES / "corpus/gpt_micro_ckpt.repr.txt.gz")
    flops, terms = _form(forms, "Megatron 2021")
    assert (flops, set(terms)) == (87_994_368, {"other work"})
    assert _form(forms, "Megatron 2022")[1]["recompute"] == 20_054_016


def test_forward_graph_has_a_third() -> None:
    """GPT-2 small, 2 x 512 tokens: 24 x 1024 x 12 x 768^2 + 4 x 1024 x 512 x 12 x 768 + 2 x 1024 x 768 x 50257."""
    forms = _closed(FIXTURES / "gpt2_small_infer.repr.txt.gz")
    assert _form(forms, "Megatron 2022") == (272_320_954_368, {"other work": 888_398_848})
    assert [form.name for form in forms.forms] == [
        "2 T P",
        "2 T (P - tables)",
        "PaLM",
        "causal half",
        "Megatron 2022",
        "Kaplan",
        "Chinchilla",
    ]


def test_head_over_one_token_and_patches() -> None:
    """ViT-Tiny: 196 patches of 768 by 192, and 1000 classes for one of 197 tokens."""
    forms = _closed(FIXTURES / "corpus/vit_tiny_patch16_224.job.pb.gz")
    flops, terms = _form(forms, "Megatron 2022")
    assert flops == 24 * 197 * 12 * 192**2 + 4 * 197 * 197 * 12 * 192
    assert (terms["patch embedding"], terms["logits"]) == (2 * 196 * 768 * 192, 2 * 192 * 1000)
    assert set(terms) == {"patch embedding", "logits", "other work"}


def test_encoder_and_decoder_have_tokens_of_their_own() -> None:
    """T5 of libai: 2 x 16 tokens in two layers, 2 x 8 in two more, each with attention to the first."""
    forms = _closed(FIXTURES / "real/libai_t5_eval.job.pb.gz")
    assert forms.transformer is not None
    assert [(stack.layers, stack.tokens, stack.sequence) for stack in forms.transformer.stacks] == [(2, 32, 16), (2, 16, 8)]
    flops, terms = _form(forms, "Megatron 2022")
    assert flops == 24 * 2 * 64**2 * (32 + 16) + 4 * 2 * 64 * (32 * 16 + 16 * 8) + 2 * 16 * 64 * 200
    cross = 2 * 2 * (16 * 64 * 64 * 2 + 32 * 64 * 128 + 2 * 2 * 8 * 16 * 64)
    assert terms == {
        "ffn width": 2 * 4 * (32 + 16) * 64 * (128 - 256),
        "cross attention": cross,
        "other work": forms.flops - forms.contractions,
    }


def test_tied_table_is_a_parameter_once() -> None:
    tied, untied = (_closed(FIXTURES / f"changes/gpt_train{end}.repr.txt.gz") for end in ("_tied", ""))
    assert (tied.transformer, untied.transformer) != (None, None)
    assert [forms.transformer.is_tied for forms in (tied, untied) if forms.transformer is not None] == [True, False]
    assert _form(untied, "6 T P")[0] - _form(tied, "6 T P")[0] == 6 * 16 * 32 * 16


# ------------------------------------------------------------------ what is no transformer


def test_convolutional_net_is_refused_in_plain_words() -> None:
    forms = _closed(FIXTURES / "resnet18.repr.txt.gz")
    assert forms.transformer is None
    assert forms.forms == ()
    assert forms.to_dict() is None
    shown = " ".join(run("forms", FIXTURES / "resnet18.repr.txt.gz").stdout.split())
    assert "none: no attention: no product of activations whose softmax is multiplied with other activations" in shown


def test_blocks_of_several_widths_are_refused() -> None:
    forms = _closed(FIXTURES / "corpus/swin_tiny_patch4_window7_224.repr.txt.gz")
    assert forms.transformer is None
    assert forms.missing == "no one width: its blocks are of 96, 192, 384, 768 features, and closed forms hold for one"


# ------------------------------------------------------------------ the command, the JSON, Python


def _json(*args: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("forms", *args, "--format", "json").stdout)
    return found


@pytest.mark.parametrize("path", [GPT, SMALL, "fixtures/real/libai_t5_eval.repr.txt.gz", "fixtures/corpus/vit_tiny_patch16_224.mlir.gz"])
def test_json_keeps_its_schema(path: str) -> None:
    schema, whole = (json.loads(run("schema", name).stdout) for name in ("forms", "analysis"))
    assert schema["$defs"]["closed_forms"] == whole["$defs"]["closed_forms"]
    found = _json(path)
    jsonschema.validate(found, schema, cls=jsonschema.Draft202012Validator)
    analysis = json.loads(run("analyze", path, "--format", "json").stdout)
    jsonschema.validate(analysis, whole, cls=jsonschema.Draft202012Validator)
    assert analysis["closed_forms"] == found["closed_forms"]


def test_lines_are_those_of_the_operators() -> None:
    found = _json(GPT)["closed_forms"]["found_at"]
    ops = {op["name"]: op for op in irflops.analyze(GPT).to_dict()["ops"]}
    places = [place for field in FIELDS for place in found[field]]
    assert {place["op"]: place["line"] for place in places} == {place["op"]: ops[place["op"]]["line"] for place in places}
    assert [ops[place["op"]]["inputs"][0]["shape"] for place in found["vocabulary"]] == [[2, 16, 32]]


def test_serving() -> None:
    """Keys and values of 2 layers, 4 heads of 8 features, 4 bytes each; 2 sequences of 100 tokens; every weight once."""
    serving = _json(GPT, "--context-length", "100")["closed_forms"]["serving"]
    assert serving["cache_bytes_a_token"] == 2 * 2 * 4 * 8 * 4
    assert serving["cache_bytes"] == 2 * 100 * 512
    assert (serving["weight_bytes"], serving["step_bytes"]) == (30_080 * 4, 30_080 * 4 + 102_400)
    assert _json(GPT, "--dtype", "float16")["closed_forms"]["serving"]["cache_bytes_a_token"] == 256
    assert _json("fixtures/corpus/vit_tiny_patch16_224.job.pb.gz")["closed_forms"]["serving"] is None


def test_what_if() -> None:
    found = _json("fixtures/what_if/vit.1x64.repr.txt.gz", "--batch", "5")["closed_forms"]
    captured = _json("fixtures/what_if/vit.5x64.repr.txt.gz")["closed_forms"]
    assert found["structure"] == captured["structure"]
    assert [form["flops"] for form in found["forms"]] == [form["flops"] for form in captured["forms"]]


@pytest.mark.parametrize("by", [None, *BY])
@pytest.mark.parametrize("format_", ["table", "csv", "markdown"])
def test_every_table_is_written(by: str | None, format_: str) -> None:
    result = run("forms", GPT, *([] if by is None else ["--by", by]), "--format", format_)
    assert (result.exit_code, result.stderr) == (0, "")
    shown = {None: "Megatron 2022", "structure": "vocabulary", "form": "Megatron 2022", "term": "biases and norms", "layer": ".head"}
    assert shown[by] in result.stdout


def test_csv_has_every_term() -> None:
    rows = [*csv.DictReader(io.StringIO(run("forms", GPT, "--format", "csv").stdout))]
    forms = irflops.closed_forms(GPT)
    assert [(row["name"], row["term"], int(row["difference"])) for row in rows] == [
        (form.name, term, flops) for form in forms.forms for term, flops in form.difference.items()
    ]


def test_result_is_pickled_and_speaks() -> None:
    forms = irflops.closed_forms(GPT)
    again = pickle.loads(pickle.dumps(forms))  # noqa: S301 - pickled one line above
    assert again.to_dict() == forms.to_dict()
    assert "layers=2, hidden=32" in repr(forms)


@pytest.mark.parametrize("length", [0, -1, "many", 1.5])
def test_context_that_is_no_length(length: Any) -> None:
    with pytest.raises((IrflopsError, TypeError)):
        irflops.closed_forms(GPT, context_length=length)


def test_part_of_a_graph_has_no_form() -> None:
    part = irflops.select(irflops.analyze(GPT), phase="forward")
    with pytest.raises(IrflopsError, match="a whole graph is needed"):
        irflops.closed_forms(part)
    assert part.to_dict()["closed_forms"] is None
