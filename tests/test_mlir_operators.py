"""Operators of a saved graph: their types, arguments, logical blobs, placements, sbp and modules."""

from __future__ import annotations

import pytest
from modules import TYPE, W, X, module, op, read

from irflops.ir.graph import Phase, Placement, VariableKind
from irflops.ir.sbp import Sbp


def test_system_operators() -> None:
    segments = "operand_segment_sizes = dense<[1, 0]> : vector<2xi32>, result_segment_sizes = dense<[1, 0]> : vector<2xi32>"
    step = "(tensor<1xsi64>) -> tensor<1xsi64>"
    variable = '%s = "oneflow.variable"() {data_type = 6 : i32, op_name = "System-Train-TrainStep"} : () -> tensor<1xsi64>'
    graph = read(
        module(
            variable,
            op(
                "system",
                f'op_type_case = 290 : i32, input_bns = ["in"], output_lbns = ["a/out"], {segments}',
                name="a",
                operands="%s",
                types=step,
            ),
            op(
                "system",
                f'op_type_case = 77 : i32, input_bns = ["in"], output_lbns = ["b/q"], {segments}',
                name="b",
                given="",
                operands="%s",
                types=step,
            ),
        )
    )
    same, other = graph.by_name["a"], graph.by_name["b"]
    assert (same.type, same.inputs[0].arg, same.inputs[0].lbn, same.outputs[0].lbn, dict(same.attrs)) == (
        "identity",
        "in",
        "System-Train-TrainStep/out",
        "a/out",
        {},
    )
    assert (other.type, other.outputs[0].lbn) == (None, "b/q")


def test_edges_of_control_are_left_out() -> None:
    first = op(
        "user",
        'op_type_name = "relu", input_sizes = [1 : i32], output_sizes = [1 : i32], output_lbns = ["m-relu-0/y_0"],'
        " operand_segment_sizes = dense<[1, 0]> : vector<2xi32>, result_segment_sizes = dense<1> : vector<2xi32>",
        given="%y, %c",
        types=f"({TYPE}) -> ({TYPE}, tensor<i1>)",
    )
    second = op(
        "user",
        'op_type_name = "conv2d", input_sizes = [1 : i32, 1 : i32, 0 : i32, 0 : i32], output_sizes = [1 : i32], groups = 1 : si32,'
        " operand_segment_sizes = array<i32: 2, 1>, result_segment_sizes = array<i32: 1, 0>",
        name="m-conv2d-1",
        given="%z",
        operands="%y, %w, %c",
        types=f"({TYPE}, tensor<4x8xf32>, tensor<i1>) -> {TYPE}",
    )
    graph = read(module(X, W, first, second))
    conv = graph.by_name["m-conv2d-1"]
    assert (conv.type, [(o.arg, o.lbn) for o in conv.inputs]) == ("conv2d", [("in", "m-relu-0/y_0"), ("weight", "m.w/out")])
    assert [(o.arg, o.lbn) for o in conv.outputs] == [("out", "m-conv2d-1/out_0")]
    assert dict(conv.attrs) == {"groups": 1}
    assert [o.lbn for o in graph.by_name["m-relu-0"].outputs] == ["m-relu-0/y_0"]


@pytest.mark.parametrize(
    ("mnemonic", "segments", "operands", "args"),
    [
        ("conv2d", "dense<[1, 1, 0, 0]> : vector<4xi32>", "%x, %x", ["in", "weight"]),
        ("conv2d", "array<i32: 1, 1, 0, 1>", "%x, %x, %x", ["in", "weight", "_add_to_output"]),
        ("conv2d", "array<i32: 1, 1, 0, 0, 1>", "%x, %x, %x", ["in", "weight", "in_4"]),
        ("matmul", "", "%x, %x", ["a", "b"]),
        ("matmul", "", "%x, %x, %x", ["a", "b", "_add_to_output"]),
        ("add_n", "", "%x, %x, %x", ["in", "in", "in"]),
        ("add_n2", "", "%x, %x", ["in", "in"]),
        ("relu_grad", "", "%x, %x", ["dy", "y"]),
        ("tanh_grad", "", "%x, %x", ["x", "dy"]),
        ("no_such_operator", "", "%x, %x", ["in", "in"]),
        ("constant", "", "%x", []),
    ],
)
def test_operands_have_their_arguments(mnemonic: str, segments: str, operands: str, args: list[str]) -> None:
    types = f"({', '.join([TYPE] * len(operands.split()))}) -> {TYPE}"
    attrs = f"operand_segment_sizes = {segments}" if segments else ""
    graph = read(module(X, op(mnemonic, attrs, operands=operands, types=types)))
    assert [operand.arg for operand in graph.by_name["m-relu-0"].inputs] == args


def test_results_have_their_arguments() -> None:
    segments = "operand_segment_sizes = dense<[1, 0, 0, 1, 1, 0]> : vector<6xi32>, result_segment_sizes = dense<[1, 0, 0]> : vector<3xi32>"
    norm = op("normalization_infer", segments, operands="%x, %x, %x", types=f"({TYPE}, {TYPE}, {TYPE}) -> {TYPE}")
    found = read(module(X, norm)).by_name["m-relu-0"]
    assert found.type == "normalization"
    assert [o.arg for o in found.inputs] == ["x", "gamma", "beta"]
    assert [o.lbn for o in found.outputs] == ["m-relu-0/y_0"]


