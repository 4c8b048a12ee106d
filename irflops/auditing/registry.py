"""All rules: those of this package, and those that installed packages add through the entry point group `irflops.rules`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata

from irflops.auditing.guard import guarded, said
from irflops.auditing.rule import AuditRule
from irflops.auditing.rules import RULES
from irflops.errors import IrflopsError

GROUP = "irflops.rules"
"""An entry point of this group names an `AuditRule`, or an iterable of them."""


def all_rules() -> tuple[AuditRule, ...]:
    """The rules in order, added ones last. Errors: IrflopsError where a package's rules cannot be used."""
    rules = list(RULES)
    names = {rule.name: "irflops" for rule in rules}
    for point in _entry_points():
        package = _package(point)
        for rule in _loaded(point, package):
            if rule.name in names:
                raise IrflopsError(
                    f"{package} adds a rule {rule.name!r}, which {names[rule.name]} has already", hint=f"uninstall {package}"
                )
            names[rule.name] = package
            rules.append(guarded(rule, package))
    return tuple(rules)


def _entry_points() -> list[metadata.EntryPoint]:
    try:
        return sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name)
    except Exception as error:  # one package with damaged metadata is enough, and it need not have to do with irflops
        raise IrflopsError(
            f"what the installed packages add cannot be read: {said(error)}", hint="pip check may name the package"
        ) from error


def _package(point: metadata.EntryPoint) -> str:
    """The name of the distribution; where its metadata lacks one, what it imports."""
    try:
        name = point.dist.name if point.dist is not None else None
    except (KeyError, TypeError):
        name = None
    return name or point.value


def _loaded(point: metadata.EntryPoint, package: str) -> tuple[AuditRule, ...]:
    try:
        found = point.load()
        rules = (found,) if isinstance(found, AuditRule) else tuple(found) if isinstance(found, Iterable) else ()
    except (Exception, SystemExit) as error:  # whatever a package does when it is imported, it is not our fault
        raise IrflopsError(f"the rules of {package} cannot be loaded: {said(error)}", hint=f"uninstall {package}") from error
    if not rules or not all(isinstance(rule, AuditRule) for rule in rules):
        raise IrflopsError(f"{package} names {point.value} as audit rules, which is none", hint=f"uninstall {package}")
    return rules
