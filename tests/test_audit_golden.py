"""What the rules find in real dumps: read by a person once, with a reason for each rule that fires, and compared ever since.

`pytest --update` writes what is found now; a new rule of a model gets an empty reason, which fails until someone has read its findings.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from audited import CAPTURE, FIXTURES, FORWARD, JOB, JOB_TEXT, MODELS, PRINT, SAVED, audit, dump, forms_of, is_open, said, undecided
from test_article import LISTINGS

import irflops
from irflops.auditing.engine import run_rules
from irflops.auditing.finding import Audit
from irflops.auditing.rules import RULES

GOLDEN = Path(__file__).resolve().parent / "golden" / "audit.json"

OF_A_JOB = frozenset({"unused-param", "fp32-island"})
OF_DEVICES = frozenset({"boxing-in-loop", "avoidable-reshard", "large-broadcast-parameter", "small-transfers", "replicated-compute"})
OF_A_STEP = frozenset(
    {"checkpoint-without-effect", "peak-held-for-good", "never-freed-gradients", "never-updated-param", "unbalanced-stages"}
)
LEFT_OPEN = {
    PRINT: frozenset({"suspicious-attribute", "common-subexpression", "unknown-op", "fp32-island"}),
    JOB: OF_A_JOB,
    JOB_TEXT: OF_A_JOB,
    FORWARD: OF_A_JOB | OF_DEVICES | OF_A_STEP | {"unsharded-optimizer-state", "elementwise-traffic"},
    SAVED: OF_A_JOB | OF_DEVICES | OF_A_STEP | {"dead-op"},
    CAPTURE: frozenset({"fp32-island"}),
}
"""By form, the rules that may leave something open in a model here: a print lacks attributes, the others declarations, and so on."""


def _found(model: str) -> dict[str, list[str]]:
    """Ids by rule."""
    found: dict[str, list[str]] = {}
    for finding in audit(model, PRINT).findings:
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


def test_every_dump_of_the_corpus_is_audited() -> None:
    dumps = {path.name for path in (FIXTURES / "corpus").glob("*.gz")}
    files = {path for model in MODELS for form in (PRINT, JOB, JOB_TEXT, FORWARD, SAVED) if (path := dump(model, form)) is not None}
    assert dumps == {path.name for path in files if path.parent.name == "corpus"}
    alone = {"corpus/lstm", "corpus/train.loc"}  # printed only
    assert [m for m in MODELS if m.startswith("corpus/") and m not in alone and not {JOB, JOB_TEXT}.intersection(forms_of(m))] == []


@pytest.mark.parametrize("model", [model for model in MODELS if len(forms_of(model)) > 1])
def test_forms_of_a_model_differ_in_certainty_alone(model: str) -> None:
    """Each form finds what any form finds, unless the rule says that it could not decide there; and all say the same of it."""
    audits = {form: audit(model, form) for form in forms_of(model)}
    in_any: dict[str, dict[str, Any]] = {}
    for found in audits.values():
        in_any = said(found) | in_any
    for form, found in audits.items():
        own = said(found)
        assert undecided(found) <= LEFT_OPEN[form]
        assert [id_ for id_ in in_any if id_ not in own and not is_open(found, in_any[id_])] == [], form
        assert own == {id_: in_any[id_] for id_ in own}, form


@pytest.mark.parametrize("text", LISTINGS.values(), ids=list(LISTINGS))
def test_published_listing_is_audited_as_the_print_it_was(text: str) -> None:
    listing: Audit = run_rules(irflops.analyze(irflops.loads(text)), RULES)
    assert listing.complete
    assert said(listing) == said(audit("basic_block", PRINT))
