"""What is selected of an analysis: a phase, modules, both."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from analysed import TRAINING, analysis_of, text_of

from irflops.analysis.analysis import analyze_graph
from irflops.analysis.select import matching_modules, select_part
from irflops.counting.cost import Cost
from irflops.errors import IrflopsError
from irflops.ir.graph import Phase
from irflops.report.json_writer import write_json


@pytest.mark.parametrize("phase", ["forward", "backward", "optimizer"])
def test_phase_selects_its_operators(phase: str) -> None:
    analysis = analysis_of(TRAINING)
    part = select_part(analysis, phase=phase)
    assert part.total == part.modules[""] == analysis.phases[phase]
    assert {op.phase and op.phase.value for op in part.graph.ops} == {phase}
    assert sum(group.count for group in part.types.values()) == len(part.graph.ops)


def test_module_selects_all_below() -> None:
    analysis = analysis_of("resnet18")
    part = select_part(analysis, module="model.layer*")
    layers = [analysis.modules[f"model.layer{n}"] for n in (1, 2, 3, 4)]
    assert part.total == layers[0] + layers[1] + layers[2] + layers[3]
    assert part.modules["model.layer2.0"] == analysis.modules["model.layer2.0"]
    assert matching_modules(analysis, "**.conv1")[:2] == ["model.conv1", "model.layer1.0.conv1"]
    assert matching_modules(analysis, "model.layer?.0")[-1] == "model.layer4.0"
    with pytest.raises(IrflopsError, match=r"no module matches 'model\.layr1'") as caught:
        select_part(analysis, module="model.layr1")
    assert caught.value.hint == "did you mean 'model.layer1'?"


def test_a_part_knows_what_it_is_a_part_of() -> None:
    analysis = analysis_of(TRAINING)
    part = select_part(select_part(analysis, phase=Phase.BACKWARD), module="model.0")
    assert part.total == select_part(select_part(analysis, module="model.0"), phase="backward").total != analysis.phases["backward"]
    assert part.whole is analysis
    assert analysis.whole is analysis
    assert part.selection is not None
    assert (part.selection.phase, part.selection.module, part.selection.tops) == ("backward", "model.0", ("model.0",))
    assert list(part.modules) == [row["path"] for row in part.rows("module")] == ["", "model.0"]
    assert part.to_dict() == json.loads(text_of(lambda stream: write_json(part, stream)))


def test_a_phase_that_the_graph_lacks_is_refused_in_plain_words() -> None:
    with pytest.raises(IrflopsError, match="no operator of this graph is in the phase backward") as caught:
        select_part(analysis_of("resnet18"), phase="backward")
    assert caught.value.hint == "its operators are in forward and system"
    with pytest.raises(IrflopsError, match="there is no phase 'backwards'") as caught:
        select_part(analysis_of("resnet18"), phase="backwards")
    assert caught.value.hint == "phases: forward, recompute, backward, optimizer, system"


def test_a_phase_that_is_not_in_the_modules_that_are_meant_costs_nothing() -> None:
    part = select_part(analysis_of(TRAINING), module="model.1", phase="optimizer")
    assert part.graph.ops == ()
    assert part.total == Cost()


def test_partial_graph_stays_a_lower_bound_when_selected() -> None:
    graph = analysis_of(TRAINING).graph
    part = select_part(analyze_graph(replace(graph, partial=True)), phase="backward")
    assert part.total.certainty("flops") == "lower_bound"
