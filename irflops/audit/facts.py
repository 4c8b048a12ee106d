"""What audit rules ask of an analysis: who reads what, which ops have a type, what an op costs. Each answer is worked out once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from irflops.analysis import Analysis
from irflops.audit.identity import made_as, ordinals
from irflops.audit.kinds import VIEWS
from irflops.cost import COST_NAMES, FIGURES, Cost, CostTable
from irflops.infer import operand_type, view
from irflops.ir import Graph, Op, Operand, Phase, TensorType, VariableKind
from irflops.ops.rule import OpView
from irflops.order import run_order
from irflops.signatures import signature

LATER_ATTRS = frozenset(
    {
        ("conv1d", "tuning_cache"),
        ("conv2d", "tuning_cache"),
        ("conv3d", "tuning_cache"),
        ("constant", "complex_value"),
        ("constant", "is_complex_value"),
        *((f"adaptive_{kind}_pool{rank}d{grad}", "data_format") for kind in ("avg", "max") for rank in (1, 2, 3) for grad in ("", "_grad")),
    }
)
"""Attributes that OneFlow after 0.9 added: a dump of 0.9 holds all that there were without them."""

USERS_PHASES = frozenset({Phase.FORWARD, None})
"""Phases of the ops that the user's own code made; OneFlow makes the others."""


@dataclass(frozen=True)
class Use:
    """An operand slot that reads a tensor."""

    op: Op
    operand: Operand


