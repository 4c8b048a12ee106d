"""A saved graph against the job of the same graph, operator by operator; what may differ is named, and shown by an example."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from jobs import CONF, job, user
from modules import TYPE, W, X, module, op, read

import irflops
from irflops import Graph
from irflops.counting.cost import FIGURES
from irflops.ir.graph import DType, Op
from irflops.readers.job.job import read_job_binary

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
PAIRS = sorted(
    path.relative_to(FIXTURES).as_posix().removesuffix(".mlir.gz")
    for path in FIXTURES.rglob("*.mlir.gz")
    if path.parent.name != "real"  # saved by oneflow.save from the forward job, before the passes; these here from the full job
)

EXCEPTIONS = {
    "dropped": "OneFlow leaves out operators whose results nobody uses; with them go modules that own nothing else",
    "folded": "of several equal operators in a row (relu of relu) OneFlow keeps one, and what reads the others reads that",
    "sbp": "only variables, inputs, outputs and operators with an nd_sbp say how their results lie, and none what its operands want",
    "runs": "a tick runs as often as what it ticks, and once where that was dropped",
    "order": "operands come in the order of OneFlow's definitions, where that of jobs was never seen for those that are there",
    "bytes": "int8 and bool are written alike: told apart by attributes, op types and operands, which an unknown op type may defeat",
}
"""Differences of a saved graph from the job, by name."""


def saved(stem: str) -> tuple[Graph, Graph]:
    """A fixture's saved graph and its job."""
    text, data = (gzip.decompress((FIXTURES / f"{stem}.{form}.gz").read_bytes()) for form in ("mlir", "job.pb"))
    return read(text.decode()), read_job_binary(data, stem)


def differences(one: Graph, other: Graph) -> Iterator[str]:
    """Names of the exceptions by which a saved graph differs from a job; other differences as they are."""
    costs = [{op_.name: cost for op_, cost in zip(graph.ops, irflops.analyze(graph).costs, strict=True)} for graph in (one, other)]
    dropped = other.by_name.keys() - one.by_name.keys()
    if dropped:
        yield "dropped"
    yield from (f"only saved: {name}" for name in one.by_name.keys() - other.by_name.keys())
    for op_ in one.ops:
        same = other.by_name.get(op_.name)
        if same is None:
            continue
        mine, theirs = costs[0][op_.name], costs[1][op_.name]
        if dropped and mine.saved != theirs.saved:  # what a dropped operator of the backward pass reads is not kept for it
            yield "dropped"
            kept = FIGURES.index("saved_bytes")
            figures = theirs.cost.figures[:kept] + mine.cost.figures[kept : kept + 1] + theirs.cost.figures[kept + 1 :]
            theirs = replace(theirs, saved=mine.saved, cost=replace(theirs.cost, figures=figures))
        if mine != theirs:
            yield f"{op_.name}: {costs[0][op_.name]} != {costs[1][op_.name]}"
        yield from _differences(op_, same, dropped)
    if {module_.path for module_ in one.modules} != {module_.path for module_ in other.modules} and not dropped:
        yield "modules"


def _differences(one: Op, other: Op, dropped: set[str]) -> Iterator[str]:
    for field in ("type", "attrs", "placement", "phase", "kind", "kind_source"):
        if getattr(one, field) != getattr(other, field):
            yield f"{one.name}: {field} {getattr(one, field)} != {getattr(other, field)}"
    if one.module != other.module:
        yield f"{one.name}: module {one.module} != {other.module}"
    if one.runs != other.runs:
        yield "runs" if one.type == "device_tick" else f"{one.name}: runs {one.runs} != {other.runs}"
    for mine, theirs in ((one.inputs, other.inputs), (one.outputs, other.outputs)):
        places = [[(o.arg, o.index) for o in operands] for operands in (mine, theirs)]
        if places[0] != places[1]:
            yield "order" if sorted(places[0]) == sorted(places[1]) else f"{one.name}: {places[0]} != {places[1]}"
        by_place = dict(zip(places[1], theirs, strict=True))
        for operand in mine:
            same = by_place.get((operand.arg, operand.index), operand)
            if operand.lbn != same.lbn:
                folded = same.lbn.partition("/")[0] in dropped
                yield "folded" if folded else f"{one.name}: {operand.lbn} != {same.lbn}"
            if operand.type != same.type:
                bytes_ = {operand.type.dtype, same.type.dtype} == {DType.INT8, DType.BOOL}
                yield "bytes" if bytes_ else f"{one.name}: {operand.type} != {same.type}"
            if operand.nd_sbp != same.nd_sbp:
                yield "sbp" if operand.nd_sbp is None else f"{one.name}: {operand.nd_sbp} != {same.nd_sbp}"


