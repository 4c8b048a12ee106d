"""All conventions, in one list."""

from __future__ import annotations

import copyreg
import difflib
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any

from irflops.conventions import calflops, deepspeed, flowflops, fvcore, ptflops, pytorch, thop, torchinfo, torchprofile, torchstat
from irflops.conventions.count import Answer, Contribution, count
from irflops.conventions.rule import Convention
from irflops.errors import IrflopsError
from irflops.lifting.structure import Structure

CONVENTIONS: tuple[Convention, ...] = (
    *flowflops.CONVENTIONS,
    *pytorch.CONVENTIONS,
    *fvcore.CONVENTIONS,
    *ptflops.CONVENTIONS,
    *thop.CONVENTIONS,
    *torchstat.CONVENTIONS,
    *calflops.CONVENTIONS,
    *deepspeed.CONVENTIONS,
    *torchinfo.CONVENTIONS,
    *torchprofile.CONVENTIONS,
)

USUAL = ("flowflops-graph", "torch", "fvcore", "ptflops", "thop")
"""Those that people ask for most: OneFlow's own counter, PyTorch's, and the three packages that papers name."""

ALIASES = {"calflops-macs": "calflops", "deepspeed-macs": "deepspeed"}
"""Other names of some, for those who like to say which figure they mean."""

BY_NAME = {convention.name: convention for convention in CONVENTIONS}
BY_NAME |= {alias: replace(BY_NAME[name], name=alias) for alias, name in ALIASES.items()}


def convention_called(name: str) -> Convention:
    """The convention of that name. Errors: IrflopsError with the nearest name."""
    if name in BY_NAME:
        return BY_NAME[name]
    near = difflib.get_close_matches(name, BY_NAME, n=1)
    raise IrflopsError(f"there is no convention {name!r}", hint=f"did you mean {near[0]}?" if near else "irflops conventions lists them")


def _reduced(convention: Convention) -> tuple[Callable[..., Convention], tuple[Any, ...]]:
    """Conventions are pickled by name, since their rules are closures; one that is not in the list by its fields."""
    if BY_NAME.get(convention.name) is convention:
        return convention_called, (convention.name,)
    return partial(Convention, **{field.name: getattr(convention, field.name) for field in fields(convention)}), ()


copyreg.pickle(Convention, _reduced)

__all__ = ["ALIASES", "BY_NAME", "CONVENTIONS", "USUAL", "Answer", "Contribution", "Convention", "Structure", "convention_called", "count"]
