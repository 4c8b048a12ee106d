"""Training graphs of OneFlow 0.8.0: what the print tells is what the job tells, operator by operator; figures by hand."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import irflops
from irflops import Analysis, Graph
from irflops.ir.graph import Op, Phase

V080 = Path(__file__).resolve().parents[1] / "fixtures" / "v080"
NAMES = ("cnn", "gpt", "gradients", "losses")
FIGURES = ("macs", "flops", "transcendentals", "bytes_read", "bytes_written", "activation_bytes")


def analysis_of(name: str, form: str) -> Analysis:
    return irflops.analyze(V080 / f"{name}.{form}.gz")


def shown(op: Op) -> tuple[object, ...]:
    """What two forms must agree in."""
    results = [(result.lbn, result.type) for result in op.outputs]
    return op.type, [(operand.arg, operand.index, operand.lbn) for operand in op.inputs], results, op.phase, op.runs, op.module


@pytest.mark.parametrize("name", NAMES)
def test_print_and_job_are_one_graph(name: str) -> None:
    printed, job = analysis_of(name, "repr.txt"), analysis_of(name, "job.pb")
    ops = printed.graph.by_name
    assert {op.name for op in job.graph.ops} == ops.keys()
    for op in job.graph.ops:
        seen = ops[op.name]
        if not seen.hidden and not seen.elided:
            assert shown(seen) == shown(op)
    for figure in FIGURES:
        assert printed.total.get(figure) == job.total.get(figure), figure
        assert job.total.certainty(figure) == "exact"
        assert printed.total.certainty(figure) == "exact" or (name, figure) == ("gradients", "transcendentals")  # of a power's exponent
    assert printed.graph.training
    assert not irflops.diff(printed, job).edits


@pytest.mark.parametrize("name", NAMES)
def test_every_operator_has_a_type_and_a_phase(name: str) -> None:
    for op in analysis_of(name, "repr.txt").graph.ops:
        assert op.type is not None, op.name
        assert op.phase is not None, op.name


def macs_by_phase(analysis: Analysis) -> dict[str, int]:
    return {str(getattr(phase, "value", phase)): macs for phase, cost in analysis.phases.items() if (macs := cost.get("macs"))}


@pytest.mark.parametrize("form", ["repr.txt", "job.pb"])
def test_macs_by_hand(form: str) -> None:
    pixels, halved = 4 * 8 * 8, 4 * 4 * 4
    conv1, conv2, fc = pixels * 8 * 27, halved * 8 * 18, 4 * 8 * 4
    # The first convolution is frozen and fed by the input; the second has two channels a group.
    assert macs_by_phase(analysis_of("cnn", form)) == {"forward": conv1 + conv2 + fc, "backward": 2 * conv2 + 2 * fc}
    tokens = 4 * 6
    block = tokens * (16 * 48 + 16 * 16 + 2 * 16 * 32) + 2 * (4 * 2 * 6 * 6 * 8)
    forward = block + tokens * 16 * 20
    assert macs_by_phase(analysis_of("gpt", form)) == {"forward": forward, "recompute": block, "backward": 2 * forward}
    assert macs_by_phase(analysis_of("losses", form)) == {"forward": 2 * (2 * 4 * 4), "backward": 2 * (2 * 4 * 4)}


@pytest.mark.parametrize("form", ["repr.txt", "job.pb"])
def test_gradients_that_consume_none_are_backward_all_the_same(form: str) -> None:
    """The deviation out of a batch norm's running variance, which is there in training mode too, unread there; a where's zeros."""
    ops = {**analysis_of("cnn", form).graph.by_name, **analysis_of("gradients", form).graph.by_name}
    found = [op for op in ops.values() if op.name.endswith(("-VarianceAddEpsilon", "-VarianceRsqrt", "_zero_grad"))]
    assert len(found) == 2 * 2 + 1
    assert {op.phase for op in found} == {Phase.BACKWARD}


@pytest.mark.parametrize("form", ["repr.txt", "job.pb"])
def test_two_backward_passes_and_what_comes_after(form: str) -> None:
    phases = {op.name: op.phase for op in analysis_of("losses", form).graph.ops}
    assert phases["b-matmul-3"] is Phase.FORWARD, "made after the first loss.backward()"
    assert phases["exp-8"] is Phase.FORWARD
    assert phases["reduce_sum-2_output_tensor_0_grad_ConstantLike"] is Phase.BACKWARD
    assert phases["b-matmul-3_grad_b"] is Phase.BACKWARD


@pytest.mark.parametrize("form", ["repr.txt", "job.pb"])
def test_accumulation_runs_twice_and_updates_once(form: str) -> None:
    runs = {op.name: op.runs for op in analysis_of("gpt", form).graph.ops}
    assert runs["model.head-broadcast_matmul-33_b_grad"] == 2
    assert {runs[name] for name in runs if name.endswith("_optimizer")} == {1}
    assert {runs[name] for name in runs if name.startswith("OneFlow-System-Checkpointing-")} == {2}


@pytest.mark.parametrize("form", ["fwd.prototxt", "mlir"])
@pytest.mark.parametrize("name", ["cnn", "gpt", "losses"])
def test_a_form_of_the_forward_pass_alone_says_so(name: str, form: str) -> None:
    """0.8.0 dumps and saves the forward job before it makes gradients; a saved one marks the loss."""
    alone, whole = analysis_of(name, form), analysis_of(name, "job.pb")
    assert alone.graph.training
    assert "forward-alone" in {note.code for note in alone.graph.notes}
    assert macs_by_phase(alone) == {"forward": macs_by_phase(whole)["forward"]}
    assert alone.total.certainty("macs") == alone.total.certainty("params") == "lower_bound"
    assert alone.to_dict()["totals"]["params"]["optimizer_state"] is None


@pytest.mark.parametrize("name", ["cnn", "gpt", "losses"])
def test_a_diff_leaves_open_what_a_form_of_the_forward_pass_alone_lacks(name: str) -> None:
    saved, job = analysis_of(name, "mlir"), analysis_of(name, "job.pb")
    assert irflops.diff(saved, job).edits == irflops.diff(job, saved).edits == ()
    assert any("optimizer" in words for words in irflops.diff(saved, job).not_compared)


def test_a_graph_trains_though_a_module_has_a_configuration_of_its_own() -> None:
    """The CONFIG line of a module under activation checkpointing says nothing of training."""
    text = gzip.decompress((V080 / "gpt.repr.txt.gz").read_bytes()).decode()
    assert text.count("(CONFIG:") == 2
    assert irflops.loads(text).training


TENSOR = "sbp=(B), size=(2), dtype=(oneflow.float32)"
PLACED = 'placement=(oneflow.placement(type="cpu", ranks=[0, 1]))'


def printed(*lines: str, outputs: str = "") -> Graph:
    ops = "\n".join(f"  (OPERATOR: {line}:{PLACED})" for line in lines)
    return irflops.loads(f"(GRAPH:G_0:G): (\n  (CONFIG:config:GraphConfig(training=False, ))\n{ops}\n{outputs})\n")


def test_the_learning_rate_behind_boxing_is_no_scale() -> None:
    rate = "System-Train-LearningRate-Scheduler_3/out"
    graph = printed(
        f"w() -> (out:{TENSOR})",
        f"System-Boxing-Identity-9({rate}:{TENSOR}) -> (out:{TENSOR})",
        f"w_optimizer(w/out:({TENSOR}), g-relu-1/y_0:({TENSOR}), System-Boxing-Identity-9/out:({TENSOR})) -> ()",
    )
    update = graph.by_name["w_optimizer"]
    assert update.type == "sgd_update"
    assert [operand.arg for operand in update.inputs] == ["model", "model_diff", "learning_rate"]


def test_an_output_is_told_where_it_is_the_one_of_its_type() -> None:
    """0.8.0 prints `(...)` on an output's line: of two of one type, the tensor that nothing reads may be either."""
    made = [f"exp-{n}(x/out:({TENSOR})) -> (exp-{n}/y_0:({TENSOR}))" for n in (0, 1)]
    line = "  (OUTPUT:_G_0_output.0.{}:tensor(..., size=(2,), dtype=oneflow.float32))\n"
    one = printed(made[0], "_G_0_output.0.0_2(...) -> (...)", outputs=line.format("0_2"))
    assert [operand.lbn for operand in one.by_name["_G_0_output.0.0_2"].inputs] == ["exp-0/y_0"]
    elided = [f"_G_0_output.0.{n}_{n + 2}(...) -> (...)" for n in (0, 1)]
    two = printed(made[0], *elided, outputs=line.format("0_2") + line.format("1_3"))
    assert [op.inputs for op in two.ops if op.type == "output"] == [(), ()]