@pytest.mark.parametrize("stem", PAIRS)
def test_saved_graph_is_its_job(stem: str) -> None:
    one, other = saved(stem)
    assert (one.name, one.training) == (other.name, other.training)
    assert set(differences(one, other)) <= {"dropped", "sbp"}
    analysis = irflops.analyze(one)
    assert analysis.inference.disagreements == ()
    assert analysis.inference.checked > 0
    assert analysis.unknown == ()


def test_training_graphs_are_among_the_pairs() -> None:
    assert {saved(stem)[0].training for stem in ("basic_block", "gpt_train")} == {False, True}


HEAD = f"oneflow.job @G_0(%arg0: {TYPE})"
X_JOB = 'op { name: "x" input_conf { out: "out" blob_conf { shape { dim: 2 dim: 8 } data_type: kFloat } } }'
W_JOB = 'op { name: "m.w" variable_conf { out: "out" shape { dim: 4 dim: 8 } data_type: kFloat } }'


def relus(*names: str) -> list[str]:
    """Operators of a job that each read the one before."""
    lbns = ["x/out", *(f"{name}/y_0" for name in names)]
    return [
        f'op {{ name: "{name}" user_conf {{ op_type_name: "relu" input {{ key: "x" value {{ s: "{lbn}" }} }}'
        f' output {{ key: "y" value {{ s: "{name}/y_0" }} }} }} }}'
        for name, lbn in zip(names, lbns, strict=False)
    ]


def found(statements: list[str], ops: list[str], rest: str = "") -> set[str]:
    """The differences of two graphs that are written out."""
    return set(differences(read(module(*statements, job=HEAD)), irflops.loads(job(*ops, conf=CONF, rest=rest))))


def described(**types: str) -> str:
    """The part of a job that describes blobs: float32 of [2, 8], or another type."""
    entries = "".join(
        f'lbn2logical_blob_desc {{ key: "{lbn}" value {{ shape {{ dim: 2 dim: 8 }} data_type: {dtype} }} }} '
        for lbn, dtype in types.items()
    )
    return f"helper {{ {entries} }}"


def relu_of(operand: str, name: str, given: str = "%y") -> str:
    return op("relu", name=name, given=given, operands=operand)


def test_operators_without_a_used_result_are_dropped() -> None:
    blobs = described(**{"x/out": "kFloat", "m.a-relu-0/y_0": "kFloat", "m-relu-1/y_0": "kFloat"})
    dead = relus("m.a-relu-0")
    alive = [relu.replace("m.a-relu-0/y_0", "x/out", 1) for relu in relus("m.a-relu-0", "m-relu-1")[1:]]
    assert found([X.replace('nd_sbp = ["B"], ', ""), relu_of("%x", "m-relu-1")], [X_JOB, *dead, *alive], blobs) == {"dropped"}


def test_equal_operators_in_a_row_are_folded() -> None:
    blobs = described(**dict.fromkeys(("x/out", "m-relu-0/y_0", "m-relu-1/y_0", "m-relu-2/y_0"), "kFloat"))
    statements = [X.replace('nd_sbp = ["B"], ', ""), relu_of("%x", "m-relu-0"), relu_of("%y", "m-relu-2", "%z")]
    assert found(statements, [X_JOB, *relus("m-relu-0", "m-relu-1", "m-relu-2")], blobs) == {"dropped", "folded"}


def test_sbp_of_results_is_not_told() -> None:
    blobs = described(**{"x/out": "kFloat", "m-relu-0/y_0": "kFloat"})
    sbp = 'bn_in_op2nd_sbp { key: "y_0" value { sbp_parallel { broadcast_parallel { } } } }'
    view = f'job_parallel_view_conf {{ op_name2nd_sbp_signature_conf {{ key: "m-relu-0" value {{ {sbp} }} }} }}'
    statements = [X.replace('nd_sbp = ["B"], ', ""), relu_of("%x", "m-relu-0")]
    assert found(statements, [X_JOB, *relus("m-relu-0")], f"{blobs} {view}") == {"sbp"}


