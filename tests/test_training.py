"""Training graphs: each phase has its cost, and the backward pass costs what the forward shapes say."""

from __future__ import annotations

import math
from pathlib import Path

import networkx
import pytest

import irflops
from irflops import Analysis, Graph
from irflops.counting.cost import FIGURES
from irflops.ir.graph import Op, Phase, VariableKind

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
TRAINING = ("cnn_accumulate", "cnn_checkpoint", "frozen", "gpt_train", "loc", "mlp_train", "moved_metric", "tied")
MATMULS = ("matmul", "batch_matmul", "broadcast_matmul")


def analysis_of(name: str) -> Analysis:
    return irflops.analyze(FIXTURES / f"{name}.repr.txt.gz")


def shape_of(op: Op, arg: str) -> tuple[int, ...]:
    (shape,) = [operand.type.shape for operand in (*op.inputs, *op.outputs) if operand.arg == arg]
    assert shape is not None
    known = tuple(extent for extent in shape if extent is not None)
    assert len(known) == len(shape)
    return known


def contracted(op: Op) -> int | None:
    """Multiply-accumulates behind one element of a forward contraction's result, from its shapes; None for all other operators."""
    if op.type in MATMULS:
        return shape_of(op, "a")[-1]
    if op.type == "conv2d":
        return math.prod(shape_of(op, "weight")[1:])  # input channels of a group, kernel height, kernel width
    return None


def operands_with_gradient(graph: Graph, op: Op) -> int:
    """How many operands of a contraction need a gradient: those that a trainable variable is, or has gone into."""
    trained = {o.name for o in graph.ops if o.kind is VariableKind.TRAINABLE}
    needed = trained.union(*(networkx.descendants(graph.dag, name) for name in trained))
    return sum(producer in needed for producer, _ in graph.dag.in_edges(op.name))


@pytest.mark.parametrize("name", TRAINING)
def test_backward_costs_twice_the_forward_contractions_but_for_gradients_that_nothing_needs(name: str) -> None:
    """Each operand's gradient is one more contraction of the same size; the graph's inputs and what is frozen below need none."""
    analysis = analysis_of(name)
    forward = not_needed = 0
    for op in analysis.graph.ops:
        per_element = contracted(op) if op.phase is Phase.FORWARD else None
        if per_element is None:
            continue
        macs = math.prod(shape_of(op, "out")) * per_element * op.runs
        forward += macs
        not_needed += macs * (2 - operands_with_gradient(analysis.graph, op))
    assert forward
    assert analysis.phases["forward"].get("macs") == forward
    assert analysis.phases["backward"].get("macs") == 2 * forward - not_needed
    assert analysis.phases["optimizer"].get("macs") == analysis.phases["system"].get("macs") == 0


@pytest.mark.parametrize("name", TRAINING)
def test_everything_of_a_training_step_is_known(name: str) -> None:
    analysis = analysis_of(name)
    assert analysis.graph.training
    assert analysis.total.worst == "exact"
    assert not analysis.unknown
    assert all(op.phase is not None for op in analysis.graph.ops)


@pytest.mark.parametrize(
    ("name", "not_needed"),
    [
        ("mlp_train", 8 * 16 * 32),  # the first layer's input is the graph's
        ("moved_metric", 8 * 16 * 32),
        ("frozen", 2 * 8 * 16 * 32 + 8 * 32 * 4),  # both gradients of the frozen layer, and the one that would feed it
        ("cnn_checkpoint", 2 * 8 * 16 * 16 * 27),  # the first convolution's input: 2x8x16x16 results of 3x3x3 products
        ("cnn_accumulate", 2 * (2 * 8 * 16 * 16 * 27)),  # the same in each of two micro-batches
        ("gpt_train", 0),  # its inputs are indices: every product has trainable weights before it
        ("tied", 0),
    ],
)
def test_gradients_that_nothing_needs_by_hand(name: str, not_needed: int) -> None:
    phases = analysis_of(name).phases
    assert 2 * phases["forward"].get("macs") - phases["backward"].get("macs") == not_needed


def test_the_smallest_step_by_hand() -> None:
    """Batch 8; 16 -> 32, relu, 32 -> 4, cross entropy over 4 classes; SGD with momentum."""
    phases = analysis_of("mlp_train").phases
    forward_macs = 8 * 16 * 32 + 8 * 32 * 4
    biases_and_relu = 8 * 32 + 8 * 4 + 8 * 32
    log_softmax = 8 * (3 + 4 + 3 + 4)  # a row of 4: maximum, difference, sum, difference
    rest_of_loss = 8 + 2 * 7 + 1  # the loss of each row, two sums of 8 to 1, one division
    assert phases["forward"].get("macs") == forward_macs
    assert phases["forward"].get("flops") == 2 * forward_macs + biases_and_relu + log_softmax + rest_of_loss
    assert phases["forward"].get("transcendentals") == 8 * (4 + 1)  # a row of 4: an exponential each, one logarithm
    parameters = 16 * 32 + 32 + 32 * 4 + 4
    # Scaled gradient, its weight decay (2), momentum (2), step (2): 7 per element, whatever the coefficients.
    assert phases["optimizer"].get("flops") == 7 * parameters
    assert phases["optimizer"].params == (0, 0, 0, parameters)
    assert phases["forward"].params == (parameters, 0, 0, 0)
    assert phases["system"].get("flops") == 1  # the count of steps
    assert phases["backward"].get("activation_elements") == phases["optimizer"].get("activation_elements") == 0


