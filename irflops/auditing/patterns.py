"""Patterns of module paths."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WILD = {"**": ".*", "*": "[^.]*", "?": "[^.]"}


def module_regex(pattern: str) -> str:
    """A pattern as a regular expression: `*` stands for any part of one level, `**` for any number of levels."""
    return "".join(_WILD.get(part) or re.escape(part) for part in re.split(r"(\*\*|\*|\?)", pattern))


def module_pattern(patterns: Iterable[str]) -> re.Pattern[str] | None:
    """What matches a path that one of the patterns does, or that stands below one that does; None where there are no patterns."""
    parts = [rf"{module_regex(pattern)}(?:\..*)?" for pattern in patterns]
    return re.compile("|".join(f"(?:{part})" for part in parts), re.DOTALL) if parts else None
