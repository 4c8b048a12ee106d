"""`unfused-attention`: attention in separate ops where OneFlow has a fused one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from irflops.auditing.facts import Facts, argument
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.kinds import MATMULS, VIEW_CHAIN
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Undecided
from irflops.counting.cost import FIGURES, Cost
from irflops.ir.graph import Op, Operand

_BETWEEN = frozenset(
    {
        *("scalar_mul", "scalar_div", "scalar_mul_by_tensor", "scalar_div_by_tensor", "scalar_add"),
        *("broadcast_add", "broadcast_mul", "broadcast_div", "add_n", "masked_fill", "where", "fused_scale_tril", "tril"),
        *("cast", "reshape", "expand_dims", "squeeze", "hierarchical_parallel_cast", "identity"),
        "expand",  # OneFlow 0.9 puts it on the scores where a mask is smaller, and it changes nothing
    }
)
"""Scales, masks and views that may stand between the scores and their softmax."""

_AFTER = frozenset({"dropout", "cast", "reshape", "expand_dims", "squeeze", "hierarchical_parallel_cast", "identity"})


@dataclass(frozen=True, slots=True)
class _Attention:
    """The ops of an attention in order, and the tensors that go in beside query and key."""

    ops: tuple[Op, ...]
    masks: tuple[Operand, ...]
    query: Operand
    key: Operand
    value: Operand


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    for softmax in facts.users("softmax"):
        found = _attention(softmax, facts)
        if found is None:
            yield Near(message="it stands in no attention", op=softmax)
            continue
        gain = _gain(found, facts)
        if gain is None:
            yield Undecided(reason="the bytes of an attention are not known", op=softmax)
            continue
        saved = gain.get("bytes_read", 0) + gain.get("bytes_written", 0)
        fused = "scaled_dot_product_flash_attention" if facts.has_backward else "fused_multi_head_attention_inference"
        message = (
            f"{len(found.ops)} ops from {found.ops[0].name} to {found.ops[-1].name} are one attention: {fused} keeps its scores on chip"
        )
        # In training the fused op has a gradient of its own, which changes the backward pass too.
        yield Hit(message=message, op=softmax, measured=Measure("bytes", saved), gain=None if facts.has_backward else gain)


def _attention(softmax: Op, facts: Facts) -> _Attention | None:
    chain = [softmax]
    masks: list[Operand] = []
    scores: Operand | None = softmax.inputs[0] if softmax.inputs else None
    while chain[-1].type not in MATMULS:
        before = facts.producer(scores) if scores is not None else None
        if before is None or facts.only_forward_use(before) is None or before.type not in MATMULS | _BETWEEN:
            return None
        chain.append(before)
        if before.type not in MATMULS:
            scores = _scores_operand(before, facts)
            masks += [operand for operand in before.inputs if operand is not scores]
    chain.reverse()
    use = facts.only_forward_use(softmax)
    while use is not None and use.op.type in _AFTER and len(use.op.inputs) == 1:
        chain.append(use.op)
        use = facts.only_forward_use(use.op)
    if use is None or use.op.type not in MATMULS:
        return None
    chain.append(use.op)
    first, last = chain[0], chain[-1]
    query, key, value = argument(first, "a"), argument(first, "b"), argument(last, "b")
    if query is None or key is None or value is None or use.operand.arg != "a":
        return None
    if any(facts.variable(operand, facts.book.handed_on | VIEW_CHAIN | {"transpose"}) is not None for operand in (query, key, value)):
        return None  # a layer, not an attention
    return _Attention(tuple(chain), tuple(masks), query, key, value)


def _scores_operand(op: Op, facts: Facts) -> Operand | None:
    """The operand of a scale or a mask that has the scores: the one of the result's size that no variable or input makes."""
    result = facts.shape(op.outputs[0])
    for operand in op.inputs:
        producer = facts.producer(operand)
        sized = result is None or facts.type(operand).numel == facts.type(op.outputs[0]).numel
        if sized and producer is not None and producer.type in MATMULS | _BETWEEN:
            return operand
    return None


