"""MLIR, element by element, as a saved graph uses it and as the language allows it to be written."""

from __future__ import annotations

import math
import struct

import pytest
from modules import TYPE, X, module, op, read

from irflops.errors import GraphSyntaxError
from irflops.ir.graph import AttrValue, DType, TensorType


def attr_of(text: str) -> AttrValue:
    """The attribute `a` of an operator that is written so."""
    return read(module(X, op("relu", f"a = {text}"))).by_name["m-relu-0"].attrs["a"]


def single(value: float) -> float:
    rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return rounded


# Attributes


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7 : si32", 7),
        ("-7 : si64", -7),
        ("9223372036854775807 : si64", 2**63 - 1),
        ("0x1F : si32", 31),
        ("7 : index", 7),
        ("7", 7),
        ("1.5", 1.5),
        ("9.99999974E-6 : f32", single(1e-5)),
        ("9.99E-6 : f64", 9.99e-6),
        ("1.000000e+00 : f64", 1.0),
        ("0.1 : f32", single(0.1)),
        ("0x7F800000 : f32", math.inf),
        ("0xFF800000 : f32", -math.inf),
        ("0x7FF0000000000000 : f64", math.inf),
        ("0x7F80 : bf16", math.inf),
        ("0x3C00 : f16", 1.0),
        ("0x7FC00000", None),
        ("[0x1F, 2]", (None, 2)),
        ("dense<0x7F800000> : tensor<f32>", None),
        ("dense<[(0x7F800000, 2.0)]> : tensor<1xcomplex<f32>>", ((None, 2.0),)),
        ('"same"', "same"),
        ('"same" : i32', "same"),
        (r'"a\22b\0A\n\t\\c\E2\98\83"', 'a"b\n\n\t\\c\N{SNOWMAN}'),
        (r'"\FF"', "\N{REPLACEMENT CHARACTER}"),
        ('"// no comment"', "// no comment"),
        ('"} : () -> ()"', "} : () -> ()"),
        ("true", True),
        ("false", False),
        ("unit", True),
        ("2 : i32", "float32"),
        ("9 : i32", "float16"),
        ("12 : i32", "bool"),
        ("10 : i32", "data type 10"),
        ("[2 : i32, 6 : i32]", ("float32", "int64")),
        ("[1 : si32, 2 : si32]", (1, 2)),
        ("[]", ()),
        ("[[1 : si64], [2 : si64, 3 : si64], []]", ((1,), (2, 3), ())),
        ("[1.5 : f32, -2.0 : f32]", (1.5, -2.0)),
        ('["a", "b"]', ("a", "b")),
        ("[1.0 : f64, -1.0 : f64]", (1.0, -1.0)),
        ("dense<[1, 1, 0, 0]> : vector<4xi32>", (1, 1, 0, 0)),
        ("dense<1> : vector<3xi32>", (1, 1, 1)),
        ("dense<2.5> : tensor<2xf32>", (2.5, 2.5)),
        ("dense<1> : tensor<i32>", 1),
        ("dense<1> : tensor<1000000xi32>", 1),
        ("dense<> : tensor<0xf32>", ()),
        ("dense<[[1, 2], [3, 4]]> : tensor<2x2xi32>", ((1, 2), (3, 4))),
        ("dense<[(1.0, 2.0)]> : tensor<1xcomplex<f32>>", ((1.0, 2.0),)),
        ('dense<"0xFF"> : tensor<1xui8>', "0xFF"),
        ("array<i32: 1, -2>", (1, -2)),
        ("array<i64>", ()),
        ("array<f32: 0.1>", (single(0.1),)),
        ("array<i1: true, false>", (True, False)),
        ("@callee", "callee"),
        ('@a::@"b c"', "a::b c"),
        ("f32", "f32"),
        ("tensor<2x?xf32>", "tensor<2x?xf32>"),
        ("complex<f32>", "complex<f32>"),
        ("!oneflow.tensor_buffer_element", "!oneflow.tensor_buffer_element"),
        ("(f32) -> (f32, f32)", None),
        ("{b = 1 : si32, c}", (("b", 1), ("c", True))),
        ("#sbp.B", "B"),
        ("#map", None),
        ('#other.attr<1, "x>" -> <2>>', None),
        ("affine_map<(d0)[s0] -> ((d0 - s0) ceildiv 2)>", None),
        ('loc("x.py":1:2)', None),
    ],
)
def test_attribute(text: str, value: AttrValue) -> None:
    assert attr_of(text) == value
    assert type(attr_of(text)) is type(value)


def test_what_is_no_number() -> None:
    for text in ("0x7FC00000 : f32", "0x7FF8000000000000 : f64"):
        value = attr_of(text)
        assert isinstance(value, float)
        assert math.isnan(value)


def test_names_of_attributes() -> None:
    graph = read(module(X, op("relu", '"a b" = 1 : si32, module = "m", dense = 2 : si32, loc = 3 : si32, "\\22" = 4 : si32, alone')))
    assert dict(graph.by_name["m-relu-0"].attrs) == {"a b": 1, "module": "m", "dense": 2, "loc": 3, '"': 4, "alone": True}


