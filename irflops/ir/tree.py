"""The module tree: which module stands below which, by their paths alone."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r"\d+")
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
    """The regular expression of a pattern of paths: `*` is any part of one level, `**` any number of levels, `?` a character of one.

    A backslash before one of these takes it as it is.
    """
    wild = {"**": ".*", "*": "[^.]*", "?": "[^.]"}
    parts = re.split(r"(\\[*?\\]|\*\*|\*|\?)", pattern)
    return "".join(wild.get(part) or re.escape(part[1:] if len(part) == 2 and part[0] == "\\" else part) for part in parts)


def common_place(paths: Sequence[str]) -> str:
    """What paths have in common, `*` for a number or a level that differs and `**` for any number of levels.

    >>> common_place(["m.layer1.0.fc", "m.layer2.7.fc"]), common_place(["m.a", "m.b.c"]), common_place(["m"])
    ('m.layer*.*.fc', 'm.**', 'm')
    """
    levels = [path.split(".") for path in dict.fromkeys(paths)]
    if len({len(path) for path in levels}) == 1:
        return ".".join(map(_common_level, zip(*levels, strict=True)))
    common = []
    for level in zip(*levels, strict=False):
        if len(set(level)) > 1:
            break
        common.append(level[0])
    return ".".join([*filter(None, common), "**"])


def _common_level(names: Sequence[str]) -> str:
    if len(set(names)) == 1:
        return names[0]
    opened = {_NUMBER.sub("*", name) for name in names}
    return opened.pop() if len(opened) == 1 else "*"
