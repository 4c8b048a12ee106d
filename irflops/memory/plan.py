"""What a device holds over a step, as OneFlow 0.9.0 plans it: variables, what keeps memory of its own, and what shares memory over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from irflops.errors import IrflopsError
from irflops.ir.graph import Op, Role
from irflops.memory.lives import Block, Chain, at_step, chains_of, lives_of, logical_chains_of
from irflops.memory.order import first_come, straightened, waits_of
from irflops.memory.packing import alive, most_alive, pack
from irflops.memory.registers import Device, Register
from irflops.memory.sharing import in_place
from irflops.ops.temporary import DeviceKind

_TICKS = {DeviceKind.CUDA: (3_072, 4_096, 6_656), DeviceKind.CPU: (365_184, 366_336, 368_064)}
"""Bytes of the registers of ticks, which say when sources may run and when all is done: for inference, for training, for training with
accumulation. Measured on plans of OneFlow 0.9.0."""

_FOR_A_REASON = frozenset(
    {"variable", "input", "output", "return", "acc", "pack", "unpack", "repeat", "identity_buffer", "copy_h2d", "copy_d2h"}
)
"""Types of operators whose results have to be there for the whole run."""

_MOST_BYTES = 1 << 60
"""More than any device has, and few enough that sums of them fit the arrays that they are packed in."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor that is alive at the peak."""

    lbn: str
    nbytes: int
    born: Op
    """The operator that makes it."""
    dies: Op
    """The last that needs it."""
    is_buffer: bool
    """Whether it is the buffer of a kernel."""


@dataclass(frozen=True, slots=True)
class Held:
    """Tensors that are held longer than anything needs them, for one reason."""

    why: str
    nbytes: int
    count: int


