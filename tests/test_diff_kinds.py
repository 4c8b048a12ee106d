"""Each kind of edit by itself, on small graphs: which edits there are is known by hand, and the laws of diffs hold of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pytest
from diff_cases import CASES, UNREAD, Case, analyzed, changed, named
from diff_laws import assert_laws

from irflops.analysis.analysis import analyze_graph
from irflops.differ import diff_analyses
from irflops.differ.apply import applied
from irflops.ir.graph import Graph, Op
from irflops.readers.notation.sketch import sketch


def declared(graph: Graph) -> Mapping[str, Any]:
    """By module its parameters."""
    return {
        module.path: sorted((one.name, str(one.type), str(one.kind), one.tied_to or "") for one in module.parameters)
        for module in graph.modules
    }


ON_2, ON_4 = ({"device": "cuda", "ranks": list(range(ranks)), "hierarchy": [ranks]} for ranks in (2, 4))
DETAILS: dict[str, dict[str, Any]] = {
    "operands change places": {"arg": "x", "index": 0, "old": "_g_input.0.0_0/out", "new": "_g_input.0.0_1/out"},
    "an operand is left out": {"arg": "beta", "index": 0, "old": "h/out", "new": None},
    "an operand is another result": {"arg": "x", "index": 0, "old": "dropout-1/out_0", "new": "dropout-1/mask_0"},
    "a sum takes a term twice": {"arg": "in", "index": 2, "old": None, "new": "_g_input.0.0_1/out"},
    "an output is another tensor": {"reads": {"old": "cumsum-1/y_0", "new": "_g_input.0.0_0/out"}},
    "another type": {
        "old": "cumsum",
        "new": "silu",
        "attrs": {"old": {"dim": 1}, "new": {}},
        "reads": {
            "old": [{"arg": "x", "index": 0, "lbn": "_g_input.0.0_0/out"}],
            "new": [{"arg": "in", "index": 0, "lbn": "_g_input.0.0_0/out"}],
        },
    },
    "an attribute, and the shapes behind it": {"perm": {"old": [0, 1], "new": [1, 0]}},
    "a shape that no attribute tells": {"result": "z", "index": 0, "old": [2, 8], "new": [4, 8]},
    "a dtype that no attribute tells": {"result": "z", "index": 0, "old": "float32", "new": "float16"},
    "a sum of one shape must broadcast": {"shape": {"old": [2, 8], "new": [1, 8]}},
    "all is of another dtype": {"dtype": {"old": "float32", "new": "float16"}},
    "an input that nothing reads": {"present": {"old": False, "new": True}, "shape": [3], "reads": [], "feeds": []},
    "a parameter becomes a buffer": {"old": "trainable", "new": "buffer"},
    "a parameter of another dtype": {"old": "float32", "new": "float16"},
    "a parameter by another name": {"old": "m.w", "new": "m.v"},
    "a parameter stands elsewhere": {"old": "m", "new": "n"},
    "two matrices become one": {
        "shape": [16, 8],
        "with": "m.b.v",
        "reads": [],
        "feeds": [{"op": "gather-3", "arg": "in", "index": 0, "lbn": "m.a.w/out", "otherwise": "m.b.v/out"}],
    },
    "their sizes, at the top and below": {"old": [8], "new": [9], "unused": True},
    "one comes": {"shape": [8], "unused": True},
    "their module has another name": {"old": "m", "new": "n"},
    "results lie otherwise, and what follows": {"old": [["B"]], "new": [["S(0)"]]},
    "an operator on other devices": {"old": ON_2, "new": ON_4},
    "a module comes with its operator": {
        "type": "tanh",
        "reads": [{"arg": "x", "index": 0, "lbn": "m-relu-1/y_0"}],
        "feeds": [{"op": "_g_output.0.0_3", "arg": "in", "index": 0, "lbn": "m.a-tanh-2/y_0", "otherwise": "m-relu-1/y_0"}],
    },
}
"""The details of the first edit of some changes."""


@pytest.mark.parametrize("case", DETAILS)
def test_an_edit_says_what_is_changed(case: str) -> None:
    assert dict(diff_analyses(analyzed(CASES[case].text), analyzed(changed(CASES[case]))).edits[0].detail) == DETAILS[case]


def test_a_parameter_that_nothing_reads_is_told_as_one_that_is_read() -> None:
    """The operator of an edit is the variable that it would be."""
    (edit,) = diff_analyses(analyzed(UNREAD), analyzed(changed(CASES["one comes"]))).edits
    (read,) = [op for op in sketch("m | t = variable() -> out: f32[8]").graph.ops if op.type == "variable"]
    assert isinstance(edit.new, Op)
    assert (edit.new.name, edit.new.type, edit.new.module, edit.new.inputs, edit.new.outputs, edit.new.kind) == (
        *(read.name, read.type, read.module, read.inputs, read.outputs, read.kind),
    )


OPEN: dict[str, dict[str, set[str]]] = {
    "an attribute, and the shapes behind it": {},
    "operands change places": {},
    "all is of another dtype": {},
    "a size follows the input": {"reshape-1": {"attrs"}},
    "a sum of one shape must broadcast": {"broadcast_add-2": {"op_type"}},
    "results lie otherwise, and what follows": {"relu-1": {"sbp"}, "tanh-2": {"sbp"}},
    "a weight has another size, and its state with it": {"m.s": {"types"}},
    "a weight is on other devices, and its state with it": {"m.s": {"placement"}},
    "a parameter stands elsewhere": {"n.w": {"module"}},
}
"""Of some changes what follows for which operators and no rule tells."""


@pytest.mark.parametrize("case", OPEN)
def test_what_follows_is_told_where_inference_cannot(case: str) -> None:
    found = diff_analyses(analyzed(CASES[case].text), analyzed(changed(CASES[case])))
    told = {name: {field.name for field in fields(one) if getattr(one, field.name) is not None} for name, one in found.consequences.items()}
    assert told == OPEN[case]


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_change_is_the_edits_that_it_is(case: Case) -> None:
    found = assert_laws(analyzed(case.text), analyzed(changed(case)))
    assert [named(edit) for edit in found.edits] == case.edits
    made, wanted = applied(found), found.new.graph
    assert declared(made) == declared(wanted)
    assert made.modules[0].path == wanted.modules[0].path == ""
    assert made.training is wanted.training


def test_a_reader_without_an_edit_counts_with_the_variable_that_it_reads() -> None:
    """A weight of 8 x 8 becomes 8 x 4: of 2 x 8 x 8 products 64 go, with it; the relu behind has 8 elements less, which follows."""
    text = "x = input() -> out: f32[2,8]\nw = variable() -> out: f32[8,8]\ny = matmul(a: x, b: w, transpose_a=false, transpose_b=false) "
    text += "-> out: f32[2,8]\nz = relu(x: y) -> y: f32[2,8]\noutput(in: z)"
    new = text.replace("[8,8]", "[8,4]").replace("> out: f32[2,8]\nz", "> out: f32[2,4]\nz").replace("> y: f32[2,8]", "> y: f32[2,4]")
    found = diff_analyses(analyzed(text), analyzed(new))
    assert [(edit.kind, edit.cost.get("macs"), edit.cost.get("flops"), edit.cost.get("params")) for edit in found.edits] == [
        ("param_resized", -64, -128, -32)
    ]
    assert (found.follows.get("macs"), found.follows.get("flops")) == (0, -8)


def test_a_new_reader_of_a_variable_that_changed_has_its_own_cost() -> None:
    text = "x = input() -> out: f32[2,8]\nw = variable() -> out: f32[2,8]\ny = broadcast_add(x: x, y: w) -> z: f32[2,8]\noutput(in: y)"
    new = text.replace("variable()", "variable(kind=frozen)").replace(
        "output(in: y)", "z = broadcast_mul(x: y, y: w) -> z: f32[2,8]\noutput(in: z)"
    )
    edits = diff_analyses(analyzed(text), analyzed(new)).edits
    assert [(edit.kind, edit.cost.get("flops")) for edit in edits] == [("op_added", 16), ("param_frozen", 0)]


def test_operands_behind_a_term_that_is_not_told_are_compared() -> None:
    """One form does not show what is added to a product."""
    text = "x = input() -> out: f32[8,8]\nw = variable() -> out: f32[8,8]\nv = variable() -> out: f32[8,8]\n"
    text += "c = matmul(a: x, _add_to_output: x, b: {0}, transpose_a=false, transpose_b=false) -> out: f32[8,8]\n"
    text += "d = broadcast_add(x: c, y: {1}) -> z: f32[8,8]\noutput(in: d)"
    old, new = (sketch(text.format(*operands)).graph for operands in (("w", "v"), ("v", "w")))
    for graph in (new, replace(new, holds=replace(new.holds, added_operands=False))):
        edits = diff_analyses(analyze_graph(old), analyze_graph(graph)).edits
        assert {(edit.kind, edit.detail.get("arg")) for edit in edits if edit.kind == "edge_changed"} <= {
            ("edge_changed", "b"),
            ("edge_changed", "y"),
        }
        assert edits
