"""Op rules of other packages, held to what a rule is: whatever one does, the error names the op type and the package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from irflops.configuration.packages import place_of, said
from irflops.errors import IrflopsError
from irflops.ir.graph import TensorType
from irflops.ops.op_view import OpView
from irflops.ops.rule import OpRule
from irflops.ops.shapes import Inferred
from irflops.ops.temporary import AskedOf, DeviceKind
from irflops.ops.traffic import Traffic
from irflops.ops.work import Unknowable, Work

T = TypeVar("T")


def guarded(rule: OpRule, package: str, op_types: tuple[str, ...]) -> OpRule:
    """The same rule for these of its op types, whose faults are IrflopsErrors: of what the user installed, not of irflops or the dump."""
    guard = _Guard(rule, package)
    return replace(
        rule,
        op_types=op_types,
        shape=_Shape(guard),
        cost=_Work(guard),
        traffic=_Traffic(guard),
        temporary=_Buffer(guard),
        by=rule.by or package,
    )


@dataclass(frozen=True)
class _Guard:
    """Asks a part of a rule, and checks what it answers."""

    rule: OpRule
    package: str

    def asked(self, op: OpView, part: str, ask: Callable[[], T], refuse: Callable[[T], None]) -> T:
        try:
            found = ask()
            refuse(found)
        except (Unknowable, ValueError):
            raise  # what a rule says of operands that it cannot know, or that cannot go together
        except (Exception, SystemExit) as error:
            path, line = place_of(error, getattr(self.rule, part))
            said_ = f"the rule for {op.type} of the package {self.package} failed with {said(error)}"
            hint = f"count it by a table [ops.{op.type}] of irflops.toml, and tell the authors of {self.package}"
            raise IrflopsError(said_, path=path, line=line, hint=hint) from error
        return found


@dataclass(frozen=True)
class _Shape:
    guard: _Guard

    def __call__(self, op: OpView) -> Inferred:
        return self.guard.asked(op, "shape", lambda: self.guard.rule.shape(op), _refuse_shapes)


@dataclass(frozen=True)
class _Work:
    guard: _Guard

    def __call__(self, op: OpView) -> Work:
        return self.guard.asked(op, "cost", lambda: self.guard.rule.cost(op), _refuse_work)


@dataclass(frozen=True)
class _Traffic:
    guard: _Guard

    def __call__(self, op: OpView) -> Traffic:
        return self.guard.asked(op, "traffic", lambda: self.guard.rule.traffic(op), _refuse_traffic)


@dataclass(frozen=True)
class _Buffer:
    guard: _Guard

    def __call__(self, op: OpView, kind: DeviceKind) -> int | AskedOf:
        return self.guard.asked(op, "temporary", lambda: self.guard.rule.temporary(op, kind), _refuse_buffer)


def _refuse_shapes(found: Inferred) -> None:
    if not isinstance(found, Mapping):
        raise TypeError(f"its shape rule returns a {type(found).__name__}, and no types by result")
    for arg, types in found.items():
        for one in types if isinstance(types, tuple) else (types,):
            if not isinstance(one, TensorType):
                raise TypeError(f"its shape rule gives {arg} a {type(one).__name__}, and no TensorType")
            if one.shape is not None and not all(extent is None or type(extent) is int for extent in tuple(one.shape)):
                raise TypeError(f"its shape rule gives {arg} a shape that is no tuple of integers")


def _refuse_work(found: Work) -> None:
    if not isinstance(found, Work):
        raise TypeError(f"its cost rule returns a {type(found).__name__}, and no Work")
    for name in ("macs", "arithmetic", "transcendentals"):
        _refuse_count(name, getattr(found, name), unknown=True)


def _refuse_traffic(found: Traffic) -> None:
    if not isinstance(found, Traffic):
        raise TypeError(f"its traffic rule returns a {type(found).__name__}, and no Traffic")
    for side in (found.reads, found.writes):
        for name, nbytes in side.items():
            _refuse_count(f"the bytes of {name}", nbytes, unknown=False)


def _refuse_buffer(found: int | AskedOf) -> None:
    if not isinstance(found, AskedOf):
        _refuse_count("its buffer", found, unknown=False)


def _refuse_count(name: str, value: object, *, unknown: bool) -> None:
    if value is None and unknown:
        return
    if type(value) is not int or value < 0:
        raise TypeError(f"{name} would be {value!r:.40}, which is no count")
