"""Names of which one is meant: the nearest is suggested for another."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

from irflops.errors import quoted

LISTED = 50
"""Names that an error lists."""


def one_of(names: Iterable[str], what: str) -> Callable[[str], str]:
    """Accepts these names; ValueError suggests the nearest for another."""
    known = list(names)

    def check(name: str) -> str:
        if name in known:
            return name
        near = difflib.get_close_matches(name, known, n=1)
        there_are = f"; there are {', '.join(known)}" if len(known) <= LISTED else ""
        raise ValueError(f"{quoted(name)} is no {what}" + (f"; did you mean {near[0]!r}?" if near else there_are))

    return check
