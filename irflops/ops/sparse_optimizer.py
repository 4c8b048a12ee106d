"""Optimizers of gradients that hold a few rows of the model alone: indexed slices, and OneEmbedding's tables."""

from __future__ import annotations

from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, no_result_shape
from irflops.ops.traffic import Traffic, TrafficRule, touch_all
from irflops.ops.updates import (
    ADAGRAD,
    ADAGRAD_STEPS,
    ADAM,
    ADAM_STEPS,
    FTRL,
    FTRL_STEPS,
    IGNORES,
    MOMENTUM,
    MOMENTUM_STEPS,
    SGD,
    SGD_STEPS,
    SOURCE,
    Update,
    update_cost,
)


def sparse_traffic(update: Update) -> TrafficRule:
    """Of model and states only the rows that have a gradient are read and written: as many as there are values at the most."""

    def rule(op: OpView) -> Traffic:
        in_place = [arg for arg in op.input_args if arg in ("model", *update.states)]
        rows = {arg: op.dtype(arg).nbytes(min(op.numel(arg), op.numel("model_diff_values"))) for arg in in_place}
        return Traffic(reads={arg: rows[arg] if arg in rows else op.nbytes(arg) for arg in op.input_args}, writes=rows)

    return rule


def updated_rows_shape(op: OpView) -> Inferred:
    """The rows with their states, updated."""
    return {"updated_unique_embeddings": op.input("unique_embeddings")}


def sparse(op_type: str, summary: str, formula: str, update: Update, example: Example) -> OpRule:
    """The rule of an optimizer whose gradient holds a few rows of the model."""
    return OpRule(
        op_types=(op_type,),
        summary=summary,
        formula=f"per element of model_diff_values: {formula}; the rows of model and states that have a gradient are read and written",
        shape=no_result_shape,
        cost=update_cost(update, "model_diff_values"),
        traffic=sparse_traffic(update),
        updates=("model", *update.states),
        ignores="the addition of rows that occur twice, each of which saves a whole update",
        source=SOURCE,
        upper_bound=True,
        examples=(example,),
    )


def embedding(op_types: tuple[str, ...], summary: str, formula: str, update: Update, example: Example) -> OpRule:
    """The rule of an optimizer of OneEmbedding, whose rows hold weights and states side by side."""
    return OpRule(
        op_types=op_types,
        summary=summary,
        formula=f"per element of embedding_grad: {formula}; 1 more where a scale is a tensor; reads and writes everything",
        shape=updated_rows_shape,
        cost=update_cost(update, "embedding_grad"),
        traffic=touch_all,
        upper_bound=True,
        ignores=IGNORES,
        source="OneFlow's one_embedding_update_kernels.cu",
        examples=(example,),
    )


