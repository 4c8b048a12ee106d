"""Steps of training in small handwritten prints: phases, kinds and certainty where a real dump would hide the one thing that matters."""

from __future__ import annotations

import irflops
from irflops import Analysis, Graph
from irflops import ops as rules
from irflops.ir.graph import Phase, VariableKind
from irflops.ops.op_view import OpView
from irflops.readers.notation.op_signature import read_call

CPU = '), placement=(oneflow.placement(type="cpu", ranks=[0])))'


def graph_of(*lines: str, training: bool = True, partial: bool = False) -> Graph:
    head = f"(GRAPH:Net_0:Net): (\n  (CONFIG:config:GraphConfig(training={training}, ))\n"
    return irflops.loads(head + "".join(f"  {line}\n" for line in lines) + ")\n", partial=partial)


def t(tensor: str) -> str:
    lbn, _, size = tensor.partition(" ")
    return f"{lbn}:(sbp=(B), size=({size}), dtype=(oneflow.float32))"


def line(name: str, inputs: tuple[str, ...], *outputs: str) -> str:
    return f"(OPERATOR: {name}({', '.join(map(t, inputs))}) -> ({', '.join(t(f'{name}/{out}') for out in outputs)}{CPU}"


def variable(name: str, size: str) -> str:
    return f"(OPERATOR: {name}() -> (out:sbp=(B), size=({size}), dtype=(oneflow.float32){CPU}"


def elided(name: str) -> str:
    return f"(OPERATOR: {name}(...) -> (...{CPU}"


def phases(graph: Graph) -> dict[str, str]:
    return {op.name: op.phase.value if op.phase else "" for op in graph.ops}


UPDATE = line("w_optimizer", ("w/out 1,1", "matmul-9/out_0 1,1", "System-Train-LearningRate-Scheduler_3/out 1"))


def test_a_users_label_of_ones_is_not_the_seed() -> None:
    """A prediction of one element may have a ones_like of its own: it leads on to a loss, a seed never does."""
    graph = graph_of(
        variable("w", "1,1"),
        line("ones_like-1", ("w-relu-0/y_0 1,1",), "out_0 1,1"),
        line("w-relu-0", ("w/out 1,1",), "y_0 1,1"),
        line("broadcast_sub-2", ("w-relu-0/y_0 1,1", "ones_like-1/out_0 1,1"), "z_0 1,1"),
        line("ones_like-5", ("broadcast_sub-2/z_0 1,1",), "out_0 1,1"),
        line("matmul-9", ("ones_like-5/out_0 1,1", "w-relu-0/y_0 1,1"), "out_0 1,1"),
        UPDATE,
    )
    found = phases(graph)
    assert found["broadcast_sub-2"] == found["ones_like-1"] == "forward"
    assert found["ones_like-5"] == found["matmul-9"] == "backward"


def test_a_module_called_like_one_of_oneflows_passes_stays_forward() -> None:
    graph = graph_of(variable("w", "8"), line("model.DiffScale-relu-1", ("w/out 8",), "y_0 8"), training=False)
    assert phases(graph)["model.DiffScale-relu-1"] == "forward"


def test_what_serves_the_backward_pass_through_a_boxing_identity_is_backward() -> None:
    """Only a print has these identities: without looking through them, two forms of one graph would disagree."""
    graph = graph_of(
        variable("w", "1,1"),
        line("relu-0", ("w/out 1,1",), "y_0 1,1"),
        line("ones_like-4", ("relu-0/y_0 1,1",), "out_0 1,1"),
        line("zero_like-6", ("relu-0/y_0 1,1",), "out_0 1,1"),
        f"(OPERATOR: Sys-Boxing-GroupIdentity-z-7(zero_like-6/out_0:sbp=(B), size=(1, 1), dtype=(oneflow.float32)) "
        f"-> (out:sbp=(B), size=(1, 1), dtype=(oneflow.float32){CPU}",
        line("matmul-9", ("ones_like-4/out_0 1,1", "Sys-Boxing-GroupIdentity-z-7/out 1,1"), "out_0 1,1"),
        UPDATE,
    )
    assert phases(graph)["zero_like-6"] == "backward"
    assert phases(graph)["Sys-Boxing-GroupIdentity-z-7"] == "system"


