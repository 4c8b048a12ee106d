"""Which element type takes the place of which, by what a tensor is for: weights, activations, or all of them."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from irflops.errors import IrflopsError, quoted
from irflops.ir.graph import DType, Graph, TensorType, VariableKind
from irflops.ops.book import RuleBook
from irflops.ops.costs import no_work

Swap = Mapping[DType, DType]
"""What takes the place of an element type."""

ALIASES = {
    "fp16": "float16",
    "half": "float16",
    "bf16": "bfloat16",
    "fp32": "float32",
    "float": "float32",
    "fp64": "float64",
    "double": "float64",
}
"""What people write for OneFlow's names."""

_NOTHING: Swap = {}
_WEIGHTS = (VariableKind.TRAINABLE, VariableKind.FROZEN)


@dataclass(frozen=True, slots=True)
class Widths:
    """The element types that a what-if gives its tensors, in the place of the captured ones."""

    every: Swap = field(default_factory=dict)
    """Of tensors that are neither weights nor activations; none of them where weights or activations alone are asked for."""
    weights: Swap = field(default_factory=dict)
    activations: Swap = field(default_factory=dict)
    roles: Mapping[str, VariableKind | None] = field(default_factory=dict)
    """By lbn the kind of the variables that a tensor is, perhaps moved or cut: of these, by lbn, all there are."""

    def __bool__(self) -> bool:
        return bool(self.every or self.weights or self.activations)

    def of(self, lbn: str) -> Swap:
        """What takes the place of the element type of a tensor."""
        return self.activations if lbn not in self.roles else self.of_kind(self.roles[lbn])

    def of_kind(self, kind: VariableKind | None) -> Swap:
        """The same of a variable of that kind. Optimizer states keep their type; None is of variables of several kinds."""
        if kind is VariableKind.OPTIMIZER_STATE:
            return _NOTHING
        return self.weights if kind in _WEIGHTS else self.every

    @property
    def words(self) -> list[str]:
        """What changes, in words."""
        if self.weights == self.activations == self.every:
            return [f"{_pair(self.every)}, integers and optimizer states as they were"] if self.every else []
        parts = [f"{name} {_pair(swap)}" for name, swap in (("weights", self.weights), ("activations", self.activations)) if swap]
        kept = "optimizer states" if self.every else "buffers and optimizer states"
        return [f"{', '.join(parts)}, integers, {kept} as they were"] if parts else []


def widths_of(
    graph: Graph,
    types: Mapping[str, TensorType],
    book: RuleBook,
    dtype: str | DType | None,
    weights: str | DType | None,
    activations: str | DType | None,
) -> Widths:
    """The widths that are asked for. `dtype` is for all tensors of the commonest float type, but for what the other two are for.

    Errors: IrflopsError where one is no type of numbers, or the graph has no tensors of a float type in that role.
    """
    if dtype is None and weights is None and activations is None:
        return Widths()
    for_all, for_weights, for_activations = (None if name is None else dtype_of(name) for name in (dtype, weights, activations))
    roles = _roles(graph, types, book)
    every = _swap("tensor", types.values(), for_all)
    found = Widths(every, every, every, roles)
    if for_weights is not None:
        meant = [type_ for lbn, type_ in types.items() if lbn in roles and roles[lbn] in _WEIGHTS]
        found = replace(found, weights=_swap("weight", meant, for_weights))
    if for_activations is not None:
        meant = [type_ for lbn, type_ in types.items() if lbn not in roles]
        found = replace(found, activations=_swap("activation", meant, for_activations))
    return found


def dtype_of(name: str | DType) -> DType:
    """A type of numbers by its name in OneFlow's Python, or by one that people use. Errors: IrflopsError with the names there are."""
    known = {dtype.word: dtype for dtype in DType if dtype.is_number}
    if isinstance(name, DType):
        name = name.word
    name = ALIASES.get(name, name)
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    raise IrflopsError(
        f"{quoted(name)} is no type of numbers: there are {', '.join(sorted(known))}", hint=f"did you mean {near[0]}?" if near else None
    )


def _swap(what: str, types: Iterable[TensorType], wanted: DType | None) -> Swap:
    """The commonest float type and what takes its place, nothing where no other is asked for."""
    if wanted is None:
        return _NOTHING
    floats = Counter(type_.dtype for type_ in types if type_.dtype is not None and type_.dtype.is_float)
    if not floats:
        raise IrflopsError(f"the graph has no {what} of a float type")
    commonest = floats.most_common(1)[0][0]
    return _NOTHING if commonest is wanted else {commonest: wanted}


def _roles(graph: Graph, types: Mapping[str, TensorType], book: RuleBook) -> dict[str, VariableKind | None]:
    """By lbn the kind of the variables that a tensor is; what operators without work make of them in their element type is they still."""
    roles: dict[str, VariableKind | None] = {}
    for index in graph.edges.order:
        op = graph.ops[index]
        if op.type == "variable":
            roles |= dict.fromkeys((result.lbn for result in op.outputs), op.kind)
            continue
        rule = book.rule(op.type)
        if rule is None or rule.cost is not no_work or not op.inputs or any(operand.lbn not in roles for operand in op.inputs):
            continue
        made = {types[result.lbn].dtype for result in op.outputs}
        if made == {types[operand.lbn].dtype for operand in op.inputs}:
            kinds = {roles[operand.lbn] for operand in op.inputs}
            roles |= dict.fromkeys((result.lbn for result in op.outputs), kinds.pop() if len(kinds) == 1 else None)
    return roles


def _pair(swap: Swap) -> str:
    return ", ".join(f"{old.word} -> {new.word}" for old, new in swap.items())
