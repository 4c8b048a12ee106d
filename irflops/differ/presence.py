"""The operators and parameters that one graph has and the other has not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from irflops.differ.edit import Edit
from irflops.differ.forms import Aspects
from irflops.differ.side import INTERFACE, SUM, Side, Slot, slot_of
from irflops.ir import plain
from irflops.ir.graph import Op, Operand, Phase, Role
from irflops.ir.signatures import FUSED_TERM, signature


@dataclass(frozen=True)
class Presence:
    """One side, what it shares with the other, and what of it the other's form could show."""

    side: Side
    other: Side
    taken: Mapping[int, int]
    back: Mapping[int, int]
    aspects: Aspects
    sign: str
    """`removed` where the side is the old graph, `added` where it is the new one."""

    def edits(self) -> Iterator[Edit]:
        """What this side alone has."""
        for node, op in enumerate(self.side.ops):
            if node in self.taken or not self._is_comparable(node):
                continue
            ends = self._ends(op)
            if op.type in INTERFACE:
                there = self.sign == "removed"
                detail = {"present": plain.change(there, not there), "shape": plain.shape(self.side.result(node))}
                yield Edit(f"{op.type}_changed", **ends, detail=detail | self._surroundings(node))
            elif op.type != "variable":
                yield Edit(f"op_{self.sign}", **ends, detail={"type": op.type} | self._surroundings(node))
            else:
                stands_in = self._tied_to(node)
                kind = f"param_{self.sign}"
                if stands_in is not None:
                    kind = "param_tied" if self.sign == "removed" else "param_untied"
                tied = {"with": stands_in} if stands_in is not None else {}
                yield Edit(kind, **ends, detail={"shape": plain.shape(self.side.result(node)), **tied, **self._surroundings(node)})

    def _ends(self, op: Op) -> dict[str, Any]:
        return {"old": op, "new": None} if self.sign == "removed" else {"old": None, "new": op}

    def _is_comparable(self, node: int) -> bool:
        """Whether the other form would show the operator if its graph had it."""
        op = self.side.ops[node]
        if not self.aspects.dead_ops and op.type not in INTERFACE and node in self._dead:
            return False
        if not self.aspects.saved and self._is_repeated(node):
            return False
        if self.aspects.stage:
            return True
        return not is_of_passes(op) and not (op.type == SUM and any(map(self._takes_terms, self.side.slots[node])))

    def hidden(self) -> frozenset[int]:
        """What this side alone has and the other's form could not show."""
        return frozenset(node for node in range(len(self.side.ops)) if node not in self.taken and not self._is_comparable(node))

    def _is_repeated(self, node: int) -> bool:
        """Whether an operator does again what the one before it did."""
        op, slots = self.side.ops[node], self.side.slots[node]
        neighbours = [slot.producer for slot in slots] + [reader for reader, _ in self.side.consumers[node]]
        return op.type == "relu" and any(other is not None and self.side.ops[other].type == "relu" for other in neighbours)

    def _takes_terms(self, slot: Slot) -> bool:
        """Whether a pass may have moved an addition into the operator that makes one of the terms."""
        found = signature(self.side.ops[slot.producer].type or "") if slot.producer is not None else None
        return found is not None and any(arg.name == FUSED_TERM for arg in found.inputs)

    @cached_property
    def _dead(self) -> frozenset[int]:
        """Nodes from which no output, update or loss is reached."""
        side = self.side
        alive = bytearray(len(side.ops))
        for node in reversed(side.order):
            op = side.ops[node]
            alive[node] = op.type == "output" or not op.outputs or any(alive[reader] for reader, _ in side.consumers[node])
            alive[node] &= self.aspects.stage or not is_of_passes(op)  # a saved step holds what its outputs need, no gradients
        return frozenset(node for node in range(len(side.ops)) if not alive[node])

    def _tied_to(self, node: int) -> str | None:
        """The variable that the readers of this one read on the other side, where that one is there on both."""
        found: set[int] = set()
        for reader, number in self.side.consumers[node]:
            if reader not in self.taken:
                continue
            same = slot_of(self.other, self.taken[reader], self.side.slots[reader][number])
            if same is None or same.producer is None or self.other.ops[same.producer].type != "variable" or same.producer not in self.back:
                return None
            found.add(same.producer)
        return self.other.ops[found.pop()].name if len(found) == 1 else None

    def _surroundings(self, node: int) -> dict[str, Any]:
        """What an operator reads and feeds, with what its readers read on the other side: enough to put it in or take it out."""
        side = self.side
        feeds = []
        for reader, number in side.consumers[node]:
            slot = side.slots[reader][number]
            same = slot_of(self.other, self.taken[reader], slot) if reader in self.taken else None
            otherwise = same.lbn if same is not None else None
            feeds.append({"op": side.ops[reader].name, "arg": slot.arg, "index": slot.index, "lbn": slot.lbn, "otherwise": otherwise})
        return {"reads": reads(side, node), "feeds": feeds}


def reads(side: Side, node: int) -> list[dict[str, Any]]:
    """The operands of a node."""
    return [{"arg": slot.arg, "index": slot.index, "lbn": slot.lbn} for slot in side.slots[node]]


def is_of_passes(op: Op) -> bool:
    """Whether a pass of OneFlow's may have made or changed the operator, after the forward job was dumped."""
    late = op.phase is not None and op.phase is not Phase.FORWARD
    return (late or op.role is Role.SYSTEM) and op.type not in INTERFACE


def unused_edits(old: Side, new: Side, modules: Mapping[str, str]) -> Iterator[Edit]:
    """Parameters that are declared and that no operator reads."""
    ours, theirs = _unused(old), _unused(new)
    same: dict[str, str] = {}
    for name, op in ours.items():
        other = modules.get(op.module)
        wanted = other + name[len(op.module) :] if other is not None else ""
        if wanted in theirs:
            same[name] = wanted
        elif wanted not in new.by_name:
            yield Edit("param_removed", op, None, {"shape": plain.shape(op.outputs[0].type), "unused": True})
    back = {other: path for path, other in modules.items()}
    taken = set(same.values())
    for name, op in theirs.items():
        path = back.get(op.module)
        if name not in taken and (path is None or path + name[len(op.module) :] not in old.by_name):
            yield Edit("param_added", None, op, {"shape": plain.shape(op.outputs[0].type), "unused": True})
    for name, other in same.items():
        before, after = (op.outputs[0].type for op in (ours[name], theirs[other]))
        if before.shape != after.shape:
            yield Edit("param_resized", ours[name], theirs[other], plain.change(plain.shape(before), plain.shape(after)) | {"unused": True})


def _unused(side: Side) -> dict[str, Op]:
    """What the declared parameters that have no operator would be as operators, by name."""
    return {
        parameter.name: Op(
            parameter.name,
            "variable",
            (),
            (Operand("out", 0, f"{parameter.name}/out", parameter.type),),
            module=module.path,
            kind=parameter.kind,
            kind_source="declared",
        )
        for module in side.analysis.graph.modules
        for parameter in module.parameters
        if parameter.tied_to is None and parameter.name not in side.by_name and parameter.name.startswith(module.path)
    }
