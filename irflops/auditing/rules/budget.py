"""`budget`: a cost is over its limit."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from operator import or_

from irflops.analysis.named import COMMUNICATION, cost_of
from irflops.auditing.facts import Facts
from irflops.auditing.finding import Confidence, Measure, Severity
from irflops.auditing.patterns import module_regex
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Setting, Undecided, one_of, whole_number
from irflops.counting.cost import COST_NAMES, COSTS, KINDS, Cost
from irflops.counting.fold import UNTYPED
from irflops.errors import quoted
from irflops.ir.certainty import Certainty
from irflops.ir.graph import VariableKind
from irflops.ir.signatures import op_types
from irflops.readers.job.job_schema import system_op_types

_COSTS: Mapping[str, tuple[str, ...]] = COSTS | {name: tuple(f"{name}.{kind}" for kind in KINDS) for name in ("params", "param_bytes")}
"""By name in a budget, the figures that it is the sum of: of variables those of every kind, an optimizer's states too."""

_OF_THE_GRAPH = (*_COSTS, COMMUNICATION)
"""What the graph as a whole has a budget of."""

_STATED = frozenset(f"{cost}.{kind}" for cost in ("params", "param_bytes") for kind in KINDS if kind != VariableKind.OPTIMIZER_STATE.value)
"""Budgets that a forward job tells in full: it lacks the optimizer and its states."""


def _limits(value: object, names: Iterable[str] = _COSTS) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise ValueError("should be a table of limits by cost, { macs = 4_000_000_000 }")  # noqa: TRY004 - the user's fault, which the caller tells by ValueError
    return {one_of(names, "cost")(name): _limit(name, limit) for name, limit in value.items()}


def _total_limits(value: object) -> dict[str, int]:
    return _limits(value, _OF_THE_GRAPH)


