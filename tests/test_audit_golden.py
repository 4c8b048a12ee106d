"""What the rules find in real dumps: read by a person once, with a reason for each rule that fires, and compared ever since.

`pytest --update` writes what is found now; a new rule of a model gets an empty reason, which fails until someone has read its findings.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import irflops
from irflops.audit.engine import run_rules
from irflops.audit.finding import Audit
from irflops.audit.rules import RULES

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden" / "audit.json"
OWN = (
    *("basic_block", "cnn_accumulate", "cnn_checkpoint", "densenet121", "freelist", "frozen", "functional_pool", "gpt2_small_infer"),
    *("gpt_train", "loc", "mlp_train", "moved_metric", "none_input", "resnet18", "resnet50", "tied"),
)
CORPUS = (
    *("alexnet", "cnn_accumulate", "cnn_adam_clip", "cnn_frozen", "cnn_lamb_scaler", "cnn_tied", "convnext_tiny_224", "efficientnet_b0"),
    *("gpt_micro_amp", "gpt_micro_ckpt", "gpt_micro_pp2dp2", "gpt_micro_zero1", "gpt_tiny_train", "gpt_tiny_train_dp2tp2"),
    *("mobilenet_v3_small", "regnet_x_16gf", "resnet18", "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_0", "squeezenet1_1"),
    *("swin_tiny_patch4_window7_224", "vgg11", "vgg11_bn", "vgg16", "vit_tiny_patch16_224"),
)
MODELS = (*OWN, *(f"corpus/{name}" for name in CORPUS))
PRINTED_ELSEWHERE = {
    "corpus/gpt_tiny_train": "changes/gpt_tiny",
    "corpus/gpt_tiny_train_dp2tp2": "changes/gpt_tiny_dp2tp2",
    "corpus/resnext50_32x4d": "changes/resnext50",
    "corpus/vit_tiny_patch16_224": "changes/vit_tiny",
}
JOB_ELSEWHERE = {"gpt2_small_infer": "corpus/gpt2_small_infer", "resnet50": "corpus/resnet50"}
"""Dumps that another folder of the fixtures has: none is there twice."""


def _printed(model: str) -> Path:
    return ROOT / "fixtures" / f"{PRINTED_ELSEWHERE.get(model, model)}.repr.txt.gz"


def _job(model: str) -> Path:
    return ROOT / "fixtures" / f"{JOB_ELSEWHERE.get(model, model)}.job.pb.gz"


HIDDEN_CASTS = ("corpus/cnn_lamb_scaler", "corpus/gpt_micro_amp")
"""The job says that automatic mixed precision is on and shows no cast of it: `fp32-island` cannot decide."""

WITH_JOB = tuple(model for model in MODELS if _job(model).is_file())


@cache
def _audit(path: Path) -> Audit:
    return run_rules(irflops.analyze(path), RULES)


def _found(model: str) -> dict[str, list[str]]:
    """Ids by rule."""
    found: dict[str, list[str]] = {}
    for finding in _audit(_printed(model)).findings:
        found.setdefault(finding.rule, []).append(finding.id)
    return found


def _golden() -> dict[str, dict[str, dict[str, Any]]]:
    golden: dict[str, dict[str, dict[str, Any]]] = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.is_file() else {}
    return golden


@pytest.mark.parametrize("model", MODELS)
def test_findings_of_a_real_dump(model: str, request: pytest.FixtureRequest) -> None:
    golden = _golden()
    found = _found(model)
    if request.config.getoption("--update"):
        before = golden.get(model, {})
        golden[model] = {rule: {"reason": before.get(rule, {}).get("reason", ""), "ids": ids} for rule, ids in found.items()}
        GOLDEN.write_text(json.dumps(dict(sorted(golden.items())), indent=1) + "\n", encoding="utf-8")
        return
    assert found == {rule: entry["ids"] for rule, entry in golden[model].items()}


def test_every_rule_that_fires_has_a_reason() -> None:
    assert [(model, rule) for model, rules in _golden().items() for rule, entry in rules.items() if not entry["reason"]] == []
    assert set(_golden()) == set(MODELS)


def _said(audit: Audit) -> dict[str, dict[str, Any]]:
    """All that the findings say, by id, but how sure it is and where the form says it."""
    return {f.id: {key: said for key, said in f.to_dict().items() if key not in {"certainty", "line"}} for f in audit.findings}


def test_corpus_is_here_in_two_forms() -> None:
    assert [model for model in MODELS if model.startswith("corpus/") and model not in WITH_JOB] == []
    dumps = {path.name for path in (ROOT / "fixtures" / "corpus").glob("*.gz")}
    assert dumps == {
        path.name for model in MODELS for path in (_printed(model), _job(model)) if path.is_file() and path.parent.name == "corpus"
    }


@pytest.mark.parametrize("model", WITH_JOB)
def test_two_forms_of_a_model_differ_in_certainty_alone(model: str) -> None:
    """A finding of one form alone is of a rule that could not decide all in the other; what both find, they say alike."""
    audits = _audit(_printed(model)), _audit(_job(model))
    printed, job = map(_said, audits)
    for audit, said, other in ((audits[0], printed, job), (audits[1], job, printed)):
        undecided = {doubt.rule for doubt in audit.doubts}
        assert [id_ for id_, finding in other.items() if id_ not in said and finding["rule"] not in undecided] == []
    assert {id_: finding for id_, finding in printed.items() if id_ in job} == {id_: job[id_] for id_ in printed if id_ in job}
    assert [doubt.rule for doubt in audits[1].doubts] == (["fp32-island"] if model in HIDDEN_CASTS else [])
