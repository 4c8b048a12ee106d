"""Kinds of edit by themselves, on small graphs: which edits there are is known by hand."""

from __future__ import annotations

from typing import NamedTuple

from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.differ import Edit
from irflops.ir.graph import Module, Op
from irflops.readers.notation.sketch import sketch

Named = tuple[str, str | None, str | None]


class Case(NamedTuple):
    """A graph, what becomes of which parts of its text, and the edits that this is."""

    text: str
    changes: dict[str, str]
    edits: list[Named]


def same(kind: str, name: str) -> Named:
    """An edit of what is in both graphs under one name."""
    return kind, name, name


def analyzed(text: str) -> Analysis:
    return analyze_graph(sketch(text).graph)


def changed(case: Case) -> str:
    text = case.text
    for old, new in case.changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


def name_of(end: Op | Module | None) -> str | None:
    return None if end is None else end.name if isinstance(end, Op) else end.path


def named(edit: Edit) -> Named:
    return edit.kind, name_of(edit.old), name_of(edit.new)


RELU = "x = input() -> out: f32[2,8]\nm | y = relu(x: x) -> y: f32[2,8]\noutput(in: y)"
SUB = """
a = input() -> out: f32[2,8]
b = input() -> out: f32[2,8]
c = broadcast_sub(x: a, y: b) -> z: f32[2,8]
output(in: c)
"""
SUM = SUB.replace("broadcast_sub(x: a, y: b) -> z", "add_n(in: [a, b]) -> out")
OF_A = "p = relu(x: a) -> y: f32[2,8]\nq = relu(x: a) -> y: f32[2,8]\n"
OF_B = "r = relu(x: b) -> y: f32[2,8]\ns = relu(x: b) -> y: f32[2,8]\n"
FOUR = f"""
a = input() -> out: f32[2,8]
b = input() -> out: f32[2,8]
{OF_A}{OF_B}c = add_n(in: [p, q, r, s]) -> out: f32[2,8]
output(in: c)
"""
NORM = """
a = input() -> out: f32[2,8]
b = input() -> out: f32[2,8]
g = variable() -> out: f32[8]
h = variable() -> out: f32[8]
c, m, v = layer_norm(x: a, gamma: g, beta: h, begin_norm_axis=1, begin_params_axis=1) -> y: f32[2,8], mean: f32[2], inv_variance: f32[2]
d = broadcast_add(x: b, y: h) -> z: f32[2,8]
output(in: c)
output(in: d)
"""
TWICE = """
x = input() -> out: f32[2,8]
c, d = dropout(in: x, rate=0.5) -> out: f32[2,8], mask: f32[2,8]
e = relu(x: c) -> y: f32[2,8]
output(in: e)
"""
IN_A_ROW = """
x = input() -> out: f32[2,8]
c = cumsum(x: x, dim=1) -> y: f32[2,8]
d = relu(x: c) -> y: f32[2,8]
output(in: d)
output(in: c)
"""
FROBNICATED = """
x = input() -> out: f32[2,8]
y, z = frobnicate(x: x) -> y: f32[2,8], z: f32[2,8]
output(in: y)
output(in: z)
"""
TURNED = """
x = input() -> out: f32[2,8]
y = transpose(input: x, perm=[0,1]) -> output: f32[2,8]
z = relu(x: y) -> y: f32[2,8]
output(in: z)
"""
BIASED = """
x = input() -> out: f32[2,8]
m | w = variable() -> out: f32[8]
m | y = broadcast_add(x: x, y: w) -> z: f32[2,8]
m | q = tanh(x: y) -> y: f32[2,8]
m | r = exp(x: q) -> y: f32[2,8]
n | s = sin(x: r) -> y: f32[2,8]
n | z = relu(x: s) -> y: f32[2,8]
output(in: z)
"""
CAST = """
x = input() -> out: f32[2,8]
w = variable() -> out: f32[8]
v = cast(in: w, dtype="float32") -> out: f32[8]
y = broadcast_add(x: x, y: v) -> z: f32[2,8]
output(in: y)
"""
MESH = """
x = input() -> out: f32[8,8] @ 2 (B)
y = relu(x: x) -> y: f32[8,8] @ 2 (B)
z = tanh(x: y) -> y: f32[8,8] @ 2 (B)
output(in: z)
"""
NESTED = """
x = input() -> out: f32[2,8]
m.a.b | y = relu(x: x) -> y: f32[2,8]
m.a.c | z = tanh(x: y) -> y: f32[2,8]
output(in: z)
"""
UNREAD = """
x = input() -> out: f32[2,8]
w = parameter() -> out: f32[8]
m | v = parameter() -> out: f32[8]
m.a | u = parameter() -> out: f32[8]
m | y = relu(x: x) -> y: f32[2,8]
output(in: y)
"""
SHARED = """
x = input() -> out: f32[2,8]
m.a | w = parameter(tied_to="m.b.v") -> out: f32[8]
m.b | v = parameter() -> out: f32[8]
m.b | v = variable() -> out: f32[8]
m.b | y = broadcast_add(x: x, y: v) -> z: f32[2,8]
output(in: y)
"""
TIED = """
t = input() -> out: i64[2]
m.a | w = variable() -> out: f32[16,8]
m.b | v = variable() -> out: f32[16,8]
e = gather(in: w, indices: t, axis=0) -> out: f32[2,8]
y = matmul(a: e, b: v, transpose_a=false, transpose_b=true) -> out: f32[2,16]
output(in: y)
"""
FLAT = """
x = input() -> out: f32[2,8]
y = reshape(in: x, shape=[16]) -> out: f32[16]
output(in: y)
"""
FILLED = """
x = input() -> out: f32[2,8]
c = constant() -> out: f32[2,8]
y = broadcast_add(x: x, y: c) -> z: f32[2,8]
output(in: y)
"""
HIDDEN = """
x = input() -> out: f32[2,8]
u = frobnicate(x: x) -> y: f32[?]
y = reshape(in: u, shape=[16]) -> out: f32[16]
output(in: y)
"""
APART = """
x = input() -> out: f32[2,8]
p = sin(x: x) -> y: f32[2,8]
q = cos(x: x) -> y: f32[2,8]
c = constant() -> out: f32[2,8]
a = relu(x: p) -> y: f32[2,8]
output(in: a)
output(in: p)
output(in: q)
output(in: c)
"""
STEP = """
training
x = input() -> out: f32[2,8]
m | w = variable() -> out: f32[8,8] @ 2 (B)
lr = variable(kind=buffer) -> out: f32[1]
m | s = variable(kind=optimizer_state) -> out: f32[8,8] @ 2 (B)
m | y = matmul(a: x, b: w, transpose_a=false, transpose_b=false) -> out: f32[2,8]
m | g = matmul(a: x, b: y, transpose_a=true, transpose_b=false) -> out: f32[8,8]
m | momentum_update(model: w, model_diff: g, learning_rate: lr, momentum: s) -> ()
output(in: y)
"""

