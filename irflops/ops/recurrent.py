"""Cells of recurrent networks whose linear layers ran before: what is left is gates, finished, and the state that they let through."""

from __future__ import annotations

from irflops.ir.graph import TensorType
from irflops.ops.costs import fold
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, present
from irflops.ops.traffic import touch_all
from irflops.ops.work import Work

_BIASES = ("input_bias", "hidden_bias")


def _gates(op: OpView, state: str, gates: str, each: int) -> tuple[int, int]:
    """Rows and cells of the state [rows, cells], and that the gates have `each` times as many columns."""
    rows, cells = op.shape(state, rank=2)
    if op.shape(gates, rank=2) != (rows, each * cells):
        raise ValueError(f"{gates} {op.shape(gates)} are not {each} gates for {state} {op.shape(state)}")
    return rows, cells


def lstm_shape(op: OpView) -> Inferred:
    """Hidden and cell state like the cell state before; the gates, kept for the gradient."""
    rows, cells = _gates(op, "cx", "input_gates", 4)
    state = op.input("cx")
    return {"hy": state, "cy": state, "workspace": TensorType((rows, 4 * cells), state.dtype)}


def lstm_cost(op: OpView) -> Work:
    """Four gates, each a sum and a function; f * c + i * g, and o * tanh of that."""
    cells = op.numel("cx")
    sums = 4 * (1 + sum(1 for bias in _BIASES if op.inputs(bias)))
    return Work(arithmetic=cells * (sums + 4), transcendentals=5 * cells)


def lstm_grad_shape(op: OpView) -> Inferred:
    """Gradients of the gates before their functions, of the cell state, of the bias of each gate."""
    _, columns = op.shape("workspace", rank=2)
    dtype = op.input("grad_hy").dtype
    results = {
        "grad_gates": TensorType(op.shape("workspace"), dtype),
        "grad_cx": TensorType(op.shape("cx"), dtype),
        "grad_bias": TensorType((columns,), dtype),
    }
    return present(op, results)


def lstm_grad_cost(op: OpView) -> Work:
    """For each cell 21 operations and a tanh, a product more for the cell state; a bias is a sum over the rows."""
    cells = op.numel("cx")
    arithmetic = cells * (21 + (1 if op.outputs("grad_cx") else 0))
    if op.outputs("grad_bias"):
        arithmetic += fold(op.numel("workspace"), op.numel("grad_bias"))
    return Work(arithmetic=arithmetic, transcendentals=cells)


def gru_shape(op: OpView) -> Inferred:
    """The state; three gates, the state before and the hidden part of the new one, kept for the gradient."""
    rows, cells = _gates(op, "hx", "input_gates", 3)
    state = op.input("hx")
    return {"hy": state, "workspace": TensorType((rows, 5 * cells), state.dtype)}


def gru_cost(op: OpView) -> Work:
    """Reset and update gate a sum each, the new state i + r * h; n + z * (h - n)."""
    cells = op.numel("hx")
    biases = 3 * sum(1 for bias in _BIASES if op.inputs(bias))
    return Work(arithmetic=cells * (2 + 2 + 3 + biases), transcendentals=3 * cells)


def gru_grad_shape(op: OpView) -> Inferred:
    """Gradients of both halves of the gates, of the state, of the biases of each gate."""
    rows, cells = op.shape("grad_hy", rank=2)
    state = op.input("grad_hy")
    gates, bias = TensorType((rows, 3 * cells), state.dtype), TensorType((3 * cells,), state.dtype)
    results = {
        "grad_input_gates": gates,
        "grad_hidden_gates": gates,
        "grad_hx": state,
        "grad_input_bias": bias,
        "grad_hidden_bias": bias,
    }
    return present(op, results)


