"""Interactions of features in recommendation: products of each with each (DLRM), and crosses with the input (DCN)."""

from __future__ import annotations

from irflops.ir.graph import TensorType
from irflops.ops.costs import fold
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, present
from irflops.ops.traffic import touch_all
from irflops.ops.work import Work


def _stacked(op: OpView) -> tuple[int, int, int]:
    """Batch, number of features and their size: features [batch, some, size] side by side, and those that indices pick."""
    shapes = op.shapes("features", rank=3)
    batch, _, size = shapes[0]
    if any(shape[0] != batch or shape[2] != size for shape in shapes):
        raise ValueError(f"features {', '.join(map(str, shapes))} are not of one batch and one size")
    picked = op.shape("sparse_indices", rank=2)[1] if op.inputs("sparse_indices") else 0
    return batch, sum(shape[1] for shape in shapes) + picked, size


def _is_summed(op: OpView) -> bool:
    pooling = op.attr("pooling")
    if pooling not in ("none", "sum"):
        raise ValueError(f"no pooling is called {pooling!r}")
    return pooling == "sum"


def _pairs(op: OpView, features: int) -> tuple[int, int]:
    """Pairs of two features, and of a feature with itself."""
    return features * (features - 1) // 2, features if op.flag("self_interaction") else 0


def dot_shape(op: OpView) -> Inferred:
    """A product for each pair, padding, and what is put in front; or one sum of all pairs."""
    batch, features, size = _stacked(op)
    dtype = op.first("features").dtype
    if _is_summed(op):
        return {"out": TensorType((batch, size), dtype)}
    width = sum(_pairs(op, features)) + op.integer("output_padding", least=0)
    if op.inputs("output_concat"):
        width += op.shape("output_concat", rank=2)[1]
    return {"out": TensorType((batch, width), dtype)}


def dot_cost(op: OpView) -> Work:
    """A dot product for each pair; or, summed, half the difference of the squared sum and the sum of squares."""
    batch, features, size = _stacked(op)
    if _is_summed(op):
        return Work(arithmetic=batch * size * (3 * features + 1) if features else 0)
    return Work(macs=batch * sum(_pairs(op, features)) * size)


def dot_grad_shape(op: OpView) -> Inferred:
    """Like what each gradient is for, in the dtype of dy."""
    dtype = op.input("dy").dtype
    results: dict[str, TensorType | tuple[TensorType, ...]] = {
        "features_grad": tuple(TensorType(shape, dtype) for shape in op.shapes("features", rank=3))
    }
    if op.outputs("output_concat_grad"):
        results["output_concat_grad"] = TensorType((op.shape("dy", rank=2)[0], op.integer("output_concat_grad_dim")), dtype)
    if op.outputs("sparse_feature_grad"):
        results["sparse_feature_grad"] = TensorType(op.shape("sparse_feature"), dtype)
    return results


def dot_grad_cost(op: OpView) -> Work:
    """A pair's gradient times each of the two features; with itself, twice the feature."""
    batch, features, size = _stacked(op)
    if _is_summed(op):
        return Work(arithmetic=batch * size * max(0, 3 * features - 1))
    two, itself = _pairs(op, features)
    return Work(macs=batch * size * (2 * two + itself), arithmetic=batch * itself)


def cross_shape(op: OpView) -> Inferred:
    """Like x0; the product of x and weight, kept for the gradient."""
    (batch, size), (rows, columns) = op.shape("x", rank=2), op.shape("weight", rank=2)
    if columns != size or op.shape("x0") != (batch, size) or rows not in (1, size):
        raise ValueError(f"x {op.shape('x')}, weight {op.shape('weight')} and x0 {op.shape('x0')} do not cross")
    dtype = op.input("x").dtype
    return {"out": TensorType((batch, size), dtype), "matmul_result": TensorType((batch, rows), dtype)}


def cross_cost(op: OpView) -> Work:
    """The product; then a product with x0 and two additions, in either order."""
    return Work(macs=op.numel("x") * op.shape("weight", rank=2)[0], arithmetic=3 * op.numel("x0"))


def cross_grad_shape(op: OpView) -> Inferred:
    """Like what each gradient is for."""
    dtype, x0 = op.input("x").dtype, op.shape("x0", rank=2)
    shapes = {"dx0": x0, "dw": op.shape("weight", rank=2), "dx": x0, "dbias": (x0[1],)}
    return present(op, {arg: TensorType(shape, dtype) for arg, shape in shapes.items()})


