"""The graph as frozen data: operators in file order, tensors by lbn. No I/O, no format, no cost."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from irflops.errors import Source, Span
from irflops.ir.certainty import Certainty
from irflops.ir.edges import NOBODY, Edges, edges_of
from irflops.ir.holds import Holds
from irflops.ir.sbp import NdSbp

if TYPE_CHECKING:
    import networkx

Shape = tuple[int | None, ...]
"""Extents by axis; None is an extent that is not known."""

AttrValue = int | float | bool | str | tuple["AttrValue", ...] | None


class DType(enum.Enum):
    """Element types. The value is (name, bits, short name)."""

    FLOAT32 = ("float32", 32, "f32")
    FLOAT64 = ("float64", 64, "f64")
    FLOAT16 = ("float16", 16, "f16")
    BFLOAT16 = ("bfloat16", 16, "bf16")
    FLOAT8_E4M3 = ("float8_e4m3", 8, "f8e4m3")
    FLOAT8_E5M2 = ("float8_e5m2", 8, "f8e5m2")
    INT4 = ("int4", 4, "i4")
    INT8 = ("int8", 8, "i8")
    INT16 = ("int16", 16, "i16")
    INT32 = ("int32", 32, "i32")
    INT64 = ("int64", 64, "i64")
    INT128 = ("int128", 128, "i128")
    UINT4 = ("uint4", 4, "u4")
    UINT8 = ("uint8", 8, "u8")
    UINT16 = ("uint16", 16, "u16")
    UINT32 = ("uint32", 32, "u32")
    UINT64 = ("uint64", 64, "u64")
    UINT128 = ("uint128", 128, "u128")
    BOOL = ("bool", 8, "bool")
    CHAR = ("char", 8, "char")
    COMPLEX32 = ("complex32", 32, "c32")
    COMPLEX64 = ("complex64", 64, "c64")
    COMPLEX128 = ("complex128", 128, "c128")

    def __init__(self, word: str, bits: int, short: str) -> None:
        self.word = word
        """The name in OneFlow's Python (`oneflow.float32`)."""
        self.bits = bits
        """Bits of one element."""
        self.short = short
        """The short spelling of rule examples (`f32`)."""

    __hash__ = object.__hash__  # each is one object; an enum's own hash is that of its name, by a call of Python's

    @staticmethod
    def named(word: object) -> DType | None:
        """The inverse of `word`; None for anything else."""
        return _DTYPES.get(word)

    @property
    def is_number(self) -> bool:
        """Whether elements are real numbers, integers or floating-point ones."""
        return self not in (DType.BOOL, DType.CHAR) and self.short[0] != "c"

    @property
    def is_float(self) -> bool:
        """Whether elements are real floating-point numbers."""
        return self.short[0] in "fb" and self is not DType.BOOL

    def nbytes(self, elements: int) -> int:
        """Bytes of that many elements, rounded up once per tensor."""
        return (elements * self.bits + 7) // 8


_DTYPES: Mapping[object, DType] = {dtype.word: dtype for dtype in DType}


@dataclass(frozen=True, slots=True)
class TensorType:
    """Shape and dtype of a logical tensor; either may be unknown."""

    shape: Shape | None = None
    dtype: DType | None = None

    @property
    def numel(self) -> int | None:
        """Number of elements as an exact int, None where an extent is unknown."""
        if self.shape is None or None in self.shape:
            return None
        return math.prod(self.shape)  # type: ignore[arg-type]  # None is excluded one line above

    @property
    def nbytes(self) -> int | None:
        """Bytes of the whole tensor, None where shape or dtype is unknown."""
        numel = self.numel
        return None if numel is None or self.dtype is None else self.dtype.nbytes(numel)

    def __str__(self) -> str:
        dims = "?" if self.shape is None else ",".join("?" if d is None else str(d) for d in self.shape)
        return f"{self.dtype.short if self.dtype else '?'}[{dims}]"


UNKNOWN_TENSOR = TensorType()


@dataclass(frozen=True, slots=True)
class Placement:
    """Devices of an operator: type, ranks in order, and the shape of their mesh."""

    device: str
    ranks: tuple[int, ...]
    hierarchy: tuple[int, ...]
    nodes: tuple[int, ...] | None = field(default=None, compare=False, repr=False)
    """By rank, in their order, the node that its device is in, by any number of its own; None where the form has rank numbers alone."""


