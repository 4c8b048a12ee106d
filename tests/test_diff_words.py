"""What edits say in words, and how equal ones are folded into one sentence."""

from __future__ import annotations

from typing import Any

import pytest
from diff_cases import CASES, RELU, analyzed, changed

from irflops.differ import Edit, diff_analyses
from irflops.differ.sums import Folded, folded
from irflops.differ.words import label, words
from irflops.ir.graph import DType, Module, Op, Operand, TensorType


def said(old: str, new: str) -> list[str]:
    return [label(item) for item in folded(diff_analyses(analyzed(old), analyzed(new)).edits)]


SAID: dict[str, list[str]] = {
    "operands change places": [
        "broadcast_sub x: _g_input.0.0_0/out -> _g_input.0.0_1/out in (graph)",
        "broadcast_sub y: _g_input.0.0_1/out -> _g_input.0.0_0/out in (graph)",
    ],
    "an operand is left out": ["layer_norm beta: h/out -> nothing in (graph)"],
    "a sum takes a term twice": ["add_n in: nothing -> _g_input.0.0_1/out in (graph)"],
    "an output is another tensor": ["output 0.0 reads cumsum-1/y_0 -> _g_input.0.0_0/out in (graph)"],
    "another type": ["cumsum -> silu in (graph)"],
    "an attribute, and the shapes behind it": ["transpose: perm (0,1) -> (1,0) in (graph)"],
    "a shape that no attribute tells": ["frobnicate z (2->4,8) in (graph)"],
    "a dtype that no attribute tells": ["frobnicate z: float32 -> float16 in (graph)"],
    "a size does not follow it": ["reshape: shape (16) -> (2,16) in (graph)", "input 0.0 (2->4,8) in (graph)"],
    "all is of another dtype": ["input 0.0 float32 -> float16 in (graph)"],
    "an input that nothing reads": ["+ input 0.0 (3) in (graph)"],
    "a parameter learns no more": ["w: trainable -> frozen in m"],
    "a parameter of another dtype": ["w: float32 -> float16 in (graph)"],
    "a parameter by another name": ["variable: m.w -> m.v in m"],
    "a parameter stands elsewhere": ["variable: m -> n in n"],
    "two matrices become one": ["w tied to m.b.v in m.a", "- module in m.a"],
    "their sizes, at the top and below": ["w (8->9) in (graph)", "v (8->9) in m", "u (8->9) in m.a"],
    "one comes with its module": ["+ t (8), declared only in k.b", "+ module in k", "+ module in k.b"],
    "their module has another name": ["module m -> n in n"],
    "a weight lies otherwise, and its state with it": ["w: B -> S(0) in m"],
    "results lie otherwise, and what follows": ["relu: B -> S(0) in (graph)"],
    "an operator on other devices": ["placement: cuda 0-1 (2) -> cuda 0-3 (4) in (graph)"],
    "a gradient is worked out of something else": ["+ relu in m", "- matmul in m"],
    "another optimizer": ["momentum_update -> sgd_update in m", "- s (8,8) in m"],
}


@pytest.mark.parametrize("case", SAID)
def test_an_edit_says_what_it_does(case: str) -> None:
    assert said(CASES[case].text, changed(CASES[case])) == SAID[case]


def test_what_comes_back_is_said_the_other_way_round() -> None:
    assert said(changed(CASES["two matrices become one"]), CASES["two matrices become one"].text) == [
        "w no longer tied to m.b.v in m.a",
        "+ module in m.a",
    ]
    more = RELU.replace("output", "z = input() -> out: f32[3]\noutput")
    assert said(more, RELU) == ["- input 0.0 (3) in (graph)"]
    assert said(RELU, RELU.replace("f32[2,8]", "f16[2,9]")) == ["input 0.0 (2,8->9), float32 -> float16 in (graph)"]


def op(name: str = "m.w", op_type: str | None = "variable", shape: tuple[int, ...] = (8,)) -> Op:
    return Op(name, op_type, (), (Operand("out", 0, f"{name}/out", TensorType(shape, DType.FLOAT32)),), module="m")


