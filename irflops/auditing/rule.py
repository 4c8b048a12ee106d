"""What an audit rule is: a question to the facts of an analysis, with the examples that prove it.

A rule sees `Facts` and its own settings, nothing else: no file, no other rule, no severity.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Confidence, Measure, Severity
from irflops.configuration.choices import one_of
from irflops.ir.graph import Op
from irflops.ir.holds import Holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A rule fires: at an op, or at a module (`""` is the graph) where `op` is None. One at most for each op."""

    message: str
    op: Op | None = None
    module: str = ""
    """Of a hit without an op."""
    subject: str = "module"
    """What stands for the op type in the id of a hit without an op."""
    certainty: Confidence = Confidence.PROVEN
    measured: Measure | None = None
    limit: Measure | None = None
    gain: Mapping[str, int] | None = None
    advice: str = ""
    """Lines that mend it where they are put into a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """What a rule looked at and let pass, with the figures. `closeness` orders them: 1 is at the limit, 0 far from it."""

    message: str
    op: Op | None = None
    module: str = ""
    measured: Measure | None = None
    limit: Measure | None = None
    closeness: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """Something unknown keeps the rule from deciding about an op."""

    reason: str
    op: Op | None = None
    never: str = ""
    """The fact of `irflops.ir.holds.Holds` for want of which it is unknown, where that is something that the form never tells."""
    fails: bool = False
    """Whether an audit must not pass by what may be a finding: a limit that a user set."""


Outcome = Hit | Near | Undecided
Options = Mapping[str, Any]
"""A rule's settings by name, each with the user's value or its default."""

Check = Callable[[Facts, Options], Iterable[Outcome]]

_SELECTABLE = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Something that a user may set for a rule."""

    name: str
    meaning: str
    default: Any
    parse: Callable[[object], Any]
    """The value from what TOML holds. ValueError says what it should be instead."""

    def __post_init__(self) -> None:
        _should_be(f"setting {self.name!r}", {"name": (self.name, str), "meaning": (self.meaning, str), "parse": (self.parse, Callable)})
        try:
            json.dumps(self.default)
        except (TypeError, ValueError, RecursionError):
            raise TypeError(f"setting {self.name!r}: its default is nothing that TOML holds") from None


def whole_number(value: object) -> int:
    """A positive integer."""
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ValueError("should be a positive whole number")
    return value


def percentage(value: object) -> int:
    """A whole number of percent."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
        raise ValueError("should be a whole number from 0 to 100")
    return value


def _should_be(what: str, fields: Mapping[str, tuple[object, Any]]) -> None:
    """TypeError where a field is not of its type: a declaration is checked where it is made, not where it is used first."""
    for name, (value, type_) in fields.items():
        if not isinstance(value, type_):
            raise TypeError(f"{what}: {name} is of type {type(value).__name__}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """A graph in which the rule finds nothing."""

    name: str
    graph: str
    """In the notation of `irflops.readers.notation.sketch`."""
    settings: Options = field(default_factory=dict)
    undecided: bool = False
    """Whether the graph lacks what the rule needs, so that nothing is found and the audit is not complete."""
    untold: bool = False
    """Whether its form never tells what the rule needs, so that nothing is found and the audit says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """A graph in which the rule finds exactly one thing."""

    name: str
    graph: str
    op: str | None
    """The sketch's name for the op, None for a finding without one."""
    because: str
    """How the figures follow."""
    measured: Measure | None = None
    limit: Measure | None = None
    certainty: Confidence = Confidence.PROVEN
    gain: Mapping[str, int] | None = None
    mended: str = ""
    """The graph with the fault mended: `gain` is the difference of the two graphs' totals, and the rule finds nothing in it."""
    settings: Options = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRule:
    """All that irflops knows of one rule: what to look for, why, what to do, and the proof. One file each."""

    name: str
    """As users write it: `dead-op`."""
    summary: str
    """What it finds, in one sentence."""
    why: str
    fix: str
    severity: Severity
    check: Check
    good: tuple[Good, ...]
    bad: tuple[Bad, ...]
    settings: tuple[Setting, ...] = ()
    undecidable: str = ""
    """Which forms leave out what it needs."""
    needs: tuple[str, ...] = ()
    """Facts of `irflops.ir.holds.Holds` without which it leaves something open in some graphs."""
    refutable: bool = False
    """Whether ops that were not read could refute a finding: in a part of a graph it is likely at most, and states no gain."""
    source: str = ""
    """Where the rule or its limit comes from."""
    misfits: Callable[[Facts, Options], Mapping[str, str]] | None = None
    """What in settings that parse cannot be meant for this graph: a message by what it is about.

    What none of the graphs that are audited can be meant by is refused."""

    def __post_init__(self) -> None:
        for name in ("name", "summary", "why", "fix", "good", "bad"):
            if not getattr(self, name):
                raise TypeError(f"rule {self.name or self.summary!r}: {name} is empty")
        what = f"rule {self.name!r}"
        _should_be(what, {name: (getattr(self, name), str) for name in ("name", "summary", "why", "fix", "undecidable", "source")})
        _should_be(what, {name: (getattr(self, name), (tuple, list)) for name in ("good", "bad", "settings")})
        _should_be(what, {"severity": (self.severity, Severity), "check": (self.check, Callable), "needs": (self.needs, tuple)})
        known = {fact.name for fact in fields(Holds)}
        if not known.issuperset(self.needs):
            raise TypeError(f"{what}: needs are of {', '.join(sorted(known))}")
        for name, type_ in (("good", Good), ("bad", Bad), ("settings", Setting)):
            for item in getattr(self, name):
                _should_be(what, {f"one of {name}": (item, type_)})
        if _SELECTABLE.fullmatch(self.name) is None:
            raise TypeError(f"{what}: a name has letters, digits, - and _ alone")

    def options(self, given: Mapping[str, object] | None = None) -> dict[str, Any]:
        """All settings by name: given ones parsed, the others' defaults. ValueError where one cannot be used."""
        values = dict(given or {})
        known = {setting.name: setting for setting in self.settings}
        for name in values:
            one_of(known, f"setting of {self.name}")(name) if known else _refuse(name, self.name)
        return {name: self._parsed(setting, values[name]) if name in values else setting.default for name, setting in known.items()}

    def _parsed(self, setting: Setting, value: object) -> Any:
        try:
            return setting.parse(value)
        except ValueError as error:
            raise ValueError(f"{self.name}.{setting.name}: {str(error) or 'this cannot be used'}") from None


def _refuse(name: str, rule: str) -> None:
    raise ValueError(f"{name!r} is no setting of {rule}, which has none")
