"""What a job's graph holds: operators of every kind, attributes, sbp, placements, modules, variables' kinds, phases and runs."""

from __future__ import annotations

import pytest
from jobs import CONF, W, X, binary, content, job, read, user

import irflops
from irflops import IrflopsError
from irflops.errors import ChoiceError, GraphError, GraphSyntaxError, NotAGraphError
from irflops.ir.graph import DType, Location, Phase, Placement, TensorType, VariableKind
from irflops.ir.sbp import Sbp

RELU = user("m-relu-0", "relu", "in=x/out out=m-relu-0/out_0")


def op_of(*ops: str, rest: str = "") -> irflops.ir.graph.Op:
    return read(job(*ops, rest=rest)).ops[-1]


# ---------------------------------------------------------------- operators


def test_a_user_operator() -> None:
    graph = irflops.loads(content("basic_block", "job.prototxt"), name="b")
    conv = graph.by_name["model.conv1-conv2d-0"]
    assert (conv.type, conv.module, conv.phase, conv.runs, conv.kind, conv.elided) == (
        "conv2d",
        "model.conv1",
        Phase.FORWARD,
        1,
        None,
        False,
    )
    assert [(o.arg, o.index, o.lbn, str(o.type)) for o in conv.inputs] == [
        ("in", 0, "_MyGraph_0_input.0.0_2/out", "f32[1,32,64,64]"),
        ("weight", 0, "model.conv1.weight/out", "f32[64,32,3,3]"),
    ]
    assert [(o.arg, o.index, o.lbn, str(o.type)) for o in conv.outputs] == [("out", 0, "model.conv1-conv2d-0/out_0", "f32[1,64,64,64]")]
    assert dict(conv.attrs) == {
        "data_format": "channels_first",
        "dilation_rate": (1, 1),
        "filters": 64,
        "groups": 1,
        "kernel_size": (3, 3),
        "padding_before": (1, 1),
        "strides": (1, 1),
    }
    assert conv.placement == Placement("cpu", (0,), (1,))
    assert conv.inputs[0].nd_sbp == conv.outputs[0].nd_sbp == (Sbp("B"),)
    assert conv.location is not None
    assert conv.span is not None
    assert graph.source.line_text(graph.source.line(conv.span.start)) == "  op {"


def test_operands_come_in_the_order_that_the_job_gives() -> None:
    order = 'input_order: "b" input_order: "a" '
    op = op_of(X, W, user("m-matmul-0", "matmul", "a=x/out b=m.w/out out=m-matmul-0/out_0", order))
    assert [operand.arg for operand in op.inputs] == ["b", "a"]
    op = op_of(X, W, user("m-matmul-0", "matmul", "a=x/out b=m.w/out out=m-matmul-0/out_0"))
    assert [operand.arg for operand in op.inputs] == ["a", "b"]


def test_an_argument_of_several_tensors() -> None:
    add = 'op { name: "m-add_n-0" user_conf { op_type_name: "add_n" input { key: "in" value { s: "x/out" s: "x/out" } } } }'
    assert [(o.arg, o.index, o.lbn) for o in op_of(X, add).inputs] == [("in", 0, "x/out"), ("in", 1, "x/out")]


def test_a_tick_is_no_operand() -> None:
    """`UserSourceOpTickInput` says when a source runs: a control edge."""
    tensors = "UserSourceOpTickInput=x/out out=m-constant-0/out_0"
    assert op_of(X, user("m-constant-0", "constant", tensors, 'input_order: "UserSourceOpTickInput"')).inputs == ()


@pytest.mark.parametrize(
    ("conf", "op_type", "inputs", "outputs"),
    [
        ('identity_conf { in: "x/out" out: "out" }', "identity", [("in", "x/out")], [("out", "a/out")]),
        ('output_conf { in: "x/out" out: "out" }', "output", [("in", "x/out")], [("out", "a/out")]),
        ('copy_conf { in: "x/out" out: "out" }', "copy", [("in", "x/out")], [("out", "a/out")]),
        ('assign_conf { ref: "x/out" value: "x/out" }', "assign", [("ref", "x/out"), ("value", "x/out")], []),
        ('tick_conf { tick: "x/out" out: "out" }', "tick", [("tick", "x/out")], [("out", "a/out")]),
        ('acc_tick_conf { one: "x/out" acc: "acc" max_acc_num: 2 }', "acc_tick", [("one", "x/out")], [("acc", "a/acc")]),
        (
            'distribute_split_conf { in: "x/out" out: "o_0" out: "o_1" }',
            "distribute_split",
            [("in", "x/out")],
            [("out", "a/o_0"), ("out", "a/o_1")],
        ),
        ('constant_like_conf { like: "x/out" out: "out" float_operand: 1 }', "constant_like", [("like", "x/out")], [("out", "a/out")]),
        (
            'learning_rate_schedule_conf { train_step: "x/out" out: "out" }',
            "learning_rate_schedule",
            [("train_step", "x/out")],
            [("out", "a/out")],
        ),
        ('shape_elem_cnt_conf { x: "x/out" y: "y" }', "shape_elem_cnt", [("x", "x/out")], [("y", "a/y")]),
    ],
)
def test_operators_of_oneflows_own(conf: str, op_type: str, inputs: list[tuple[str, str]], outputs: list[tuple[str, str]]) -> None:
    for text in (job(X, f'op {{ name: "a" {conf} }}'), binary(job(X, f'op {{ name: "a" {conf.replace("max_acc_num: 2", "")} }}'))):
        op = read(text).ops[-1]
        assert op.type == op_type
        assert [(o.arg, o.lbn) for o in op.inputs] == inputs
        assert [(o.arg, o.lbn) for o in op.outputs] == outputs