@dataclass(frozen=True)
class Plan:
    """The memory of one device."""

    kind: DeviceKind
    device: Device
    chains: tuple[Chain, ...]
    ticks: int
    is_whole: bool
    """Whether all that lies in another's memory was found."""

    @cached_property
    def variables(self) -> int:
        """Bytes of parameters, buffers and optimizer states."""
        return sum(register.nbytes for register in self._own if self._maker(register).type == "variable")

    @cached_property
    def unreused(self) -> int:
        """Bytes that are held for the whole run beside the variables; on a CPU none, for the arena is all of it."""
        return 0 if self.kind is DeviceKind.CPU else self._kept + self.ticks

    @cached_property
    def arena(self) -> int:
        """Bytes of the blocks that tensors share over time; on a CPU, where nothing is shared, of all tensors."""
        return self._kept + self.ticks if self.kind is DeviceKind.CPU else self._shared([size for size, _ in self.packed])

    @cached_property
    def bound(self) -> int:
        """The most bytes of the arena that are alive at once, chain by chain: no packing takes less."""
        return self.arena if self.kind is DeviceKind.CPU else self._shared([most for most, _ in self.peaks])

    def _shared(self, sizes: Sequence[int]) -> int:
        """Bytes of the chains together: of those in one memory the largest counts."""
        most: dict[int, int] = {}
        for chain, size in zip(self.chains, sizes, strict=True):
            most[chain.memory] = max(most.get(chain.memory, 0), size)
        return sum(most.values())

    @property
    def total(self) -> int:
        """All bytes that the device holds."""
        return self.variables + self.unreused + self.arena

    @cached_property
    def packed(self) -> list[tuple[int, list[int]]]:
        """By chain the size of its part of the arena, and the offsets of its blocks."""
        return [pack([block.life for block in chain.blocks]) for chain in self.chains]

    @cached_property
    def peaks(self) -> list[tuple[int, int]]:
        """By chain the most bytes alive at once, and the first step at which they are."""
        return [most_alive([block.life for block in chain.blocks], len(chain.tasks)) for chain in self.chains]

    @cached_property
    def peak(self) -> tuple[Chain, int] | None:
        """The chain that holds most, and the step at which it does; None where nothing is shared over time."""
        if not self.chains or self.kind is DeviceKind.CPU:
            return None
        most = max(range(len(self.chains)), key=lambda at: (self.peaks[at][0], -at))
        return self.chains[most], self.peaks[most][1]

    @cached_property
    def curve(self) -> list[int]:
        """Bytes in use at each step of the chain that holds most; none on a CPU."""
        if self.peak is None:
            return []
        chain, _ = self.peak
        return [int(one) for one in alive([block.life for block in chain.blocks], len(chain.tasks))]

    @cached_property
    def steps(self) -> list[Op]:
        """The operators of that chain, in the order in which they run."""
        return [] if self.peak is None else [self.device.tasks[task].op for task in self.peak[0].tasks]

    @cached_property
    def temporary(self) -> int:
        """Bytes of kernels' buffers at the peak, part of the arena; on a CPU of all of them."""
        if self.kind is DeviceKind.CPU:
            return sum(register.nbytes for register in self._own if register.type is None)
        return sum(tensor.nbytes for tensor in self.at_peak if tensor.is_buffer)

    @cached_property
    def peak_op(self) -> Op | None:
        """The operator that runs at the peak."""
        if self.peak is None:
            return None
        chain, step = self.peak
        return self.device.tasks[chain.tasks[step]].op

    @cached_property
    def at_peak(self) -> list[Tensor]:
        """The tensors that are alive at the peak, the largest first."""
        if self.peak is None:
            return []
        chain, step = self.peak
        found = [self._tensor(chain, block) for block in at_step(chain, step)]
        return sorted(found, key=lambda tensor: -tensor.nbytes)

    @cached_property
    def waiting(self) -> list[Tensor]:
        """Tensors that are alive at the peak for the sake of what runs after their chain alone: gradients that wait for the optimizer."""
        if self.peak is None:
            return []
        chain, step = self.peak
        place = {task: at for at, task in enumerate(chain.tasks)}
        found = []
        for block in at_step(chain, step):
            readers = [reader for register in block.registers for reader in self.device.registers[register].readers]
            inside = [place[reader] for reader in readers if reader in place]
            if block.life.born < step and len(inside) < len(readers) and max(inside, default=-1) < step:
                found.append(self._tensor(chain, block))
        return found

    @cached_property
    def held(self) -> list[Held]:
        """What holds memory for no good reason, the largest first; on a CPU, which reuses nothing, none."""
        if self.kind is DeviceKind.CPU:
            return []
        kept: dict[str, list[int]] = {}
        for register in self._own:
            maker = self._maker(register)
            if not register.reused and register.nbytes and maker.type not in _FOR_A_REASON:
                moved = maker.role in (Role.BOXING, Role.COLLECTIVE)
                why = "what other devices sent, for the whole run" if moved else f"{maker.type} for the whole run"
                kept.setdefault(why, []).append(register.nbytes)
        found = [Held(why, sum(sizes), len(sizes)) for why, sizes in kept.items()]
        if self.waiting:
            found.append(Held("gradients that wait for the optimizer", sum(one.nbytes for one in self.waiting), len(self.waiting)))
        least = self.total // 1000
        return sorted((one for one in found if one.nbytes > least), key=lambda one: -one.nbytes)

    def _tensor(self, chain: Chain, block: Block) -> Tensor:
        tasks, registers = self.device.tasks, self.device.registers
        owner = registers[block.registers[0]]
        born, dies = (tasks[chain.tasks[step]].op for step in (block.life.born, block.life.dies))
        return Tensor(owner.lbn, block.life.nbytes, born, dies, owner.type is None)

    @cached_property
    def _own(self) -> list[Register]:
        return [register for register in self.device.registers if register.on is self.kind]

    @cached_property
    def _kept(self) -> int:
        """Bytes of registers that share no memory over time, without variables."""
        return sum(register.nbytes for register in self._own if not register.reused and self._maker(register).type != "variable")

    def _maker(self, register: Register) -> Op:
        return self.device.tasks[register.maker].op


def plan(device: Device, kind: DeviceKind, *, training: bool, accumulates: bool = False, compute_stream: bool = False) -> Plan:
    """The memory plan of a device. Errors: IrflopsError where its tensors have more bytes than any device."""
    if sum(register.nbytes for register in device.registers) > _MOST_BYTES:
        raise IrflopsError(f"its tensors have more than {_MOST_BYTES} bytes: no device holds that")
    ticks = _TICKS[kind][training + accumulates]
    if kind is DeviceKind.CPU:
        return Plan(kind, device, (), ticks, is_whole=True)
    waits = waits_of(device)
    order: Sequence[int] = first_come(device, waits) if compute_stream or accumulates else straightened(device, waits)
    chaining = logical_chains_of(device, order) if accumulates else chains_of(device, order, optimizer_inside=compute_stream)
    sharing = in_place(device, waits, order, chaining.of)
    return Plan(kind, device, tuple(lives_of(device, order, chaining, sharing.lies_in)), ticks, sharing.is_whole)