@dataclass(frozen=True)
class Facts:
    """The facts of one analysis."""

    analysis: Analysis

    @property
    def graph(self) -> Graph:
        """The graph."""
        return self.analysis.graph

    @cached_property
    def by_type(self) -> Mapping[str | None, Sequence[Op]]:
        """Ops by type, in file order."""
        found: dict[str | None, list[Op]] = {}
        for op in self.graph.ops:
            found.setdefault(op.type, []).append(op)
        return found

    def of(self, *op_types: str) -> Iterator[Op]:
        """Ops of these types, one type after the other."""
        for op_type in op_types:
            yield from self.by_type.get(op_type, ())

    def users(self, *op_types: str) -> Iterator[Op]:
        """Ops of these types that the user's own code made, with operands that the dump shows."""
        return (op for op in self.of(*op_types) if op.phase in USERS_PHASES and not op.elided)

    @cached_property
    def readers(self) -> Mapping[str, Sequence[Use]]:
        """Operand slots by the lbn that they read, in file order."""
        found: dict[str, list[Use]] = {}
        for op in self.graph.ops:
            for operand in op.inputs:
                found.setdefault(operand.lbn, []).append(Use(op, operand))
        return found

    def uses(self, op: Op) -> list[Use]:
        """The operand slots that read any result of an op."""
        return [use for result in op.outputs for use in self.readers.get(result.lbn, ())]

    def only_use(self, op: Op) -> Use | None:
        """The one operand slot that reads the op's results, None where several do or none."""
        uses = self.uses(op)
        return uses[0] if len(uses) == 1 else None

    def producer(self, operand: Operand) -> Op | None:
        """The op behind an operand."""
        return self.graph.producers.get(operand.lbn)

    def variable(self, operand: Operand, through: frozenset[str] = frozenset()) -> Op | None:
        """The variable behind an operand, straight or through ops of these types; None where it is no variable."""
        op = self.producer(operand)
        while op is not None and op.type in through and len(op.inputs) == 1:
            op = self.producer(op.inputs[0])
        return op if op is not None and op.type == "variable" else None

    def type(self, operand: Operand) -> TensorType:
        """The type of an operand or result, inferred where the file leaves it out."""
        return operand_type(operand, self.analysis.inference.types)

    def view(self, op: Op) -> OpView:
        """The op as its cost rule sees it."""
        return view(op, op.type or "", self.analysis.inference.types)

    def shape(self, operand: Operand) -> tuple[int, ...] | None:
        """The whole shape of an operand or result, None where an extent is unknown."""
        shape = self.type(operand).shape
        return shape if shape is not None and None not in shape else None  # type: ignore[return-value]  # None is excluded

    @cached_property
    def has_backward(self) -> bool:
        """Whether the graph has a backward pass."""
        graph = self.graph
        return graph.training or any(op.phase in (Phase.BACKWARD, Phase.OPTIMIZER) and op.type != "variable" for op in graph.ops)

    @cached_property
    def updates(self) -> Sequence[Op]:
        """The optimizer's update ops."""
        return [op for op in self.graph.ops if op.phase is Phase.OPTIMIZER and not op.outputs and argument(op, "model") is not None]

    @cached_property
    def blind(self) -> Op | None:
        """An op whose operands the dump leaves out, if there is one: it may read anything. Sources that OneFlow never prints are none."""
        return next((op for op in self.graph.ops if op.elided and not self.is_hidden(op)), None)

    def is_hidden(self, op: Op) -> bool:
        """Whether no line makes this op: it is known from those that read it alone."""
        return op.elided and op.span is None and not op.inputs and bool(op.outputs)

    @cached_property
    def fed_by(self) -> Sequence[Sequence[int]]:
        """By op, indices of the ops behind its operands, in their order."""
        maker = {made.lbn: i for i, op in enumerate(self.graph.ops) for made in op.outputs}
        return [[maker[operand.lbn] for operand in op.inputs if operand.lbn in maker] for op in self.graph.ops]

    @cached_property
    def order(self) -> Sequence[int]:
        """Indices of the ops, producers before consumers, else as OneFlow made them, which is the same in every form; none of a cycle."""
        made = [made_as(op) for op in self.graph.ops]
        by_age = sorted(range(len(made)), key=made.__getitem__)
        place = [0] * len(made)
        for at, index in enumerate(by_age):
            place[index] = at
        return [by_age[at] for at in run_order([[place[j] for j in self.fed_by[index]] for index in by_age])]

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Index of an op in the graph, by its name."""
        return {op.name: i for i, op in enumerate(self.graph.ops)}

    @cached_property
    def ordinals(self) -> Mapping[str, int]:
        """1-based ordinal of an op among those of its module and type, by its name."""
        return ordinals(self.graph.ops)

    # Costs

    def cost(self, op: Op) -> Cost:
        """The cost of all runs of an op of the graph."""
        return self.analysis.op_cost(self.index[op.name])

    def cost_if(self, op: Op) -> Cost:
        """What an op would cost that is not in the graph."""
        return self._table.cost(op).cost * op.runs

    @cached_property
    def _table(self) -> CostTable:
        return CostTable(self.analysis.inference.types)

    def gain(self, removed: Iterable[Op], added: Iterable[Cost] = ()) -> dict[str, int] | None:
        """What the totals lose, by cost, without some ops and with other costs instead. None where that is nothing.

        A cost that something in it leaves unknown is left out.
        """
        less = sum((self.cost(op) for op in removed), Cost())
        more = sum(added, Cost())
        values = {name: less.get(name) - more.get(name) for name in FIGURES}
        values["params"] = sum(less.params) - sum(more.params)
        values["param_bytes"] = sum(less.param_bytes) - sum(more.param_bytes)
        return {name: values[name] for name in COST_NAMES if values[name] and less.is_known(name) and more.is_known(name)} or None

    # Attributes

    def attrs_are_known(self, op: Op) -> bool:
        """Whether the dump holds every attribute of the op, or its type has none."""
        return op.type is not None and attrs_are_known(op.type, frozenset(op.attrs))

    # What feeds what

    @cached_property
    def parameters(self) -> Sequence[Op]:
        """Variables that are trained or frozen parameters."""
        return [op for op in self.of("variable") if op.kind in (VariableKind.TRAINABLE, VariableKind.FROZEN)]

    def through_views(self, operand: Operand) -> Op | None:
        """The op behind an operand, views with one operand looked through."""
        op = self.producer(operand)
        while op is not None and op.type in VIEWS and len(op.inputs) == 1:
            op = self.producer(op.inputs[0])
        return op


def argument(op: Op, arg: str) -> Operand | None:
    """The first operand of an argument, None if it is absent."""
    return next((operand for operand in op.inputs if operand.arg == arg), None)


def result(op: Op, arg: str) -> Operand | None:
    """The first result of an argument, None if it is absent."""
    return next((operand for operand in op.outputs if operand.arg == arg), None)


_KNOWN: dict[tuple[str, frozenset[str]], bool] = {}


def attrs_are_known(op_type: str, names: frozenset[str]) -> bool:
    """Whether these are all attributes of an op type, but for those that later versions added."""
    key = op_type, names
    found = _KNOWN.get(key)
    if found is None:
        declared = signature(op_type)
        found = _KNOWN[key] = declared is not None and all(name in names or (op_type, name) in LATER_ATTRS for name in declared.attrs)
    return found