def test_inputs_and_variables_state_their_types() -> None:
    graph = read(job(X.replace("kFloat", "kInt64"), W))
    assert graph.by_name["x"].outputs[0].type == TensorType((2, 8), DType.INT64)
    assert graph.by_name["m.w"].outputs[0].type == TensorType((4, 8), DType.FLOAT32)


@pytest.mark.parametrize(
    "conf",
    ["hologram_conf { in: 'x/out' }", "hologram_conf { }", "[irflops.hologram_conf] { x: 1 }", ""],
    ids=["named", "empty", "extension", "none"],
)
def test_an_operator_of_a_kind_not_known_is_unknown_and_never_dropped(conf: str) -> None:
    graph = read(job(X, RELU, f'op {{ name: "h" {conf} }}'))
    op = graph.by_name["h"]
    assert op.type in (None, "hologram")
    assert op.elided
    analysis = irflops.analyze(graph)
    assert [unknown.ops for unknown in analysis.unknown] == [("h",)]
    assert analysis.total.worst == "lower_bound"
    assert [note.code for note in graph.notes] == ["unknown-fields"] * bool(conf)


def test_an_operator_of_a_number_not_known_is_unknown_and_never_dropped() -> None:
    data = binary(job(X, 'op { name: "h" }'))
    at = data.index(b"\n\1h")
    data = data[: at - 1] + b"\7" + data[at : at + 3] + b"\xa2\x3f\1x" + data[at + 3 :]  # field 1012
    data = data[:1] + bytes([data[1] + 4]) + data[2:]
    graph = read(data)
    assert graph.by_name["h"].type is None
    assert graph.by_name["h"].elided
    assert "field 1012" in graph.notes[0].text
    assert [unknown.ops for unknown in irflops.analyze(graph).unknown] == [("h",)]


def test_a_type_without_a_rule_is_unknown() -> None:
    analysis = irflops.analyze(read(job(X, user("m-no_such-0", "no_such", "in=x/out out=m-no_such-0/out_0"))))
    assert [(u.type, u.reason) for u in analysis.unknown] == [("no_such", "no_rule")]


def test_a_producer_that_is_missing_is_a_source_of_its_own() -> None:
    graph = read(job(user("m-relu-0", "relu", "in=gone/out out=m-relu-0/out_0")))
    assert graph.by_name["gone"].elided
    assert graph.by_name["gone"].span is None
    assert [(note.code, note.text) for note in graph.notes] == [
        ("dangling-operand", "'m-relu-0' reads 'gone', and no operator of the job has that name")
    ]


def test_more_producers_are_missing_than_a_job_is_worth() -> None:
    ops = [user(f"relu-{i}", "relu", f"in=gone{i}/out out=relu-{i}/out_0") for i in range(1001)]
    assert "'relu-0' reads 'gone0' and 999 others" in read(job(*ops[:1000])).notes[0].text
    with pytest.raises(GraphSyntaxError, match="'gone0' and 1000 others, and no operator of the job has that name") as caught:
        read(job(*ops))
    assert caught.value.line == 2


@pytest.mark.parametrize("text", ["net { }\n" + CONF, "net { # op\n}\n" + CONF, CONF, "helper { }\n" + CONF])
def test_a_job_without_operators_is_no_graph(text: str) -> None:
    with pytest.raises(NotAGraphError, match="the job has no operators") as caught:
        read(text)
    assert "called once" in str(caught.value.hint)


def test_a_job_without_its_configuration_is_cut_off() -> None:
    for text in (job(X, conf=""), job(X, conf="", rest="placement { }")):
        with pytest.raises(GraphSyntaxError, match="the job is cut off: its job_conf is missing") as caught:
            read(text)
        assert caught.value.line == text.rstrip().count("\n") + 1
        with pytest.raises(GraphSyntaxError, match="the job is cut off: its job_conf is missing"):
            read(binary(text))


