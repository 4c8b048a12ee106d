"""`budget`: a cost is over its limit."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from irflops.analysis.named import DECLARED, NAMES, OF_MODEL, OF_THE_WHOLE, amount, cost_of, hides_states_alone
from irflops.auditing.facts import Facts
from irflops.auditing.finding import Confidence, Measure, Severity
from irflops.auditing.patterns import module_regex
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Setting, Undecided, whole_number
from irflops.auditing.times import TIMES, judged, machine_name, time_limits
from irflops.configuration.choices import one_of
from irflops.counting.cost import COST_NAMES, COSTS, Cost
from irflops.counting.fold import UNTYPED
from irflops.errors import IrflopsError, quoted
from irflops.ir.certainty import Certainty
from irflops.ir.signatures import op_types
from irflops.machines.known import machine_called
from irflops.readers.job.job_schema import system_op_types

_Figure = Callable[[str], tuple[int | None, Certainty]]
_OF_MODULES = (*COSTS, DECLARED)
"""What a module has a budget of; an op type has none of the last."""


def _limits(value: object, names: Iterable[str] = COSTS) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise ValueError("should be a table of limits by cost, { macs = 4_000_000_000 }")  # noqa: TRY004 - the user's fault, which the caller tells by ValueError
    return {one_of(names, "cost")(name): _limit(name, limit) for name, limit in value.items()}


def _total_limits(value: object) -> dict[str, int]:
    return _limits(value, NAMES)


def _limit(name: str, value: object) -> int:
    if isinstance(value, str):
        found = amount(value, name)
        if found < 0 or found.denominator != 1:
            raise ValueError(f"{name} should be a whole number, and not below 0")
        return int(found)
    if value == 0 and not isinstance(value, bool):
        return 0
    try:
        return whole_number(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def _limits_by_name(value: object, names: Iterable[str] = COSTS) -> dict[str, dict[str, int]]:
    if not isinstance(value, Mapping):
        raise ValueError("should be a table of tables")  # noqa: TRY004 - the user's fault, which the caller tells by ValueError
    return {name: _limits(limits, names) for name, limits in value.items()}


def _module_limits(value: object) -> dict[str, dict[str, int]]:
    return _limits_by_name(value, _OF_MODULES)


def _misfits(facts: Facts, options: Options) -> dict[str, str]:
    """A type or a module that the graph lacks costs nothing and is within any budget: one that is misspelt must not look like that."""
    found = _misfit_of_machine(facts, options)
    known = {*facts.analysis.types, *op_types(), *facts.analysis.book.by_type, *system_op_types(), UNTYPED}
    for op_type in options["type"]:
        if op_type not in known:
            near = difflib.get_close_matches(op_type, sorted(known), n=1)
            hint = f"did you mean {near[0]!r}?" if near else "irflops analyze --by type lists those of a graph"
            found[f"type {op_type}"] = f"budget.type: {quoted(op_type)} is no op type of OneFlow's, and none of this graph; {hint}"
    for pattern in options["module"]:
        if not _matching(facts, pattern):
            near = difflib.get_close_matches(pattern, [path for path in facts.analysis.modules if path], n=1)
            hint = f"did you mean {near[0]!r}?" if near else "irflops analyze --by module lists those of a graph"
            found[f"module {pattern}"] = f"budget.module: no module matches {quoted(pattern)}; {hint}"
    return found


def _misfit_of_machine(facts: Facts, options: Options) -> dict[str, str]:
    if not options["time"]:
        return {}
    if not options["machine"]:
        return {"machine": 'budget.time: limits of time need a machine; machine = "a100-sxm4-80gb"'}
    try:
        machine_called(options["machine"], facts.machines)
    except IrflopsError as error:
        return {"machine": f"budget.machine: {error.message}; {error.hint}"}
    return {}


def _matching(facts: Facts, pattern: str) -> list[str]:
    matches = re.compile(module_regex(pattern), re.DOTALL).fullmatch
    return [path for path in facts.analysis.modules if matches(path)]


def _check(facts: Facts, options: Options) -> Iterator[Outcome]:
    analysis = facts.analysis
    yield from _judge(facts, lambda name: cost_of(analysis, name), options["total"], "the graph", "", "total")
    yield from judged(facts, options["machine"], options["time"])
    for pattern, limits in options["module"].items():
        for path in _matching(facts, pattern):
            figure = _figure(facts, analysis.modules[path], analysis.declared.get(path))
            yield from _judge(facts, figure, limits, f"module {path or '(graph)'}", path, "module")
    for op_type, limits in options["type"].items():
        group = analysis.types.get(op_type)
        cost = group.cost if group is not None else Cost(missing=analysis.total.missing if UNTYPED in analysis.types else 0)
        yield from _judge(facts, _figure(facts, cost), limits, f"the op type {op_type}", "", op_type)


def _figure(facts: Facts, cost: Cost, declared: int | None = None) -> _Figure:
    """Figures of a part of the graph. What a form tells of parameters it tells of each part."""

    def figure(name: str) -> tuple[int | None, Certainty]:
        if name == DECLARED:
            return declared, cost_of(facts.analysis, name)[1]
        of_model = name in OF_MODEL and hides_states_alone(facts.analysis)
        return cost.get(name), cost_of(facts.analysis, name)[1] if of_model else cost.certainty(name)

    return figure


def _judge(facts: Facts, figure: _Figure, limits: Mapping[str, int], what: str, module: str, subject: str) -> Iterator[Outcome]:
    for name, limit in limits.items():
        known, sure = figure(name)
        if facts.lacks_optimizer and name not in OF_MODEL and name not in OF_THE_WHOLE:
            sure |= Certainty.LOWER_BOUND
        yield from _within(name, known or 0, sure, limit, what, module, subject)


def _within(name: str, value: int, sure: Certainty, limit: int, what: str, module: str, subject: str) -> Iterator[Outcome]:
    """Whether a figure is within its limit, as far as it is known."""
    measured, allowed = Measure(name, value), Measure(name, limit)
    is_estimate = sure is Certainty.ESTIMATE  # who sets a limit on an estimate means the estimate
    if value > limit and (sure.is_at_least or sure.is_at_most or is_estimate):
        certainty = Confidence.PROVEN if sure.is_at_least else Confidence.LIKELY
        message = f"{what} has {sure.sign if is_estimate else ''}{value:,} {name}, {value - limit:,} more than its budget"
        yield Hit(message=message, module=module, subject=f"{subject}/{name}", certainty=certainty, measured=measured, limit=allowed)
    elif not sure.is_at_most and not is_estimate:
        yield Undecided(reason=f"{name} of {what} are not known in full: {value:,} are counted, {limit:,} are allowed", fails=True)
    else:
        closeness = value / limit if limit else 1.0
        message = f"{what} has {sure.sign if is_estimate else ''}{value:,} {name}, {limit - value:,} below its budget"
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
    misfits=_misfits,
    settings=(
        Setting(
            name="total",
            meaning=f"Limits by cost: {', '.join(NAMES)}. A number, or a text with a unit (3MiB, 2.5G).",
            default={},
            parse=_total_limits,
        ),
        Setting(name="module", meaning="Limits by cost, by a pattern of module paths.", default={}, parse=_module_limits),
        Setting(name="type", meaning="Limits by cost, by op type.", default={}, parse=_limits_by_name),
        Setting(name="machine", meaning="The machine of limits of time; irflops machines lists them.", default="", parse=machine_name),
        Setting(
            name="time",
            meaning=f"Limits of a step's {' and '.join(TIMES)} on that machine: seconds, or a text with a unit (5ms, 80us).",
            default={},
            parse=time_limits,
        ),
    ),
    undecidable=f"A form that leaves one of {', '.join(COST_NAMES)} unknown cannot show that a limit is kept, nor can a forward job of a "
    "training step (`graph._graph_proto`), but of parameters and buffers: it lacks the optimizer.",
    good=(
        Good(name="no limits", graph=_NET),
        Good(name="at the limit", graph=_NET, settings={"total": {"macs": 64, "params.trainable": 32}, "type": {"matmul": {"macs": 64}}}),
        Good(
            name="time within its limit",
            graph=_NET,
            settings={"machine": "a100-sxm4-80gb", "time": {"floor_s": "1us", "estimate_s": "1ms"}},
        ),
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
            name="estimate",
            graph=_NET,
            op=None,
            because="one kernel, 5 us to launch, and 224 bytes at 320 GB/s, which is longer than 128 FLOPs at 8.1 TFLOP/s",
            measured=Measure("estimate_ps", 5_000_700),
            limit=Measure("estimate_ps", 5_000_000),
            certainty=Confidence.LIKELY,
            settings={"machine": "t4", "time": {"estimate_s": "5us"}},
        ),
        Bad(
            name="memory",
            graph=_NET,
            op=None,
            because="512 of w, 512 and a header of 64 each of x and y, and 365,184 of OneFlow's ticks on a CPU",
            measured=Measure("memory_bytes", 366_848),
            limit=Measure("memory_bytes", 366_847),
            settings={"total": {"memory_bytes": 366_847}},
        ),
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
