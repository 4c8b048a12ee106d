"""Counts a graph by a convention: what the tool would print, and what each part of the graph contributes to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from irflops.conventions.rule import Convention, NotTold, Number, Rule, ToolError
from irflops.ir.graph import Phase
from irflops.lifting.calls import LiftedCall
from irflops.lifting.steps import Step
from irflops.lifting.structure import Structure


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a tool counts for one part of a graph."""

    type: str
    """Class of the module, or kind of the step."""
    module: str
    value: Number
    ops: tuple[int, ...]
    """The operators that it is for, by position; each is in one contribution at most."""
    formula: str
    phase: Phase | None = Phase.FORWARD


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool would print for a graph."""

    convention: Convention
    total: int | None
    """None where the tool ends with an exception, or where the form does not tell what it counts by."""
    raises: str | None
    """The exception: `KeyError: 'gelu'`."""
    unknown: str | None
    """Why nothing can be said, where the form lacks something."""
    source: str
    contributions: tuple[Contribution, ...]
    raised_at: str | None = None
    """Class of the module, or kind of the step, at which the tool ends with the exception; None where it is not at one."""

    @property
    def rest(self) -> Fraction:
        """By how much the tool's own rounding takes the total below the sum of the contributions; 0 where there is no total."""
        return (
            Fraction(0) if self.total is None else Fraction(self.total) - sum((Fraction(c.value) for c in self.contributions), Fraction(0))
        )


def count(convention: Convention, structure: Structure) -> Answer:
    """What the tool would print for the code that the graph was made from."""
    problem: ToolError | NotTold | None = None
    found: list[Contribution] = []
    before = count(convention.first, structure) if convention.first is not None else None
    for part in _parts(convention, structure):
        if isinstance(part, Contribution):
            found.append(part)
        elif isinstance(problem, ToolError) or (problem is not None and isinstance(part, NotTold)):
            continue
        else:
            problem = part
    raises = before.raises if before is not None and before.raises else str(problem) if isinstance(problem, ToolError) else None
    raised_at = before.raised_at if before is not None and before.raises else problem.at if isinstance(problem, ToolError) else None
    unknown = str(problem) if isinstance(problem, NotTold) and raises is None else None
    total = None if raises is not None or unknown is not None else int(sum((Fraction(c.value) for c in found), Fraction(0)))
    return Answer(convention, total, raises, unknown, structure.source, tuple(found), raised_at)


def _parts(convention: Convention, structure: Structure) -> Iterator[Contribution | ToolError | NotTold]:
    if convention.raw:
        yield from _raw(convention, structure)
        return
    covered: set[int] = set()
    walked: set[str] = set()
    for call in structure.calls if convention.modules else ():
        rule = _rule_of(convention, call)
        if rule is None:
            continue
        below = () if call.path in walked else _below(structure, call.path)
        walked.add(call.path)
        own = (index for step in call.steps for index in step.ops)
        ops = tuple(index for index in (*own, *below) if index not in covered)
        covered.update(ops)
        is_counted = call.is_last or not convention.last_call_only
        yield _asked(convention, structure, rule, call, call.class_name or "a class of the user's", ops, counted=is_counted)
    for step in structure.steps if convention.operators else ():
        if step.phase not in convention.phases or not covered.isdisjoint(step.ops):
            continue
        found = convention.operators.get(step.kind) or (convention.operators.get("*") if step.macs != 0 else None)
        if found is None:
            continue
        if step.macs is None and step.kind not in convention.operators:
            yield NotTold(f"whether {step.kind} is a product is not known")
        else:
            yield _asked(convention, structure, found, step, step.kind, step.ops)


def _below(structure: Structure, path: str) -> Iterator[int]:
    """The operators of the modules that stand below one: they belong to its first call."""
    return (index for index in structure.positions.get(path, ()) if structure.graph.ops[index].module != path)


def _rule_of(convention: Convention, call: LiftedCall) -> Rule | None:
    own = convention.modules.get(call.class_name or "")
    return own if own is not None else convention.modules.get("*") if call.is_leaf else None


def _raw(convention: Convention, structure: Structure) -> Iterator[Contribution | ToolError | NotTold]:
    """The tool looks each operator up by its type; before that it reads the shapes of all of them, and fails at a scalar."""
    steps = [step for step in structure.plain if step.phase in convention.phases]
    if any(operand.type.shape == () for step in steps for operand in step.op.inputs):
        yield ToolError("ValueError: invalid literal for int() with base 10: ''")
    for step in steps:
        rule = convention.raw.get(step.kind)
        if rule is None:
            yield ToolError(f"KeyError: {step.kind!r}")
        else:
            yield _asked(convention, structure, rule, step, step.kind, step.ops)


def _asked(
    convention: Convention,
    structure: Structure,
    rule: Rule,
    part: Step | LiftedCall,
    name: str,
    ops: tuple[int, ...],
    *,
    counted: bool = True,
) -> Contribution | ToolError | NotTold:
    try:
        value = rule.count(part) * (int(counted) if convention.batch == "sample" else int(counted) * part.runs)
    except ToolError as problem:
        problem.at = name
        return problem
    except NotTold as problem:
        return problem
    if convention.batch == "mean" or (convention.batch == "one" and part.batched):
        value = _plain(Fraction(value, structure.batch))
    path = part.module if isinstance(part, Step) else part.path
    formula = rule.formula if counted else f"0: called again later ({rule.formula})"
    return Contribution(name, path, value, ops, formula, part.phase if isinstance(part, Step) else Phase.FORWARD)


def _plain(value: Fraction) -> Number:
    return value.numerator if value.denominator == 1 else value
