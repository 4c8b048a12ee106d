"""What a form hides, cost by cost: how sure a total can be at best, whatever its operators say.

The same data make the table in docs/formats.md. What a form lacks of single operators (attributes, the operand that a pass added) is not
here: it makes those operators' own figures unknown.
"""

from __future__ import annotations

from collections.abc import Mapping

from irflops.counting.cost import COST_NAMES, FIGURES
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Graph, Phase
from irflops.ir.holds import Holds

_WORK = ("macs", "flops", "transcendentals")
_MOVED_AND_HELD = tuple(name for name in FIGURES if name not in _WORK)

HIDDEN: Mapping[str, Mapping[str, Certainty]] = {
    "backward": dict.fromkeys(FIGURES, Certainty.LOWER_BOUND),
    "optimizer": dict.fromkeys((*_WORK, "params", "param_bytes"), Certainty.LOWER_BOUND)
    | dict.fromkeys(("bytes_read", "bytes_written"), Certainty.LOWER_BOUND),
    "recompute": dict.fromkeys(FIGURES, Certainty.LOWER_BOUND) | {"saved_bytes": Certainty.UNBOUNDED},
    "passes": dict.fromkeys(_MOVED_AND_HELD, Certainty.UNBOUNDED),
}
"""By the fact of `Holds` that is missing, how the true costs of a training step relate to those that are counted. Passes merge chains of
additions and drop results that nothing reads: bytes and activations can be fewer than counted, and with what else is missing more. What is
computed again is not kept from forward, but for that from which it is computed."""


def at_best(holds: Holds, *, training: bool) -> dict[str, Certainty]:
    """How sure each cost can be at best in a form that tells this.

    A graph for inference has no backward pass and no optimizer and computes nothing again, and its operators are those of the job before
    and after the passes. A saved graph is taken for one, unless it is known to be of a training step.
    """
    found = dict.fromkeys(COST_NAMES, Certainty.EXACT)
    for fact, costs in HIDDEN.items() if training else ():
        if not getattr(holds, fact):
            for name, certainty in costs.items():
                found[name] |= certainty
    if training and not holds.backward:
        found["saved_bytes"] = Certainty.LOWER_BOUND  # none is counted
    return found


def merged_sums(graph: Graph) -> Mapping[str, Certainty]:
    """How sure costs can be at best where a pass that the form was made before merges a sum into the sum that alone reads it.

    That moves less, and adds more where the one reads the other twice. A saved graph tells what was saved, whatever passes make of it.
    """
    if graph.holds.passes or not graph.holds.dead_ops:
        return {}
    sums = {op.outputs[0].lbn for op in graph.ops if op.type == "add_n" and op.outputs}
    readers: dict[str, list[str | None]] = {}
    for op in graph.ops:
        for operand in op.inputs:
            if operand.lbn in sums:
                readers.setdefault(operand.lbn, []).append(op.name if op.type == "add_n" else None)
    merged = [names for names in readers.values() if None not in names and len(set(names)) == 1]
    found = dict.fromkeys(_MOVED_AND_HELD, Certainty.UNBOUNDED) if merged else {}
    return found | {"flops": Certainty.LOWER_BOUND} if any(len(names) > 1 for names in merged) else found


def hidden_by(graph: Graph, name: str) -> tuple[str, ...]:
    """The facts that the form lacks and for want of which a cost of COST_NAMES is no more than a bound."""
    if not graph.training:
        return ("passes",) if name in merged_sums(graph) else ()
    return tuple(fact for fact, costs in HIDDEN.items() if name in costs and not getattr(graph.holds, fact))


def is_forward_alone(graph: Graph) -> bool:
    """Whether this is a training step of which the form holds the forward pass alone."""
    late = (Phase.BACKWARD, Phase.OPTIMIZER)
    return graph.training and not graph.holds.backward and not any(op.phase in late for op in graph.ops)
