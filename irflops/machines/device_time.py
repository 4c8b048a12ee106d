"""How long one device takes for its part of a step: a floor over all of it, and an estimate operator by operator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from irflops.devices.classes import Interval
from irflops.ir.graph import DType, Op
from irflops.machines.machine import FORMAT_OF
from irflops.machines.rates import Rate, Rates
from irflops.machines.sending import Sending
from irflops.machines.work import Compulsory, OpWork

BOUNDS = ("matrix", "vector", "memory", "launch")
"""What an operator may wait for."""


@dataclass(frozen=True, slots=True)
class OpTime:
    """Seconds of an operator in a step, all its runs together."""

    work: OpWork
    matrix_s: float
    vector_s: float
    memory_s: float
    launch_s: float
    least_matrix_s: float
    """At the highest clock, and no more than is surely done."""
    least_vector_s: float
    is_known: bool
    """Whether the estimate has all of it."""

    @property
    def op(self) -> Op:
        """The operator."""
        return self.work.op

    @property
    def estimate_s(self) -> float:
        """As a kernel of its own, unfused; of what is known."""
        return max(self.matrix_s, self.vector_s, self.memory_s) + self.launch_s

    @property
    def floor_s(self) -> float:
        """Of its arithmetic alone: what it reads and writes may stay on the chip."""
        return max(self.least_matrix_s, self.least_vector_s)

    @property
    def wasted_s(self) -> float:
        """Above the floor."""
        return max(self.estimate_s - self.floor_s, 0.0)

    @property
    def bound(self) -> str | None:
        """What it waits for, None where no kernel runs for it or something of it is unknown."""
        if not self.is_known or not self.estimate_s:
            return None
        times = (self.matrix_s, self.vector_s, self.memory_s, self.launch_s)
        return BOUNDS[times.index(max(times))]


@dataclass(frozen=True, slots=True)
class Floor:
    """Seconds that no run can beat, by what sets them."""

    matrix_s: float
    vector_s: float
    memory_s: float
    communication_s: float
    compulsory: Compulsory

    @property
    def parts(self) -> dict[str, float]:
        """By what sets them."""
        return {
            "matrix": self.matrix_s,
            "vector": self.vector_s,
            "memory": self.memory_s,
            "communication": self.communication_s,
        }

    @property
    def total_s(self) -> float:
        """The largest."""
        return max(self.parts.values())

    @property
    def binds(self) -> str | None:
        """What sets the floor, None where nothing does."""
        parts = self.parts
        most = max(parts, key=parts.__getitem__)
        return most if parts[most] else None


class Gaps:
    """What a machine has no figure for."""

    def __init__(self) -> None:
        self.contractions: dict[DType, None] = {}
        """Types in which it cannot multiply: nothing has a time then."""
        self.others: dict[DType, str | None] = {}
        """Types that its vector unit has no rate for, and the number format that the estimate takes instead."""
        self.tf32 = False
        """Whether float32 contractions were timed as tf32."""
        self.bandwidth = False
        """Whether its memory bandwidth is not known."""


class OpTimer:
    """Times operators on a machine."""

    def __init__(self, rates: Rates, efficiency: float = 1.0) -> None:
        self._rates, self._efficiency = rates, efficiency
        self.gaps = Gaps()

    def time(self, work: OpWork) -> OpTime:
        """How long an operator takes."""
        machine = self._rates.machine
        seconds = {"matrix": 0.0, "vector": 0.0}
        least = dict(seconds)
        is_known = work.is_known
        if work.contraction and work.contraction_type is not None:
            rate = self._rates.contraction(work.contraction_type)
            if rate is None:
                self.gaps.contractions[work.contraction_type] = None
                is_known = False
            else:
                self.gaps.tf32 = self.gaps.tf32 or (rate.number == "tf32" and work.contraction_type is DType.FLOAT32)
                self._add(seconds, least, rate, work.contraction, surely=not work.at_most)
        if work.other and work.other_type is not None:
            rate = self._rates.other(work.other_type)
            if rate is not None:
                self._add(seconds, least, rate, work.other, surely=not work.at_most)
            else:
                instead = self._rates.other(DType.FLOAT32)
                self.gaps.others[work.other_type] = instead.number if instead is not None else None
                if instead is not None:
                    seconds["vector"] += work.other / (instead.printed * self._efficiency)
        memory = 0.0
        if work.nbytes:
            if machine.memory_bandwidth is None:
                self.gaps.bandwidth, is_known = True, False
            else:
                memory = work.nbytes / machine.memory_bandwidth
        launch = 0.0 if work.is_nothing else machine.launch_s * work.op.runs
        return OpTime(work, seconds["matrix"], seconds["vector"], memory, launch, least["matrix"], least["vector"], is_known)

    def _add(self, seconds: dict[str, float], least: dict[str, float], rate: Rate, flops: int, *, surely: bool) -> None:
        seconds[rate.unit] += flops / (rate.printed * self._efficiency)
        if surely:
            least[rate.unit] += flops / rate.highest


@dataclass(frozen=True)
class Part:
    """Some operators of a device together: seconds of their arithmetic at least, and as estimated."""

    floor_s: float
    estimate_s: float
    is_known: bool
    """Whether the estimate has all of it."""


def part_of(times: Iterable[OpTime]) -> Part:
    """Operators together: the floor is that of the busier unit, for the other may work meanwhile."""
    matrix = vector = estimate = 0.0
    is_known = True
    for one in times:
        matrix, vector, estimate = matrix + one.least_matrix_s, vector + one.least_vector_s, estimate + one.estimate_s
        is_known = is_known and one.is_known
    return Part(max(matrix, vector), estimate, is_known)


@dataclass(frozen=True)
class DeviceTime:
    """The time of each of some devices that do the same."""

    ranks: tuple[Interval, ...]
    ops: tuple[OpTime, ...]
    floor: Floor
    sending: Sending
    """Of all its transfers."""
    sent_by_phase: dict[str, Sending]

    @property
    def count(self) -> int:
        """How many devices."""
        return sum(last - first + 1 for first, last in self.ranks)

    @cached_property
    def whole(self) -> Part:
        """All its operators together."""
        return part_of(self.ops)


def floor_of(ops: Sequence[OpTime], needed: Compulsory, rates: Rates, sending: Sending) -> Floor:
    """What no run of a device's operators can beat."""
    machine = rates.machine
    bandwidth = machine.memory_bandwidth
    memory = max(needed.total - machine.cache_bytes, 0) / bandwidth if bandwidth is not None else 0.0
    matrix, vector = sum(one.least_matrix_s for one in ops), sum(one.least_vector_s for one in ops)
    return Floor(matrix, vector, memory, max(sending.inside_floor_s, sending.across_floor_s), needed)


def named(dtype: DType) -> str:
    """A type as machines name it, and as OneFlow does."""
    number = FORMAT_OF.get(dtype)
    return dtype.word if number is None or number == dtype.word else f"{number} ({dtype.word})"
