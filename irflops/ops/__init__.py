"""All rules, in one list. A type with two rules, or a family module left out, is an error at import."""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any

from irflops.ops import (
    activation,
    adaptive_pool,
    attention,
    batch_norm,
    broadcast,
    conv,
    cross_entropy,
    elementwise,
    embedding,
    fused_matmul,
    gradient,
    loss,
    matmul,
    movement,
    norm,
    optimizer,
    padding,
    pool,
    random,
    reduce,
    rms_norm,
    scatter,
    select,
    slicing,
    softmax,
    sorting,
    source,
    sparse_optimizer,
    system,
    upsample,
    view,
)
from irflops.ops.rule import OpRule

RULES: tuple[OpRule, ...] = (
    *fused_matmul.RULES,
    *attention.RULES,
    *rms_norm.RULES,
    *upsample.RULES,
    *adaptive_pool.RULES,
    *pool.RULES,
    *norm.RULES,
    *batch_norm.RULES,
    *matmul.RULES,
    *conv.RULES,
    *elementwise.RULES,
    *broadcast.RULES,
    *select.RULES,
    *reduce.RULES,
    *activation.RULES,
    *softmax.RULES,
    *loss.RULES,
    *cross_entropy.RULES,
    *embedding.RULES,
    *gradient.RULES,
    *movement.RULES,
    *optimizer.RULES,
    *sparse_optimizer.RULES,
    *padding.RULES,
    *random.RULES,
    *scatter.RULES,
    *slicing.RULES,
    *sorting.RULES,
    *source.RULES,
    *system.RULES,
    *view.RULES,
)

BY_TYPE: dict[str, OpRule] = {}
for _rule in RULES:
    for _op_type in _rule.op_types:
        if _op_type in BY_TYPE:
            raise TypeError(f"op type {_op_type} has two rules")
        BY_TYPE[_op_type] = _rule


def _rule_of(op_type: str) -> OpRule:
    return BY_TYPE[op_type]


def _reduced(rule: OpRule) -> tuple[Callable[..., OpRule], tuple[Any, ...]]:
    """Rules are pickled by name, since many hold closures; one that is not in the list by its fields."""
    op_type = rule.op_types[0]
    if BY_TYPE.get(op_type) is rule:
        return _rule_of, (op_type,)
    return partial(OpRule, **{field.name: getattr(rule, field.name) for field in fields(rule)}), ()


copyreg.pickle(OpRule, _reduced)
