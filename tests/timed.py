"""A machine of round figures, and the times of small graphs on it: what tests of times share."""

from __future__ import annotations

from typing import Any

import irflops
from irflops.analysis.timing import timed
from irflops.machines.machine import Derivation, Link, Machine
from irflops.machines.time import Asked, Time
from irflops.readers.notation.sketch import sketch

ROUND = Machine(
    id="round",
    name="Round",
    vendor="",
    kind="gpu",
    source="made up",
    sure="high",
    matrix={"fp16": 100e12, "tf32": 50e12},
    vector={"fp32": 10e12, "fp64": 5e12},
    memory_bandwidth=1e12,
    memory_bytes=1 << 30,
    launch_s=5e-6,
    alpha_s=1e-6,
    watts=100,
    links=(Link("fabric", 1e11, "node", 8, 2e10),),
)
BOOSTED = Machine(
    id="boosted",
    name="Boosted",
    vendor="",
    kind="gpu",
    source="made up",
    sure="high",
    matrix={"fp16": 100e12},
    vector={"fp32": 10e12},
    memory_bandwidth=1e12,
    max_clock_ghz=2.0,
    derive=Derivation(1, 1.0, {}, vector_clock_ghz=2.0),
)


def time_of(text: str, machine: Machine = ROUND, **settings: Any) -> Time:
    """The time of a small graph in the notation of examples."""
    return timed(irflops.analyze(sketch(text).graph), Asked(machine, **settings))