class Phase(enum.Enum):
    """Which part of a step an operator belongs to (docs/definitions.md's phases)."""

    FORWARD = "forward"
    RECOMPUTE = "recompute"
    BACKWARD = "backward"
    OPTIMIZER = "optimizer"
    SYSTEM = "system"


class Role(enum.Enum):
    """Who made an operator, and whether it only moves tensors between devices."""

    USER = "user"
    """The user's code, or OneFlow's autograd for it."""
    SYSTEM = "system"
    """A pass of OneFlow's: optimizer, loss scale, clipping, schedules, recomputation, pipelines."""
    BOXING = "boxing"
    """A pass of OneFlow's, to hand a tensor on as it is, in another sbp or on other devices; printed graphs alone show these."""
    COLLECTIVE = "collective"
    """A pass of OneFlow's, to hand a tensor on in another sbp by an operation of NCCL that stands in the graph."""


class VariableKind(enum.Enum):
    """What a variable is for."""

    TRAINABLE = "trainable"
    FROZEN = "frozen"
    BUFFER = "buffer"
    OPTIMIZER_STATE = "optimizer_state"


@dataclass(frozen=True, slots=True)
class Operand:
    """One tensor at an argument slot of an operator: an operand or a result."""

    arg: str
    """The argument's name in OneFlow's signature (`in`, `weight`, `out`)."""
    index: int
    """Position within the argument, 0 unless the argument takes several tensors."""
    lbn: str
    """The logical blob's name, `op/blob`."""
    type: TensorType
    nd_sbp: NdSbp | None = None
    """On an operand what the consumer wants, on a result what the operator makes; None where the form lacks it."""


@dataclass(frozen=True, slots=True)
class Location:
    """A line of the user's Python."""

    file: str
    line: int
    function: str


def exact(value: AttrValue) -> object:
    """An attribute's value as a key: True is not 1 and 1 is not 1.0, which Python takes for equal; -0.0 is not 0.0, and nan is nan."""
    if isinstance(value, tuple):
        return tuple(map(exact, value))
    return (type(value), repr(value)) if isinstance(value, (bool, float)) else value


class Attrs(Mapping[str, AttrValue]):
    """The static parameters of an operator: a frozen, hashable mapping, equal to others of exactly these values.

    A name that is absent is unknown.
    """

    __slots__ = ("_hash", "_items")

    def __init__(self, items: Mapping[str, AttrValue] | None = None) -> None:
        self._items: dict[str, AttrValue] = dict(items or {})
        self._hash = hash(self._key())

    def __getitem__(self, name: str) -> AttrValue:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Attrs) and self._hash == other._hash and self._key() == other._key()

    def _key(self) -> tuple[tuple[str, object], ...]:
        return tuple((name, exact(self._items[name])) for name in sorted(self._items))

    def __repr__(self) -> str:
        return f"Attrs({self._items!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return Attrs, (self._items,)


NO_ATTRS = Attrs()


@dataclass(frozen=True, slots=True)
class Op:
    """One operator instance."""

    name: str
    """Unique in the graph."""
    type: str | None
    """OneFlow's op type name as in a job (`add_n`, `variable`, `input`), None where the dump's name does not tell."""
    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]
    attrs: Attrs = NO_ATTRS
    placement: Placement | None = None
    module: str = ""
    """Path of the module that owns it, `""` for the graph itself."""
    phase: Phase | None = None
    runs: int = 1
    """Times it runs in one step, more than 1 under gradient accumulation."""
    span: Span | None = None
    """Its text in the file, None for operators that the form does not print."""
    location: Location | None = None
    type_candidates: tuple[str, ...] = ()
    """The types that the name allows where `type` is None."""
    kind: VariableKind | None = None
    """What a variable is for; None for other operators."""
    kind_source: str | None = None
    """`declared` by the dump or `inferred` from use; None for other operators."""
    kind_open: bool = False
    """Whether the kind is a guess, for the line of the dump that declares it is lost: no params by kind are sure then."""
    elided: bool = False
    """Whether the dump leaves its operands out (`...`) and nothing tells them."""
    hidden: bool = False
    """Whether the dump has it nowhere: it is known from what reads it alone."""
    number: int | None = None
    """OneFlow's counter when it was made, which is the same in every form; None where its name has none."""
    role: Role = Role.USER
    """Who made it."""
    stem: str = ""
    """Its name without module, counters and the graph's own name: its op type, where nobody called it otherwise."""
    readings: tuple[tuple[Operand, ...], ...] = ()
    """Every set of operands that it may have, where the form does not tell which; `inputs` is the first of them."""
    after: tuple[str, ...] = ()
    """Operators that it waits for without reading from them: OneFlow's control edges, where the form tells them."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A PARAMETER or BUFFER line of a printed graph."""

    name: str
    type: TensorType
    kind: VariableKind
    tied_to: str | None = None
    """The variable that this parameter shares, where it has none of its own."""


