"""What backward keeps of forward: against a count of its own over the text of jobs, from form to form, and by hand."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import run
from google.protobuf import text_format
from jobs import content, message

import irflops
from irflops import Analysis
from irflops.analysis.analysis import analyze_graph
from irflops.counting.cost import COST_NAMES
from irflops.errors import Source
from irflops.ir.graph import DType, Graph, Module, Op, Operand, Phase, Placement, TensorType
from irflops.ir.sbp import NdSbp, Sbp

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
TRAINED = sorted(
    path.relative_to(FIXTURES).as_posix().removesuffix(".job.pb.gz")
    for path in FIXTURES.rglob("*.job.pb.gz")
    if re.search("train|micro|accumulate|corpus/cnn|odds|v080", str(path.relative_to(FIXTURES)))
)
PRINTED = [stem for stem in TRAINED if (FIXTURES / f"{stem}.repr.txt.gz").exists()]


def analysis_of(stem: str, form: str = "job.pb") -> Analysis:
    return irflops.analyze(FIXTURES / f"{stem}.{form}.gz")


def by_op(analysis: Analysis) -> dict[str, int]:
    """What is kept of each operator's results, where it is anything."""
    found = {op.name: cost.cost.get("saved_bytes") for op, cost in zip(analysis.graph.ops, analysis.costs, strict=True)}
    return {name: nbytes for name, nbytes in found.items() if nbytes}


# ------------------------------------------------------------------ a count of its own

VIEWS = {
    *("reshape", "reshape_like", "flatten", "squeeze", "expand_dims", "identity", "pinned_identity", "repeat", "stop_gradient"),
    *("amp_white_identity", "amp_black_identity", "parallel_cast", "hierarchical_parallel_cast"),
}
SIZES = {"kFloat": 4, "kDouble": 8, "kInt8": 1, "kInt32": 4, "kInt64": 8, "kUInt8": 1, "kFloat16": 2, "kBool": 1}
SOURCES = ("variable_conf", "input_conf", "learning_rate_schedule_conf")

Block = dict[str, list[Any]]


def blocks(text: str) -> Block:
    """A protobuf text with one field or brace a line, as the library prints it: values by field, messages as the same within."""
    top: Block = {}
    inside = [top]
    for line in text.splitlines():
        if line.endswith("{"):
            inside.append({})
            inside[-2].setdefault(line.split()[0], []).append(inside[-1])
        elif line.strip() == "}":
            inside.pop()
        else:
            name, _, value = line.strip().partition(": ")
            inside[-1].setdefault(name, []).append(value.strip('"'))
    return top


def kept(text: str) -> dict[str, int]:
    """By operator of the forward pass, the bytes of its results that anything but it and the updates reads, views looked through.

    Forward is what losses and the graph's outputs need, without what the losses' gradients lead to and what is computed again.
    """
    job = blocks(text)
    reads: dict[str, list[str]] = {}
    types: dict[str, str] = {}
    for op in job["net"][0]["op"]:
        (name,) = op["name"]
        conf = next(key for key in op if key.endswith("_conf"))
        user = op[conf][0]
        types[name] = user["op_type_name"][0] if conf == "user_conf" else conf
        reads[name] = [lbn for arg in user.get("input", ()) for lbn in arg["value"][0]["s"]] + user.get("in", [])
    sizes = {}
    for described in job["helper"][0]["lbn2logical_blob_desc"]:
        value = described["value"][0]
        extents = map(int, value["shape"][0].get("dim", ()))
        sizes[described["key"][0]] = math.prod(extents) * SIZES[value["data_type"][0]]
    train = job["job_conf"][0]["train_conf"][0]

    after = {lbn.split("/")[0] for lbn in train["loss_grad_lbn"]}
    while more := {name for name in reads if name not in after and any(lbn.split("/")[0] in after for lbn in reads[name])}:
        after |= more
    before: set[str] = set()
    left = [lbn.split("/")[0] for lbn in train["loss_lbn"]] + [name for name in types if types[name] == "output_conf"]
    while left:
        name = left.pop()
        if name not in before:
            before.add(name)
            left += [lbn.split("/")[0] for lbn in reads[name]]
    before = {name for name in before - after if not name.startswith("Sys-Checkpointing") and types[name] not in SOURCES}

    found: dict[str, set[str]] = {}
    for lbn in [lbn for name, read in reads.items() if name not in before and not types[name].endswith("_update") for lbn in read]:
        owned = lbn
        while types[owned.split("/")[0]] in VIEWS:
            owned = reads[owned.split("/")[0]][0]
        if owned.split("/")[0] in before:
            found.setdefault(owned.split("/")[0], set()).add(owned)
    return {name: sum(sizes[lbn] for lbn in lbns) for name, lbns in found.items()}


