"""Which ops are random, keep a state or write to an operand: the sets are checked against all types that OneFlow defines."""

from __future__ import annotations

import pytest

from irflops.analysis.analysis import analyze_graph
from irflops.auditing.effects import differs_by_run, drops, written
from irflops.auditing.engine import run_rules
from irflops.auditing.finding import Audit
from irflops.auditing.rules import RULES
from irflops.ir.graph import Op
from irflops.ir.signatures import op_types, signature
from irflops.ops import BOOK
from irflops.ops.facts import Effect
from irflops.readers.notation.sketch import sketch

HANDED_ON = {"fused_bias_add_mask_scale"}
"""Types that declare a seed and read a mask that another op drew."""

RANDOM = BOOK.of(Effect.RANDOM)
ALL = RANDOM | BOOK.of(Effect.READS_NEXT) | BOOK.of(Effect.STATEFUL)


def _audit(text: str, rule: str) -> Audit:
    return run_rules(analyze_graph(sketch(text).graph), [found for found in RULES if found.name == rule])


def _op(call: str) -> Op:
    return sketch(f"x = input() -> out: f32[2,8]\n{call}").graph.ops[-1]


def test_every_type_that_declares_a_seed_is_random_or_keeps_a_state() -> None:
    seeded = {name for name in op_types() if (found := signature(name)) is not None and any("seed" in attr for attr in found.attrs)}
    assert seeded - ALL == HANDED_ON
    of_a_job = {"image_decoder_random_crop_resize"}  # a kind of its own, which no definition declares
    assert seeded | of_a_job >= RANDOM
    assert set(op_types()) | of_a_job >= ALL


@pytest.mark.parametrize(
    ("call", "active"),
    [
        ("y, m = dropout(in: x) -> out: f32[2,8], mask: bool[2,8]", None),
        ("y, m = dropout(in: x, rate=0.0) -> out: f32[2,8], mask: bool[2,8]", False),
        ("y, m = dropout(in: x, rate=0.5) -> out: f32[2,8], mask: bool[2,8]", True),
        ("m = random_mask_like(like: x, rate=0) -> out: bool[2,8]", False),
        ("y = fused_matmul_bias_add_relu_dropout(x: x, dropout_rate_list=[0.0, 0.0]) -> out: f32[2,8]", False),
        ("y = fused_matmul_bias_add_relu_dropout(x: x, dropout_rate_list=[0.0, 0.5]) -> out: f32[2,8]", True),
        ("y = scaled_dot_product_flash_attention(query: x) -> out: f32[2,8]", None),
    ],
)
def test_rate_tells_whether_an_op_drops_and_is_random_unless_it_is_known_not_to(call: str, active: bool | None) -> None:
    op = _op(call)
    assert drops(op, BOOK) is active
    assert differs_by_run(op, BOOK) is (active is not False)


@pytest.mark.parametrize(
    "call",
    [
        "{}, n{} = rrelu(in: x, seed=1, lower=0.1, upper=0.3, training=true) -> output: f32[2,8], noise_data: f32[2,8]",
        "{} = ofrecord_image_decoder_random_crop(in: x, has_seed=true, seed=5) -> out: f32[2,8]",
        "{}, s{} = rrelu(in: x) -> output: f32[2,8], noise_data: f32[2,8]",
        "{} = bernoulli(in: x, seed=1) -> out: f32[2,8]",
        "{} = CategoricalOrdinalEncode(in: x, table: x, size: x) -> out: f32[2,8]",
    ],
)
def test_two_random_or_stateful_ops_are_no_common_subexpression(call: str) -> None:
    text = "x = input() -> out: f32[2,8]\n" + "\n".join(call.replace("{}", name) for name in "ab")
    assert _audit(text + "\ny = add_n(in: [a, b]) -> out: f32[2,8]\noutput(in: y)", "common-subexpression").findings == ()


@pytest.mark.parametrize(("rate", "count"), [("rate=0.0, ", 1), ("rate=0.5, ", 0), ("", 0)])
def test_dropouts_are_the_same_only_where_they_are_known_to_drop_nothing(rate: str, count: int) -> None:
    call = "{}, m{} = dropout(in: x, " + rate + "seed=0) -> out: f32[2,8], mask: bool[2,8]\n"
    text = "x = input() -> out: f32[2,8]\n" + "".join(call.replace("{}", name) for name in "ab")
    assert len(_audit(text + "y = add_n(in: [a, b]) -> out: f32[2,8]\noutput(in: y)", "common-subexpression").findings) == count


def test_what_is_read_before_and_after_it_was_written_is_not_the_same() -> None:
    text = (
        "x = input() -> out: f32[2,8]\nstate = variable(kind=buffer) -> out: f32[2,8]\na = relu(x: state) -> y: f32[2,8]\n"
        "{}b = relu(x: state) -> y: f32[2,8]\ny = add_n(in: [a, b]) -> out: f32[2,8]\noutput(in: y)"
    )
    assert _audit(text.format("assign(ref: state, value: x)\n"), "common-subexpression").findings == ()
    assert len(_audit(text.format(""), "common-subexpression").findings) == 1
    assert [operand.arg for operand in written(_op("assign(ref: x, value: x)"), BOOK)] == ["ref"]


@pytest.mark.parametrize(("attr", "count"), [("", 1), (", training=true", 1), (", training=false", 0)])
def test_randomized_rectifier_belongs_to_training(attr: str, count: int) -> None:
    """OneFlow makes a `leaky_relu` of one that is switched off."""
    text = f"x = input() -> out: f32[2,8]\ny, n = rrelu(in: x{attr}) -> output: f32[2,8], noise_data: f32[2,8]\noutput(in: y)"
    assert len(_audit(text, "training-mode").findings) == count


def test_mask_that_another_op_drew_is_no_reason_to_tell_two_ops_apart() -> None:
    call = "{} = fused_bias_add_mask_scale(a: x, b: b, mask: m, axis=1, scale=2.0, seed=0) -> out: f32[2,8]\n"
    text = (
        "x = input() -> out: f32[2,8]\nb = variable() -> out: f32[8]\nm = random_mask_like(like: x, rate=0.5, seed=1) -> out: bool[2,8]\n"
        + call.format("c")
        + call.format("d")
        + "y = add_n(in: [c, d]) -> out: f32[2,8]\noutput(in: y)"
    )
    assert len(_audit(text, "common-subexpression").findings) == 1