def test_an_input_lies_as_its_line_says() -> None:
    line = "  (INPUT:_G_0_input.0.0_2:tensor(..., sbp=(oneflow.sbp.split(dim=0),), size=(2,), dtype=oneflow.float32))\n"
    graph = printed("_G_0_input.0.0_2(...) -> (...)", f"exp-0(_G_0_input.0.0_2/out:({TENSOR})) -> (exp-0/y_0:({TENSOR}))", outputs=line)
    (result,) = graph.by_name["_G_0_input.0.0_2"].outputs
    assert [(sbp.kind, sbp.axis) for sbp in result.nd_sbp or ()] == [("S", 0)]


def test_a_sum_of_gradients_that_is_missing_makes_a_bound() -> None:
    """The job's layer_norm_grad adds the residual's gradient, 4 x 8 elements; a print says neither that nor that it does not."""
    printed, job = analysis_of("fused", "repr.txt"), analysis_of("fused", "job.pb")
    added = [op.name for op in job.graph.ops if any(operand.arg == "_add_to_output" for operand in op.inputs)]
    assert added == ["model.norm-layer_norm-2_grad"]
    assert [op.name for op in printed.graph.ops if op.readings] == added
    assert "fused-add" in {note.code for note in printed.graph.notes}
    assert printed.total.certainty("flops") == printed.total.certainty("bytes_read") == "lower_bound"
    assert printed.total.get("flops") <= job.total.get("flops") - 4 * 8
    assert printed.total.certainty("macs") == "exact"


def test_where_gradients_are_summed_no_term_is_missing() -> None:
    """`gradients` reads a parameter some forty times, `gpt` has residuals: each sum is an `X_clone_grad_N`."""
    for name in NAMES:
        assert "fused-add" not in {note.code for note in analysis_of(name, "repr.txt").graph.notes}
