"""A rule of a user's: formulas, and for what they leave out the rule of an op type of OneFlow's that it is like.

Its parts are plain data that can be called, so that an analysis with such a rule can be pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from irflops.errors import IrflopsError, Span
from irflops.ir.graph import DType, TensorType
from irflops.ops.op_view import OpView
from irflops.ops.rule import OpRule
from irflops.ops.shapes import Inferred
from irflops.ops.temporary import DeviceKind
from irflops.ops.traffic import TOGETHER, Traffic, touch_all, touch_nothing
from irflops.ops.work import FMA, MissingAttribute, MissingShape, Unknowable, Work
from irflops.readers.notation.cost_formula import Formula
from irflops.teaching.evaluate import count, extents
from irflops.teaching.views import Likeness

T = TypeVar("T")


@dataclass(frozen=True)
class Like:
    """The rule of OneFlow's that a user's op type follows, and under which names."""

    rule: OpRule
    likeness: Likeness


@dataclass(frozen=True)
class Taught:
    """What a user says of an op type."""

    optional: tuple[str, ...] = ()
    """Arguments that may be absent."""
    counts: Mapping[str, Formula] = field(default_factory=dict)
    """By cost, of `macs`, `flops`, `transcendentals`, `bytes_read` and `bytes_written`."""
    shapes: Mapping[str, Formula] = field(default_factory=dict)
    """By result; under "" of a single result, whatever its name."""
    dtypes: Mapping[str, DType] = field(default_factory=dict)
    """By result, where it is not that of the first operand."""
    is_view: bool = False
    like: Like | None = None

    def count(self, name: str, op: OpView, macs: int | None = None) -> int:
        """A cost by its formula. Errors: IrflopsError in the formula, Unknowable."""
        return _told(op, lambda: count(self.counts[name], op, self.optional, macs))


@dataclass(frozen=True)
class TaughtWork:
    """The work of an op: macs, what flops are beyond 2 x macs, transcendentals."""

    taught: Taught

    def __call__(self, op: OpView) -> Work:
        taught = self.taught
        base, unknown = self._base(op)
        macs = taught.count("macs", op) if "macs" in taught.counts else base.macs
        arithmetic = base.arithmetic
        if "flops" in taught.counts:
            flops = taught.count("flops", op, macs)
            if macs is not None and flops < FMA * macs:
                formula = taught.counts["flops"]
                said = f"this comes to {flops:,}, and {macs:,} macs are {FMA * macs:,} flops already"
                raise formula.error(Span(0, len(formula.source.text)), _at(op, said), 'flops = "2 * macs + ..."')
            arithmetic = None if macs is None else flops - FMA * macs
        special = taught.count("transcendentals", op) if "transcendentals" in taught.counts else base.transcendentals
        work = Work(macs=macs, arithmetic=arithmetic, transcendentals=special)
        if unknown is not None and None in (macs, arithmetic, special):
            raise type(unknown)(unknown.what, known=work)
        return work

    def _base(self, op: OpView) -> tuple[Work, Unknowable | None]:
        """What the op type that it is like says, of what has no formula."""
        like = self.taught.like
        if like is None:
            return Work(), None
        try:
            return like.rule.cost(like.likeness.view(op)), None
        except Unknowable as unknown:
            return unknown.known, unknown


@dataclass(frozen=True)
class TaughtTraffic:
    """The bytes of an op: by formula, else as the type that it is like, else each operand read and each result written once."""

    taught: Taught

    def __call__(self, op: OpView) -> Traffic:
        taught = self.taught
        wanted = [name for name in ("bytes_read", "bytes_written") if name in taught.counts]
        found = Traffic(reads={}, writes={}) if len(wanted) == 2 else self._base(op)
        if "bytes_read" in wanted:
            found = replace(found, reads={TOGETHER: taught.count("bytes_read", op)})
        if "bytes_written" in wanted:
            found = replace(found, writes={TOGETHER: taught.count("bytes_written", op)})
        return found

    def _base(self, op: OpView) -> Traffic:
        like = self.taught.like
        if like is None:
            return touch_nothing(op) if self.taught.is_view else touch_all(op)
        moved = like.rule.moved(like.likeness.view(op))
        theirs = {name: own for own, name in like.likeness.names(op).items()}
        return Traffic(
            reads={theirs.get(name, name): nbytes for name, nbytes in moved.reads.items()},
            writes={theirs.get(name, name): nbytes for name, nbytes in moved.writes.items()},
        )


@dataclass(frozen=True)
class TaughtShape:
    """The results of an op: by formula, else as the type that it is like, else unknown."""

    taught: Taught

    def __call__(self, op: OpView) -> Inferred:
        taught = self.taught
        if taught.shapes:
            return {arg: self._result(arg, op) for arg in op.output_args}
        like = taught.like
        if like is not None:
            theirs = {name: own for own, name in like.likeness.names(op).items()}
            return {theirs.get(name, name): types for name, types in like.rule.shape(like.likeness.view(op)).items()}
        if not op.output_args:
            return {}
        raise MissingShape(op.output_args[0])

    def _result(self, arg: str, op: OpView) -> TensorType:
        taught = self.taught
        formula = taught.shapes.get(arg) or (taught.shapes.get("") if len(op.output_args) == 1 else None)
        if formula is None:
            raise MissingShape(arg)
        shape = _told(op, lambda: extents(formula, op, taught.optional))
        dtype = taught.dtypes.get(arg) or taught.dtypes.get("")
        if dtype is None and op.input_args:
            dtype = op.inputs(op.first_input)[0].dtype
        return TensorType(shape, dtype)


def _told(op: OpView, ask: Callable[[], T]) -> T:
    """What a formula answers; its errors say of which operator."""
    try:
        return ask()
    except IrflopsError as error:
        error.args = (_at(op, error.message),)
        error.message = error.args[0]
        raise


def _at(op: OpView, message: str) -> str:
    tensors = [f"{arg}: {', '.join(map(str, op.inputs(arg)))}" for arg in op.input_args]
    return f"{message}: in {op.type}({', '.join(tensors)})"


@dataclass(frozen=True)
class TaughtBuffer:
    """The buffer that its kernel works in: by formula, else unknown, as only who wrote the kernel knows."""

    taught: Taught

    def __call__(self, op: OpView, _kind: DeviceKind) -> int:
        if "temporary_bytes" not in self.taught.counts:
            raise MissingAttribute("temporary_bytes")
        return self.taught.count("temporary_bytes", op)
