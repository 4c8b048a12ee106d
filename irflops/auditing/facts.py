"""What audit rules ask of an analysis: who reads what, which ops have a type, what an op costs. Each answer is worked out once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from irflops.analysis.analysis import Analysis
from irflops.auditing.identity import Ordinals, made_as
from irflops.counting.cost import COST_NAMES, OF_A_RUN, Cost, CostTable
from irflops.counting.hidden import hidden_by
from irflops.counting.infer import operand_type, view
from irflops.errors import Span
from irflops.ir.graph import Graph, Op, Operand, Phase, TensorType, VariableKind
from irflops.ir.order import run_order
from irflops.ir.signatures import op_types, signature
from irflops.machines.machine import Machine
from irflops.ops.book import RuleBook
from irflops.ops.op_view import OpView

_UPDATES = tuple(op_type for op_type in op_types() if op_type.endswith("_update"))
LATER_ATTRS = frozenset(
    {
        *((op_type, name) for op_type in _UPDATES for name in ("learning_rate_scale", "dampening", "nesterov", "maximize")),
        ("conv1d", "tuning_cache"),
        ("conv2d", "tuning_cache"),
        ("conv3d", "tuning_cache"),
        ("constant", "complex_value"),
        ("constant", "is_complex_value"),
        *((f"adaptive_{kind}_pool{rank}d{grad}", "data_format") for kind in ("avg", "max") for rank in (1, 2, 3) for grad in ("", "_grad")),
    }
)
"""Attributes that OneFlow after 0.9 added, and of optimizers after 0.8: an older dump holds all that there were without them."""

_AGAIN = frozenset({Phase.BACKWARD, Phase.RECOMPUTE})
_FORWARD = frozenset({Phase.FORWARD, Phase.SYSTEM, None})
"""Phases of the ops of a forward pass, with what OneFlow puts between them."""

USERS_PHASES = frozenset({Phase.FORWARD, None})
"""Phases of the ops that the user's own code made; OneFlow makes the others."""


class Use(NamedTuple):
    """An operand slot that reads a tensor."""

    op: Op
    operand: Operand


