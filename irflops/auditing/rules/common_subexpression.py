"""`common-subexpression`: the same op on the same operands twice.

Every form says the same of what it finds. A printed graph knows the attributes of some ops alone, and no other form tells of which: so a
finding is of one op that repeats another, and of what follows both only as far as no further attribute is needed. An op that needs its own
is a finding of its own, as is what follows several of those: a print has all ops of a finding, or leaves it open.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator

from irflops.auditing.effects import differs_by_run, written
from irflops.auditing.facts import USERS_PHASES, Facts, attrs_are_known
from irflops.auditing.finding import Measure, Severity
from irflops.auditing.kinds import SOURCES
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Undecided
from irflops.auditing.rules._gains import step_gain
from irflops.ir.graph import Op
from irflops.ir.signatures import signature

_ENDS = SOURCES | {"output"}


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    """Numbers every value: an op whose type, attributes and operands' numbers were seen before gives the value that was seen."""
    ops = facts.graph.ops
    values, findings = _Values(facts), _Findings(facts)
    changed = {operand.lbn for op in ops if op.phase in USERS_PHASES for operand in written(op, facts.book)}
    alone: dict[Hashable, Op | None] = {}
    compared = 0
    for index in facts.order:
        op = ops[index]
        if not _is_comparable(op, facts) or any(operand.lbn in changed for operand in op.inputs):
            continue
        compared += 1
        # Most ops share type and first operand with no other: only where one does, all is compared.
        rough = op.type, values.number(op.inputs[0].lbn)
        if rough not in alone:
            alone[rough] = op
            continue
        if (other := alone[rough]) is not None:
            alone[rough] = None
            values.take(other)
        first, is_open = values.take(op)
        if first is not None:
            findings.add(op, first, values)
        elif is_open:
            never = "" if facts.graph.holds.attrs else "attrs"
            yield Undecided(reason="ops read the same operands, and the form does not hold their attributes", op=op, never=never)
    yield from findings.hits()
    yield Near(message=f"{compared:,} ops were compared")


class _Values:
    """Numbers of results: equal ones are equal values. Beside those that this form tells, those that every form tells."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._here: dict[str, str] = {}
        self._everywhere: dict[str, str] = {}
        self._seen: dict[Hashable, Op] = {}
        self._seen_everywhere: dict[Hashable, Op] = {}
        self._open: dict[Hashable, bool] = {}
        """By op without attributes, whether one was seen whose attributes are not known."""

    def number(self, lbn: str) -> str:
        """The number of a result, as far as this form tells."""
        return self._here.get(lbn, lbn)

    def number_everywhere(self, lbn: str) -> str:
        """The number of a result, as far as every form tells."""
        return self._everywhere.get(lbn, lbn)

    def take(self, op: Op) -> tuple[Op | None, bool]:
        """The op that gave the same before, and where none is known to, whether there may be one."""
        bare = self._place(op, self.number)
        was_there, was_open = bare in self._open, self._open.get(bare, False)
        self._open[bare] = was_open or not self._facts.attrs_are_known(op)
        if self._open[bare]:
            return None, was_there
        first = self._seen.setdefault((bare, op.attrs), op)
        before = self._seen_everywhere.setdefault((self._place(op, self.number_everywhere), op.attrs), op)
        if first is op:
            return None, False
        for made, same in zip(op.outputs, first.outputs, strict=True):
            self._here[made.lbn] = self.number(same.lbn)
        if before is op:
            return first, False
        if not _needs_attrs(op):
            for made, same in zip(op.outputs, before.outputs, strict=True):
                self._everywhere[made.lbn] = self.number_everywhere(same.lbn)
        return before, False

    @staticmethod
    def _place(op: Op, number: Callable[[str], str]) -> Hashable:
        operands = tuple((operand.arg, operand.index, number(operand.lbn), operand.nd_sbp) for operand in op.inputs)
        return op.type, operands, op.placement, tuple((made.arg, made.type) for made in op.outputs)


class _Findings:
    """Repeated ops by the finding that they belong to, which goes by the name of its first op."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._chains: dict[str, list[Op]] = {}
        self._firsts: dict[str, Op] = {}
        """The ops that the first ones repeat."""
        self._repeated: dict[str, str] = {}
        """By repeated result, the one that it is compared with."""
        self._everywhere: dict[str, str] = {}
        """Findings that need no attributes, by repeated result."""
        self._elsewhere: dict[str, str] = {}
        """The others."""
        self._behind: dict[str, frozenset[str]] = {}
        """By a finding of the others, those that it follows: what it needs, they need too."""

    def add(self, op: Op, first: Op, values: _Values) -> None:
        """Takes up an op that repeats another."""
        pairs = [(own.lbn, others.lbn) for own, others in zip(op.inputs, first.inputs, strict=True) if own.lbn != others.lbn]
        open_ = [pair for pair in pairs if values.number_everywhere(pair[0]) != values.number_everywhere(pair[1])]
        needed = (lbn for pair in open_ for lbn in self._needed(*pair))
        behind = frozenset(self._elsewhere[lbn] for lbn in needed if lbn in self._elsewhere)
        needs_attrs = _needs_attrs(op)
        if open_:
            last = max(behind, key=self._place, default=op.name)
            name = last if not needs_attrs and last in self._behind and behind - {last} <= self._behind[last] else op.name
        else:
            visible = () if needs_attrs else (self._everywhere[lbn] for lbn, _ in pairs if lbn in self._everywhere)
            name = min(visible, key=self._place, default=op.name)
        if name == op.name:
            self._firsts[name], self._behind[name] = first, behind
        self._chains.setdefault(name, []).append(op)
        kept = self._elsewhere if open_ or needs_attrs else self._everywhere
        kept.update((made.lbn, name) for made in op.outputs)
        self._repeated.update((made.lbn, same.lbn) for made, same in zip(op.outputs, first.outputs, strict=True))

    def _needed(self, one: str, other: str) -> tuple[str, ...]:
        """Of two results that are the same, those whose findings say so."""
        if self._repeated.get(one) == other:
            return (one,)
        return (other,) if self._repeated.get(other) == one else (one, other)

    def _place(self, name: str) -> int:
        return self._facts.place[self._facts.index[name]]

    def hits(self) -> Iterator[Hit]:
        """A hit for each finding."""
        for name, chain in self._chains.items():
            more = f", and {len(chain) - 1} more behind it" if len(chain) > 1 else ""
            message = f"{self._firsts[name].name} gave the same before{more}"
            gain = step_gain(self._facts, chain)
            yield Hit(message=message, op=chain[0], measured=Measure("ops", len(chain)), limit=Measure("ops", 0), gain=gain)


