"""What holds of the diff of any two graphs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import irflops
from irflops.analysis.analysis import Analysis, analyze_graph
from irflops.differ import Diff, Edit, diff_analyses
from irflops.differ.apply import applied
from irflops.differ.edit import difference, reversed_edit
from irflops.differ.side import boxed_in, is_boxing
from irflops.ir.graph import Graph, Op


def plain(edit: Edit) -> tuple[Any, ...]:
    """An edit without the objects themselves."""
    ends = [None if end is None else end.name if isinstance(end, Op) else end.path for end in (edit.old, edit.new)]
    return edit.kind, *ends, repr(edit.detail), edit.cost.figures, edit.cost.params, edit.cost.param_bytes


def described(graph: Graph) -> Mapping[str, Any]:
    """All that edits are about, by operator; boxing identities looked through, shapes inferred where they are not stated."""
    types = irflops.analyze(graph).inference.types
    boxed = boxed_in(graph.ops)

    def inputs(op: Op) -> list[tuple[Any, ...]]:
        names = [(operand.arg, operand.index, boxed.get(operand.lbn, operand.lbn)) for operand in op.inputs]
        return sorted((*name, str(types.get(name[2]))) for name in names)

    return {
        op.name: (
            (op.type, op.module, op.phase, op.runs, op.kind, op.attrs, op.placement),
            inputs(op),
            [(result.arg, result.index, result.lbn, str(types[result.lbn]), result.nd_sbp) for result in op.outputs],
        )
        for op in graph.ops
        if not is_boxing(op)
    }


def assert_laws(old: Analysis, new: Analysis) -> Diff:
    """What holds of any two graphs: the diff back is the diff reversed, the costs add up, and the edits make the one of the other."""
    found, back = diff_analyses(old, new), diff_analyses(new, old)
    assert sorted(map(plain, map(reversed_edit, found.edits)), key=str) == sorted(map(plain, back.edits), key=str)
    rest = difference(new.total, old.total)
    for edit in found.edits:
        rest = difference(rest, edit.cost)
    assert (rest.figures, rest.params, rest.param_bytes) == (found.follows.figures, found.follows.params, found.follows.param_bytes)
    made = applied(found)
    assert described(made) == described(new.graph)
    assert analyze_graph(made).total.figures == new.total.figures
    return found
