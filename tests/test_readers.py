"""What a graph holds after reading: operators, tensors, modules, variables; in the forms of 2021, of 0.8.0 and of 0.9.0."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError
from pathlib import Path

import networkx
import pytest

import irflops
from irflops import Graph
from irflops.ir.graph import DType, Location, Op, Phase, Placement, TensorType, VariableKind
from irflops.ir.sbp import Sbp

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
NAMES = sorted(path.name.removesuffix(".repr.txt.gz") for path in FIXTURES.glob("*.repr.txt.gz"))
CPU = '), placement=(oneflow.placement(type="cpu", ranks=[0])))'


def fixture(name: str) -> Graph:
    return irflops.load(FIXTURES / f"{name}.repr.txt.gz")


def graph_of(*lines: str, training: bool = False) -> Graph:
    head = f"(GRAPH:Net_0:Net): (\n  (CONFIG:config:GraphConfig(training={training}, ))\n"
    return irflops.loads(head + "".join(f"  {line}\n" for line in lines) + ")\n")


def t(lbn: str, size: str, dtype: str = "float32", sbp: str = "B") -> str:
    """A tensor of an operator line."""
    return f"{lbn}:(sbp=({sbp}), size=({size}), dtype=(oneflow.{dtype}))"


X = "(OPERATOR: x() -> (x/out:sbp=(B), size=(8, 16), dtype=(oneflow.float32)" + CPU
W = "(OPERATOR: fc.weight() -> (out:sbp=(B), size=(4, 16), dtype=(oneflow.float32)" + CPU


def relu(name: str, source: str, *, end: str = CPU) -> str:
    return f"(OPERATOR: {name}({t(source, '8, 16')}) -> ({t(name + '/y_0', '8, 16')}{end}"


# ---------------------------------------------------------------- an operator


def test_an_operator_holds_what_its_line_says() -> None:
    graph = fixture("basic_block")
    conv = graph.by_name["model.conv1-conv2d-0"]
    assert (conv.type, conv.module, conv.phase, conv.runs, conv.kind) == ("conv2d", "model.conv1", Phase.FORWARD, 1, None)
    assert [(o.arg, o.index, o.lbn) for o in conv.inputs] == [
        ("in", 0, "_MyGraph_0_input.0.0_2/out"),
        ("weight", 0, "model.conv1.weight/out"),
    ]
    assert conv.inputs[1].type == TensorType((64, 32, 3, 3), DType.FLOAT32)
    assert [(o.arg, o.index, o.lbn) for o in conv.outputs] == [("out", 0, "model.conv1-conv2d-0/out_0")]
    assert conv.outputs[0].nd_sbp == (Sbp("B"),)
    assert conv.placement == Placement("cpu", (0,), (1,))
    assert conv.span is not None
    assert graph.source.text[conv.span.start : conv.span.end].lstrip().startswith("(OPERATOR: model.conv1-conv2d-0(")
    assert graph.source.line(conv.span.start) == 14


def test_a_list_of_tensors_is_one_argument() -> None:
    concat = fixture("basic_block").by_name["model-concat-3"]
    assert [(o.arg, o.index, o.lbn) for o in concat.inputs] == [("in", i, "_MyGraph_0_input.0.0_2/out") for i in (0, 1)]


def test_variables_inputs_and_outputs_have_their_lbns() -> None:
    graph = fixture("basic_block")
    assert [o.lbn for o in graph.by_name["model.bn1.bias"].outputs] == ["model.bn1.bias/out"]
    assert [o.lbn for o in graph.by_name["_MyGraph_0_input.0.0_2"].outputs] == ["_MyGraph_0_input.0.0_2/out"]
    output = graph.by_name["_MyGraph_0_output.0.0_2"]
    assert [(o.arg, o.lbn) for o in output.inputs] == [("in", "model.fc-broadcast_add-7/z_0")]
    assert [op.type for op in graph.ops if op.type in ("input", "output")] == ["input", "output"]


def test_locations_are_the_users_own_lines() -> None:
    """Of the frames that a line shows, the innermost one outside of libraries."""
    graph = fixture("loc")
    assert graph.by_name["model.0-matmul-0"].location == Location("/srv/fixtures/capture.py", 107, "build")
    assert graph.by_name["model.0.weight"].location is None


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_fixture_goes_untyped_or_homeless(name: str) -> None:
    graph = fixture(name)
    paths = {module.path for module in graph.modules}
    for op in graph.ops:
        assert op.type is not None, op.name
        assert op.module in paths, op.name
        assert (op.kind is None) == (op.type != "variable")
        assert op.span is not None or op.type == "learning_rate_schedule"
    assert graph.format == "repr"
    assert graph.version_guess == "0.9.0 or later"
    assert len(graph.by_name) == len(graph.ops)
    assert not graph.partial


# ---------------------------------------------------------------- tensors


def test_sbp_and_placement_of_a_mesh() -> None:
    mesh = '), placement=(oneflow.placement(type="cuda", ranks=[[0, 1, 2], [4, 5, 6]])))'
    line = f"(OPERATOR: a-relu-0({t('x/out', '8, 16', sbp='S(0), P')}) -> ({t('a-relu-0/y_0', '8, 16', sbp='S(1), B')}{mesh}"
    op = graph_of(X, line).by_name["a-relu-0"]
    assert op.placement == Placement("cuda", (0, 1, 2, 4, 5, 6), (2, 3))
    assert op.inputs[0].nd_sbp == (Sbp("S", 0), Sbp("P"))
    assert list(map(str, op.outputs[0].nd_sbp or ())) == ["S(1)", "B"]


@pytest.mark.parametrize(
    ("size", "shape"), [("", ()), ("8", (8,)), ("8,", (8,)), ("8, 0, 16", (8, 0, 16)), ("9223372036854775807", (2**63 - 1,))]
)
def test_sizes(size: str, shape: tuple[int, ...]) -> None:
    op = graph_of(f"(OPERATOR: x() -> (x/out:sbp=(B), size=({size}), dtype=(oneflow.int64){CPU}").by_name["x"]
    assert op.outputs[0].type == TensorType(shape, DType.INT64)


@pytest.mark.parametrize("dtype", [d.value[0] for d in DType])
def test_dtypes(dtype: str) -> None:
    op = graph_of(f"(OPERATOR: x() -> (x/out:sbp=(B), size=(2), dtype=(oneflow.{dtype}){CPU}").by_name["x"]
    assert op.outputs[0].type.dtype is not None
    assert op.outputs[0].type.dtype.value[0] == dtype


TENSORS = {
    "lazy": "tensor(..., is_lazy='True', size=(4, 16), dtype=oneflow.float32)",
    "local on a device": "tensor(..., device='cuda:0', size=(4, 16), dtype=oneflow.float32)",
    "an empty list": "tensor([], size=(4, 16), dtype=oneflow.float32)",
    "global, axis": (
        'tensor(..., placement=oneflow.placement(type="cuda", ranks=[0, 1]), '
        "sbp=(oneflow.sbp.split(axis=0),), size=(4, 16), dtype=oneflow.float32)"
    ),
    "global, dim": (
        'tensor(..., placement=oneflow.placement(type="cuda", ranks=[[0, 1], [2, 3]]), '
        "sbp=(oneflow.sbp.split(dim=0), oneflow.sbp.broadcast), size=(4, 16), dtype=oneflow.float32)"
    ),
    "of 2021": (
        'tensor(..., placement=oneflow.placement(device_type="cuda", machine_device_ids={0 : [0, 1]}, hierarchy=(2,)), '
        "sbp=(oneflow.sbp.partial_sum,), is_consistent='True', size=(4, 16), dtype=oneflow.float32)"
    ),
    "flow.Size": "tensor(..., size=flow.Size([4, 16]), dtype=flow.float32)",
    "in another order": "tensor(..., dtype=oneflow.float32, size=(4, 16))",
    "wrapped": "tensor(..., is_lazy='True', size=(4, 16),\n         dtype=oneflow.float32,\n\n         grad_fn=<some_backward>)",
}


@pytest.mark.parametrize("text", TENSORS.values(), ids=list(TENSORS))
@pytest.mark.parametrize(
    "form", ["(INPUT:_x_input.0.0_2:{})", "(OUTPUT:_x_output.0.0_2:{})", "(PARAMETER:fc.weight:{}): ()", "(BUFFER:fc.b:{}): ()"]
)
def test_tensor_lines(form: str, text: str) -> None:
    if form.startswith(("(PARAMETER", "(BUFFER")) and text.startswith("tensor([]"):
        form = form.replace(": ()", "")
    root = graph_of(form.format(text), X).modules[0]
    assert [*root.inputs, *root.outputs, *(p.type for p in root.parameters)] == [TensorType((4, 16), DType.FLOAT32)]


def test_values_that_are_no_tensors_are_passed_over() -> None:
    graph = fixture("none_input")
    shifted = next(module for module in graph.modules if module.path == "model.shifted")
    assert shifted.inputs == (TensorType((8, 16), DType.FLOAT32),)
    other = graph_of("[WARNING](INPUT:_x_input.0.0_2:<class 'bool'>)", "[WARNING](OUTPUT:_x_output.0.0_2:<class 'NoneType'>)", X)
    assert other.modules[0].inputs == other.modules[0].outputs == ()


# ---------------------------------------------------------------- forms


def test_the_form_of_0_8_0() -> None:
    """Another word before the placement, no GraphModule level, elided operands of inputs and outputs, requires_grad."""
    old = '):placement=(oneflow.placement(type="cpu", ranks=[0])))'
    graph = graph_of(
        "(INPUT:_Net_0_input.0.0_2:tensor(..., size=(8, 16), dtype=oneflow.float32))",
        "(MODULE:fc:Linear(in_features=16, out_features=4, bias=False)): (",
        "  (PARAMETER:fc.weight:tensor(..., size=(4, 16), dtype=oneflow.float32, requires_grad=True)): ()",
        "  (OPERATOR: fc.weight() -> (out:sbp=(B), size=(4, 16), dtype=(oneflow.float32)" + old,
        f"  (OPERATOR: fc-matmul-0({t('_Net_0_input.0.0_2/out', '8, 16')}, {t('fc.weight/out', '4, 16')})"
        f" -> ({t('fc-matmul-0/out_0', '8, 4')}{old}",
        ")",
        '(OPERATOR: _Net_0_input.0.0_2(...) -> (...):placement=(oneflow.placement(type="cpu", ranks=[0])))',
        '(OPERATOR: _Net_0_output.0.0_2(...) -> (...):placement=(oneflow.placement(type="cpu", ranks=[0])))',
        "(OUTPUT:_Net_0_output.0.0_2:tensor(..., is_lazy='True', size=(8, 4), dtype=oneflow.float32))",
    )
    assert graph.version_guess == "0.8.0"
    assert graph.by_name["fc-matmul-0"].module == "fc"
    assert graph.by_name["fc-matmul-0"].placement == Placement("cpu", (0,), (1,))
    assert graph.by_name["_Net_0_input.0.0_2"].outputs[0].type == TensorType((8, 16), DType.FLOAT32)
    assert [o.lbn for o in graph.by_name["_Net_0_output.0.0_2"].inputs] == ["fc-matmul-0/out_0"]
    assert graph.by_name["fc.weight"].kind is VariableKind.TRAINABLE
    assert irflops.analyze(graph).total.get("macs") == 8 * 4 * 16
    assert irflops.analyze(graph).total.worst == "exact"


def test_operators_without_types_are_unknown_not_free() -> None:
    """Prints of 2021: names and edges alone."""
    graph = graph_of(
        "(MODULE:fc:Linear(in_features=16, out_features=4, bias=False)): (",
        "  (PARAMETER:fc.weight:tensor(..., size=(4, 16), dtype=oneflow.float32, requires_grad=True)): ()",
        "  (OPERATOR:fc.weight() -> (fc.weight/out):placement=(None))",
        "  (OPERATOR:fc-matmul-0(x/out, fc.weight/out) -> (fc-matmul-0/out_0))",
        ")",
    )
    matmul = graph.by_name["fc-matmul-0"]
    assert matmul.type == "matmul"
    assert [(o.arg, o.lbn, o.type) for o in matmul.inputs] == [("a", "x/out", TensorType()), ("b", "fc.weight/out", TensorType())]
    analysis = irflops.analyze(graph)
    assert analysis.total.certainty("macs") == "lower_bound"
    assert [(u.type, u.reason) for u in analysis.unknown if "fc-matmul-0" in u.ops] == [("matmul", "missing_shape")]


def test_an_unknown_part_of_a_line_is_kept_and_noted() -> None:
    line = relu("a-relu-0", "x/out", end=CPU[:-1] + ", stream=(compute(0), [1, 2]), priority=high)")
    graph = graph_of(X, line)
    op = graph.by_name["a-relu-0"]
    assert op.span is not None
    assert graph.source.text[op.span.start : op.span.end].endswith("stream=(compute(0), [1, 2]), priority=high)")
    assert [note.code for note in graph.notes] == ["unknown-part", "unknown-part"]
    assert "stream=" in graph.notes[0].text
    assert "priority=" in graph.notes[1].text
    assert op.placement == Placement("cpu", (0,), (1,))


def test_a_module_text_may_run_over_several_lines() -> None:
    """It is what a user's `extra_repr` returns."""
    graph = graph_of("(MODULE:m:Mine(", "      sizes=[1, (2, 3)],", "  a) b(c", ")): (", "  (GraphModule:m()): (", "  " + X, "  )", ")")
    mine = graph.modules[1]
    assert (mine.path, mine.class_name) == ("m", "Mine")
    assert mine.text is not None
    assert mine.text.split() == ["Mine(", "sizes=[1,", "(2,", "3)],", "a)", "b(c", ")"]
    assert [module.path for module in graph.modules] == ["", "m"]


