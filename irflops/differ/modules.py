"""Which module of the new graph is which of the old, by the operators and parameters that they own; and the edits that say so."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping

from irflops.differ.edit import Edit
from irflops.differ.pairing import Pairs
from irflops.differ.side import Side
from irflops.ir.graph import Module
from irflops.ir.tree import nearest, tree_of


def pair_modules(old: Side, new: Side, pairs: Pairs) -> dict[str, str]:
    """Paths of modules of the old graph, and of the same in the new one.

    What two modules own together speaks for them, and for those above them at the same depth; of equal claims the same path wins. Modules
    that own nothing are the same where their parents are and their names.
    """
    ours, theirs = _paths(old), _paths(new)
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for a, b in pairs.items():
        mine, other = nearest(old.ops[a].module, ours), nearest(new.ops[b].module, theirs)
        while mine and other:
            votes[mine][other] += 1
            mine, other = _above(mine), _above(other)
    claims = sorted(
        ((count, mine == other, mine, other) for mine, found in votes.items() for other, count in found.items()),
        key=lambda claim: (-claim[0], not claim[1], claim[2].count("."), claim[2], claim[3]),
    )
    paired: dict[str, str] = {"": ""}
    taken = {""}
    for _count, _same, mine, other in claims:
        if mine not in paired and other not in taken:
            paired[mine] = other
            taken.add(other)
    for path in ours:  # parents before children
        if path not in paired:
            parent = paired.get(nearest(_above(path), ours))
            leaf = path.rpartition(".")[2]
            other = leaf if parent == "" else f"{parent}.{leaf}"
            if parent is not None and other in theirs and other not in taken:
                paired[path] = other
                taken.add(other)
    return paired


def _paths(side: Side) -> dict[str, Module]:
    """Modules by path, those above before those below."""
    modules = {module.path: module for module in side.analysis.graph.modules}
    return {path: modules[path] for path, _ in tree_of(modules).walk() if path in modules}


def _above(path: str) -> str:
    return path.rpartition(".")[0]


def module_edits(
    old: Side, new: Side, paired: Mapping[str, str], hidden: tuple[Container[int], Container[int]] | None = None
) -> Iterator[Edit]:
    """Modules that come, go, or are called otherwise.

    `hidden` are operators that the other form would not show: modules come and go with those that it would. None where both declare
    modules.
    """
    ours, theirs = _paths(old), _paths(new)
    owners = [_owners(side, left_out) for side, left_out in zip((old, new), hidden, strict=True)] if hidden is not None else [None, None]
    for path, other in paired.items():
        if path in ours and other in theirs and not _follows(path, other, paired, ours):
            yield Edit("module_renamed", ours[path], theirs[other], {"old": path, "new": other})
    came = set(paired.values())
    for path, module in ours.items():
        if path not in paired and (owners[0] is None or path in owners[0]):
            yield Edit("module_removed", module, None, {"path": path})
    for path, module in theirs.items():
        if path not in came and (owners[1] is None or path in owners[1]):
            yield Edit("module_added", None, module, {"path": path})


def _follows(path: str, other: str, paired: Mapping[str, str], known: Mapping[str, Module]) -> bool:
    """Whether a module's new path is its old one below that of its parent."""
    parent = nearest(_above(path), known)
    rest = path[len(parent) :].lstrip(".")
    above = paired.get(parent)
    return above is not None and other == (f"{above}.{rest}" if above else rest)


def _owners(side: Side, hidden: Container[int]) -> set[str]:
    """Paths of the modules that have operators, and of those above them."""
    found: set[str] = set()
    for node, op in enumerate(side.ops):
        path = op.module if node not in hidden else ""
        while path and path not in found:
            found.add(path)
            path = _above(path)
    return found
