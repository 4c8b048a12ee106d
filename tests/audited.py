"""The real dumps whose findings were read, in every form that the fixtures have or that can be made of those; each is audited once."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from jobs import message

import irflops
from irflops import Graph
from irflops.auditing.engine import run_rules
from irflops.auditing.finding import Audit
from irflops.auditing.rules import RULES
from irflops.readers.capture.archive import Captured, pack

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
OWN = (
    *("basic_block", "cnn_accumulate", "cnn_checkpoint", "densenet121", "freelist", "frozen", "functional_pool", "gpt2_small_infer"),
    *("gpt_train", "loc", "mlp_train", "moved_metric", "none_input", "resnet18", "resnet50", "tied"),
    *("forms/accumulate_amp", "forms/odds"),
)
CORPUS = (
    *("alexnet", "cnn_accumulate", "cnn_adam_clip", "cnn_frozen", "cnn_lamb_scaler", "cnn_tied", "convnext_tiny_224", "efficientnet_b0"),
    *("gpt_micro_amp", "gpt_micro_ckpt", "gpt_micro_pp2dp2", "gpt_micro_zero1", "gpt_tiny_train", "gpt_tiny_train_dp2tp2", "lstm"),
    *("mobilenet_v3_small", "mrank", "regnet_x_16gf", "resnet18", "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_0"),
    *("squeezenet1_1", "swin_tiny_patch4_window7_224", "train", "train.loc", "vgg11", "vgg11_bn", "vgg16", "vit_tiny_patch16_224"),
    *("v080_alexnet", "v080_mobilenet_v2", "v080_resnet18", "v080_resnet50", "v080_vit_tiny_patch16_224"),
)
MODELS = (*OWN, *(f"corpus/{name}" for name in CORPUS))
ELSEWHERE = {
    "corpus/gpt_tiny_train": "changes/gpt_tiny",
    "corpus/gpt_tiny_train_dp2tp2": "changes/gpt_tiny_dp2tp2",
    "corpus/resnext50_32x4d": "changes/resnext50",
    "corpus/v080_resnet18": "changes/resnet18_v080",
    "corpus/vit_tiny_patch16_224": "changes/vit_tiny",
    "gpt2_small_infer": "corpus/gpt2_small_infer",
    "resnet50": "corpus/resnet50",
}
"""Where the fixtures have other dumps of a model: none is there twice."""

PRINT, JOB, JOB_TEXT, FORWARD, SAVED, CAPTURE = "repr.txt", "job.pb", "job.prototxt", "fwd.prototxt", "mlir", "capture"
SMALL = 10_000
"""Bytes of a job that is audited as text too, which is slow to read: tests/test_job_library.py compares the readers of both."""

CAPTURED = ("basic_block", "gpt_train", "corpus/cnn_lamb_scaler", "corpus/gpt_tiny_train_dp2tp2")


def dump(model: str, form: str) -> Path | None:
    """The file that has a model in a form, if there is one."""
    stems = (model, ELSEWHERE.get(model, model))
    return next((path for stem in stems if (path := FIXTURES / f"{stem}.{form}.gz").is_file()), None)


@cache
def forms_of(model: str) -> tuple[str, ...]:
    """All forms of a model, its print first."""
    forms = [form for form in (PRINT, JOB, FORWARD, SAVED) if dump(model, form) is not None]
    job = dump(model, JOB)
    if job.stat().st_size < SMALL if job is not None else dump(model, JOB_TEXT) is not None:
        forms.append(JOB_TEXT)
    if model in CAPTURED:
        forms.append(CAPTURE)
    return tuple(forms)


@cache
def audit(model: str, form: str) -> Audit:
    """What all rules say of a model in a form."""
    path = dump(model, form)
    return run_rules(irflops.analyze(path if path is not None else _made(model, form)), RULES)


def _made(model: str, form: str) -> Graph:
    """The graph in a form that no file has: a job's text, as the protobuf library writes it, or a capture."""
    job = _content(model, JOB)
    if form == JOB_TEXT:
        wire = message()
        wire.ParseFromString(job)
        wire.DiscardUnknownFields()
        return irflops.loads(text_format.MessageToString(wire))
    return irflops.loads(pack(Captured(_content(model, PRINT), job, "0.9.0"), {}))


def _content(model: str, form: str) -> bytes:
    path = dump(model, form)
    assert path is not None
    return gzip.decompress(path.read_bytes())


def said(found: Audit) -> dict[str, dict[str, Any]]:
    """All that the findings say, by id, but how sure it is and where the form says it."""
    return {f.id: {key: value for key, value in f.to_dict().items() if key not in {"certainty", "line"}} for f in found.findings}


def is_open(found: Audit, finding: dict[str, Any]) -> bool:
    """Whether the rule behind a finding could not decide about its op."""
    open_ = (*found.doubts, *found.untold)
    return any(doubt.rule == finding["rule"] and not {None, finding["op"]}.isdisjoint(doubt.ops) for doubt in open_)


def undecided(found: Audit) -> set[str]:
    """The rules that could not decide all."""
    return {doubt.rule for doubt in (*found.doubts, *found.untold)}
