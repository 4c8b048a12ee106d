"""What is said of modules of MLIR that do not read, or contradict themselves."""

from __future__ import annotations

import random
import time
import tracemalloc

import pytest
from modules import TYPE, W, X, module, op, read

from irflops.errors import GraphError, GraphSyntaxError, IrflopsError, NotAGraphError

RELU = op("relu")


def fault(text: str) -> IrflopsError:
    with pytest.raises(IrflopsError) as caught:
        read(text)
    return caught.value


@pytest.mark.parametrize(
    ("statement", "line", "column", "message"),
    [
        (op("relu", operands="%q"), 4, 25, "%q is never defined"),
        (op("relu", operands="%z") + "\n    " + op("tanh", name="b", given="%z"), 4, 25, "%z is read before it is defined at line 5"),
        (RELU + "\n    " + op("tanh", name="b"), 5, 5, "%y is defined twice; first at line 4"),
        (op("relu", operands="%x#1"), 4, 25, "%x#1 is never defined"),
        (op("relu", types=f"() -> {TYPE}"), 4, 11, "oneflow.relu has 1 operands, and types of 0"),
        (op("relu", given="%y, %z"), 4, 15, "oneflow.relu has 2 results, and types of 1"),
        (op("relu", given="%y:999999999999"), 4, 24, "oneflow.relu has 999999999999 results, and types of 1"),
        (op("relu", given="%y:0"), 4, 13, "oneflow.relu has a result that stands for no value"),
        (op("matmul"), 4, 11, "oneflow.matmul: 1 operands stand here, and it has 2 at least"),
        (
            op("relu", operands="%x, %x", types=f"({TYPE}, {TYPE}) -> {TYPE}"),
            4,
            11,
            "oneflow.relu: 2 operands stand here, and it has 1 at most",
        ),
        (
            op("relu", types=f"({TYPE}) -> ({TYPE}, {TYPE})", given="%y:2"),
            4,
            13,
            "oneflow.relu: 2 results stand here, and it has 1 at most",
        ),
        (
            op("conv2d", "operand_segment_sizes = dense<[1, 1, 0, 0]> : vector<4xi32>"),
            4,
            11,
            "oneflow.conv2d: 1 operands stand here, and its arguments have 2",
        ),
        (
            op("user", 'op_type_name = "relu", operand_segment_sizes = array<i32: 2, 0>'),
            4,
            11,
            "oneflow.user: 1 operands stand here, and its segments are 2, 0",
        ),
        (op("relu", 'operand_segment_sizes = "1"'), 4, 11, "oneflow.relu: its operand_segment_sizes are no counts"),
        (op("system", "op_type_case = 290 : i32, input_bns = [1]"), 4, 11, "oneflow.system: its input_bns are no list of strings"),
        (f'%y = "oneflow.relu"(%x) {{}} : ({TYPE}) -> {TYPE}', 4, 11, "oneflow.relu has no op_name, which every operator of a graph has"),
        (op("relu", "a = 1, a = 2"), 4, 59, "the attribute a is given twice"),
        (op("relu", '"a" = 1, "a" = 2'), 4, 5, "an attribute is given twice"),
        (op("relu", "a = 0xFFFF : si"), 4, 56, "0xffff are no bits of type 'si'"),
        (op("relu", "a = 0x1FFFFFFFF : f32"), 4, 56, "0x1ffffffff are no bits of type 'f32'"),
        (op("relu", f"a = {'9' * 100} : si64"), 4, 56, "expected an integer, got '9999"),
        (op("relu", "a = 1.5 : si64"), 4, 56, "expected an integer, got '1.5'"),
        (op("relu", "a = "), 4, 56, "unexpected '}'"),
        (op("relu", 'a = "b'), 4, 56, "the string has no end on its line"),
        (op("relu", f"a = {'[' * 200}{']' * 200}"), 4, 5, "an attribute nested deeper than 100 levels"),
        (op("relu", f"a = {'{b = ' * 200}1{'}' * 200}"), 4, 541, "regions and dictionaries nested deeper than 100 levels"),
        ('"oneflow.a"() ({ ' * 200, 4, 1686, "regions and dictionaries nested deeper than 100 levels"),
        ("}\n}\n}", 6, 1, "'}' closes nothing that is open"),
        ("garbage here", 4, 5, "expected 'loc(...)', got 'garbage'"),
        (op("relu", operands="%arg0 %x"), 4, 31, "got '%x'"),
    ],
)
def test_error_has_its_place(statement: str, line: int, column: int, message: str) -> None:
    error = fault(module(X, statement))
    assert message in error.message
    assert (error.line, error.column) == (line, column)


