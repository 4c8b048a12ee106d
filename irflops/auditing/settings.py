"""What a user may set for an audit: which rules, where, how severe, and their limits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from irflops.analysis.analysis import Analysis
from irflops.auditing.facts import Facts
from irflops.auditing.finding import SEVERITIES, Severity
from irflops.auditing.patterns import module_pattern
from irflops.auditing.rule import AuditRule
from irflops.configuration.choices import one_of
from irflops.errors import IrflopsError
from irflops.machines.machine import Machine


@dataclass(frozen=True, kw_only=True)
class Settings:
    """An audit's settings; all have defaults."""

    select: tuple[str, ...] | None = None
    """Names of the rules to ask, None for all."""
    ignore: tuple[str, ...] = ()
    per_module_ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of rules by a pattern of module paths."""
    severities: Mapping[str, Severity] = field(default_factory=dict)
    fail_level: Severity = Severity.ERROR
    """The least severity that makes an audit fail."""
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings of rules as TOML holds them, by the rule's name."""
    machines: tuple[Machine, ...] = ()
    """Machines of the user's own, which budgets of time may name."""
    path: str | None = None
    """The file that they stand in, for messages."""

    def selects(self, rule: AuditRule) -> bool:
        """Whether a rule is asked."""
        return (self.select is None or rule.name in self.select) and rule.name not in self.ignore

    def severity(self, rule: AuditRule) -> Severity:
        """The severity of a rule's findings."""
        return self.severities.get(rule.name, rule.severity)

    def options(self, rule: AuditRule) -> Mapping[str, Any]:
        """A rule's settings, its defaults included."""
        return rule.options(self.rules.get(rule.name))

    def ignored_modules(self, rule: str) -> re.Pattern[str] | None:
        """What matches the paths of modules where a rule is not asked."""
        return module_pattern([pattern for pattern, names in self.per_module_ignores.items() if rule in names])


def settings_of(table: Mapping[str, object], rules: Sequence[AuditRule], path: str | None = None) -> Settings:
    """Settings from the `audit` table of a configuration. Errors: IrflopsError where one is not known or cannot be used."""
    by_name = {rule.name: rule for rule in rules}
    readers: dict[str, Callable[[object], object]] = {
        "select": lambda value: _rule_names(value, by_name),
        "ignore": lambda value: _rule_names(value, by_name),
        "per-module-ignores": lambda value: {k: _rule_names(v, by_name) for k, v in _table(value).items()},
        "severity": lambda value: {_rule(k, by_name): _severity(v) for k, v in _table(value).items()},
        "fail-level": _severity,
        "rules": lambda value: _options(_table(value), by_name),
    }
    fields = {"per-module-ignores": "per_module_ignores", "severity": "severities", "fail-level": "fail_level"}
    found: dict[str, Any] = {}
    for name, value in table.items():
        try:
            one_of(readers, "setting of an audit")(name)
        except ValueError as error:
            raise _refusal(str(error), path) from None
        try:
            found[fields.get(name, name)] = readers[name](value)
        except ValueError as error:
            raise _refusal(f"audit.{name}: {error}", path) from None
    return Settings(**found, path=path)


def refuse_misfits(settings: Settings, misfits: Sequence[Mapping[str, str]]) -> None:
    """Errors: IrflopsError where something in the settings cannot be meant for any of the graphs, given the misfits of each."""
    about = next((about for about in misfits[0] if all(about in others for others in misfits)), None) if misfits else None
    if about is not None:
        raise _refusal(f"audit.rules: {misfits[0][about]}", settings.path)


def misfits_of(settings: Settings, rules: Sequence[AuditRule], analysis: Analysis) -> dict[str, str]:
    """What in the settings cannot be meant for a graph: messages by rule and what they are about.

    Errors: IrflopsError where a rule is not known, or its settings cannot be used.
    """
    by_name = {rule.name: rule for rule in rules}
    try:
        for name in (*(settings.select or ()), *settings.ignore, *chain(*settings.per_module_ignores.values()), *settings.severities):
            _rule(name, by_name)
    except ValueError as error:
        raise _refusal(str(error), settings.path) from None
    found: dict[str, str] = {}
    for name in settings.rules:
        try:
            rule = by_name[_rule(name, by_name)]
            options = settings.options(rule)
            if rule.misfits is not None:
                found |= {f"{name}: {about}": said for about, said in rule.misfits(Facts(analysis, settings.machines), options).items()}
        except ValueError as error:
            raise _refusal(f"audit.rules: {error}", settings.path) from None
    return found


def for_explaining(settings: Settings, rule: str) -> Settings:
    """The settings with this one rule asked, everywhere, whatever they ignore."""
    return replace(settings, select=(rule,), ignore=(), per_module_ignores={})


def with_options(settings: Settings, rules: Sequence[AuditRule], *, select: Sequence[str], ignore: Sequence[str]) -> Settings:
    """The settings with rules that the command line selects, which replace those of the file, and ignores, which join them."""
    names = one_of([rule.name for rule in rules], "rule")
    try:
        chosen, left_out = tuple(map(names, select)), tuple(map(names, ignore))
    except ValueError as error:
        raise _refusal(str(error), None) from None
    return replace(settings, select=chosen or settings.select, ignore=(*settings.ignore, *left_out))


def _refusal(message: str, path: str | None) -> IrflopsError:
    text, _, hint = message.partition("; ")
    return IrflopsError(text, path=path, hint=hint or None)


def _rule(name: str, rules: Iterable[str]) -> str:
    return one_of(rules, "rule")(name)


def _rule_names(value: object, rules: Iterable[str]) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError("should be a list of rules' names")
    known = list(rules)
    return tuple(_rule(name, known) for name in value)


def _table(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ValueError("should be a table")  # noqa: TRY004 - the user's fault, which the caller tells by ValueError
    return value


def _severity(value: object) -> Severity:
    if not isinstance(value, str):
        raise ValueError(f"should be one of {', '.join(SEVERITIES)}")  # noqa: TRY004 - the user's fault, which the caller tells by ValueError
    return SEVERITIES[one_of(SEVERITIES, "severity")(value)]


def _options(table: Mapping[str, object], rules: Mapping[str, AuditRule]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for name, value in table.items():
        options = _table(value)
        rules[_rule(name, rules)].options(options)  # refuses what it cannot use, now and with the file's name
        found[name] = dict(options)
    return found
