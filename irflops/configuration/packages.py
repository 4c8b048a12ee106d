"""What installed packages add through an entry point group, and whose fault it is where that fails."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import TypeVar

from irflops.errors import IrflopsError

_OURS = str(Path(__file__).resolve().parent.parent)

T = TypeVar("T")


def added(group: str, kind: type[T], what: str) -> list[tuple[str, tuple[T, ...]]]:
    """By package the objects of a kind that the entry points of a group name: one object, or an iterable of them.

    `what` is their name in messages. Errors: IrflopsError where a package cannot be loaded, or names something else.
    """
    return [(package, _loaded(point, package, kind, what)) for point in _entry_points(group) for package in [_package(point)]]


def said(error: BaseException) -> str:
    """An exception in one line."""
    text = str(error).strip().partition("\n")[0].rstrip()
    return f"{type(error).__name__}{f': {text}' if text else ''}"


def place_of(error: BaseException, code: object) -> tuple[str | None, int | None]:
    """The file and the line outside irflops that ran last, else where the function begins: there its authors begin to look."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not Path(frame.filename).is_relative_to(_OURS)]
    start = getattr(code, "__code__", None)
    if frames:
        return frames[-1].filename, frames[-1].lineno
    return (None, None) if start is None else (start.co_filename, start.co_firstlineno)


def _entry_points(group: str) -> list[metadata.EntryPoint]:
    try:
        return sorted(metadata.entry_points(group=group), key=lambda point: point.name)
    except Exception as error:  # one package with damaged metadata is enough, and it need not have to do with irflops
        raise IrflopsError(
            f"what the installed packages add cannot be read: {said(error)}", hint="pip check may name the package"
        ) from error


def _package(point: metadata.EntryPoint) -> str:
    """The name of the distribution; where its metadata lacks one, what it imports."""
    try:
        name = point.dist.name if point.dist is not None else None
    except (KeyError, TypeError):
        name = None
    return name or point.value


def _loaded(point: metadata.EntryPoint, package: str, kind: type[T], what: str) -> tuple[T, ...]:
    try:
        found = point.load()
        items = (found,) if isinstance(found, kind) else tuple(found) if isinstance(found, Iterable) else ()
    except (Exception, SystemExit) as error:  # whatever a package does when it is imported, it is not our fault
        raise IrflopsError(f"the rules of {package} cannot be loaded: {said(error)}", hint=f"uninstall {package}") from error
    if not items or not all(isinstance(item, kind) for item in items):
        raise IrflopsError(f"{package} names {point.value} as {what}, which is none", hint=f"uninstall {package}")
    return items
