"""Options that ask for other inputs than the captured ones, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Sequence

import click

from irflops.whatif.request import MOST_EXTENT

_FACTOR = r"(?:[1-9][0-9]*|[A-Wa-wyzYZ])"
_EXTENT = re.compile(rf"{_FACTOR}(?:\*{_FACTOR}){{0,3}}")
"""A number, a letter, or a product: the labels of a training step may stand in a row of N*T."""

MOST_DIGITS = len(str(MOST_EXTENT))

BATCH_OPTION = click.option(
    "--batch",
    type=click.IntRange(min=1, max=MOST_EXTENT),
    metavar="N",
    help="As if captured at batch N: axis 0 of the first input, and of those like it.",
)

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


def variables_of(_ctx: click.Context, _param: click.Parameter, values: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Shapes by name, or pattern of names, of `model.wpe=1x1024x256`."""
    found = shapes_of(_ctx, _param, values)
    if None in found:
        raise click.BadParameter("name the variable: NAME=SHAPE, such as model.wpe=1x1024x256")
    return {name: shape for name, shape in found.items() if name is not None}


Template = dict[str | None, tuple[int | str, ...]]
"""Shapes by name with letters in them; under None that of the one input there is."""


def templates_of(_ctx: click.Context, _param: click.Parameter, values: Sequence[str]) -> Template:
    """The shapes of `1x3xNxN`, `ids=NxT`."""
    return dict(map(_split, values))


def batch_of(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | str | None:
    """The letter or the number of `--batch N`, `--batch 8`."""
    if value is None:
        return None
    if not _EXTENT.fullmatch(value) or "*" in value:
        raise click.BadParameter(f"{value!r} is no batch; write a letter, or a number of samples")
    (extent,) = _split(value)[1]
    return extent


def _split(value: str) -> tuple[str | None, tuple[int | str, ...]]:
    name, equals, shape = value.rpartition("=")
    parts = shape.strip().split("x")
    if not all(_EXTENT.fullmatch(part) for part in parts):
        raise click.BadParameter(f"{value!r} is no shape; write 2x3x384x384, or NAME=2x3x384x384")
    if any(len(part) > MOST_DIGITS or (part.isdigit() and int(part) > MOST_EXTENT) for one in parts for part in one.split("*")):
        raise click.BadParameter(f"{value!r} is too large: an extent is below 2^63")
    return name.strip() if equals else None, tuple(int(part) if part.isdigit() else part for part in parts)
