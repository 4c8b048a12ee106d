"""What a printed line leaves out and other lines tell: op types, operand names, attributes, what variables are for, hidden producers."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace

import pytest
from printed_graphs import CPU, FIXTURES, fixture, graph_of, line, op_of, t, variable

import irflops
from irflops import Graph
from irflops.counting.cost import CostTable
from irflops.ir.graph import Phase, TensorType, VariableKind

# ---------------------------------------------------------------- types and operand names


@pytest.mark.parametrize(
    ("name", "op_type", "module"),
    [
        ("m-relu-0", "relu", "m"),
        ("m-max_pool_2d-12", "max_pool_2d", "m"),
        ("relu-0", "relu", ""),
        ("Sys-Checkpointing-Fake-Fw-Op_m-relu-0", "relu", "m"),
        ("OneFlow-System-Checkpointing-m-relu-0", "relu", "m"),
        ("m-no_such_op-3", "no_such_op", "m"),
        ("System-ClipGradient-GlobalNorm-Inv-9", "reciprocal_no_nan", "m"),
        ("System-Of-Tomorrow-3", None, "m"),
    ],
)
def test_a_name_tells_type_and_module(name: str, op_type: str | None, module: str) -> None:
    """What OneFlow's own operators do not name is where their line stands; one that is not known stays, and is unknown."""
    op = op_of(name, ("x/out 8,16",), ("y_0 8,16",))
    assert (op.type, op.module) == (op_type, module)


_ADD_RELU = "y_0 8,3,4,4|reserve_space_0 12|mean_0 3|inv_variance_0 3"


@pytest.mark.parametrize(
    ("name", "operands", "results", "op_type"),
    [
        ("m-conv2d-9-mlir-gen-1", "8,3,4,4 6,3,1,1", "out_0 8,6,4,4", "conv2d"),
        ("m-normalization-1-mlir-gen-4", "8,3,4,4 6,3,1,1 6", "out_0 8,6,4,4", "conv2d"),
        ("m-normalization-1-mlir-gen-4", "8,3,4,4 3 3 3 3", _ADD_RELU, "normalization_add_relu"),
        ("m-broadcast_mul-1-mlir-gen-2", "8,16 1", "y_0 8,16", "scalar_mul_by_tensor"),
        ("m-broadcast_mul-1-mlir-gen-2", "8,16 32,16 32", "y_0 8,16|matmul_wx_0 8,32", "fused_glu"),
        ("m-dropout-3-mlir-gen-7", "8,16", "out_0 8,16", "random_mask_like"),
        ("m-dropout-3-mlir-gen-7", "8,16 16 8,16", "out_0 8,16", "fused_bias_add_mask_scale"),
        ("m-gelu-3-mlir-gen-7", "8,16 16", "out_0 8,16", "fused_bias_add_gelu"),
        ("m-batch_matmul-3-mlir-gen-7", "2,8,16 2,8,16 2,8,16", "out_0 2,8,16", "fused_multi_head_attention_inference"),
        ("m-tril-3-mlir-gen-7", "8,16", "out_0 8,16", "fused_scale_tril"),
        ("m-gelu_of_ours-3-mlir-gen-7", "8,16", "out_0 8,16", None),
        ("m-group_norm-5_with_activation", "2,6,4 6 6", "y_0 2,6,4|mean_0 2,3|inv_variance_0 2,3", "group_norm"),
        ("grouped_matmul_m-fused_matmul_bias-0", "", "", "grouped_matmul_bias"),
        ("System-NCCL-Logical-(Send)2(Recv)-7", "8,16", "out_0 8,16", "_nccl_logical_send_recv"),
        ("System-NCCL-Logical-P2B-7", "8,16", "out_0 8,16", "_nccl_logical_all_reduce"),
    ],
)
def test_what_a_pass_put_in_the_place_of_another_operator(name: str, operands: str, results: str, op_type: str | None) -> None:
    """Named after what it replaces; operands and results decide what it is."""
    inputs = tuple(f"o{i}/out {size}" for i, size in enumerate(operands.split()))
    op = op_of(name, inputs, tuple(filter(None, results.split("|"))))
    assert (op.type, op.module) == (op_type, "m")


