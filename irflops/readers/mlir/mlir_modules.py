"""Which module owns each operator of a saved graph, which has no module tree: by names, by OneFlow's scopes, by what is served."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from irflops.errors import GraphSyntaxError
from irflops.ir.graph import AttrValue, Module
from irflops.ir.tree import nearest, with_parents
from irflops.readers.meaning.draft import Draft
from irflops.readers.meaning.resolve import free_tensor_module, ticked_name
from irflops.readers.meaning.updates import is_update_name
from irflops.readers.printed.operators import UNPLACED

Scope = AttrValue
"""What OneFlow numbers a scope by: a module's, or that of one parameter, or one that a pass made. None where it is not told."""

_LEVELS = 1000
_MAX_PATHS = 200_000_000
"""Characters that the modules above all modules may have; a graph of 100 MB has a tenth."""


def assign_modules(drafts: Sequence[Draft], scopes: Sequence[Scope], path: str) -> tuple[Module, ...]:
    """Sets every draft's module; `scopes` are theirs. Returns the modules that own operators and those above them.

    Most operators are named after their module. A variable stands where its name says; one outside the module tree as far up as a module
    that had operators. What OneFlow's passes made stands with the operators of the same scope, else with the variable that it serves.
    `path` is what errors call the file. Errors: GraphSyntaxError.
    """
    variables = _place_variables(drafts)
    named: dict[str, None] = {}
    homes: dict[Scope, str] = {}
    lesser: dict[Scope, str] = {}
    for draft, scope in zip(drafts, scopes, strict=True):
        if draft.type == "variable":
            lesser.setdefault(scope, draft.module)
            if free_tensor_module(draft.name) is None:
                named.setdefault(draft.module)
        elif is_update_name(draft.name):
            lesser.setdefault(scope, draft.module)
        elif draft.module in variables:
            draft.module = variables[draft.module]  # what repeats or accumulates a variable is named after it
        elif draft.module != UNPLACED and draft.type not in ("input", "output"):
            homes.setdefault(scope, draft.module)
            named.setdefault(draft.module)
    homes = {scope: home for scope, home in (lesser | homes).items() if scope is not None}
    _place_unnamed(drafts, scopes, homes, variables)
    _place_ticks(drafts)
    if sum(len(each) * min(each.count("."), _LEVELS) for each in {*named, *variables.values()}) > _MAX_PATHS:
        raise GraphSyntaxError("module paths longer and deeper than those of any model", path=path)
    known = dict.fromkeys(with_parents(named))
    for draft in drafts:
        draft.module = nearest(draft.module, known)
    return tuple(Module(each, None, None) for each in known)


def _place_variables(drafts: Iterable[Draft]) -> dict[str, str]:
    """Sets the modules of variables to what their names say; returns them by name."""
    variables = {}
    for draft in drafts:
        if draft.type == "variable":
            if draft.module == UNPLACED:
                draft.module = draft.name.rpartition(".")[0]
            variables[draft.name] = draft.module
    return variables


def _place_ticks(drafts: Sequence[Draft]) -> None:
    """Sets the modules of ticks to those of the operators that they are named after."""
    modules = {draft.name: draft.module for draft in drafts}
    for draft in drafts:
        draft.module = modules.get(ticked_name(draft.name) or "", draft.module)


def _place_unnamed(drafts: Sequence[Draft], scopes: Sequence[Scope], homes: dict[Scope, str], variables: dict[str, str]) -> None:
    """Sets the modules of operators whose names tell none; `homes` are those of scopes, `variables` those of variables."""
    served: dict[str, str] = {}  # by the gradient that an update takes
    for draft, scope in zip(reversed(drafts), reversed(scopes), strict=True):
        updated = next((operand.lbn.partition("/")[0] for operand in draft.inputs if operand.arg == "model"), None)
        if draft.module == UNPLACED:
            home = variables.get(updated) if updated is not None else None
            if home is None:
                home = next((served[result.lbn] for result in draft.outputs if result.lbn in served), "")
            draft.module = homes.get(scope, home)
        if updated is not None:
            served.update((operand.lbn, draft.module) for operand in draft.inputs if operand.arg == "model_diff")
