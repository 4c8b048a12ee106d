"""The one object that reports, diffs and audits read: a graph with its shapes inferred and its costs folded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from irflops.analysis import notebook
from irflops.counting.cost import COST_NAMES, FIGURES, KINDS, Cost, CostTable, OpCost
from irflops.counting.fold import UNTYPED, Group, Unknown, bounded, doubt, fold, grouped
from irflops.counting.infer import Disagreement, Inference, infer
from irflops.ir import plain
from irflops.ir.graph import Graph, Location, Note, Op, Operand, VariableKind
from irflops.ir.tree import tree_of
from irflops.lifting.structure import Structure

SCHEMA = "irflops.analysis/1"
"""Name and version of the JSON form; fields may be added within a version, never renamed or dropped."""

Row = dict[str, Any]
"""A row of a table or an object of the JSON: plain data."""


@dataclass(frozen=True, slots=True)
class StepGroup:
    """Steps of one kind: how many, of how many operators, and what they cost together."""

    count: int
    operators: int
    cost: Cost


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

    def __repr__(self) -> str:
        figures = ", ".join(f"{name}={self.total.get(name)} {self.total.certainty(name)}" for name in ("macs", "flops"))
        return f"<Analysis of {self.graph.name}: {len(self.graph.ops)} ops, {figures}>"

    @cached_property
    def declared_params(self) -> int | None:
        """Elements of the declared parameters, tied ones once; None where the form declares none or a shape is unknown."""
        if not self.graph.has_declarations:
            return None
        total = 0
        for module in self.graph.modules:
            for parameter in module.parameters:
                if parameter.kind is VariableKind.BUFFER or parameter.tied_to is not None:
                    continue
                numel = parameter.type.numel
                if numel is None:
                    return None
                total += numel
        return total

    @cached_property
    def batch(self) -> int | None:
        """Extent of axis 0 of the first input, None where there is no such thing."""
        for op in self.graph.ops:
            if op.type == "input" and op.outputs:
                shape = self.inference.types[op.outputs[0].lbn].shape
                return shape[0] if shape else None
        return None

    @cached_property
    def locations(self) -> Mapping[Location | None, Group]:
        """Costs by line of the user's Python, ops without one under None."""
        groups = grouped([op.location for op in self.graph.ops], self.graph.ops, self.costs)
        unsure = doubt(self.graph)
        return {at: Group(group.count, bounded(group.cost, unsure)) for at, group in groups.items()} if unsure else groups

    @cached_property
    def structure(self) -> Structure:
        """The graph as steps and calls of modules: what conventions count, and what `--by step` shows."""
        return Structure(self.graph, self.inference.types, tuple(self.costs), self.batch or 1)

    @cached_property
    def steps(self) -> Mapping[str, StepGroup]:
        """Costs by kind of step, the one with most FLOPs first: several operators that are one call of the user's count together."""
        kinds = {index: step.kind for step in self.structure.steps for index in step.ops}
        groups = grouped(kinds.values(), [self.graph.ops[i] for i in kinds], [self.costs[i] for i in kinds])
        unsure = doubt(self.graph)
        if unsure:
            groups = {kind: Group(group.count, bounded(group.cost, unsure)) for kind, group in groups.items()}
        counts = Counter(step.kind for step in self.structure.steps)
        order = sorted(groups, key=lambda kind: (-groups[kind].cost.get("flops"), -groups[kind].count, kind))
        return {kind: StepGroup(counts[kind], groups[kind].count, groups[kind].cost) for kind in order}

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
        line = graph.source.line(graph.span.start) if graph.span is not None else None
        yield "schema", SCHEMA
        yield "source", {"path": graph.source.name, "format": graph.format, "line": line, "oneflow_version_guess": graph.version_guess}
        head = {"name": graph.name, "class": graph.class_name, "training": graph.training, "operators": self.shown_operators}
        yield "graph", head
        certainty = {name: self.total.certainty(name).value for name in COST_NAMES}
        sure = {"certainty": self.total.worst.value, "certainty_by": certainty}
        yield "totals", cost_row(self.total) | {"declared_params": self.declared_params} | sure
        yield "phases", {phase: cost_row(cost) for phase, cost in self.phases.items()}
        yield "by_type", iter(self._type_rows())
        yield "by_step", iter(self._step_rows())
        yield "modules", iter(self._module_rows())
        yield "ops", self._op_rows()
        yield "unknown", [{"type": u.type, "reason": u.reason, "count": len(u.ops), "ops": list(u.ops)} for u in self.unknown]
        yield (
            "shape_disagreements",
            [
                {
                    "op": d.op,
                    "line": graph.source.line(d.span.start) if d.span else None,
                    "lbn": d.lbn,
                    "file": plain.extents(d.file),
                    "inferred": plain.extents(d.inferred),
                    "reason": d.reason,
                }
                for d in self.inference.disagreements
            ],
        )
        yield "notes", [{"code": n.code, "line": graph.source.line(n.span.start) if n.span else None, "text": n.text} for n in self.notes]

    def rows(self, by: str = "op") -> list[Row]:
        """Flat rows for a data frame, one per op, module, type, phase or location; nested figures get dotted names."""
        makers: dict[str, Callable[[], Iterable[Row]]] = {
            "op": self._op_rows,
            "module": self._module_rows,
            "type": self._type_rows,
            "step": self._step_rows,
            "phase": lambda: [{"phase": phase} | cost_row(cost) for phase, cost in self.phases.items()],
            "location": self._location_rows,
            "summary": lambda: [{"graph": self.graph.name} | cost_row(self.total)],
        }
        if by not in makers:
            raise ValueError(f"rows by {by!r}: expected one of {', '.join(makers)}")
        return [flat(row) for row in makers[by]()]

    def _repr_html_(self) -> str:
        """The totals and the upper levels of the module tree, as a notebook shows them."""
        rows = [row for row in self._module_rows() if row["path"].count(".") < notebook.LEVELS]
        left_out = len(self.graph.modules) - len(rows[: notebook.ROWS])
        kind = "training" if self.graph.training else "inference"
        sure = self.total.worst.value.replace("_", " ")
        caption = f"{self.graph.name}, {kind}: {sure}" + (f"; {left_out} modules below" if left_out else "")
        return notebook.html_table(caption, rows[: notebook.ROWS])

    def _type_rows(self) -> list[Row]:
        return [
            {"type": op_type if op_type != UNTYPED else None, "count": group.count} | cost_row(group.cost)
            for op_type, group in self.types.items()
        ]

    def _step_rows(self) -> list[Row]:
        return [
            {"kind": kind, "count": group.count, "operators": group.operators} | cost_row(group.cost) for kind, group in self.steps.items()
        ]

    def _location_rows(self) -> list[Row]:
        return [
            {"file": at and at.file, "line": at and at.line, "function": at and at.function, "count": group.count} | cost_row(group.cost)
            for at, group in self.locations.items()
        ]

    def _module_rows(self) -> list[Row]:
        line = self.graph.source.line
        return [
            {
                "path": module.path,
                "class": module.class_name or (None if module.path else self.graph.class_name),
                "text": module.text,
                "line": line(module.span.start) if module.span else None,
            }
            | cost_row(self.modules[module.path])
            for module in self.graph.modules
        ]

    def _op_rows(self) -> Iterator[Row]:
        line = self.graph.source.line
        rows: dict[tuple[int, int], Row] = {}
        for op, found in zip(self.graph.ops, self.costs, strict=True):
            key = id(found), op.runs
            costs = rows.get(key)
            if costs is None:
                costs = rows[key] = op_cost_row(found.cost * op.runs)
            row: Row = {"name": op.name, "type": op.type}
            if op.type_candidates:
                row["type_candidates"] = list(op.type_candidates)
            row |= {
                "module": op.module,
                "phase": op.phase.value if op.phase else None,
                "runs": op.runs,
                "line": line(op.span.start) if op.span else None,
                "location": {"file": op.location.file, "line": op.location.line, "function": op.location.function} if op.location else None,
                "inputs": [self._tensor_row(operand) for operand in op.inputs],
                "outputs": [self._tensor_row(result) for result in op.outputs],
                "attrs": {name: plain.finite(value) for name, value in op.attrs.items()},
                "placement": plain.placement(op),
            }
            row |= costs
            if op.kind is not None:
                row |= {"kind": op.kind.value, "kind_source": op.kind_source}
            yield row

    def _tensor_row(self, operand: Operand) -> Row:
        type_ = operand.type
        if type_.shape is None or type_.dtype is None:
            type_ = self.inference.types.get(operand.lbn, type_)
        return {
            "arg": operand.arg,
            "lbn": operand.lbn,
            "shape": plain.extents(type_.shape),
            "dtype": plain.dtype(type_),
            "sbp": plain.sbp(operand),
        }