@dataclass(frozen=True, slots=True)
class ModuleCall:
    """What one call of a module took and gave, as far as it were tensors."""

    inputs: tuple[TensorType, ...]
    outputs: tuple[TensorType, ...]


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the user's model."""

    path: str
    class_name: str | None
    text: str | None
    """The module's own description: `Conv2d(3, 64, kernel_size=(7, 7), ...)`."""
    span: Span | None = None
    inputs: tuple[TensorType, ...] = ()
    """Tensors that went in, over all calls in order."""
    outputs: tuple[TensorType, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    """The parameters and buffers that its own lines declare."""
    calls: tuple[ModuleCall, ...] = ()
    """`inputs` and `outputs` call by call, in order; none where the form does not tell."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something a reader of the figures should know."""

    code: str
    text: str
    span: Span | None = None


@dataclass(frozen=True)
class Graph:
    """A OneFlow graph: operators in file order, and the module tree that owns them."""

    name: str
    class_name: str | None
    training: bool
    ops: tuple[Op, ...]
    modules: tuple[Module, ...]
    format: str
    """Which serialized form it was read from (`repr`), to be shown; what the form tells is `holds`."""
    source: Source = field(repr=False)
    span: Span | None = None
    notes: tuple[Note, ...] = ()
    version_guess: str | None = None
    """OneFlow's version as far as the form tells, `0.8.0` or `0.9.0 or later`."""
    partial: bool = False
    """Whether parts of the graph were not read: every total is then a lower bound."""
    doubt: Certainty = Certainty.EXACT
    """How sure totals of work are at best: of a what-if `unbounded` where it guessed, `lower_bound` where it may lack operators."""
    holds: Holds = field(default=Holds(), repr=False)
    """What its form tells."""
    switches: frozenset[str] = frozenset()
    """Fields of the job's configuration that are on and that a pass obeys which was still to come when the form was made."""

    def __repr__(self) -> str:
        return f"<Graph {self.name}: {len(self.ops)} ops in {len(self.modules)} modules, from {self.source.name}>"

    @cached_property
    def by_name(self) -> Mapping[str, Op]:
        """Operators by name."""
        return {op.name: op for op in self.ops}

    @cached_property
    def edges(self) -> Edges:
        """Who feeds whom, by the numbers of operators in `ops`."""
        return edges_of(self.ops)

    @cached_property
    def producers(self) -> Mapping[str, Op]:
        """The operator that makes each lbn."""
        makers = self.edges.makers
        return {lbn: self.ops[makers[tensor]] for lbn, tensor in self.edges.tensors.items() if makers[tensor] != NOBODY}

    @cached_property
    def dag(self) -> networkx.MultiDiGraph:
        """The networkx view: a node per operator name (attribute `op`), an edge per use of a tensor (`lbn`, `arg`, `index`)."""
        import networkx  # here for start-up time: most runs never need the view, and networkx is the slowest import

        view: networkx.MultiDiGraph = networkx.MultiDiGraph(name=self.name)
        view.add_nodes_from((op.name, {"op": op}) for op in self.ops)
        producers = self.producers
        view.add_edges_from(
            (producers[operand.lbn].name, op.name, {"lbn": operand.lbn, "arg": operand.arg, "index": operand.index})
            for op in self.ops
            for operand in op.inputs
            if operand.lbn in producers
        )
        return view

    def __getstate__(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}
