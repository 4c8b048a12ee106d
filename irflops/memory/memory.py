"""What the devices of a graph hold over a step, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, reduce
from operator import or_
from typing import Any

from irflops.counting.own import OwnRule, own_rules
from irflops.devices.classes import Interval
from irflops.devices.layout import layout_of
from irflops.devices.shares import Devices
from irflops.errors import IrflopsError, expect
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Graph, Note, Phase, Placement, TensorType, VariableKind
from irflops.memory.compile import device_of
from irflops.memory.plan import Plan, Tensor, plan
from irflops.memory.ranks import kinds_of, share_of
from irflops.memory.recompute import lacks_edges, with_edges
from irflops.memory.registers import Device
from irflops.ops.book import RuleBook
from irflops.ops.temporary import MULTIPROCESSORS, AskedOf, DeviceKind

SCHEMA = "irflops.memory/1"
"""Name and version of the JSON form; fields may be added within a version, never renamed or dropped."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a plan is asked for, where that is not what the graph says."""

    on: DeviceKind | None = None
    """The kind of device; None for the one that the graph was captured for."""
    compute_stream: bool | None = None
    """Whether collectives run on the stream of the other operators, a setting of OneFlow's process; None where the graph shows it."""
    workspace: int = 0
    """Bytes that cuDNN takes for each convolution."""


@dataclass(frozen=True)
class ClassMemory:
    """The memory of each of some devices that do the same."""

    ranks: tuple[Interval, ...]
    plan: Plan
    certainty: Certainty
    """`exact`, or what else the plan of OneFlow 0.9.0 may be: an estimate, or more than this."""
    doubts: tuple[Note, ...]
    """Why it is not exact."""

    @property
    def count(self) -> int:
        """How many devices."""
        return sum(last - first + 1 for first, last in self.ranks)

    def kind_of(self, tensor: Tensor) -> str:
        """What a tensor at the peak is: an activation, a gradient, a state or a kernel's buffer."""
        if tensor.is_buffer:
            return "temporary"
        phase = tensor.born.phase
        if phase is Phase.BACKWARD:
            return "gradient"
        return "state" if phase is Phase.OPTIMIZER else "activation"

    @cached_property
    def variables_by_kind(self) -> Mapping[str, int]:
        """Bytes of variables by what they are for."""
        found = dict.fromkeys((kind.value for kind in VariableKind), 0)
        for register in self.plan.device.registers:
            maker = self.plan.device.tasks[register.maker].op
            if maker.type == "variable" and register.on is self.plan.kind:
                found[(maker.kind or VariableKind.BUFFER).value] += register.nbytes
        return found

    def to_dict(self, *, timeline: bool = False) -> dict[str, Any]:
        """As in the JSON; with `timeline` the bytes in use at each step."""
        plan = self.plan
        peak = None
        if plan.peak_op is not None:
            phase = plan.peak_op.phase
            peak = {
                "op": plan.peak_op.name,
                "phase": phase.value if phase is not None else None,
                "module": plan.peak_op.module,
                "tensors": [self._tensor(tensor) for tensor in plan.at_peak],
            }
        memory: dict[str, Any] = {
            "device": plan.kind.value,
            "variables": plan.variables,
            "unreused": plan.unreused,
            "temporary": plan.temporary,
            "arena": plan.arena,
            "bound": plan.bound,
            "total": plan.total,
            "certainty": self.certainty.value,
            "variables_by_kind": dict(self.variables_by_kind),
            "peak": peak,
            "held": [{"why": held.why, "bytes": held.nbytes, "tensors": held.count} for held in plan.held],
        }
        if timeline:
            memory["timeline"] = [{"op": op.name, "bytes": nbytes} for op, nbytes in zip(plan.steps, plan.curve, strict=True)]
        return {"ranks": [list(interval) for interval in self.ranks], "count": self.count, "memory": memory}

    def _tensor(self, tensor: Tensor) -> dict[str, Any]:
        return {
            "lbn": tensor.lbn,
            "bytes": tensor.nbytes,
            "born": tensor.born.name,
            "dies": tensor.dies.name,
            "kind": self.kind_of(tensor),
            "module": tensor.born.module,
        }


@dataclass(frozen=True)
class Memory:
    """The memory of all devices of a graph, by classes."""

    graph: Graph = field(repr=False)
    classes: tuple[ClassMemory, ...]
    own_rules: tuple[OwnRule, ...] = ()
    """Rules that are not irflops' own and by which operators are planned."""

    @property
    def largest(self) -> ClassMemory:
        """The class that holds most."""
        return max(self.classes, key=lambda one: one.plan.total)

    @property
    def total(self) -> tuple[int, Certainty]:
        """Bytes that the device that holds most holds, and how sure that is: another may hold more where its own figure is a bound."""
        return self.largest.plan.total, reduce(or_, (one.certainty for one in self.classes))

    @property
    def notes(self) -> tuple[Note, ...]:
        """Whose rules count, and why the figures are not exact, each reason once."""
        doubts = dict.fromkeys(note for one in self.classes for note in one.doubts)
        return (*(one.note() for one in self.own_rules), *doubts)

    def to_dict(self, *, timeline: bool = False) -> dict[str, Any]:
        """As in the JSON, `irflops.memory/1`; with `timeline` the bytes in use at each step."""
        graph = self.graph
        return {
            "schema": SCHEMA,
            "source": {"path": graph.source.name, "format": graph.format},
            "graph": {"name": graph.name, "class": graph.class_name, "training": graph.training, "operators": len(graph.ops)},
            "classes": [one.to_dict(timeline=timeline) for one in self.classes],
            "notes": [{"code": note.code, "line": None, "text": note.text} for note in self.notes],
            "own_rules": [asdict(one) for one in self.own_rules],
        }


