"""The machines and networks that are known: those of the package, and the user's own."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from irflops.configuration.config import Config
from irflops.data import data_text
from irflops.errors import IrflopsError, Source, quoted
from irflops.machines.machine import Machine
from irflops.machines.table import machines_in
from irflops.toml_file import parsed_toml, read_toml


@dataclass(frozen=True, slots=True)
class Network:
    """What joins nodes, of one port in one direction."""

    name: str
    bytes_per_s: float
    source: str


@dataclass(frozen=True, slots=True)
class Alpha:
    """Seconds that a step of a collective takes before its bytes: over the devices' own fabric, through the host, over the network."""

    fabric_s: float
    host_s: float
    network_s: float
    source: str


@cache
def own_machines() -> tuple[Machine, ...]:
    """The machines of the package, in the order of its table."""
    source = Source("machines.toml", data_text("machines.toml"))
    return machines_in(parsed_toml(source), source.name, source)


def machines_of_file(path: str) -> tuple[Machine, ...]:
    """The machines of a user's file. Errors: IrflopsError."""
    content, source = read_toml(Path(path))
    return machines_in(content, path, source)


def users_machines(config: Config, path: str | None = None) -> tuple[Machine, ...]:
    """The machines of a configuration and of a file. Errors: IrflopsError."""
    configured = machines_in(config.table("machines"), config.path)
    return (*configured, *(machines_of_file(path) if path is not None else ()))


def machine_called(name: str, more: Iterable[Machine] = ()) -> Machine:
    """The machine of an id, or of a name that its driver or its sheet gives it; the user's own come first. Errors: IrflopsError."""
    every = {machine.id: machine for machine in (*own_machines(), *more)}
    wanted = name.strip().lower()
    if wanted in every:
        return every[wanted]
    for machine in every.values():
        if wanted in (other.lower() for other in (machine.name, *machine.aliases)):
            return machine
    near = [other for other in every if wanted and wanted in other][:5] or difflib.get_close_matches(wanted, list(every), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "irflops machines lists them"
    raise IrflopsError(f"there is no machine {quoted(name)}", hint=hint)


@cache
def _networks() -> tuple[Mapping[str, Network], Alpha]:
    content = parsed_toml(Source("networks.toml", data_text("networks.toml")))
    return {name: Network(name, **table) for name, table in content["networks"].items()}, Alpha(**content["alpha"])


def networks() -> Mapping[str, Network]:
    """The networks by name."""
    return _networks()[0]


def alpha() -> Alpha:
    """What a step of a collective takes where a machine has no figure of its own."""
    return _networks()[1]


def network_called(name: str) -> Network:
    """The network of that name. Errors: IrflopsError."""
    found = networks().get(name.strip().lower())
    if found is None:
        near = difflib.get_close_matches(name, list(networks()), n=1)
        hint = f"did you mean {near[0]}?" if near else f"networks: {', '.join(networks())}"
        raise IrflopsError(f"there is no network {quoted(name)}", hint=hint)
    return found