def vector_grad_cost(op: OpView) -> Work:
    """dy by the number of each row; dy * x0 summed up; its products with weight and x, dy added; dy summed over the rows."""
    batch, size = op.shape("x0", rank=2)
    elements = batch * size
    arithmetic = elements + elements + fold(elements, batch) + elements + fold(elements, size)
    return Work(macs=2 * op.numel("x") * op.shape("weight", rank=2)[0], arithmetic=arithmetic)


def matrix_grad_cost(op: OpView) -> Work:
    """dy by the product and its bias; dy * x0; its products with weight and x, dy added; it summed over the rows."""
    elements, size = op.numel("x0"), op.shape("x0", rank=2)[1]
    return Work(macs=2 * op.numel("x") * op.shape("weight", rank=2)[0], arithmetic=4 * elements + fold(elements, size))


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("fused_dot_feature_interaction",),
        contraction=True,
        summary="Dot products of all pairs of features, or the sum of all their products.",
        formula="macs = batch * pairs * size: F (F - 1) / 2 pairs of F features, F more with self_interaction; pooling sum: no macs, "
        "flops = "
        "batch * size * (3 F + 1): ((sum x)^2 - sum x^2) / 2; what is put in front is copied",
        shape=dot_shape,
        cost=dot_cost,
        traffic=touch_all,
        ignores="that a kernel may work out each pair twice, as a square of products",
        source="Naumov et al., arXiv 1906.00091; Rendle 2010 for the sum; OneFlow's fused_dot_feature_interaction_op.cpp",
        examples=(
            Example(
                call="fused_dot_feature_interaction(features: [f32[2,1,4], f32[2,2,4]], output_concat: f32[2,4], self_interaction=false, "
                'output_padding=1, pooling="none") -> out: f32[2,8]',
                because="3 features: 3 pairs, a dot product of length 4 each, batch 2; 3 + 1 + 4 numbers come out; reads 8 + 16 + 8 floats",
                macs=24,
                flops=48,
                bytes_read=128,
                bytes_written=64,
            ),
            Example(
                call="fused_dot_feature_interaction(features: [f32[1,1,4]], num_valid_sparse_feature: i32[1], sparse_feature: f32[5,4], "
                'sparse_indices: i32[1,2], self_interaction=true, output_padding=0, pooling="none") -> out: f32[1,6]',
                because="1 + 2 features: 3 pairs and 3 with themselves, of length 4",
                macs=24,
            ),
            Example(
                call='fused_dot_feature_interaction(features: [f32[2,3,4]], self_interaction=false, output_padding=0, pooling="sum") -> '
                "out: f32[2,4]",
                because="8 sums: 2 additions and a square; 3 squares and 2 additions; a difference and a half",
                macs=0,
                flops=80,
            ),
            Example(
                call="fused_dot_feature_interaction(features: [f32[2,3,4]]) -> out: f32[2,4]",
                because="a printed graph: pairs with padding, or a sum",
                macs="unknown",
                flops="unknown",
                inferable=False,
            ),
        ),
    ),
    OpRule(
        op_types=("fused_dot_feature_interaction_grad",),
        contraction=True,
        summary="Gradient of dot products of all pairs of features.",
        formula="macs = batch * size * (2 for each pair of two, 1 for one with itself); flops = 2 * macs + 1 for each with itself; "
        "pooling sum: "
        "no macs, flops = batch * size * (3 F - 1): dy * (sum - x)",
        shape=dot_grad_shape,
        cost=dot_grad_cost,
        traffic=touch_all,
        ignores="the addition of gradients of one row of sparse_feature that several samples pick",
        source="Naumov et al., arXiv 1906.00091; OneFlow's fused_dot_feature_interaction_op.cpp",
        examples=(
            Example(
                call="fused_dot_feature_interaction_grad(dy: f32[2,8], features: [f32[2,1,4], f32[2,2,4]], self_interaction=false, "
                'output_concat_grad_dim=4, pooling="none") -> features_grad: [f32[2,1,4], f32[2,2,4]], output_concat_grad: f32[2,4]',
                because="3 pairs: a number times 4, for each of the two, batch 2",
                macs=48,
                flops=96,
                bytes_read=64 + 96,
                bytes_written=96 + 32,
            ),
            Example(
                call='fused_dot_feature_interaction_grad(dy: f32[2,4], features: [f32[2,3,4]], self_interaction=false, pooling="sum") -> '
                "features_grad: [f32[2,3,4]]",
                because="8 sums of 2 additions; 24 differences, 24 products",
                macs=0,
                flops=64,
            ),
        ),
    ),
    OpRule(
        op_types=("fused_cross_feature_interaction",),
        contraction=True,
        summary="x crossed with x0: x0 * (x weight^T) + bias + x by a vector, x0 * (x weight^T + bias) + x by a matrix.",
        formula="macs = numel(x) * rows of weight; flops = 2 * macs + 3 * numel(x0): a product and two additions, in either mode",
        shape=cross_shape,
        cost=cross_cost,
        traffic=touch_all,
        source="Wang et al., arXiv 1708.05123 and 2008.13535; OneFlow's fused_cross_feature_interaction_op.cpp",
        examples=(
            Example(
                call='fused_cross_feature_interaction(x: f32[2,3], weight: f32[1,3], bias: f32[3], x0: f32[2,3], interaction_mode="vector")'
                " -> out: f32[2,3], matmul_result: f32[2,1]",
                because="2 dot products of length 3; 6 numbers of 3 operations; reads 6 + 3 + 3 + 6 floats",
                macs=6,
                flops=30,
                bytes_read=72,
                bytes_written=32,
            ),
            Example(
                call='fused_cross_feature_interaction(x: f32[2,3], weight: f32[3,3], bias: f32[3], x0: f32[2,3], interaction_mode="matrix")'
                " -> out: f32[2,3], matmul_result: f32[2,3]",
                because="6 dot products of length 3",
                macs=18,
                flops=54,
            ),
        ),
    ),
    OpRule(
        op_types=("fused_cross_feature_interaction_v1_grad",),
        contraction=True,
        summary="Gradients of a cross by a vector.",
        formula="macs = 2 * numel(x): the gradients of x and weight; flops = 2 * macs + 3 * numel(x0) (dy by the number of its row, "
        "dy * x0, "
        "dy added) + numel(x0) - batch and numel(x0) - size additions of two sums",
        shape=cross_grad_shape,
        cost=vector_grad_cost,
        traffic=touch_all,
        source="Wang et al., arXiv 1708.05123; OneFlow's fused_cross_feature_interaction_grad.cu",
        examples=(
            Example(
                call="fused_cross_feature_interaction_v1_grad(dy: f32[2,3], weight: f32[1,3], x0: f32[2,3], x: f32[2,3], "
                "matmul_result: f32[2,1]) -> dx0: f32[2,3], dw: f32[1,3], dx: f32[2,3], dbias: f32[3]",
                because="2 rows of a number times 3 weights, 3 sums of 2 products; 3 operations for 6 numbers; 2 sums of 3 and 3 of 2",
                macs=12,
                flops=24 + 18 + 4 + 3,
            ),
        ),
    ),
    OpRule(
        op_types=("fused_cross_feature_interaction_v2_grad",),
        contraction=True,
        summary="Gradients of a cross by a matrix.",
        formula="macs = 2 * numel(x) * size: the gradients of x and weight; flops = 2 * macs + 4 * numel(x0) (bias added, times dy, "
        "dy * x0, dy "
        "added) + numel(x0) - size additions of a sum",
        shape=cross_grad_shape,
        cost=matrix_grad_cost,
        traffic=touch_all,
        source="Wang et al., arXiv 2008.13535; OneFlow's fused_cross_feature_interaction_grad.cu",
        examples=(
            Example(
                call="fused_cross_feature_interaction_v2_grad(dy: f32[2,3], weight: f32[3,3], bias: f32[3], x0: f32[2,3], x: f32[2,3], "
                "matmul_result: f32[2,3]) -> dx0: f32[2,3], dw: f32[3,3], dx: f32[2,3], dbias: f32[3]",
                because="6 dot products of length 3 and 9 of length 2; 4 operations for 6 numbers; 3 sums of 2",
                macs=36,
                flops=72 + 24 + 3,
            ),
        ),
    ),
)
