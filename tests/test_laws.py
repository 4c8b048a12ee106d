"""Laws that hold of every graph: sums over any partition, certainty, scale, names; and the traps that cost tools fall into."""

from __future__ import annotations

import ast
import gzip
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from functools import cache, reduce
from operator import add
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import irflops
from irflops import Analysis, Graph
from irflops.counting.cost import COST_NAMES, FIGURES, KINDS, OF_A_RUN, ZERO, Cost
from irflops.ops import BOOK
from irflops.ops.work import Work
from irflops.readers.forms import FORMS

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
PACKAGE = Path(irflops.__file__).parent
NAMES = sorted(path.name.removesuffix(".repr.txt.gz") for path in FIXTURES.glob("*.repr.txt.gz"))
CPU = '), placement=(oneflow.placement(type="cpu", ranks=[0])))'


@cache
def printed(name: str) -> str:
    return gzip.decompress((FIXTURES / f"{name}.repr.txt.gz").read_bytes()).decode()


@cache
def analysis_of(name: str) -> Analysis:
    return irflops.analyze(irflops.loads(printed(name)))


def total_of(text: str) -> Cost:
    return irflops.analyze(irflops.loads(text)).total


def graph_of(*lines: str) -> Graph:
    head = "(GRAPH:Net_0:Net): (\n  (CONFIG:config:GraphConfig(training=False, ))\n"
    return irflops.loads(head + "".join(f"  {line}\n" for line in lines) + ")\n")


def line(name: str, inputs: Iterable[str], outputs: Iterable[str]) -> str:
    """An operator line, from tensors as in `lbn 8,16`."""

    def typed(tensors: Iterable[str]) -> str:
        pairs = [tensor.split(" ") for tensor in tensors]
        return ", ".join(f"{lbn}:(sbp=(B), size=({size}), dtype=(oneflow.float32))" for lbn, size in pairs)

    return f"(OPERATOR: {name}({typed(inputs)}) -> ({typed(outputs)}{CPU}"


def of_one_op(name: str, inputs: Iterable[str], output: str) -> Analysis:
    """The operator last, its operands from variables."""
    sizes = dict(tensor.replace("/out", "").split(" ") for tensor in inputs)
    variables = [f"(OPERATOR: {x}() -> (out:sbp=(B), size=({size}), dtype=(oneflow.float32){CPU}" for x, size in sizes.items()]
    return irflops.analyze(graph_of(*variables, line(name, inputs, [f"{name}/{output}"])))


# ---------------------------------------------------------------- sums


@pytest.mark.parametrize("name", NAMES)
def test_the_sum_over_any_partition_is_the_total(name: str) -> None:
    analysis = analysis_of(name)
    ops = analysis.graph.ops
    assert reduce(add, map(analysis.op_cost, range(len(ops)))) == analysis.total
    assert reduce(add, (group.cost for group in analysis.types.values())) == analysis.total
    assert reduce(add, analysis.phases.values()) == analysis.total
    assert reduce(add, (group.cost for group in analysis.locations.values())) == analysis.total
    assert sum(group.count for group in analysis.types.values()) == len(ops)
    assert analysis.modules[""] == analysis.total


@pytest.mark.parametrize("name", NAMES)
def test_a_module_costs_its_own_operators_and_its_children(name: str) -> None:
    analysis = analysis_of(name)
    own = dict.fromkeys(analysis.modules, ZERO)
    for index, op in enumerate(analysis.graph.ops):
        own[op.module] += analysis.op_cost(index)
    for path, cost in analysis.modules.items():
        inside = (c for p, c in own.items() if not path or p == path or p.startswith(f"{path}."))
        assert cost == reduce(add, inside), path


