"""The module tree: which module stands below which, by their paths alone."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

_LEVELS_AT_MOST = 1000
"""Levels of a path that are looked at for a module above; deeper ones hang from the root."""


@dataclass(frozen=True, slots=True)
class Tree:
    """Paths of modules, each below the nearest one whose path begins its own."""

    parents: Mapping[str, str]
    """By path; the root `""` has none."""
    children: Mapping[str, tuple[str, ...]]
    """By path, in order of first appearance."""

    def label(self, path: str) -> str:
        """What a path adds to that of the module above it."""
        parent = self.parents.get(path, "")
        return path[len(parent) + 1 :] if parent else path

    def walk(self, top: str = "", depth: int | None = None) -> Iterator[tuple[str, int]]:
        """Paths from one down, each with its level below that one; parents first, `depth` levels at most."""
        waiting = [(top, 0)]
        while waiting:
            path, level = waiting.pop()
            yield path, level
            if depth is None or level < depth:
                waiting += [(child, level + 1) for child in reversed(self.children.get(path, ()))]


def tree_of(paths: Iterable[str]) -> Tree:
    """The tree of paths; the root is always part of it."""
    known = dict.fromkeys(["", *paths])
    parents = {path: nearest(path.rpartition(".")[0], known) for path in known if path}
    children: dict[str, list[str]] = {}
    for path, parent in parents.items():
        children.setdefault(parent, []).append(path)
    return Tree(parents, {path: tuple(below) for path, below in children.items()})


def with_parents(paths: Iterable[str]) -> tuple[str, ...]:
    """Paths and all above them, the root `""` first, those above before those below."""
    known: dict[str, None] = {"": None}
    for path in paths:
        above: list[str] = []
        while path and path not in known and len(above) < _LEVELS_AT_MOST:
            above.append(path)
            path = path.rpartition(".")[0]  # noqa: PLW2901 - upwards, level by level
        known.update(dict.fromkeys(reversed(above)))
    return tuple(known)


def nearest(path: str, known: Container[str]) -> str:
    """The path itself if it is a known module, else the nearest known one above it."""
    for _ in range(_LEVELS_AT_MOST):
        if not path or path in known:
            return path
        path = path.rpartition(".")[0]
    return ""


def path_pattern(pattern: str) -> str:
    """The regular expression of a pattern of paths: `*` is any part of one level, `**` any number of levels, `?` a character of one."""
    wild = {"**": ".*", "*": "[^.]*", "?": "[^.]"}
    return "".join(wild.get(part) or re.escape(part) for part in re.split(r"(\*\*|\*|\?)", pattern))
