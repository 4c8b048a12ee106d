"""Rules of other packages, held to what a rule is: whatever one does, the error names the rule and its package."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from irflops.auditing.facts import Facts
from irflops.auditing.finding import Confidence, Measure
from irflops.auditing.rule import AuditRule, Hit, Near, Options, Outcome, Setting, Undecided
from irflops.configuration.packages import place_of, said
from irflops.errors import IrflopsError
from irflops.ir.graph import Op

_TYPES: Mapping[str, tuple[type, ...]] = {
    "message": (str,),
    "reason": (str,),
    "op": (Op, type(None)),
    "module": (str,),
    "subject": (str,),
    "certainty": (Confidence,),
    "measured": (Measure, type(None)),
    "limit": (Measure, type(None)),
    "gain": (Mapping, type(None)),
    "advice": (str,),
    "never": (str,),
    "fails": (bool,),
    "closeness": (int, float),
}
"""Of the members of an outcome."""


def guarded(rule: AuditRule, package: str) -> AuditRule:
    """The same rule, whose faults are IrflopsErrors: faults of what the user installed, and neither of irflops nor of the dump."""
    settings = tuple(replace(setting, parse=_parse(rule, setting, package)) for setting in rule.settings)
    return replace(rule, check=_check(rule, package), settings=settings, misfits=_misfits(rule, package))


def _check(rule: AuditRule, package: str) -> Callable[[Facts, Options], Iterator[Outcome]]:
    def check(facts: Facts, options: Options) -> Iterator[Outcome]:
        try:
            for outcome in _outcomes(rule.check(facts, options)):
                _refuse_outcome(outcome, facts)
                yield outcome
        except (Exception, SystemExit) as error:
            hint = f"leave it out with --ignore {rule.name}, and tell the authors of {package}"
            raise _fault(rule, package, f"failed with {said(error)}", error, rule.check, hint) from error

    return check


def _parse(rule: AuditRule, setting: Setting, package: str) -> Callable[[object], Any]:
    def parse(value: object) -> Any:
        try:
            return setting.parse(value)
        except ValueError:
            raise  # the user's value, as a rule says it
        except (Exception, SystemExit) as error:
            what = f"cannot read its setting {setting.name!r}: {said(error)}"
            hint = f"leave {setting.name} out of the settings, and tell the authors of {package}"
            raise _fault(rule, package, what, error, setting.parse, hint) from error

    return parse


def _misfits(rule: AuditRule, package: str) -> Callable[[Facts, Options], Mapping[str, str]] | None:
    ask = rule.misfits
    if ask is None:
        return None

    def misfits(facts: Facts, options: Options) -> Mapping[str, str]:
        try:
            return dict(ask(facts, options))
        except (Exception, SystemExit) as error:
            hint = f"leave {rule.name} out of the settings, and tell the authors of {package}"
            raise _fault(rule, package, f"cannot judge its settings: {said(error)}", error, ask, hint) from error

    return misfits


def _fault(rule: AuditRule, package: str, what: str, error: BaseException, code: object, hint: str) -> IrflopsError:
    path, line = place_of(error, code)
    return IrflopsError(f"the rule {rule.name!r} of the package {package} {what}", path=path, line=line, hint=hint)


def _outcomes(found: object) -> Iterable[Any]:
    if not isinstance(found, Iterable):
        raise TypeError(f"its check returns {'None' if found is None else f'a {type(found).__name__}'}, and no outcomes")
    return found


def _refuse_outcome(outcome: object, facts: Facts) -> None:
    """TypeError where it is none, or has a member of another type than it should be: it would fail somewhere else, later."""
    if not isinstance(outcome, (Hit, Near, Undecided)):
        raise TypeError(f"a {type(outcome).__name__} is among its outcomes, which are Hit, Near and Undecided")
    kind = type(outcome).__name__
    for field in fields(outcome):
        value = getattr(outcome, field.name)
        if not isinstance(value, _TYPES.get(field.name, (object,))):
            raise TypeError(f"the {field.name} of a {kind} is of type {type(value).__name__}")
        figures = {value.cost: value.value} if isinstance(value, Measure) else value if isinstance(value, Mapping) else {}
        if not all(isinstance(cost, str) and isinstance(figure, int) for cost, figure in figures.items()):
            raise TypeError(f"the {field.name} of a {kind} should be a whole number with a name")
    if outcome.op is not None and facts.graph.by_name.get(outcome.op.name) != outcome.op:
        raise ValueError(f"a {kind} is about an op that is not in the graph: {outcome.op.name}")
