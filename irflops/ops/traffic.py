"""The bytes that an op moves, and the rules that tell them from arguments alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from irflops.ir.graph import TensorType
from irflops.ops.op_view import OpView, known

TOGETHER = ""
"""In place of an argument's name: bytes of all operands, or of all results, of which a rule tells the sum alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Bytes that one run moves, without fusion, by argument name; or under TOGETHER, and nothing else."""

    reads: Mapping[str, int]
    """Bytes read, per operand argument."""
    writes: Mapping[str, int]
    """Bytes written, per result argument, or per operand argument that is updated in place."""


TrafficRule = Callable[[OpView], Traffic]
"""The bytes that one run moves."""


def touch_all(op: OpView) -> Traffic:
    """Each operand is read once, each result written once."""
    return Traffic(
        reads={arg: op.nbytes(arg) for arg in op.input_args},
        writes={arg: sum(known(t.nbytes, arg) for t in op.outputs(arg)) for arg in op.output_args},
    )


def touch_nothing(op: OpView) -> Traffic:
    """A view: nothing moves."""
    return Traffic(reads=dict.fromkeys(op.input_args, 0), writes=dict.fromkeys(op.output_args, 0))


def moves(
    *,
    like: Sequence[str] = (),
    sized_as: Mapping[str, str] | None = None,
    rewrites: Mapping[str, str] | None = None,
) -> TrafficRule:
    """A traffic rule by argument.

    `like` operands give a shape alone and move nothing. An argument of `sized_as` moves as
    many elements, of its own dtype, as another argument has (`{"in": "out"}`: gather reads what it gives out). A `rewrites` operand is
    written in place at as many elements as another argument has, and not read (`{"ref": "value"}`: a slice update). Arguments that are
    absent are passed over.
    """
    sizes = dict(sized_as or {})
    updates = dict(rewrites or {})

    def rule(op: OpView) -> Traffic:
        def whole(arg: str, tensors: Sequence[TensorType]) -> int:
            if arg in sizes:
                return op.dtype(arg).nbytes(op.numel(sizes[arg]))
            return sum(known(t.nbytes, arg) for t in tensors)

        reads = {arg: 0 if arg in like or arg in updates else whole(arg, op.inputs(arg)) for arg in op.input_args}
        writes = {arg: whole(arg, op.outputs(arg)) for arg in op.output_args}
        writes |= {arg: op.dtype(arg).nbytes(op.numel(n)) for arg, n in updates.items() if arg in op.input_args}
        return Traffic(reads=reads, writes=writes)

    return rule
