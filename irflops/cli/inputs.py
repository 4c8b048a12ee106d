"""Options that ask for other inputs than the captured ones, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Sequence

import click

from irflops.errors import listed
from irflops.whatif.request import MOST_EXTENT

_EXTENT = re.compile(r"[1-9][0-9]*|[A-Wa-wyzYZ]")

MOST_DIGITS = len(str(MOST_EXTENT))

BATCH_OPTION = click.option(
    "--batch",
    type=click.IntRange(min=1, max=MOST_EXTENT),
    metavar="N",
    help="As if captured at batch N: axis 0 of the first input, and of those like it.",
)
DTYPE_OPTION = click.option("--dtype", metavar="TYPE", help="As if its commonest float type were TYPE: float16, bfloat16...")


MOST_DIMENSIONS = 8
_SIZE = re.compile(r"[1-9][0-9]{0,6}")
_NAMED = re.compile(r"([a-z]{1,16})=([1-9][0-9]{0,6})")


def mesh_of(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[int, ...] | dict[str, int] | None:
    """The extents of `4x2`, or by name of `data=4,tensor=2`."""
    if value is None:
        return None
    parts = value.strip().split("x")
    if len(parts) <= MOST_DIMENSIONS and all(map(_SIZE.fullmatch, parts)):
        return tuple(map(int, parts))
    named = [_NAMED.fullmatch(part.strip()) for part in value.split(",")]
    if not all(named):
        raise click.BadParameter(f"{value!r} is no mesh; write 4x2, or data=4,tensor=2")
    return {match[1]: int(match[2]) for match in named if match is not None}


MESH_OPTION = click.option(
    "--mesh",
    callback=mesh_of,
    metavar="AxB",
    help="As if on a mesh of this size, the graph and its batch as they are: 4x2, or data=4,tensor=2.",
)


def shapes_of(_ctx: click.Context, _param: click.Parameter, values: Sequence[str]) -> dict[str | None, tuple[int, ...]]:
    """Shapes by name of `x=2x3x384x384`; under None of `2x3x384x384`."""
    found: dict[str | None, tuple[int, ...]] = {}
    for value in values:
        name, extents = _split(value)
        if not all(isinstance(extent, int) for extent in extents):
            raise click.BadParameter(f"{value!r} has a letter in its shape: that is for irflops scale")
        found[name] = tuple(extent for extent in extents if isinstance(extent, int))
    return found


def templates_of(
    _ctx: click.Context, _param: click.Parameter, values: Sequence[str]
) -> tuple[str, dict[str | None, tuple[int | None, ...]]]:
    """The symbol and the shapes of `1x3xNxN`, with None for it; the symbol is empty where there is no shape."""
    found: dict[str | None, tuple[int | None, ...]] = {}
    symbols: dict[str, None] = {}
    for value in values:
        name, extents = _split(value)
        symbols |= dict.fromkeys(extent for extent in extents if isinstance(extent, str))
        found[name] = tuple(extent if isinstance(extent, int) else None for extent in extents)
    if found and len(symbols) != 1:
        raise click.BadParameter(
            f"{listed(list(symbols)) or 'no letter'}: write one letter for what varies, as often as it stands: 1x3xNxN"
        )
    return next(iter(symbols), ""), found


def _split(value: str) -> tuple[str | None, tuple[int | str, ...]]:
    name, equals, shape = value.rpartition("=")
    parts = shape.strip().split("x")
    if not all(_EXTENT.fullmatch(part) for part in parts):
        raise click.BadParameter(f"{value!r} is no shape; write 2x3x384x384, or NAME=2x3x384x384")
    if any(len(part) > MOST_DIGITS or (part.isdigit() and int(part) > MOST_EXTENT) for part in parts):
        raise click.BadParameter(f"{value!r} is too large: an extent is below 2^63")
    return name.strip() if equals else None, tuple(int(part) if part.isdigit() else part for part in parts)
