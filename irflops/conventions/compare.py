"""Why a counter's figure is not irflops' own: what it adds, what it leaves out, what it counts otherwise, to the last unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from irflops.analysis.analysis import Analysis
from irflops.analysis.rows import Row
from irflops.conventions.registry import CONVENTIONS, Answer, Convention, count
from irflops.conventions.rows import whole
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Phase

SCHEMA = "irflops.compare/1"
"""Name and version of the JSON form."""

ADDS, LEAVES_OUT, OTHERWISE, ROUNDS = "adds", "leaves out", "counts otherwise", "rounds"


@dataclass(frozen=True, slots=True)
class Reason:
    """A part of the graph that a tool and irflops count differently."""

    type: str
    """Class of the module, or kind of the step."""
    phase: Phase | None
    effect: str
    """`adds` where irflops counts nothing, `leaves out` where the tool does, else `counts otherwise`; `rounds` for the tool's rounding."""
    count: int
    """Calls or steps."""
    ours: int
    theirs: Fraction
    formula: str
    """The tool's rule."""

    @property
    def difference(self) -> Fraction:
        """What irflops' figure lacks to be the tool's."""
        return self.theirs - self.ours

    def to_dict(self) -> Row:
        """The reason as plain data."""
        return {
            "type": self.type,
            "phase": self.phase.value if self.phase else None,
            "effect": self.effect,
            "count": self.count,
            "irflops": self.ours,
            "tool": whole(self.theirs),
            "difference": whole(self.difference),
            "formula": self.formula,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """A tool's figure beside irflops' own."""

    answer: Answer
    ours: int
    """irflops' figure of the same kind."""
    certainty: Certainty
    reasons: tuple[Reason, ...]
    """What `ours` lacks to be the tool's total; none where the tool has none."""

    def __repr__(self) -> str:
        return f"<Comparison with {self.convention.name}: {self.answer.total}, irflops {self.ours} {self.certainty}>"

    @property
    def convention(self) -> Convention:
        """The convention that is compared."""
        return self.answer.convention

    @property
    def difference(self) -> int | None:
        """What irflops' figure lacks to be the tool's; None where the tool has none."""
        return None if self.answer.total is None else self.answer.total - self.ours

    def is_twin(self, other: Comparison) -> bool:
        """Whether the other tool prints the same of this graph, of the same unit and for the same reasons."""
        one, two = self.answer, other.answer
        same = (one.total, one.raises, one.unknown) == (two.total, two.raises, two.unknown) and self.reasons == other.reasons
        return same and self.convention.unit == other.convention.unit and self.convention.basis == other.convention.basis

    def to_dict(self) -> Row:
        """The comparison as plain data, as the JSON of `irflops compare` has it."""
        answer = self.answer
        return {
            "name": self.convention.name,
            "tool": self.convention.tool,
            "figure": self.convention.figure,
            "unit": self.convention.unit,
            "total": answer.total,
            "raises": answer.raises,
            "unknown": answer.unknown,
            "compared_with": self.convention.basis,
            "irflops": self.ours,
            "certainty": self.certainty.value,
            "ratio": None if answer.total is None or not self.ours else float(round(Fraction(answer.total, self.ours), 6)),
            "source": answer.source,
            "reasons": [reason.to_dict() for reason in self.reasons],
        }


@dataclass(slots=True)
class _Tally:
    count: int = 0
    ours: int = 0
    theirs: Fraction = field(default_factory=Fraction)
    formulas: dict[str, None] = field(default_factory=dict)


Key = tuple[str, Phase | None]


def compare_analysis(analysis: Analysis, conventions: Sequence[Convention] = CONVENTIONS) -> tuple[Comparison, ...]:
    """Each convention beside irflops: `ours + sum(reason.difference) == answer.total`, exactly, wherever there is a total."""
    return tuple(_compared(analysis, count(convention, analysis.structure)) for convention in conventions)


def _compared(analysis: Analysis, answer: Answer) -> Comparison:
    basis = answer.convention.basis
    ours, certainty = analysis.total.get(basis), analysis.total.certainty(basis)
    return Comparison(answer, ours, certainty, () if answer.total is None else tuple(_reasons(analysis, answer)))


def _reasons(analysis: Analysis, answer: Answer) -> Iterable[Reason]:
    basis = answer.convention.basis
    tallies: dict[Key, _Tally] = {}
    seen: set[int] = set()
    for part in answer.contributions:
        tally = tallies.setdefault((part.type, part.phase), _Tally())
        tally.count += 1
        tally.theirs += part.value
        tally.ours += sum(analysis.op_cost(index).get(basis) for index in part.ops)
        tally.formulas[part.formula] = None
        seen.update(part.ops)
    for key, ops in _left_out(analysis, answer, seen):
        ours = sum(analysis.op_cost(index).get(basis) for index in ops)
        if ours:
            tally = tallies.setdefault(key, _Tally())
            tally.count += 1
            tally.ours += ours
    found = [
        Reason(name, phase, _effect(tally), tally.count, tally.ours, tally.theirs, "; ".join(tally.formulas))
        for (name, phase), tally in tallies.items()
        if tally.theirs != tally.ours
    ]
    yield from sorted(found, key=lambda reason: (-abs(reason.difference), reason.type))
    if answer.rest:
        yield Reason("rounding", None, ROUNDS, 1, 0, answer.rest, "the total is made an integer")


def _effect(tally: _Tally) -> str:
    if not tally.formulas or not tally.theirs:
        return LEAVES_OUT
    return ADDS if not tally.ours else OTHERWISE


def _left_out(analysis: Analysis, answer: Answer, seen: set[int]) -> Iterable[tuple[Key, tuple[int, ...]]]:
    """The steps that no contribution is for: by class for a tool that goes by classes, operator by operator for one that lifts nothing."""
    structure = analysis.structure
    is_by_class = bool(answer.convention.modules) and not answer.convention.operators
    classes = {call.path: call.class_name for call in structure.calls if call.is_leaf and call.class_name} if is_by_class else {}
    for step in structure.plain if answer.convention.raw else structure.steps:
        ops = tuple(index for index in step.ops if index not in seen)
        if ops:
            name = classes.get(step.module, step.kind) if step.phase is Phase.FORWARD else step.kind
            yield (name, step.phase), ops
    sources = [index for index, op in enumerate(analysis.graph.ops) if op.type in ("variable", "input", "output") and index not in seen]
    yield ("variables and inputs", None), tuple(sources)


def between(analysis: Analysis, one: Answer, other: Answer) -> tuple[Reason, ...]:
    """What one figure lacks to be the other, by kind of step: `ours` is the first tool's count. None where either has no figure."""
    if one.total is None or other.total is None:
        return ()
    kinds = {index: step.kind for step in analysis.structure.steps for index in step.ops}
    first, second = _by_kind(one, kinds), _by_kind(other, kinds)
    found = []
    for kind in {**first, **second}:
        a, b = first.get(kind, _Tally()), second.get(kind, _Tally())
        if a.theirs != b.theirs:
            effect = ADDS if not a.theirs else LEAVES_OUT if not b.theirs else OTHERWISE
            formulas = "; ".join(b.formulas)
            found.append(Reason(kind, None, effect, max(a.count, b.count), int(a.theirs), b.theirs - (a.theirs - int(a.theirs)), formulas))
    found.sort(key=lambda reason: (-abs(reason.difference), reason.type))
    if one.rest != other.rest:
        found.append(Reason("rounding", None, ROUNDS, 1, 0, other.rest - one.rest, "the totals are made integers"))
    return tuple(found)


def _by_kind(answer: Answer, kinds: Mapping[int, str]) -> dict[str, _Tally]:
    """Contributions by the kind of step that they are for: a class and the operators in it go together."""
    tallies: dict[str, _Tally] = {}
    for part in answer.contributions:
        own = [kinds[index] for index in part.ops if index in kinds]
        name = next((kind for kind in own if kind not in ("reshape", "transpose", "constant", "cast")), own[0] if own else part.type)
        tally = tallies.setdefault(name, _Tally())
        tally.theirs += part.value
        if part.value:
            tally.count += 1
            tally.formulas[part.formula] = None
    return tallies
