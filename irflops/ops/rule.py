"""What a rule is: the shape, the work and the traffic of an op type, with its own proof.

A rule sees an `OpView` and nothing else: no reader, no graph, no total.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from irflops.ir.graph import NO_ATTRS, Attrs, AttrValue, DType, TensorType

FMA = 2
"""FLOPs of one multiply-accumulate: a multiplication and an addition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Arithmetic of one run of an op; None is a count that cannot be known.

    `flops` is never stated twice: it follows as `FMA * macs + arithmetic`.
    """

    macs: int | None = 0
    """Multiply-accumulates of a contraction."""
    arithmetic: int | None = 0
    """Arithmetic operations beyond those of the multiply-accumulates."""
    transcendentals: int | None = 0
    """exp, log, tanh, erf, sqrt, rsqrt, pow, sin...: counted apart."""

    @property
    def flops(self) -> int | None:
        """All arithmetic operations, a multiply-accumulate as two."""
        return None if self.macs is None or self.arithmetic is None else FMA * self.macs + self.arithmetic


UNKNOWN_WORK = Work(macs=None, arithmetic=None, transcendentals=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Bytes that one run moves, without fusion, by argument name."""

    reads: Mapping[str, int]
    """Bytes read, per operand argument."""
    writes: Mapping[str, int]
    """Bytes written, per result argument, or per operand argument that is updated in place."""


class Unknowable(Exception):
    """A rule cannot answer from what this form holds."""

    reason = "missing_attribute"

    def __init__(self, what: str, *, known: Work = UNKNOWN_WORK) -> None:
        super().__init__(what)
        self.what = what
        self.known = known
        """The counts that are known all the same."""


class MissingAttribute(Unknowable):
    """An attribute is not in this form."""


class MissingShape(Unknowable):
    """A shape or dtype is not known."""

    reason = "missing_shape"


class OpView:
    """One op as its rule sees it: tensors by argument name, and attributes.

    `input` and `output` give the single tensor of an argument, `inputs` and `outputs` all of them. `shape`, `numel`, `nbytes` and
    `dtype` look among the operands first, then among the results. A tensor's shape may be unknown: these four raise
    `MissingShape` then; `attr` raises `MissingAttribute` where the form does not hold the attribute.
    """

    __slots__ = ("_inputs", "_outputs", "attrs", "type")

    def __init__(
        self,
        op_type: str,
        inputs: Mapping[str, Sequence[TensorType]],
        outputs: Mapping[str, Sequence[TensorType]],
        attrs: Attrs = NO_ATTRS,
    ) -> None:
        self.type = op_type
        self._inputs = {arg: tuple(tensors) for arg, tensors in inputs.items()}
        self._outputs = {arg: tuple(tensors) for arg, tensors in outputs.items()}
        self.attrs = attrs

    @property
    def input_args(self) -> tuple[str, ...]:
        """Names of the operand arguments that are present, in order."""
        return tuple(self._inputs)

    @property
    def output_args(self) -> tuple[str, ...]:
        """Names of the result arguments that are present, in order."""
        return tuple(self._outputs)

    def inputs(self, arg: str) -> tuple[TensorType, ...]:
        """All tensors of an operand argument, none if it is absent."""
        return self._inputs.get(arg, ())

    def outputs(self, arg: str) -> tuple[TensorType, ...]:
        """All tensors of a result argument, none if it is absent."""
        return self._outputs.get(arg, ())

    def input(self, arg: str) -> TensorType:
        """The tensor of an operand argument; MissingShape if it is absent, ValueError if there are several."""
        return self._single(self._inputs, arg, "operand")

    def output(self, arg: str) -> TensorType:
        """The tensor of a result argument; MissingShape if it is absent, ValueError if there are several."""
        return self._single(self._outputs, arg, "result")

    def _single(self, args: Mapping[str, tuple[TensorType, ...]], arg: str, what: str) -> TensorType:
        tensors = args.get(arg, ())
        if not tensors:
            raise MissingShape(arg)
        if len(tensors) > 1:
            raise ValueError(f"{self.type} has {len(tensors)} {what}s called {arg!r}, expected one")
        return tensors[0]

    def _find(self, arg: str) -> TensorType:
        return self.input(arg) if arg in self._inputs else self.output(arg)

    def shape(self, arg: str) -> tuple[int, ...]:
        """The shape of an argument's single tensor; MissingShape unless every extent is known."""
        shape = self._find(arg).shape
        if shape is None or None in shape:
            raise MissingShape(arg)
        return shape  # type: ignore[return-value]  # None is excluded above

    def dtype(self, arg: str) -> DType:
        """The dtype of an argument's single tensor."""
        dtype = self._find(arg).dtype
        if dtype is None:
            raise MissingShape(arg)
        return dtype

    def numel(self, arg: str) -> int:
        """Elements of all tensors of an argument."""
        return sum(known(tensor.numel, arg) for tensor in self._all(arg))

    def nbytes(self, arg: str) -> int:
        """Bytes of all tensors of an argument."""
        return sum(known(tensor.nbytes, arg) for tensor in self._all(arg))

    def _all(self, arg: str) -> tuple[TensorType, ...]:
        tensors = self._inputs.get(arg) or self._outputs.get(arg)
        if not tensors:
            raise MissingShape(arg)
        return tensors

    def attr(self, name: str) -> AttrValue:
        """An attribute; MissingAttribute where the form does not hold it."""
        try:
            return self.attrs[name]
        except KeyError:
            raise MissingAttribute(name) from None

    def ints(self, name: str) -> tuple[int, ...]:
        """A list-of-int attribute."""
        value = self.attr(name)
        if isinstance(value, tuple) and all(isinstance(v, int) for v in value):
            return value  # type: ignore[return-value]  # checked above
        raise ValueError(f"attribute {name} of {self.type} should be a list of integers, not {value!r}")

    def integer(self, name: str) -> int:
        """An int attribute."""
        value = self.attr(name)
        if isinstance(value, int):
            return value
        raise ValueError(f"attribute {name} of {self.type} should be an integer, not {value!r}")

    def flag(self, name: str) -> bool:
        """A bool attribute."""
        return bool(self.attr(name))


