"""What a graph would be with other inputs: equal to what OneFlow captured there, exact by hand, and refused where it cannot be told."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from whatif_graphs import CAPTURED, FORMS, captured, graph_of, refusal, shapes_of

import irflops
from irflops import Graph
from irflops.analysis.analysis import analyze_graph
from irflops.counting.cost import FIGURES
from irflops.ir.graph import DType, VariableKind
from irflops.readers.forms import PRINTED
from irflops.whatif import changed, worlds

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
NAMES = sorted(path.name.removesuffix(".repr.txt.gz") for path in FIXTURES.glob("*.repr.txt.gz"))


def input_shapes(graph: Graph) -> list[tuple[str, tuple[int, ...]]]:
    return [(op.name, tuple(extent or 0 for extent in op.outputs[0].type.shape or ())) for op in graph.ops if op.type == "input"]


def pairs() -> Iterator[tuple[str, str, str, str]]:
    """Model, captured input, asked input, form: every way around."""
    inputs: dict[str, list[str]] = {}
    for path in sorted(CAPTURED.glob("*.job.pb.gz")):
        name, at = path.name.removesuffix(".job.pb.gz").split(".")
        inputs.setdefault(name, []).append(at)
    for name, each in inputs.items():
        for start, end in itertools.permutations(each, 2):
            yield from ((name, start, end, form) for form in FORMS)


def test_pairs_are_there() -> None:
    assert {name for name, *_ in pairs()} == {"cnn", "mobile_net", "vit", "swin", "cnn_train", "gpt_train", "loop"}


@pytest.mark.parametrize(("name", "start", "end", "form"), list(pairs()))
def test_what_if_is_what_oneflow_captures_there(name: str, start: str, end: str, form: str) -> None:
    """Op by op: type, operands, results, sizes in attributes, costs. A mean's factor 1 / n is data, no size, and stays."""
    there = captured(name, end, form)
    here = captured(name, start, form)
    shapes = dict(zip((op for op, _ in input_shapes(here)), (shape for _, shape in input_shapes(there)), strict=True))
    asked = analyze_graph(changed(here, inputs=shapes))
    live = analyze_graph(there)
    assert asked.inference.disagreements == ()
    for op, other, cost, other_cost in zip(asked.graph.ops, live.graph.ops, asked.costs, live.costs, strict=True):
        assert op.type == other.type, op.name
        assert [operand.type for operand in op.inputs] == [operand.type for operand in other.inputs], op.name
        assert [result.type for result in op.outputs] == [result.type for result in other.outputs], op.name
        assert cost.cost == other_cost.cost, op.name
        assert {k: v for k, v in op.attrs.items() if k != "float_operand"} == {k: v for k, v in other.attrs.items() if k != "float_operand"}
    assert [getattr(asked.total, name) for name in ("figures", "params", "param_bytes")] == [
        getattr(live.total, name) for name in ("figures", "params", "param_bytes")
    ]
    guessed = any(note.code == "what-if-reading" for note in asked.notes)
    assert asked.total.certainty("flops") == ("unbounded" if guessed else "exact")
    assert not (guessed and form == "job.pb")


@pytest.mark.parametrize("name", NAMES)
def test_captured_inputs_change_nothing(name: str) -> None:
    graph = irflops.load(FIXTURES / f"{name}.repr.txt.gz")
    same = changed(graph, inputs=dict(input_shapes(graph)))
    assert replace(same, notes=graph.notes) == graph
    assert [note.code for note in same.notes[len(graph.notes) :]] == ["what-if"]
    assert changed(graph) is graph


@pytest.mark.parametrize("name", ["resnet18", "basic_block", "mlp_train", "cnn_accumulate", "cnn_checkpoint", "densenet121"])
def test_there_and_back_is_the_identity(name: str) -> None:
    graph = irflops.load(FIXTURES / f"{name}.repr.txt.gz")
    there = changed(graph, batch=24)
    batch = input_shapes(graph)[0][1][0]
    back = changed(there, batch=batch)
    assert back.ops == graph.ops
    assert there.ops != graph.ops


