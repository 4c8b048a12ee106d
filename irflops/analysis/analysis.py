"""The one object that reports, diffs and audits read: a graph with its shapes inferred and its costs folded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from irflops.analysis import notebook, rows
from irflops.analysis.lines import lines_of
from irflops.analysis.rows import Row
from irflops.counting.assumed import Assumed, assumed_bytes
from irflops.counting.cost import ZERO, Cost, CostTable, OpCost
from irflops.counting.fold import Group, Unknown, fold, grouped, unsure_bits
from irflops.counting.infer import Disagreement, Inference, infer
from irflops.counting.own import OwnRule, own_rules
from irflops.counting.saved import with_saved
from irflops.errors import IrflopsError, quoted
from irflops.ir.certainty import Certainty
from irflops.ir.graph import DType, Graph, Location, Module, ModuleCall, Note, Op, Phase, VariableKind
from irflops.ir.tree import tree_of
from irflops.lifting.structure import StepGroup, Structure
from irflops.ops import BOOK
from irflops.ops.book import RuleBook

if TYPE_CHECKING:
    from irflops.devices.communication import Communication
    from irflops.devices.shares import Devices
    from irflops.memory.memory import Memory
    from irflops.transformers.closed_forms import ClosedForms

SCHEMA = "irflops.analysis/1"
"""Name and version of the JSON form; fields may be added within a version, never renamed or dropped."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which operators of a whole graph an analysis is of."""

    whole: Analysis
    phase: str | None
    module: str | None
    """The pattern that paths of modules match."""
    tops: tuple[str, ...]
    """The modules that match, none below another; where no pattern was given, the graph's `""`."""


