"""Ways to need less memory: what is computed again, what ZeRO splits, and what fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from commands import run

import irflops
from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.fitting.candidates import candidates
from irflops.fitting.change import Change, Planner
from irflops.fitting.ways import fitting, ways_down
from irflops.ir.graph import Phase
from irflops.memory.memory import Asked
from irflops.memory.recompute import lacks_edges, with_edges
from irflops.whatif.checkpointing import checkpointed
from irflops.whatif.zero import with_zero

FOLDER = Path(__file__).parent.parent / "fixtures/memory"
PLANS: dict[str, Any] = json.loads((FOLDER / "plans.json").read_text(encoding="utf-8"))
BLOCKS = [f"m.blocks.{block}" for block in range(4)]


@pytest.fixture(scope="module")
def gpt() -> Analysis:
    return irflops.analyze(FOLDER / "gpta_train.cuda.repr.txt.gz")


@pytest.fixture(scope="module")
def cnn() -> Analysis:
    return irflops.analyze(FOLDER / "cnn2_adam.cudajob.pb.gz")


def test_checkpointing_makes_what_oneflow_makes(gpt: Analysis) -> None:
    """The GPT with its blocks checkpointed, out of the one without: the plan is OneFlow's of the graph that was captured so."""
    captured = irflops.analyze(FOLDER / "gpta_ckpt.cuda.repr.txt.gz")
    graph, again = checkpointed(gpt.graph, BLOCKS)
    found = analyze_graph(graph)
    assert found.memory.total[0] == PLANS["gpta_ckpt"]["cuda"]["0"]["total"]
    assert len(again) == sum(op.phase is Phase.RECOMPUTE for op in captured.graph.ops)
    assert {name: found.phases["recompute"].get(name) for name in ("macs", "flops", "bytes")} == {
        name: captured.phases["recompute"].get(name) for name in ("macs", "flops", "bytes")
    }
    assert found.total.get("flops") == captured.total.get("flops")


def test_control_edges_are_those_of_the_pass(gpt: Analysis) -> None:
    """What the what-if knows, because it makes the segments, is found in a print that shows none of it."""
    graph, _ = checkpointed(gpt.graph, BLOCKS)
    again = {op.name: op.after for op in graph.ops if op.phase is Phase.RECOMPUTE}
    print_ = irflops.load(FOLDER / "gpta_ckpt.cuda.repr.txt.gz")
    assert lacks_edges(print_)
    found = with_edges(print_)
    assert found is not None
    waits = {op.after for op in found.ops if op.phase is Phase.RECOMPUTE and op.after}
    assert {len(after) for after in again.values()} == {0, 1}
    assert len(waits) == len({after for after in again.values() if after}) == 4
    assert sum(bool(op.after) for op in found.ops) == sum(map(bool, again.values()))


def test_checkpointing_keeps_what_is_computed(gpt: Analysis) -> None:
    """Backward reads the same numbers; it never keeps more of forward."""
    for modules in (BLOCKS, BLOCKS[:1], ["m"], ["m.blocks.0.attn", "m.blocks.1.mlp"]):
        graph, again = checkpointed(gpt.graph, modules)
        found = analyze_graph(graph)
        assert found.total.get("saved_bytes") <= gpt.total.get("saved_bytes")
        assert found.total.get("flops") == gpt.total.get("flops") + sum(gpt.op_cost(at).get("flops") for at in again)
        assert {op.name for op in gpt.graph.ops} < {op.name for op in graph.ops}
    assert checkpointed(gpt.graph, ["m.nothing"]) == (gpt.graph, ())


def test_zero_is_near_oneflow() -> None:
    """Out of plain data parallelism, near the plan of the graph that was captured with ZeRO's stage 2."""
    graph = with_zero(irflops.load(FOLDER / "gpt_dp2.cuda.repr.txt.gz"))
    total, sure = irflops.plan_memory(graph, compute_stream=True).total
    assert abs(total / PLANS["gpt_zero2"]["cuda"]["0"]["total"] - 1) < 0.001
    assert sure == "estimate"


def test_one_device_has_nothing_to_split(gpt: Analysis) -> None:
    assert with_zero(gpt.graph) is gpt.graph