def test_work_of_a_cnn_doubles_with_the_batch() -> None:
    graph = irflops.load(FIXTURES / "resnet18.repr.txt.gz")
    one, three, six = (irflops.analyze(graph, batch=batch).total for batch in (1, 3, 6))
    for figure in ("macs", "flops", "bytes_written", "activation_elements", "activation_bytes"):
        assert six.get(figure) == 2 * three.get(figure) == 6 * one.get(figure)
    assert six.get("bytes_read") - three.get("bytes_read") == 3 * (three.get("bytes_read") - one.get("bytes_read")) // 2
    assert one.params == six.params


def test_hand_derived_linear() -> None:
    """A linear layer of 16 to 4 with 3 rows in place of 2: 3 * 16 * 4 products, 3 * 4 additions of the bias."""
    graph = graph_of(
        ("x", "input(shape=[2,16]) -> out: f32[2,16]"),
        ("w", "variable() -> out: f32[4,16]"),
        ("b", "variable() -> out: f32[4]"),
        ("m", "matmul(a: f32[2,16], b: f32[4,16], transpose_a=false, transpose_b=true) -> out: f32[2,4]", "x", "w"),
        ("y", "broadcast_add(x: f32[2,4], y: f32[4]) -> z: f32[2,4]", "m", "b"),
    )
    after = changed(graph, batch=3)
    total = irflops.analyze(after).total
    assert (total.get("macs"), total.get("flops")) == (192, 396)
    assert after.by_name["x"].attrs["shape"] == (3, 16)
    assert [note.text for note in after.notes] == ["not as captured: input 'x' 2x16 -> 3x16"]


def test_batch_takes_every_input_of_that_extent_and_says_which() -> None:
    graph = graph_of(
        ("x", "input() -> out: f32[4,3]"),
        ("labels", "input() -> out: i64[4]"),
        ("table", "input() -> out: f32[9,3]"),
        ("y", "relu(x: f32[4,3]) -> y: f32[4,3]", "x"),
    )
    after = changed(graph, batch=5, inputs={"table": (7, 3)})
    assert shapes_of(after) == {"x": (5, 3), "labels": (5,), "table": (7, 3), "y": (5, 3)}
    assert after.notes[0].text == "not as captured: input 'x' 4x3 -> 5x3; input 'labels' 4 -> 5; input 'table' 9x3 -> 7x3"


def test_an_op_without_a_rule_gives_unknown_shapes_never_stale_ones() -> None:
    graph = graph_of(
        ("x", "input() -> out: f32[4,3]"),
        ("strange", "no_such_op(in: f32[4,3]) -> out: f32[4,3]", "x"),
        ("y", "relu(x: f32[4,3]) -> y: f32[4,3]", "strange"),
    )
    after = changed(graph, batch=8)
    assert shapes_of(after) == {"x": (8, 3), "strange": None, "y": None}
    assert irflops.analyze(after).total.certainty("flops") == "lower_bound"
    assert "2 tensors" in next(note.text for note in after.notes if note.code == "what-if-unknown")


def test_an_elementwise_op_becomes_the_broadcasting_one_and_back() -> None:
    """OneFlow adds two tensors of one shape by add_n, and by broadcast_add otherwise."""
    graph = graph_of(
        ("x", "input() -> out: f32[1,3]"),
        ("w", "variable() -> out: f32[1,3]"),
        ("y", "add_n(in: [f32[1,3], f32[1,3]]) -> out: f32[1,3]", "x", "w"),
    )
    after = changed(graph, batch=8)
    op = after.by_name["y"]
    assert (op.type, [operand.arg for operand in op.inputs], op.outputs[0].type.shape) == ("broadcast_add", ["x", "y"], (8, 3))
    assert irflops.analyze(after).total.get("flops") == 24
    assert changed(after, batch=1).by_name["y"] == graph.by_name["y"]


