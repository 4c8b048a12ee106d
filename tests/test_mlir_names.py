"""Names of operators that MLIR leaves out or gives twice, sizes that are stale, and sbp in all its spellings."""

from __future__ import annotations

import pytest
from hostile import check_error
from modules import SEVEN, TYPE, X, flow, function, job, module, op, relu, whole

import irflops
from irflops import Graph, IrflopsError
from irflops.errors import GraphSyntaxError


def load(text: str, graph: str | int | None = None) -> Graph:
    return irflops.loads(text, graph, name="model.mlir")


def fault(text: str, graph: str | int | None = None) -> IrflopsError:
    with pytest.raises(IrflopsError) as caught:
        load(text, graph)
    check_error(caught.value)
    return caught.value


# Names


def test_names_that_are_made_up() -> None:
    lines = (relu("%0", "%x", ""), relu("%1", "%0", "relu#2"), relu("%2", "%1", ""), op("tanh", name="", given="%3", operands="%2") + "\n")
    graph = load(module(X, *lines, op("sigmoid", given="%4", operands="%3", name="sigmoid-4")).replace(SEVEN, TYPE))
    assert [op_.name for op_ in graph.ops] == ["x", "relu#1", "relu#2", "relu#3", "tanh#1", "sigmoid-4"]
    assert [op_.stem for op_ in graph.ops[1:5]] == ["relu", "relu", "relu", "tanh"]
    assert [(note.code, note.text) for note in graph.notes] == [
        ("made-up-name", "3 operators have no op_name: named here by op type and a number, such as relu#1")
    ]
    assert graph.ops[1].outputs[0].lbn == "relu#1/y_0"


def test_names_that_are_made_up_of_every_kind() -> None:
    text = (
        f"func.func @f(%arg0: {SEVEN}) {{\n"
        f'    %0 = "oneflow.input"(%arg0) {{op_name = "", output_lbns = [""], nd_sbp = ["B"]}} : ({SEVEN}) -> {SEVEN}\n'
        f'    %1 = "oneflow.variable"() {{op_name = "", output_lbns = [""]}} : () -> {SEVEN}\n'
        f'    %2 = "oneflow.variable"() {{op_name = "", output_lbns = [""]}} : () -> {SEVEN}\n'
        f'    %3 = "oneflow.broadcast_add"(%0, %1) {{op_name = ""}} : ({SEVEN}, {SEVEN}) -> {SEVEN}\n'
        f'    %4 = "oneflow.broadcast_add"(%3, %2) {{op_name = ""}} : ({SEVEN}, {SEVEN}) -> {SEVEN}\n'
        f'    %5 = "oneflow.output"(%4) {{op_name = "", output_lbns = [""], nd_sbp = ["B"]}} : ({SEVEN}) -> {SEVEN}\n    return\n}}\n'
    )
    assert flow(load(text)) == [
        ("input#1", []),
        ("variable#1", []),
        ("variable#2", []),
        ("broadcast_add#1", ["input#1", "variable#1"]),
        ("broadcast_add#2", ["broadcast_add#1", "variable#2"]),
        ("output#1", ["broadcast_add#2"]),
    ]
    analysis = irflops.analyze(load(text))
    assert (analysis.total.get("flops"), analysis.total.get("params")) == (14, 14)


def test_argument_whose_name_is_an_operators() -> None:
    text = whole(
        function("f", relu("%0", "%arg0", "a"), relu("%1", "%arg1", "arg1"), returned="%1", given=f"%arg0: {SEVEN}, %arg1: {SEVEN}")
    )
    assert flow(load(text)) == [("arg0", []), ("a", ["arg0"]), ("arg1#2", []), ("arg1", ["arg1#2"])]
    assert not load(text).notes


def test_op_name_that_is_none() -> None:
    error = fault(whole(job(f'    %0 = "oneflow.relu"(%x) {{op_name = 1 : si32}} : ({SEVEN}) -> {SEVEN}\n')))
    assert error.message == "oneflow.relu has no op_name, which every operator of a graph has"


# Sizes and sbp


INFER = "oneflow.normalization_infer"
STATISTICS = ", ".join(["tensor<2xf32>"] * 4)


def normalization(results: str, types: str) -> str:
    return (
        f"func.func @f(%x: tensor<1x2x4x4xf32>, %m: tensor<2xf32>) {{\n    {results} = "
        f'"{INFER}"(%x, %m, %m, %m, %m) {{op_name = "bn-normalization-1", '
        "axis = 1 : si32, epsilon = 1.0E-5 : f32, momentum = 0.9 : f32, training = false, "
        "operand_segment_sizes = dense<[1, 1, 1, 1, 1, 0]> : vector<6xi32>, result_segment_sizes = dense<1> : vector<3xi32>}"
        f" : (tensor<1x2x4x4xf32>, {STATISTICS}) -> {types}\n    return\n}}\n"
    )


