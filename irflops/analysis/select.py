"""A part of an analysis: the operators of one phase, or of some modules, with the costs that they had."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace

from irflops.analysis.analysis import Analysis, Selection
from irflops.counting.fold import fold, unsure_bits
from irflops.errors import IrflopsError, listed, quoted
from irflops.ir.graph import Graph, Phase
from irflops.ir.tree import nearest, path_pattern, tree_of


def select_part(analysis: Analysis, *, phase: Phase | str | None = None, module: str | None = None) -> Analysis:
    """The same analysis of the operators in that phase and in modules that match a pattern, or below one that does.

    `*` stands for any part of one level of a path, `**` for any number of levels. Errors: IrflopsError where no module matches, and where
    no operator of the graph is in that phase.
    """
    if phase is None and module is None:
        return analysis
    before = analysis.selection or Selection(analysis, None, None, ("",))
    wanted = None if phase is None else _phase(analysis, phase)
    tops = before.tops if module is None else tuple(matching_modules(analysis, module))
    tree = tree_of(analysis.modules)
    inside = {path for top in tops for path, _ in tree.walk(top)}
    kept = [
        i
        for i, op in enumerate(analysis.graph.ops)
        if wanted in (None, op.phase) and (module is None or nearest(op.module, analysis.modules) in inside)
    ]
    ops = tuple(analysis.graph.ops[i] for i in kept)
    costs = tuple(analysis.costs[i] for i in kept)
    sums = fold(ops, costs, tree, unsure_bits(analysis.graph))
    names = {op.name for op in ops}
    disagreements = tuple(found for found in analysis.inference.disagreements if found.op in names)
    return replace(
        analysis,
        inference=replace(analysis.inference, disagreements=disagreements),
        graph=_narrowed(replace(analysis.graph, ops=ops), inside),
        costs=costs,
        total=sums.total,
        phases={name: cost for name, cost in sums.phases.items() if wanted is None or name == wanted.value},
        types=sums.types,
        modules={path: cost for path, cost in sums.modules.items() if path in inside or not path},
        unknown=sums.unknown,
        selection=Selection(
            before.whole, before.phase if wanted is None else wanted.value, before.module if module is None else module, tops
        ),
    )


def _phase(analysis: Analysis, phase: Phase | str) -> Phase:
    known = {known.value: known for known in Phase}
    wanted = phase if isinstance(phase, Phase) else known.get(phase)
    if wanted is None:
        raise IrflopsError(f"there is no phase {quoted(phase)}", hint=f"phases: {', '.join(known)}")
    there = dict.fromkeys(op.phase for op in analysis.graph.ops)
    if wanted not in there:
        named = [known.value for known in Phase if known in there]
        hint = f"its operators are in {listed(named)}" if named else "it tells no operator's phase"
        raise IrflopsError(f"no operator of this graph is in the phase {wanted.value}", path=analysis.graph.source.name, hint=hint)
    return wanted


def _narrowed(graph: Graph, inside: set[str]) -> Graph:
    """The graph with those of its modules that are meant, and with itself."""
    modules = [
        module if module.path in inside else replace(module, parameters=())
        for module in graph.modules
        if module.path in inside or not module.path
    ]
    return replace(graph, modules=tuple(modules))


def matching_modules(analysis: Analysis, pattern: str) -> list[str]:
    """Paths of the modules that match a pattern, without those below another that does. Errors: IrflopsError where there is none."""
    matches = re.compile(path_pattern(pattern)).fullmatch
    tree = tree_of(analysis.modules)
    found = {path for path in analysis.modules if path and matches(path)}
    if not found:
        near = difflib.get_close_matches(pattern, list(analysis.modules), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "--by module --depth 9 lists the modules"
        raise IrflopsError(f"no module matches {pattern!r}", path=analysis.graph.source.name, hint=hint)
    below: set[str] = set()
    for path, _ in tree.walk():
        parent = tree.parents.get(path)
        if parent is not None and (parent in found or parent in below):
            below.add(path)
    return [path for path, _ in tree.walk() if path in found and path not in below]


def escaped(path: str) -> str:
    """The pattern that only this path matches."""
    return re.sub(r"([*?\\])", r"\\\1", path)
