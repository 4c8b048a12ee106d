"""All rules, in one list, and as the book that holds them. A type with two rules is an error at import."""

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
    boxes,
    broadcast,
    collectives,
    conv,
    cross_entropy,
    ctc,
    deform_conv,
    elementwise,
    embedding,
    factorization,
    feature_interaction,
    fused_matmul,
    gradient,
    images,
    job_kinds,
    loss,
    matmul,
    movement,
    norm,
    one_embedding,
    oneflow_tests,
    optimizer,
    order_statistics,
    padding,
    partial_fc,
    pool,
    quantization,
    random,
    records,
    recurrent,
    reduce,
    rms_norm,
    sampling,
    scatter,
    select,
    serving,
    slicing,
    softmax,
    sorting,
    source,
    sparse_optimizer,
    spectrum,
    staged_reduce,
    strides,
    summaries,
    system,
    upsample,
    view,
)
from irflops.ops.book import RuleBook
from irflops.ops.rule import OpRule
from irflops.ops.unruled import UNRULED

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
    *recurrent.RULES,
    *boxes.RULES,
    *sampling.RULES,
    *deform_conv.RULES,
    *serving.RULES,
    *feature_interaction.RULES,
    *quantization.RULES,
    *spectrum.RULES,
    *factorization.RULES,
    *order_statistics.RULES,
    *ctc.RULES,
    *staged_reduce.RULES,
    *one_embedding.RULES,
    *partial_fc.RULES,
    *oneflow_tests.RULES,
    *strides.RULES,
    *records.RULES,
    *images.RULES,
    *collectives.RULES,
    *job_kinds.RULES,
    *summaries.RULES,
)

BOOK = RuleBook(RULES, UNRULED)
"""What an analysis knows unless it is given another book. No module but this one asks for a rule by it: a book is an argument."""


def _rule_of(op_type: str) -> OpRule:
    return BOOK.by_type[op_type]


def _reduced(rule: OpRule) -> tuple[Callable[..., OpRule], tuple[Any, ...]]:
    """Rules are pickled by name, since many hold closures; one that is not in the list by its fields."""
    op_type = rule.op_types[0]
    if BOOK.by_type.get(op_type) is rule:
        return _rule_of, (op_type,)
    return partial(OpRule, **{field.name: getattr(rule, field.name) for field in fields(rule)}), ()


def _book_of(own: tuple[OpRule, ...]) -> RuleBook:
    return BOOK.with_rules(*own) if own else BOOK


def _reduced_book(book: RuleBook) -> tuple[Callable[..., RuleBook], tuple[Any, ...]]:
    """Of a book only what it holds beside the rules of this package."""
    if book.rules is BOOK.rules and book.unruled is BOOK.unruled:
        return _book_of, (book.own,)
    return RuleBook, (book.rules, book.unruled, book.own)


copyreg.pickle(OpRule, _reduced)
copyreg.pickle(RuleBook, _reduced_book)
