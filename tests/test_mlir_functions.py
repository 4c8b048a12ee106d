"""Modules of MLIR with several jobs, with functions in the place of a job, and with functions that a job calls."""

from __future__ import annotations

import pytest
from hostile import check_error
from modules import SEVEN, flow, function, job, launch, relu, whole

import irflops
from irflops import Graph, IrflopsError
from irflops.errors import ChoiceError, GraphError


def load(text: str, graph: str | int | None = None) -> Graph:
    return irflops.loads(text, graph, name="model.mlir")


def fault(text: str, graph: str | int | None = None) -> IrflopsError:
    with pytest.raises(IrflopsError) as caught:
        load(text, graph)
    check_error(caught.value)
    return caught.value


# Which graph


TWO = whole(job(relu("%0", "%x")), job(relu("%0", "%x"), relu("%1", "%0", "relu-1"), name="G_1", returned="%1"))


def test_several_jobs_are_listed() -> None:
    error = fault(TWO)
    assert isinstance(error, ChoiceError)
    assert error.message == "2 different graphs are in this file:\n  1  G_0  lines 2-7  3 operators\n  2  G_1  lines 8-14  4 operators"
    assert error.hint == "choose one by name or number: --graph G_0 or --graph 1"


@pytest.mark.parametrize(("choice", "name", "operators"), [("G_0", "G_0", 3), ("G_1", "G_1", 4), (1, "G_0", 3), ("2", "G_1", 4)])
def test_one_of_several_jobs(choice: str | int, name: str, operators: int) -> None:
    graph = load(TWO, choice)
    assert (graph.name, len(graph.ops)) == (name, operators)


@pytest.mark.parametrize("choice", ["G_2", 0, 3, "all"])
def test_no_such_job(choice: str | int) -> None:
    assert fault(TWO, choice).message.startswith(f"no graph {choice!r} in this file:\n  1  G_0  lines 2-7")


def test_jobs_of_one_name_have_numbers() -> None:
    text = whole(job(relu("%0", "%x"))) + "// -----\n" + whole(job(relu("%0", "%x", "other-1")))
    assert "2 different graphs are called G_0:" in fault(text, "G_0").message
    assert [op_.name for op_ in load(text, 2).ops] == ["x", "other-1", "y"]


@pytest.mark.parametrize(
    "head", ["func.func @f", "func @f", "builtin.func @f", "func.func private @f", "oneflow.job @f", "oneflow.job nested @f"]
)
@pytest.mark.parametrize(
    "outer", ["{}", "module {{\n{}}}\n", "module  @m attributes {{a = 1 : i32}} {{\n{}}}\n", "builtin.module {{\n{}}}\n"]
)
@pytest.mark.parametrize(
    "before", ["", "// RUN: a\n// CHECK: func @g {\n", "#map = affine_map<(d0) -> (d0)>\n!t = tensor<2xf32>\n", "#a = [\n 1\n]\n"]
)
def test_module_and_job_may_be_left_out(head: str, outer: str, before: str) -> None:
    body = function("f", relu("%0", "%arg0")).replace("func.func @f", head)
    graph = load(before + outer.format(body))
    assert graph.name == "f"
    assert flow(graph) == [("arg0", []), ("relu-0", ["arg0"])]


@pytest.mark.parametrize("kind", ["func.func", "builtin.func", "func", "oneflow.job"])
def test_generic_function(kind: str) -> None:
    text = (
        f'"{kind}"() ({{\n^bb0(%arg0: {SEVEN}):\n{relu("%0", "%arg0")}    "func.return"(%0) : ({SEVEN}) -> ()\n'
        f'}}) {{function_type = ({SEVEN}) -> {SEVEN}, sym_name = "f"}} : () -> ()\n'
    )
    assert flow(load(text)) == [("arg0", []), ("relu-0", ["arg0"])]
    assert flow(load(f"module {{\n{text}}}\n")) == [("arg0", []), ("relu-0", ["arg0"])]


def test_operators_without_any_function() -> None:
    graph = load(f'module {{\n    %x = "oneflow.variable"() {{op_name = "w"}} : () -> {SEVEN}\n{relu("%0", "%x")}}}\n')
    assert flow(graph) == [("w", []), ("relu-0", ["w"])]


