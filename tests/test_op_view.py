"""What a rule sees of an operator, and how it is told what it cannot see."""

from __future__ import annotations

import pytest

from irflops.ir.graph import Attrs, DType, TensorType
from irflops.ops.op_view import OpView
from irflops.ops.work import MissingAttribute, MissingShape, Unknowable

VIEW = OpView(
    "thing",
    {"x": [TensorType((2, 3), DType.FLOAT16)], "in": [TensorType((4,), DType.INT8), TensorType((5,), DType.INT8)], "open": [TensorType()]},
    {"y": [TensorType((2, None), DType.FLOAT32)], "z": [TensorType((7,), None)]},
    Attrs({"n": 3, "flag": True, "list": (1, 2), "mixed": (1, 2.0), "half": 0.5, "endless": float("inf"), "type": "float16", "word": "no"}),
)


def test_what_a_view_tells() -> None:
    assert (VIEW.input_args, VIEW.output_args, VIEW.first_input, VIEW.first_output) == (("x", "in", "open"), ("y", "z"), "x", "y")
    assert (VIEW.shape("x"), VIEW.shape("x", rank=2), VIEW.shape("x", at_least=2), VIEW.shape("z")) == ((2, 3), (2, 3), (2, 3), (7,))
    assert (VIEW.shapes("in"), VIEW.shapes("in", rank=1), VIEW.numel("in"), VIEW.nbytes("in"), VIEW.nbytes("x")) == (
        [(4,), (5,)],
        [(4,), (5,)],
        9,
        9,
        12,
    )
    assert (VIEW.first("in").shape, VIEW.dtype("x"), VIEW.inputs("none"), VIEW.outputs("none")) == ((4,), DType.FLOAT16, (), ())
    assert (VIEW.integer("n"), VIEW.integer("n", least=3), VIEW.ints("list"), VIEW.ints("list", length=2, least=1)) == (
        3,
        3,
        (1, 2),
        (1, 2),
    )
    assert (VIEW.number("half"), VIEW.number("n"), VIEW.dtype_attr("type"), VIEW.flag("flag"), VIEW.flag("n")) == (
        0.5,
        3,
        DType.FLOAT16,
        True,
        True,
    )


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: VIEW.shape("x", rank=3), r"x \(2, 3\) has 2 dimensions, thing takes 3"),
        (lambda: VIEW.shape("x", at_least=3), "takes at least 3"),
        (lambda: VIEW.shapes("in", rank=2), "takes 2"),
        (lambda: VIEW.input("in"), "2 operands called 'in'"),
        (lambda: VIEW.shape("in"), "2 operands called 'in'"),
        (lambda: VIEW.integer("n", least=4), "at least 4, not 3"),
        (lambda: VIEW.integer("half"), "should be an integer"),
        (lambda: VIEW.ints("n"), "a list of integers"),
        (lambda: VIEW.ints("mixed"), "a list of integers"),
        (lambda: VIEW.ints("list", length=3), "should have 3 values"),
        (lambda: VIEW.ints("list", least=2), "at least 2, not 1"),
        (lambda: VIEW.number("endless"), "should be a number"),
        (lambda: VIEW.number("word"), "should be a number"),
        (lambda: VIEW.dtype_attr("word"), "should be a dtype"),
        (lambda: VIEW.dtype_attr("n"), "should be a dtype"),
    ],
)
def test_what_a_view_refuses(ask: object, words: str) -> None:
    assert callable(ask)
    with pytest.raises(ValueError, match=words):
        ask()


@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (lambda: VIEW.shape("open"), MissingShape),
        (lambda: VIEW.shape("y"), MissingShape),
        (lambda: VIEW.numel("y"), MissingShape),
        (lambda: VIEW.nbytes("z"), MissingShape),
        (lambda: VIEW.dtype("z"), MissingShape),
        (lambda: VIEW.input("none"), MissingShape),
        (lambda: VIEW.first("none"), MissingShape),
        (lambda: VIEW.shapes("none"), MissingShape),
        (lambda: VIEW.attr("none"), MissingAttribute),
        (lambda: VIEW.flag("none"), MissingAttribute),
        (lambda: OpView("thing", {}, {}).first_input, MissingShape),
        (lambda: OpView("thing", {}, {}).first_output, MissingShape),
    ],
)
def test_what_a_view_cannot_tell(ask: object, what: type[Unknowable]) -> None:
    assert callable(ask)
    with pytest.raises(what) as caught:
        ask()
    assert caught.value.reason == {MissingShape: "missing_shape", MissingAttribute: "missing_attribute"}[what]


def test_one_name_on_both_sides_is_refused() -> None:
    with pytest.raises(ValueError, match="an operand and a result called 'x'"):
        OpView("thing", {"x": [TensorType((2,))]}, {"x": [TensorType((2,))]}).numel("x")
    with pytest.raises(ValueError, match="an operand and a result called 'x'"):
        OpView("thing", {"x": [TensorType((2,))]}, {"x": [TensorType((2,))]}).shape("x")


def test_what_cannot_be_known_names_it() -> None:
    assert (str(MissingShape("x")), MissingAttribute("axis").what, Unknowable("y").known.flops) == ("x", "axis", None)