def test_a_gradient_that_took_another_shape_at_batch_1_is_a_sum_at_others() -> None:
    """Of a table that is added to every sample: 8 gradients of 24 elements are 7 * 24 additions. A table of other sizes has none."""
    lines = (
        ("dy", "input() -> out: f32[1,4,6]"),
        ("table", "variable() -> out: f32[4,6]"),
        ("gradient", "reshape_like(in: f32[1,4,6], like: f32[4,6]) -> out: f32[4,6]", "dy", "table"),
    )
    after = changed(graph_of(*lines), batch=8)
    op = after.by_name["gradient"]
    assert (op.type, [operand.arg for operand in op.inputs], op.outputs[0].type.shape) == ("reduce_sum_like", ["x", "like"], (4, 6))
    total = irflops.analyze(after).total
    assert (total.get("flops"), total.worst) == (7 * 24, "exact")
    assert changed(graph_of(*lines), batch=1).by_name["gradient"].type == "reshape_like"
    assert "'gradient'" in refusal(graph_of(*lines), inputs=(1, 4, 12)).message


@pytest.mark.parametrize("form", ["job", "print"])
def test_a_constant_that_must_change_is_named_and_no_total_is_exact(form: str) -> None:
    """63 rows are 9 windows of 7. 80 would be 8 windows of 10, if the model took them at all."""
    shape = "" if form == "print" else ", shape=[1,8,7,3]"
    graph = graph_of(
        ("x", "input() -> out: f32[1,56,3]"),
        ("windows", f"reshape(in: f32[1,56,3]{shape}) -> out: f32[1,8,7,3]", "x"),
        ("y", "relu(x: f32[1,8,7,3]) -> y: f32[1,8,7,3]", "windows"),
    )
    if form == "print":
        graph = replace(graph, holds=PRINTED.holds)
    fits = irflops.analyze(graph, inputs=(1, 63, 3))
    assert shapes_of(fits.graph)["windows"] == (1, 9, 7, 3)
    assert fits.total.certainty("flops") == "exact"
    doubtful = irflops.analyze(graph, inputs=(1, 80, 3))
    note = next(note.text for note in doubtful.notes if note.code == "what-if-constant")
    assert "'windows': its shape holds 7, which must become 10" in note
    assert doubtful.total.certainty("flops") == "unbounded"


# Half precision


def test_dtype_takes_the_commonest_float_type_alone() -> None:
    graph = irflops.load(CAPTURED / "cnn_train.2.job.pb.gz")
    after = changed(graph, dtype="float16")
    for op, was in zip(after.ops, graph.ops, strict=True):
        for result, before in zip(op.outputs, was.outputs, strict=True):
            keeps = op.kind is VariableKind.OPTIMIZER_STATE or before.type.dtype is not DType.FLOAT32
            assert result.type.dtype is (before.type.dtype if keeps else DType.FLOAT16), op.name
            assert result.type.shape == before.type.shape
    assert any(op.kind is VariableKind.OPTIMIZER_STATE for op in graph.ops)
    full, half = irflops.analyze(graph).total, irflops.analyze(after).total
    assert [half.get(name) for name in FIGURES[:3]] == [full.get(name) for name in FIGURES[:3]]
    assert half.param_bytes[0] * 2 == full.param_bytes[0]
    assert half.param_bytes[3] == full.param_bytes[3]
    assert changed(after, dtype="float32").ops == graph.ops


def test_a_cast_to_the_commonest_type_follows() -> None:
    graph = graph_of(
        ("x", "input() -> out: i64[4]"),
        ("c", 'cast(in: i64[4], dtype="float32") -> out: f32[4]', "x"),
        ("d", 'cast(in: f32[4], dtype="float64") -> out: f64[4]', "c"),
        ("y", "relu(x: f32[4]) -> y: f32[4]", "c"),
    )
    after = changed(graph, dtype="bfloat16")
    assert [op.attrs.get("dtype") for op in after.ops] == [None, "bfloat16", "float64", None]
    assert [op.outputs[0].type.dtype for op in after.ops] == [DType.INT64, DType.BFLOAT16, DType.FLOAT64, DType.BFLOAT16]


# Refusals


def test_position_embeddings_are_named_with_both_shapes() -> None:
    for form in FORMS:
        error = refusal(captured("vit", "1x64", form), inputs=(1, 3, 96, 96))
        assert "1x145x24 from 'model-concat" in error.message
        assert "1x65x24 from variable 'model.positions'" in error.message
        assert error.hint is not None
        assert (error.line is not None) == (form == "repr.txt")