SPLIT_SOFTMAX = "real/libai_gpt_train_tensor_parallel"
"""OneFlow cuts a softmax into steps here. The last, its result, is read by the backward pass alone: the count below takes it for backward
and keeps what it reads, the scope says forward."""


@pytest.mark.parametrize("stem", [stem for stem in TRAINED if "v080" not in stem and stem != SPLIT_SOFTMAX])
def test_a_job_keeps_what_a_count_of_its_own_finds(stem: str) -> None:
    wire = message()
    wire.ParseFromString(content(stem, "job.pb"))
    analysis = analysis_of(stem)
    assert by_op(analysis) == kept(text_format.MessageToString(wire))
    assert analysis.total.get("saved_bytes") > 0
    assert analysis.total.certainty("saved_bytes") == "exact"


# ------------------------------------------------------------------ from form to form


@pytest.mark.parametrize("stem", PRINTED)
def test_a_print_keeps_what_its_job_does(stem: str) -> None:
    printed, job = analysis_of(stem, "repr.txt"), analysis_of(stem)
    if stem == "real/libai_vit_train_ckpt":  # additions that no print shows: what may read more is a bound
        assert printed.total.certainty("saved_bytes") == "lower_bound"
        assert 0 < printed.total.get("saved_bytes") <= job.total.get("saved_bytes")
        return
    assert printed.total.certainty("saved_bytes") == "exact"
    assert by_op(printed) == by_op(job)


@pytest.mark.parametrize("stem", ["gpt_train", "corpus/gpt_micro_ckpt", "v080/cnn"])
def test_a_forward_job_of_a_training_step_is_not_sure_of_it(stem: str) -> None:
    """It does not show what will be computed again; in 0.8.0 it shows no backward pass, and none of it is counted."""
    forward = analysis_of(stem, "fwd.prototxt")
    assert forward.total.certainty("saved_bytes") == ("lower_bound" if stem == "v080/cnn" else "unbounded")
    assert (forward.total.get("saved_bytes") == 0) == (stem == "v080/cnn")


def test_checkpointing_keeps_less_though_it_holds_more_activations() -> None:
    """Of one network; the text of the job says so too, see above."""
    plain, again = (analysis_of(f"corpus/gpt_micro_{kind}").total for kind in ("amp", "ckpt"))
    assert (plain.get("saved_bytes"), again.get("saved_bytes")) == (1_482_248, 205_832)
    assert plain.get("activation_bytes") < again.get("activation_bytes")


def test_nothing_is_kept_for_no_backward_pass() -> None:
    total = analysis_of("basic_block", "repr.txt").total
    assert (total.get("saved_bytes"), total.certainty("saved_bytes")) == (0, "exact")


@pytest.mark.parametrize("stem", ["corpus/gpt_micro_ckpt", "corpus/cnn_accumulate", "v080/gpt"])
def test_parts_add_up_to_the_total(stem: str) -> None:
    """Accumulation over micro-batches keeps one of them at a time."""
    analysis = analysis_of(stem)
    document = analysis.to_dict()
    total = document["totals"]["saved_bytes"]
    assert total == sum(by_op(analysis).values()) == document["phases"]["forward"]["saved_bytes"]
    for part in (document["ops"], document["by_type"], document["by_step"], document["phases"].values()):
        assert sum(row["saved_bytes"] for row in part) == total
    own: dict[str, int] = {}
    for op in analysis.graph.ops:
        own[op.module] = own.get(op.module, 0) + by_op(analysis).get(op.name, 0)
    for module in document["modules"]:
        path = module["path"]
        assert module["saved_bytes"] == sum(nbytes for at, nbytes in own.items() if not path or f"{at}.".startswith(f"{path}."))


