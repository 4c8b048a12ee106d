"""Graphs of libai and onediff, with their own switches on: what a print says and what the job of the same graph says never contradict."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

import irflops
from irflops import Analysis
from irflops.counting.cost import FIGURES
from irflops.ir.graph import Op, Role

REAL = Path(__file__).resolve().parents[1] / "fixtures" / "real"
NAMES = sorted(path.name.removesuffix(".repr.txt.gz") for path in REAL.glob("*.repr.txt.gz"))


@pytest.fixture(scope="module", params=NAMES)
def pair(request: pytest.FixtureRequest) -> tuple[Analysis, Analysis]:
    """Print and job of one graph."""
    printed, job = (irflops.analyze(REAL / f"{request.param}.{form}.gz") for form in ("repr.txt", "job.pb"))
    return printed, job


@pytest.mark.parametrize("figure", FIGURES)
def test_two_exact_figures_are_equal_and_a_bound_holds(figure: str, pair: tuple[Analysis, Analysis]) -> None:
    printed, job = (analysis.total for analysis in pair)
    assert job.is_known(figure)
    if printed.is_known(figure):
        assert printed.get(figure) == job.get(figure)
    else:
        assert printed.get(figure) < job.get(figure)


def test_macs_and_params_are_known(pair: tuple[Analysis, Analysis]) -> None:
    printed, job = pair
    assert printed.total.is_known("macs")
    assert (printed.total.params, printed.total.param_bytes) == (job.total.params, job.total.param_bytes)


def test_the_diff_of_both_forms_is_empty(pair: tuple[Analysis, Analysis]) -> None:
    assert irflops.diff(*pair).edits == ()


def test_types_and_operands_are_the_jobs(pair: tuple[Analysis, Analysis]) -> None:
    printed, job = (analysis.graph.by_name for analysis in pair)
    boxed = {op.outputs[0].lbn: op.inputs[0].lbn for op in printed.values() if op.role is Role.BOXING}
    assert {name: _told(op, boxed) for name, op in printed.items() if not op.hidden and op.role is not Role.BOXING} == {
        name: _told(job[name], {}) for name, op in printed.items() if not op.hidden and op.role is not Role.BOXING
    }
    assert {name for name, op in printed.items() if op.role is not Role.BOXING} == job.keys()


def _told(op: Op, boxed: Mapping[str, str]) -> tuple[str | None, list[tuple[str, str]]]:
    return op.type, [(operand.arg, boxed.get(operand.lbn, operand.lbn)) for operand in op.inputs if operand.arg != "_add_to_output"]


def terms(op: Op) -> bool:
    return any(operand.arg == "_add_to_output" for operand in op.inputs)


@pytest.mark.parametrize(
    ("name", "adding", "in_doubt"),
    [
        ("libai_gpt_eval", 4, 4),
        ("libai_t5_eval", 10, 10),
        ("libai_vit_train", 6, 6),
        ("libai_vit_train_ckpt", 8, 8),
        ("libai_vit_train_acc", 6, 6),
        ("libai_gpt_train_tensor_parallel", 8, 10),
    ],
)
def test_an_operator_that_adds_a_term_no_print_shows_is_in_doubt(name: str, adding: int, in_doubt: int) -> None:
    """Every operator of the job with an `_add_to_output` has two readings in the print; a note says how many."""
    job, printed = (irflops.load(REAL / f"{name}.{form}.gz") for form in ("job.pb", "repr.txt"))
    hidden = {op.name for op in job.ops if terms(op)}
    doubtful = {op.name for op in printed.ops if op.readings}
    assert (len(hidden), len(doubtful), hidden - doubtful) == (adding, in_doubt, set())
    assert [note.text.partition(" ")[0] for note in printed.notes if note.code == "fused-add"] == [str(in_doubt)]


def test_a_variable_that_passes_folded_is_a_parameter() -> None:
    """onediff folds batch norms into convolutions: 11,511,784 elements, of which a print declares the linear layer's 513,000 alone."""
    analysis = irflops.analyze(REAL / "onediff_resnet18.repr.txt.gz")
    folded = [op for op in analysis.graph.ops if re.fullmatch(r"variable_\d+", op.name)]
    assert (len(folded), sum(analysis.total.params), analysis.total.is_known("params")) == (34, 11_511_784, True)
    assert [note.code for note in analysis.graph.notes] == ["folded-variable"]


def test_what_is_computed_again_adds_what_its_operator_adds() -> None:
    printed = irflops.load(REAL / "libai_vit_train_ckpt.repr.txt.gz").by_name
    again = {name: op for name, op in printed.items() if name.startswith("Sys-Checkpointing") and op.type == "dropout"}
    assert {name: bool(op.readings) for name, op in again.items()} == {
        name: bool(printed[name.removeprefix("Sys-Checkpointing-Fake-Fw-Op_")].readings) for name in again
    }
    assert any(op.readings for op in again.values())


def test_a_saved_step_and_its_job_differ_in_nothing_that_saving_holds() -> None:
    """`oneflow.save` writes the forward job: no optimizer, parallel casts that a pass prunes, sums that it merges."""
    saved, job = (irflops.analyze(REAL / f"libai_vit_train_acc.{form}.gz") for form in ("mlir", "job.pb"))
    assert irflops.diff(saved, job).edits == irflops.diff(job, saved).edits == ()
    ours, theirs = saved.graph.by_name, job.graph.by_name
    assert {name: op.module for name, op in ours.items() if name in theirs} == {
        name: theirs[name].module for name in ours if name in theirs
    }


def test_a_copy_adds_what_only_its_readers_tell() -> None:
    """Two products that others read beside their sum: the pass took the sum of what is computed again alone."""
    job, printed = (irflops.load(REAL / f"recomputed_sums.{form}.gz").by_name for form in ("job.pb", "repr.txt"))
    copies = [name for name, op in job.items() if terms(op) and op.name.startswith("Sys-Checkpointing-Fake-Fw-Op_")]
    assert len(copies) == 2
    assert all(printed[name].inputs == job[name].inputs and not printed[name].readings for name in copies)