def test_a_linear_layer_behind_flatten_is_named_with_its_weight() -> None:
    graph = graph_of(
        ("x", "input() -> out: f32[1,2,8,8]"),
        ("flat", "flatten(in: f32[1,2,8,8], start_dim=1, end_dim=-1) -> out: f32[1,128]", "x"),
        ("head.weight", "variable() -> out: f32[4,128]"),
        ("y", "matmul(a: f32[1,128], b: f32[4,128], transpose_a=false, transpose_b=true) -> out: f32[1,4]", "flat", "head.weight"),
    )
    error = refusal(graph, inputs=(1, 2, 12, 12))
    assert "'y' cannot take the new sizes" in error.message
    assert "a 1x288 from 'flat'" in error.message
    assert "b 4x128 from variable 'head.weight'" in error.message
    assert irflops.analyze(graph, batch=3).total.get("macs") == 3 * 4 * 128


def test_a_windowed_model_is_bound_to_its_mask() -> None:
    error = refusal(captured("swin", "1x64", "job.pb"), inputs=(1, 3, 128, 128))
    assert "mask" in error.message


def test_an_unrolled_loop_is_not_lengthened() -> None:
    steps = [(f"step{i}", f"narrow(in: f32[3,5], dim=0, start={i}, length=1) -> out: f32[1,5]", "x") for i in range(3)]
    graph = graph_of(("x", "input() -> out: f32[3,5]"), *steps)
    assert "pieces" in refusal(graph, batch=4).message


def test_a_baked_size_that_several_extents_could_take_is_refused_by_name() -> None:
    """The 8 of the target may be the batch of 8 or the 8 windows of each sample, and nothing behind it tells."""
    lines = (
        ("x", "input() -> out: f32[8,16]"),
        ("windows", "reshape(in: f32[8,16], shape=[8,8,2]) -> out: f32[8,8,2]", "x"),
        ("merged", "reshape(in: f32[8,8,2], shape=[64,2]) -> out: f32[64,2]", "windows"),
        ("split", "reshape(in: f32[64,2], shape=[8,8,2]) -> out: f32[8,8,2]", "merged"),
    )
    error = refusal(graph_of(*lines), batch=3)
    assert "'split' (reshape) gave 8x8x2" in error.message
    assert "3x8x2" in error.message
    assert error.hint is not None
    told = graph_of(*lines, ("sum", "add_n(in: [f32[8,8,2], f32[8,8,2]]) -> out: f32[8,8,2]", "split", "windows"))
    assert shapes_of(changed(told, batch=3))["split"] == (3, 8, 2)


def test_windows_that_a_print_does_not_tell_are_taken_as_the_api_has_them_and_noted() -> None:
    """A convolution and a pooling that halve, one of 8 to 3 by windows of 3 that lie 2 apart, an interpolation to the double."""
    graph = irflops.load(FIXTURES / "functional_pool.repr.txt.gz")
    batch = irflops.analyze(graph, batch=6)
    assert [note.code for note in batch.notes] == ["what-if"]
    analysis = irflops.analyze(graph, inputs=(2, 3, 64, 64))
    assert analysis.inference.disagreements == ()
    shapes = [shape[2] if shape is not None and len(shape) == 4 else None for shape in shapes_of(analysis.graph).values()]
    assert [size for size in shapes if size] == [3, 32, 32, 16, 7, 14, 1, 64]
    note = next(note.text for note in analysis.notes if note.code == "what-if-reading")
    assert "'model-conv2d-0', 'model-max_pool_2d-2', 'model-avg_pool_2d-3' and 1 more" in note
    assert "_full_graph_proto" in note
    assert analysis.total.certainty("macs") == "unbounded"
    assert analysis.total.get("macs") == 2 * 32 * 32 * 8 * 27


def test_a_print_is_never_refused_for_what_it_leaves_open_and_a_job_is() -> None:
    """The interpolation may have been given a factor of 2 or the size 4."""
    lines = (
        ("x", "input() -> out: f32[1,3,2,2]"),
        ("y", "upsample_nearest_2d(x: f32[1,3,2,2]) -> y: f32[1,3,4,4]", "x"),
    )
    assert "8x8 or 1x3x4x4: both fit" in refusal(graph_of(*lines), inputs=(1, 3, 4, 4)).message
    printed = replace(graph_of(*lines), holds=PRINTED.holds)
    after = changed(printed, inputs=(1, 3, 4, 4))
    assert shapes_of(after)["y"] == (1, 3, 8, 8)
    assert irflops.analyze(after).total.certainty("bytes_written") == "unbounded"