def _limit(name: str, value: object) -> int:
    if value == 0 and not isinstance(value, bool):
        return 0
    try:
        return whole_number(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def _limits_by_name(value: object) -> dict[str, dict[str, int]]:
    if not isinstance(value, Mapping):
        raise ValueError("should be a table of tables")  # noqa: TRY004 - the user's fault, which the caller tells by ValueError
    return {name: _limits(limits) for name, limits in value.items()}


def _refuse(facts: Facts, options: Options) -> None:
    """A type that the graph lacks costs nothing and is within any budget: one that is misspelt must not look like that."""
    known = {*facts.analysis.types, *op_types(), *facts.analysis.book.by_type, *system_op_types(), UNTYPED}
    for op_type in options["type"]:
        if op_type not in known:
            near = difflib.get_close_matches(op_type, sorted(known), n=1)
            hint = f"did you mean {near[0]!r}?" if near else "irflops analyze --by type lists those of a graph"
            raise ValueError(f"budget.type: {quoted(op_type)} is no op type of OneFlow's, and none of this graph; {hint}")


def _check(facts: Facts, options: Options) -> Iterator[Outcome]:
    analysis = facts.analysis
    whole = not facts.lacks_optimizer
    limits = dict(options["total"])
    sent = limits.pop(COMMUNICATION, None)
    if sent is not None:
        value, sure = cost_of(analysis, COMMUNICATION)
        yield from _within(COMMUNICATION, value or 0, sure, sent, "the graph", "", "total")
    yield from _judge(analysis.total, limits, "the graph", "", "total", whole=whole)
    for pattern, limits in options["module"].items():
        matches = re.compile(module_regex(pattern), re.DOTALL).fullmatch
        found = [path for path in analysis.modules if matches(path)]
        for path in found:
            yield from _judge(analysis.modules[path], limits, f"module {path or '(graph)'}", path, "module", whole=whole)
        if not found:
            yield Undecided(reason=f"no module matches {pattern!r}, which has a budget")
    for op_type, limits in options["type"].items():
        group = analysis.types.get(op_type)
        cost = group.cost if group is not None else Cost(missing=facts.analysis.total.missing if UNTYPED in analysis.types else 0)
        yield from _judge(cost, limits, f"the op type {op_type}", "", op_type, whole=whole)


def _judge(cost: Cost, limits: Mapping[str, int], what: str, module: str, subject: str, *, whole: bool) -> Iterator[Outcome]:
    for name, limit in limits.items():
        value = sum(map(cost.get, _COSTS[name]))
        sure = reduce(or_, map(cost.certainty, _COSTS[name]))
        if not whole and name not in _STATED:
            sure |= Certainty.LOWER_BOUND
        yield from _within(name, value, sure, limit, what, module, subject)


def _within(name: str, value: int, sure: Certainty, limit: int, what: str, module: str, subject: str) -> Iterator[Outcome]:
    """Whether a figure is within its limit, as far as it is known."""
    measured, allowed = Measure(name, value), Measure(name, limit)
    if value > limit and (sure.is_at_least or sure.is_at_most):
        certainty = Confidence.PROVEN if sure.is_at_least else Confidence.LIKELY
        message = f"{what} has {value:,} {name}, {value - limit:,} more than its budget"
        yield Hit(message=message, module=module, subject=f"{subject}/{name}", certainty=certainty, measured=measured, limit=allowed)
    elif not sure.is_at_most:
        yield Undecided(reason=f"{name} of {what} are not known in full")
    else:
        closeness = value / limit if limit else 1.0
        message = f"{what} has {value:,} {name}, {limit - value:,} below its budget"
        yield Near(message=message, module=module, measured=measured, limit=allowed, closeness=closeness)


_TWO_DEVICES = """
x = input() -> out: f32[4,4] @ 2 (S(0))
y = relu(x: x{B}) -> y: f32[4,4] @ 2 (B)
output(in: y{B}) @ 2
"""

_NET = """
x = input() -> out: f32[2,8]
w = variable() -> out: f32[8,4]
head | y = matmul(a: x, b: w, transpose_a=false, transpose_b=false, alpha=1.0) -> out: f32[2,4]
output(in: y)
"""

RULE = AuditRule(
    name="budget",
    summary="A cost is over its limit: of the whole graph, of the modules that match a pattern, or of an op type.",
    why="A model that has to fit a device or a deadline grows past it in small steps; a limit checked on each change stops the step.",
    fix="Shrink what grew (`irflops analyze --by module` shows where the cost is), or raise the limit on purpose.",
    severity=Severity.ERROR,
    check=_check,
    refuse=_refuse,
    settings=(
        Setting(name="total", meaning=f"Limits by cost: {', '.join(_OF_THE_GRAPH)}.", default={}, parse=_total_limits),
        Setting(name="module", meaning="Limits by cost, by a pattern of module paths.", default={}, parse=_limits_by_name),
        Setting(name="type", meaning="Limits by cost, by op type.", default={}, parse=_limits_by_name),
    ),
    undecidable=f"A form that leaves one of {', '.join(COST_NAMES)} unknown cannot show that a limit is kept, nor can a forward job of a "
    "training step (`graph._graph_proto`), but of parameters and buffers: it lacks the optimizer.",
    good=(
        Good(name="no limits", graph=_NET),
        Good(name="at the limit", graph=_NET, settings={"total": {"macs": 64, "params.trainable": 32}, "type": {"matmul": {"macs": 64}}}),
        Good(name="communication within its limit", graph=_TWO_DEVICES, settings={"total": {"communication_bytes": 64}}),
        Good(
            name="communication that the form does not tell",
            graph="pruned" + _TWO_DEVICES,
            settings={"total": {"communication_bytes": 64}},
            undecided=True,
        ),
        Good(
            name="cost that is not known",
            graph="x = input() -> out: f32[2,8]\ny = an_op_of_nobody(in: x) -> out: f32[2,8]\noutput(in: y)",
            settings={"total": {"macs": 10}},
            undecided=True,
        ),
        Good(
            name="a training step before it has its optimizer",
            graph="training" + _NET,
            settings={"total": {"macs": 64, "params.trainable": 32}},
            undecided=True,
        ),
    ),
    bad=(
        Bad(
            name="communication",
            graph=_TWO_DEVICES,
            op=None,
            because="each of two devices lacks half of 64 bytes",
            measured=Measure("communication_bytes", 64),
            limit=Measure("communication_bytes", 63),
            settings={"total": {"communication_bytes": 63}},
        ),
        Bad(
            name="total",
            graph=_NET,
            op=None,
            because="2 x 4 results of 8 products each, and 60 are allowed",
            settings={"total": {"macs": 60}},
            measured=Measure("macs", 64),
            limit=Measure("macs", 60),
        ),
        Bad(
            name="module",
            graph=_NET,
            op=None,
            because="8 operand and 32 weight elements are read and 8 results written, 4 bytes each",
            settings={"module": {"he*": {"bytes": 200}}},
            measured=Measure("bytes", 4 * (16 + 32 + 8)),
            limit=Measure("bytes", 200),
        ),
        Bad(
            name="op type",
            graph=_NET,
            op=None,
            because="32 weights and no more than 31",
            settings={"type": {"variable": {"params.trainable": 31}}},
            measured=Measure("params.trainable", 32),
            limit=Measure("params.trainable", 31),
        ),
    ),
)