def test_order_of_operands_that_was_never_seen() -> None:
    names = ["model", "model_diff", "learning_rate", "momentum", "skip_if"]  # as a job has them
    saved_as = ["model", "model_diff", "momentum", "learning_rate", "skip_if"]
    types = ["tensor<4x8xf32>"] * len(names)
    segments = "operand_segment_sizes = array<i32: 1, 1, 1, 1, 0, 1>"
    update = op(
        "momentum_update", segments, name="m.w_optimizer", given="", operands=", ".join(["%w"] * 5), types=f"({', '.join(types)}) -> ()"
    )
    statements = [W.replace(", parallel = #sbp.parallel<[] -> [[#sbp.S<0>]]>", ""), update]
    ops = [W_JOB, user("m.w_optimizer", "momentum_update", " ".join(f"{name}=m.w/out" for name in names))]
    assert [operand.arg for operand in read(module(*statements)).by_name["m.w_optimizer"].inputs] == saved_as
    ops[1] = ops[1].removesuffix(" } }") + "".join(f' input_order: "{name}"' for name in names) + " } }"
    assert found(
        statements, ops, 'helper { lbn2logical_blob_desc { key: "m.w/out" value { shape { dim: 4 dim: 8 } data_type: kFloat } } }'
    ) == {"order"}


def test_bytes_of_an_unknown_type_are_taken_for_bool() -> None:
    blobs = described(**{"x/out": "kFloat", "m-relu-0/out_0": "kInt8"})
    statements = [
        X.replace('nd_sbp = ["B"], ', ""),
        op("new_quantizer", operands="%x", types=f"({TYPE}) -> tensor<2x8xsi8>"),
    ]
    assert found(statements, [X_JOB, user("m-relu-0", "new_quantizer", "in=x/out out=m-relu-0/out_0")], blobs) == {"bytes"}


def test_tick_of_a_dropped_operator_runs_once() -> None:
    segments = "operand_segment_sizes = array<i32: 0, 0>, result_segment_sizes = array<i32: 1, 0>"
    repeat = op(
        "repeat", "repeat_num = 4 : si32", name="m.w-repeat-0", given="%r", operands="%w", types="(tensor<4x8xf32>) -> tensor<4x8xf32>"
    )
    tick = op("system", f'op_type_case = 159 : i32, input_bns = [], output_lbns = ["t/out"], {segments}', name="t", given="%t", operands="")
    tick = tick.replace(f"({TYPE}) -> {TYPE}", "() -> tensor<1xsi8>")
    ops = [
        W_JOB,
        'op { name: "t" device_tick_conf { out: "out" } }',
        user("m.w-repeat-0", "repeat", "in=m.w/out out=m.w-repeat-0/out_0", 'attr { key: "repeat_num" value { at_int32: 4 } } '),
        user("m-add-1", "broadcast_add", "x=m.w-repeat-0/out_0 y=t/out out=m-add-1/z_0"),
    ]
    blobs = 'helper { lbn2logical_blob_desc { key: "t/out" value { shape { dim: 1 } data_type: kInt8 } } }'
    statements = [W.replace(", parallel = #sbp.parallel<[] -> [[#sbp.S<0>]]>", ""), tick, repeat]
    assert "runs" in found(statements, ops, blobs)


def test_variable_whose_reader_was_dropped_stands_by_its_name() -> None:
    variable = W.replace("m.w", "m.a.w").replace(", parallel = #sbp.parallel<[] -> [[#sbp.S<0>]]>", "")
    reader = user("m-new-0", "new", "in=m.a.w/out out=m-new-0/out_0")
    owners = 'module_name2module_conf { key: "m" value { name: "m" ops: "m.a.w" ops: "m-new-0" } }'
    assert found([variable], [W_JOB.replace("m.w", "m.a.w"), reader], owners) == {"dropped"}


def test_every_exception_is_shown() -> None:
    """Each of them is in a set that a test above expects."""
    text = Path(__file__).read_text(encoding="utf-8")
    shown = text.partition("def test_saved_graph_is_its_job")[2]
    assert [name for name in EXCEPTIONS if f'"{name}"' not in shown] == []