@dataclass(frozen=True)
class Analysis:
    """What a graph costs, and where. Everything here was computed when the analysis was made, or follows from it by sums."""

    graph: Graph
    inference: Inference
    costs: tuple[OpCost, ...]
    """One run of each op of `graph.ops`, in their order."""
    total: Cost
    phases: Mapping[str, Cost]
    types: Mapping[str, Group]
    modules: Mapping[str, Cost]
    """Inclusive costs by module path; `""` is the graph and equals the total."""
    unknown: tuple[Unknown, ...]
    notes: tuple[Note, ...]
    selection: Selection | None = None
    """What this is a part of, None where it is of the whole graph."""
    book: RuleBook = BOOK
    """The rules that it was made by, and that whatever follows from it asks."""
    ranks_per_node: int = 8
    """Devices of a node, where the form does not say."""

    def __repr__(self) -> str:
        figures = ", ".join(f"{name}={self.total.get(name)} {self.total.certainty(name)}" for name in ("macs", "flops"))
        return f"<Analysis of {self.graph.name}: {len(self.graph.ops)} ops, {figures}>"

    @property
    def whole(self) -> Analysis:
        """The analysis of the whole graph."""
        return self if self.selection is None else self.selection.whole

    @property
    def is_uncertain(self) -> bool:
        """Whether anything that a figure counts is unknown."""
        return bool(self.unknown) or self.total.missing != 0

    @cached_property
    def is_spread(self) -> bool:
        """Whether the form says that the graph runs on more than one device."""
        return self.ranks > 1

    @cached_property
    def ranks(self) -> int:
        """Devices that the form names; 1 where it names none."""
        placements = {id(op.placement): op.placement for op in self.graph.ops if op.placement is not None}
        return max(1, len(set().union(*(placement.ranks for placement in placements.values()))))

    @cached_property
    def devices(self) -> Devices:
        """What each device computes and holds, by classes of devices that do the same."""
        from irflops.devices import shares  # here for start-up time: most graphs run on one device

        if not self.is_spread:
            return shares.alone(self.total, self.phases, self.graph)
        return shares.devices_of(self.graph, self.inference.types, self.costs, self.total, self.book)

    @cached_property
    def communication(self) -> Communication:
        """What the devices send one another, of a selection what its operators do."""
        from irflops.devices.communication import communication_of  # here for start-up time: most graphs run on one device

        if self.selection is not None:
            return self.selection.whole.communication.part({op.name for op in self.graph.ops})
        return communication_of(self.graph, self.inference.types, self.book, ranks_per_node=self.ranks_per_node)

    @cached_property
    def communication_bytes(self) -> tuple[int | None, Certainty]:
        """Bytes that devices send one another in a step, and how sure that is; None where the form does not tell."""
        if not self.is_spread:
            return 0, Certainty.LOWER_BOUND if self.graph.partial else Certainty.EXACT
        return self.communication.total_bytes, self.communication.certainty

    @cached_property
    def memory(self) -> Memory:
        """What each device holds over a step; of a selection that of the whole graph. Errors: IrflopsError beyond any device."""
        from irflops.memory.memory import memory_of  # here for start-up time: numpy, which only a plan needs

        whole = self.whole
        return memory_of(whole.graph, whole.inference.types, whole.devices, whole.book)

    @cached_property
    def module_calls(self) -> Mapping[str, tuple[ModuleCall, ...]]:
        """By module path what each of its calls took and gave, where the form tells."""
        return {module.path: module.calls for module in self.graph.modules if module.calls}

    @cached_property
    def module_classes(self) -> Mapping[str, str]:
        """By module path its class, where the form tells."""
        found = {module.path: module.class_name for module in self.graph.modules}
        return {path: name for path, name in found.items() if name}

    @cached_property
    def declared_params(self) -> int | None:
        """Elements of the declared parameters, tied ones once; None where the form declares none or a shape is unknown."""
        return self.declared.get("")

    @cached_property
    def declared(self) -> Mapping[str, int | None]:
        """The same by module path, each with those of the modules below; nothing where the form declares none."""
        if not self.graph.holds.declarations:
            return {}
        tree = tree_of(module.path for module in self.graph.modules)
        found: dict[str, int | None] = dict.fromkeys((path for path, _ in tree.walk()), 0)
        for module in self.graph.modules:
            own = [p.type.numel for p in module.parameters if p.kind is not VariableKind.BUFFER and p.tied_to is None]
            found[module.path] = None if None in own else sum(numel for numel in own if numel is not None)
        for path in reversed(list(found)):  # children before parents
            if path:
                above, below = found[tree.parents[path]], found[path]
                found[tree.parents[path]] = None if above is None or below is None else above + below
        return found

    @property
    def disk_bytes(self) -> int | None:
        """Bytes of a file of the model's variables: parameters and buffers, no optimizer states; None where some are unknown."""
        names = [kind.value for kind in VariableKind if kind is not VariableKind.OPTIMIZER_STATE]
        return sum(self.total.get(f"param_bytes.{kind}") for kind in names) if self.total.is_known("param_bytes") else None

    @cached_property
    def variable_types(self) -> frozenset[DType]:
        """The element types of the model's variables, optimizer states not among them."""
        kinds = (op for op in self.graph.ops if op.kind not in (None, VariableKind.OPTIMIZER_STATE))
        found = (self.inference.types[result.lbn].dtype for op in kinds for result in op.outputs)
        return frozenset(dtype for dtype in found if dtype is not None)

    @cached_property
    def batch(self) -> int | None:
        """Extent of axis 0 of the first input, None where there is no such thing."""
        for op in self.graph.ops:
            if op.type == "input" and op.outputs:
                shape = self.inference.types[op.outputs[0].lbn].shape
                return shape[0] if shape else None
        return None

    @cached_property
    def assumed(self) -> Assumed:
        """What operators without a rule are assumed to move: in no total."""
        return assumed_bytes(self.graph.ops, self.costs, self.inference.types)

    @cached_property
    def own_rules(self) -> tuple[OwnRule, ...]:
        """Rules that are not irflops' own and by which something here is counted."""
        return own_rules(self.graph, self.book)

    @property
    def _by(self) -> dict[str | None, str]:
        return {one.type: one.by for one in self.own_rules}

    @cached_property
    def locations(self) -> Mapping[Location | None, Group]:
        """Costs by line of the user's Python, backward operators under that of their forward operators; ops without one under None."""
        if self.selection is None:
            return grouped(self.lines, self.graph.ops, self.costs, unsure_bits(self.graph))
        lines = dict(zip([op.name for op in self.whole.graph.ops], self.whole.lines, strict=True))
        return grouped([lines[op.name] for op in self.graph.ops], self.graph.ops, self.costs, unsure_bits(self.graph))

    @cached_property
    def lines(self) -> tuple[Location | None, ...]:
        """By operator the line of Python that it goes back to: its own, or that of its forward operator."""
        return lines_of(self.graph)

    def closed_forms(self, context: int | None = None) -> ClosedForms:
        """The graph beside the closed forms of transformers; `context` is the length that serving is asked for."""
        from irflops.transformers.closed_forms import closed_forms_of  # here for start-up time: a table shows none of it

        return closed_forms_of(self.graph, self.inference.types, self.costs, self.total, self.book, context)

    @cached_property
    def structure(self) -> Structure:
        """The graph as steps and calls of modules: what conventions count, and what `--by step` shows."""
        return Structure(self.graph, self.inference.types, tuple(self.costs), self.batch or 1, self.book)

    @cached_property
    def steps(self) -> Mapping[str, StepGroup]:
        """Costs by kind of step, the one with most FLOPs first: several operators that are one call of the user's count together."""
        return self.structure.groups

    def line(self, op: Op) -> int | None:
        """The 1-based line of an op in its file."""
        return self.graph.source.line(op.span.start) if op.span is not None else None

    @cached_property
    def shown_operators(self) -> int:
        """Operators that the dump shows: not those that it shows by what others read alone."""
        return sum(not op.hidden for op in self.graph.ops)

    def op_cost(self, index: int) -> Cost:
        """The cost of all runs of the op with that index."""
        return self.costs[index].cost * self.graph.ops[index].runs

    def to_dict(self, without: Iterable[str] = ()) -> Row:
        """The analysis as plain data, the JSON of `irflops analyze --format json`; `without` leaves parts out."""
        left_out = set(without)
        return {key: list(value) if isinstance(value, Iterator) else value for key, value in self.parts() if key not in left_out}

    def parts(self) -> Iterator[tuple[str, Any]]:
        """The members of the JSON object in order; long ones as iterators, so that a writer never holds all of them."""
        graph = self.graph
        yield "schema", SCHEMA
        yield "source", rows.source_row(graph)
        head = {"name": graph.name, "class": graph.class_name, "training": graph.training, "operators": self.shown_operators}
        yield "graph", head
        nothing = {}
        if self.selection is not None:
            yield "selection", {"phase": self.selection.phase, "module": self.selection.module}
            nothing = {phase.value: rows.cost_row(ZERO) for phase in Phase}
        yield (
            "totals",
            rows.total_row(
                self.total,
                self.declared_params,
                self.disk_bytes,
                self.communication_bytes,
                has_optimizer=self.graph.holds.optimizer or not self.graph.training,
            ),
        )
        yield "phases", nothing | {phase: rows.cost_row(cost) for phase, cost in self.phases.items()}
        yield "devices", self._devices_row()
        yield "communication", self.communication_row()
        yield "closed_forms", None if self.selection is not None else self.closed_forms().to_dict()
        yield "by_type", iter(rows.type_rows(self.types, self._by))
        yield "by_step", iter(rows.step_rows(self.steps))
        yield "modules", iter(rows.module_rows(graph, self.modules))
        yield "ops", rows.op_rows(graph, self.inference.types, self.costs, self._by)
        yield "unknown", rows.unknown_rows(self.unknown)
        yield "assumed", {"bytes_read": self.assumed.bytes_read, "bytes_written": self.assumed.bytes_written}
        yield "own_rules", [asdict(one) for one in self.own_rules]
        yield "shape_disagreements", rows.disagreement_rows(graph.source, self.inference.disagreements)
        yield "notes", rows.note_rows(graph.source, self.notes)

    def _devices_row(self) -> Row:
        """One device is the graph: nothing more is worked out, or imported, for it."""
        if self.is_spread:
            from irflops.analysis.device_rows import devices_row  # here for start-up time: most graphs run on one device

            return devices_row(self.devices)
        return rows.one_device_row(self.graph, self.total, self.phases)

    def communication_row(self) -> Row:
        """What the devices send one another, as the JSON has it; on one device nothing is worked out, or imported, for it."""
        devices = {(op.placement.device, op.placement.ranks[:2]) for op in self.whole.graph.ops if op.placement is not None}
        if self.is_spread or len(devices) > 1:
            from irflops.analysis.device_rows import communication_row  # here for start-up time: most graphs run on one device

            return communication_row(self.communication)
        return rows.no_communication_row()

    def rows(self, by: str = "op") -> list[Row]:
        """Flat rows for a data frame, one per op, module, type, step, phase or location, or one for the whole.

        They have the columns of the command's CSV under the same names, with lists and objects in place of texts; nested figures get dotted
        names. Errors: IrflopsError where there are no rows by that.
        """
        makers: dict[str, Callable[[], Iterable[Row]]] = {
            "op": lambda: rows.op_rows(self.graph, self.inference.types, self.costs, self._by),
            "module": lambda: rows.module_rows(self.graph, self.modules),
            "type": lambda: rows.type_rows(self.types, self._by),
            "step": lambda: rows.step_rows(self.steps),
            "phase": lambda: rows.phase_rows(self.phases),
            "location": lambda: rows.location_rows(self.locations),
            "summary": lambda: [self._summary_row()],
        }
        costs: dict[str, Callable[[], Iterable[Cost]]] = {
            "op": lambda: map(self.op_cost, range(len(self.costs))),
            "module": lambda: (self.modules[module.path] for module in self.graph.modules),
            "type": lambda: (group.cost for group in self.types.values()),
            "step": lambda: (group.cost for group in self.steps.values()),
            "phase": self.phases.values,
            "location": lambda: (group.cost for group in self.locations.values()),
            "summary": lambda: (self.total,),
        }
        if by not in makers:
            raise IrflopsError(f"there are no rows by {quoted(by)}", hint=f"rows by: {', '.join(makers)}")
        found = [rows.flat(row) | {"certainty": cost.worst.value} for row, cost in zip(makers[by](), costs[by](), strict=True)]
        if by == "op":
            nothing = {"kind": None, "kind_source": None}
            whole = zip(found, self.graph.ops, self.costs, strict=True)
            return [nothing | row | {"location": rows.place_of(op.location), "reason": cost.reason} for row, op, cost in whole]
        return found

    def _summary_row(self) -> Row:
        graph = self.graph
        head = {"path": graph.source.name, "graph": graph.name, "training": graph.training, "operators": self.shown_operators}
        more = {"batch": self.whole.batch, "declared_params": self.declared_params if self.selection is None else None, "error": None}
        return head | rows.cost_row(self.total) | more

    def __str__(self) -> str:
        """The totals and the upper levels of the module tree, as a small table of text."""
        return notebook.text_table(*self._small_table())

    def _repr_html_(self) -> str:
        """The same as a notebook shows it."""
        return notebook.html_table(*self._small_table())

    def _small_table(self) -> tuple[str, Sequence[str], Iterable[Sequence[str | int]]]:
        """A caption, heads, and the upper levels of the module tree."""
        shown = [module for module in self.graph.modules if module.path.count(".") < notebook.LEVELS][: notebook.ROWS]
        left_out = len(self.graph.modules) - len(shown)
        kind = "training" if self.graph.training else "inference"
        sure = self.total.worst.value.replace("_", " ")
        caption = f"{self.graph.name}, {kind}: {sure}" + (f"; {left_out} modules below" if left_out else "")

        def line(module: Module) -> list[str | int]:
            class_name = module.class_name or (None if module.path else self.graph.class_name)
            figures = map(self.modules[module.path].get, ("macs", "flops", "params", "bytes_read", "bytes_written"))
            return [module.path or "(graph)", class_name or "", *figures]

        return caption, ("module", "class", "MACs", "FLOPs", "params", "bytes read", "bytes written"), map(line, shown)


