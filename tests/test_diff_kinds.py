"""Each kind of edit by itself, on small graphs: which edits there are is known by hand, and the laws of diffs hold of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pytest
from diff_cases import CASES, UNREAD, Case, analyzed, changed, named
from diff_laws import assert_laws

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