def test_a_group_norm_with_its_silu_is_counted_with_it() -> None:
    """2 x 6 x 4 elements: with silu one multiplication and one exponential more each than without, and a division and an addition."""
    results = ("y_0 2,6,4", "mean_0 2,3", "inv_variance_0 2,3")
    plain, fused = (
        op_of(name, ("x/out 2,6,4", "g/out 6", "b/out 6"), results) for name in ("m-group_norm-5", "m-group_norm-5_with_activation")
    )
    assert (plain.attrs.get("activation"), fused.attrs.get("activation")) == (None, "silu")
    assert CostTable({}).cost(fused).cost.get("flops") > CostTable({}).cost(plain).cost.get("flops")


def test_the_extreme_of_a_group_is_of_one_stage_where_it_has_one_result() -> None:
    """`reduce_max_global_stage` gives a mask too; a maximum and a minimum cost the same."""
    name = "System-ClipGradient-GlobalNorm-GroupReduceXimum-9"
    one, two = op_of(name, ("x/out 8",), ("output_tensor_0 1",)), op_of(name, ("x/out 8", "count/out 8"), ("out_0 1", "mask_0 8"))
    assert one.type_candidates == ("reduce_max", "reduce_min")
    assert two.type_candidates == ("reduce_max_global_stage", "reduce_min_global_stage")


@pytest.mark.parametrize(
    ("op_type", "operands"),
    [
        ("relu_grad", ("dy", "y")),
        ("gelu_grad", ("dy", "x")),
        ("tanh_grad", ("x", "dy")),
        ("max_pool_2d_grad", ("dy", "x", "indice")),
        ("broadcast_div_grad", ("dz", "z", "y")),
        ("normalization_grad", ("dy", "x", "mean", "inv_variance", "gamma")),
        ("scatter_nd_like", ("like", "updates", "indices")),
        ("conv2d", ("in", "weight")),
        ("conv2d", ("in", "weight", "bias")),
        ("matmul", ("a", "b")),
    ],
)
def test_operands_get_their_names_in_printed_order(op_type: str, operands: tuple[str, ...]) -> None:
    """OneFlow prints some operators' operands, gradients' mostly, in another order than its definitions have."""
    op = op_of(f"m-{op_type}-0", tuple(f"x{i}/out 8" for i in range(len(operands))), ("y_0 8",))
    assert tuple(operand.arg for operand in op.inputs) == operands


STEP = ("System-Train-LearningRate-Scheduler_9/out 1",)
FACTORS = ("wadam_bias_correction_factor1/out_0 1", "wadam_bias_correction_factor2/out_0 1")


