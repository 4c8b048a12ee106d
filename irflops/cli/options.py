"""Options and arguments that several commands share, and how they are read."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from irflops.configuration.config import NO_CONFIG, find_config, read_config
from irflops.readers.compression import MAX_SIZE

T = TypeVar("T")


def bytes_of(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Bytes as `size_of` reads them, of which there may be none."""
    return None if value is None else 0 if value.strip() == "0" else size_of(ctx, param, value)


def size_of(_ctx: click.Context, _param: click.Parameter, value: str) -> int:
    """Bytes of `500M`, `2G`, `2GiB`; the letters go by 1024."""
    match = re.fullmatch(r"(\d{1,18})\s*([kKmMgGtT]?)(?:i?[bB])?", value.strip())
    if match is None or not int(match[1]):
        raise click.BadParameter(f"{value!r} is no size; write 500M or 2G")
    return int(match[1]) << 10 * " KMGT".index(match[2].upper() or " ")


def count_of(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """The whole number of `300000000`, `300e9` or `1.4e12`, 1 or more."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,15})(?:\.(\d{1,15}))?(?:[eE]\+?(\d{1,2}))?", value.strip(), re.ASCII)
    whole, fraction, power = match.groups() if match is not None else ("0", None, None)
    decimals = int("1" + "0" * len(fraction or ""))
    digits = int(f"{whole}{fraction or ''}") * int("1" + "0" * int(power or 0))
    if not digits or digits % decimals:
        raise click.BadParameter(f"{value!r} is no whole number, 1 or more; write 300e9")
    return digits // decimals


def names_of(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[str, ...]:
    """Names with commas between them, each once."""
    return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))


MAX_SIZE_OPTION = click.option(
    "--max-size",
    callback=size_of,
    default=f"{MAX_SIZE >> 30}G",
    show_default=True,
    metavar="SIZE",
    help="Most bytes to read, decompressed: 500M, 2G.",
)
GRAPH_OPTION = click.option("--graph", metavar="NAME|N", help="Which graph, where a file holds several.")
FORMAT_OPTION = click.option(
    "--format",
    "format_",
    type=click.Choice(("table", "json", "csv", "markdown")),
    default="table",
    show_default=True,
    help="How to write the result.",
)
QUIET_OPTION = click.option("-q", "--quiet", is_flag=True, help="No sign of progress on standard error.")
OUTPUT_OPTION = click.option("-o", "--output", metavar="FILE", help="Write the result to FILE, as UTF-8.")


_CONFIG = click.option(
    "--config", metavar="FILE", help="Read the settings from FILE.  [default: irflops.toml or pyproject.toml, here or above]"
)
_NO_CONFIG = click.option("--no-config", is_flag=True, help="Read no settings.")


def with_config(command: Callable[..., T]) -> Callable[..., T]:
    """Gives a command the options that say which configuration to read, and as `config` what that holds."""

    @_CONFIG
    @_NO_CONFIG
    @wraps(command)
    def called(*args: Any, config: str | None, no_config: bool, **options: Any) -> T:
        if config is not None and no_config:
            raise click.UsageError("--config and --no-config contradict each other.")
        found = NO_CONFIG if no_config else read_config(Path(config)) if config is not None else find_config()
        return command(*args, config=found, **options)

    return called


class Grouped(click.Command):
    """A command whose options stand in groups, by the first of each."""

    groups: tuple[tuple[str, str], ...] = (
        ("by", "What to show"),
        ("format_", "How to write it"),
        ("graph", "What to read"),
        ("batch", "What if"),
        ("strict", "Other options"),
    )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the options under the titles of their groups."""
        titles = dict(self.groups)
        sections: list[tuple[str, list[tuple[str, str]]]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None or not isinstance(param, click.Option):
                continue
            if param.name in titles or not sections:
                sections.append((titles.get(param.name or "", "Options"), []))
            sections[-1][1].append(record)
        for title, records in sections:
            with formatter.section(title):
                formatter.write_dl(records)


def expanded(paths: Sequence[str]) -> list[str]:
    """The files that are meant: patterns are expanded here too, since not every shell does it. A file of that very name comes first.

    A folder stands for the dumps in it and below, but for one that `oneflow.save` wrote, which is a graph itself.
    """
    files: list[str] = []
    for path in paths:
        if path == "-" or os.path.lexists(path) or not glob.has_magic(path):
            found = [path]
        else:
            found = sorted(glob.glob(path, recursive=True)) or [path]  # noqa: PTH207 - Path.glob takes no absolute pattern
        files += [file for one in found for file in _inside(one)]
    return files


_SAVED = "model.mlir"
_DUMP = re.compile(r".+\.(?:txt|log|out|jsonl?|prototxt|pbtxt|pb|job|mlir|zip)(?:\.(?:gz|bz2|xz|zst))?", re.IGNORECASE)
"""Names of files in a folder that may be dumps."""


def _inside(path: str) -> list[str]:
    """A file as it is; of a folder the dumps in it, or the folder itself where there are none or a saved graph is."""
    if path == "-" or not Path(path).is_dir() or (Path(path) / _SAVED).exists():
        return [path]
    found: list[str] = []
    for folder, below, names in os.walk(path):
        if _SAVED in names:
            found.append(folder)
            below.clear()
            continue
        below[:] = sorted(name for name in below if not name.startswith("."))
        found += [str(Path(folder) / name) for name in sorted(names) if _DUMP.fullmatch(name)]
    return found or [path]