def asked_for(on: str | None, compute_stream: bool | None, workspace: int) -> Asked:
    """What a program asks for; `on` is the word for a kind of device. Errors: IrflopsError where there is none of that word."""
    kinds = {kind.value: kind for kind in DeviceKind}
    if on is not None and on not in kinds:
        raise IrflopsError(f"there is no kind of device {on!r}", hint=f"kinds: {', '.join(kinds)}")
    expect(workspace, int, "workspace", "a number of bytes")
    return Asked(kinds[on] if on is not None else None, compute_stream, workspace)


def memory_of(graph: Graph, types: Mapping[str, TensorType], devices: Devices, book: RuleBook, asked: Asked = Asked()) -> Memory:
    """The memory of each class of devices of a graph, from the types of its tensors. Errors: IrflopsError beyond what any device holds."""
    completed = with_edges(graph) if lacks_edges(graph) else None
    graph = completed or graph
    layout = layout_of(graph)
    kind, kinds = kinds_of(graph, asked.on)
    accumulates = any(op.type == "acc" for op in graph.ops)
    shown = any(op.type is not None and op.type.startswith("_nccl_logical") for op in graph.ops)
    stream = shown if asked.compute_stream is None else asked.compute_stream
    found: list[ClassMemory] = []
    for one in devices.classes:
        share = share_of(one.ranks[0][0], layout, types, kinds, one_stream=stream)
        device = device_of(share, book, asked.workspace, max(len(devices.stages), 1))
        made = plan(device, kind, training=graph.training, accumulates=accumulates, compute_stream=stream)
        if not made.total and (found or one is not devices.classes[-1]):
            continue
        doubts = tuple(_doubts(graph, made, device, asked, share.moved, devices.ranks, stream=stream))
        found.append(ClassMemory(one.ranks, made, _certainty(doubts), doubts))
    return Memory(graph, tuple(found), own_rules(graph, book))


_AT_LEAST = "unknown-memory"
"""The code of a note that says that something the graph has is not counted."""


_NOT_CAPTURED = ("what-if", "checkpointed", "zero")
"""How the codes of notes begin that say that a graph was changed after it was captured."""


def _certainty(doubts: tuple[Note, ...]) -> Certainty:
    if not doubts:
        return Certainty.EXACT
    return Certainty.LOWER_BOUND if all(note.code == _AT_LEAST for note in doubts) else Certainty.ESTIMATE


def _doubts(graph: Graph, made: Plan, device: Device, asked: Asked, moved: int, ranks: int, *, stream: bool) -> Iterator[Note]:
    """Why the plan of OneFlow 0.9.0 may be another."""
    cuda = made.kind is DeviceKind.CUDA
    if device.unknown:
        names = ", ".join(device.unknown[:3]) + (" and others" if len(device.unknown) > 3 else "")
        yield Note(_AT_LEAST, f"sizes of tensors or of kernels' buffers are not known at {len(device.unknown)} operators: {names}")
    for who, count in _counts(device.asked).items():
        text = f"{who.value} decides on the GPU how much memory {count} operators work in"
        yield Note("asked-of-the-gpu", f"{text}: {'--workspace BYTES of each' if who is AskedOf.CUDNN else 'nothing'} is counted")
    if cuda and any(task.op.type == "layer_norm_param_grad" for task in device.tasks):
        yield Note(
            "multiprocessors", f"gradients of layer norms work in more or less on a GPU of other than {MULTIPROCESSORS} multiprocessors"
        )
    if asked.on is DeviceKind.CUDA and not any(_is_cuda(op.placement) for op in graph.ops):
        yield Note("other-device", "captured for a CPU: on a GPU OneFlow fuses layer norms and other operators, and the graph is another")
    if asked.on is DeviceKind.CPU and any(_is_cuda(op.placement) for op in graph.ops):
        yield Note("other-device", "captured for a GPU: on a CPU the graph may be another")
    if cuda and any(op.type == "acc" for op in graph.ops):
        yield Note("accumulation", "with accumulation OneFlow runs operators in an order that is known nearly, not exactly")
    if ranks > 1:
        text = "on several devices OneFlow adds tasks that bring tensors from one to another"
        yield Note("several-devices", f"{text}: {moved} are modelled, how they are cut into pieces is not")
    if stream:
        yield Note("compute-stream", "collectives run on the stream of the other operators, first come, first served")
    if not graph.holds.passes or not graph.holds.backward or (graph.training and not graph.holds.optimizer):
        yield Note("before-passes", "the form lacks what OneFlow's passes add and change")
    if any(op.readings for op in graph.ops):
        yield Note("open-operands", "the form does not tell all operands of some operators")
    if cuda and lacks_edges(graph):
        yield Note("recompute-order", "the form does not tell when recomputation begins")
    if any(note.code.startswith(_NOT_CAPTURED) for note in graph.notes):
        yield Note("not-captured", "of a graph as it would be: OneFlow may make another of it")
    if graph.version_guess is not None and graph.version_guess.startswith("0.8"):
        yield Note("other-version", "OneFlow 0.8.0 orders and packs otherwise: these are the figures of 0.9.0")
    if graph.partial:
        yield Note("partial", "parts of the graph were not read")
    if not made.is_whole:
        yield Note("tangled", "too many results may lie in their operands' memory: those that were not judged lie by themselves")


def _is_cuda(placement: Placement | None) -> bool:
    return placement is not None and placement.device == DeviceKind.CUDA.value


def _counts(asked: Mapping[str, AskedOf]) -> dict[AskedOf, int]:
    found: dict[AskedOf, int] = {}
    for who in asked.values():
        found[who] = found.get(who, 0) + 1
    return found
