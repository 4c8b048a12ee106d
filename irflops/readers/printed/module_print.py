"""The print of one module of a graph, `print(graph.linear)`: what stands for all that is beyond its borders."""

from __future__ import annotations

from collections.abc import Container, Sequence

from irflops.ir.graph import Operand
from irflops.readers.meaning.assemble import result_operand
from irflops.readers.meaning.draft import Draft

OUTSIDE = "(outside of the module)"
"""The name of what may read the results that nothing in the module reads."""


def bounded(drafts: Sequence[Draft], declared: Container[str]) -> list[Draft]:
    """What stands for all that is outside: an input for each operator that only reads, and one output that may read any result.

    A variable that a PARAMETER or BUFFER line of the module declares is none of it.
    """
    made = {result.lbn for draft in drafts for result in draft.outputs}
    outside: dict[str, dict[str, Operand]] = {}
    for draft in drafts:
        for operand in draft.inputs:
            name, _, blob = operand.lbn.partition("/")
            if operand.lbn not in made and name not in declared:
                outside.setdefault(name, {}).setdefault(operand.lbn, result_operand(operand.lbn, blob, operand.type))
    names = {draft.name for draft in drafts}
    inputs = [Draft(name, "input", (), tuple(results.values()), hidden=True) for name, results in outside.items() if name not in names]
    return [*inputs, Draft(OUTSIDE, "output", (), (), elided=True, hidden=True)]