@pytest.mark.parametrize("name", NAMES)
def test_the_json_adds_up(name: str) -> None:
    document = analysis_of(name).to_dict()
    totals = document["totals"]
    for figure in FIGURES:
        for part in (document["ops"], document["by_type"], document["phases"].values()):
            assert sum(row[figure] or 0 for row in part) == totals[figure]
    for figure in ("params", "param_bytes"):
        for part in (document["ops"], document["by_type"], document["phases"].values()):
            assert {kind: sum(row[figure][kind] for row in part) for kind in KINDS} == totals[figure]
    assert {row["path"]: row["macs"] for row in document["modules"]}[""] == totals["macs"]


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_exact_unless_an_operator_says_otherwise(name: str) -> None:
    analysis = analysis_of(name)
    document = analysis.to_dict()
    missing = {figure for figure in FIGURES if any(row[figure] is None for row in document["ops"])}
    for figure in FIGURES:
        assert document["totals"]["certainty_by"][figure] == ("lower_bound" if figure in missing else "exact")
    assert document["totals"]["certainty"] == ("lower_bound" if missing else "exact")
    assert bool(missing) == bool(document["unknown"])
    unknown = {op for entry in document["unknown"] for op in entry["ops"]}
    assert unknown == {row["name"] for row in document["ops"] if any(row[figure] is None for figure in FIGURES)}


costs = st.builds(
    Cost,
    figures=st.tuples(*[st.integers(0, 2**80)] * len(FIGURES)),
    params=st.tuples(*[st.integers(0, 2**40)] * len(KINDS)),
    param_bytes=st.tuples(*[st.integers(0, 2**40)] * len(KINDS)),
    missing=st.integers(0, 2 ** len(COST_NAMES) - 1),
    at_most=st.integers(0, 2 ** len(COST_NAMES) - 1),
)


@given(costs, costs, costs, st.integers(1, 10**6))
def test_cost_is_an_algebra(a: Cost, b: Cost, c: Cost, times: int) -> None:
    assert a + ZERO == a
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert (a + b) * times == a * times + b * times
    assert a * 1 == a
    for name in COST_NAMES:
        assert (a + b).is_known(name) == (a.is_known(name) and b.is_known(name))
        assert a.certainty(name) in ("exact", "lower_bound", "upper_bound", "unbounded")


# ---------------------------------------------------------------- scale, order, names


def test_twice_the_batch_is_twice_the_work() -> None:
    once, twice = total_of(printed("basic_block")), total_of(printed("basic_block").replace("size=(1, ", "size=(2, "))
    for figure in ("macs", "flops", "transcendentals", "bytes_written", "activation_elements", "activation_bytes"):
        assert twice.get(figure) == 2 * once.get(figure)
    assert twice.params == once.params
    assert once.get("bytes_read") < twice.get("bytes_read") < 2 * once.get("bytes_read")  # weights are read once


@settings(max_examples=10)
@given(st.randoms(use_true_random=True), st.sampled_from(["basic_block", "mlp_train", "cnn_accumulate"]))
def test_the_order_of_lines_costs_nothing(random: Random, name: str) -> None:
    """They follow the module tree, not the execution."""
    lines = printed(name).splitlines()
    places = [number for number, text in enumerate(lines) if "(OPERATOR:" in text]
    shuffled = list(places)
    random.shuffle(shuffled)
    moved = list(lines)
    for place, source in zip(places, shuffled, strict=True):
        moved[place] = lines[source]
    analysis, whole = irflops.analyze(irflops.loads("\n".join(moved))), analysis_of(name)
    assert analysis.total == whole.total
    assert analysis.phases == whole.phases
    assert analysis.inference.types == whole.inference.types


@pytest.mark.parametrize("name", ["mlp_train", "gpt_train", "cnn_accumulate", "cnn_checkpoint", "moved_metric"])
def test_counters_are_no_identity(name: str) -> None:
    """An operator added early renumbers every one after it."""
    text = re.sub(r"-(\d+)(?=[(/]|_\d)", lambda match: f"-{int(match[1]) + 1000}", printed(name))
    assert text != printed(name)
    analysis, whole = irflops.analyze(irflops.loads(text)), analysis_of(name)
    assert analysis.phases == whole.phases
    assert analysis.modules == whole.modules


