"""Which operators are one call of the user's, where attributes decide it."""

from __future__ import annotations

import pytest

import irflops
from irflops.readers.notation.sketch import sketch

FLOAT = "has_float_operand=true, float_operand={}, has_int_operand=false, int_operand=0"
INT = "has_float_operand=false, float_operand=0.0, has_int_operand=true, int_operand={}"
NORM = """
x = input() -> out: f32[2,4]
t = reduce_sum(input_tensor: x, axis=[1], keepdims=true) -> output_tensor: f32[2,1]
m = scalar_mul(in: t, {}) -> out: f32[2,1]
c = broadcast_sub(x: x, y: m) -> z: f32[2,4]
v = var(input: x, dim=[1], unbiased=false, keepdim=true) -> output: f32[2,1]
e = scalar_add(in: v, has_float_operand=true, float_operand=1e-5) -> out: f32[2,1]
r = rsqrt(x: e) -> y: f32[2,1]
y = broadcast_mul(x: c, y: r) -> z: f32[2,4]
"""


def kinds(text: str) -> set[str]:
    return {step.kind for step in irflops.analyze(sketch(text).graph).structure.steps}


def summed(shape: str, factor: str, sums: str = "2,1") -> set[str]:
    return kinds(f"""
x = input() -> out: f32[{shape}]
t = reduce_sum(input_tensor: x, axis=[1], keepdims=true) -> output_tensor: f32[{sums}]
m = scalar_mul(in: t{factor and f", {factor}"}) -> out: f32[{sums}]
""")


@pytest.mark.parametrize(
    ("shape", "factor"),
    [
        ("2,4", FLOAT.format(0.25)),
        ("2,3", FLOAT.format(1 / 3)),
        ("2,3", FLOAT.format(0.3333333432674408)),  # 1 / 3 in 32 bits
        ("2,1", FLOAT.format(1.0)),
        ("2,1", INT.format(1)),
        ("2,4", ""),  # a print has no attributes
        ("?,?", ""),
    ],
)
def test_a_sum_over_the_number_of_its_terms_is_a_mean(shape: str, factor: str) -> None:
    assert summed(shape, factor) == {"mean"}


@pytest.mark.parametrize(
    ("shape", "factor"),
    [
        ("2,4", INT.format(3)),
        ("2,4", INT.format(0)),
        ("2,4", INT.format(1)),
        ("2,4", FLOAT.format(3.0)),
        ("2,4", FLOAT.format(4.0)),
        ("2,4", FLOAT.format(-0.25)),
        ("2,1000", FLOAT.format(1 / 1001)),
        ("2,0", FLOAT.format(1.0)),
        ("2,?", FLOAT.format(3.0)),
    ],
)
def test_a_sum_times_anything_else_is_none(shape: str, factor: str) -> None:
    assert summed(shape, factor) == {"reduce_sum", "scalar_mul"}


def test_a_norm_of_primitives_subtracts_the_mean() -> None:
    assert kinds(NORM.format(FLOAT.format(0.25))) == {"layer_norm"}
    assert "layer_norm" not in kinds(NORM.format(INT.format(3)))
    assert "layer_norm" not in kinds(NORM.format(FLOAT.format(0.5)))