def known(value: int | None, arg: str) -> int:
    """The value, or MissingShape naming the argument."""
    if value is None:
        raise MissingShape(arg)
    return value


Inferred = Mapping[str, TensorType | tuple[TensorType, ...]]
"""Types of the results, by argument name; a tuple for an argument of several tensors."""

ShapeRule = Callable[[OpView], Inferred]
"""Types of the results from operands and attributes. Raises `Unknowable`, or ValueError naming both sides where the operands cannot go
together. It may ask which results are present (`output_args`, `len(op.outputs(arg))`), never their types."""

WorkRule = Callable[[OpView], Work]
"""The work of one run, from shapes. Attributes only where shapes do not tell, and never one that holds a logical size."""

TrafficRule = Callable[[OpView], Traffic]
"""The bytes that one run moves."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Extents that a what-if changes, as pairs of old and new."""

    roots: frozenset[tuple[int, int]]
    """Of the graph's inputs."""
    seen: frozenset[tuple[int, int]]
    """Of tensors on the way."""


Readings = Callable[[OpView, OpView], Iterable[Mapping[str, AttrValue]]]
"""Values for attributes that a form lacks, from the op as captured and as changed (its operands alone): every set that could be meant.
Sets that do not give the captured results are weeded out by the caller. MissingAttribute where they cannot be listed."""

Resized = Callable[[OpView, OpView, Changes], Iterable[Mapping[str, AttrValue]]]
"""New values for attributes that hold logical sizes, from the op as captured, with all attributes, and as changed: every one that could be
meant. Those that do not go with the new operands are weeded out by the caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A call with known figures, worked out by hand: test, documentation and proof of a rule at once.

    `call` is written `conv2d(in: f32[1,8,4,4], weight: f32[8,1,3,3], groups=8) -> out: f32[1,8,2,2]`; several tensors of one argument
    are `in: [f32[2], f32[3]]`, attribute lists `[1, 1]`, strings in double quotes, dtypes f32 f16 bf16 f64 i8 i32 i64 u8 bool.
    The shape rule must give the results as written, unless `inferable` is False (a call that lacks attributes, as a printed graph's).
    Figures left None are not checked; "unknown" asserts that the count cannot be known.
    """

    call: str
    because: str
    """How the numbers follow, without the rule's formula."""
    macs: int | str | None = None
    flops: int | str | None = None
    transcendentals: int | str | None = None
    bytes_read: int | None = None
    bytes_written: int | None = None
    inferable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class OpRule:
    """All that irflops knows of one or several op types: the one place that a new operator touches."""

    op_types: tuple[str, ...]
    summary: str
    """One sentence: what the op computes."""
    formula: str
    """The counts as text, choices included."""
    shape: ShapeRule
    cost: WorkRule
    examples: tuple[Example, ...]
    traffic: TrafficRule
    contraction: bool = False
    """Whether it multiplies and accumulates. The macs of all other types are 0, even where their flops cannot be known."""
    view: bool = False
    """Whether results share the storage of an operand: no traffic, no activation."""
    ignores: str = ""
    """What the counts leave out."""
    source: str = ""
    """Where the formula comes from: a paper, a file of OneFlow, a peer."""
    upper_bound: bool = False
    """Whether the work depends on the data and the counts are the most it can be."""
    unequal: str = ""
    """The op type that OneFlow takes in this one's place where the two operands are not of one shape."""
    readings: Readings | None = None
    """What a form that lacks attributes of `shape` leaves open."""
    resized: Resized | None = None
    """Which attributes hold logical sizes, and what becomes of them where an operand, or the graph's input, changes its size."""

    def __post_init__(self) -> None:
        for name in ("op_types", "summary", "formula", "examples"):
            if not getattr(self, name):
                raise TypeError(f"rule {self.op_types or self.summary!r}: {name} is empty")