def test_ways_are_what_the_changed_graph_needs(cnn: Analysis) -> None:
    planner = Planner(cnn, Asked(), 10**9)
    ways = ways_down(planner)
    assert ways.is_whole
    assert [way.saved for way in ways.found] == sorted((way.saved for way in ways.found), reverse=True)
    for way in ways.found:
        assert way.saved == cnn.memory.total[0] - way.total
        graph, _ = checkpointed(cnn.graph, way.change.modules)
        if way.change.modules:
            assert way.total == irflops.plan_memory(graph).total[0]
            assert way.flops_added == irflops.analyze(graph).total.get("flops") - cnn.total.get("flops") > 0
        else:
            assert way.flops_added == 0
    halves = [way for way in ways.found if way.change.dtype]
    assert [way.total for way in halves] == [irflops.plan_memory(irflops.analyze(cnn.graph, dtype="float16")).total[0]]


def test_what_fits_needs_no_more_and_no_fewer_modules(cnn: Analysis) -> None:
    limit = cnn.memory.total[0] - (9 << 20)
    planner = Planner(cnn, Asked(), 10**9)
    fit = fitting(planner, limit)
    assert fit.fits
    assert [way.flops_added for way in fit.fits] == sorted(way.flops_added for way in fit.fits)
    assert all(way.total <= limit for way in fit.fits)
    lists = {one.pattern: one for one in candidates(cnn)}
    for way in fit.fits:
        assert not way.change.modules or way.change.modules == tuple(dict.fromkeys(way.change.modules))
        if way.change.pattern in lists or len(way.change.modules) < 2:
            continue
        less = planner.way(Change(way.change.modules[:-1], "", way.change.compute_stream, way.change.zero, way.change.dtype))
        assert less is None or less.total > limit


def test_the_largest_batch_is_the_largest(cnn: Analysis) -> None:
    limit = 60 << 20
    batch = fitting(Planner(cnn, Asked(), 10**9), limit).largest_batch
    assert batch is not None
    assert batch.change.batch is not None
    sizes = [irflops.plan_memory(irflops.analyze(cnn.graph, batch=batch.change.batch + more)).total[0] for more in (0, 1)]
    assert sizes[0] == batch.total <= limit < sizes[1]


def test_a_graph_too_large_is_not_tried(cnn: Analysis) -> None:
    fit = fitting(Planner(cnn, Asked(), len(cnn.graph.ops)), 1 << 20)
    assert not fit.is_whole
    assert not fit.fits
    assert fit.nearest is not None


def test_the_command_says_what_fits() -> None:
    path = FOLDER / "cnn2_adam.cudajob.pb.gz"
    found = json.loads(run("memory", path, "--fit", "16MiB", "--ways", "--format", "json").stdout)
    schema = json.loads(run("schema", "memory").stdout)
    jsonschema.validate(found, schema, cls=jsonschema.Draft202012Validator)
    assert {"one compute stream", "float16"} <= {way["way"] for way in found["ways"]}
    assert found["fit"]["fits"]
    assert all(way["total"] <= 16 << 20 for way in found["fit"]["fits"])
    shown = run("memory", path, "--fit", "16MiB").stdout
    assert "What fits into 16.0 MiB" in shown
    assert "Ways down" in shown
    assert "Nothing fits into 1.0 MiB" in run("memory", path, "--fit", "1MiB", "--no-ways").stdout


def test_inference_has_no_modules_to_checkpoint() -> None:
    found = irflops.analyze(FOLDER / "gpt_infer.cuda.repr.txt.gz")
    assert [way.change.words for way in ways_down(Planner(found, Asked(), 10**9)).found] == ["float16"]


def test_the_library_finds_what_the_command_finds(cnn: Analysis) -> None:
    found = irflops.fit(cnn, 16 << 20)
    shown = json.loads(run("memory", FOLDER / "cnn2_adam.cudajob.pb.gz", "--fit", "16MiB", "--format", "json").stdout)
    assert json.loads(json.dumps(found.to_dict())) == shown["fit"]
    assert [way.change.words for way in irflops.fit(cnn, cnn.memory.total[0]).fits] == ["as captured"]


def test_a_limit_is_a_number_of_bytes(cnn: Analysis) -> None:
    with pytest.raises(TypeError, match="limit"):
        irflops.fit(cnn, "16MiB")  # type: ignore[arg-type]  # a wrong type on purpose
    with pytest.raises(irflops.IrflopsError, match="no kind of device 'tpu'"):
        irflops.fit(cnn, 1, on="tpu")