@pytest.mark.parametrize("path", ["m-1.b", "a:b", "a.b-relu-7", "up.0-down", "層.一", "a b"])
def test_module_paths_of_any_name(path: str) -> None:
    """ModuleDict keys are free text."""
    name = f"{path}-relu-0"
    graph = graph_of(X, f"(MODULE:{path}:ReLU()): (", f"  (GraphModule:{path}()): (", "    " + relu(name, "x/out"), "  )", ")")
    assert [module.path for module in graph.modules] == ["", path]
    assert graph.modules[1].class_name == "ReLU"
    assert (graph.by_name[name].type, graph.by_name[name].module) == ("relu", path)


def test_the_first_line_of_0_9_0_shows_another_operators_placement() -> None:
    """The one that its PARAMETER line declares is right."""
    wrong = '), placement=(oneflow.placement(type="cuda", ranks=[3])))'
    right = 'placement=oneflow.placement(type="cuda", ranks=[[0, 1], [2, 3]]), sbp=(oneflow.sbp.broadcast, oneflow.sbp.broadcast)'
    graph = graph_of(
        "(MODULE:fc:Linear(in_features=16, out_features=4, bias=False)): (",
        f"  (PARAMETER:fc.weight:tensor(..., {right}, size=(4, 16), dtype=oneflow.float32, grad_fn=<accumulate_grad>)): ()",
        f"  (GraphModule:fc()): (\n(OPERATOR: fc.weight() -> (out:sbp=(B, B), size=(4, 16), dtype=(oneflow.float32){wrong}",
        ")",
        ")",
        X,
    )
    assert graph.by_name["fc.weight"].placement == Placement("cuda", (0, 1, 2, 3), (2, 2))
    assert graph.by_name["x"].placement == Placement("cpu", (0,), (1,))