def gru_grad_cost(op: OpView) -> Work:
    """For each cell 15 operations, a product more for the state; a bias is a sum over the rows."""
    cells = op.numel("grad_hy")
    arithmetic = cells * (15 + (1 if op.outputs("grad_hx") else 0))
    for bias in ("grad_input_bias", "grad_hidden_bias"):
        if op.outputs(bias):
            arithmetic += fold(3 * cells, op.numel(bias))
    return Work(arithmetic=arithmetic)


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("fused_lstm_cell",),
        summary="A step of an LSTM behind its two linear layers.",
        formula="per cell: flops = 8: 4 sums of a gate's halves, f * c + i * g 3, o * tanh(c) 1; 4 more for each bias; "
        "transcendentals = 5: "
        "3 sigmoids, 2 tanh",
        shape=lstm_shape,
        cost=lstm_cost,
        traffic=touch_all,
        source="OneFlow's fused_lstm_cell_kernel.cu",
        examples=(
            Example(
                call="fused_lstm_cell(input_gates: f32[2,12], hidden_gates: f32[2,12], cx: f32[2,3]) -> hy: f32[2,3], cy: f32[2,3], "
                "workspace: f32[2,12]",
                because="6 cells: 4 + 3 + 1 operations each, 5 functions; reads 24 + 24 + 6 floats, writes 6 + 6 + 24",
                macs=0,
                flops=48,
                transcendentals=30,
                bytes_read=216,
                bytes_written=144,
            ),
            Example(
                call="fused_lstm_cell(input_gates: f32[1,4], hidden_gates: f32[1,4], cx: f32[1,1], input_bias: f32[4], "
                "hidden_bias: f32[4]) -> hy: f32[1,1], cy: f32[1,1], workspace: f32[1,4]",
                because="a gate is the sum of four numbers: 12 additions, 3 + 1 behind them",
                flops=16,
                transcendentals=5,
            ),
        ),
    ),
    OpRule(
        op_types=("fused_lstm_cell_grad",),
        summary="Gradient of a step of an LSTM behind its two linear layers.",
        formula="per cell: flops = 21: the output gate's 1, the cell's o * dh * (1 - t * t) + dc 5, a product for 3 gates, 3 for the "
        "slope of "
        "each of 4; 1 more for grad_cx; transcendentals = 1; grad_bias numel(workspace) - numel(grad_bias) additions",
        shape=lstm_grad_shape,
        cost=lstm_grad_cost,
        traffic=touch_all,
        source="OneFlow's fused_lstm_cell_kernel.cu",
        examples=(
            Example(
                call="fused_lstm_cell_grad(grad_hy: f32[2,3], grad_cy: f32[2,3], cx: f32[2,3], cy: f32[2,3], workspace: f32[2,12]) -> "
                "grad_gates: f32[2,12], grad_cx: f32[2,3], grad_bias: f32[12]",
                because="6 cells of 22; 12 sums of two rows; 6 tanh; reads 4 x 6 + 24 floats, writes 24 + 6 + 12",
                flops=144,
                transcendentals=6,
                bytes_read=192,
                bytes_written=168,
            ),
            Example(
                call="fused_lstm_cell_grad(grad_hy: f32[1,1], grad_cy: f32[1,1], cx: f32[1,1], cy: f32[1,1], workspace: f32[1,4]) -> "
                "grad_gates: f32[1,4]",
                because="1 + 5 + 3 + 4 x 3",
                flops=21,
            ),
        ),
    ),
    OpRule(
        op_types=("fused_gru_cell",),
        summary="A step of a GRU behind its two linear layers.",
        formula="per cell: flops = 7: 2 sums of a gate's halves, i + r * h 2, n + z * (h - n) 3; 3 more for each bias; transcendentals = 3",
        shape=gru_shape,
        cost=gru_cost,
        traffic=touch_all,
        source="OneFlow's fused_gru_cell_kernel.cu",
        examples=(
            Example(
                call="fused_gru_cell(input_gates: f32[2,9], hidden_gates: f32[2,9], hx: f32[2,3]) -> hy: f32[2,3], workspace: f32[2,15]",
                because="6 cells: 2 + 2 + 3 operations, 2 sigmoids and a tanh; reads 18 + 18 + 6 floats, writes 6 + 30",
                macs=0,
                flops=42,
                transcendentals=18,
                bytes_read=168,
                bytes_written=144,
            ),
            Example(
                call="fused_gru_cell(input_gates: f32[1,3], hidden_gates: f32[1,3], hx: f32[1,1], input_bias: f32[3], hidden_bias: f32[3])"
                " -> hy: f32[1,1], workspace: f32[1,5]",
                because="two sums of four numbers, (i + b) + r * (h + b) 4, n + z * (h - n) 3",
                flops=13,
                transcendentals=3,
            ),
        ),
    ),
    OpRule(
        op_types=("fused_gru_cell_grad",),
        summary="Gradient of a step of a GRU behind its two linear layers.",
        formula="per cell: flops = 15: dh * (h - n) * (1 - z) * z 5, dh * (1 - z) * (1 - n * n) 5, its products with r 1 and with "
        "the slope of "
        "the reset gate 4; 1 more for grad_hx; each bias 3 * numel(grad_hy) - numel(bias) additions",
        shape=gru_grad_shape,
        cost=gru_grad_cost,
        traffic=touch_all,
        source="OneFlow's fused_gru_cell_kernel.cu",
        examples=(
            Example(
                call="fused_gru_cell_grad(grad_hy: f32[2,3], workspace: f32[2,15]) -> grad_input_gates: f32[2,9], "
                "grad_hidden_gates: f32[2,9], grad_hx: f32[2,3], grad_input_bias: f32[9], grad_hidden_bias: f32[9]",
                because="6 cells of 16; twice 9 sums of two rows",
                flops=114,
                transcendentals=0,
                bytes_read=144,
                bytes_written=240,
            ),
        ),
    ),
)