@dataclass(frozen=True)
class Facts:
    """The facts of one analysis."""

    analysis: Analysis
    machines: tuple[Machine, ...] = ()
    """The user's own machines, which budgets of time may name."""

    @property
    def graph(self) -> Graph:
        """The graph."""
        return self.analysis.graph

    @property
    def book(self) -> RuleBook:
        """The rules that the analysis was made by."""
        return self.analysis.book

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

    def uses(self, op: Op) -> Iterator[Use]:
        """The operand slots that read any result of an op, those of one result in file order."""
        for made in op.outputs:
            yield from self.uses_of(made)

    def uses_of(self, made: Operand) -> Iterator[Use]:
        """The operand slots that read a result, in file order."""
        edges = self.graph.edges
        for slot in edges.uses(made.lbn):
            index = edges.owners[slot]
            op = self.graph.ops[index]
            yield Use(op, op.inputs[slot - edges.first_slot[index]])

    def is_used(self, op: Op) -> bool:
        """Whether an operand slot reads a result of the op."""
        return any(self.graph.edges.uses(made.lbn) for made in op.outputs)

    def only_use(self, op: Op) -> Use | None:
        """The one operand slot that reads the op's results, None where several do or none."""
        return _only(self.uses(op))

    def only_forward_use(self, op: Op) -> Use | None:
        """The same in the forward pass: gradients and recomputed ops may read a result again."""
        if op.name not in self._forward_uses:
            self._forward_uses[op.name] = _only(use for use in self.uses(op) if use.op.phase not in _AGAIN)
        return self._forward_uses[op.name]

    @cached_property
    def _forward_uses(self) -> dict[str, Use | None]:
        return {}

    def producer(self, operand: Operand) -> Op | None:
        """The op behind an operand."""
        return self.graph.producers.get(operand.lbn)

    def variable(self, operand: Operand, through: frozenset[str] = frozenset()) -> Op | None:
        """The variable behind an operand, straight or through ops of these types; None where it is no variable."""
        op = self.origin(operand, through)
        return op if op is not None and op.type == "variable" else None

    def handed(self, operand: Operand) -> Op | None:
        """The variable behind an operand, straight or through ops that hand it on as it is."""
        return self.variable(operand, self.book.handed_on)

    def origin(self, operand: Operand, through: frozenset[str]) -> Op | None:
        """The op behind an operand, ops of these types with one operand looked through. A chain is walked once, however many read it."""
        known = self._origins.setdefault(through, {})
        passed, lbn = [], operand.lbn
        while lbn not in known:
            passed.append(lbn)
            op = self.graph.producers.get(lbn)
            if op is None or op.type not in through or len(op.inputs) != 1:
                known[lbn] = op
            else:
                lbn = op.inputs[0].lbn
        found = known[lbn]
        known.update(dict.fromkeys(passed, found))
        return found

    @cached_property
    def _origins(self) -> dict[frozenset[str], dict[str, Op | None]]:
        return {}

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

    @property
    def may_train(self) -> bool:
        """Whether the graph may be the forward part of a training step, of which the form lacks the rest."""
        return not self.graph.holds.backward and not self.has_backward

    @property
    def lacks_optimizer(self) -> bool:
        """Whether the graph trains and shows no optimizer: a forward job is dumped before OneFlow's passes add it."""
        return self.has_backward and not self.updates

    @cached_property
    def updates(self) -> Sequence[Op]:
        """The optimizer's update ops."""
        return [op for op in self.graph.ops if op.phase is Phase.OPTIMIZER and not op.outputs and argument(op, "model") is not None]

    @cached_property
    def blind(self) -> Op | None:
        """An op whose operands the dump leaves out, if there is one: it may read anything. Sources that OneFlow never prints are none."""
        return next((op for op in self.graph.ops if op.elided and not self.is_hidden(op)), None)

    def is_hidden(self, op: Op) -> bool:
        """Whether nothing in the dump makes this op, which others read, and it is no source that OneFlow leaves out."""
        return op.hidden and op.elided and bool(op.outputs)

    @cached_property
    def order(self) -> Sequence[int]:
        """Indices of the ops, producers before consumers, else as OneFlow made them, which is the same in every form; none of a cycle."""
        made = [made_as(op) for op in self.graph.ops]
        by_age = sorted(range(len(made)), key=made.__getitem__)
        place = [0] * len(made)
        for at, index in enumerate(by_age):
            place[index] = at
        fed_by = self.graph.edges.fed_by
        return [by_age[at] for at in run_order([[place[j] for j in fed_by[index]] for index in by_age])]

    @cached_property
    def leads_on(self) -> Sequence[int]:
        """By op, whether a contraction of the forward pass comes after it."""
        ops = self.graph.ops
        found = bytearray(len(ops))
        for i in reversed(self.order):
            op = ops[i]
            if op.phase in _FORWARD and (found[i] or op.type in self.book.contractions):
                for j in self.graph.edges.fed_by[i]:
                    found[j] = 1
        return found

    @cached_property
    def results(self) -> Mapping[str, Operand]:
        """Results by lbn."""
        return {made.lbn: made for op in self.graph.ops for made in op.outputs}

    @cached_property
    def module_spans(self) -> Mapping[str, Span | None]:
        """Where the dump opens a module, by its path."""
        return {module.path: module.span for module in self.graph.modules}

    @cached_property
    def place(self) -> Sequence[int]:
        """By op, its place in `order`."""
        found = [0] * len(self.graph.ops)
        for place, index in enumerate(self.order):
            found[index] = place
        return found

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Index of an op in the graph, by its name."""
        return {op.name: i for i, op in enumerate(self.graph.ops)}

    def ordinal(self, op: Op) -> int:
        """1-based ordinal of an op among those of its module and type."""
        return self._ordinals.of(op)

    @cached_property
    def _ordinals(self) -> Ordinals:
        return Ordinals(self.graph.ops)

    # Costs

    def why_unknown(self, name: str) -> tuple[str, str]:
        """Why a total of COST_NAMES is not known in full, and the fact of `Holds` for want of which where the form never tells it."""
        graph = self.graph
        if graph.partial:
            return "parts of the graph were not read", ""
        reasons = {found.reason for found in self.analysis.costs if not found.cost.is_known(name)}
        if reasons:
            is_of_form = reasons == {"missing_attribute"} and not graph.holds.attrs
            return ("an attribute that no such form tells decides", "attrs") if is_of_form else ("something of an operator is unknown", "")
        facts = hidden_by(graph, name)
        return ("the form never tells all of a training step", facts[0]) if facts else ("a bound is all that is known", "")

    def cost(self, op: Op) -> Cost:
        """The cost of all runs of an op of the graph."""
        return self.analysis.op_cost(self.index[op.name])

    def cost_if(self, op: Op) -> Cost:
        """What an op would cost that is not in the graph."""
        return self._table.cost(op).cost * op.runs

    @cached_property
    def _table(self) -> CostTable:
        return CostTable(self.analysis.inference.types, self.book)

    def gain(self, removed: Iterable[Op], added: Iterable[Cost] = ()) -> dict[str, int] | None:
        """What the totals lose, by cost, without some ops and with other costs instead. None where that is nothing.

        A cost that something in it leaves unknown is left out, and so is what backward keeps of forward: it will read something else.
        """
        less = sum((self.cost(op) for op in removed), Cost())
        more = sum(added, Cost())
        values = dict.fromkeys(COST_NAMES, 0) | {name: less.get(name) - more.get(name) for name in OF_A_RUN}
        values["params"] = sum(less.params) - sum(more.params)
        values["param_bytes"] = sum(less.param_bytes) - sum(more.param_bytes)
        return {name: values[name] for name in COST_NAMES if values[name] and less.is_known(name) and more.is_known(name)} or None

    # Attributes

    def attrs_are_known(self, op: Op) -> bool:
        """Whether the dump holds every attribute of the op, or its type has none. Of a type that OneFlow has not, the form tells."""
        if op.type in self.book.by_type and signature(op.type) is None:
            return self.graph.holds.attrs
        return op.type is not None and attrs_are_known(op.type, frozenset(op.attrs))

    @cached_property
    def parameters(self) -> Sequence[Op]:
        """Variables that are trained or frozen parameters."""
        return [op for op in self.of("variable") if op.kind in (VariableKind.TRAINABLE, VariableKind.FROZEN)]


def _only(uses: Iterator[Use]) -> Use | None:
    """The use, if there is one alone."""
    first = next(uses, None)
    return first if next(uses, None) is None else None


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
