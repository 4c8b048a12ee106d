"""What a rule is: the shape, the work and the traffic of an op type, with its own proof.

A rule sees an `OpView` and nothing else: no reader, no graph, no total.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from irflops.ir.graph import AttrValue
from irflops.ops.costs import WorkRule
from irflops.ops.facts import OpFacts
from irflops.ops.op_view import OpView
from irflops.ops.shapes import ShapeRule
from irflops.ops.temporary import TemporaryRule, no_buffer
from irflops.ops.traffic import TOGETHER, Traffic, TrafficRule


@dataclass(frozen=True, slots=True)
class Changes:
    """Extents that a what-if changes, as pairs of old and new."""

    roots: frozenset[tuple[int, int]]
    """Of the graph's inputs."""
    seen: frozenset[tuple[int, int]]
    """Of tensors on the way."""


Readings = Callable[[OpView, OpView], Iterable[Mapping[str, AttrValue]]]
"""Values for attributes that a form lacks, from the op as captured and as changed (its operands alone): every set that could be meant.
Sets that do not give the captured results are weeded out by the caller, and one of those that always give the same is enough; the likelier
come first. MissingAttribute where they cannot be listed."""


class Likely(dict[str, AttrValue]):
    """Values for attributes that are no more than likely: others fit as well that are not listed, or something speaks against them."""

    def __init__(self, values: Mapping[str, AttrValue], because: str = "") -> None:
        super().__init__(values)
        self.because = because
        """What speaks against them, in words."""


Resized = Callable[[OpView, OpView, Changes], Iterable[Mapping[str, AttrValue]]]
"""New values for attributes that hold logical sizes, from the op as captured, with all attributes, and as changed: every one that could be
meant. Those that do not go with the new operands are weeded out by the caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A call with known figures, worked out by hand: test, documentation and proof of a rule at once.

    `call` is written `conv2d(in: f32[1,8,4,4], weight: f32[8,1,3,3], groups=8) -> out: f32[1,8,2,2]`; several tensors of one argument
    are `in: [f32[2], f32[3]]`, attribute lists `[1, 1]`, strings in double quotes, dtypes f32 f16 bf16 f64 i8 i32 i64 u8 bool, and `?` for
    elements that are no numbers (records, tensor buffers).
    The shape rule must give the results as written, unless `inferable` is False (a call that lacks attributes, as a printed graph's).
    Figures left None are not checked; "unknown" asserts that the count cannot be known.
    """

    call: str
    because: str
    """How the numbers follow, without the rule's formula."""
    macs: int | str | None = None
    flops: int | str | None = None
    transcendentals: int | str | None = None
    bytes_read: int | str | None = None
    bytes_written: int | str | None = None
    inferable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class OpRule(OpFacts):
    """All that irflops knows of one or several op types: the one place that a new operator touches."""

    summary: str
    """One sentence: what the op computes."""
    formula: str
    """The counts as text, choices included."""
    shape: ShapeRule
    cost: WorkRule
    examples: tuple[Example, ...]
    traffic: TrafficRule
    """Without what `updates` writes, unless only a part of it is written."""
    contraction: bool = False
    """Whether it multiplies and accumulates. The macs of all other types are 0, even where their flops cannot be known."""
    ignores: str = ""
    """What the counts leave out."""
    source: str = ""
    """Where the formula comes from: a paper, a file of OneFlow, a peer."""
    upper_bound: bool = False
    """Whether the work depends on the data and the counts are the most it can be."""
    temporary: TemporaryRule = no_buffer
    """The buffer that its kernel works in while it runs."""
    repeated: str = ""
    """The op type that OneFlow takes in this one's place where the first operand is of the second one's shape, repeated."""
    unequal: str = ""
    """The op type that OneFlow takes in this one's place where the two operands are not of one shape."""
    readings: Readings | None = None
    """What a form that lacks attributes of `shape` leaves open."""
    resized: Resized | None = None
    """Which attributes hold logical sizes, and what becomes of them where an operand, or the graph's input, changes its size."""

    operands: tuple[str, ...] = ()
    """Of an op type that is not OneFlow's, its operands in order: a print tells their places alone, `in_0`, `in_1`, and they are then
    called so."""
    by: str = ""
    """Of a rule that is not irflops' own, who says so: `irflops.toml:12`, the name of a package. Such a rule need not have examples."""

    def __post_init__(self) -> None:
        for name in ("op_types", "summary", "formula", *(() if self.by else ("examples",))):
            if not getattr(self, name):
                raise TypeError(f"rule {self.op_types or self.summary!r}: {name} is empty")

    def moved(self, op: OpView) -> Traffic:
        """The bytes that one run moves, the operands included that it updates: whole, where `traffic` does not say how much of them."""
        traffic = self.traffic(op)
        updated = [arg for arg in self.updated(op.input_args, op.output_args) if arg not in traffic.writes]
        if not updated or self.aliases or TOGETHER in traffic.writes:  # what a result aliases is written by whoever writes to the result
            return traffic
        return Traffic(reads=traffic.reads, writes={**traffic.writes, **{arg: op.nbytes(arg) for arg in updated}})