def test_bookkeeping_is_no_attribute() -> None:
    kept = 'device_tag = "cpu", device_name = ["@0:0"], hierarchy = [1], scope_symbol_id = 12 : i64, op_type_name = "relu"'
    assert dict(read(module(X, op("relu", f"{kept}, a = 1 : si32"))).by_name["m-relu-0"].attrs) == {"a": 1}


# Types


@pytest.mark.parametrize(
    ("text", "shape", "dtype"),
    [
        ("tensor<f32>", (), DType.FLOAT32),
        ("tensor<2x8xf64>", (2, 8), DType.FLOAT64),
        ("tensor<0xf16>", (0,), DType.FLOAT16),
        ("tensor<?x8xbf16>", (None, 8), DType.BFLOAT16),
        ("tensor<*xf32>", None, DType.FLOAT32),
        ("tensor<2xui8>", (2,), DType.UINT8),
        ("tensor<2xsi16>", (2,), DType.INT16),
        ("tensor<2xi32>", (2,), DType.INT32),
        ("tensor<2xsi64>", (2,), DType.INT64),
        ("tensor<2xui64>", (2,), DType.UINT64),
        ("tensor<2xsi128>", (2,), DType.INT128),
        ("tensor<2xcomplex<f32>>", (2,), DType.COMPLEX64),
        ("tensor<2xcomplex<f64>>", (2,), DType.COMPLEX128),
        ("tensor<2x!oneflow.char_element>", (2,), DType.CHAR),
        ("tensor<2x!oneflow.of_record_element>", (2,), None),
        ("tensor<2xf32, #other.layout<1>>", (2,), DType.FLOAT32),
        ("memref<2x4xf32, strided<[?, ?], offset: ?>>", None, None),
        ("f32", None, None),
    ],
)
def test_type_of_a_tensor(text: str, shape: tuple[int | None, ...] | None, dtype: DType | None) -> None:
    graph = read(module(X, op("cast", types=f"({TYPE}) -> {text}")))
    assert graph.by_name["m-relu-0"].outputs[0].type == TensorType(shape, dtype)


@pytest.mark.parametrize("text", ["tensor<-1xf32>", "tensor<2xx3xf32>", "tensor<2x3>", "tensor<99999999999999999999xf32>", "tensor<>"])
def test_type_that_is_none(text: str) -> None:
    with pytest.raises(GraphSyntaxError):
        read(module(X, op("cast", types=f"({TYPE}) -> {text}")))


def test_more_dimensions_than_oneflow_has() -> None:
    with pytest.raises(GraphSyntaxError, match="a tensor of 100 dimensions; OneFlow has at most 20"):
        read(module(X, op("cast", types=f"({TYPE}) -> tensor<{'1x' * 100}f32>")))


BYTES = "tensor<2x8xsi8>"


@pytest.mark.parametrize(
    ("statements", "dtype"),
    [
        ([op("scalar_logical_greater", types=f"({TYPE}) -> {BYTES}")], DType.BOOL),
        ([op("broadcast_equal", operands="%x, %x", types=f"({TYPE}, {TYPE}) -> {BYTES}")], DType.BOOL),
        ([op("cast", "dtype = 12 : i32", types=f"({TYPE}) -> {BYTES}")], DType.BOOL),
        ([op("cast", "dtype = 4 : i32", types=f"({TYPE}) -> {BYTES}")], DType.INT8),
        (
            [
                op("scalar_logical_greater", name="m-a-0", given="%a", types=f"({TYPE}) -> {BYTES}"),
                op("reshape", operands="%a", types=f"({BYTES}) -> {BYTES}"),
            ],
            DType.BOOL,
        ),
        (
            [
                op("cast", "dtype = 4 : i32", name="m-a-0", given="%a", types=f"({TYPE}) -> {BYTES}"),
                op("scalar_logical_greater", name="m-b-0", given="%b", types=f"({TYPE}) -> {BYTES}"),
                op("where", operands="%b, %a, %a", types=f"({BYTES}, {BYTES}, {BYTES}) -> {BYTES}"),
            ],
            DType.INT8,
        ),
        (
            [
                op("cast", "dtype = 4 : i32", name="m-a-0", given="%a", types=f"({TYPE}) -> {BYTES}"),
                op("isnan", operands="%a", types=f"({BYTES}) -> {BYTES}"),
            ],
            DType.BOOL,
        ),
    ],
)
def test_bool_is_told_from_bytes(statements: list[str], dtype: DType) -> None:
    graph = read(module(X, *statements))
    assert graph.by_name["m-relu-0"].outputs[0].type == TensorType((2, 8), dtype)


# Statements


