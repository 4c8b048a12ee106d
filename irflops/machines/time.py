"""How long a step of a graph takes on a machine: two times, never one for the other, and what each rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from irflops.counting.cost import Cost, OpCost
from irflops.counting.fold import UNPHASED
from irflops.devices.communication import Communication
from irflops.devices.nodes import RANKS_PER_NODE
from irflops.devices.part import graph_of_rank
from irflops.devices.shares import DeviceClass, Devices
from irflops.errors import IrflopsError
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Graph, Note, Phase, TensorType
from irflops.machines.device_time import DeviceTime, Gaps, OpTime, OpTimer, Part, floor_of, named, part_of
from irflops.machines.known import Network
from irflops.machines.machine import Machine
from irflops.machines.path import longest_path
from irflops.machines.rates import Rates
from irflops.machines.sending import Sender, Sending
from irflops.machines.work import compulsory, works
from irflops.ops.book import RuleBook

MOST_CLASSES = 16
"""Classes of devices that are timed, those with most work; beyond, one of these is taken for the busiest."""


@dataclass(frozen=True, slots=True)
class Asked:
    """On what, and how."""

    machine: Machine
    tf32: bool = True
    """Whether float32 contractions may run as tf32, as OneFlow lets them."""
    efficiency: float = 1.0
    """The share of the printed FLOP/s that the estimate counts on."""
    network: Network | None = None
    """Between nodes; None where nothing is said."""
    ranks_per_node: int = RANKS_PER_NODE
    """Where the form does not say."""
    micro_batches: int | None = None
    """Of a pipeline; None for the steps over which the graph accumulates."""

    def __post_init__(self) -> None:
        if not 0 < self.efficiency <= 1:
            raise IrflopsError(f"an efficiency of {self.efficiency:g} is none: it is more than 0 and at most 1")


@dataclass(frozen=True)
class Graphed:
    """What is timed: a graph with the types of its tensors, one run's cost of each operator, their sum, and what its devices do."""

    graph: Graph
    types: Mapping[str, TensorType]
    costs: Sequence[OpCost]
    total: Cost
    devices: Devices | None
    """None on one device."""
    communication: Communication | None
    book: RuleBook


