"""Formulas of a user's rules: what they come to by hand, and that nothing else than a formula is taken."""

from __future__ import annotations

import pytest

from irflops.errors import IrflopsError, Source
from irflops.ir.graph import DType, TensorType
from irflops.ops.op_view import OpView
from irflops.ops.work import MissingAttribute, MissingShape
from irflops.readers.notation.cost_formula import MOST_CHARACTERS, MOST_NESTED, read_formula
from irflops.teaching.evaluate import count, extents

OP = OpView(
    "my_conv",
    {
        "in": [TensorType((2, 6, 5, 7), DType.FLOAT16)],
        "weight": [TensorType((4, 3, 3, 1), DType.FLOAT32)],
        "many": [TensorType((2, 2), DType.INT8), TensorType((3,), DType.INT8)],
        "open": [TensorType((None, 3), DType.INT8)],
        "scalar": [TensorType((), DType.INT8)],
    },
    {"out": [TensorType((2, 4, 5, 7), DType.FLOAT16)]},
    {"groups": 2, "strides": (1, 3), "flag": True, "name": "x", "ratio": 0.5},
)


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("7", 7),
        ("numel(out)", 280),
        ("numel(out) * numel(weight) / weight[0]", 2520),  # each of 280 results takes 9 products
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("20 - 3 - 4", 13),
        ("100 / 5 / 4", 5),
        ("7 // 2", 3),
        ("-7 // 2 + 10", 6),
        ("7 % 4 * 3", 9),
        ("--3", 3),
        ("5 - -3", 8),
        ("ceil(7 / 2)", 4),
        ("ceil(7 / 2 * 2)", 7),  # fractions stay fractions inside
        ("ceil(1 / 3 + 2 / 3)", 1),
        ("min(4, in[0], 3)", 2),
        ("max(weight)", 4),
        ("prod(weight[1:])", 9),
        ("prod(weight[:2])", 12),
        ("prod(in[1:3])", 30),
        ("prod(scalar)", 1),
        ("rank(in) + rank(scalar)", 4),
        ("in[-1] + in[-2]", 12),
        ("in[1:][0]", 6),
        ("nbytes(in) + nbytes(weight)", 840 + 144),
        ("numel(many) + nbytes(many)", 14),
        ('attr("groups") * attr("strides")[1]', 6),
        ("prod(attr('strides')) + attr('flag')", 4),
        ("max([in[2], in[3], 1])", 7),
        ("numel(bias)", 0),
        ("nbytes(bias) + 1", 1),
        ("\n numel(out)\n  + 1 ", 281),
        ("0 * numel(in)", 0),
    ],
)
def test_formula_comes_to(formula: str, value: int) -> None:
    assert count(read_formula(Source("f", formula)), OP, optional=("bias",)) == value


@pytest.mark.parametrize(
    ("formula", "shape"),
    [
        ("in", (2, 6, 5, 7)),
        ("[in[0], weight[0], (in[2] - weight[2]) // 1 + 3, in[3]]", (2, 4, 5, 7)),
        ("[]", ()),
        ("scalar", ()),
        ("in[:2]", (2, 6)),
        ("attr('strides')", (1, 3)),
    ],
)
def test_formula_gives_a_shape(formula: str, shape: tuple[int, ...]) -> None:
    assert extents(read_formula(Source("f", formula)), OP) == shape