def _gain(found: _Attention, facts: Facts) -> dict[str, int] | None:
    """The bytes that the separate ops move beyond query, key, value and masks read once and the result written."""
    operands = (found.query, found.key, found.value, *found.masks)
    read = [facts.type(operand).nbytes for operand in operands]
    written = facts.type(found.ops[-1].outputs[0])
    if None in read or written.nbytes is None or written.numel is None:
        return None
    figures = dict.fromkeys(FIGURES, 0) | {"bytes_read": sum(n for n in read if n is not None), "bytes_written": written.nbytes}
    figures |= {"activation_elements": written.numel, "activation_bytes": written.nbytes}
    gain = facts.gain(found.ops, [Cost(tuple(figures[name] for name in FIGURES)) * found.ops[-1].runs])
    moved = {name: value for name, value in (gain or {}).items() if name.startswith(("bytes", "activation"))}
    return moved or None


_QKV = """
q = input() -> out: f32[2,3,5,8]
k = input() -> out: f32[2,3,5,8]
v = input() -> out: f32[2,3,5,8]
"""
_SCORES = "s = batch_matmul(a: q, b: k, transpose_b=true) -> out: f32[2,3,5,5]\n"
_REST = "p = softmax(in: {}) -> out: f32[2,3,5,5]\ny = batch_matmul(a: p, b: v) -> out: f32[2,3,5,8]\noutput(in: y)"
_LAYOUTS = 'query_head_size=8, query_layout="BMHK", key_layout="BMHK", value_layout="BMHK", output_layout="BM(HK)"'

RULE = AuditRule(
    name="unfused-attention",
    summary="A product, a scale or mask, a softmax and a second product are an attention in separate ops, and OneFlow has a fused one.",
    why="The scores, the largest tensors of a transformer at long lengths, are written and read again by every op between.",
    fix="Call `oneflow._C.fused_multi_head_attention_inference` in inference, `scaled_dot_product_attention` (OneFlow 1.0) in training; "
    "both need CUDA.",
    severity=Severity.NOTE,
    check=_check,
    refutable=True,
    undecidable="Nothing is said where the bytes of its ops are unknown. In training no gain is stated: the backward pass changes too.",
    source="Dao et al., FlashAttention, arXiv 2205.14135",
    good=(
        Good(name="a softmax over classes", graph="x = input() -> out: f32[2,8]\ny = softmax(in: x) -> out: f32[2,8]\noutput(in: y)"),
        Good(
            name="the scores are an output too",
            graph=_QKV + _SCORES + _REST.format("s") + "\noutput(in: s)",
        ),
        Good(
            name="a sum of two softmaxes",
            graph=_QKV + _SCORES + "r = batch_matmul(a: v, b: k, transpose_b=true) -> out: f32[2,3,5,5]\n"
            "p = softmax(in: s) -> out: f32[2,3,5,5]\nt = softmax(in: r) -> out: f32[2,3,5,5]\n"
            "d = dropout(in: p, _add_to_output: t) -> out: f32[2,3,5,5]\ny = batch_matmul(a: d, b: v) -> out: f32[2,3,5,8]\noutput(in: y)",
        ),
        Good(
            name="fused",
            graph=_QKV.replace("[2,3,5,8]", "[2,5,3,8]")
            + f"y = fused_multi_head_attention_inference(query: q, key: k, value: v, {_LAYOUTS}) -> out: f32[2,5,24]\noutput(in: y)",
        ),
    ),
    bad=(
        Bad(
            name="masked, in training",
            graph="training\n" + _QKV + "m = input() -> out: bool[1,1,5,5]\n" + _SCORES + "e = expand(in: s) -> out: f32[2,3,5,5]\n"
            "n = expand(in: m) -> out: bool[2,3,5,5]\nt = masked_fill(x: e, mask: n) -> out: f32[2,3,5,5]\n" + _REST.format("t"),
            op="p",
            because="150 scores of 4 bytes are written by four ops and read by four, and masks of 150 bytes are read either way",
            measured=Measure("bytes", 8 * 600),
        ),
        Bad(
            name="scaled",
            graph=_QKV + _SCORES + "t = scalar_mul(in: s) -> out: f32[2,3,5,5]\n" + _REST.format("t"),
            op="p",
            because="150 scores of 4 bytes are written by three ops and read by three",
            measured=Measure("bytes", 6 * 600),
            gain={"bytes_read": 1800, "bytes_written": 1800, "activation_elements": 450, "activation_bytes": 1800},
            mended=_QKV.replace("[2,3,5,8]", "[2,5,3,8]")
            + f"y = fused_multi_head_attention_inference(query: q, key: k, value: v, {_LAYOUTS}) -> out: f32[2,5,24]\noutput(in: y)",
        ),
    ),
)