ANOTHER = {"m | w = variable()": "v = variable() -> out: f32[3]\nm | w = variable()"}
"""A parameter in front, so that those behind it stand elsewhere in the list of operators."""

MOVED = same("placement_changed", "relu-1")

CASES: dict[str, Case] = {
    # Where operands come from
    "operands change places": Case(SUB, {"x: a, y: b": "x: b, y: a"}, [same("edge_changed", "broadcast_sub-2")] * 2),
    "an operand is left out": Case(NORM, {"beta: h, ": ""}, [same("edge_changed", "layer_norm-4")]),
    "an operand is another tensor": Case(NORM, {"x: a, g": "x: b, g"}, [same("edge_changed", "layer_norm-4")]),
    "an operand is another result": Case(TWICE, {"x: c": "x: d"}, [same("edge_changed", "relu-2")]),
    "a sum takes a term twice": Case(SUM, {"[a, b]": "[a, b, b]"}, [same("edge_changed", "add_n-2")]),
    "an output is another tensor": Case(IN_A_ROW, {"(in: c)": "(in: x)"}, [same("output_changed", "_g_output.0.0_4")]),
    "equal operators of two inputs in another order": Case(FOUR, {OF_A + OF_B: OF_B + OF_A}, []),
    # What an operator is
    "another type": Case(IN_A_ROW, {"cumsum(x: x, dim=1) -> y": "silu(in: x) -> out"}, [("op_retyped", "cumsum-1", "silu-1")]),
    "an attribute, and the shapes behind it": Case(
        TURNED,
        {"[0,1]": "[1,0]", "output: f32[2,8]": "output: f32[8,2]", "-> y: f32[2,8]": "-> y: f32[8,2]"},
        [same("attr_changed", "transpose-1")],
    ),
    "a shape that no attribute tells": Case(FROBNICATED, {"z: f32[2,8]": "z: f32[4,8]"}, [same("shape_changed", "frobnicate-1")]),
    "a dtype that no attribute tells": Case(FROBNICATED, {"z: f32[2,8]": "z: f16[2,8]"}, [same("dtype_changed", "frobnicate-1")]),
    "a sum of one shape must broadcast": Case(
        SUM,
        {"b = input() -> out: f32[2,8]": "b = input() -> out: f32[1,8]", "add_n(in: [a, b]) -> out": "broadcast_add(x: a, y: b) -> z"},
        [same("input_changed", "_g_input.0.0_1")],
    ),
    "a sum of one shape is of another type": Case(
        SUM, {"add_n(in: [a, b]) -> out": "broadcast_add(x: a, y: b) -> z"}, [("op_retyped", "add_n-2", "broadcast_add-2")]
    ),
    "another type that reads something else is another operator": Case(
        APART, {"a = relu(x: p)": "a = tanh(x: q)"}, [("op_added", None, "tanh-4"), ("op_removed", "relu-4", None)]
    ),
    "another type that reads the same": Case(APART, {"a = relu": "a = tanh"}, [("op_retyped", "relu-4", "tanh-4")]),
    # Sizes in attributes
    "a size follows the input": Case(FLAT, {"[2,8]": "[4,8]", "[16]": "[32]"}, [same("input_changed", "_g_input.0.0_0")]),
    "a size does not follow it": Case(
        FLAT, {"[2,8]": "[4,8]", "[16]": "[2,16]"}, [same("attr_changed", "reshape-1"), same("input_changed", "_g_input.0.0_0")]
    ),
    "a size of what nobody knows": Case(
        HIDDEN, {"f32[2,8]": "f32[4,8]", "[16]": "[2,8]"}, [same("attr_changed", "reshape-2"), same("input_changed", "_g_input.0.0_0")]
    ),
    "a constant has the input's size, which no attribute tells": Case(
        FILLED, {"f32[2,8]": "f32[4,8]"}, [same("input_changed", "_g_input.0.0_0")]
    ),
    "a constant has a size of its own, which no attribute tells": Case(
        FILLED.replace("broadcast_add(x: x", "broadcast_add(x: f32[1,8]"),
        {"constant() -> out: f32[2,8]": "constant() -> out: f32[4,8]", "z: f32[2,8]": "z: f32[4,8]"},
        [same("shape_changed", "constant-1")],
    ),
    # Inputs and outputs
    "all is of another dtype": Case(RELU, {"f32": "f16"}, [same("input_changed", "_g_input.0.0_0")]),
    "an input that nothing reads": Case(RELU, {"m |": "z = input() -> out: f32[3]\nm |"}, [("input_changed", None, "_g_input.0.0_1")]),
    # Parameters
    "a parameter learns no more": Case(BIASED, {"variable()": "variable(kind=frozen)"}, [same("param_frozen", "m.w")]),
    "a parameter becomes a buffer": Case(BIASED, {"variable()": "variable(kind=buffer)"}, [same("param_frozen", "m.w")]),
    "a frozen parameter becomes a buffer": Case(BIASED.replace("variable()", "variable(kind=frozen)"), {"kind=frozen": "kind=buffer"}, []),
    "a parameter of another dtype": Case(CAST, {"variable() -> out: f32": "variable() -> out: f16"}, [same("dtype_changed", "w")]),
    "a parameter by another name": Case(BIASED, {"m | w": "m | v", "y: w": "y: v"}, [("op_renamed", "m.w", "m.v")]),
    "a parameter stands elsewhere": Case(BIASED, {"m | w": "n | w"}, [("op_moved", "m.w", "n.w")]),
    "an operator stands elsewhere, with its parameter": Case(
        BIASED, {"m | w": "n | w", "m | y": "n | y"}, [("op_moved", "m-broadcast_add-2", "n-broadcast_add-2")]
    ),
    "two matrices become one": Case(
        TIED,
        {"in: w,": "in: v,", "m.a | w = variable() -> out: f32[16,8]\n": ""},
        [("param_tied", "m.a.w", None), ("module_removed", "m.a", None)],
    ),
    # Parameters that nothing reads
    "their sizes, at the top and below": Case(
        UNREAD, {"f32[8]": "f32[9]"}, [same("param_resized", "w"), same("param_resized", "m.v"), same("param_resized", "m.a.u")]
    ),
    "one comes": Case(UNREAD, {"m.a |": "m | t = parameter() -> out: f32[8]\nm.a |"}, [("param_added", None, "m.t")]),
    "one comes with its module": Case(
        UNREAD,
        {"m.a |": "k.b | t = parameter() -> out: f32[8]\nm.a |"},
        [("param_added", None, "k.b.t"), ("module_added", None, "k"), ("module_added", None, "k.b")],
    ),
    "another one's name in their module": Case(SHARED, {"m.b |": "m.c |", "m.b.v": "m.c.v"}, [("module_renamed", "m.b", "m.c")]),
    "their module has another name": Case(UNREAD, {"m |": "n |", "m.a |": "n.a |"}, [("module_renamed", "m", "n")]),
    # Where results lie
    "results lie otherwise, and what follows": Case(
        MESH, {"-> y: f32[8,8] @ 2 (B)": "-> y: f32[8,8] @ 2 (S(0))"}, [same("sbp_changed", "relu-1")]
    ),
    "an operator on other devices": Case(
        MESH, {"x: x) -> y: f32[8,8] @ 2": "x: x) -> y: f32[8,8] @ 4"}, [same("placement_changed", "relu-1")]
    ),
    "results lie otherwise behind what comes": Case(
        MESH,
        {
            "z = tanh(x: y) -> y: f32[8,8] @ 2 (B)": "w = sin(x: y) -> y: f32[8,8] @ 2 (S(0))\nz = tanh(x: w) -> y: f32[8,8] @ 2 (S(0))",
        },
        [("op_added", None, "sin-2")],
    ),
    "an input on other devices": Case(
        MESH, {"input() -> out: f32[8,8] @ 2": "input() -> out: f32[8,8] @ 4"}, [same("placement_changed", "_g_input.0.0_0")]
    ),
    # Modules
    "a module has another name, and those below it": Case(NESTED, {"m.a": "m.d"}, [("module_renamed", "m.a", "m.d")]),
    "a module comes with its operator": Case(
        RELU,
        {"output(in: y)": "m.a | z = tanh(x: y) -> y: f32[2,8]\noutput(in: z)"},
        [("op_added", None, "m.a-tanh-2"), ("module_added", None, "m.a")],
    ),
    # A step of training
    "a weight has another size, and its state with it": Case(
        STEP, {"[8,8]": "[8,4]", "out: f32[2,8]\nm | g": "out: f32[2,4]\nm | g"}, [same("param_resized", "m.w")]
    ),
    "a weight is on other devices, and its state with it": Case(STEP, {"@ 2": "@ 4"}, [same("placement_changed", "m.w")]),
    "a weight lies otherwise, and its state with it": Case(STEP, {"@ 2 (B)": "@ 2 (S(0))"}, [same("sbp_changed", "m.w")]),
    "a weight is on other devices, and its state with it, behind another one": Case(
        STEP, {"@ 2": "@ 4", **ANOTHER}, [same("placement_changed", "m.w"), ("param_added", None, "v")]
    ),
    "a weight has another size, and its state with it, behind another one": Case(
        STEP,
        {"[8,8]": "[8,4]", "out: f32[2,8]\nm | g": "out: f32[2,4]\nm | g", **ANOTHER},
        [("param_added", None, "v"), same("param_resized", "m.w")],
    ),
    "a weight lies otherwise, and its state with it, behind another one": Case(
        STEP, {"@ 2 (B)": "@ 2 (S(0))", **ANOTHER}, [same("sbp_changed", "m.w"), ("param_added", None, "v")]
    ),
    "a state lies otherwise by itself": Case(
        STEP,
        {"optimizer_state) -> out: f32[8,8] @ 2 (B)": "optimizer_state) -> out: f32[8,8] @ 2 (S(0))"},
        [same("sbp_changed", "m.s")],
    ),
    "a state is on other devices by itself": Case(
        STEP, {"optimizer_state) -> out: f32[8,8] @ 2": "optimizer_state) -> out: f32[8,8] @ 4"}, [same("placement_changed", "m.s")]
    ),
    "a gradient is worked out of something else": Case(
        STEP,
        {"matmul(a: x, b: y, transpose_a=true, transpose_b=false) -> out": "relu(x: w) -> y"},
        [("op_added", None, "m-relu-5"), ("op_removed", "m-matmul-5", None)],
    ),
    "a weight has another size, and nobody knows what the rate is": Case(
        STEP.replace("learning_rate: lr", "learning_rate: f32[1]"),
        {"[8,8]": "[8,4]", "out: f32[2,8]\nm | g": "out: f32[2,4]\nm | g"},
        [same("param_resized", "m.w")],
    ),
    "another optimizer": Case(
        STEP,
        {"momentum_update(": "sgd_update(", ", momentum: s": "", "m | s = variable(kind=optimizer_state) -> out: f32[8,8] @ 2 (B)\n": ""},
        [("op_retyped", "m-momentum_update-6", "m-sgd_update-5"), ("param_removed", "m.s", None)],
    ),
}
