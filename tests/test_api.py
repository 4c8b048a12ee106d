"""The library: its names, its functions, and what they give back."""

from __future__ import annotations

import inspect
import json
import pickle
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import run

import irflops
from irflops import ops
from irflops.auditing.finding import Audit, Confidence, Finding, Severity
from irflops.conventions.registry import CONVENTIONS
from irflops.differ.edit import Edit
from irflops.ir.graph import Op
from irflops.ops.rule import OpRule
from irflops.ops.work import Work

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
NET = FIXTURES / "basic_block.repr.txt.gz"
STEP = FIXTURES / "mlp_train.repr.txt.gz"
OLD, NEW = (FIXTURES / "changes" / name for name in ("cnn.job.pb.gz", "cnn_larger_kernel.job.pb.gz"))

SMALL = 60_000
"""Characters of HTML that a notebook holds for one result."""


# ------------------------------------------------------------------ names


def test_names_are_those_that_a_user_writes() -> None:
    assert dir(irflops) == sorted(irflops.__all__)
    assert {"Iterable", "Sequence", "PathLike", "annotations"}.isdisjoint(dir(irflops))
    classes = [name for name in irflops.__all__ if inspect.isclass(getattr(irflops, name))]
    functions = [name for name in irflops.__all__ if inspect.isfunction(getattr(irflops, name))]
    assert sorted([*classes, *functions, "__version__"]) == sorted(irflops.__all__)
    assert all(getattr(irflops, name).__doc__ for name in [*classes, *functions])


def test_no_package_has_the_name_of_a_public_function() -> None:
    """Importing it later would put the module in the function's place."""
    assert {module.name for module in pkgutil.iter_modules(irflops.__path__)}.isdisjoint(irflops.__all__)


def test_every_error_class_is_public() -> None:
    kinds: list[type[irflops.IrflopsError]] = [irflops.IrflopsError, *irflops.IrflopsError.__subclasses__()]
    assert {kind.__name__ for kind in kinds if kind.__module__ == "irflops.errors"} <= set(irflops.__all__)


def test_a_name_that_is_not_there_is_an_error() -> None:
    with pytest.raises(AttributeError, match="module 'irflops' has no attribute 'analyse'"):
        getattr(irflops, "analyse")  # noqa: B009 - mypy refuses the plain attribute, as it should