def test_control_is_no_tensor() -> None:
    first = op("user", 'op_type_name = "relu", output_lbns = ["a/y_0"], result_segment_sizes = array<i32: 1, 1>', given="%y, %c", name="a")
    first = first.replace(f"-> {TYPE}", f"-> ({TYPE}, tensor<i1>)")
    error = fault(module(X, first, op("tanh", name="b", given="%z", operands="%c", types=f"(tensor<i1>) -> {TYPE}")))
    assert isinstance(error, GraphError | GraphSyntaxError)


@pytest.mark.parametrize("cut", range(20, len(module(X, W, RELU)) - 4, 17))
def test_cut_off_anywhere(cut: int) -> None:
    error = fault(module(X, W, RELU)[:cut])
    assert isinstance(error, GraphSyntaxError)
    assert error.line is not None


def test_two_operators_of_one_name() -> None:
    """A name is an attribute in MLIR: values tell operators apart, and no two of these may have one name."""
    graph = read(module(X, RELU, op("relu", given="%z", operands="%y"), op("tanh", name="b", given="%a", operands="%z")))
    assert [(op_.name, [operand.lbn for operand in op_.inputs]) for op_ in graph.ops[1:]] == [
        ("m-relu-0", ["x/out"]),
        ("m-relu-0#2", ["m-relu-0/y_0"]),
        ("b", ["m-relu-0#2/y_0"]),
    ]
    assert [note.text for note in graph.notes] == ["an operator has the op_name of another: told apart here by a number, such as relu-0#2"]


def test_no_operators() -> None:
    for text in ("module {\n}\n", "module {\n  oneflow.job @G_0() {\n    oneflow.return\n  }\n}\n", "// nothing\n", ""):
        assert isinstance(fault(text), NotAGraphError)


def test_operations_of_other_dialects() -> None:
    error = fault(module(X, f'%y = "tosa.cast"(%x) : ({TYPE}) -> {TYPE}'))
    assert isinstance(error, NotAGraphError)
    assert "'tosa.cast' is no operation of OneFlow's" in error.message
    assert error.line == 4


FULL = 10_000_000
HOSTILE = {
    "braces": "module " + "{" * FULL,
    "brackets": module(X, op("relu", "a = " + "[" * FULL)),
    "quotes": module(X, op("relu", 'a = "' + '\\"' * (FULL // 2))),
    "results": module(X, "%a, " * (FULL // 16) + '%b = "oneflow.relu"(%x)'),
    "words": module("oneflow.job @a( " * (FULL // 16)),
    "angles": module(X, op("relu", "a = #a.b" + "<" * FULL)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_ten_megabytes_of_nothing(name: str) -> None:
    start = time.process_time()
    fault(HOSTILE[name])
    assert time.process_time() - start < 20


def test_garbage_takes_little_memory() -> None:
    signs = '{}[]()<>"%#@!^=,:-> \n\\abc019./xoneflow'
    text = module(X, "".join(random.Random(1).choices(signs, k=1_000_000)))  # noqa: S311 - no secret
    tracemalloc.start()
    fault(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000_000


@pytest.mark.parametrize("odd", ["12345", "%abcd", "// a comment\n"])
def test_arrangement_known_from_another_operation(odd: str) -> None:
    """One operation reads; another that is like it but for what stands in its place does not."""
    assert len(read(module(X, RELU, op("tanh", name="b", given="%z"))).ops) == 3
    assert isinstance(fault(module(X, RELU, op("tanh", name="b", given="%z").replace('"b"', odd))), GraphSyntaxError)