RULES: tuple[OpRule, ...] = (
    sparse(
        "indexed_slices_sgd_update",
        "Stochastic gradient descent on the rows that have a gradient.",
        SGD_STEPS,
        SGD,
        Example(
            call="indexed_slices_sgd_update(model: f32[10,4], model_diff_indices: i64[2], model_diff_values: f32[2,4], "
            "learning_rate: f32[1])"
            " -> ()",
            because="2 rows of 4, 4 each; reads 8 weights, 2 indices, 8 values, lr: 32 + 16 + 32 + 4 bytes; writes 8 weights",
            flops=32,
            bytes_read=84,
            bytes_written=32,
        ),
    ),
    sparse(
        "indexed_slices_momentum_update",
        "Momentum on the rows that have a gradient.",
        MOMENTUM_STEPS,
        MOMENTUM,
        Example(
            call="indexed_slices_momentum_update(model: f32[10,4], model_diff_indices: i64[2], model_diff_values: f32[2,4],"
            " learning_rate: f32[1], momentum: f32[10,4]) -> ()",
            because="8 elements, 7 each; 8 more floats in and out than sgd, for the momentum",
            flops=56,
            bytes_read=116,
            bytes_written=64,
        ),
    ),
    sparse(
        "indexed_slices_adam_update",
        "Adam on the rows that have a gradient.",
        ADAM_STEPS,
        ADAM,
        Example(
            call="indexed_slices_adam_update(model: f32[10,4], model_diff_indices: i64[2], model_diff_values: f32[2,4],"
            " learning_rate: f32[1], m: f32[10,4], v: f32[10,4]) -> ()",
            because="8 elements, 13 each without corrections, and a root; 16 more floats in and out than sgd, for m and v",
            flops=104,
            transcendentals=8,
            bytes_read=148,
            bytes_written=96,
        ),
    ),
    embedding(
        ("one_embedding_sgd_update", "sgd_embedding_update"),
        "Stochastic gradient descent on the rows of an embedding table.",
        SGD_STEPS,
        SGD,
        Example(
            call="one_embedding_sgd_update(num_unique_ids: i32[1], unique_embeddings: f32[2,4], embedding_grad: f32[2,4], "
            "learning_rate: f32[1])"
            " -> updated_unique_embeddings: f32[2,4]",
            because="8 elements: wd * w, g +, lr *, w -: 4 each; reads 4 + 32 + 32 + 4 bytes",
            flops=32,
            transcendentals=0,
            bytes_read=72,
            bytes_written=32,
        ),
    ),
    embedding(
        ("one_embedding_momentum_update", "momentum_embedding_update"),
        "Momentum on the rows of an embedding table.",
        MOMENTUM_STEPS,
        MOMENTUM,
        Example(
            call="one_embedding_momentum_update(num_unique_ids: i32[1], unique_embeddings: f32[2,8], embedding_grad: f32[2,4], "
            "learning_rate: f32[1])"
            " -> updated_unique_embeddings: f32[2,8]",
            because="8 elements: 3 for the momentum, 4 for the weight: 7 each; reads 4 + 64 + 32 + 4 bytes",
            flops=56,
            transcendentals=0,
            bytes_read=104,
            bytes_written=64,
        ),
    ),
    embedding(
        ("one_embedding_adam_update", "adam_embedding_update"),
        "Adam on the rows of an embedding table.",
        ADAM_STEPS,
        ADAM,
        Example(
            call="one_embedding_adam_update(num_unique_ids: i32[1], unique_embeddings: f32[2,12], embedding_grad: f32[2,4], "
            "learning_rate: f32[1])"
            " -> updated_unique_embeddings: f32[2,12]",
            because="8 elements: m 3, v 4, + eps 1, update 5: 13 each without corrections, and a root; reads 4 + 96 + 32 + 4 bytes",
            flops=104,
            transcendentals=8,
            bytes_read=136,
            bytes_written=96,
        ),
    ),
    embedding(
        ("one_embedding_adagrad_update", "adagrad_embedding_update"),
        "Adagrad on the rows of an embedding table.",
        ADAGRAD_STEPS,
        ADAGRAD,
        Example(
            call="one_embedding_adagrad_update(num_unique_ids: i32[1], unique_embeddings: f32[2,8], embedding_grad: f32[2,4], "
            "learning_rate: f32[1])"
            " -> updated_unique_embeddings: f32[2,8]",
            because="8 elements: 2 for the sum, 6 for the weight: 8 each, and a root; reads 4 + 64 + 32 + 4 bytes",
            flops=64,
            transcendentals=8,
            bytes_read=104,
            bytes_written=64,
        ),
    ),
    embedding(
        ("one_embedding_ftrl_update", "ftrl_embedding_update"),
        "FTRL on the rows of an embedding table.",
        FTRL_STEPS,
        FTRL,
        Example(
            call="one_embedding_ftrl_update(num_unique_ids: i32[1], unique_embeddings: f32[2,12], embedding_grad: f32[2,4], "
            "learning_rate: f32[1])"
            " -> updated_unique_embeddings: f32[2,12]",
            because="8 elements: 18 each, and two pow; reads 4 + 96 + 32 + 4 bytes",
            flops=144,
            transcendentals=16,
            bytes_read=136,
            bytes_written=96,
        ),
    ),
)
