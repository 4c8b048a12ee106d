"""A rule of a user's own, for an op type that nobody else knows, is seen by everything that an analysis leads to."""

from __future__ import annotations

import ast
import pickle
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

import irflops
from irflops import Analysis
from irflops.auditing.engine import run_rules
from irflops.auditing.rules import RULES as AUDIT_RULES
from irflops.ir.graph import Graph, TensorType
from irflops.ops import BOOK
from irflops.ops.book import RuleBook
from irflops.ops.costs import no_work
from irflops.ops.facts import Effect, OpFacts
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, results_like
from irflops.ops.traffic import touch_all
from irflops.ops.work import Work
from irflops.readers.notation.sketch import sketch
from irflops.whatif import changed

PACKAGE = Path(irflops.__file__).parent


def crossed_shape(op: OpView) -> Inferred:
    """Rows of x by rows of w."""
    (rows, k), (columns, k_of_w) = op.shape("x", rank=2), op.shape("w", rank=2)
    if k != k_of_w:
        raise ValueError(f"x {op.shape('x')} and w {op.shape('w')} do not cross")
    return {"y": TensorType((rows, columns), op.input("x").dtype)}


def crossed_cost(op: OpView) -> Work:
    return Work(macs=op.numel("x") * op.shape("w", rank=2)[0])


def same_shape(op: OpView) -> Inferred:
    return {"y": op.input("x")}


CROSS = OpRule(
    op_types=("my_cross",),
    contraction=True,
    summary="Their own product.",
    formula="macs = numel(x) * rows of w",
    shape=crossed_shape,
    cost=crossed_cost,
    traffic=touch_all,
    examples=(Example(call="my_cross(x: f32[2,8], w: f32[4,8]) -> y: f32[2,4]", macs=64, because="8 results of 8 products"),),
)


def moved(name: str, **facts: object) -> OpRule:
    """An op that gives out its operand, and whatever else its facts say."""
    example = Example(call=f"{name}(x: f32[2]) -> y: f32[2]", flops=0, because="nothing is computed")
    rule = OpRule(
        op_types=(name,),
        summary="Theirs.",
        formula="0",
        shape=same_shape,
        cost=no_work,
        traffic=touch_all,
        examples=(example,),
    )
    return replace(rule, **facts)  # type: ignore[arg-type]  # fields of OpFacts by name


OWN = BOOK.with_rules(CROSS)
NET = """
x = input() -> out: f32[2,8]
w = variable() -> out: f32[4,8]
y = my_cross(x: x, w: w) -> y: f32[2,4]
z = relu(x: y) -> y: f32[2,4]
output(in: z)
"""


def graph_of(text: str) -> Graph:
    return sketch(text).graph


def analysis_of(text: str, *rules: OpRule) -> Analysis:
    return irflops.analyze(graph_of(text), op_rules=BOOK.with_rules(*rules))


def findings(analysis: Analysis, rule: str) -> list[str]:
    return [found.op or "" for found in run_rules(analysis, [one for one in AUDIT_RULES if one.name == rule]).findings]


def test_analysis_counts_by_the_book_that_it_is_given() -> None:
    known, unknown = irflops.analyze(graph_of(NET), op_rules=OWN), irflops.analyze(graph_of(NET))
    assert (known.total.get("macs"), known.total.worst) == (64, "exact")
    assert (unknown.total.get("macs"), unknown.total.certainty("macs")) == (0, "lower_bound")
    assert [found.type for found in unknown.unknown] == ["my_cross"]
    assert known.book is OWN
    assert unknown.book is BOOK


def test_shapes_are_inferred_and_misfits_told_by_it() -> None:
    (found,) = irflops.analyze(graph_of(NET.replace("-> y: f32[2,4]\nz", "-> y: f32[2,5]\nz")), op_rules=OWN).inference.disagreements[:1]
    assert found.inferred == (2, 4)
    wrong = NET.replace("variable() -> out: f32[4,8]", "variable() -> out: f32[4,9]")
    assert "do not cross" in irflops.analyze(graph_of(wrong), op_rules=OWN).inference.disagreements[0].reason
    assert irflops.analyze(graph_of(wrong)).inference.disagreements == ()