# ------------------------------------------------------------------ by hand


def tensor(lbn: str, *shape: int | None, arg: str = "out", index: int = 0) -> Operand:
    return Operand(arg, index, lbn, TensorType(shape, DType.FLOAT32))


X = tensor("x/out", 2, 3)
A, B, GRADIENT = (tensor(f"{name}/y", 2, 3, arg="y") for name in ("a", "b", "g"))
INPUT = Op("x", "input", (), (X,), phase=Phase.SYSTEM)


def read_as(tensor: Operand, arg: str) -> Operand:
    return Operand(arg, 0, tensor.lbn, tensor.type)


def relu(name: str, operand: Operand, **fields: Any) -> Op:
    return Op(name, **{"type": "relu", "inputs": (read_as(operand, "x"),), "outputs": (tensor(f"{name}/y", 2, 3, arg="y"),)} | fields)


def backward(*operands: Operand, name: str = "g", **fields: Any) -> Op:
    """A gradient: a relu's, of the result and its gradient."""
    inputs = tuple(read_as(operand, arg) for operand, arg in zip(operands, ("y", "dy"), strict=False))
    made: dict[str, Any] = {"type": "relu_grad", "inputs": inputs, "outputs": (tensor("g/dx", 2, 3, arg="dx"),), "phase": Phase.BACKWARD}
    return Op(name, **made | fields)


def analysis(*ops: Op) -> Analysis:
    return analyze_graph(Graph("g", "G", True, ops, (Module("", None, None),), "job_text", Source("<string>", "")))


def told(found: Analysis) -> dict[str, int | None]:
    """By operator what is kept of its results, None where that is not known."""
    return {row["name"]: row["saved_bytes"] for row in found.to_dict()["ops"]}


def sure(found: Analysis) -> tuple[int, str]:
    return found.total.get("saved_bytes"), found.total.certainty("saved_bytes").value


A_OP = relu("a", X, phase=Phase.FORWARD)
B_OP = relu("b", A, phase=Phase.FORWARD)


def test_what_backward_reads_is_kept_and_inputs_are_not() -> None:
    """A result of 2 x 3 floats: 24 bytes, however many read it. The graph's input is there anyway."""
    found = analysis(INPUT, A_OP, B_OP, backward(B, X), backward(B, B, name="h", outputs=()))
    assert told(found) == {"x": 0, "a": 0, "b": 24, "g": 0, "h": 0}
    assert sure(found) == (24, "exact")
    assert sure(analysis(INPUT, A_OP, B_OP, backward(B, X, phase=Phase.OPTIMIZER, type="relu"))) == (0, "exact")


def test_a_view_keeps_what_it_views() -> None:
    """Through two views, of which one is OneFlow's own; a second reader of the same storage adds nothing."""
    one = Op("v", "reshape", (read_as(A, "in"),), (tensor("v/out", 6),), phase=Phase.FORWARD)
    two = Op("w", "identity", (tensor("v/out", 6, arg="in"),), (tensor("w/out", 6),), phase=Phase.SYSTEM)
    found = analysis(INPUT, A_OP, one, two, backward(tensor("w/out", 6), A))
    assert told(found) == {"x": 0, "a": 24, "v": 0, "w": 0, "g": 0}
    assert sure(found) == (24, "exact")


def test_each_result_of_an_operator_that_is_read_counts() -> None:
    """Of the two halves that a split makes the one that is read."""
    split = Op("s", "split_like", (read_as(A, "in"),), tuple(tensor(f"s/out_{i}", 1, 3, index=i) for i in (0, 1)), phase=Phase.FORWARD)
    assert told(analysis(INPUT, A_OP, split, backward(tensor("s/out_1", 1, 3), X)))["s"] == 12


def test_micro_batches_keep_one_at_a_time() -> None:
    found = analysis(INPUT, relu("a", X, phase=Phase.FORWARD, runs=4), backward(A, X, runs=4))
    assert sure(found) == (24, "exact")
    assert found.total.get("activation_bytes") == 4 * 24


