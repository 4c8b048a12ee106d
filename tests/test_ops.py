"""Every example of every rule: the shape it infers and the numbers worked out by hand."""

from __future__ import annotations

import pytest

from irflops.ops import RULES
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.work import Unknowable, Work
from irflops.readers.notation.op_signature import read_call

CASES = [(rule, example) for rule in RULES for example in rule.examples]


def _work(rule: OpRule, op: OpView) -> Work:
    try:
        return rule.cost(op)
    except Unknowable as unknown:
        return unknown.known


@pytest.mark.parametrize(("rule", "example"), CASES, ids=[example.call for _, example in CASES])
def test_example(rule: OpRule, example: Example) -> None:
    call = read_call(example.call)
    assert call.op_type in rule.op_types
    op = OpView(call.op_type, call.inputs, call.outputs, call.attrs)
    if example.inferable:
        inferred = {arg: t if isinstance(t, tuple) else (t,) for arg, t in rule.shape(op).items()}
        assert inferred == call.outputs
    else:
        with pytest.raises(Unknowable):
            rule.shape(op)
    work = _work(rule, op)
    for name in ("macs", "flops", "transcendentals"):
        expected = getattr(example, name)
        if expected is not None:
            assert getattr(work, name) == (None if expected == "unknown" else expected), name
    for name, side in (("bytes_read", "reads"), ("bytes_written", "writes")):
        expected = getattr(example, name)
        if expected == "unknown":
            with pytest.raises(Unknowable):
                rule.moved(op)
        elif expected is not None:
            assert sum(getattr(rule.moved(op), side).values()) == expected, name


def test_every_example_says_something() -> None:
    for rule, example in CASES:
        stated = [getattr(example, n) for n in ("macs", "flops", "transcendentals", "bytes_read", "bytes_written")]
        assert any(value is not None for value in stated), example.call
        assert example.because, rule.op_types


def test_only_contractions_have_macs() -> None:
    for rule in RULES:
        stated = {example.macs for example in rule.examples}
        assert rule.contraction == bool(stated - {0, None}), rule.op_types
