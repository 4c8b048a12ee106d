"""`--wide`: every command that draws tables has it, without any of them handing it on."""

from __future__ import annotations

import click

_WIDE = "irflops.wide"


def _remember(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    ctx.meta[_WIDE] = value


def with_wide(command: click.Command) -> click.Command:
    """The command with the option `--wide` behind its `--format`, where it has that and not yet this."""
    names = [param.name for param in command.params]
    if "format_" in names and "wide" not in names:
        text = "Tables as wide as they are: nothing wraps, and no column is left out."
        wide = click.Option(["--wide"], is_flag=True, expose_value=False, callback=_remember, help=text)
        command.params.insert(names.index("format_") + 1, wide)
    return command


def is_wide() -> bool:
    """Whether the running command was asked for tables without a limit on their width."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.meta.get(_WIDE))
