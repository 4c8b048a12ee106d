"""What is true of an op type whatever it costs: whose memory its results lie in, what it writes to, what else it does."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from irflops.ir.certainty import Certainty


class Effect(enum.Enum):
    """What an op does beside giving results that follow from its operands."""

    RANDOM = "random"
    """It draws random numbers in each run. A seed does not change that: each kernel goes on with a generator of its own."""
    STATEFUL = "stateful"
    """It keeps a state from run to run: it counts micro-batches, or draws the rows that a table outside the graph lacks."""
    READS_NEXT = "reads_next"
    """It reads the next sample, or what another process sent, each time."""
    SIGNALS = "signals"
    """Its results are control signals, which say that the operand is there, and no data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpFacts:
    """Facts of one or several op types. Arguments go by their names in OneFlow's signatures."""

    op_types: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict, hash=False)
    """By result the operand that it is, under another name, shape or placement: nothing moves, and it owns no storage."""
    shares: Mapping[str, str] = field(default_factory=dict, hash=False)
    """By result the operand in whose memory OneFlow lays it where both have one dtype and one number of elements, to be read alone: its
    read-only in-place proposals. A transpose only where no axis of more than one element moves."""
    overwrites: Mapping[str, str] = field(default_factory=dict, hash=False)
    """By result the operand whose memory OneFlow lets it overwrite where nothing else still needs that: its mutable in-place proposals."""
    unreused: bool = False
    """Whether its results keep memory of their own for the whole run: those that OneFlow gives a number of registers
    (`same_output_regst_num`), and shares with nothing else."""
    updates: tuple[str, ...] = ()
    """Operands that it writes to, in place."""
    updates_with: str = ""
    """The result that only an op has which updates them, where not every op of the type does: `mean` of a batch norm in training."""
    effects: frozenset[Effect] = frozenset()
    drop_rate: str = ""
    """Of a random op, the attribute with the rate at which it drops elements, or one rate for each layer: of rate 0 nothing is random."""
    hands_on: bool = False
    """Whether its first operand comes out as it is, but for dtype, device and sbp: what a variable is used as is asked behind it."""

    looks_up: Mapping[str, str] = field(default_factory=dict, hash=False)
    """By operand of indices the operand whose entries they choose, along the axis of the attribute `axis`, or axis 0."""
    expands: bool = False
    """Whether OneFlow's API expands its operands to one shape first, so that no op of the type has them of two."""
    left_out_whole: Certainty | None = None
    """How sure it is that OneFlow leaves it out where its result would be all of its first operand; None where it does not."""

    reason: str = ""
    """Of op types without a rule, why they can have none."""

    @property
    def is_view(self) -> bool:
        """Whether results own no storage: they are operands under another name, or signals."""
        return bool(self.aliases) or Effect.SIGNALS in self.effects

    def updated(self, inputs: Collection[str], outputs: Collection[str]) -> tuple[str, ...]:
        """The operand arguments, among those present, that an op with these results writes to."""
        if self.updates_with and self.updates_with not in outputs:
            return ()
        return tuple(arg for arg in self.updates if arg in inputs)


NO_FACTS = OpFacts(op_types=())