def _needs_attrs(op: Op) -> bool:
    """Whether a form may lack attributes of the op that tell it from another."""
    return not attrs_are_known(op.type or "", frozenset())


def _is_comparable(op: Op, facts: Facts) -> bool:
    """Whether two such ops with equal operands give equal results, and the user's code made them."""
    if op.type is None or op.type in _ENDS or op.phase not in USERS_PHASES or op.elided or not op.outputs or not op.inputs:
        return False
    return (
        not differs_by_run(op, facts.book) and (op.type in facts.book.by_type or signature(op.type) is not None) and not facts.is_hidden(op)
    )


_GRAPH = """
x = input() -> out: f32[2,8]
a = {first} -> {result}: f32[2,8]
b = {second} -> {result}: f32[2,8]
{tail}
y = broadcast_add(x: {left}, y: {right}) -> z: f32[2,8]
output(in: y)
"""
_SCALE = "scalar_mul(in: x, has_float_operand=true, float_operand={}, has_int_operand=false, int_operand=0)"


def _two(first: str, second: str, result_: str = "out") -> str:
    return _GRAPH.format(first=first, second=second, result=result_, tail="", left="a", right="b")


_ONCE = "x = input() -> out: f32[2,8]\na = {} -> {}: f32[2,8]\n{}y = broadcast_add(x: {}, y: {}) -> z: f32[2,8]\noutput(in: y)"

RULE = AuditRule(
    name="common-subexpression",
    summary="The same op reads the same operands twice. What follows both and has no attributes belongs to the finding.",
    why="The result is computed and stored twice.",
    fix="Compute it once, and use it in both places.",
    severity=Severity.WARNING,
    check=_check,
    needs=("attrs",),
    undecidable="Two ops are the same only if all their attributes are known and equal, or their type has none: a printed graph leaves "
    "most open. Ops that draw at random or keep a state, and those of OneFlow's own passes, are not compared.",
    good=(
        Good(name="other attributes", graph=_two(_SCALE.format("2.0"), _SCALE.format("3.0"))),
        Good(name="attributes that are not known", graph=_two("scalar_mul(in: x)", "scalar_mul(in: x)"), undecided=True),
        Good(
            name="random",
            graph="training\nx = input() -> out: f32[2,8]\na, m = dropout(in: x, rate=0.5) -> out: f32[2,8], mask: bool[2,8]\n"
            "b, n = dropout(in: x, rate=0.5) -> out: f32[2,8], mask: bool[2,8]\ny = add_n(in: [a, b]) -> out: f32[2,8]\noutput(in: y)",
        ),
    ),
    bad=(
        Bad(
            name="a type without attributes",
            graph=_two("relu(x: x)", "relu(x: x)", "y"),
            op="b",
            because="16 comparisons; 16 elements read and written",
            measured=Measure("ops", 1),
            limit=Measure("ops", 0),
            gain={"flops": 16, "bytes_read": 64, "bytes_written": 64, "activation_elements": 16, "activation_bytes": 64},
            mended=_ONCE.format("relu(x: x)", "y", "", "a", "a"),
        ),
        Bad(
            name="all attributes equal",
            graph=_two(_SCALE.format("2.0"), _SCALE.format("2.0")),
            op="b",
            because="16 products; 16 elements read and written",
            measured=Measure("ops", 1),
            limit=Measure("ops", 0),
            gain={"flops": 16, "bytes_read": 64, "bytes_written": 64, "activation_elements": 16, "activation_bytes": 64},
            mended=_ONCE.format(_SCALE.format("2.0"), "out", "", "a", "a"),
        ),
        Bad(
            name="in training",
            graph="training\n" + _two("relu(x: x)", "relu(x: x)", "y"),
            op="b",
            because="two gradients would become one too, and the dump does not tell which other ops",
            measured=Measure("ops", 1),
            limit=Measure("ops", 0),
        ),
        Bad(
            name="with what follows",
            graph=_GRAPH.format(
                first="relu(x: x)",
                second="relu(x: x)",
                result="y",
                tail="c = negative(x: a) -> y: f32[2,8]\nd = negative(x: b) -> y: f32[2,8]",
                left="c",
                right="d",
            ),
            op="b",
            because="two ops of 16 operations on 16 elements",
            measured=Measure("ops", 2),
            limit=Measure("ops", 0),
            gain={"flops": 32, "bytes_read": 128, "bytes_written": 128, "activation_elements": 32, "activation_bytes": 128},
            mended=_ONCE.format("relu(x: x)", "y", "c = negative(x: a) -> y: f32[2,8]\n", "c", "c"),
        ),
    ),
)
