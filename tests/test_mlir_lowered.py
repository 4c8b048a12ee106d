"""MLIR in which OneFlow's operators became operations of other dialects: what is said of it, and where."""

from __future__ import annotations

import pytest

import irflops
from irflops import IrflopsError
from irflops.errors import NotAGraphError

HINT = 'dump the graph before it is lowered: oneflow.save(graph, "DIR")'
TOSA = '    %0 = "tosa.cast"(%arg0) : (tensor<4xi64>) -> tensor<4xf32>\n'
MEMREF = "    %a = memref.alloc() {alignment = 64 : i64} : memref<4xf32>\n    %c0 = arith.constant 0 : index\n"
OKL = (
    '    %0 = "okl.build_reg_ctx"() ({\n    ^bb0(%arg1: !okl.launcher_ctx):\n      okl.return\n    })'
    ' {function_type = (!okl.launcher_ctx) -> ()} : () -> !okl.reg_ctx\n    "okl.destroy_reg_ctx"(%0) : (!okl.reg_ctx) -> ()\n'
)
KERNEL = (
    '    "okl.wrapper_kernel"() ({\n      %0 = "okl.get_tensor_from_arg"(%arg0) {index = 0 : i32} : (!okl.launcher_ctx) -> tensor<2xf32>\n'
    '      %1 = "oneflow.relu"(%0) {op_name = "relu-0"} : (tensor<2xf32>) -> tensor<2xf32>\n      okl.return\n'
    "    }) {index = 0 : i32} : () -> ()\n"
)
SEQUENCE = (
    "module {\n  transform.sequence failures(propagate) {\n  ^bb1(%m: !pdl.operation):\n"
    '    %0 = transform.structured.match ops{["linalg.generic"]} in %m\n  }\n}\n'
)
STORED = (
    '    %0 = "oneflow.relu"(%arg0) {op_name = "a"} : (tensor<4xi64>) -> tensor<4xi64>\n    memref.tensor_store %0, %m : memref<4xi64>\n'
)
LLVM = "  llvm.func @f(%arg0: !llvm.ptr) attributes {llvm.emit_c_interface} {\n    llvm.return\n  }\n"


def function(body: str) -> str:
    return f"module {{\n  func.func @f(%arg0: tensor<4xi64>) {{\n{body}    return\n  }}\n}}\n"


def fault(text: str) -> IrflopsError:
    with pytest.raises(NotAGraphError) as caught:
        irflops.loads(text, name="model.mlir")
    return caught.value


@pytest.mark.parametrize(
    ("text", "dialects", "line", "column"),
    [
        (function(TOSA), "tosa", 3, 11),
        (f"oneflow.job @f(%arg0: tensor<4xi64>) {{\n{TOSA}    oneflow.return\n}}\n", "tosa", 2, 11),
        (function(MEMREF), "memref, arith", 3, 10),
        (function("    %c96 = constant 96 : index\n" + MEMREF), "std, memref, arith", 3, 12),
        (function(OKL), "okl", 3, 11),
        (f"module {{\n{LLVM}}}\n", "llvm", 2, 3),
        (LLVM, "llvm", 1, 3),
        (f"#map = affine_map<(d0) -> (d0)>\nmodule attributes {{gpu.container_module}} {{\n{LLVM}}}\n", "llvm", 3, 3),
        ("gpu.module @kernels {\n  gpu.func @k() kernel {\n    gpu.return\n  }\n}\n", "gpu", 1, 1),
        (SEQUENCE, "transform", 2, 3),
        (function("".join(f'    "a{n}.b"() : () -> ()\n' for n in range(8))), "a0, a1, a2, a3, a4 and 3 more", 3, 6),
    ],
)
def test_nothing_of_oneflow_is_left(text: str, dialects: str, line: int, column: int) -> None:
    error = fault(text)
    assert error.message == f"no OneFlow operator is left in it: its operations are those of {dialects}"
    assert (error.line, error.column, error.hint) == (line, column, HINT)


@pytest.mark.parametrize(
    ("body", "name", "dialects", "line", "column"),
    [
        (KERNEL, "okl.wrapper_kernel", "okl", 3, 6),
        (STORED, "memref.tensor_store", "memref", 4, 5),
        (TOSA + '    %1 = "oneflow.relu"(%0) {op_name = "a"} : (tensor<4xf32>) -> tensor<4xf32>\n', "tosa.cast", "tosa", 3, 11),
        (
            "    %0 = builtin.unrealized_conversion_cast %arg0 : !llvm.ptr<i8> to !okl.launcher_ctx\n" + KERNEL,
            "builtin.unrealized_conversion_cast",
            "builtin, okl",
            3,
            10,
        ),
    ],
)
def test_some_operators_of_oneflow_are_left(body: str, name: str, dialects: str, line: int, column: int) -> None:
    error = fault(function(body))
    assert (
        error.message
        == f"'{name}' is no operation of OneFlow's: no whole graph of OneFlow operators is left in it, for it is lowered to {dialects}"
    )
    assert (error.line, error.column, error.hint) == (line, column, HINT)


@pytest.mark.parametrize("before", ["", '    %0 = "oneflow.constant"() {op_name = "a"} : () -> tensor<f32>\n'])
def test_operators_in_a_form_of_their_own(before: str) -> None:
    """As OneFlow's dialect was printed in its first months."""
    error = fault(function(before + '    %res = oneflow.relu %0 {op_name = "relu1"} : tensor<f32>\n'))
    assert error.message == "'oneflow.relu' stands in a form of its own, and operators are read in the generic one, with the name in quotes"
    assert (error.line, error.column) == (3 + bool(before), 12)
    assert error.hint == "print it so: oneflow-opt --mlir-print-op-generic FILE"


def test_a_module_without_operations() -> None:
    for text in ("module {\n}\n", "func.func private @f(memref<*xf32>)\n", "module {\n  func.func @f() {\n    return\n  }\n}\n"):
        assert fault(text).message == "the module has no operators"


def test_comments_alone() -> None:
    error = fault('// RUN: python3 %s.py\n// CHECK: module\n// CHECK: %0 = "oneflow.mlir_jit"\n')
    assert error.message == "this is a text of comments (//) alone, without any MLIR"


def test_mlir_without_a_module_in_a_log() -> None:
    error = fault('saved\nfunc.func @f() {\n  %0 = "oneflow.constant"() {op_name = "a"} : () -> tensor<f32>\n  return\n}\n')
    assert error.message == "this is a text with a saved graph's MLIR somewhere in it"
    assert error.hint == "keep the job or function alone, from its line 'oneflow.job @...' or 'func.func @...' to its last '}'"
