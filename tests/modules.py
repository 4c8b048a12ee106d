"""Modules of MLIR for the tests of their reader: small ones written out, and how they are read."""

from __future__ import annotations

from irflops import Graph
from irflops.errors import Source
from irflops.readers.mlir.saved_mlir import read_mlir

TYPE = "tensor<2x8xf32>"
X = (
    '%x = "oneflow.input"(%arg0) {data_type = 2 : i32, op_name = "x", output_lbns = ["x/out"], nd_sbp = ["B"],'
    f" shape = [2 : si64, 8 : si64]}} : ({TYPE}) -> {TYPE}"
)
W = (
    '%w = "oneflow.variable"() {data_type = 2 : i32, op_name = "m.w", output_lbns = ["m.w/out"],'
    " parallel = #sbp.parallel<[] -> [[#sbp.S<0>]]>, shape = [4 : si64, 8 : si64]} : () -> tensor<4x8xf32>"
)


def module(*statements: str, job: str = f"oneflow.job @G_0(%arg0: {TYPE})") -> str:
    """A module with those statements in its job, one a line behind two."""
    return f"module {{\n  {job} {{\n" + "".join(f"    {statement}\n" for statement in statements) + "  }\n}\n"


def op(mnemonic: str, attrs: str = "", *, name: str = "m-relu-0", given: str = "%y", operands: str = "%x", types: str = "") -> str:
    """An operation of the dialect, a relu's unless told otherwise."""
    type_ = types or f"({TYPE}) -> {TYPE}"
    result = f"{given} = " if given else ""
    more = f", {attrs}" if attrs else ""
    return f'{result}"oneflow.{mnemonic}"({operands}) {{op_name = "{name}"{more}}} : {type_}'


def read(text: str) -> Graph:
    return read_mlir(Source("model.mlir", text))


# Modules of functions

SEVEN = "tensor<7xf32>"


def relu(given: str, operand: str, name: str = "relu-0", type_: str = SEVEN) -> str:
    return f'    {given} = "oneflow.relu"({operand}) {{op_name = "{name}"}} : ({type_}) -> {type_}\n'


def function(name: str, *lines: str, given: str = f"%arg0: {SEVEN}", returned: str = "%0") -> str:
    """A function of one argument, which returns one value; lines are complete."""
    return f"  func.func @{name}({given}) -> {SEVEN} {{\n{''.join(lines)}    return {returned} : {SEVEN}\n  }}\n"


def launch(given: str, callee: str, operand: str, name: str = "launch") -> str:
    return f'    {given} = "oneflow.kernel_launch"({operand}) {{callee = @{callee}, op_name = "{name}"}} : ({SEVEN}) -> {SEVEN}\n'


def job(*lines: str, name: str = "G_0", returned: str = "%0") -> str:
    given = (
        f'    %x = "oneflow.input"(%arg0) {{op_name = "x", output_lbns = ["x/out"], nd_sbp = ["B"]}} : ({SEVEN}) -> {SEVEN}\n',
        *lines,
        f'    %out = "oneflow.output"({returned}) {{op_name = "y", output_lbns = ["y/out"], nd_sbp = ["B"]}} : ({SEVEN}) -> {SEVEN}\n',
    )
    return f"  oneflow.job @{name}(%arg0: {SEVEN}) -> {SEVEN} {{\n{''.join(given)}    oneflow.return %out : {SEVEN}\n  }}\n"


def whole(*functions: str) -> str:
    return f"module {{\n{''.join(functions)}}}\n"


def flow(graph: Graph) -> list[tuple[str, list[str]]]:
    """Operators by name, each with the names of those that it reads."""
    return [(op_.name, [operand.lbn.partition("/")[0] for operand in op_.inputs]) for op_ in graph.ops]
