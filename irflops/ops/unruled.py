"""Facts of op types that have no rule: what they cost is unknown, and why."""

from __future__ import annotations

from irflops.ops.facts import OpFacts

_COMPILED = "a function that OneFlow compiled out of other operators, which the graph holds as an attribute, in code and not in operators"
_GENERIC = "the shell in which MLIR writes operators of any type: of this one the type that stands in its attributes could not be read"

UNRULED: tuple[OpFacts, ...] = (
    OpFacts(op_types=("kernel_launch", "mlir_jit"), reason=_COMPILED),
    OpFacts(op_types=("user", "system"), reason=_GENERIC),
)