def test_result_sizes_that_are_stale() -> None:
    graph = load(normalization("%y", "tensor<1x2x4x4xf32>"))
    assert [(result.arg, result.lbn) for result in graph.by_name["bn-normalization-1"].outputs] == [("y", "bn-normalization-1/y_0")]
    assert [note.code for note in graph.notes] == ["stale-sizes"]
    three = load(normalization("%y, %mean, %inv", "(tensor<1x2x4x4xf32>, tensor<2xf32>, tensor<2xf32>)"))
    assert [result.arg for result in three.by_name["bn-normalization-1"].outputs] == ["y", "mean", "inv_variance"]
    assert not three.notes
    assert irflops.analyze(graph).total.get("flops") == 64  # 32 elements, each scaled and shifted


def test_result_sizes_that_leave_open_which_result_is_missing() -> None:
    error = fault(normalization("%y, %mean", "(tensor<1x2x4x4xf32>, tensor<2xf32>)"))
    assert isinstance(error, GraphSyntaxError)
    assert error.message == f"{INFER}: 2 results stand here, and its arguments have 3"


@pytest.mark.parametrize(
    ("attr", "message", "word"),
    [
        ('parallel = #sbp.parallel<[] -> [[[]], "S(0)", #sbp.P]>', "expected '#sbp.B' or '#sbp.P' or '#sbp.S<axis>', got '['", "[]], "),
        ('parallel = #sbp.parallel<[] -> ["S(0)"]>', "got '\"S'", '"S(0)"'),
        ("parallel = #sbp.parallel<[] -> [[]]>", "got ']'", "]]>"),
        ("parallel = #sbp.parallel<[] -> [#sbp.S]>", "got '<', '#sbp.S'", "#sbp.S"),
        ("parallel = #sbp.parallel<[#sbp.Q] -> []>", "got '#sbp.Q'", "#sbp.Q"),
        ("parallel = #sbp.parallel<[]>", "expected '->', got '>'", ">, "),
        ("parallel = #sbp.psig<[] -> [[1]]>", "got '1'", "1]"),
        ("parallel = #sbp.parallel<[] -> [[#sbp.S<-1>]]>", "oneflow.variable: its parallel splits an axis below 0", "parallel"),
        ('parallel = "S(0)"', "oneflow.variable: its parallel is no #sbp.parallel<[...] -> [...]>", "parallel"),
        ("parallel = #sbp.B", "oneflow.variable: its parallel is no #sbp.parallel<[...] -> [...]>", "parallel"),
        ('nd_sbp = ["S(x)"]', 'oneflow.variable: its nd_sbp holds \'S(x)\', and an sbp is "B", "P" or "S(axis)"', "nd_sbp"),
        ("nd_sbp = [1 : si32]", 'oneflow.variable: its nd_sbp holds \'1\', and an sbp is "B", "P" or "S(axis)"', "nd_sbp"),
        ('nd_sbp = "B"', "oneflow.variable: its nd_sbp is no #sbp.parallel<[...] -> [...]> and no list", "nd_sbp"),
    ],
)
def test_corrupt_sbp(attr: str, message: str, word: str) -> None:
    error = fault(module(f'%w = "oneflow.variable"() {{{attr}, op_name = "w"}} : () -> {SEVEN}'))
    assert isinstance(error, GraphSyntaxError)
    assert message in error.message or word == "#sbp.S"
    assert error.line == 3
    assert error.excerpt is not None
    assert error.excerpt[(error.column or 0) - 1 :].startswith(word)


@pytest.mark.parametrize(
    "attr",
    [
        "parallel = #sbp.parallel<[] -> [[#sbp.S<0>, #sbp.B]]>",
        "parallel = #sbp.parallel<[] -> [#sbp.S<0>, #sbp.B]>",
        "psig = #sbp.psig<[] -> [[#sbp.s<0>, #sbp.b]]>",
        "parallel_signature = #sbp.parallel_signature<[] -> [[#sbp.s<0>, #sbp.b]]>",
        'nd_sbp = ["S(0)", "B"]',
    ],
)
def test_sbp_in_all_its_spellings(attr: str) -> None:
    graph = load(module(f'%w = "oneflow.variable"() {{{attr}, op_name = "w"}} : () -> {SEVEN}'))
    assert list(map(str, graph.ops[0].outputs[0].nd_sbp or ())) == ["S(0)", "B"]