def analyze_graph(graph: Graph) -> Analysis:
    """Infers every shape of a graph and folds the cost rules over it."""
    inference = infer(graph)
    table = CostTable(inference.types)
    costs = tuple(map(table.cost, graph.ops))
    inference = _with_misfits(inference, graph.ops, costs)
    sums = fold(graph.ops, costs, tree_of(module.path for module in graph.modules), doubt(graph))
    return Analysis(graph, inference, costs, sums.total, sums.phases, sums.types, sums.modules, sums.unknown, graph.notes)


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


def cost_row(cost: Cost) -> Row:
    """A sum as plain data: what is known of each figure."""
    return dict(zip(FIGURES, cost.figures, strict=True)) | _params_row(cost)


def op_cost_row(cost: Cost) -> Row:
    """An op's figures as plain data: null where unknown."""
    row: Row = {name: figure if cost.is_known(name) else None for name, figure in zip(FIGURES, cost.figures, strict=True)}
    return row | _params_row(cost)


def _params_row(cost: Cost) -> Row:
    return {
        "params": dict(zip(KINDS, cost.params, strict=True)),
        "param_bytes": dict(zip(KINDS, cost.param_bytes, strict=True)),
    }


def flat(row: Row) -> Row:
    """A row with nested figures under dotted names (`params.trainable`), lists left as they are."""
    result: Row = {}
    for name, value in row.items():
        if isinstance(value, dict) and name in ("params", "param_bytes", "location", "placement"):
            result.update({f"{name}.{key}": inner for key, inner in value.items()})
        else:
            result[name] = value
    return result