def test_several_results() -> None:
    pool = "(tensor<1x2x4x4xf32>) -> (tensor<1x2x2x2xf32>, tensor<1x2x2x2xsi64>)"
    head = "oneflow.job @G_0(%arg0: tensor<1x2x4x4xf32>)"
    named = op("max_pool_2d", name="m-max_pool_2d-0", given="%a, %b", operands="%arg0", types=pool)
    counted = op("max_pool_2d", name="m-max_pool_2d-0", given="%a:2", operands="%arg0", types=pool)
    for statement, first, second in ((named, "%a", "%b"), (counted, "%a#0", "%a#1")):
        users = (
            op("relu", name="m-relu-1", given="", operands=first, types="(tensor<1x2x2x2xf32>) -> tensor<1x2x2x2xf32>"),
            op("relu", name="m-relu-2", given="%c", operands=second, types="(tensor<1x2x2x2xsi64>) -> tensor<1x2x2x2xsi64>"),
        )
        graph = read(module(statement, *users, job=head))
        assert [(result.arg, result.lbn) for result in graph.by_name["m-max_pool_2d-0"].outputs] == [
            ("y", "m-max_pool_2d-0/y_0"),
            ("indice", "m-max_pool_2d-0/indice_0"),
        ]
        assert graph.by_name["m-relu-1"].inputs[0].lbn == "m-max_pool_2d-0/y_0"
        assert graph.by_name["m-relu-2"].inputs[0].lbn == "m-max_pool_2d-0/indice_0"


def test_one_text_in_many_ways() -> None:
    """Comments, line ends anywhere, several operations in a line, locations, aliases: all the same graph."""
    plain = read(module(X, op("relu", "a = [1 : si32, 2 : si32]"), op("tanh", name="m-tanh-1", given="%z", operands="%y")))
    texts = [
        module(X, op("relu", "a = [1 : si32, 2 : si32]") + " " + op("tanh", name="m-tanh-1", given="%z", operands="%y")),
        module(
            X + ' // %q = "oneflow.relu"(%x) {',
            f'%y =\n "oneflow.relu"\n (\n%x // here\n ) {{\n"op_name" = "m-relu-0",\n a = [1 : si32,\n 2 : si32]}}\n'
            f" : ({TYPE})\n ->\n {TYPE}",
            op("tanh", name="m-tanh-1", given="%z", operands="%y"),
        ),
        '#loc = loc("x.py":1:2)\n#map = affine_map<(d0) -> (d0 + 1)>\n!t = tensor<2xf32>\n'
        + module(
            X + " loc(#loc)",
            op("relu", "a = [1 : si32, 2 : si32]") + ' loc(callsite("a"("x.py":1:2) at fused<"m">["y.py":3:4, unknown]))',
            op("tanh", name="m-tanh-1", given="%z", operands="%y") + " loc(unknown)",
            "oneflow.return %z : " + TYPE + " loc(#loc)",
        ).replace("  }\n}", '  } loc("b")\n} loc(unknown)'),
        module(X, op("relu", "a = array<i64: 1, 2>"), op("tanh", name="m-tanh-1", given="%z", operands="%y")),
        module(
            X,
            f'%y = "oneflow.relu"(%x) <{{a = [1 : si32, 2 : si32]}}> {{op_name = "m-relu-0"}} : ({TYPE}) -> {TYPE}',
            op("tanh", name="m-tanh-1", given="%z", operands="%y"),
        ),
    ]
    for text in texts:
        graph = read(text)
        for op_, same in zip(graph.ops, plain.ops, strict=True):
            assert (op_.name, op_.type, op_.attrs, op_.inputs, op_.outputs) == (same.name, same.type, same.attrs, same.inputs, same.outputs)


def test_generic_form_of_module_and_job() -> None:
    body = "".join(f"    {line}\n" for line in (X, op("relu"), f'"oneflow.return"(%y) : ({TYPE}) -> ()'))
    text = (
        f'"builtin.module"() ({{\n  "oneflow.job"() ({{\n  ^bb0(%arg0: {TYPE}):\n{body}'
        f'  }}) {{function_type = ({TYPE}) -> {TYPE}, sym_name = "G_0"}} : () -> ()\n}}) : () -> ()\n'
    )
    graph = read(text)
    assert graph.name == "G_0"
    assert [op_.name for op_ in graph.ops] == ["x", "m-relu-0"]
    assert read(f"\n// saved\n{text}").ops[1].span != graph.ops[1].span


def test_heads_of_jobs() -> None:
    for head in (
        f"oneflow.job @G_0(%arg0: {TYPE}) -> {TYPE}",
        f"oneflow.job @G_0(%arg0: {TYPE}) -> ({TYPE} {{a = 1 : i32}}, {TYPE})",
        f"oneflow.job private @G_0(%arg0: {TYPE} {{a}} loc(unknown)) attributes {{b = {{c = 1}}}}",
        f'func.func @"G_0"(%arg0: {TYPE})',
    ):
        graph = read(module(X, op("relu"), job=head))
        assert (graph.name, len(graph.ops)) == ("G_0", 2)
    assert read("module @m attributes {a = 1 : i32} {\n" + module(X, op("relu")).removeprefix("module {\n")).name == "G_0"
    assert read(module(X, op("relu")).removeprefix("module {\n").removesuffix("}\n")).name == "G_0"


def test_operator_has_its_place() -> None:
    graph = read(module(X, op("relu")))
    span = graph.by_name["m-relu-0"].span
    assert span is not None
    assert graph.source.text[span.start : span.end] == op("relu")
    assert graph.source.line(span.start) == 4
