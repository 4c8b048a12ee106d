"""A graph under construction: what a reader fills in before the graph is frozen."""

from __future__ import annotations

from dataclasses import dataclass

from irflops.ir.graph import NO_ATTRS, Attrs, Location, Operand, Phase, Placement, Role, VariableKind


@dataclass(slots=True)
class Draft:
    """An operator under construction; the fields are those of `ir.Op`, and what its name told."""

    name: str
    type: str | None
    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]
    attrs: Attrs = NO_ATTRS
    placement: Placement | None = None
    module: str = ""
    start: int = -1
    """Offset in the source, -1 for operators that the form does not print."""
    end: int = -1
    location: Location | None = None
    candidates: tuple[str, ...] = ()
    number: int | None = None
    role: Role = Role.USER
    recompute: bool = False
    gradient: bool = False
    """Whether its name is that of a gradient operator, as in OneFlow 0.8.0."""
    rewritten: bool = False
    trainable: bool | None = None
    """What the form says of a variable by itself, None where it says nothing."""
    kind: VariableKind | None = None
    kind_source: str | None = None
    kind_open: bool = False
    """Whether the kind is a guess: the line that declares the variable is lost."""
    phase: Phase | None = None
    runs: int = 1
    elided: bool = False
    hidden: bool = False
    readings: tuple[tuple[Operand, ...], ...] = ()
    """Every set of operands that it may have, `inputs` first, where the form does not tell which; none where it does."""
    after: tuple[str, ...] = ()

    def may_have(self, operand: Operand) -> bool:
        """Adds to each set of operands the same with one more; says whether that is new: an argument can be open once alone."""
        readings = self.readings or (self.inputs,)
        if any(other.arg == operand.arg for other in readings[-1]):
            return False
        self.readings = tuple(one for reading in readings for one in (reading, (*reading, operand)))
        return True