@pytest.mark.parametrize(
    ("ops", "kind", "message"),
    [
        ([X, X], GraphError, "operator 'x' is defined twice; first at line 2"),
        ([RELU, user("n", "relu", "in=m-relu-0/out_0 out=m-relu-0/out_0")], GraphError, "tensor 'm-relu-0/out_0' is made twice"),
        ([user("a", "relu", "in=a/out_0 out=a/out_0")], GraphError, "operator 'a' feeds itself"),
        ([X, X.replace('name: "x"', "")], GraphSyntaxError, "operator 2 of the job has no name"),
        ([X.replace("dim: 2", f"dim: [{'1, ' * 70}1]")], GraphSyntaxError, "a tensor of 72 dimensions"),
    ],
)
def test_jobs_that_contradict_themselves(ops: list[str], kind: type[IrflopsError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        read(job(*ops))
    assert caught.value.line == 1 + len(ops)
    with pytest.raises(kind, match=message.partition(";")[0]):
        read(binary(job(*ops)))


def test_a_job_holds_one_graph() -> None:
    text = job(X)
    assert irflops.loads(text, graph="G_0").name == irflops.loads(text, graph=1).name == "G_0"
    with pytest.raises(ChoiceError, match="it holds 'G_0' alone"):
        irflops.loads(text, graph="other")


# ---------------------------------------------------------------- sbp and placement

PARALLEL = """job_parallel_view_conf {
  op_name2sbp_signature_conf { key: "m-relu-0" value { bn_in_op2sbp_parallel { key: "in_0" value { broadcast_parallel { } } } } }
  op_name2nd_sbp_signature_conf {
    key: "m-relu-0"
    value {
      bn_in_op2nd_sbp { key: "in_0" value { sbp_parallel { split_parallel { axis: 1 } } sbp_parallel { partial_sum_parallel { } } } }
      bn_in_op2nd_sbp { key: "out_0" value { sbp_parallel { split_parallel { axis: 0 } } sbp_parallel { broadcast_parallel { } } } }
    }
  }
}
"""


def test_sbp_of_a_mesh() -> None:
    op = op_of(X, RELU, rest=PARALLEL)
    assert op.inputs[0].nd_sbp == (Sbp("S", 1), Sbp("P"))
    assert op.outputs[0].nd_sbp == (Sbp("S", 0), Sbp("B"))


def test_sbp_of_one_dimension_where_nothing_else_is_said() -> None:
    start = PARALLEL.index("  op_name2nd")
    assert op_of(X, RELU, rest=PARALLEL[:start] + "}").inputs[0].nd_sbp == (Sbp("B"),)
    assert op_of(X, RELU).inputs[0].nd_sbp is None


@pytest.mark.parametrize(
    ("conf", "placement"),
    [
        ('device_name: "@0:0" device_tag: "cpu"', Placement("cpu", (0,), (1,))),
        ('device_name: "@2:0" device_name: "@3:1" device_tag: "cuda" hierarchy { dim: 2 }', Placement("cuda", (2, 3), (2,))),
        (
            'device_name: ["@0:0", "@1:1", "@2:2", "@3:3"] device_tag: "cuda" hierarchy { dim: [2, 2] }',
            Placement("cuda", (0, 1, 2, 3), (2, 2)),
        ),
        ('device_name: "0:0-3" device_tag: "cuda"', Placement("cuda", (0, 1, 2, 3), (4,))),
        ('device_name: "0:0-1" device_name: "1:0-1" device_tag: "cuda"', Placement("cuda", (0, 1, 2, 3), (4,))),
        ('device_name: "somewhere" device_tag: "cuda"', None),
        ('device_name: "0:0-999999999" device_tag: "cuda"', None),
        ('device_name: "0:3-0" device_tag: "cuda"', None),
        ("", None),
    ],
)
def test_placements(conf: str, placement: Placement | None) -> None:
    group = f'placement {{ placement_group {{ op_set {{ op_name: "m-relu-0" }} parallel_conf {{ {conf} }} }} }}'
    assert op_of(X, RELU, rest=group).placement == placement


def test_more_devices_than_there_are() -> None:
    group = 'placement_group { op_set { op_name: "x" } parallel_conf { device_name: "0:0-999999" device_tag: "cpu" } }'
    with pytest.raises(GraphSyntaxError, match="more than 1048576 devices in all"):
        read(job(X, rest=f"placement {{ {group} {group} }}"))


# ---------------------------------------------------------------- modules, kinds, phases, runs


def test_modules_are_those_that_own_operators_and_those_above() -> None:
    graph = irflops.loads(content("gpt_train", "job.prototxt"))
    printed = irflops.loads(content("gpt_train", "repr.txt"))
    paths = {module.path for module in graph.modules}
    assert paths <= {module.path for module in printed.modules}
    assert {op.module for op in graph.ops} <= paths
    assert all(module.class_name is None and module.text is None for module in graph.modules)
    assert [op.module for op in graph.ops] == [printed.by_name[op.name].module for op in graph.ops]


def test_a_job_says_who_owns_an_operator_whose_name_does_not() -> None:
    owner = 'module_name2module_conf { key: "top.inner" value { name: "top.inner" ops: "strange" } }'
    graph = read(job(X, user("strange", "relu", "in=x/out out=strange/out_0"), rest=owner))
    assert [module.path for module in graph.modules] == ["", "top", "top.inner"]
    assert graph.by_name["strange"].module == "top.inner"
    assert graph.by_name["x"].module == ""


@pytest.mark.parametrize("form", ["job.prototxt", "job.pb", "fwd.prototxt"])
def test_kinds_and_phases_of_a_training_graph(form: str) -> None:
    printed = irflops.loads(content("gpt_train", "repr.txt"))
    for op in irflops.loads(content("gpt_train", form)).ops:
        if op.name in printed.by_name:
            assert op.kind == printed.by_name[op.name].kind, op.name
            assert op.phase == printed.by_name[op.name].phase, op.name


def test_what_is_frozen_and_what_a_buffer_follows_from_use() -> None:
    frozen = W.replace('"m.w"', '"m.weight"').replace("data_type", "trainable: false data_type")
    graph = read(job(X, frozen, user("m-matmul-0", "matmul", "a=x/out b=m.weight/out out=m-matmul-0/out_0")))
    assert (graph.by_name["m.weight"].kind, graph.by_name["m.weight"].kind_source) == (VariableKind.FROZEN, "inferred")
    graph = read(job(X, frozen, user("m-add_n-0", "add_n", "in=m.weight/out out=m-add_n-0/out_0")))
    assert graph.by_name["m.weight"].kind is VariableKind.BUFFER


def test_the_backward_pass_begins_where_the_job_says() -> None:
    """Two root ones_like of a scalar: the one that `loss_grad_lbn` names."""
    loss = user("l-reduce_sum-1", "reduce_sum", "input_tensor=x/out out=l-reduce_sum-1/out_0")
    ones = [user(f"ones_like-{n}", "ones_like", f"like=l-reduce_sum-1/out_0 out=ones_like-{n}/out_0") for n in (2, 4)]
    relu = user("m-relu-3", "relu", "in=ones_like-2/out_0 out=m-relu-3/out_0")
    grad = user("m-relu-5", "relu", "in=ones_like-4/out_0 out=m-relu-5/out_0")
    conf = 'job_conf { job_name: "G_0" train_conf { loss_grad_lbn: "ones_like-4/out_0" } }'
    graph = read(job(X, loss, *ones, relu, grad, conf=conf))
    assert graph.training
    assert graph.by_name["m-relu-3"].phase is Phase.FORWARD
    assert graph.by_name["m-relu-5"].phase is Phase.BACKWARD


def test_accumulation_runs_in_attributes() -> None:
    unpack = user("unpack-0", "unpack", "in=x/out out=unpack-0/out_0", 'attr { key: "unpack_num" value { at_int32: 3 } }')
    relu = user("m-relu-1", "relu", "in=unpack-0/out_0 out=m-relu-1/out_0")
    acc = user("m-acc-2", "acc", "in=m-relu-1/out_0 out=m-acc-2/out_0", 'attr { key: "max_acc_num" value { at_int32: 3 } }')
    graph = read(job(X, unpack, relu, acc))
    assert [graph.by_name[name].runs for name in ("x", "unpack-0", "m-relu-1", "m-acc-2")] == [1, 3, 3, 3]
    assert [note.code for note in graph.notes] == ["accumulation"]


def test_locations_are_the_users_own_lines() -> None:
    frames = r"Python Stack[-2]: \'build\' at \'/srv/train.py\': line 7; Python Stack[-1]: \'relu\' at \'/usr/lib/python3.10/x.py\': line 9"
    loc = f'loc: "{frames}"'
    assert op_of(X, RELU.replace("user_conf", f"{loc} user_conf", 1)).location == Location("/srv/train.py", 7, "build")
    assert op_of(X, RELU.replace("user_conf", 'loc: "somewhere" user_conf', 1)).location is None


def test_mixed_precision_is_noted() -> None:
    graph = read(job(X, conf=CONF.replace("predict_conf", "enable_auto_mixed_precision: true predict_conf")))
    assert [note.code for note in graph.notes] == ["mixed-precision"]