@pytest.mark.parametrize(
    ("op_type", "operands", "sizes"),
    [
        ("layer_norm", "x gamma beta", "8,16 16 16"),
        ("group_norm", "x gamma beta", "8,16,4,4 16 16"),
        ("normalization_add_relu", "x gamma beta", "8,16,4,4 16 16"),
        ("normalization_add_relu", "x moving_mean moving_variance gamma beta", "8,16,4,4 16 16 16 16"),
        ("fused_glu", "x w b", "2,16 32,16 32"),
        ("fused_glu", "x w v", "2,16 32,16 32,16"),
        ("fused_glu", "x w b v c", "2,16 32,16 32 32,16 32"),
        ("square_relu_grad", "dy x", "8,16 8,16"),
        ("sparse_softmax_cross_entropy_ms_grad", "prob label dy", "8,16 8 8"),
        ("fused_cross_feature_interaction", "x weight x0 bias", "8,16 1,16 8,16 16"),
        ("fused_linear_with_groupwise_quantized_weight", "x w w_scale b", "8,16 32,16 32,1 32"),
        ("fused_linear_with_groupwise_quantized_weight", "x w w_scale w_zero", "8,16 32,16 32,1 32,1"),
        ("fused_apply_rotary_emb", "x position_ids", "1,8,16 1,8"),
        ("fused_multi_head_attention_inference", "query key value key_seq_len", "2,8,16 2,8,16 2,8,16 2"),
        ("fused_multi_head_attention_inference", "query key value attn_bias", "2,8,16 2,8,16 2,8,16 8,8"),
        ("fused_multi_head_attention_inference", "query key value query_seq_start key_seq_start", "8,16 8,16 8,16 3 3"),
        ("skip_layer_norm", "x gamma beta skip", "8,16 16 16 8,16"),
        ("skip_layer_norm", "x skip", "8,16 8,16"),
        ("skip_rms_norm", "x weight skip", "8,16 16 8,16"),
        ("binary_cross_entropy_with_logits", "input target pos_weight", "8,16 8,16 16"),
        ("binary_cross_entropy_with_logits", "input target weight", "8,16 8,16 8,16"),
        ("binary_cross_entropy_with_logits_grad", "dy input target pos_weight", "8,16 8,16 8,16 16"),
        ("one_embedding_sgd_update", "num_unique_ids unique_embeddings learning_rate embedding_grad", "1 8,16 1 8,16"),
        (
            "one_embedding_sgd_update",
            "num_unique_ids unique_embeddings embedding_grad learning_rate down_scale_by_tensor skip_if",
            "1 8,16 8,16 1 1 1",
        ),
        ("deform_conv2d_input_grad", "output_grad input weight offset", "1,4,4,4 1,4,4,4 4,4,3,3 1,18,4,4"),
    ],
)  # fmt: skip - a line a case
def test_operands_stand_in_the_order_of_oneflows_builders(op_type: str, operands: str, sizes: str) -> None:
    """From the builder calls of functional/impl and job_rewriter at v0.9.0 and v1.0.0; where the number leaves several, shapes decide."""
    tensors = tuple(f"{arg}/out {size}" for arg, size in zip(operands.split(), sizes.split(), strict=True))
    assert tuple(operand.arg for operand in op_of(f"m-{op_type}-3", tensors, ("y_0 8,16",)).inputs) == tuple(operands.split())


@pytest.mark.parametrize(
    ("op_type", "operands"),
    [
        ("gelu_grad", "x dy"),
        ("relu_grad", "y dy"),
        ("prelu_grad", "x dy alpha"),
        ("layer_norm_grad", "x dy mean inv_variance gamma"),
        ("normalization_grad", "x dy gamma mean inv_variance"),
        ("nll_grad", "input target out_grad"),
        ("max_pool_2d_grad", "x indice dy"),
        ("adam_update", ""),
    ],
)
def test_operands_of_0_8_0_stand_in_the_order_of_its_gradients(op_type: str, operands: str) -> None:
    """From `REGISTER_USER_OP_GRAD` in oneflow/user/ops at v0.8.0."""
    tensors = tuple(f"{arg}/out 8,16" for arg in operands.split())
    old = line(f"m-{op_type}-3", tensors, ("y_0 8,16",)).replace(")), placement=", ")):placement=")
    op = graph_of("(MODULE:m:Mine()): (", old, ")").by_name[f"m-{op_type}-3"]
    assert tuple(operand.arg for operand in op.inputs) == tuple(operands.split())


def test_what_the_orders_leave_open_is_known_where_all_agree() -> None:
    """Of `skip_layer_norm(x, a, b)` the two may be gamma, beta or a bias: each is one operation an element, whichever they are."""
    op = op_of("m-skip_layer_norm-3", ("x/out 8,16", "a/out 16", "b/out 16"), ("y_0 8,16", "mean_0 8", "inv_variance_0 8"))
    names = [[operand.arg for operand in operands] for operands in op.readings]
    assert names == [["x", "gamma", "beta"], ["x", "gamma", "bias"], ["x", "beta", "bias"]]
    found = CostTable({}).cost(op)
    assert found == CostTable({}).cost(replace(op, readings=()))
    assert found.cost.missing == 0


def test_a_grouped_product_without_biases_is_counted() -> None:
    """It prints two lists: 8 x 32 results of length 16, and 8 x 4."""
    lists = f"[{t('a/out 8,16')}, {t('b/out 8,16')}], [{t('v/out 32,16')}, {t('w/out 4,16')}]"
    outs = f"[{t('m-grouped_matmul_bias-3/ys_0 8,32')}, {t('m-grouped_matmul_bias-3/ys_1 8,4')}]"
    graph = graph_of("(MODULE:m:Mine()): (", f"(OPERATOR: m-grouped_matmul_bias-3({lists}) -> ({outs}{CPU}", ")")
    cost = irflops.analyze(graph).costs[0].cost
    assert (cost.get("macs"), cost.get("flops"), cost.missing) == (4608, 9216, 0)