def test_what_if_carries_shapes_through_it() -> None:
    after = irflops.analyze(graph_of(NET), batch=6, op_rules=OWN)
    assert (after.total.get("macs"), after.total.worst) == (3 * 64, "exact")
    assert not irflops.analyze(graph_of(NET), batch=6).total.is_known("flops")
    assert [op.outputs[0].type.shape for op in changed(graph_of(NET), batch=6, book=OWN).ops if op.type == "relu"] == [(6, 4)]


def test_scale_samples_with_it() -> None:
    found = irflops.scale(irflops.analyze(graph_of(NET), op_rules=OWN))
    (macs,) = [total for total in found.totals if total.name == "macs"]
    assert macs.polynomial is not None
    assert macs.polynomial(10) == 320


def test_diff_costs_its_edits_by_it_and_follows_its_shapes() -> None:
    old = irflops.analyze(graph_of(NET), op_rules=OWN)
    wider = irflops.analyze(graph_of(NET.replace("f32[2,", "f32[6,")), op_rules=OWN)
    (edit,) = irflops.diff(old, wider).edits
    assert edit.kind == "input_changed"
    twice = NET.replace("z = relu(x: y)", "v = my_cross(x: x, w: w) -> y: f32[2,4]\nz = relu(x: y)")
    added = irflops.diff(old, irflops.analyze(graph_of(twice), op_rules=OWN)).edits
    assert [edit.cost.get("macs") for edit in added if edit.kind == "op_added"] == [64]


def test_explanation_puts_numbers_into_its_formula() -> None:
    analysis = irflops.analyze(graph_of(NET), op_rules=OWN)
    (name,) = [op.name for op in analysis.graph.ops if op.type == "my_cross"]
    assert irflops.explain(analysis, name).numbers == "macs = 16 * rows of w: macs = 64, flops = 128"
    assert irflops.explain(irflops.analyze(analysis.graph), name).numbers is None


def test_audit_knows_it() -> None:
    assert findings(irflops.analyze(graph_of(NET)), "unknown-op")
    assert not findings(irflops.analyze(graph_of(NET), op_rules=OWN), "unknown-op")


REPEATED = """
x = input() -> out: f32[2,8]
a = my_noise(x: x) -> y: f32[2,8]
b = my_noise(x: x) -> y: f32[2,8]
y = add_n(in: [a, b]) -> out: f32[2,8]
output(in: y)
"""


@pytest.mark.parametrize(
    ("facts", "count"),
    [
        ({}, 1),
        ({"effects": frozenset({Effect.RANDOM})}, 0),
        ({"effects": frozenset({Effect.STATEFUL})}, 0),
        ({"effects": frozenset({Effect.READS_NEXT})}, 0),
        ({"updates": ("x",)}, 0),
        ({"updates": ("x",), "updates_with": "moments"}, 1),
    ],
)
def test_audit_takes_effects_from_it(facts: dict[str, object], count: int) -> None:
    """Two of a kind give the same, unless they draw, keep a state or write."""
    assert len(findings(analysis_of(REPEATED, moved("my_noise", **facts)), "common-subexpression")) == count


def test_audit_finds_its_dropout_in_inference() -> None:
    text = "x = input() -> out: f32[2,8]\ny = my_noise(x: x, p=0.5) -> y: f32[2,8]\noutput(in: y)"
    noise = moved("my_noise", effects=frozenset({Effect.RANDOM}), drop_rate="p")
    assert len(findings(analysis_of(text, noise), "training-mode")) == 1
    assert not findings(analysis_of(text.replace("0.5", "0.0"), noise), "training-mode")


def test_an_op_that_updates_something_is_not_dead() -> None:
    text = (
        "x = input() -> out: f32[2,8]\ns = variable(kind=buffer) -> out: f32[2,8]\n"
        "a = my_note(x: x, s: s) -> y: f32[2,8]\ny = relu(x: x) -> y: f32[2,8]\noutput(in: y)"
    )
    assert findings(analysis_of(text, moved("my_note")), "dead-op")
    assert not findings(analysis_of(text, moved("my_note", updates=("s",))), "dead-op")


def test_a_view_of_theirs_holds_and_moves_nothing_and_what_they_update_is_written() -> None:
    text = "x = input() -> out: f32[2,8]\ny = my_op(x: x) -> y: f32[2,8]\noutput(in: y)"
    plain, view, update = (analysis_of(text, moved("my_op", **facts)).total for facts in ({}, {"aliases": {"y": "x"}}, {"updates": ("x",)}))
    assert [total.get("activation_bytes") for total in (plain, view, update)] == [64, 0, 64]
    assert [total.get("bytes_written") for total in (plain, update)] == [64, 128]


