"""What edits tell together: each story takes its edits whole, and no edit is lost or told twice."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from commands import run

import irflops
from irflops.differ import Diff
from irflops.differ.stories import told
from irflops.differ.sums import Folded, summed

ROOT = Path(__file__).resolve().parent.parent
CHANGES = "fixtures/changes/{}.repr.txt.gz"
PAIRS = [
    (CHANGES.format("gpt"), CHANGES.format("gpt_block_added")),
    (CHANGES.format("cnn"), CHANGES.format("cnn_without_middle")),
    (CHANGES.format("cnn"), CHANGES.format("cnn_batch")),
    (CHANGES.format("gpt_tiny"), CHANGES.format("gpt_tiny_dp2tp2")),
    (CHANGES.format("cnn_train"), CHANGES.format("cnn_train_gelu")),
    ("fixtures/resnet18.repr.txt.gz", "fixtures/resnet50.repr.txt.gz"),
    ("fixtures/corpus/gpt_micro_amp.repr.txt.gz", "fixtures/corpus/gpt_micro_ckpt.repr.txt.gz"),
    ("fixtures/corpus/gpt_micro_amp.repr.txt.gz", "fixtures/corpus/gpt_micro_zero1.repr.txt.gz"),
]


@pytest.fixture(autouse=True)
def _at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def stories(diff: Diff) -> list[Folded]:
    return [item for item in told(diff.edits, diff.old, diff.new) if item.words]


@pytest.mark.parametrize("pair", PAIRS, ids=[Path(new).name.partition(".")[0] for _, new in PAIRS])
@pytest.mark.parametrize("turned", [False, True])
def test_every_edit_is_told_once_and_its_cost_with_it(pair: tuple[str, str], turned: bool) -> None:
    old, new = reversed(pair) if turned else pair
    diff = irflops.diff(old, new)
    items = told(diff.edits, diff.old, diff.new)
    assert Counter(id(edit) for item in items for edit in item.edits) == Counter(map(id, diff.edits))
    assert summed(item.cost for item in items).get("flops") == summed(edit.cost for edit in diff.edits).get("flops")
    assert len(told(diff.edits, diff.old, diff.new, full=True)) == len(diff.edits)


@pytest.mark.parametrize("turned", [False, True])
def test_module_that_comes_or_goes_is_one_line(turned: bool) -> None:
    old, new = PAIRS[0][::-1] if turned else PAIRS[0]
    diff = irflops.diff(old, new)
    (story,) = told(diff.edits, diff.old, diff.new)
    assert story.words == f"{'-' if turned else '+'} module TransformerBlock: 51 operators, 12 params, 8 modules"
    assert story.place == "model.blocks.1"
    assert abs(story.cost.get("params")) == 3280
    out = run("diff", old, new).stdout
    assert "(gone)" not in out or out.count("(gone)") == 1


def test_json_lists_every_edit_as_before() -> None:
    rows = json.loads(run("diff", *PAIRS[0], "--format", "json").stdout)["edits"]
    assert len(rows) == 72
    assert {"op_added", "param_added", "module_added"} == {row["kind"] for row in rows}
    assert any(row["reading"] == "+ module TransformerBlock in model.blocks.1" for row in rows)


def test_another_batch_is_one_line_and_says_what_a_sample_costs() -> None:
    diff = irflops.diff(*PAIRS[2])
    (story,) = told(diff.edits, diff.old, diff.new)
    assert story.words == "batch 2 -> 5: per sample unchanged"


def test_recomputation_is_one_line() -> None:
    diff = irflops.diff(*PAIRS[6])
    (story,) = told(diff.edits, diff.old, diff.new)
    assert story.words == "+ recompute of m.blocks.* (2 x): 98 operators"
    assert story.cost.get("flops") == diff.new.phases["recompute"].get("flops")
    back = irflops.diff(*PAIRS[6][::-1])
    (turned,) = told(back.edits, back.old, back.new)
    assert turned.words == story.words.replace("+", "-", 1)


def test_states_that_are_split_are_one_line() -> None:
    diff = irflops.diff(*PAIRS[7])
    words = [story.words for story in stories(diff)]
    assert words == ["optimizer states sharded over 4: 10 variables, 10 casts", "batch 4 -> 8: MACs per sample unchanged"]


def test_a_change_of_the_model_is_no_story() -> None:
    assert stories(irflops.diff(*PAIRS[4])) == []


def test_only_what_changed_is_shown_and_the_greatest_change_is_told() -> None:
    out = run("diff", *PAIRS[1], "--format", "markdown").stdout
    totals = out.partition("## Totals")[2].partition("##")[0].splitlines()[4:]
    assert totals
    assert all(row.count("|") == 6 and row.split("|")[4].strip() not in ("0", "") for row in totals if row)
    full = run("diff", *PAIRS[1], "--format", "markdown", "--full").stdout.partition("## Totals")[2].partition("##")[0]
    assert len(full.splitlines()) >= len(totals)
    same = run("diff", PAIRS[1][0], PAIRS[1][0]).stdout
    assert "costs        unchanged" in same
    assert "Totals" not in same


def test_comment_is_marked_and_says_nothing_changed_in_a_line() -> None:
    same = run("diff", PAIRS[1][0], PAIRS[1][0], "--format", "github").stdout
    assert same.splitlines() == ["<!-- irflops diff -->", f"**{PAIRS[1][0]} -\\> {PAIRS[1][0]}**: nothing changed.".replace("_", "\\_")]
    comment = run("diff", *PAIRS[5], "--format", "github").stdout
    assert comment.startswith("<!-- irflops diff -->\n")
    shown = "".join(part.rpartition("</details>")[2] for part in comment.split("<details>"))
    assert len([line for line in shown.splitlines() if line]) <= 24
    assert comment.count("<details>") == comment.count("</details>") >= 3
