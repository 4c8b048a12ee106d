"""A part of an analysis: the operators of one phase, or of some modules, with the costs that they had."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace

from irflops.analysis.analysis import Analysis
from irflops.counting.fold import doubt, fold
from irflops.errors import IrflopsError
from irflops.ir.tree import nearest, tree_of


def select(analysis: Analysis, *, phase: str | None = None, module: str | None = None) -> Analysis:
    """The same analysis of the operators in that phase and in modules that match a pattern, or below one that does.

    `*` stands for any part of one level of a path, `**` for any number of levels. Errors: IrflopsError where no module matches.
    """
    if phase is None and module is None:
        return analysis
    owners = None if module is None else set(matching_modules(analysis, module))
    tree = tree_of(analysis.modules)
    inside = {path for top in owners for path, _ in tree.walk(top)} if owners is not None else None
    kept = [
        i
        for i, op in enumerate(analysis.graph.ops)
        if (phase is None or (op.phase is not None and op.phase.value == phase))
        and (inside is None or nearest(op.module, analysis.modules) in inside)
    ]
    ops = tuple(analysis.graph.ops[i] for i in kept)
    costs = tuple(analysis.costs[i] for i in kept)
    sums = fold(ops, costs, tree, doubt(analysis.graph))
    names = {op.name for op in ops}
    disagreements = tuple(found for found in analysis.inference.disagreements if found.op in names)
    return replace(
        analysis,
        inference=replace(analysis.inference, disagreements=disagreements),
        graph=replace(analysis.graph, ops=ops),
        costs=costs,
        total=sums.total,
        phases={name: cost for name, cost in sums.phases.items() if phase in (None, name)},
        types=sums.types,
        modules=sums.modules,
        unknown=sums.unknown,
    )


def matching_modules(analysis: Analysis, pattern: str) -> list[str]:
    """Paths of the modules that match a pattern, without those below another that does. Errors: IrflopsError where there is none."""
    matches = re.compile(_regex(pattern)).fullmatch
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


def _regex(pattern: str) -> str:
    wild = {"**": ".*", "*": "[^.]*", "?": "[^.]"}
    return "".join(wild.get(part) or re.escape(part) for part in re.split(r"(\*\*|\*|\?)", pattern))