def test_an_operator_more_costs_what_it_costs() -> None:
    text = printed("basic_block")
    extra = line("relu-99", ["model.relu-relu-5/y_0 1,64,64,64"], ["relu-99/y_0 1,64,64,64"])
    at = text.index("  (OPERATOR: _MyGraph_0_input")
    more, less = total_of(f"{text[:at]}  {extra}\n{text[at:]}"), total_of(text)
    assert more.get("flops") - less.get("flops") == 64**3
    assert more.get("macs") == less.get("macs")


# ---------------------------------------------------------------- traps


def test_unknown_is_not_zero() -> None:
    """An operator that no rule knows has null costs, and every total that it belongs to is a lower bound. Without a backward pass nothing
    is kept for it.
    """
    analysis = of_one_op("m-no_such_op-0", ["x/out 8,16"], "out_0 8,16")
    row = next(row for row in analysis.to_dict()["ops"] if row["type"] == "no_such_op")
    assert [row[figure] for figure in FIGURES] == [None] * len(OF_A_RUN) + [0]
    assert {analysis.total.certainty(figure) for figure in OF_A_RUN} == {"lower_bound"}
    assert analysis.total.certainty("saved_bytes") == "exact"
    assert [(u.type, u.reason, u.ops) for u in analysis.unknown] == [("no_such_op", "no_rule", ("m-no_such_op-0",))]
    assert "no_such_op" in analysis.types


def test_an_operator_without_a_type_is_unknown_and_not_dropped() -> None:
    analysis = of_one_op("System-Of-Tomorrow", ["x/out 8"], "out_0 8")
    assert [(u.type, u.reason, u.ops) for u in analysis.unknown] == [(None, "missing_attribute", ("System-Of-Tomorrow",))]
    assert analysis.total.certainty("macs") == "lower_bound"


def test_free_operators_are_free_by_a_rule() -> None:
    """A view costs nothing because its rule says so, not because nothing was found."""
    analysis = of_one_op("m-reshape-0", ["x/out 8,16"], "out_0 128")
    assert analysis.costs[-1].cost.figures == (0,) * len(FIGURES)
    assert all(analysis.total.is_known(figure) for figure in FIGURES)
    assert "reshape" in BOOK.by_type


def test_macs_are_not_flops() -> None:
    """One multiply-accumulate is two operations, a bias one more per element; both figures have names of their own."""
    without = of_one_op("m-conv2d-0", ["x/out 2,3,8,8", "w/out 4,3,3,3"], "out_0 2,4,8,8").total
    biased = of_one_op("m-conv2d-0", ["x/out 2,3,8,8", "w/out 4,3,3,3", "b/out 4"], "out_0 2,4,8,8").total
    assert without.get("macs") == biased.get("macs") == 2 * 4 * 8 * 8 * 27
    assert without.get("flops") == 2 * 2 * 4 * 8 * 8 * 27
    assert biased.get("flops") == without.get("flops") + 2 * 4 * 8 * 8


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
def test_groups_divide_the_work(groups: int) -> None:
    """The weight's shape tells them: each result sums the input channels of its group alone."""
    grouped = of_one_op("m-conv2d-0", ["x/out 1,8,6,6", f"w/out 16,{8 // groups},3,3"], "out_0 1,16,4,4").total
    assert grouped.get("macs") * groups == 16 * 4 * 4 * 8 * 9


def test_counts_are_exact_beyond_64_bits() -> None:
    """Of a product of 2^31 x 2^31 by 2^31 x 2^31: 2^93 multiply-accumulates, where 64 bits give zero."""
    side = f"{2**31},{2**31}"
    analysis = of_one_op("m-matmul-0", [f"a/out {side}", f"b/out {side}"], f"out_0 {side}")
    assert analysis.total.get("macs") == 2**93
    assert analysis.total.get("flops") == 2**94
    assert json.loads(json.dumps(analysis.to_dict()))["totals"]["macs"] == 2**93