def test_several_functions_are_listed() -> None:
    text = whole(function("f", relu("%0", "%arg0")), function("g", relu("%0", "%arg0")), function("h", returned="%arg0"))
    assert fault(text).message == "2 different graphs are in this file:\n  1  f  lines 2-5  1 operators\n  2  g  lines 6-9  1 operators"
    assert load(text, "g").name == "g"


def test_jobs_without_operators_are_no_choice() -> None:
    text = whole(f"  oneflow.job @empty(%arg0: {SEVEN}) -> {SEVEN} {{\n    oneflow.return %arg0 : {SEVEN}\n  }}\n", job(relu("%0", "%x")))
    assert load(text).name == "G_0"


def test_function_beside_a_job_that_does_not_call_it() -> None:
    text = whole(function("f", relu("%0", "%arg0")), job(relu("%0", "%x")))
    graph = load(text)
    assert (graph.name, len(graph.ops)) == ("G_0", 3)
    assert [note.text for note in graph.notes if note.code == "uncalled-function"] == [
        "@f: beside the job, which does not call it; --graph NAME reads it alone"
    ]
    assert flow(load(text, "f")) == [("arg0", []), ("relu-0", ["arg0"])]


def test_function_that_runs_the_graph_is_none() -> None:
    """What stands in its own dialects' forms around a graph is passed over."""
    runner = (
        "  func.func private @print(memref<*xf32>)\n"
        '  memref.global "private" constant @c : memref<1xf32> = dense<5.0> {alignment = 64 : i64}\n'
        "  func.func @main() {\n    %a = memref.alloc() {alignment = 64 : i64} : memref<7xf32>\n    %c0 = arith.constant 0 : index\n"
        f"    %b = bufferization.to_tensor %a : memref<7xf32>\n    %c = call @f(%b) : ({SEVEN}) -> {SEVEN}\n"
        "    gpu.launch blocks(%i) in (%c1 = %c0) {\n      memref.store %c0, %a[%c0] : memref<7xf32>\n      gpu.terminator\n    }\n"
        "    %d = memref.cast %a : memref<7xf32> to memref<*xf32>\n    call @print(%d) : (memref<*xf32>) -> ()\n    return\n  }\n"
        '  gpu.module @kernels attributes {gpu.binary = "\\7FELF"} {\n'
        "    llvm.func @k(%arg0: !llvm.ptr<i64>) {\n      llvm.return\n    }\n  }\n"
    )
    for text in (whole(function("f", relu("%0", "%arg0")), runner), whole(runner, function("f", relu("%0", "%arg0")))):
        assert flow(load(text)) == [("arg0", []), ("relu-0", ["arg0"])]


# Calls


