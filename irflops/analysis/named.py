"""Costs of a graph by the one name that each has in conditions, budgets, columns and JSON; amounts of them as users write these."""

from __future__ import annotations

import difflib
import re
from fractions import Fraction
from functools import reduce
from operator import add

from irflops.analysis.analysis import Analysis
from irflops.counting.cost import COSTS, FIGURES, ZERO
from irflops.counting.hidden import hidden_by
from irflops.errors import IrflopsError, quoted
from irflops.ir.certainty import Certainty
from irflops.ir.graph import VariableKind

DECLARED = "declared_params"
"""Elements of the parameters that the modules' own lines declare."""

COMMUNICATION = "communication_bytes"
"""What the devices of a graph send one another in a step."""

MEMORY = "memory_bytes"
"""What the device that holds most holds at most over a step."""

OF_THE_WHOLE = (DECLARED, COMMUNICATION, MEMORY)
"""The costs that are no sums over operators."""

ON_DEMAND = (MEMORY,)
"""The costs that are worked out only where one asks for them by name: a plan takes longer than an analysis."""

NAMES = (*COSTS, *OF_THE_WHOLE)
"""Every name of a cost of a graph."""

PER_SAMPLE = frozenset({*FIGURES, "bytes"})
"""Costs that grow with the batch, so that there is one of each sample; those of variables do not."""

OF_MODEL = frozenset(name for name in COSTS if name.startswith("param") and not name.endswith(VariableKind.OPTIMIZER_STATE.value))
"""Costs of the variables that the user's code makes."""

_NUMBER = re.compile(r"([+-]?\d{1,18}(?:\.\d{1,9})?(?:e\+?\d{1,2})?)\s*([A-Za-z]*)")
_COUNTS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_BYTES = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40} | {
    f"{prefix}B": factor for prefix, factor in _COUNTS.items() if prefix
}


def cost_called(name: str) -> str:
    """The name, where a cost has it. Errors: IrflopsError with the nearest one, or all."""
    if name in NAMES:
        return name
    near = difflib.get_close_matches(name, NAMES, n=1)
    raise IrflopsError(f"there is no cost {quoted(name)}", hint=f"did you mean {near[0]}?" if near else f"costs: {', '.join(NAMES)}")


def cost_of(analysis: Analysis, name: str) -> tuple[int | None, Certainty]:
    """What a graph costs by any of NAMES, and how sure that is; None where nothing at all is known of it.

    A form without the optimizer lacks its states alone: the parameters and buffers of the model are known in full all the same.
    """
    if name == COMMUNICATION:
        return analysis.communication_bytes
    if name == MEMORY:
        return analysis.memory.total
    if name in OF_MODEL and hides_states_alone(analysis):
        own = reduce(add, (found.cost for op, found in zip(analysis.graph.ops, analysis.costs, strict=True) if op.kind is not None), ZERO)
        return own.get(name), own.certainty(name)
    if name != DECLARED:
        return analysis.total.get(name), analysis.total.certainty(name)
    declared = analysis.declared_params
    sure = Certainty.UNBOUNDED if declared is None else Certainty.LOWER_BOUND if analysis.graph.partial else Certainty.EXACT
    return declared, sure


def hides_states_alone(analysis: Analysis) -> bool:
    """Whether the form of a training step lacks no variable but the states of its optimizer."""
    return not analysis.graph.partial and hidden_by(analysis.graph, "params") == ("optimizer",)


def is_bytes(name: str) -> bool:
    """Whether a cost is a number of bytes."""
    return "bytes" in name.partition(".")[0].split("_")


def amount(text: str, name: str) -> Fraction:
    """How much of a cost a text says: `1e9`, `2.5G`, of bytes `3MiB` or `3MB`. Errors: ValueError with what it should be.

    >>> amount("2.5G", "macs"), amount("+3MiB", "bytes"), amount("-1e3", "params")
    (Fraction(2500000000, 1), Fraction(3145728, 1), Fraction(-1000, 1))
    """
    units = _BYTES if is_bytes(name) else _COUNTS
    match = _NUMBER.fullmatch(text.strip())
    if match is None or match[2] not in units:
        examples = "1048576, 1MiB or 1MB" if is_bytes(name) else "1000000, 1e6 or 1M"
        raise ValueError(f"{quoted(text.strip())} is no number of {name}; write {examples}")
    return Fraction(match[1]) * units[match[2]]