@pytest.mark.parametrize("change", [{"type": None}, {"type": "frobnicate"}])
def test_an_operator_that_may_be_a_view_leaves_open_whose_storage_is_kept(change: dict[str, Any]) -> None:
    """Its own, or what it views: neither is 0 for sure."""
    found = analysis(INPUT, A_OP, relu("b", A, phase=Phase.FORWARD, **change), backward(B, X))
    assert told(found) == {"x": 0, "a": None, "b": None, "g": 0}
    assert sure(found) == (0, "lower_bound")
    assert [(u.reason, u.ops) for u in found.unknown if "a" in u.ops] == [("unknown_reader", ("a",))]


def test_an_operator_that_is_a_view_by_one_of_its_types_may_keep_what_it_views() -> None:
    out = tensor("b/out", 2, 3)
    for types, kept in ((("gelu", "identity"), None), (("gelu", "silu"), 0)):
        odd = Op("b", None, (read_as(A, "in"),), (out,), phase=Phase.FORWARD, type_candidates=types)
        assert told(analysis(INPUT, A_OP, odd, backward(out, X)))["a"] == kept


def test_types_that_all_own_their_results_tell_what_is_kept() -> None:
    found = analysis(INPUT, A_OP, relu("b", A, phase=Phase.FORWARD, type=None, type_candidates=("relu", "tanh")), backward(B, X))
    assert told(found) == {"x": 0, "a": 0, "b": 24, "g": 0}


def test_operands_that_are_not_told_may_be_anything() -> None:
    found = analysis(INPUT, A_OP, B_OP, backward(B, elided=True))
    assert told(found) == {"x": 0, "a": None, "b": 24, "g": 0}
    assert sure(found) == (24, "lower_bound")
    view = Op("v", "identity", (), (tensor("v/out", 6),), phase=Phase.FORWARD, elided=True)
    assert told(analysis(INPUT, A_OP, view, backward(tensor("v/out", 6), X)))["a"] is None
    assert sure(analysis(INPUT, A_OP, relu("b", A, phase=Phase.FORWARD, elided=True))) == (0, "exact")


def test_of_several_sets_of_operands_what_is_in_all_is_kept() -> None:
    sets = tuple((read_as(B, "y"), read_as(other, "dy")) for other in (A, X))
    found = analysis(INPUT, A_OP, B_OP, backward(B, A, readings=sets))
    assert told(found) == {"x": 0, "a": None, "b": 24, "g": 0}


def test_a_term_without_a_name_may_be_any_tensor_of_its_type_unless_it_is_added_to_a_gradient() -> None:
    plain = (read_as(B, "y"),)
    sets = (plain, (*plain, Operand("_add_to_output", 0, "", A.type)))
    again = backward(B, readings=sets, type="relu", phase=Phase.RECOMPUTE)
    assert told(analysis(INPUT, A_OP, B_OP, again))["a"] is None
    assert told(analysis(INPUT, A_OP, B_OP, backward(B, readings=sets)))["a"] == 0


def test_without_phases_nothing_tells_what_is_kept_or_held() -> None:
    """Where forward and backward cannot be told apart, neither figure is 0."""
    found = analysis(INPUT, relu("a", X), relu("b", A))
    rows = {row["name"]: row for row in found.to_dict()["ops"]}
    assert [rows["a"][name] for name in ("activation_bytes", "saved_bytes")] == [None, None]
    assert [rows["b"][name] for name in ("activation_bytes", "saved_bytes")] == [None, 0]
    assert {name: found.total.certainty(name).value for name in COST_NAMES if found.total.certainty(name) != "exact"} == dict.fromkeys(
        ("activation_elements", "activation_bytes", "saved_bytes"), "lower_bound"
    )
    assert {u.reason for u in found.unknown} == {"unknown_phase"}


def test_a_shape_that_is_not_known_is_not_nothing() -> None:
    unknown = tensor("a/y", None, 3, arg="y")
    odd = Op("a", "frob_like", (read_as(X, "x"),), (unknown,), phase=Phase.FORWARD)
    assert told(analysis(INPUT, odd, backward(unknown, X)))["a"] is None


