"""The rules and facts of all op types that an analysis knows, as one value that is passed to whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from irflops.ops.facts import NO_FACTS, Effect, OpFacts
from irflops.ops.rule import OpRule


@dataclass(frozen=True)
class RuleBook:
    """Rules, no two of one op type, and facts of op types that have none. `ops.BOOK` holds those of this package."""

    rules: tuple[OpRule, ...]
    unruled: tuple[OpFacts, ...] = ()
    own: tuple[OpRule, ...] = ()
    """Rules of a user's, each of which stands in the place of another for the same op type."""

    def __post_init__(self) -> None:
        for facts in ((*self.rules, *self.unruled), self.own):
            seen: set[str] = set()
            for op_type in (op_type for one in facts for op_type in one.op_types):
                if op_type in seen:
                    raise TypeError(f"op type {op_type} has two rules")
                seen.add(op_type)

    def __repr__(self) -> str:
        return f"<RuleBook of {len(self.by_type)} op types>"

    def with_rules(self, *rules: OpRule) -> RuleBook:
        """A book with these rules too, where an op type had one, in its place."""
        return RuleBook(self.rules, self.unruled, (*self.own, *rules))

    @cached_property
    def by_type(self) -> Mapping[str, OpRule]:
        """The rule of each op type that has one."""
        return {op_type: rule for rule in (*self.rules, *self.own) for op_type in rule.op_types}

    @cached_property
    def _facts(self) -> Mapping[str, OpFacts]:
        return {op_type: facts for facts in (*self.unruled, *self.rules, *self.own) for op_type in facts.op_types}

    def rule(self, op_type: str | None) -> OpRule | None:
        """The rule of an op type, None where there is none or the dump does not tell the type."""
        return self.by_type.get(op_type) if op_type is not None else None

    def taught_by(self, op_type: str | None) -> str | None:
        """Who says how an op type is counted, where that is not irflops: `irflops.toml:12`, a package, `op_rules`."""
        return self._taught.get(op_type) if op_type is not None else None

    @cached_property
    def _taught(self) -> Mapping[str, str]:
        return {op_type: rule.by or "op_rules" for rule in self.own for op_type in rule.op_types}

    @cached_property
    def replaced(self) -> frozenset[str]:
        """Types that irflops has a rule for in whose place a user's stands."""
        return frozenset(op_type for rule in self.rules for op_type in rule.op_types if op_type in self._taught)

    def facts(self, op_type: str | None) -> OpFacts:
        """What is known of an op type beside its cost."""
        return self._facts.get(op_type, NO_FACTS) if op_type is not None else NO_FACTS

    @cached_property
    def contractions(self) -> frozenset[str]:
        """Types that multiply and accumulate."""
        return frozenset(op_type for op_type, rule in self.by_type.items() if rule.contraction)

    @cached_property
    def views(self) -> frozenset[str]:
        """Types whose results own no storage."""
        return frozenset(op_type for op_type, facts in self._facts.items() if facts.is_view)

    @cached_property
    def handed_on(self) -> frozenset[str]:
        """Types that hand a variable on as it is."""
        return frozenset(op_type for op_type, facts in self._facts.items() if facts.hands_on)

    @cached_property
    def drop_rates(self) -> Mapping[str, str]:
        """By type that drops elements at random the attribute with the rate."""
        return {op_type: facts.drop_rate for op_type, facts in self._facts.items() if facts.drop_rate}

    @cached_property
    def equal(self) -> Mapping[str, str]:
        """By type whose two operands broadcast the type that OneFlow takes where they are of one shape."""
        return {rule.unequal: op_type for op_type, rule in self.by_type.items() if rule.unequal}

    @cached_property
    def once(self) -> Mapping[str, str]:
        """By type whose first operand repeats the second's shape the type that OneFlow takes where it has as many elements."""
        return {rule.repeated: op_type for op_type, rule in self.by_type.items() if rule.repeated}

    def of(self, effect: Effect) -> frozenset[str]:
        """Types that have an effect."""
        return frozenset(op_type for op_type, facts in self._facts.items() if effect in facts.effects)