# ---------------------------------------------------------------- the module tree and the view


def test_the_module_tree() -> None:
    graph = fixture("basic_block")
    paths = [module.path for module in graph.modules]
    assert paths == ["", "model", "model.conv1", "model.bn1", "model.relu", "model.fc"]
    assert [module.class_name for module in graph.modules[1:]] == ["BasicBlock", "Conv2d", "BatchNorm2d", "ReLU", "Linear"]
    assert graph.modules[5].text == "Linear(in_features=64, out_features=64, bias=True)"
    twice = graph.modules[4]  # called twice, one entry
    assert len(twice.inputs) == len(twice.outputs) == 2
    assert [p.name for p in graph.modules[5].parameters] == ["model.fc.weight", "model.fc.bias"]


@pytest.mark.parametrize("name", NAMES)
def test_the_networkx_view_is_a_dag(name: str) -> None:
    graph = fixture(name)
    assert isinstance(graph.dag, networkx.MultiDiGraph)
    assert networkx.is_directed_acyclic_graph(graph.dag)
    assert list(graph.dag) == [op.name for op in graph.ops]
    assert graph.dag.number_of_edges() == sum(len(op.inputs) for op in graph.ops)
    assert all(isinstance(op, Op) for _, op in graph.dag.nodes(data="op"))
    for producer, consumer, use in graph.dag.edges(data=True):
        assert use["lbn"] in {result.lbn for result in graph.by_name[producer].outputs}
        assert (use["arg"], use["index"], use["lbn"]) in {(o.arg, o.index, o.lbn) for o in graph.by_name[consumer].inputs}


