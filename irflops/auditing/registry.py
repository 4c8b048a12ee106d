"""All rules: those of this package, and those that installed packages add through the entry point group `irflops.rules`."""

from __future__ import annotations

from irflops.auditing.guard import guarded
from irflops.auditing.rule import AuditRule
from irflops.auditing.rules import RULES
from irflops.configuration.packages import added
from irflops.errors import IrflopsError

GROUP = "irflops.rules"
"""An entry point of this group names an `AuditRule`, or an iterable of them."""


def all_rules() -> tuple[AuditRule, ...]:
    """The rules in order, added ones last. Errors: IrflopsError where a package's rules cannot be used."""
    rules = list(RULES)
    names = {rule.name: "irflops" for rule in rules}
    for package, theirs in added(GROUP, AuditRule, "audit rules"):
        for rule in theirs:
            if rule.name in names:
                raise IrflopsError(
                    f"{package} adds a rule {rule.name!r}, which {names[rule.name]} has already", hint=f"uninstall {package}"
                )
            names[rule.name] = package
            rules.append(guarded(rule, package))
    return tuple(rules)
