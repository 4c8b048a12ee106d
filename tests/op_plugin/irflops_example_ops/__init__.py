"""A rule for an operator of one's own: a linear layer whose weight keeps 2 of each 4 numbers, as sparse tensor cores take it."""

from __future__ import annotations

from irflops.ir.graph import TensorType
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred
from irflops.ops.traffic import Traffic
from irflops.ops.work import Work


def _shape(op: OpView) -> Inferred:
    """Rows of x by rows of the weight."""
    x, weight = op.shape("x", at_least=2), op.shape("weight", rank=2)
    if x[-1] != weight[1]:
        raise ValueError(f"x {x} does not go with weight {weight}")
    return {"out": TensorType((*x[:-1], weight[0]), op.input("x").dtype)}


def _cost(op: OpView) -> Work:
    """Half of the products of a dense layer."""
    return Work(macs=op.numel("out") * op.shape("weight", rank=2)[1] // 2)


def _traffic(op: OpView) -> Traffic:
    """Of the weight half of the numbers, and 2 bits for each that say where they stand."""
    kept = op.numel("weight") // 2
    weight = op.dtype("weight").nbytes(kept) + kept // 4
    return Traffic(reads={"x": op.nbytes("x"), "weight": weight}, writes={"out": op.nbytes("out")})


SPARSE_LINEAR = OpRule(
    op_types=("sparse_linear_2_4",),
    summary="A linear layer whose weight has two zeros in each four numbers.",
    formula="macs = numel(out) * in_features / 2; reads half of the weight's numbers and 2 bits for each",
    shape=_shape,
    cost=_cost,
    traffic=_traffic,
    contraction=True,
    operands=("x", "weight"),  # a print tells their places alone
    examples=(
        Example(
            call="sparse_linear_2_4(x: f16[2,8], weight: f16[4,8]) -> out: f16[2,4]",
            because="8 results of 4 products; 32 bytes of x, 16 numbers of 2 bytes and 32 bits beside them; 8 results of 2 bytes",
            macs=32,
            bytes_read=68,
            bytes_written=16,
        ),
    ),
)

RULES = (SPARSE_LINEAR,)