def test_a_tensor_used_twice_has_two_edges() -> None:
    add = f"(OPERATOR: add_n-0([{t('x/out', '8, 16')}, {t('x/out', '8, 16')}]) -> ({t('add_n-0/out_0', '8, 16')}{CPU}"
    dag = graph_of(X, add).dag
    assert sorted(use["index"] for use in dag["x"]["add_n-0"].values()) == [0, 1]


@pytest.mark.parametrize("name", ["basic_block", "gpt_train", "loc"])
def test_graphs_and_analyses_can_be_pickled(name: str) -> None:
    graph = fixture(name)
    assert graph.dag is not None  # what was computed on demand stays behind
    again = pickle.loads(pickle.dumps(graph))  # noqa: S301 - its own bytes
    assert again == graph
    analysis = irflops.analyze(graph)
    assert pickle.loads(pickle.dumps(analysis)).to_dict() == analysis.to_dict()  # noqa: S301 - its own bytes


def test_a_graph_is_frozen() -> None:
    graph = fixture("basic_block")
    for thing, name in ((graph, "name"), (graph.ops[0], "name"), (graph.modules[0], "path"), (graph.ops[0].outputs[0], "lbn")):
        with pytest.raises((FrozenInstanceError, AttributeError)):
            setattr(thing, name, "other")
    with pytest.raises(TypeError):
        graph.ops[0].attrs["a"] = 1  # type: ignore[index]  # that it cannot be assigned is the point
