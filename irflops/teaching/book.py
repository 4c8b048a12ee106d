"""The rules by which a graph is counted: irflops' own, a configuration's, and for types that have none those of installed packages."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from irflops.configuration.config import Config
from irflops.configuration.packages import added
from irflops.errors import IrflopsError
from irflops.ir.graph import Graph, Op
from irflops.ops.book import RuleBook
from irflops.ops.rule import OpRule
from irflops.teaching.guard import guarded
from irflops.teaching.parts import TaughtWork
from irflops.teaching.tables import rules_of
from irflops.teaching.views import Likeness, by_place

GROUP = "irflops.op_rules"
"""An entry point of this group names an `OpRule`, or an iterable of them."""


def configured(config: Config, book: RuleBook) -> RuleBook:
    """A book with the rules of a configuration. Errors: IrflopsError at the place in the file that cannot be used."""
    return book.with_rules(*rules_of(config, book))


def with_packages(book: RuleBook, missing: Collection[str] | None = None) -> RuleBook:
    """A book with what installed packages add for these types, or for all that have no rule.

    For no type that has one: a package does not change how OneFlow's are counted. Errors: IrflopsError where its rules cannot be used.
    """
    found: list[OpRule] = []
    owners: dict[str, str] = {}
    for package, rules in added(GROUP, OpRule, "op rules"):
        for rule in rules:
            for op_type in rule.op_types:
                if op_type in owners and op_type not in book.by_type:
                    hint = f"uninstall one of them, or say in irflops.toml how it is counted: [ops.{op_type}]"
                    raise IrflopsError(f"{package} adds a rule for {op_type}, and {owners[op_type]} does too", hint=hint)
                owners[op_type] = package
            op_types = tuple(one for one in rule.op_types if one not in book.by_type and (missing is None or one in missing))
            if op_types:
                found.append(guarded(rule, package, op_types))
    return book.with_rules(*found) if found else book


def named(graph: Graph, book: RuleBook) -> Graph:
    """The graph with names for the operands of which its form tells the places alone, where a rule of the user's has names for them."""
    rules = {op_type: rule for rule in book.own for op_type in rule.op_types if rule.operands or _likeness(rule) is not None}
    if not any(op.type in rules for op in graph.ops):
        return graph

    def renamed(op: Op) -> Op:
        rule = rules.get(op.type or "")
        names = by_place(op, rule.operands, _likeness(rule)) if rule is not None else None
        if names is None:
            return op
        return replace(op, inputs=tuple(replace(one, arg=name) for one, name in zip(op.inputs, names, strict=True)))

    return replace(graph, ops=tuple(map(renamed, graph.ops)))


def _likeness(rule: OpRule) -> Likeness | None:
    """How operators of the rule are like those of a type of OneFlow's, by whose names their operands then go."""
    like = rule.cost.taught.like if isinstance(rule.cost, TaughtWork) else None
    return like.likeness if like is not None else None
