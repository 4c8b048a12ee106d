"""What is remembered of a statement's arrangement: which of its pieces say what, from the tree of the grammar's rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

import lark

from irflops.readers.text.arrangements import Tree

Number = Callable[[lark.Token], int]
"""The number of a token among its text's pieces."""

Slots = tuple[int | tuple[int, ...], ...]
"""Pieces that are arguments: of one tensor, or of several in brackets."""


class OpPlan(NamedTuple):
    """The pieces of an operator line."""

    head: int
    inputs: Slots | None
    """None where the line elides them."""
    outputs: Slots | None
    tensors: int
    """How many stand among both."""
    placements: tuple[int, ...]
    locations: tuple[int, ...]
    others: tuple[int, ...]


class LinePlan(NamedTuple):
    """The pieces of any other line, in order."""

    rule: str
    pieces: tuple[int, ...]


def op_plan(tree: Tree, number: Number) -> OpPlan:
    """By the rule `operator`."""
    head, inputs, _arrow, outputs, *parts = tree.children
    by_kind: dict[str, list[int]] = {"placement": [], "location": [], "other_part": []}
    for part in cast("list[Tree]", parts):
        by_kind[part.data].append(number(_token(part)))
    took, gave = _slots(cast("Tree", inputs), number), _slots(cast("Tree", outputs), number)
    tensors = sum(1 if isinstance(slot, int) else len(slot) for slot in (*(took or ()), *(gave or ())))
    return OpPlan(number(cast("lark.Token", head)), took, gave, tensors, *map(tuple, by_kind.values()))


def _slots(args: Tree, number: Number) -> Slots | None:
    if args.data == "elided":
        return None
    return tuple(
        tuple(number(_token(tensor)) for tensor in arg.children if isinstance(tensor, lark.Tree))
        if arg.data == "several"
        else number(_token(arg))
        for arg in cast("list[Tree]", args.children)
    )


def _token(tree: Tree) -> lark.Token:
    return cast("lark.Token", tree.children[0])


def line_plan(tree: Tree, number: Number) -> LinePlan:
    """By any rule that is made of tokens alone."""
    return LinePlan(str(tree.data), tuple(number(part) for part in tree.children if isinstance(part, lark.Token)))