def test_lifting_looks_through_what_hands_a_variable_on() -> None:
    """A layer norm's scale that reaches it through an op of theirs is a scale all the same."""
    text = (
        "x = input() -> out: f32[2,8]\nw = variable() -> out: f32[4,8]\nb = variable() -> out: f32[4]\nc = my_pass(x: b) -> y: f32[4]\n"
        "y = matmul(a: x, b: w, transpose_a=false, transpose_b=true) -> out: f32[2,4]\n"
        "z = broadcast_add(x: y, y: c) -> z: f32[2,4]\noutput(in: z)"
    )
    kinds = [set(analysis_of(text, moved("my_pass", hands_on=hands_on)).steps) for hands_on in (False, True)]
    assert kinds[0] != kinds[1]
    assert "broadcast_add" in kinds[0]
    assert "broadcast_add" not in kinds[1]


# ---------------------------------------------------------------- the book itself


def test_a_rule_of_theirs_stands_in_the_place_of_another_for_its_types_alone() -> None:
    own = moved("conv2d")
    book = BOOK.with_rules(own)
    assert book.rule("conv2d") is own
    assert book.rule("conv1d") is BOOK.rule("conv1d")
    assert "conv2d" not in book.contractions
    assert "conv2d" in BOOK.contractions
    assert (book.own, BOOK.own) == ((own,), ())


def test_facts_of_a_type_without_a_rule_give_way_to_a_rule() -> None:
    draws = RuleBook((), (OpFacts(op_types=("my_draw",), effects=frozenset({Effect.RANDOM})),))
    assert draws.rule("my_draw") is None
    assert Effect.RANDOM in draws.facts("my_draw").effects
    assert draws.with_rules(moved("my_draw")).facts("my_draw").effects == frozenset()
    assert BOOK.facts("no_such_type") == OpFacts(op_types=())
    assert BOOK.facts(None) == BOOK.facts("no_such_type")


def test_no_type_has_two_rules() -> None:
    with pytest.raises(TypeError, match="op type my_cross has two rules"):
        RuleBook((CROSS, CROSS))
    with pytest.raises(TypeError, match="op type my_cross has two rules"):
        BOOK.with_rules(CROSS, CROSS)
    with pytest.raises(TypeError, match="op type mlir_jit has two rules"):
        RuleBook((moved("mlir_jit"),), BOOK.unruled)


def test_books_are_pickled_by_what_they_hold_beside_the_rules_of_the_package() -> None:
    assert pickle.loads(pickle.dumps(BOOK)) is BOOK  # noqa: S301 - our own
    assert len(pickle.dumps(BOOK)) < 100
    analysis = irflops.analyze(graph_of(NET), op_rules=OWN)
    again = pickle.loads(pickle.dumps(analysis))  # noqa: S301 - the same
    assert again == analysis
    assert again.book.rule("my_cross") == CROSS
    other = RuleBook((CROSS,))
    assert pickle.loads(pickle.dumps(other)) == other  # noqa: S301 - the same


def _names(node: ast.AST) -> Iterable[ast.Name]:
    return (found for found in ast.walk(node) if isinstance(found, ast.Name) and found.id == "BOOK")


def test_the_book_of_the_package_is_a_default_and_asked_by_nobody() -> None:
    """Whoever asks it for a rule would not see a user's. Only the library's entrance and the list of op types name it otherwise."""
    asked = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name in ("ops/__init__.py", "__init__.py", "cli/ops.py"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        defaults: set[int] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                defaults |= {id(one) for default in (*node.args.defaults, *node.args.kw_defaults) if default for one in _names(default)}
            if isinstance(node, ast.AnnAssign) and node.value is not None:
                defaults |= {id(one) for one in _names(node.value)}
        asked += [f"{name}:{found.lineno}" for found in _names(tree) if id(found) not in defaults]
    assert asked == []


def test_results_like_an_absent_operand_are_unknown() -> None:
    rule = replace(moved("my_op"), shape=results_like("w", "y"))
    analysis = analysis_of("x = input() -> out: f32[2,8]\ny = my_op(x: x) -> y: f32[2,8]\noutput(in: y)", rule)
    assert analysis.inference.disagreements == ()