def test_an_update_of_gathered_rows_is_the_optimizers_and_so_are_its_states() -> None:
    name = "System-Optimizer-IndexedSlices-emb.weight"
    operands = ("emb.weight/out 9,4", "lr/out 1", "emb.weight-momentum/out 9,4", "g/indices 3", "g/values 3,4")
    graph = graph_of(variable("emb.weight", "9,4"), variable("emb.weight-momentum", "9,4"), line(name, operands))
    op = graph.by_name[name]
    assert op.type == "indexed_slices_momentum_update"
    assert [operand.arg for operand in op.inputs] == ["model", "learning_rate", "momentum", "model_diff_indices", "model_diff_values"]
    assert op.phase is Phase.OPTIMIZER
    assert graph.by_name["emb.weight-momentum"].kind is VariableKind.OPTIMIZER_STATE


def test_an_update_of_an_unknown_optimizer_is_still_the_optimizers() -> None:
    operands = ("w/out 4", "g/out 4", "w-m/out 4", "w-sum/out 4")
    graph = graph_of(variable("w", "4"), variable("w-m", "4"), variable("w-sum", "4"), line("w_optimizer", operands))
    assert graph.by_name["w_optimizer"].type is None
    assert graph.by_name["w_optimizer"].phase is Phase.OPTIMIZER
    assert graph.by_name["w-m"].kind is VariableKind.OPTIMIZER_STATE


def test_a_tied_parameter_is_recognised_behind_the_repeat_of_an_accumulation() -> None:
    def declared(name: str) -> str:
        return f"(PARAMETER:{name}:tensor(..., size=(8, 8), dtype=oneflow.float32, grad_fn=<accumulate_grad>)): ()"

    graph = graph_of(
        line("unpack-0", ("x/out 4,8",), "out_0 2,8"),
        "(MODULE:a:Linear(in_features=8, out_features=8, bias=False)): (",
        declared("a.weight"),
        variable("a.weight", "8,8"),
        line("a.weight-repeat-1", ("a.weight/out 8,8",), "out_0 8,8"),
        line("a-matmul-2", ("unpack-0/out_0 2,8", "a.weight-repeat-1/out_0 8,8"), "out_0 2,8"),
        ")",
        "(MODULE:b:Linear(in_features=8, out_features=8, bias=False)): (",
        declared("b.weight"),
        line("b-matmul-3", ("a-matmul-2/out_0 2,8", "a.weight-repeat-1/out_0 8,8"), "out_0 2,8"),
        ")",
        training=False,
    )
    assert irflops.analyze(graph).declared_params == 64


def elided_cost(name: str) -> Analysis:
    return irflops.analyze(graph_of(elided(name), line("relu-9", (f"{name}/out_0 8",), "y_0 8"), training=False))


def test_an_operator_whose_operands_are_left_out_does_not_cost_nothing() -> None:
    for name in ("cast-5", "constant-6", "max_pool_2d-7"):
        analysis = elided_cost(name)
        cost = analysis.op_cost(0)
        assert not cost.is_known("bytes_read"), name
        assert cost.is_known("macs"), name
        assert cost.get("activation_elements") == 8, name  # its consumer tells what it makes
        assert analysis.total.certainty("bytes_read") == "lower_bound"


def test_every_sum_of_a_partial_graph_is_a_lower_bound() -> None:
    text = graph_of(line("relu-1", ("x/out 8",), "y_0 8")).source.text.rpartition(")")[0]
    analysis = irflops.analyze(irflops.loads(text, partial=True))
    sums = [*analysis.phases.values(), *analysis.modules.values(), analysis.total]
    sums += [group.cost for group in (*analysis.types.values(), *analysis.locations.values())]
    assert {cost.certainty("flops") for cost in sums} == {"lower_bound"}


def test_no_rule_counts_below_zero_on_empty_tensors() -> None:
    """Zero extents occur in real prints: sums of nothing must not become negative."""
    for rule in rules.RULES:
        for example in rule.examples:
            call = read_call(example.call)
            nothing = {arg: tuple(type(ts[0])((0,) * len(x.shape or ()), x.dtype) for x in ts) for arg, ts in call.inputs.items() if ts}
            empty = {arg: tuple(type(ts[0])((0,) * len(x.shape or ()), x.dtype) for x in ts) for arg, ts in call.outputs.items() if ts}
            try:
                work = rule.cost(OpView(call.op_type, nothing, empty, call.attrs))
            except Exception:  # noqa: BLE001, S112 - whether empty tensors fit is another matter: here only what is counted
                continue
            assert (work.flops or 0) >= 0, example.call
            assert (work.transcendentals or 0) >= 0, example.call