# ------------------------------------------------------------------ wherever a cost has a name


def test_its_name_works_wherever_a_cost_has_one(tmp_path: Path) -> None:
    train = FIXTURES / "corpus" / "gpt_micro_ckpt.job.pb.gz"
    plain = FIXTURES / "corpus" / "gpt_micro_amp.job.pb.gz"
    table = run("analyze", train, "--by", "module", "--columns", "path,saved_bytes", "--format", "csv").stdout.splitlines()
    assert table[:2] == ["path,saved_bytes", ",205832"]
    assert run("diff", train, plain, "--fail-on", "saved_bytes>+1MiB", "-q").exit_code == 1
    assert run("diff", plain, train, "--fail-on", "saved_bytes>0", "-q").exit_code == 0
    settings = tmp_path / "irflops.toml"
    settings.write_text("[audit.rules.budget.total]\nsaved_bytes = 205_831\n")
    over = run("audit", train, "--config", settings, "--select", "budget")
    assert over.exit_code == 1
    assert "205,832 saved_bytes, 1 more than its budget" in over.stdout
    assert "201.0 KiB of the forward pass, kept for the backward pass" in run("analyze", train, "--by", "summary").stdout


def test_a_what_if_keeps_what_a_capture_at_that_batch_does() -> None:
    once, again = analysis_of("what_if/cnn_train.2"), analysis_of("what_if/cnn_train.6")
    found = irflops.analyze(FIXTURES / "what_if/cnn_train.2.job.pb.gz", batch=6)
    assert by_op(found) == by_op(again) != by_op(once)


def test_a_device_keeps_its_part() -> None:
    """Of 3 x 4 floats split over two devices the first has two rows, the second one; what is whole on each is there twice."""
    placement = Placement("cpu", (0, 1), (2,))
    split, whole = (Sbp("S", 0),), (Sbp("B"),)

    def laid(lbn: str, sbp: NdSbp, arg: str) -> Operand:
        return replace(tensor(lbn, 3, 4, arg=arg), nd_sbp=sbp)

    def op(name: str, op_type: str, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...], phase: Phase) -> Op:
        return Op(name, op_type, inputs, outputs, placement=placement, phase=phase)

    found = analysis(
        op("x", "input", (), (laid("x/out", split, "out"),), Phase.SYSTEM),
        op("a", "relu", (laid("x/out", split, "x"),), (laid("a/y", split, "y"),), Phase.FORWARD),
        op("b", "relu", (laid("a/y", whole, "x"),), (laid("b/y", whole, "y"),), Phase.FORWARD),
        op("g", "relu_grad", (laid("a/y", split, "y"), laid("b/y", split, "dy")), (laid("g/dx", split, "dx"),), Phase.BACKWARD),
    )
    assert sure(found) == (2 * 48, "exact")
    assert {one.ranks: one.total.get("saved_bytes") for one in found.devices.classes} == {((0, 0),): 32 + 48, ((1, 1),): 16 + 48}
    twice = analysis(*found.graph.ops[:2], replace(found.graph.ops[1], name="b", outputs=(laid("b/y", split, "y"),)), found.graph.ops[3])
    assert [one.total.get("saved_bytes") for one in twice.devices.classes] == [2 * 32, 2 * 16]  # two equal operators


def test_what_a_reader_decides_does_not_cancel_in_a_change() -> None:
    """An operator that nobody knows is the same in both graphs: its work cancels. Whether backward keeps it hangs on who reads it."""
    odd = relu("b", A, phase=Phase.FORWARD, type="frobnicate")
    old = analysis(INPUT, A_OP, odd, backward(X, X, elided=True), backward(B, X, name="h", outputs=(tensor("h/dx", 2, 3, arg="dx"),)))
    new = analysis(INPUT, A_OP, odd, backward(X, X, elided=True))
    change = irflops.diff(old, new).change
    assert change.certainty("macs") == change.certainty("flops") == "exact"
    assert change.certainty("saved_bytes") == "unbounded"
    assert irflops.diff(old, old).change.certainty("saved_bytes") == "exact"