@dataclass(frozen=True)
class Time:
    """The time of a step."""

    asked: Asked
    graphed: Graphed = field(repr=False)
    devices: tuple[DeviceTime, ...]
    """Classes of devices, the busiest first."""
    stages: int
    gaps: Gaps

    @property
    def machine(self) -> Machine:
        """Each of the devices."""
        return self.asked.machine

    @property
    def busiest(self) -> DeviceTime:
        """Those with the highest floor, of equal ones with the highest estimate."""
        return self.devices[0]

    @cached_property
    def no_time(self) -> str | None:
        """Why nothing has a time at all, None where it has."""
        if not self.gaps.contractions:
            return None
        types = ", ".join(map(named, self.gaps.contractions))
        return f"{self.machine.id} lists no rate for contractions in {types}"

    @cached_property
    def no_floor(self) -> str | None:
        """Why there is no floor."""
        if self.no_time is None and not self.machine.ceiling:
            return f"the figures of {self.machine.id} are no ceiling: a device may beat them"
        return self.no_time

    @cached_property
    def floor_s(self) -> float | None:
        """Seconds that no run can beat that does the arithmetic which the graph states; None where there is no such figure."""
        return None if self.no_floor is not None else self.busiest.floor.total_s

    @cached_property
    def unknown(self) -> tuple[OpTime, ...]:
        """Operators of which something is not known, over the classes of devices."""
        found = {one.op.name: one for device in self.devices for one in device.ops if not one.is_known}
        return tuple(found.values())

    @cached_property
    def no_estimate(self) -> str | None:
        """Why there is no estimate."""
        if self.no_time is not None:
            return self.no_time
        if self.gaps.bandwidth:
            return f"{self.machine.id} lists no memory bandwidth"
        if self.unknown:
            first = self.unknown[0].op
            others = f" and of {len(self.unknown) - 1:,} more" if len(self.unknown) > 1 else ""
            return f"something is unknown of {first.name}{others}"
        communication = self.graphed.communication
        if communication is not None and communication.untold:
            return "the form does not tell what the devices send one another"
        return next((device.sending.why for device in self.devices if device.sending.why), None)

    @cached_property
    def slowest(self) -> DeviceTime:
        """The devices with the highest estimate: where stages follow one another, the stage that all wait for."""
        return max(self.devices, key=lambda one: one.whole.estimate_s + (one.sending.estimate_s or 0.0))

    @property
    def micro_batches(self) -> int:
        """Into which a step of a pipeline is cut."""
        if self.asked.micro_batches is not None:
            return self.asked.micro_batches
        return max((op.runs for op in self.graphed.graph.ops), default=1)

    @cached_property
    def bubble_s(self) -> float:
        """Seconds that a stage of a pipeline waits for others under 1F1B: (p - 1) / m of its own forward and backward work."""
        if self.stages <= 1:
            return 0.0
        train = (Phase.FORWARD, Phase.RECOMPUTE, Phase.BACKWARD)
        ideal = sum(one.estimate_s for one in self.slowest.ops if one.op.phase in train)
        return ideal * (self.stages - 1) / self.micro_batches

    @cached_property
    def known_estimate_s(self) -> float:
        """The estimate of all that is known: without operators and transfers of which something is not."""
        return self.slowest.whole.estimate_s + self.bubble_s + (self.slowest.sending.estimate_s or 0.0)

    @property
    def estimate_s(self) -> float | None:
        """Seconds with each operator a kernel of its own and nothing overlapped; None where something is unknown."""
        return None if self.no_estimate is not None else self.known_estimate_s

    @cached_property
    def overlapped_s(self) -> float | None:
        """The estimate with the communication of each phase behind its work."""
        if self.no_estimate is not None:
            return None
        phases = self.by_phase
        names = dict.fromkeys((*phases, *self.slowest.sent_by_phase))
        sent = {name: (self.slowest.sent_by_phase.get(name, Sending()).estimate_s or 0.0) for name in names}
        return sum(max(phases[name].estimate_s if name in phases else 0.0, sent[name]) for name in names) + self.bubble_s

    @cached_property
    def critical_path_s(self) -> float | None:
        """Seconds of the longest way through the graph, its transfers included: what an unlimited number of streams would take."""
        if self.no_estimate is not None:
            return None
        times: dict[str, float] = {}
        for device in self.devices:
            for one in device.ops:
                times[one.op.name] = max(times.get(one.op.name, 0.0), one.estimate_s)
        sent: dict[tuple[str, int], float] = {}
        communication = self.graphed.communication
        if communication is not None:
            sender = Sender(self.machine, self.asked.network, self.asked.ranks_per_node)
            for transfer in communication.transfers:
                seconds = sender.sending(transfer.move).estimate_s or 0.0
                sent |= dict.fromkeys(((transfer.lbn, consumer) for consumer in transfer.consumers), seconds)
        return longest_path(self.graphed.graph, times, sent)

    @cached_property
    def by_phase(self) -> Mapping[str, Part]:
        """By phase of the step, of the slowest device."""
        return self._parts(lambda one: UNPHASED if one.op.phase is None else one.op.phase.value)

    def _parts(self, key: Callable[[OpTime], str]) -> dict[str, Part]:
        found: dict[str, list[OpTime]] = {}
        for one in self.slowest.ops:
            if not one.work.is_nothing:
                found.setdefault(key(one), []).append(one)
        return {name: part_of(times) for name, times in found.items()}

    @cached_property
    def by_module(self) -> Mapping[str, Part]:
        """By module, inclusive, of the slowest device; most time first below each."""
        own: dict[str, list[OpTime]] = {}
        for one in self.slowest.ops:
            if not one.work.is_nothing:
                path = one.op.module
                own.setdefault(path, []).append(one)
                while path:
                    path = path.rpartition(".")[0]
                    own.setdefault(path, []).append(one)
        return {path: part_of(times) for path, times in own.items()}

    @cached_property
    def by_bound(self) -> Mapping[str, float]:
        """Seconds of the estimate by what the operators wait for; they sum to it."""
        found = dict.fromkeys(("matrix", "vector", "memory", "launch"), 0.0)
        for one in self.slowest.ops:
            if one.bound is not None:
                found[one.bound] += one.estimate_s
        if self.slowest.sending.estimate_s:
            found["communication"] = self.slowest.sending.estimate_s
        if self.bubble_s:
            found["bubble"] = self.bubble_s
        return found

    @property
    def floor_certainty(self) -> Certainty:
        """Of the floor: exact where all that it counts is, else no less than told; a guessed graph has a guessed floor."""
        graph = self.graphed.graph
        if graph.doubt not in (Certainty.EXACT, Certainty.LOWER_BOUND):
            return graph.doubt
        total = self.graphed.total
        counted = total.certainty("macs") | total.certainty("flops") | total.certainty("bytes") | graph.doubt
        whole = all(device.floor.compulsory.is_known for device in self.devices) and not self.gaps.others and not self.unknown
        left_out = any(one.work.at_most for device in self.devices for one in device.ops)
        if counted in (Certainty.UPPER_BOUND, Certainty.UNBOUNDED) and not left_out:
            return Certainty.UNBOUNDED
        return Certainty.EXACT if counted is Certainty.EXACT and whole else Certainty.LOWER_BOUND

    @cached_property
    def notes(self) -> tuple[Note, ...]:
        """What a reader of the times should know."""
        return tuple(_notes(self))


