"""Devices as the serialized forms write them: `"@0:0"`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from irflops.ir.graph import Placement

MAX_DEVICES = 1 << 20
"""Devices of one placement that are believed; the largest clusters have some ten thousand."""

_DEVICES = re.compile(r"@?(\d{1,9}):(\d{1,9})(?:-(\d{1,9}))?\Z")


def placement_of_devices(device: str, names: Iterable[str], hierarchy: tuple[int, ...]) -> Placement | None:
    """A placement from device names, None where they read in no known way.

    `@5:1` is the device of rank 5, the second of its machine, whose ranks follow one another; `1:0-3` are four devices of machine 1, whose
    ranks count on from the machine before.
    """
    ranks: list[int] = []
    nodes: list[int] = []
    for name in names:
        match = _DEVICES.match(name)
        if match is None:
            return None
        machine, first = int(match[1]), int(match[2])
        if match[3] is None:
            ranks.append(machine if name.startswith("@") else machine + first)
            nodes.append(machine - first if name.startswith("@") else machine)
            continue
        width = int(match[3]) - first + 1
        if not 0 < width <= MAX_DEVICES - len(ranks):
            return None
        ranks.extend(range(machine * width, (machine + 1) * width))
        nodes.extend([machine] * width)
    return Placement(device, tuple(ranks), hierarchy or (len(ranks),), tuple(nodes)) if ranks else None