def numbers(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from numbers(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from numbers(inner)
    elif not isinstance(value, (str, type(None))):
        yield value


@pytest.mark.parametrize("name", NAMES)
def test_every_count_is_a_python_int(name: str) -> None:
    document = analysis_of(name).to_dict(without=["unknown", "notes"])
    for row in document["ops"]:
        del row["attrs"]  # an epsilon is a float, and counts nothing
    for ratio in ("redundancy", "imbalance"):  # quotients of counts
        del document["devices"][ratio]
    for row in document["communication"]["by_collective"]:
        del row["share"]
    assert {type(number) for number in numbers(document)} <= {int, bool}


def imports(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return {name.partition(".")[0] for name in [*names, *(str(node.module) for node in nodes if isinstance(node, ast.ImportFrom))]}


COUNTING = [path for folder in ("ir", "ops", "counting") for path in sorted((PACKAGE / folder).glob("*.py"))]


@pytest.mark.parametrize("path", COUNTING, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_numpy_where_counts_are_made(path: Path) -> None:
    """`np.prod((2**31, 2**31, 4))` is 0."""
    assert "numpy" not in imports(path)


def test_a_work_of_unknown_macs_is_none() -> None:
    assert Work(macs=None).macs is None
    assert Work().macs == 0


def test_the_graph_is_data_and_no_god_object() -> None:
    """No `to_*`, `from_*`, `total_*`: functions work over it. Four views are computed on first use."""
    public = {name for name in vars(Graph) if not name.startswith("_")} - {field.name for field in fields(Graph)}
    assert public == {"by_name", "edges", "producers", "dag"}


BEHIND_THE_READERS = [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] != "readers"]
SHOW_THE_FORMAT = {
    "analysis/rows.py",
    "analysis/scale.py",
    "cli/compare.py",
    "differ/result.py",
    "explaining/explanation.py",
    "memory/memory.py",
    "report/summary.py",
}
"""Modules that write a graph's format down, for people or into a JSON."""


def asks_for_a_format(node: ast.AST) -> bool:
    """Whether a comparison or a match is about a graph's format, or names one."""
    if isinstance(node, ast.Compare):
        parts: list[ast.AST] = [node]
    elif isinstance(node, ast.Match):
        parts = [node.subject, *(case.pattern for case in node.cases)]
    else:
        return False
    inner = [one for part in parts for one in ast.walk(part)]
    names = {form.name for form in FORMS} - {"capture"} | {"sketch"}  # a command is called capture too
    return any(
        (isinstance(one, ast.Attribute) and one.attr == "format") or (isinstance(one, ast.Constant) and one.value in names) for one in inner
    )


def reads_a_format(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "format"


@pytest.mark.parametrize("path", BEHIND_THE_READERS, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_format_is_known_behind_the_readers(path: Path) -> None:
    """A quirk of a format ends at its reader: nothing later asks which one it was. What a form tells, `Graph.holds` says."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    assert [node.lineno for node in nodes if isinstance(node, ast.expr | ast.stmt) and asks_for_a_format(node)] == []
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}  # "...".format() is another
    reads = any(reads_a_format(node) and id(node) not in called for node in nodes)
    assert reads == (path.relative_to(PACKAGE).as_posix() in SHOW_THE_FORMAT)


@pytest.mark.parametrize(
    "code",
    [
        'graph.format == "x"',
        '"x" == graph.format',
        "graph.format in FORMS",
        "x = 1 if graph.format not in (a, b) else 2",
        "any(form == g.format for g in graphs)",
        'name == "repr"',
        'name in ("mlir", "x")',
        "match graph.format:\n  case _: pass",
        'match name:\n  case "a" | "saved_graph": pass',
    ],
)
def test_a_question_for_the_format_would_be_seen(code: str) -> None:
    assert any(map(asks_for_a_format, ast.walk(ast.parse(code))))


def test_the_library_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    analysis = irflops.analyze(irflops.loads(printed("gpt_train")))
    analysis.to_dict()
    analysis.rows()
    repr(analysis.graph.source)
    assert capsys.readouterr() == ("", "")