@pytest.mark.parametrize(
    ("formula", "column", "said"),
    [
        ("numel(out) / 3", 12, "280 / 3 leaves a rest of 1"),
        ("1 + 7 / (in[0] - 2)", 7, "7 is divided by 0"),
        ("7 % 0", 3, "7 is divided by 0"),
        ("in[4]", 1, "[2, 6, 5, 7] has 4 numbers, and none at 4"),
        ("in[-5]", 1, "[2, 6, 5, 7] has 4 numbers, and none at -5"),
        ("2 * in", 5, "[2, 6, 5, 7] is a list, and a number is wanted"),
        ("numel(wieght)", 7, "my_conv has no operand or result 'wieght' here"),
        ("in[0][0]", 1, "this is a number, which has no parts"),
        ("prod(3)", 1, "this takes a list"),
        ("min(scalar)", 1, "there is no min of nothing"),
        ("many[0]", 1, "my_conv has 2 operands called 'many', expected one"),
        ("bias[0]", 1, "this my_conv has no bias"),
        ("attr('name')", 6, "attribute name is 'x', no integer and no list of integers"),
        ("attr('ratio')", 6, "attribute ratio is '0.5', no integer and no list of integers"),
        ("1 - 2", 1, "this comes to -1, and no count is negative"),
        ("in", 1, "[2, 6, 5, 7] is a list, and a number is wanted"),
        ("ceil(1 / 3) * (1 / 3)", 18, "1 / 3 leaves a rest of 1"),
        (" * ".join(["999999999999999999999999999999"] * 4), 66, "a number of more than 100 digits"),
    ],
)
def test_formula_that_fails_at_an_operator_says_where(formula: str, column: int, said: str) -> None:
    with pytest.raises(IrflopsError) as caught:
        count(read_formula(Source("f", formula)), OP, optional=("bias",))
    assert said in caught.value.message
    assert (caught.value.line, caught.value.column) == (1, column) or "digits" in said


@pytest.mark.parametrize(
    ("formula", "error"), [("numel(open)", MissingShape), ("open[1]", MissingShape), ("attr('dilation')", MissingAttribute)]
)
def test_what_is_not_known_stays_unknown(formula: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        count(read_formula(Source("f", formula)), OP)


def test_shapes_are_lists_without_negative_extents() -> None:
    for formula, said in (("3", "a shape is a list"), ("[2 - 3]", "no extent is negative")):
        with pytest.raises(IrflopsError, match=said):
            extents(read_formula(Source("f", formula)), OP)


@pytest.mark.parametrize(
    ("formula", "column", "said"),
    [
        ("2**10**10", 3, "'*' cannot stand here in a formula"),
        ("2 ^ 3", 3, "'^' cannot stand here"),
        ("(" * 1_000_000 + "1" + ")" * 1_000_000, MOST_CHARACTERS + 1, "a formula has more than 2,000 characters"),
        ("(" * 500 + "1" + ")" * 500, MOST_NESTED + 1, "brackets are nested deeper than 30"),
        ("[" * 500, MOST_NESTED + 1, "brackets are nested deeper than 30"),
        ("__import__('os')", 1, "there is no function '__import__' in formulas"),
        ("__import__('os').system('true')", 17, "'.' cannot stand here"),
        ("in.__class__", 3, "'.' cannot stand here"),
        ("eval('1')", 1, "there is no function 'eval'"),
        ("open(1)", 1, "there is no function 'open'"),
        ("lambda: 1", 7, "':' cannot stand here"),
        ("[x for x in in]", 4, "'for' cannot stand here"),
        ("1 if 1 else 2", 3, "'if' cannot stand here"),
        ("in; 1", 3, "';' cannot stand here"),
        ("a := 1", 3, "':' cannot stand here"),
        ("1.5", 2, "'.' cannot stand here"),
        ("1e9", 2, "'e9' cannot stand here"),
        ("0x10", 2, "'x10' cannot stand here"),
        ("numel(1 + 1)", 1, "numel takes the name of an operand or a result"),
        ("ceil()", 1, "ceil takes 1 argument, and has 0"),
        ("1 +", 3, "a formula ends here, and is not complete"),
        ("9" * 31, 1, "an integer of a formula has more than 30 digits"),
        ("in" + "[:]" * 600, 1, "more than 2 subscripts in a row"),
        ("'text'", 1, "cannot stand here"),
        ("\uff2e", 1, "cannot stand here"),  # a full-width letter is no name
    ],
)
def test_what_is_no_formula_is_one_error(formula: str, column: int, said: str) -> None:
    with pytest.raises(IrflopsError) as caught:
        read_formula(Source("f", formula))
    assert said in caught.value.message
    assert (caught.value.line, caught.value.column) == (1, column)
    assert len(str(caught.value)) < 600


def test_many_signs_and_terms_are_no_depth() -> None:
    assert count(read_formula(Source("f", "-" * 1000 + "1")), OP) == 1
    assert count(read_formula(Source("f", "+".join(["1"] * 900))), OP) == 900