@pytest.mark.parametrize(
    ("kind", "subject", "detail", "sentence"),
    [
        ("op_added", op("a", None), {}, "+ operator of unknown type"),
        ("op_renamed", op("a", "relu"), {"old": "m.a", "new": "m.b"}, "relu: m.a -> m.b"),
        ("param_added", op(), {"shape": None}, "+ w ?"),
        ("param_added", op("w"), {"shape": [2, None]}, "+ w (2,?)"),
        ("param_resized", op(), {"old": [16], "new": [2, 8]}, "w (16) -> (2,8)"),
        ("param_resized", op(), {"old": None, "new": [2, 8]}, "w ? -> (2,8)"),
        ("param_resized", op(), {"old": [2, None], "new": [3, 8]}, "w (2->3,?->8)"),
        ("shape_changed", op("a", "split"), {"result": "out", "old": [2, 8], "new": [2, 9]}, "split out (2,8->9)"),
        ("dtype_changed", op("a", "cast"), {"old": "float32", "new": None}, "cast: float32 -> None"),
        (
            "attr_changed",
            op("a", "conv"),
            {"groups": {"old": 1, "new": 2}, "pad": {"old": [0], "new": [1]}},
            "conv: groups 1 -> 2, pad (0) -> (1)",
        ),
        ("sbp_changed", op("a", "split"), {"old": [["S(0)", "B"], None], "new": [["B", "B"], ["P"]]}, "split: S(0),B ? -> B,B P"),
    ],
)
def test_words_of_an_edit(kind: str, subject: Op, detail: dict[str, Any], sentence: str) -> None:
    assert words(Edit(kind, None, subject, detail)) == sentence


@pytest.mark.parametrize(
    ("ranks", "hierarchy", "sentence"),
    [
        ([0], [1], "0 (1)"),
        ([3], [1], "3 (1)"),
        ([0, 1, 2, 3], [2, 2], "0-3 (2x2)"),
        ([2, 3], [2], "2-3 (2)"),
        ([0, 2], [2], "0,2 (2)"),
        ([1, 0], [2], "1,0 (2)"),
        ([0, 2, 4, 6, 8, 10, 12, 14], [8], "0,2,4,6,8,10,12,14 (8)"),
        ([0, 2, 4, 6, 8, 10, 12, 14, 16], [9], "0,2,4,6,8,10,12,14,... (9)"),
        ([0, 2, 4, 6, 8, 10, 12, 14, 16, 18], [10], "0,2,4,6,8,10,12,14,... (10)"),
    ],
)
def test_words_of_a_placement(ranks: list[int], hierarchy: list[int], sentence: str) -> None:
    old, new = {"device": "cpu", "ranks": [0], "hierarchy": [1]}, {"device": "cuda", "ranks": ranks, "hierarchy": hierarchy}
    assert words(Edit("placement_changed", op(), op(), {"old": old, "new": new})) == f"placement: cpu 0 (1) -> cuda {sentence}"


def test_words_of_modules() -> None:
    linear, unknown = Module("m.a", "Linear", None), Module("m.a", None, None)
    assert [words(Edit("module_added", None, module, {})) for module in (linear, unknown)] == ["+ module Linear", "+ module"]
    assert words(Edit("module_removed", linear, None, {})) == "- module Linear"
    renamed = [Edit("module_renamed", linear, linear, {"old": f"m.{n}.x", "new": f"m.{n + 1}.x"}) for n in range(2)]
    assert words(renamed[0]) == "module m.0.x -> m.1.x"
    assert label(folded_of(renamed, "m.*.x")) == "modules renumbered x 2 in m.*.x"
    elsewhere = [Edit("module_renamed", linear, linear, {"old": f"m.{n}.x", "new": f"n.{n + 1}.x"}) for n in range(2)]
    assert label(folded_of(elsewhere, "n.*.x")) == "module m.*.x -> n.*.x x 2 in n.*.x"


def folded_of(edits: list[Edit], place: str, *names: str) -> Folded:
    return Folded(tuple(edits), len(edits), place, names, edits[0].cost)


def test_words_of_several_at_once() -> None:
    moved = [Edit("op_moved", op("a", "relu"), op("a", "relu"), {"old": f"m.{n}", "new": f"n.{n}"}) for n in range(3)]
    assert label(folded_of(moved, "n.*")) == "relu: m.* -> n.* x 3 in n.*"
    assert label(folded_of(moved[:1], "")) == "relu: m.0 -> n.0 in (graph)"
    frozen = [Edit("param_frozen", op(), op(), {"old": "trainable", "new": "frozen"})]
    assert label(folded_of(frozen, "m", "w", "b")) == "w, b: trainable -> frozen in m"
    assert label(folded_of(frozen, "m", "w")) == "w: trainable -> frozen in m"
    tied = [Edit("param_tied", op(), None, {"with": "n.v"})] * 2
    assert label(folded_of(tied, "m")) == "w tied to n.v x 2 in m"
