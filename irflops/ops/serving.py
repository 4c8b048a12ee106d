"""What serves attention beside its products: rotary positions, caches of keys and values, heads; and the gradient of a gate."""

from __future__ import annotations

from irflops.ir.graph import TensorType
from irflops.ops.costs import no_work
from irflops.ops.layouts import extents_of, shape_in
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, present
from irflops.ops.traffic import Traffic, moves, touch_all
from irflops.ops.work import MissingAttribute, Work


def rotary_shape(op: OpView) -> Inferred:
    """Heads in the layout that is asked for; of an operand that holds query, key and value those of one."""
    extents = extents_of(op, "x", {"K": op.integer("k_size", least=1)})
    return {"out": TensorType(shape_in(str(op.attr("output_layout")), extents), op.input("x").dtype)}


def rotary_cost(op: OpView) -> Work:
    """Each number of the part that turns: two products and an addition; and, where no table has them, an angle for each pair and place."""
    extents = extents_of(op, "x", {"K": op.integer("k_size", least=1)})
    turned = op.integer("rotary_size", least=0)
    if turned > extents["K"]:
        raise ValueError(f"rotary_size {turned} is more than a head of {extents['K']}")
    arithmetic = 3 * extents["B"] * extents["M"] * extents["H"] * turned
    if op.inputs("cos"):
        return Work(arithmetic=arithmetic)
    places = extents["M"] * (extents["B"] if op.inputs("position_ids") else 1)
    angles = places * (turned // 2)
    return Work(arithmetic=arithmetic + angles, transcendentals=2 * angles)


def concat_past_shape(op: OpView) -> Inferred:
    """What was there and what is new, in the layout of what was there."""
    results = {}
    for arg in ("key", "value"):
        new = extents_of(op, arg, {"K": op.integer("key_head_size", least=1)})
        past = extents_of(op, f"past_{arg}", {"K": new["K"]}) if op.inputs(f"past_{arg}") else {**new, "M": 0}
        if any(past[axis] != new[axis] for axis in "BHK"):
            raise ValueError(f"past_{arg} {op.shape(f'past_{arg}')} and {arg} {op.shape(arg)} differ in more than their length")
        shape = shape_in(str(op.attr(f"past_{arg}_layout")), {**new, "M": past["M"] + new["M"]})
        results[f"output_{arg}"] = TensorType(shape, op.input(arg).dtype)
    return results


def concat_past_traffic(op: OpView) -> Traffic:
    """All that comes out is read: of an operand that holds more than its heads, these alone."""
    reads: dict[str, int] = {}
    writes: dict[str, int] = {}
    for arg in ("key", "value"):
        writes[f"output_{arg}"] = op.nbytes(f"output_{arg}")
        past = op.nbytes(f"past_{arg}") if op.inputs(f"past_{arg}") else 0
        reads |= {arg: writes[f"output_{arg}"] - past} | ({f"past_{arg}": past} if past else {})
    return Traffic(reads=reads, writes=writes)


def heads_shape(op: OpView) -> Inferred:
    """[length, batch, heads * size] with heads on an axis of their own, thrice."""
    heads = op.integer("num_attention_heads", least=1)
    results = {}
    for arg in ("query", "key", "value"):
        length, batch, width = op.shape(arg, rank=3)
        if width % heads:
            raise ValueError(f"{arg} {op.shape(arg)} does not fall into {heads} heads")
        results[f"new_{arg}"] = TensorType((length, batch, heads, width // heads), op.input(arg).dtype)
    return results


_GATES: dict[str, tuple[int, int]] = {
    "none": (0, 0),
    "relu": (1 + 2, 0),
    "sigmoid": (3, 1 + 1),
    "silu": (1 + 5, 1 + 1),
    "gelu": (4 + 9, 1 + 2),
    "fast_gelu": (8 + 18, 1 + 1),
}
"""Arithmetic and transcendentals of a gate's activation and of its gradient, which brings the product with what comes in."""


def gate_grad_shape(op: OpView) -> Inferred:
    """Like the halves of the gate, one tensor or two."""
    return present(
        op, {"d_matmul_wx": op.input("matmul_wx"), "d_matmul_vx": op.first("matmul_vx") if op.inputs("matmul_vx") else TensorType()}
    )


def gate_grad_cost(op: OpView) -> Work:
    """dy times each half, one of them through the activation, the other through its slope."""
    gate = op.attrs.get("activation")
    if gate is None:
        raise MissingAttribute("activation", known=Work(arithmetic=None, transcendentals=None))
    if gate not in _GATES:
        raise ValueError(f"no activation is called {gate!r}")
    arithmetic, transcendentals = _GATES[str(gate)]
    return Work(arithmetic=op.numel("dy") * (2 + arithmetic), transcendentals=op.numel("dy") * transcendentals)


RULES: tuple[OpRule, ...] = (
    OpRule(
        op_types=("fused_apply_rotary_emb",),
        summary="Pairs of numbers of each head turned by an angle that goes by the position.",
        formula="flops = 3 for each of batch * length * heads * rotary_size numbers: x * cos + y * sin; without tables for each "
        "place and pair a "
        "product, a cos and a sin; reads as many numbers of x as out has, tables and positions",
        shape=rotary_shape,
        cost=rotary_cost,
        traffic=moves(sized_as={"x": "out"}),
        ignores="the frequencies, which follow from the base alone; which rows of the tables are read",
        source="Su et al., arXiv 2104.09864, equation 34; OneFlow's fused_attention_ops.cpp",
        examples=(
            Example(
                call='fused_apply_rotary_emb(x: f16[2,3,8], cos: f16[5,4], sin: f16[5,4], x_layout="BM(HK)", output_layout="BM(HK)", '
                'mode="plane", tensor_index=0, k_size=4, rotary_size=4) -> out: f16[2,3,8]',
                because="48 numbers, 3 operations each; reads 48 + 20 + 20 of 2 bytes",
                macs=0,
                flops=144,
                transcendentals=0,
                bytes_read=176,
                bytes_written=96,
            ),
            Example(
                call='fused_apply_rotary_emb(x: f16[2,3,24], position_ids: i64[2,1,3], x_layout="BM(H3K)", output_layout="BMHK", '
                'mode="interval", tensor_index=1, k_size=4, rotary_size=2) -> out: f16[2,3,2,4]',
                because="keys out of a packed operand: 12 heads, 2 of 4 numbers turn, 72; 6 places of one pair: a product, a cos and "
                "a sin; "
                "reads 48 of 144 numbers of 2 bytes, and 6 of 8",
                flops=78,
                transcendentals=12,
                bytes_read=144,
                bytes_written=96,
            ),
        ),
    ),
    OpRule(
        op_types=("fused_attention_concat_past_key_value",),
        summary="Keys and values of a new token behind those of the tokens before: a cache that grows.",
        formula="no arithmetic; writes both results, and reads as much: the products are in the attention behind it, whose length "
        "has grown",
        shape=concat_past_shape,
        cost=no_work,
        traffic=concat_past_traffic,
        source="OneFlow's fused_attention_ops.cpp",
        examples=(
            Example(
                call="fused_attention_concat_past_key_value(key: f16[2,1,8], value: f16[2,1,8], past_key: f16[2,2,5,4], "
                'past_value: f16[2,2,5,4], past_key_layout="BHMK", past_value_layout="BHMK", key_layout="BM(HK)", value_layout="BM(HK)", '
                "key_head_size=4) -> output_key: f16[2,2,6,4], output_value: f16[2,2,6,4]",
                because="twice 2 heads of 4 numbers, 6 places, batch 2: 96 of 2 bytes each way",
                macs=0,
                flops=0,
                bytes_read=384,
                bytes_written=384,
            ),
            Example(
                call='fused_attention_concat_past_key_value(key: f16[1,3,24], value: f16[1,3,24], past_key_layout="BMHK", '
                'past_value_layout="BMHK", key_layout="BM(H3K)", value_layout="BM(H3K)", key_head_size=4) -> output_key: f16[1,3,2,4], '
                "output_value: f16[1,3,2,4]",
                because="nothing was there; of a packed operand a third each: 24 numbers",
                bytes_read=96,
                bytes_written=96,
            ),
        ),
    ),
    OpRule(
        op_types=("fused_codegeex_qkv_reshape",),
        summary="Query, key and value by heads.",
        formula="no arithmetic; reads and writes each element once",
        shape=heads_shape,
        cost=no_work,
        traffic=touch_all,
        source="OneFlow's fused_codegeex_qkv_reshape.cpp",
        examples=(
            Example(
                call="fused_codegeex_qkv_reshape(query: f16[3,1,8], key: f16[3,1,8], value: f16[3,1,8], num_attention_heads=2) -> "
                "new_query: f16[3,1,2,4], new_key: f16[3,1,2,4], new_value: f16[3,1,2,4]",
                because="3 x 24 of 2 bytes each way",
                flops=0,
                bytes_read=144,
                bytes_written=144,
            ),
        ),
    ),
    OpRule(
        op_types=("fused_glu_without_linear_grad",),
        summary="Gradient of a gated linear unit for its two halves, before their products.",
        formula="per element of dy: 2 products; and the activation with its gradient: relu 1 + 2, sigmoid 3 and 2 transcendentals, "
        "silu 1 + 5 "
        "and 2, gelu 4 + 9 and 3, fast_gelu 8 + 18 and 2",
        shape=gate_grad_shape,
        cost=gate_grad_cost,
        traffic=touch_all,
        source="Shazeer, arXiv 2002.05202; OneFlow's fused_glu_without_linear_grad_op.cpp",
        examples=(
            Example(
                call='fused_glu_without_linear_grad(dy: f16[2,4], matmul_wx: f16[2,8], activation="silu") -> d_matmul_wx: f16[2,8]',
                because="8 elements: x * sigmoid(x) 1, its slope times a number 5, 2 products; a sigmoid in both",
                macs=0,
                flops=64,
                transcendentals=16,
                bytes_read=48,
                bytes_written=32,
            ),
            Example(
                call='fused_glu_without_linear_grad(dy: f16[2,4], matmul_wx: f16[2,4], matmul_vx: f16[2,4], activation="relu") -> '
                "d_matmul_wx: f16[2,4], d_matmul_vx: f16[2,4]",
                because="8 elements: a maximum, a test and a choice, 2 products",
                flops=40,
                transcendentals=0,
            ),
            Example(
                call="fused_glu_without_linear_grad(dy: f16[2,4], matmul_wx: f16[2,8]) -> d_matmul_wx: f16[2,8]",
                because="a printed graph: the activation is in no line",
                macs=0,
                flops="unknown",
            ),
        ),
    ),
)
