"""The command line: arguments, exit codes, and nothing else. A command is a file and a name in COMMANDS."""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click

from irflops.cli.exit_codes import BAD_INPUT, FINE, INTERRUPTED, OUR_BUG
from irflops.cli.wide import with_wide
from irflops.errors import IrflopsError
from irflops.report.output import prepare_streams, silence

COMMANDS = (
    "analyze",
    "audit",
    "capture",
    "comm",
    "compare",
    "conventions",
    "diff",
    "explain",
    "formats",
    "forms",
    "lines",
    "machines",
    "memory",
    "ops",
    "rules",
    "scale",
    "schema",
    "sweep",
    "time",
)
"""In the order of the help. Each is the function of that name in the file of that name, which `_command` imports."""


class Program(click.Group):
    """Commands whose exit codes are the contract's, however they end."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]  # ends the process always
        prepare_streams()
        extra |= {"standalone_mode": False, "windows_expand_args": False}
        sys.exit(_exit_code(lambda: super(Program, self).main(args, prog_name or "irflops", **extra)))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of COMMANDS."""
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The one command that runs."""
        found = _command(cmd_name)
        return super().get_command(ctx, cmd_name) if found is None else with_wide(found)


def _command(name: str) -> click.Command | None:
    """A command by its name. It is imported here, for start-up time: the others may need what is slow to import."""
    match name:
        case "analyze":
            from irflops.cli.analyze import analyze

            return analyze
        case "audit":
            from irflops.cli.audit import audit

            return audit
        case "capture":
            from irflops.cli.capture import capture

            return capture
        case "comm":
            from irflops.cli.comm import comm

            return comm
        case "compare":
            from irflops.cli.compare import compare

            return compare
        case "conventions":
            from irflops.cli.conventions import conventions

            return conventions
        case "diff":
            from irflops.cli.diff import diff

            return diff
        case "explain":
            from irflops.cli.explain import explain

            return explain
        case "formats":
            from irflops.cli.formats import formats

            return formats
        case "forms":
            from irflops.cli.forms import forms

            return forms
        case "lines":
            from irflops.cli.lines import lines

            return lines
        case "machines":
            from irflops.cli.machines import machines

            return machines
        case "memory":
            from irflops.cli.memory import memory

            return memory
        case "ops":
            from irflops.cli.ops import ops

            return ops
        case "rules":
            from irflops.cli.rules import rules

            return rules
        case "scale":
            from irflops.cli.scale import scale

            return scale
        case "schema":
            from irflops.cli.schema import schema

            return schema
        case "sweep":
            from irflops.cli.sweep import sweep

            return sweep
        case "time":
            from irflops.cli.time import time

            return time
        case _:
            return None


def _exit_code(run: Callable[[], int | None]) -> int:
    stdout = sys.stdout
    try:
        code = run()
        sys.stdout.flush()
        return code or FINE
    except IrflopsError as error:
        click.echo(str(error), err=True)
        return BAD_INPUT
    except click.ClickException as error:
        error.show()
        return BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except (BrokenPipeError, SystemExit) as end:
        if isinstance(end, SystemExit) and sys.stdout is stdout:  # click answers a closed pipe with SystemExit too, and wraps the stream
            raise
        silence(sys.stdout)
        return FINE
    except Exception:  # noqa: BLE001 - whatever it is, it is no fault of the user's
        traceback.print_exc()
        click.echo("This is a bug of irflops, not of your file. Please report it with the lines above.", err=True)
        return OUR_BUG


def _print_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from importlib import metadata  # here for start-up time: only this option asks

    try:
        version = metadata.version("irflops")
    except metadata.PackageNotFoundError:
        version = "(not installed)"
    click.echo(f"irflops {version}")
    ctx.exit()


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: irflops analyze graph.txt",
)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Show the version and exit.")
def cli() -> None:
    """What a OneFlow graph costs, and where: from a dump alone, without OneFlow."""


def main() -> NoReturn:
    """The installed command."""
    # A graph is many objects that live to the end: seldom looking for cycles among them saves a tenth of the time.
    gc.set_threshold(100_000, 20, 100)
    cli.main()
