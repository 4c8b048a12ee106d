"""Devices in words and as a table: how many, how they are arranged, what each computes and holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from irflops.counting.ratio import Ratio
from irflops.report.numbers import UNKNOWN, Units, format_count, format_in, format_share
from irflops.report.table import Column, Table
from irflops.report.tables import cost_columns

if TYPE_CHECKING:
    from irflops.devices.shares import DeviceClass, Devices

LISTED = 4
"""Intervals of ranks, and stages, that a line lists."""


def devices_words(devices: Devices) -> str:
    """On how many devices a graph runs, and how they are arranged."""
    mesh = f", a mesh of {'x'.join(map(str, devices.mesh))}" if len(devices.mesh) > 1 else ""
    stages = f", {len(devices.stages)} stages" if len(devices.stages) > 1 else ""
    return f"{devices.ranks:,} ranks{mesh}{stages}"


def shares_words(devices: Devices, units: Units) -> list[str]:
    """What the busiest device does, how far devices repeat one another's work, and the stages of a pipeline."""
    one = devices.busiest.total
    flops = format_in(one.get("flops"), "FLOPs", units, one.certainty("flops"))
    held = format_count(sum(one.param_bytes), "bytes", one.certainty("param_bytes"))
    found = [f"the busiest: {flops}, {held} of variables"]
    redundancy, imbalance = devices.redundancy("flops"), devices.imbalance("flops")
    if redundancy.whole and imbalance.whole:
        found.append(f"FLOPs of all devices: {times(redundancy)} those of the graph; of the busiest: {times(imbalance)} the mean")
    if len(devices.stages) > 1:
        shares = [
            f"{ranks_words(stage.intervals)} {format_share(share)}"
            for stage, share in zip(devices.stages, devices.stage_shares, strict=True)
        ]
        found.append(f"FLOPs by stage: {_listed(shares)}")
    return found


def times(ratio: Ratio) -> str:
    """A quotient as a factor, in hundredths: `1.25 x`."""
    if ratio.whole <= 0:
        return UNKNOWN
    hundredths = (ratio.part * 200 + ratio.whole) // (2 * ratio.whole)
    return f"{ratio.certainty.sign}{hundredths // 100:,}.{hundredths % 100:02} x"


def ranks_words(ranks: Sequence[tuple[int, int]]) -> str:
    """Ranks as people write them: `rank 3`, `ranks 0-3, 8`."""
    parts = [f"{first}" if first == last else f"{first}-{last}" for first, last in ranks]
    return f"rank{'' if len(ranks) == 1 and ranks[0][0] == ranks[0][1] else 's'} {_listed(parts)}"


def _listed(parts: Sequence[str]) -> str:
    return ", ".join(parts[:LISTED]) + (", ..." if len(parts) > LISTED else "")


def device_table(devices: Devices) -> Table:
    """A row per class of devices that compute and hold the same: what one of them does."""

    def ranks(one: DeviceClass) -> str:
        return ranks_words(one.ranks)

    columns = (
        Column(name="ranks", title="each of", get=ranks, numeric=False),
        Column(name="devices", title="devices", get=lambda one: one.count),
        *cost_columns(lambda one: one.total, None),
    )
    people = ("ranks", "devices", "macs", "flops", "params", "bytes", "activation_bytes")
    return Table(name="device", title="Devices", columns=columns, items=devices.classes, people=people)
