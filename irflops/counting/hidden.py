"""What a form hides, cost by cost: how sure a total can be at best, whatever its operators say.

The same data make the table in docs/formats.md. What a form lacks of single operators (attributes, the operand that a pass added) is not
here: it makes those operators' own figures unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from irflops.counting.cost import COST_NAMES, FIGURES
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Graph, Phase
from irflops.ir.holds import Holds
from irflops.ir.signatures import TERM_ADDERS

_WORK = ("macs", "flops", "transcendentals")
_MOVED_AND_HELD = tuple(name for name in FIGURES if name not in _WORK)
_MOVED = tuple(name for name in _MOVED_AND_HELD if name != "saved_bytes")

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


def passes_to_come(graph: Graph) -> Mapping[str, Certainty]:
    """How sure costs can be at best where a pass changes operators of the graph that the form was made before.

    One always merges a sum into the sum that alone reads it: that moves less, and adds more where the one reads the other twice. Others
    obey a switch. A saved graph tells what was saved, whatever passes make of it.
    """
    if graph.holds.passes or not graph.holds.dead_ops:
        return {}
    sums = {op.outputs[0].lbn: op for op in graph.ops if op.type == "add_n" and op.outputs}
    readers: dict[str, list[str | None]] = {}
    for op in graph.ops if sums else ():
        for operand in op.inputs:
            if operand.lbn in sums:
                readers.setdefault(operand.lbn, []).append(op.name if op.type == "add_n" else None)
    merged = [names for names in readers.values() if None not in names and len(set(names)) == 1]
    changes = bool(merged) or any(switch in graph.switches and may(graph) for switch, may in _SWITCHES.items())
    found = (
        dict.fromkeys(("bytes_read", "bytes_written", "activation_elements", "activation_bytes"), Certainty.UNBOUNDED) if changes else {}
    )
    return found | {"flops": Certainty.LOWER_BOUND} if any(len(names) > 1 for names in merged) else found


def _adds_in_passing(graph: Graph) -> bool:
    """Whether a sum of two is there of which the maker of one term can add the other."""
    makers = {result.lbn: op for op in graph.ops for result in op.outputs if TERM_ADDERS.get(op.type or "") == result.arg}
    return any(op.type == "add_n" and len(op.inputs) == 2 and any(operand.lbn in makers for operand in op.inputs) for op in graph.ops)


def _is_on_gpu(graph: Graph) -> bool:
    """Whether automatic mixed precision, which looks at operators on GPUs alone, finds any."""
    return any(op.placement is not None and op.placement.device == "cuda" for op in graph.ops)


_SWITCHES: Mapping[str, Callable[[Graph], bool]] = {
    "enable_fuse_add_to_output": _adds_in_passing,
    "enable_fuse_cast_scale": lambda graph: any(op.type == "cast" for op in graph.ops),
    "enable_auto_mixed_precision": _is_on_gpu,
}
"""By a field of JobConfigProto, whether the pass that obeys it may find something to change. What moves and lies in memory differs after
each of them; multiply-accumulates and FLOPs do not: an addition is made elsewhere, a cast counts none."""


def hidden_by(graph: Graph, name: str) -> tuple[str, ...]:
    """The facts that the form lacks and for want of which a cost of COST_NAMES is no more than a bound."""
    if not graph.training:
        return ("passes",) if name in passes_to_come(graph) else ()
    return tuple(fact for fact, costs in HIDDEN.items() if name in costs and not getattr(graph.holds, fact))


def is_forward_alone(graph: Graph) -> bool:
    """Whether this is a training step of which the form holds the forward pass alone."""
    late = (Phase.BACKWARD, Phase.OPTIMIZER)
    return graph.training and not graph.holds.backward and not any(op.phase in late for op in graph.ops)
