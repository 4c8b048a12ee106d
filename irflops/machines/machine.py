"""A machine: what one device can compute, move, hold and send at most, and where the figures come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from irflops.ir.graph import DType

LAUNCH_S = 5e-6
"""Seconds to start a kernel from a compiled graph, where a machine has no figure of its own. Eager frameworks take some 60e-6."""

UNITS = ("matrix", "vector")
"""What computes: the unit for matrix products, and that for everything else."""

FORMATS = (
    "fp64",
    "fp32",
    "tf32",
    "fp16",
    "fp16_acc16",
    "bf16",
    "fp8",
    "fp4",
    "int64",
    "int32",
    "int16",
    "int8",
    "int4",
)
"""Number formats that a unit may have a rate for. `tf32` is fp32 with shorter products, `fp16_acc16` fp16 that is summed in fp16."""

FORMAT_OF: Mapping[DType, str] = {
    DType.FLOAT64: "fp64",
    DType.FLOAT32: "fp32",
    DType.FLOAT16: "fp16",
    DType.BFLOAT16: "bf16",
    DType.FLOAT8_E4M3: "fp8",
    DType.FLOAT8_E5M2: "fp8",
    DType.INT64: "int64",
    DType.INT32: "int32",
    DType.INT16: "int16",
    DType.INT8: "int8",
    DType.UINT8: "int8",
    DType.INT4: "int4",
    DType.UINT4: "int4",
}
"""The number format of element types."""

REACHES = ("pair", "node", "rack", "pod", "host")
"""How far a link goes. `host`: to the host, and through it to the other devices of the node."""


@dataclass(frozen=True, slots=True)
class Link:
    """What joins a device to others."""

    kind: str
    bytes_per_s: float
    """Bytes a second of one device, in one direction, to all others together."""
    reach: str
    devices: int | None = None
    """Devices that it joins; None of a link to the host."""
    to_one_peer: float | None = None
    """Bytes a second between two devices where that is less."""

    @property
    def peer_rate(self) -> float:
        """Bytes a second between two devices, in one direction."""
        return self.to_one_peer or self.bytes_per_s

    def rate_among(self, devices: int) -> float:
        """Bytes a second of one device to so many, itself included: without a switch no more than its links to these."""
        return min(self.bytes_per_s, max(devices - 1, 1) * self.peer_rate)

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON."""
        return {
            "kind": self.kind,
            "bytes_per_s_per_direction": self.bytes_per_s,
            "to_one_peer": self.peer_rate if self.reach != "host" else None,
            "reach": self.reach,
            "devices": self.devices,
        }


@dataclass(frozen=True, slots=True)
class Derivation:
    """How rates follow from the chip: units x clock x FLOP of a unit in a clock."""

    units: int
    clock_ghz: float
    per_clock: Mapping[str, float]
    """By `UNIT_FORMAT`."""
    vector_clock_ghz: float | None = None
    """The clock of the vector rates, and of fp64, where these are printed at another."""
    clock_base_ghz: float | None = None

    def clock(self, unit: str, number: str) -> float:
        """The clock in GHz at which a rate is printed."""
        own = unit == "vector" or number == "fp64"
        return self.vector_clock_ghz if own and self.vector_clock_ghz is not None else self.clock_ghz

    def rate(self, unit: str, number: str) -> float | None:
        """FLOP/s, None where it cannot be derived."""
        each = self.per_clock.get(f"{unit}_{number}")
        return None if each is None else self.units * self.clock(unit, number) * 1e9 * each


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One device. Rates are dense FLOP/s, a fused multiply-add counting 2, or integer operations a second; bytes are bytes."""

    id: str
    name: str
    vendor: str
    kind: str
    """`gpu`, `cpu`, `npu` or `tpu`."""
    source: str
    sure: str
    """`high`, `medium` or `low`."""
    matrix: Mapping[str, float] = field(default_factory=dict)
    vector: Mapping[str, float] = field(default_factory=dict)
    memory_bandwidth: float | None = None
    memory_bytes: int | None = None
    """As it is labelled."""
    usable_bytes: int | None = None
    """As its driver shows it."""
    cache_bytes: int = 0
    """What may keep tensors from one step to the next; 0 where it is not known."""
    cache: str = ""
    max_clock_ghz: float | None = None
    derive: Derivation | None = None
    links: tuple[Link, ...] = ()
    alpha_s: float | None = None
    """Seconds of a step of a collective before its bytes; None for those of NCCL."""
    launch_s: float = LAUNCH_S
    watts: float | None = None
    ceiling: bool = True
    """Whether no device of this name beats the figures, so that floors follow from them."""
    aliases: tuple[str, ...] = ()
    architecture: str = ""
    year: int | None = None
    seen: str = ""
    """Other tables that have the same figures."""
    notes: str = ""

    def rates(self, unit: str) -> Mapping[str, float]:
        """The printed rates of a unit."""
        return self.matrix if unit == "matrix" else self.vector

    def boost(self, unit: str, number: str) -> float:
        """The highest clock by the one at which a rate is printed: at least 1."""
        if self.max_clock_ghz is None or self.derive is None:
            return 1.0
        return max(1.0, self.max_clock_ghz / self.derive.clock(unit, number))

    def fabric(self, devices: int) -> Link | None:
        """What joins so many devices of a node: their own link where it reaches all, else the way through the host."""
        own = (link for link in self.links if link.reach != "host" and (link.devices is None or link.devices >= devices))
        return next(own, next((link for link in self.links if link.reach == "host"), None))

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON."""
        derived = self.derive
        return {
            "id": self.id,
            "name": self.name,
            "aliases": list(self.aliases),
            "vendor": self.vendor,
            "architecture": self.architecture or None,
            "year": self.year,
            "kind": self.kind,
            "matrix": dict(self.matrix),
            "vector": dict(self.vector),
            "memory_bytes": self.memory_bytes,
            "usable_bytes": self.usable_bytes,
            "memory_bandwidth": self.memory_bandwidth,
            "cache_bytes": self.cache_bytes,
            "max_clock_ghz": self.max_clock_ghz,
            "links": [link.to_dict() for link in self.links],
            "alpha_s": self.alpha_s,
            "launch_s": self.launch_s,
            "watts": self.watts,
            "ceiling": self.ceiling,
            "derive": None
            if derived is None
            else {
                "units": derived.units,
                "clock_ghz": derived.clock_ghz,
                "vector_clock_ghz": derived.vector_clock_ghz,
                "per_clock": dict(derived.per_clock),
            },
            "source": self.source,
            "seen": self.seen or None,
            "sure": self.sure,
            "notes": self.notes or None,
        }
