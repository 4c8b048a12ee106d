"""What the rules find in real dumps: read by a person once, with a reason for each rule that fires, and compared ever since.

`pytest --update` writes what is found now; a new rule of a model gets an empty reason, which fails until someone has read its findings.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import irflops
from irflops.audit.engine import run_rules
from irflops.audit.rules import RULES

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden" / "audit.json"
MODELS = (
    *("basic_block", "cnn_accumulate", "cnn_checkpoint", "densenet121", "freelist", "frozen", "functional_pool", "gpt2_small_infer"),
    *("gpt_train", "loc", "mlp_train", "moved_metric", "none_input", "resnet18", "resnet50", "tied"),
)


def _found(model: str) -> dict[str, list[str]]:
    """Ids by rule."""
    audit = run_rules(irflops.analyze(ROOT / "fixtures" / f"{model}.repr.txt.gz"), RULES)
    found: dict[str, list[str]] = {}
    for finding in audit.findings:
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