def analyze_graph(graph: Graph, book: RuleBook = BOOK) -> Analysis:
    """Infers every shape of a graph and folds the cost rules over it."""
    inference = infer(graph, book)
    table = CostTable(inference.types, book)
    costs = with_saved(graph, inference.types, list(map(table.cost, graph.ops)), book)
    inference = _with_misfits(inference, graph.ops, costs)
    notes = (*graph.notes, *map(OwnRule.note, own_rules(graph, book)))
    sums = fold(graph.ops, costs, tree_of(module.path for module in graph.modules), unsure_bits(graph))
    return Analysis(graph, inference, costs, sums.total, sums.phases, sums.types, sums.modules, sums.unknown, notes, book=book)


def _with_misfits(inference: Inference, ops: tuple[Op, ...], costs: tuple[OpCost, ...]) -> Inference:
    """Adds the ops whose tensors no attributes fit, which a shape rule that lacks those attributes cannot see."""
    seen = {disagreement.op for disagreement in inference.disagreements}
    found = []
    for op, cost in zip(ops, costs, strict=True):
        if cost.misfit is not None and op.name not in seen and not op.elided:
            lbn = op.outputs[0].lbn if op.outputs else op.name
            stated = op.outputs[0].type.shape if op.outputs else None
            found.append(Disagreement(op.name, lbn, stated, None, cost.misfit, op.span))
    return replace(inference, disagreements=inference.disagreements + tuple(found)) if found else inference