def test_operands_that_no_order_names_are_unknown() -> None:
    """A product of four tensors is none that OneFlow has: 0 multiply-accumulates would be a guess."""
    analysis = irflops.analyze(graph_of("(MODULE:m:Mine()): (", line("m-matmul-3", ("a/o 2,3",) * 4, ("out_0 2,2",)), ")"))
    assert not analysis.total.is_known("macs")


@pytest.mark.parametrize(
    ("optimizer", "states", "op_type", "args"),
    [
        ("SGD", STEP, "sgd_update", ("learning_rate",)),
        ("momentum", (*STEP, "w-momentum/out 4"), "momentum_update", ("learning_rate", "momentum")),
        (
            "Adam",
            (*STEP, "w-m/out 4", "w-v/out 4", *FACTORS),
            "adam_update",
            ("learning_rate", "m", "v", "bias_correction1", "bias_correction2"),
        ),
        ("Adam without correction", (*STEP, "w-m/out 4", "w-v/out 4"), "adam_update", ("learning_rate", "m", "v")),
        ("AMSGrad", (*STEP, "w-m/out 4", "w-v/out 4", "w-max_v/out 4"), "adam_update", ("learning_rate", "m", "v", "max_v")),
        ("LAMB", ("w-m/out 4", "w-v/out 4", *STEP), "lamb_update", ("m", "v", "learning_rate")),
        ("RMSprop", (*STEP, "w-mean_square/out 4"), "rmsprop_update", ("learning_rate", "mean_square")),
        (
            "RMSprop, centered",
            (*STEP, "w-mean_square/out 4", "w-mean_gradient/out 4"),
            "rmsprop_update",
            ("learning_rate", "mean_square", "mean_gradient"),
        ),
        ("Adagrad", (*STEP, "w-sum/out 4"), "adagrad_update", ("learning_rate", "sum")),
        (
            "Adadelta",
            (*STEP, "w-square_avgs/out 4", "w-acc_deltas/out 4"),
            "adadelta_update",
            ("learning_rate", "square_avgs", "acc_deltas"),
        ),
    ],
)
def test_an_update_is_told_by_its_states(optimizer: str, states: tuple[str, ...], op_type: str, args: tuple[str, ...]) -> None:
    """All of them print as `<variable>_optimizer`, without a result."""
    kept = [variable(tensor.partition("/")[0], "4") for tensor in states if tensor.startswith("w-")]
    update = line("w_optimizer", ("w/out 4", "g-relu-0/y_0 4", *states), ())
    graph = graph_of(variable("w", "4"), *kept, line("g-relu-0", ("x/out 4",), ("y_0 4",)), update)
    op = graph.by_name["w_optimizer"]
    assert op.type == op_type, optimizer
    assert tuple(operand.arg for operand in op.inputs) == ("model", "model_diff", *args)
    assert op.outputs == ()
    assert op.phase is Phase.OPTIMIZER
    for state in kept:
        held = graph.by_name[state.split("(", 2)[1].removeprefix("OPERATOR: ")]
        assert (held.kind, held.kind_source) == (VariableKind.OPTIMIZER_STATE, "inferred")


def test_momentum_that_may_be_lars_is_noted() -> None:
    assert [note.code for note in fixture("mlp_train").notes] == ["momentum-or-lars"]


# ---------------------------------------------------------------- variables and hidden producers


def kinds(graph: Graph) -> dict[str, tuple[str | None, str | None]]:
    return {op.name: (op.kind.value if op.kind else None, op.kind_source) for op in graph.ops if op.type == "variable"}