def _notes(time: Time) -> Iterator[Note]:
    machine, gaps = time.machine, time.gaps
    stated = "direct convolutions, padded and masked positions too, nothing folded"
    yield Note("floor", f"the floor is that of the arithmetic which the graph states: {stated}")
    if gaps.tf32:
        yield Note("tf32", f"float32 contractions run as tf32 on {machine.id}, as OneFlow lets them; --no-tf32 times them in fp32")
    for dtype, instead in gaps.others.items():
        how = f"the estimate takes its {instead} rate" if instead is not None else "it is timed by its bytes alone"
        yield Note(
            "no-vector-rate", f"{machine.id} lists no rate of its vector unit for {named(dtype)}: the floor leaves that work out, {how}"
        )
    if time.no_floor is not None and time.no_time is None:
        yield Note("no-floor", time.no_floor)
    if machine.sure == "low":
        yield Note("unsure-machine", f"the figures of {machine.id} are not sure: {machine.source}")
    if time.no_estimate is not None:
        yield Note("no-time" if time.no_time is not None else "no-estimate", time.no_estimate)
    if time.unknown and time.no_time is None:
        yield Note(
            "floor-at-least", f"{len(time.unknown):,} operators, of which something is unknown, count in the floor with what is known"
        )
    classes = time.graphed.devices.classes if time.graphed.devices is not None else ()
    if len(classes) > MOST_CLASSES:
        yield Note("classes", f"of {len(classes):,} classes of devices the {MOST_CLASSES} with most FLOPs are timed")


def time_of(graphed: Graphed, asked: Asked) -> Time:
    """How long a step takes."""
    rates = Rates(asked.machine, tf32=asked.tf32)
    timer = OpTimer(rates, asked.efficiency)
    devices = graphed.devices
    if devices is None:
        ops = tuple(map(timer.time, works(graphed.graph, graphed.types, graphed.costs)))
        needed = compulsory(graphed.graph, graphed.types, graphed.book)
        alone = DeviceTime(((0, 0),), ops, floor_of(ops, needed, rates, Sending()), Sending(), {})
        return Time(asked, graphed, (alone,), 1, timer.gaps)
    sender = Sender(asked.machine, asked.network, asked.ranks_per_node)
    classes = sorted(devices.classes, key=lambda one: (-one.total.get("flops"), -one.total.get("bytes")))[:MOST_CLASSES]
    found = [_class_time(graphed, one, timer, rates, sender) for one in classes]
    found.sort(key=lambda one: (-one.floor.total_s, -one.whole.estimate_s))
    return Time(asked, graphed, tuple(found), max(len(devices.stages), 1), timer.gaps)


def _class_time(graphed: Graphed, one: DeviceClass, timer: OpTimer, rates: Rates, sender: Sender) -> DeviceTime:
    rank = one.ranks[0][0]
    own = graph_of_rank(graphed.graph, graphed.types, graphed.costs, graphed.book, rank)
    ops = tuple(map(timer.time, works(own.graph, own.types, own.costs)))
    by_phase: dict[str, Sending] = {}
    communication = graphed.communication
    if communication is not None:
        takes_part: dict[int, bool] = {}
        for transfer in communication.transfers:
            move = transfer.move
            if id(move) not in takes_part:
                takes_part[id(move)] = rank in move.consumers.ranks or rank in move.producers.ranks
            if takes_part[id(move)]:
                phase = communication.owner(transfer).phase
                name = UNPHASED if phase is None else phase.value
                by_phase[name] = by_phase.get(name, Sending()) + sender.sending(move)
    sending = sum(by_phase.values(), Sending())
    needed = compulsory(own.graph, own.types, graphed.book)
    return DeviceTime(one.ranks, ops, floor_of(ops, needed, rates, sending), sending, by_phase)