def touch_all(op: OpView) -> Traffic:
    """Each operand is read once, each result written once."""
    return Traffic(
        reads={arg: op.nbytes(arg) for arg in op.input_args},
        writes={arg: sum(known(t.nbytes, arg) for t in op.outputs(arg)) for arg in op.output_args},
    )


def touch_nothing(op: OpView) -> Traffic:
    """A view: nothing moves."""
    return Traffic(reads=dict.fromkeys(op.input_args, 0), writes=dict.fromkeys(op.output_args, 0))


def moves(
    *,
    like: Sequence[str] = (),
    in_place: Sequence[str] = (),
    sized_as: Mapping[str, str] | None = None,
    rewrites: Mapping[str, str] | None = None,
) -> TrafficRule:
    """A traffic rule by argument.

    `like` operands give a shape alone and move nothing. `in_place` operands are read and written whole. An argument of `sized_as` moves as
    many elements, of its own dtype, as another argument has (`{"in": "out"}`: gather reads what it gives out). A `rewrites` operand is
    written in place at as many elements as another argument has, and not read (`{"ref": "value"}`: a slice update). Arguments that are
    absent are passed over.
    """
    sizes = dict(sized_as or {})
    updates = dict(rewrites or {})

    def rule(op: OpView) -> Traffic:
        def whole(arg: str, tensors: Sequence[TensorType]) -> int:
            if arg in sizes:
                return op.dtype(arg).nbytes(op.numel(sizes[arg]))
            return sum(known(t.nbytes, arg) for t in tensors)

        reads = {arg: 0 if arg in like or arg in updates else whole(arg, op.inputs(arg)) for arg in op.input_args}
        writes = {arg: whole(arg, op.outputs(arg)) for arg in op.output_args}
        writes |= {arg: op.nbytes(arg) for arg in in_place if arg in op.input_args}
        writes |= {arg: op.dtype(arg).nbytes(op.numel(n)) for arg, n in updates.items() if arg in op.input_args}
        return Traffic(reads=reads, writes=writes)

    return rule


def no_work(_op: OpView) -> Work:
    """Moves data at most: no arithmetic."""
    return Work()


def no_result_shape(_op: OpView) -> Inferred:
    """A shape rule: the op updates operands in place and gives out nothing."""
    return {}


def results_like(arg: str, *results: str) -> ShapeRule:
    """A shape rule: the named results that are present have the type of an operand."""

    def shape(op: OpView) -> Inferred:
        return {result: op.input(arg) for result in results if result in op.output_args}

    return shape


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that operands broadcast to, axes aligned from the right; ValueError names the shapes that do not fit."""
    rank = max((len(s) for s in shapes), default=0)
    out = [1] * rank
    for shape in shapes:
        for axis, extent in enumerate(shape, rank - len(shape)):
            if extent != 1 and out[axis] not in (1, extent):
                raise ValueError(f"shapes {' and '.join(map(str, shapes))} do not broadcast")
            if extent != 1:
                out[axis] = extent
    return tuple(out)


def normal_axis(axis: int, rank: int) -> int:
    """A non-negative axis; ValueError if it is out of range."""
    if not -max(rank, 1) <= axis < max(rank, 1):
        raise ValueError(f"axis {axis} is out of range for {rank} dimensions")
    return axis % max(rank, 1)


__all__ = [
    "FMA",
    "UNKNOWN_WORK",
    "Changes",
    "Example",
    "Inferred",
    "MissingAttribute",
    "MissingShape",
    "OpRule",
    "OpView",
    "Readings",
    "Resized",
    "ShapeRule",
    "Traffic",
    "Unknowable",
    "Work",
    "broadcast_shapes",
    "known",
    "moves",
    "no_result_shape",
    "no_work",
    "normal_axis",
    "results_like",
    "touch_all",
    "touch_nothing",
]
