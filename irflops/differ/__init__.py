"""What changed between two versions of a graph, and what each change costs.

`align` finds which operator is which, `modules` which module, `compare` says what changed, `follow` what only follows, `waterfall` what
each change costs; `apply` makes the new graph of the old one. Nothing here reads a file or prints.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

from irflops.analysis.analysis import Analysis
from irflops.analysis.named import ON_DEMAND
from irflops.differ.align import HINTS, align
from irflops.differ.compare import Matching
from irflops.differ.edit import EDIT_KINDS, IGNORABLE, Edit
from irflops.differ.forms import Aspects, aspects_of, not_compared
from irflops.differ.modules import module_edits, pair_modules
from irflops.differ.pairing import Pairs
from irflops.differ.prints import Prints
from irflops.differ.result import Diff
from irflops.differ.shared import shared
from irflops.differ.side import Side, side_of
from irflops.differ.waterfall import with_costs
from irflops.errors import IrflopsError, quoted
from irflops.ir.graph import Module


def diff_analyses(old: Analysis, new: Analysis, *, ignore: Iterable[str] = (), also: Iterable[str] = ()) -> Diff:
    """The edits that make the new graph of the old one.

    `ignore` holds words of IGNORABLE, `also` costs of ON_DEMAND that are to be among the totals. Whatever the order of the two, they are
    aligned in one and the same: `diff_analyses(b, a)` is `diff_analyses(a, b)` reversed. Errors: IrflopsError where either has another
    word.
    """
    left_out = {kind for word in ignore for kind in _ignored(word)}
    asked = tuple(map(_on_demand, also))
    aspects = aspects_of(old.graph, new.graph)
    sides = side_of(old, aspects), side_of(new, aspects)
    matching, found = _fewest_edits(*sides, aspects)
    edits = _in_order([edit for edit in found if edit.kind not in left_out], *sides)
    pairs = {sides[0].ops[a].name: sides[1].ops[b].name for a, b in matching.pairs.items()}
    same = shared(old, new, edits, pairs, matching.modules)
    costed, follows = with_costs(edits, old, new, pairs, same)
    lacks = not_compared(old.graph, new.graph, aspects)
    return Diff(old, new, costed, follows, lacks, pairs, matching.modules, dict(matching.consequences()), same, asked)


def _ignored(word: str) -> Collection[str]:
    if word not in IGNORABLE:
        raise IrflopsError(f"no kind of change is called {quoted(word)}", hint=f"what can be ignored: {', '.join(IGNORABLE)}")
    return IGNORABLE[word]


def _on_demand(name: str) -> str:
    if name not in ON_DEMAND:
        raise IrflopsError(f"{quoted(name)} is no cost that is worked out on demand", hint=f"those are {', '.join(ON_DEMAND)}")
    return name


def _fewest_edits(old: Side, new: Side, aspects: Aspects) -> tuple[Matching, list[Edit]]:
    """The matching by the alignment that leads to fewer edits; the first is taken at once where there are none."""
    best: tuple[Matching, list[Edit]] | None = None
    swapped = _rank(old) > _rank(new)
    prints = Prints(new, old) if swapped else Prints(old, new)
    least = abs(len(old.ops) - len(new.ops)) if aspects.all_ops else 0
    for hint in HINTS:
        pairs, modules = _aligned(old, new, prints, swapped=swapped, attrs=aspects.attrs, hint=hint)
        matching = Matching(old, new, pairs, modules, aspects)
        gone, come = matching.presences
        hidden = None if aspects.declared else (gone.hidden(), come.hidden())
        edits = [*module_edits(old, new, modules, hidden), *matching.edits()]
        if best is None or len(edits) < len(best[1]):
            best = matching, edits
        if sum(not edit.kind.startswith("module_") for edit in edits) <= least:
            break  # no alignment has fewer
    assert best is not None
    return best


def _aligned(old: Side, new: Side, prints: Prints, *, swapped: bool, attrs: bool, hint: str) -> tuple[Pairs, dict[str, str]]:
    """Pairs of nodes and of modules, found in one direction whichever of the two is asked for: `swapped` says that it is the other."""
    if not swapped:
        pairs = align(old, new, prints, attrs=attrs, hint=hint)
        return pairs, pair_modules(old, new, pairs)
    back = align(new, old, prints, attrs=attrs, hint=hint)
    modules = pair_modules(new, old, back)
    return {b: a for a, b in back.items()}, {other: path for path, other in modules.items()}


def _rank(side: Side) -> tuple[int, str]:
    """What decides the direction: the same for equal graphs in every run of Python."""
    digest = hashlib.sha256()
    for op in side.ops:
        digest.update(f"{op.name}\n{op.type}\n".encode("utf-8", errors="replace"))
    return len(side.ops), digest.hexdigest()


def _in_order(edits: list[Edit], old: Side, new: Side) -> list[Edit]:
    """Edits by kind, those of one kind in the order in which their operators run."""
    runs = [{side.ops[node].name: n for n, node in enumerate(side.order)} for side in (new, old)]
    paths = [{module.path: n for n, module in enumerate(side.analysis.graph.modules)} for side in (new, old)]

    def key(edit: Edit) -> tuple[int, int]:
        at = 0 if edit.new is not None else 1
        end = edit.new or edit.old
        place = paths[at].get(end.path, -1) if isinstance(end, Module) else runs[at].get(end.name, -1) if end else -1
        return EDIT_KINDS.index(edit.kind), place

    return sorted(edits, key=key)


def kinds_of(edits: Collection[Edit]) -> dict[str, int]:
    """How many edits of each kind, in the order of EDIT_KINDS."""
    return {kind: count for kind in EDIT_KINDS if (count := sum(edit.kind == kind for edit in edits))}


__all__ = ["Diff", "Edit", "diff_analyses", "kinds_of"]