@pytest.mark.parametrize(
    "call",
    [
        '%0 = oneflow.kernel_launch @f(%x) {op_name = "k", mlir_assembly = ""}',
        '%0 = "oneflow.kernel_launch"(%x) {callee = @f, op_name = "k"}',
        '%0 = oneflow.mlir_jit @f(%x) {op_name = "k"}',
        '%0 = "oneflow.mlir_jit"(%x) {callee = "f", op_name = "k"}',
        "%0 = func.call @f(%x)",
        "%0 = call @f(%x)",
        '%0 = "func.call"(%x) {callee = @f}',
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_call_is_the_body_of_what_it_calls(call: str, order: int) -> None:
    body = function("f", relu("%0", "%arg0"), relu("%1", "%0", "relu-1"), returned="%1")
    graph = load(whole(*[body, job(f"    {call} : ({SEVEN}) -> {SEVEN}\n")][::order]))
    assert flow(graph) == [("x", []), ("relu-0", ["x"]), ("relu-1", ["relu-0"]), ("y", ["relu-1"])]
    analysis = irflops.analyze(graph)
    assert (analysis.total.get("flops"), analysis.total.certainty("flops")) == (14, "exact")
    assert not graph.notes


def test_function_called_twice() -> None:
    body = function("f", relu("%0", "%arg0"), relu("%1", "%0", "m-relu-1"), returned="%1")
    graph = load(whole(body, job(launch("%0", "f", "%x", "a"), launch("%1", "f", "%0", "b"), relu("%2", "%1", "m-relu-1"), returned="%2")))
    assert flow(graph) == [
        ("x", []),
        ("relu-0", ["x"]),
        ("m-relu-1", ["relu-0"]),
        ("relu-0#2", ["m-relu-1"]),
        ("m-relu-1#2", ["relu-0#2"]),
        ("m-relu-1#3", ["m-relu-1#2"]),
        ("y", ["m-relu-1#3"]),
    ]
    assert [(op_.module, op_.type, op_.number, op_.stem) for op_ in graph.ops[1:6]] == [
        ("", "relu", 0, "relu"),
        ("m", "relu", 1, "relu"),
        ("", "relu", 0, "relu"),
        ("m", "relu", 1, "relu"),
        ("m", "relu", 1, "relu"),
    ]
    assert irflops.analyze(graph).total.get("flops") == 35
    assert (
        graph.ops
        == load(
            whole(body, job(launch("%0", "f", "%x", "a"), launch("%1", "f", "%0", "b"), relu("%2", "%1", "m-relu-1"), returned="%2"))
        ).ops
    )


def test_variable_of_a_function_called_twice() -> None:
    """OneFlow has one variable of a name."""
    own = f'    %w = "oneflow.variable"() {{op_name = "m.w", output_lbns = ["m.w/out"]}} : () -> {SEVEN}\n'
    add = f'    %0 = "oneflow.broadcast_add"(%arg0, %w) {{op_name = "add-0"}} : ({SEVEN}, {SEVEN}) -> {SEVEN}\n'
    graph = load(whole(function("f", own, add), job(launch("%0", "f", "%x"), launch("%1", "f", "%0"), returned="%1")))
    assert flow(graph) == [("x", []), ("m.w", []), ("add-0", ["x", "m.w"]), ("add-0#2", ["add-0", "m.w"]), ("y", ["add-0#2"])]
    assert irflops.analyze(graph).total.get("params") == 7


@pytest.mark.parametrize("name", ['"a b"', '"a\\0A\\00"', '"' + "a" * 3000 + '"'])
def test_names_of_functions_that_are_no_words(name: str) -> None:
    for text in (
        whole(function(name, relu("%0", "%arg0")), function("g", relu("%0", "%arg0"))),
        whole(function(name, launch("%0", name, "%arg0"))),
        whole(function(name, relu("%0", "%arg0")), job(launch("%0", name, "%x, %x"))),
    ):
        assert len(str(fault(text))) < 3000


def test_function_of_functions() -> None:
    inner = function("inner", relu("%0", "%arg0", "relu-9"))
    outer = function("outer", launch("%0", "inner", "%arg0"), relu("%1", "%0"), launch("%2", "inner", "%1"), returned="%2")
    assert flow(load(whole(inner, outer))) == [("arg0", []), ("relu-9", ["arg0"]), ("relu-0", ["relu-9"]), ("relu-9#2", ["relu-0"])]
    graph = load(whole(outer, job(launch("%0", "outer", "%x")), inner))
    assert [name for name, _ in flow(graph)] == ["x", "relu-9", "relu-0", "relu-9#2", "y"]


def test_function_of_several_results_and_operands() -> None:
    text = whole(
        f"  func.func @f(%a: {SEVEN}, %b: {SEVEN}) -> ({SEVEN}, {SEVEN}) {{\n"
        + relu("%0", "%b")
        + f"    return %a, %0 : {SEVEN}, {SEVEN}\n  }}\n",
        job(
            f'    %r:2 = oneflow.kernel_launch @f(%x, %x) {{op_name = "k"}} : ({SEVEN}, {SEVEN}) -> ({SEVEN}, {SEVEN})\n',
            f'    %0 = "oneflow.add_n2"(%r#0, %r#1) {{op_name = "add_n-2", op_type_name = "add_n"}} : ({SEVEN}, {SEVEN}) -> {SEVEN}\n',
        ),
    )
    assert flow(load(text)) == [("x", []), ("relu-0", ["x"]), ("add_n-2", ["x", "relu-0"]), ("y", ["add_n-2"])]


def test_argument_of_the_job_that_calls_read() -> None:
    """It is one input, however many calls read it, and none that is read by nothing."""
    body = function("f", relu("%0", "%arg0"))
    head = f"  oneflow.job @G_0(%arg0: {SEVEN}, %arg1: {SEVEN}) {{\n"
    text = whole(body, head + launch("%0", "f", "%arg0") + launch("%1", "f", "%arg0") + "  }\n")
    assert flow(load(text)) == [("arg0", []), ("relu-0", ["arg0"]), ("relu-0#2", ["arg0"])]


def test_input_in_a_function_that_is_called_is_what_is_given() -> None:
    own = f'    %i = "oneflow.input"(%arg0) {{op_name = "i", nd_sbp = ["B"]}} : ({SEVEN}) -> {SEVEN}\n'
    body = function("f", own, relu("%0", "%i"))
    assert flow(load(whole(body, job(launch("%0", "f", "%x"))))) == [("x", []), ("relu-0", ["x"]), ("y", ["relu-0"])]
    assert flow(load(whole(body))) == [("i", []), ("relu-0", ["i"])]


@pytest.mark.parametrize("declared", ["", f"  func.func private @f({SEVEN}) -> {SEVEN}\n"])
def test_launch_of_nothing_is_an_operator_of_unknown_cost(declared: str) -> None:
    graph = load(whole(declared, job(launch("%0", "f", "%x"), relu("%1", "%0"), returned="%1")))
    assert flow(graph) == [("x", []), ("launch", ["x"]), ("relu-0", ["launch"]), ("y", ["relu-0"])]
    assert [note.text for note in graph.notes] == ["@f called, and no body is in this file: what these calls compute is unknown"]
    analysis = irflops.analyze(graph)
    assert (analysis.total.get("flops"), analysis.total.certainty("flops")) == (7, "lower_bound")


@pytest.mark.parametrize(
    ("functions", "call", "message"),
    [
        ((), "%0 = call @f(%x) : (T) -> T", "@f is called here, and it has no body in this file"),
        (
            (function("f", relu("%0", "%arg0")),),
            "%0 = oneflow.kernel_launch @f(%x, %x) : (T, T) -> T",
            "@f takes 1 operands, and 2 stand here",
        ),
        (
            (function("f", relu("%0", "%arg0")),),
            "%0:2 = oneflow.kernel_launch @f(%x) : (T) -> (T, T)",
            "@f returns 1 values, and 2 are taken here",
        ),
        (
            (function("f", relu("%0", "%arg0", type_="tensor<8xf32>"), given="%arg0: tensor<8xf32>"),),
            "%0 = oneflow.kernel_launch @f(%x) : (T) -> T",
            "@f takes tensor<8xf32>, and tensor<7xf32> stands here",
        ),
        (
            (function("f", relu("%0", "%arg0", type_="tensor<7xf16>"), given="%arg0: tensor<7xf16>"),),
            "%0 = oneflow.kernel_launch @f(%x) : (T) -> T",
            "@f takes tensor<7xf16>, and tensor<7xf32> stands here",
        ),
        ((), "%0 = oneflow.kernel_launch @G_0(%x) : (T) -> T", "@G_0 is a job, and only functions are called"),
    ],
)
def test_call_that_does_not_fit(functions: tuple[str, ...], call: str, message: str) -> None:
    error = fault(whole(*functions, job(f"    {call}\n".replace("T", SEVEN))))
    assert isinstance(error, GraphError)
    assert error.message == message
    assert error.excerpt is not None
    assert error.excerpt[(error.column or 0) - 1 :].startswith(message.split(maxsplit=1)[0] + "(")


def test_call_with_more_operands_than_types() -> None:
    error = fault(whole(function("f", relu("%0", "%arg0")), job(f"    %0 = oneflow.kernel_launch @f(%x, %x) : ({SEVEN}) -> {SEVEN}\n")))
    assert error.message == "oneflow.kernel_launch has 2 operands, and types of 1"


def test_function_sees_nothing_of_its_caller() -> None:
    error = fault(whole(function("f", relu("%0", "%x")), job(launch("%0", "f", "%x"))))
    assert error.message == "%x is read before it is defined at line 7"


def test_branches_are_no_graph() -> None:
    error = fault(whole(function("f", relu("%0", "%arg0"), f"  ^bb1(%1: {SEVEN}):\n", relu("%2", "%1", "relu-1"), returned="%2")))
    assert error.message == "another block: a graph has no branches, from one block to another"
    assert (error.line, error.column) == (4, 3)
