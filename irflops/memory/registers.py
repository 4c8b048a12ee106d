"""What one device runs and what it holds: tasks, and the registers that they make and read.

OneFlow's compiler makes a task of each operator on each device, and a register of each of its results and of the buffer that its kernel
works in. Sizes are of the memory that a register takes: bodies are rounded up to 512 bytes, and on the host a header lies before each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from irflops.ir.graph import Op, TensorType
from irflops.ops.facts import OpFacts
from irflops.ops.temporary import AskedOf, DeviceKind, aligned

_HEADER = 64
"""Bytes to which a register's header is rounded up on the host; the header holds 8 bytes an extent."""

NO_TASK = -1


@dataclass(frozen=True, slots=True)
class Register:
    """A tensor, or a kernel's buffer, as it lies in memory."""

    lbn: str
    """The tensor that it holds; of a buffer the operator's name."""
    type: TensorType | None
    """None for a buffer."""
    nbytes: int
    on: DeviceKind
    """Where it lies."""
    maker: int
    """The task that makes it."""
    readers: tuple[int, ...]
    """Tasks of the device that read it, each once, in order."""
    reused: bool
    """Whether its memory is shared with others over time."""


@dataclass(frozen=True, slots=True)
class Task:
    """What one operator does on the device."""

    op: Op
    on: DeviceKind
    facts: OpFacts
    makes: tuple[int, ...]
    """Registers of its results, in order."""
    reads: tuple[int, ...]
    """Registers that it reads, in the order of its operands: `NO_TASK` for one that another device holds."""
    buffer: int
    """The register that its kernel works in, or `NO_TASK`."""
    waits_for: tuple[int, ...]
    """Tasks that must have run, each once: those that make what it reads, and those behind control edges."""


@dataclass(frozen=True)
class Device:
    """The tasks of one device and of its host, in the order of the job, and their registers."""

    tasks: tuple[Task, ...]
    registers: tuple[Register, ...]
    unknown: tuple[str, ...] = ()
    """Operators some register of which is of unknown size."""
    asked: Mapping[str, AskedOf] = field(default_factory=dict)
    """By operator who decides how large its buffer is, where no dump tells."""


def size_of(nbytes: int, rank: int, kind: DeviceKind) -> int:
    """Bytes that a register takes: body, and header on the host. Nothing for an empty tensor."""
    if nbytes == 0:
        return 0
    return aligned(nbytes) + (_HEADER * -(-8 * rank // _HEADER) if kind is DeviceKind.CPU else 0)
