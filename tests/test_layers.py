"""The layer table: each call of a module in its order, with its shapes; the same as torchinfo's where that is known."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from analysed import analysis_of
from commands import run

from irflops import load
from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.analysis.blocks import alike_ops, by_class, places
from irflops.analysis.layers import layers
from irflops.analysis.select import select_part
from irflops.counting.cost import Cost

ROOT = Path(__file__).resolve().parent.parent
RESNET50 = "fixtures/resnet50.repr.txt.gz"
PRINTS = ["resnet18", "gpt_train", "mlp_train", "cnn_checkpoint", "tied", "freelist", "densenet121", "functional_pool"]


@pytest.fixture(autouse=True)
def _at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_resnet50_is_the_table_that_torchinfo_publishes() -> None:
    text = gzip.decompress(Path("fixtures/published/torchinfo_resnet50.csv.gz").read_bytes()).decode("ascii")
    published = [tuple(row.values()) for row in csv.DictReader(io.StringIO(text))]
    out = run("analyze", RESNET50, "--batch", "2", "--by", "layer", "--depth", "3", "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(published) == len(rows) == 175
    found = [(str(row["path"].count(".")), row["class"], as_published(row["output_shape"]), row["params"] or "0") for row in rows]
    assert found == published
    assert sum(int(row["macs"]) for row in rows) == 2 * 4_089_184_256


def as_published(shape: str) -> str:
    return shape.strip("()").replace(", ", "x")


@pytest.mark.parametrize("depth", [None, 0, 1, 2])
@pytest.mark.parametrize("fixture", PRINTS)
def test_rows_add_up_to_the_forward_pass_at_every_depth(fixture: str, depth: int | None) -> None:
    analysis = analysis_of(fixture)
    found = sum((layer.cost for layer in layers(analysis, depth)), Cost())
    forward = analysis.phases["forward"]
    for name in ("macs", "flops", "transcendentals"):
        assert found.get(name) == forward.get(name)
    variables = sum((analysis.op_cost(i) for i, op in enumerate(analysis.graph.ops) if op.type == "variable"), Cost())
    assert found.get("params") == variables.get("params") == analysis.total.get("params")


@pytest.mark.parametrize("name", ["densenet121", "gpt_train", "basic_block"])
def test_forms_without_classes_tell_the_same_layers(name: str) -> None:
    """Of modules without others below, which are known from their operators: those that have any."""

    def leaves(analysis: Analysis) -> list[tuple[object, ...]]:
        found = layers(analysis)
        above = {layer.path.rpartition(".")[0] for layer in found}
        return [
            (one.path, one.output_shape, one.cost.get("macs"), one.call) for one in found if one.path not in above and one.cost.get("flops")
        ]

    print_, job = (analyze_graph(load(f"fixtures/{name}.{form}.gz")) for form in ("repr.txt", "job.prototxt"))
    assert leaves(print_) == leaves(job)
    assert leaves(print_)


def test_module_used_twice_is_marked_and_owns_its_params_once() -> None:
    rows = [layer for layer in layers(analysis_of("resnet18")) if layer.path == "model.layer1.0.relu"]
    assert [(row.call, row.calls) for row in rows] == [(1, 2), (2, 2)]
    table = run("analyze", "fixtures/tied.repr.txt.gz", "--by", "layer").stdout
    assert "call" not in table.splitlines()[1].split()
    table = run("analyze", "fixtures/resnet18.repr.txt.gz", "--by", "layer").stdout
    assert "2 of 2" in table


def test_calls_stand_in_the_order_in_which_they_are_made() -> None:
    labels = [layer.label for layer in layers(analysis_of("resnet18")) if layer.path.startswith("model.layer2.0.") and layer.level == 3]
    assert labels == ["conv1", "bn1", "relu", "conv2", "bn2", "downsample", "relu"]


def test_columns_of_layers_ask_for_layers() -> None:
    rows = run("analyze", RESNET50, "--columns", "path,input_shape,output_shape,kernel", "--format", "csv").stdout.splitlines()
    assert rows[2] == 'model.conv1,"(1, 3, 224, 224)","(1, 64, 112, 112)","(7, 7)"'


def test_what_is_looked_up_goes_into_an_embedding() -> None:
    """Not the table: the dump of a print tells so, and the operators of a job."""
    print_, job = (analyze_graph(load(f"fixtures/gpt_train.{form}.gz")) for form in ("repr.txt", "job.prototxt"))
    told = {layer.path: (layer.input_shape, layer.output_shape) for layer in layers(print_) if layer.class_name == "Embedding"}
    assert told
    assert {layer.path: (layer.input_shape, layer.output_shape) for layer in layers(job) if layer.path in told} == told


def test_part_of_the_model_has_its_layers() -> None:
    part = select_part(analysis_of("resnet18"), module="model.layer1.*")
    assert {layer.path.split(".")[1] for layer in layers(part)} == {"layer1"}


def test_classes_are_summed_with_all_that_they_hold() -> None:
    analysis = analysis_of("resnet18")
    groups = by_class(analysis)
    rows = {row["type"]: row for row in analysis.rows("type")}
    assert groups["Conv2d"].cost.get("macs") == rows["conv2d"]["macs"]
    assert (len(groups["Conv2d"].paths), len(groups["BasicBlock"].paths)) == (20, 8)
    blocks = sum(analysis.modules[path].get("flops") for path in groups["BasicBlock"].paths)
    assert groups["BasicBlock"].cost.get("flops") == blocks
    nested = groups["Sequential"]  # layer2 holds a downsample of its own class: what that does counts once
    assert len(nested.paths) == 7
    assert nested.cost.get("flops") == sum(analysis.modules[f"model.layer{n}"].get("flops") for n in range(1, 5))


def test_equal_blocks_stand_in_one_row_with_the_figures_of_one_or_all() -> None:
    analysis = analysis_of("resnet50")
    folded = {place.name: place for place in places(analysis, fold=True)}
    whole = {place.path: place for place in places(analysis, fold=False)}
    assert set(whole) == set(analysis.modules)
    three = folded["model.layer2.1 ... 3"]
    assert (three.times, three.of) == (3, 3)
    assert three.cost == whole["model.layer2.1"].cost + whole["model.layer2.2"].cost + whole["model.layer2.3"].cost
    assert folded["model.layer2.each of 1 ... 3"].cost == whole["model.layer2.1"].cost
    assert "model.layer2.2" not in folded
    assert "" not in folded  # the graph, which is the model


def test_equal_layers_operators_stand_in_one_row() -> None:
    analysis = analysis_of("resnet50")
    groups = alike_ops(analysis, fold=True)
    assert sorted(index for group in groups for index in group.ops) == list(range(len(analysis.graph.ops)))
    (together,) = (group for group in groups if group.name == "model.layer3.*.conv2-conv2d-*")
    assert len(together.ops) == 5
    assert together.cost.get("macs") == sum(analysis.op_cost(index).get("macs") for index in together.ops)
    assert [len(group.ops) for group in alike_ops(analysis, fold=False)] == [1] * len(analysis.graph.ops)


@pytest.mark.parametrize("path", ["model.layer1.0.conv1", "model.layer2"])
def test_module_is_explained(path: str) -> None:
    out = run("explain", "fixtures/resnet18.repr.txt.gz", path)
    assert out.exit_code == 0
    part = select_part(analysis_of("resnet18"), module=path)
    assert out.stdout.startswith(f"{path}\n")
    assert f"{part.shown_operators} operator" in out.stdout
    assert "of the graph's FLOPs" in out.stdout
    assert json.loads(run("explain", "fixtures/resnet18.repr.txt.gz", path, "--format", "json").stdout) == json.loads(
        run("analyze", "fixtures/resnet18.repr.txt.gz", "--module", path, "--format", "json").stdout
    )
