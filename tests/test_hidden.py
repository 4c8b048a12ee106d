"""What a form hides is never exact: a total is as sure as the form lets it be, and the head of a report says what the graph is."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

import irflops
from irflops.counting.cost import COST_NAMES, FIGURES
from irflops.counting.hidden import is_forward_alone
from irflops.ir.graph import Op, Phase, Placement
from irflops.ir.holds import Holds
from irflops.readers.forms import FORWARD_JOB, FULL_JOB, Form
from irflops.readers.notation.sketch import sketch

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
WORK = ("macs", "flops", "transcendentals")


def test_a_forward_job_of_a_training_step_is_a_bound() -> None:
    """It holds no optimizer and no recomputation, its chains of additions are not merged and dead results are still there."""
    forward, full = (irflops.analyze(FIXTURES / f"gpt_train.{form}.gz") for form in ("fwd.prototxt", "job.pb"))
    sure = {name: forward.total.certainty(name) for name in COST_NAMES}
    bounds = dict.fromkeys((*WORK, "params", "param_bytes"), "lower_bound")
    assert sure == dict.fromkeys(FIGURES, "unbounded") | bounds
    assert all(forward.total.get(name) <= full.total.get(name) for name in WORK)
    assert all(full.total.certainty(name) == "exact" for name in COST_NAMES)
    totals = forward.to_dict()["totals"]
    assert (totals["params"]["optimizer_state"], totals["param_bytes"]["optimizer_state"]) == (None, None)
    assert "forward-job" in {note.code for note in forward.notes}


@pytest.mark.parametrize(
    ("training", "holds", "phases", "alone"),
    [
        (True, False, (Phase.FORWARD, Phase.SYSTEM, None), True),
        (True, False, (Phase.FORWARD, Phase.BACKWARD), False),
        (True, False, (Phase.OPTIMIZER,), False),
        (True, True, (Phase.FORWARD,), False),
        (False, False, (Phase.FORWARD,), False),
    ],
)
def test_a_training_step_may_be_told_without_what_follows_the_loss(
    training: bool, holds: bool, phases: tuple[Phase | None, ...], alone: bool
) -> None:
    ops = tuple(Op(f"op-{number}", "relu", (), (), phase=phase) for number, phase in enumerate(phases))
    graph = sketch("x = input() -> out: f32[2]").graph
    assert is_forward_alone(replace(graph, ops=ops, training=training, holds=Holds(backward=holds))) is alone


@pytest.mark.parametrize("form", ["fwd.prototxt", "mlir"])
def test_of_a_graph_for_inference_these_forms_tell_all(form: str) -> None:
    analysis = irflops.analyze(FIXTURES / f"basic_block.{form}.gz")
    assert analysis.total.worst == "exact"
    assert analysis.to_dict()["totals"]["params"]["optimizer_state"] == 0


def test_several_ranks_are_told() -> None:
    """Two of data by two of tensor parallelism, one stage of four ranks; what OneFlow adds itself takes them as one row."""
    analysis = irflops.analyze(FIXTURES / "changes" / "gpt_tiny_dp2tp2.repr.txt.gz")
    devices = analysis.devices
    assert (devices.ranks, devices.mesh, len(devices.stages)) == (4, (2, 2), 1)
    assert not irflops.analyze(FIXTURES / "basic_block.repr.txt.gz").is_spread


@pytest.mark.parametrize(("terms", "certainty"), [(("x", "y", "y"), "exact"), (("x", "y", "s"), "lower_bound")])
def test_a_forward_job_whose_sums_a_pass_merges_is_open(terms: tuple[str, str, str], certainty: str) -> None:
    """A sum that a sum alone reads goes into it: one operator that reads and writes less, and adds the terms as often as it was read."""
    first, second, third = terms
    text = f"""x = input() -> out: f32[2,3]
y = input() -> out: f32[2,3]
s = add_n(in: [{first}, {second}]) -> out: f32[2,3]
t = add_n(in: [s, {third}]) -> out: f32[2,3]
o = output(in: t) -> out: f32[2,3]
"""
    graph = replace(sketch(text).graph, holds=FORWARD_JOB.holds)
    total = irflops.analyze(graph).total
    assert (total.certainty("flops"), total.certainty("macs")) == (certainty, "exact")
    assert {total.certainty(name) for name in ("bytes_read", "bytes_written", "activation_bytes")} == {"unbounded"}


SWITCHED = {
    "enable_fuse_add_to_output": "l = matmul(a: x, b: x, transpose_b=true) -> out: f32[2,2]\ns = add_n(in: [l, l]) -> out: f32[2,2]",
    "enable_fuse_cast_scale": "s = cast(in: x, dtype=float16) -> out: f16[2,3]",
    "enable_auto_mixed_precision": "s = relu(x: x) -> y: f32[2,3]",
}
"""By a switch of a job, an operator that the pass changes which obeys it."""


@pytest.mark.parametrize("switch", SWITCHED)
@pytest.mark.parametrize("made", SWITCHED.values())
@pytest.mark.parametrize("form", [FORWARD_JOB, FULL_JOB])
def test_a_pass_to_come_leaves_what_moves_open(switch: str, made: str, form: Form) -> None:
    """Only before the pass ran, and where the graph has what it changes; the work stays as it is, and an evaluation keeps nothing."""
    graph = sketch(f"x = input() -> out: f32[2,3]\n{made}\n").graph
    device = "cuda" if made == SWITCHED["enable_auto_mixed_precision"] else "cpu"
    ops = tuple(replace(op, placement=Placement(device, (0,), (1,))) for op in graph.ops)
    total = irflops.analyze(replace(graph, ops=ops, holds=form.holds, switches=frozenset({switch}))).total
    opens = form is FORWARD_JOB and made == SWITCHED[switch]
    assert {total.certainty(name) for name in ("bytes_read", "bytes_written", "activation_bytes")} == {"unbounded" if opens else "exact"}
    assert {total.certainty(name) for name in ("macs", "flops", "saved_bytes", "params")} == {"exact"}


def test_a_forward_job_tells_its_switches() -> None:
    graph = irflops.load(FIXTURES / "basic_block.fwd.prototxt.gz")
    text = gzip.decompress((FIXTURES / "basic_block.fwd.prototxt.gz").read_bytes()).decode()
    on = irflops.loads(text.replace("job_conf {", "job_conf {\n  enable_fuse_add_to_output: true\n  enable_fuse_cast_scale: false\n"))
    assert (sorted(graph.switches), sorted(on.switches)) == ([], ["enable_fuse_add_to_output"])
    assert irflops.analyze(graph).total.certainty("bytes_read") == "exact"