def test_importing_the_library_imports_no_more_than_an_analysis_needs() -> None:
    late = ["analysis.scale", "analysis.select", "auditing.finding", "auditing.rules", "capturing", "conventions", "differ"]
    late += ["explaining", "report", "whatif", "cli"]
    code = f"""
import sys, irflops
print([name for name in {late} if "irflops." + name in sys.modules])
print([name for name in ("numpy", "networkx", "rich", "click", "google.protobuf") if name in sys.modules])
irflops.Diff, irflops.Finding
print("irflops.differ" in sys.modules)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines() == ["[]", "[]", "True"]


# ------------------------------------------------------------------ functions


def test_functions_take_an_analysis_or_what_makes_one() -> None:
    analysis, graph = irflops.analyze(NET), irflops.load(NET)
    for given in (analysis, graph, NET, str(NET)):
        assert irflops.select(given, module="model.conv1").total.get("macs") == analysis.modules["model.conv1"].get("macs")
        assert irflops.explain(given, "model.conv1-conv2d-0").op.name == "model.conv1-conv2d-0"
        assert [found.convention.name for found in irflops.compare(given, ["thop", "fvcore"])] == ["thop", "fvcore"]
        assert irflops.scale(given).captured == analysis.batch
        assert irflops.diff(given, analysis).edits == ()
        assert irflops.audit(given).graph == graph.name


@pytest.mark.parametrize("function", [irflops.audit, irflops.compare, irflops.scale, lambda part: irflops.diff(part, NET)])
def test_what_follows_a_graph_from_end_to_end_takes_no_part_of_one(function: Callable[[irflops.Analysis], object]) -> None:
    part = irflops.select(STEP, phase="forward")
    with pytest.raises(irflops.IrflopsError, match="an analysis of a part") as caught:
        function(part)
    assert caught.value.hint == "its whole: part.whole"
    assert function(part.whole)
    assert irflops.explain(part, "line:32").op.name == "model.1-relu-2"


def test_an_analysis_stands_for_its_graph() -> None:
    at_2 = irflops.analyze(NET, batch=2)
    assert irflops.analyze(at_2).total == at_2.total
    assert irflops.analyze(at_2, batch=6).total == irflops.analyze(NET, batch=6).total
    own = irflops.analyze(NET, op_rules=ops.BOOK.with_rules(replace(ops.BOOK.by_type["conv2d"], cost=lambda _: Work(macs=1))))
    assert own.total.get("macs") == 64 * 64 * 64 * 64 + 1  # a linear layer, and a convolution by that rule
    assert irflops.analyze(own, batch=6).total.get("macs") == 6 * 64 * 64 * 64 * 64 + 1
    assert irflops.analyze(own, op_rules=ops.BOOK).total == irflops.analyze(NET).total
    with pytest.raises(irflops.IrflopsError, match="an analysis of a part"):
        irflops.analyze(irflops.select(STEP, phase="forward"), batch=2)


def test_compare_gives_all_conventions_and_accounts_for_every_unit() -> None:
    found = irflops.compare(NET)
    assert [comparison.convention for comparison in found] == list(CONVENTIONS)
    told = [comparison for comparison in found if comparison.answer.total is not None]
    assert told
    for comparison in told:
        assert comparison.ours + sum(reason.difference for reason in comparison.reasons) == comparison.answer.total


def test_scale_gives_the_totals_at_sizes_that_were_not_captured() -> None:
    by_batch = {total.name: total.polynomial for total in irflops.scale(NET, symbol="B").totals}
    at_5 = irflops.analyze(NET, batch=5).total
    assert by_batch["flops"] is not None
    assert by_batch["flops"](5) == at_5.get("flops")
    by_size = irflops.scale(FIXTURES / "resnet18.repr.txt.gz", (1, 3, None, None))
    macs = next(total.polynomial for total in by_size.totals if total.name == "macs")
    assert macs is not None
    assert macs(320) == irflops.analyze(FIXTURES / "resnet18.repr.txt.gz", inputs=(1, 3, 320, 320)).total.get("macs")


def test_explain_tells_what_the_command_does() -> None:
    found = irflops.explain(STEP, "line:20")
    assert found.to_dict() == json.loads(run("explain", str(STEP), "line:20", "--format", "json").stdout)
    written = json.loads(run("compare", str(NET), "--with", "thop", "--format", "json").stdout)["conventions"]
    assert [comparison.to_dict() for comparison in irflops.compare(str(NET), ["thop"])] == written
    assert irflops.scale(str(NET)).to_dict() == json.loads(run("scale", str(NET), "--batch", "--format", "json").stdout)
    part = json.loads(run("analyze", str(STEP), "--phase", "backward", "--format", "json").stdout)
    assert irflops.select(str(STEP), phase="backward").to_dict() == part


@pytest.mark.parametrize(
    ("call", "message", "hint"),
    [
        (lambda: irflops.compare(NET, ["thopp"]), "there is no convention 'thopp'", "did you mean thop?"),
        (lambda: irflops.explain(NET, "model.conv9"), "no operator is called 'model.conv9'", "did you mean"),
        (lambda: irflops.select(NET, phase="backwards"), "there is no phase 'backwards'", "phases: forward, recompute, backward,"),
        (lambda: irflops.select(NET, module="model.conv9"), "no module matches 'model.conv9'", "did you mean 'model.conv"),
        (lambda: irflops.diff(NET, NET, ignore=["rename"]), "no kind of change is called 'rename'", "what can be ignored: renames, moves,"),
        (lambda: irflops.analyze(NET).rows("modules"), "there are no rows by 'modules'", "rows by: op, module, type,"),
        (lambda: irflops.analyze(NET).total.get("mac"), "there is no cost 'mac'", "costs: macs, flops,"),
        (lambda: irflops.scale(NET, (1, 3, 8, 8)), "no extent is left open", "write a letter for it"),
        (lambda: irflops.audit(NET, irflops.Settings(select=("dead-ops",))), "'dead-ops' is no rule", "did you mean 'dead-op'?"),
        (lambda: irflops.audit(NET, irflops.Settings(ignore=("dead-ops",))), "'dead-ops' is no rule", "did you mean 'dead-op'?"),
        (lambda: irflops.audit(NET, irflops.Settings(per_module_ignores={"a": ("b",)})), "'b' is no rule", ""),
        (lambda: irflops.audit(NET, irflops.Settings(severities={"b": Severity.NOTE})), "'b' is no rule", ""),
        (lambda: irflops.compare(NET, "thopp"), "there is no convention 'thopp'", "did you mean thop?"),
        (lambda: irflops.diff(NET, NET, ignore="rename"), "no kind of change is called 'rename'", "what can be ignored: renames, moves,"),
        (lambda: irflops.audit(3), "an object of type int is no graph", "give a path"),
    ],
)
def test_a_wrong_name_is_an_error_that_tells_the_right_ones(call: Callable[[], object], message: str, hint: str) -> None:
    with pytest.raises(irflops.IrflopsError) as caught:
        call()
    assert message in caught.value.message
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize("asked", [{"batch": 2.5}, {"batch": "2"}, {"inputs": "1x32x64x64"}, {"inputs": (1, 32, 64, None)}])
def test_an_extent_that_is_no_integer_is_no_shape(asked: dict[str, Any]) -> None:
    with pytest.raises(irflops.IrflopsError, match="is no shape: its extents are integers"):
        irflops.analyze(NET, **asked)


# ------------------------------------------------------------------ pickles


def _again(found: Any) -> Any:
    return pickle.loads(pickle.dumps(found))  # noqa: S301 - our own


RESULTS: dict[str, Callable[[], Any]] = {
    "Graph": lambda: irflops.load(NET),
    "Analysis": lambda: irflops.analyze(NET),
    "a part": lambda: irflops.select(STEP, phase="backward"),
    "Cost": lambda: irflops.analyze(NET).total,
    "Certainty": lambda: irflops.analyze(NET).total.worst,
    "Diff": lambda: irflops.diff(OLD, NEW),
    "Edit": lambda: irflops.diff(OLD, NEW).edits[0],
    "Audit": lambda: irflops.audit(NET),
    "Finding": lambda: irflops.audit(FIXTURES / "resnet18.repr.txt.gz").findings[0],
    "Comparison": lambda: irflops.compare(NET),
    "Explanation": lambda: irflops.explain(NET, "model.conv1-conv2d-0"),
    "Scaling": lambda: irflops.scale(NET),
    "Settings": lambda: irflops.Settings(ignore=("dead-op",)),
}


@pytest.mark.parametrize("name", RESULTS)
def test_what_a_user_gets_can_be_pickled(name: str) -> None:
    found = RESULTS[name]()
    assert _again(found) == found


@pytest.mark.parametrize("name", ["Graph", "Analysis", "a part", "Diff", "Audit", "Explanation", "Scaling"])
def test_what_a_user_sees_at_the_prompt_is_a_line(name: str) -> None:
    assert len(repr(RESULTS[name]())) < 120


def test_a_comparison_at_the_prompt_is_a_line() -> None:
    (fvcore,) = irflops.compare(NET, ["fvcore"])
    assert repr(fvcore) == f"<Comparison with fvcore: {fvcore.answer.total}, irflops 92274688 exact>"


def test_rules_and_conventions_are_pickled_by_name() -> None:
    for rule in ops.RULES:
        assert _again(rule) is rule
    for convention in CONVENTIONS:
        assert _again(convention) is convention


def test_a_rule_of_somebody_elses_is_pickled_by_its_fields() -> None:
    conv = ops.BOOK.by_type["conv2d"]
    own = OpRule(
        op_types=("conv2d",),
        summary="Their own.",
        formula="macs = 0",
        shape=conv.shape,
        cost=conv.cost,
        examples=conv.examples,
        traffic=conv.traffic,
    )
    again = _again(own)
    assert again == own
    assert again is not conv


# ------------------------------------------------------------------ notebooks

LONG = "model." + "x" * 100_000


def test_a_diff_in_a_notebook_is_small() -> None:
    diff = irflops.diff(OLD, NEW)
    edit = diff.edits[0]
    assert isinstance(edit.new, Op)
    ends = [replace(edit.new, name=f"{LONG}{n}", module=f"{LONG}<b>.{n}") for n in range(1000)]
    many = tuple(Edit(edit.kind, edit.old, end, edit.detail, edit.cost, group=f"g{n}") for n, end in enumerate(ends))
    for found in (diff, replace(diff, edits=many), replace(diff, new=diff.old, edits=())):
        html = found._repr_html_()
        assert len(html) < SMALL
        assert html.count("<tr>") < 120
        assert "<b>" not in html
    assert "950 more below" in replace(diff, edits=many)._repr_html_()
    assert "196,608" in diff._repr_html_()  # the MACs that the larger kernel adds
    assert "0 edits, all totals the same" in replace(diff, new=diff.old, edits=())._repr_html_()


def test_an_audit_in_a_notebook_is_small() -> None:
    finding = Finding(
        rule="dead-op",
        id="x",
        severity=Severity.WARNING,
        certainty=Confidence.PROVEN,
        op=LONG,
        module="",
        line=None,
        message="<script>" * 10_000,
    )
    html = Audit("x", LONG, (finding,) * 5000)._repr_html_()
    assert len(html) < SMALL
    assert "<script>" not in html
    assert "5000 warnings; 4950 more" in html
    assert "G: no findings" in Audit("x", "G", ())._repr_html_()


def test_an_analysis_in_a_notebook_is_small() -> None:
    analysis = irflops.analyze(FIXTURES / "densenet121.repr.txt.gz")
    graph = replace(analysis.graph, name=LONG, modules=tuple(replace(m, class_name=LONG) for m in analysis.graph.modules))
    html = replace(analysis, graph=graph)._repr_html_()
    assert len(html) < SMALL
    assert LONG[:2000] not in html


def wrong(value: Any) -> Any:
    """What a type checker would have refused."""
    return value


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: irflops.loads(wrong(3)), "data is the text of a dump or its bytes, not 3 of type int"),
        (lambda: irflops.load(wrong(None)), "path is the path of a file or folder"),
        (lambda: irflops.load(wrong(b"graph.txt")), "path is the path of a file or folder"),
        (lambda: irflops.load(NET, max_size=wrong("2G")), "max_size is a number of bytes, not '2G' of type str"),
        (lambda: irflops.explain(NET, wrong(7)), "op is the name of an operator, a part of one, or line:N, not 7"),
        (lambda: irflops.select(NET, phase=wrong(7)), "phase is a phase or the word for one"),
        (lambda: irflops.select(NET, module=wrong(7)), "module is a pattern of module paths"),
        (lambda: irflops.scale(NET, symbol=wrong(7)), "symbol is a name to write polynomials with, such as N"),
        (lambda: irflops.scale(NET, wrong(7)), "inputs is a shape, or shapes by name"),
        (lambda: irflops.audit(NET, wrong(3)), r"settings is irflops.Settings\(...\)"),
        (lambda: irflops.diff(NET, NET, ignore=wrong(3)), "ignore is one word or several"),
        (lambda: irflops.compare(NET, wrong([3])), "each of conventions is a word"),
        (lambda: irflops.analyze(NET, dtype=wrong(3)), "dtype is the word of an element type"),
        (lambda: irflops.analyze(NET, op_rules=wrong(3)), "op_rules is a book of rules"),
    ],
)
def test_an_argument_of_a_wrong_type_is_told_in_words(call: Callable[[], object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize("symbol", ["", " ", "a b", "x+1", "3"])
def test_a_symbol_is_a_name(symbol: str) -> None:
    with pytest.raises(irflops.IrflopsError, match="is no symbol to write polynomials with"):
        irflops.scale(NET, symbol=symbol)


def test_a_list_of_phases_reads_as_a_sentence() -> None:
    with pytest.raises(irflops.IrflopsError) as caught:
        irflops.select(STEP, phase="recompute")
    assert caught.value.hint == "its operators are in forward, backward, optimizer and system"