def test_kinds_that_the_dump_declares() -> None:
    assert kinds(fixture("basic_block")) == {
        **dict.fromkeys(("model.conv1.weight", "model.bn1.weight", "model.bn1.bias"), ("trainable", "declared")),
        **dict.fromkeys(("model.fc.weight", "model.fc.bias"), ("trainable", "declared")),
        **dict.fromkeys(("model.bn1.running_mean", "model.bn1.running_var"), ("buffer", "declared")),
    }
    frozen = kinds(fixture("frozen"))
    assert frozen["model.0.weight"] == frozen["model.0.bias"] == ("frozen", "declared")
    assert frozen["model.2.weight"] == ("trainable", "declared")


def test_optimizer_states_and_the_step_are_the_optimizers() -> None:
    found = kinds(fixture("mlp_train"))
    assert found["model.0.weight-momentum"] == found["System-Train-TrainStep"] == ("optimizer_state", "inferred")


def test_tensors_outside_of_the_module_tree_are_never_trainable() -> None:
    """Layers in a plain list: weights, and biases that are added to the products, are frozen."""
    graph = fixture("freelist")
    found = kinds(graph)
    assert {found[f"model-FreeEagerTensor-{number}"] for number in (1, 3, 6, 8)} == {("frozen", "inferred")}
    assert {graph.by_name[name].module for name in found if "Free" in name} == {"model"}


def test_a_tied_parameter_names_the_variable_that_it_shares() -> None:
    graph = fixture("tied")
    parameters = {p.name: p.tied_to for module in graph.modules for p in module.parameters}
    assert parameters["model.head.weight"] == "model.tokens.weight"
    assert parameters["model.tokens.weight"] is None
    assert "model.head.weight" not in graph.by_name


def test_a_producer_that_no_line_shows_becomes_a_named_source() -> None:
    graph = fixture("mlp_train")
    rate = graph.by_name["System-Train-LearningRate-Scheduler_29"]
    assert (rate.type, rate.span, rate.inputs, rate.phase) == ("learning_rate_schedule", None, (), Phase.SYSTEM)
    assert [str(result.type) for result in rate.outputs] == ["f32[1]"]
    assert graph.dag.out_degree(rate.name) == 4


def test_a_hidden_source_of_several_tensors_is_one_operator() -> None:
    graph = graph_of(line("add_n-0", ("hidden-split-3/out_0 8", "hidden-split-3/out_1 8"), ("out_0 8",)))
    hidden = graph.by_name["hidden-split-3"]
    assert [(r.arg, r.index, r.lbn, r.type.shape) for r in hidden.outputs] == [
        ("out", 0, "hidden-split-3/out_0", (8,)),
        ("out", 1, "hidden-split-3/out_1", (8,)),
    ]
    assert hidden.outputs[0].type != TensorType()


def test_a_variable_whose_declaration_is_lost_is_of_an_open_kind() -> None:
    """Of resnet18's 60 parameters one line is lost: no params by kind are sure, and a note says why. One that is updated is trainable."""
    text = gzip.decompress((FIXTURES / "resnet18.repr.txt.gz").read_bytes()).decode()
    lost = re.sub(r"[^\n]*\(PARAMETER:model\.layer1\.0\.conv1\.weight:.*?\): \(\)\n", "", text, count=1, flags=re.DOTALL)
    whole, part = irflops.analyze(irflops.loads(text)), irflops.analyze(irflops.loads(lost))
    assert len(lost) < len(text)
    assert (whole.total.certainty("params"), part.total.certainty("params"), part.total.certainty("macs")) == (
        "exact",
        "unbounded",
        "exact",
    )
    assert sum(part.total.params) == sum(whole.total.params)
    assert "lost-declaration" in {note.code for note in part.notes}


def test_a_variable_that_an_optimizer_updates_is_trainable_without_its_line() -> None:
    text = gzip.decompress((FIXTURES / "mlp_train.repr.txt.gz").read_bytes()).decode()
    lost = re.sub(r"[^\n]*\(PARAMETER:[^\n]*weight:.*?\): \(\)\n", "", text, count=1, flags=re.DOTALL)
    whole, part = irflops.analyze(irflops.loads(text)).total, irflops.analyze(irflops.loads(lost)).total
    assert len(lost) < len(text)
    assert (part.params, part.certainty("params")) == (whole.params, "exact")
