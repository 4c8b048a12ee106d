"""How long transfers take on a machine: a floor by what must leave a device, and an estimate by the ring with its latencies."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from irflops.devices.boxing import ALL_REDUCE, ALL_TO_ALL, Step
from irflops.devices.nodes import Nodes
from irflops.devices.transfers import Move
from irflops.machines.known import Network, alpha
from irflops.machines.machine import Machine


@dataclass(frozen=True, slots=True)
class Sending:
    """Seconds of one device for a transfer, in a step of training."""

    inside_floor_s: float = 0.0
    """What links inside a node cannot do faster."""
    across_floor_s: float = 0.0
    """What the network between nodes cannot."""
    estimate_s: float | None = 0.0
    """By a ring on each level, its latencies included; None where no rate is known."""
    why: str | None = None
    """Why that is."""

    def __add__(self, other: Sending) -> Sending:
        estimate = None if self.estimate_s is None or other.estimate_s is None else self.estimate_s + other.estimate_s
        return Sending(
            self.inside_floor_s + other.inside_floor_s, self.across_floor_s + other.across_floor_s, estimate, self.why or other.why
        )


class Sender:
    """The transfers of a graph on a machine, each kind of move worked out once."""

    def __init__(self, machine: Machine, network: Network | None, ranks_per_node: int) -> None:
        self._machine, self._network = machine, network
        self._nodes = Nodes(ranks_per_node)
        self._known: dict[int, tuple[Move, Sending]] = {}

    def sending(self, move: Move) -> Sending:
        """How long a move takes."""
        known = self._known.get(id(move))
        if known is None:
            known = self._known[id(move)] = move, self._of(move)  # the move is kept, so that its id stays its own
        return known[1]

    def _of(self, move: Move) -> Sending:
        if not move.bytes:
            return Sending()
        if move.crosses:
            reach = self._nodes.reach(move)
            across = move.bytes_per_device * reach.across / move.bytes
            inside = move.bytes_per_device - across
            devices = len({*move.producers.ranks, *move.consumers.ranks})
            return self._sent(inside, inside, across, across, devices, (move.runs, 0) if inside else (0, move.runs), to_peer=True)
        found = Sending()
        for step in move.steps:
            if step.elements:
                found += self._of_step(move, step)
        return found

    def _of_step(self, move: Move, step: Step) -> Sending:
        ranks = len(move.consumers.ranks)
        reach = self._nodes.reach_of(move, step)
        inside, across = reach.inside / ranks, reach.across / ranks
        local, nodes = self._group(move, step)
        # A ring's all-reduce sends each part twice; what no algorithm avoids is one contribution to each element.
        least_inside = inside * local / (2 * (local - 1)) if step.collective == ALL_REDUCE and local > 1 else inside
        least_across = across * nodes / (2 * (nodes - 1)) if step.collective == ALL_REDUCE and nodes > 1 else across
        times = move.runs * (2 if step.collective == ALL_REDUCE else 1)
        hops = step.group - local if step.collective == ALL_TO_ALL else nodes - 1
        return self._sent(least_inside, inside, least_across, across, local, ((local - 1) * times, hops * times), to_peer=False)

    def _group(self, move: Move, step: Step) -> tuple[int, int]:
        """Devices of a group on the node that has most of them, and nodes that it spans: of the first group along the dimension."""
        nodes, mesh = self._nodes.of(move.consumers), move.consumers.hierarchy
        stride = 1
        for extent in mesh[step.dimension + 1 :]:
            stride *= extent
        group = Counter(nodes[: stride * mesh[step.dimension] : stride])
        return max(group.values()), len(group)

    def _sent(
        self, least_inside: float, inside: float, least_across: float, across: float, devices: int, hops: tuple[int, int], *, to_peer: bool
    ) -> Sending:
        fabric = self._machine.fabric(devices)
        common = alpha()
        estimate, why = 0.0, None
        inside_floor = across_floor = 0.0
        if inside:
            if fabric is None:
                why = f"{self._machine.id} lists no link to other devices"
            else:
                inside_floor = least_inside / fabric.bytes_per_s
                own = common.host_s if fabric.reach == "host" else common.fabric_s
                step = own if self._machine.alpha_s is None else self._machine.alpha_s
                estimate += inside / (fabric.peer_rate if to_peer else fabric.rate_among(devices)) + hops[0] * step
        if across:
            if self._network is None:
                why = why or "it crosses nodes, and no --network says how fast"
            else:
                across_floor = least_across / self._network.bytes_per_s
                estimate += across / self._network.bytes_per_s + hops[1] * common.network_s
        return Sending(inside_floor, across_floor, None if why else estimate, why)