@pytest.mark.parametrize(
    ("mnemonic", "name", "op_type"),
    [
        ("add_n2", "m-add_n-0", "add_n"),
        ("normalization_infer", "m-normalization-0", "normalization"),
        ("scalar_mul_by_tensor", "m-broadcast_mul-0", "broadcast_mul"),
        ("scalar_mul_by_tensor", "m-scalar_mul_by_tensor-0", "scalar_mul_by_tensor"),
        ("variable_ir", "m.w", "variable"),
        ("max_pool_2d", "m-max_pool_2d-0", "max_pool_2d"),
        ("not_known_yet", "m-not_known_yet-0", "not_known_yet"),
    ],
)
def test_op_type_is_the_jobs(mnemonic: str, name: str, op_type: str) -> None:
    count = {"add_n2": 2, "scalar_mul_by_tensor": 2, "normalization_infer": 3, "variable_ir": 0}.get(mnemonic, 1)
    results = 2 if mnemonic == "max_pool_2d" else 1
    types = f"({', '.join([TYPE] * count)}) -> ({', '.join([TYPE] * results)})"
    given = "%y, %z" if results == 2 else "%y"
    graph = read(module(X, op(mnemonic, name=name, given=given, operands=", ".join(["%x"] * count), types=types)))
    assert graph.by_name[name].type == op_type


def test_inputs_outputs_and_variables() -> None:
    out = (
        f'%out = "oneflow.output"(%x) {{data_type = 2 : i32, op_name = "_G_0_output", output_lbns = ["_G_0_output/out"],'
        f' nd_sbp = ["S(1)", "P"],'
        f" shape = [2 : si64]}} : ({TYPE}) -> {TYPE}"
    )
    buffer = W.replace('"m.w"', '"m.b"').replace("m.w/out", "m.b/out").replace("%w", "%b").replace("op_name", "trainable = false, op_name")
    graph = read(
        module(X, W, buffer, out, op("matmul", name="m-matmul-0", operands="%x, %w", types=f"({TYPE}, tensor<4x8xf32>) -> tensor<2x4xf32>"))
    )
    x, w, b, output = (graph.by_name[name] for name in ("x", "m.w", "m.b", "_G_0_output"))
    assert (x.inputs, x.outputs[0].lbn, x.outputs[0].nd_sbp, dict(x.attrs)) == ((), "x/out", (Sbp("B"),), {})
    assert (w.kind, w.kind_source, w.outputs[0].nd_sbp) == (VariableKind.TRAINABLE, "declared", (Sbp("S", 0),))
    assert b.kind is VariableKind.BUFFER
    assert (output.inputs[0].arg, output.outputs[0].nd_sbp) == ("in", (Sbp("S", 1), Sbp("P")))
    assert (x.phase, w.phase, graph.training) == (Phase.SYSTEM, Phase.FORWARD, False)


@pytest.mark.parametrize(
    ("text", "nd_sbp"),
    [
        ("#sbp.parallel<[] -> [[#sbp.B, #sbp.S<1>]]>", (Sbp("B"), Sbp("S", 1))),
        ("#sbp.parallel<[] -> [#sbp.P]>", (Sbp("P"),)),
        ("#sbp.parallel<[[#sbp.B]] -> [[#sbp.S<0>]]>", (Sbp("S", 0),)),
        ("#sbp.parallel<[] -> []>", None),
        ("#sbp.parallel<[] -> [[#sbp.any]]>", None),
    ],
)
def test_sbp(text: str, nd_sbp: tuple[Sbp, ...] | None) -> None:
    variable = W.replace("#sbp.parallel<[] -> [[#sbp.S<0>]]>", text)
    assert read(module(X, variable)).by_name["m.w"].outputs[0].nd_sbp == nd_sbp


def test_placement() -> None:
    devices = 'device_tag = "cuda", device_name = ["@0:0", "@1:1", "@2:2", "@3:3"], hierarchy = [2, 2]'
    assert read(module(X, op("relu", devices))).by_name["m-relu-0"].placement == Placement("cuda", (0, 1, 2, 3), (2, 2))


def test_argument_without_an_input() -> None:
    graph = read(module(op("relu", operands="%arg0"), op("tanh", name="m-tanh-1", given="%z", operands="%arg0")))
    assert [(found.name, found.type) for found in graph.ops] == [("arg0", "input"), ("m-relu-0", "relu"), ("m-tanh-1", "tanh")]
    assert graph.by_name["m-tanh-1"].inputs[0].lbn == "arg0/out"


def test_modules() -> None:
    update = (
        'op_type_name = "sgd_update"',
        f"(tensor<4x8xf32>, tensor<4x8xf32>, {TYPE}) -> ()",
    )
    graph = read(
        module(
            X,
            W.replace("m.w", "m.a.weight"),
            W.replace("m.w", "m.b.weight").replace("%w", "%v"),
            op("matmul", "scope_symbol_id = 3 : i64", name="m.a-matmul-0", operands="%x, %w", types=f"({TYPE}, tensor<4x8xf32>) -> {TYPE}"),
            op("matmul", name="m-matmul-1", given="%q", operands="%x, %v", types=f"({TYPE}, tensor<4x8xf32>) -> {TYPE}"),
            op("cast", "scope_symbol_id = 3 : i64", name="odd", given="%r"),
            op("sgd_update", update[0], name="m.a.weight_optimizer", given="", operands="%w, %w, %x", types=update[1]),
        )
    )
    assert {found.name: found.module for found in graph.ops if found.type != "input"} == {
        "m.a.weight": "m.a",
        "m.b.weight": "m.b",  # by its name, though nothing is called in m.b and m reads its weight
        "m.a-matmul-0": "m.a",
        "m-matmul-1": "m",
        "odd": "m.a",  # of the scope of m.a-matmul-0
        "m.a.weight_optimizer": "m.a",
    }
    assert [found.path for found in graph.modules] == ["", "m", "m.a", "m.b"]
    assert graph.training