def test_a_transformer_by_hand() -> None:
    """Two layers, batch 2, length 16, width 32, 4 heads of 8, vocabulary 64."""
    tokens = 2 * 16
    layer = tokens * 32 * 96 + 2 * (2 * 4 * 16 * 16 * 8) + tokens * 32 * 32 + 2 * (tokens * 32 * 128)
    assert analysis_of("gpt_train").phases["forward"].get("macs") == 2 * layer + tokens * 32 * 64


def test_clipping_and_adam_are_the_optimizers() -> None:
    graph = irflops.load(FIXTURES / "gpt_train.repr.txt.gz")
    clipping = [op for op in graph.ops if op.name.startswith("System-ClipGradient-")]
    updates = [op for op in graph.ops if op.name.endswith("_optimizer")]
    assert clipping
    assert {op.phase for op in clipping + updates} == {Phase.OPTIMIZER}
    assert {op.type for op in updates} == {"adam_update"}
    trainable = [op for op in graph.ops if op.kind is VariableKind.TRAINABLE]
    states = [op for op in graph.ops if op.kind is VariableKind.OPTIMIZER_STATE and op.name.endswith(("-m", "-v"))]
    assert len(updates) == len(trainable)
    assert len(states) == 2 * len(trainable)
    assert {op.phase for op in states} == {Phase.OPTIMIZER}


def test_checkpointing_shows_as_recompute() -> None:
    """Each operator that runs again has the type, the module and the cost of the one that its name names."""
    analysis = analysis_of("cnn_checkpoint")
    graph = analysis.graph
    again = [op for op in graph.ops if op.phase is Phase.RECOMPUTE]
    cost = {op.name: found.cost for op, found in zip(graph.ops, analysis.costs, strict=True)}
    assert [op.type for op in again] == ["conv2d", "relu", "max_pool_2d"]
    for op in again:
        original = graph.by_name[op.name.removeprefix("Sys-Checkpointing-Fake-Fw-Op_")]
        assert (op.type, op.module, op.attrs) == (original.type, original.module, original.attrs)
        assert cost[op.name] == cost[original.name]
        assert original.phase is Phase.FORWARD
    assert analysis.phases["recompute"].get("macs") == 2 * 8 * 16 * 16 * 27
    assert analysis.total.get("macs") == sum(analysis.phases[phase].get("macs") for phase in ("forward", "recompute", "backward"))


def test_without_checkpointing_nothing_is_recomputed() -> None:
    assert analysis_of("mlp_train").phases["recompute"].figures == (0,) * len(FIGURES)


def test_accumulation_counts_its_runs() -> None:
    """Two micro-batches: whatever unpack and repeat feed runs twice a step; the packed loss, the updates and the step count once."""
    analysis = analysis_of("cnn_accumulate")
    runs = {op.name: op.runs for op in analysis.graph.ops}
    once = {name for name, n in runs.items() if n == 1}
    assert set(runs.values()) == {1, 2}
    for op in analysis.graph.ops:
        outside = op.type in ("variable", "input", "output", "pack") or op.phase in (Phase.OPTIMIZER, Phase.SYSTEM)
        assert (op.name in once) == outside, op.name
    single = analysis_of("cnn_checkpoint")  # the same network on one micro-batch
    for cost in ("macs", "flops", "transcendentals"):
        assert analysis.phases["forward"].get(cost) == 2 * single.phases["forward"].get(cost)
    added = sum(math.prod(shape_of(op, "out")) for op in analysis.graph.ops if op.type == "acc")
    assert analysis.types["acc"].cost.get("flops") == 2 * added
    assert analysis.types["unpack"].cost.get("activation_elements") == 2 * (2 * 3 * 16 * 16 + 2)  # images and labels
    assert analysis.types["repeat"].cost.figures == (0,) * len(FIGURES)
    assert analysis.types["pack"].cost.get("activation_elements") == 2  # one loss per micro-batch, copied once


def test_parameters_do_not_multiply_with_runs() -> None:
    assert analysis_of("cnn_accumulate").total.params[0] == analysis_of("cnn_checkpoint").total.params[0]


def test_a_metric_after_the_backward_pass_is_forward() -> None:
    """It is numbered after the seed of the gradients, and descends from none of them."""
    graph = irflops.load(FIXTURES / "moved_metric.repr.txt.gz")
    metric = ("argmax-29", "broadcast_equal-30", "cast-31", "reduce_sum-32", "scalar_mul-33")
    assert graph.by_name["ones_like-13"].phase is Phase.BACKWARD
    assert {graph.by_name[name].phase for name in metric} == {Phase.FORWARD}
    assert graph.by_name["model.0-matmul-28"].phase is Phase.BACKWARD
    plain, measured = analysis_of("mlp_train"), analysis_of("moved_metric")
    # Over rows of 4: 3 comparisons; over 8 rows: a comparison, a share of the sum; one scaling.
    extra = 8 * 3 + 8 + 7 + 1
    assert measured.phases["forward"].get("flops") - plain.phases["forward"].get("flops") == extra
    assert measured.phases["backward"].figures == plain.phases["backward"].figures


def test_frozen_parameters_are_no_optimizers_business() -> None:
    analysis = analysis_of("frozen")
    trainable, frozen, buffers, states = analysis.total.params
    assert (trainable, frozen, buffers) == (32 * 4 + 4, 16 * 32 + 32, 0)
    assert states == trainable + 1  # a momentum each, and the count of steps
    assert not any(op.phase is Phase.BACKWARD for op in analysis.graph.ops if op.module == "model.0")


def test_a_tied_weight_counts_once() -> None:
    analysis = analysis_of("tied")
    assert analysis.modules["model.tokens"].params[0] == 64 * 32
    assert analysis.modules["model.head"].params[0] == 0
    assert analysis.modules["model.head"].get("macs") == 3 * 2 * 16 * 32 * 64  # forward, and both gradients
    assert analysis.declared_params == analysis.total.params[0]
