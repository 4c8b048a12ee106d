"""`common-subexpression` in forms that know more and less: they say the same of every finding, or leave the rule open."""

from __future__ import annotations

import random
import re

import pytest
from audited import said, undecided

from irflops.analysis.analysis import analyze_graph
from irflops.auditing.engine import run_rules
from irflops.auditing.finding import Audit
from irflops.auditing.rules.common_subexpression import RULE
from irflops.readers.notation.sketch import sketch

SCALE = "scalar_mul(in: {}, has_float_operand=true, float_operand=2.0, has_int_operand=false, int_operand=0) -> out: f32[2,8]"
TYPES = {"relu": "relu(x: {}) -> y: f32[2,8]", "scale": SCALE}


def _audit(text: str) -> Audit:
    return run_rules(analyze_graph(sketch(text).graph), [RULE])


def _chains(*steps: str) -> str:
    """The same steps twice from one input."""
    lines = ["x = input() -> out: f32[2,8]"]
    for name in "ab":
        lines += [f"{name}{i} = {TYPES[step].format(f'{name}{i - 1}' if i else 'x')}" for i, step in enumerate(steps)]
    return "\n".join([*lines, f"y = add_n(in: [a{len(steps) - 1}, b{len(steps) - 1}]) -> out: f32[2,8]", "output(in: y)"])


def _without_attrs(text: str, lines: set[int] | None = None) -> str:
    """As a print has it, in these lines or all."""
    return "\n".join(
        re.sub(r"(scalar_mul\(in: \w+)[^)]*", r"\1", line) if lines is None or i in lines else line
        for i, line in enumerate(text.splitlines())
    )


@pytest.mark.parametrize(
    ("steps", "counts"),
    [
        (("relu", "relu"), [2]),
        (("relu", "scale", "relu"), [1, 2]),
        (("scale", "relu", "relu"), [3]),
        (("scale", "scale"), [1, 1]),
    ],
)
def test_op_with_attributes_begins_a_finding(steps: tuple[str, ...], counts: list[int]) -> None:
    """And what follows has its place in it."""
    text = _chains(*steps)
    full, bare = _audit(text), _audit(_without_attrs(text))
    assert sorted(f.measured.value for f in full.findings if f.measured is not None) == counts
    assert said(bare).items() <= said(full).items()
    assert len(bare.findings) == (steps[0] == "relu")
    assert undecided(bare) == ({"common-subexpression"} if "scale" in steps else set())


def test_repeat_of_a_repeat_is_found_in_every_form() -> None:
    """Two read the one result: that every form sees, whatever it knows of what gave it."""
    text = _chains("scale", "relu") + "\nc = relu(x: b0) -> y: f32[2,8]\noutput(in: c)"
    full, bare = _audit(text), _audit(_without_attrs(text))
    assert len(bare.findings) == 1
    assert said(bare).items() <= said(full).items()
    assert len(full.findings) == 2


@pytest.mark.parametrize("seed", range(60))
def test_forms_say_the_same(seed: int) -> None:
    """Of random graphs, with the attributes of random ops."""
    drawn = random.Random(seed)  # noqa: S311  # nothing here is secret
    lines, names = ["x = input() -> out: f32[2,8]"], ["x"]
    for i in range(30):
        name, before = f"v{i}", drawn.choice(names[-8:])
        call = f"add_n(in: [{before}, {drawn.choice(names[-8:])}]) -> out: f32[2,8]" if drawn.random() < 0.3 else ""
        lines.append(f"{name} = {call or drawn.choice(list(TYPES.values())).format(before)}")
        names.append(name)
    text = "\n".join([*lines, *(f"output(in: {name})" for name in names[1:])])
    full = said(_audit(text))
    for _ in range(4):
        some = _audit(_without_attrs(text, {i for i in range(len(lines)) if drawn.random() < 0.5}))
        assert said(some).items() <= full.items()
        assert undecided(some) or said(some) == full