def test_an_attribute_that_nothing_tells_leaves_the_result_unknown() -> None:
    graph = graph_of(
        ("x", "input() -> out: f32[2,7]"),
        ("windows", "unfold_tensor(x: f32[2,7]) -> y: f32[2,3,3]", "x"),
        ("y", "relu(x: f32[2,3,3]) -> y: f32[2,3,3]", "windows"),
    )
    after = changed(replace(graph, holds=PRINTED.holds), batch=4)
    assert shapes_of(after) == {"x": (4, 7), "windows": None, "y": None}
    assert "'windows' (size)" in next(note.text for note in after.notes if note.code == "what-if-unknown")
    assert irflops.analyze(after).total.certainty("flops") == "lower_bound"


def test_the_contradiction_of_an_update_is_seen_though_it_gives_out_nothing() -> None:
    graph = graph_of(
        ("x", "input() -> out: f32[1,3]"),
        ("w", "variable() -> out: f32[1,3]"),
        ("lr", "variable() -> out: f32[1]"),
        ("g", "relu(x: f32[1,3]) -> y: f32[1,3]", "x"),
        ("update", "sgd_update(model: f32[1,3], model_diff: f32[1,3], learning_rate: f32[1]) -> none: f32[]", "w", "g", "lr"),
    )
    assert "'update'" in refusal(graph, batch=2).message


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        ({"inputs": {"labes": (4,)}}, "no input is called 'labes'", "did you mean labels?"),
        ({"inputs": (4, 3)}, "the graph has 2 inputs:\n  x  4x3\n  labels  4", "name one: --input x=4x3"),
        ({"inputs": {"x": (4, 3, 2)}}, "has 2 axes, 4x3; 4x3x2 has 3", None),
        ({"inputs": {"x": (0, 3)}}, "extents are 1 or more", None),
        ({"inputs": {"x": (4, 2**63)}}, "too large", None),
        ({"batch": 0}, "a batch of 0 is none", None),
        ({"batch": 2**63}, "too large", None),
        ({"dtype": "flaot16"}, "no type of numbers", "did you mean float16?"),
    ],
)
def test_asking_wrongly_is_answered(asked: dict[str, object], message: str, hint: str | None) -> None:
    graph = graph_of(("x", "input() -> out: f32[4,3]"), ("labels", "input() -> out: i64[4]"))
    error = refusal(graph, **asked)
    assert message in error.message
    assert error.hint == hint


def test_a_graph_without_inputs_has_none_to_change() -> None:
    assert "no input" in refusal(graph_of(("w", "variable() -> out: f32[4]")), batch=2).message


@pytest.mark.parametrize("steps", [0, 60, 600, 6000])
@pytest.mark.parametrize("name", ["vit", "swin", "mobile_net"])
def test_a_print_is_answered_where_the_steps_run_out(name: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something is always open in a print: that it is too much to try is no contradiction."""
    monkeypatch.setattr(worlds, "MOST_STEPS", steps)
    monkeypatch.setattr(worlds, "STEPS_PER_TENSOR", 0)
    analysis = irflops.analyze(FIXTURES / "what_if" / f"{name}.1x64.repr.txt.gz", batch=8)
    ran_out = [note for note in analysis.notes if note.code == "what-if-exhausted"]
    sure = irflops.analyze(FIXTURES / "what_if" / f"{name}.8x64.job.pb.gz").total.get("macs")
    assert bool(ran_out) or analysis.total.get("macs") == sure
    assert not (ran_out and analysis.total.certainty("macs") == "exact")
    if steps == 0:
        assert ran_out
        with pytest.raises(irflops.IrflopsError, match="more readings open than are tried"):
            irflops.analyze(FIXTURES / "what_if" / f"{name}.1x64.job.pb.gz", batch=8)
