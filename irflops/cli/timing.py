"""Options that ask for the time on a machine, and what comes of them, for all commands that have them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from irflops.analysis.analysis import Analysis
from irflops.cli.options import bytes_of
from irflops.machines.seconds import EXAMPLES, parsed_seconds

F = TypeVar("F", bound=Callable[..., Any])


def seconds_of(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """Seconds of `0.42s`, `420ms`, `5us` or `80ns`."""
    if value is None:
        return None
    seconds = parsed_seconds(value)
    if seconds is None:
        raise click.BadParameter(f"{value!r} is no time; write {EXAMPLES}")
    return float(seconds)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user asks of times."""

    machine: str | None
    machine_file: str | None
    step_time: float | None
    efficiency: float | None
    network: str | None
    ranks_per_node: int | None
    micro_batches: int | None
    no_tf32: bool
    context: int | None

    @property
    def is_idle(self) -> bool:
        """Whether no machine is named."""
        return self.machine is None


MACHINE_FILE_OPTION = click.option(
    "--machine-file", metavar="FILE", help="A TOML file with machines of your own, beside those of the configuration."
)
EFFICIENCY_OPTION = click.option(
    "--efficiency",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="X",
    help="Share of the peaks that the estimate counts on.  [default: 1]",
)
NETWORK_OPTION = click.option("--network", metavar="NAME", help="What joins nodes: ib_ndr, ethernet_100g...  [default: none is assumed]")
NO_TF32_OPTION = click.option("--no-tf32", is_flag=True, help="Time float32 products in fp32 where a machine would take tf32.")

_OPTIONS = (
    click.option("--machine", metavar="NAME", help="How long a step takes on this machine; irflops machines lists them."),
    MACHINE_FILE_OPTION,
    click.option("--step-time", callback=seconds_of, metavar="TIME", help="What a step took, 0.42s or 420ms: MFU and HFU follow."),
    EFFICIENCY_OPTION,
    NETWORK_OPTION,
    click.option(
        "--ranks-per-node",
        type=click.IntRange(min=1),
        metavar="N",
        help=f"Where a dump does not say.  [default: {Analysis.__dataclass_fields__['ranks_per_node'].default}]",
    ),
    click.option("--micro-batches", type=click.IntRange(min=1), metavar="N", help="Of a pipeline's step.  [default: those of the graph]"),
    NO_TF32_OPTION,
    click.option("--context", callback=bytes_of, metavar="SIZE", help="Memory that CUDA takes for itself.  [default: 500M]"),
)
_NAMES = tuple(Wanted.__dataclass_fields__)


def with_machine(command: F) -> F:
    """Gives a command these options, as one argument `wanted`."""
    return _with(command, _NAMES)


def with_machine_alone(command: F) -> F:
    """Gives a command the options that say on what, and none of a measured step or of memory."""
    return _with(command, tuple(name for name in _NAMES if name not in ("step_time", "context")))


def _with(command: F, names: tuple[str, ...]) -> F:
    @functools.wraps(command)
    def run(**given: Any) -> Any:
        wanted = Wanted(**(dict.fromkeys(_NAMES) | {name: given.pop(name) for name in names}))  # type: ignore[arg-type]  # each is of its option
        if wanted.machine is None:
            set_ = [f"--{name.replace('_', '-')}" for name in names if getattr(wanted, name) not in (None, False)]
            if set_:
                raise click.UsageError(f"{set_[0]} needs a machine: --machine NAME.")
        return command(wanted=wanted, **given)

    for name, option in reversed(list(zip(_NAMES, _OPTIONS, strict=True))):
        if name in names:
            run = option(run)
    return run  # type: ignore[return-value]  # a command whose options are one argument
