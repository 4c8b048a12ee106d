"""Reads single statements of a printed graph: the grammar's rules turned into records.

Tensor types, placements, locations and module texts repeat all over a dump, so each distinct text is parsed once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import lark

from irflops.ir.graph import Location, Placement, TensorType
from irflops.ir.sbp import NdSbp
from irflops.readers.printed.expressions import program_of, run
from irflops.readers.printed.plans import Number, Slots, line_plan, op_plan
from irflops.readers.printed.values import MAX_DEPTH, Call, check_depth, dtype_of, nd_sbp_of, placement_of, shape_of
from irflops.readers.text.arrangements import Arrangements, Pieces, Tree
from irflops.readers.text.syntax import SyntaxProblem, explain

T = TypeVar("T")

_TYPE_START = re.compile(r"\(?\s*(?=sbp\s*=)")

MAX_TEXTS = 25_000
"""Statements and distinct values that any dump may have."""
BYTES_PER_TEXT = 140
"""A large dump may have one more for this many bytes: real ones of a megabyte have one in 160 to 330."""
MAX_VALUES = 200_000
"""Commas that the statements of any dump may have."""
BYTES_PER_VALUE = 12
"""A large dump may have one comma more for this many bytes: real ones have one in 20."""
MAX_PARENTHESES = 600_000
"""Parentheses that an operator line may close; one of a thousand operands has 5,000."""
MAX_TEXT = 1 << 20
"""Characters of any other statement, and of a value in one."""
MAX_TENSORS = 100_000
"""Tensors that the operator lines of any dump may have."""
BYTES_PER_TENSOR = 50
"""A large dump may have one tensor more for this many bytes: real ones have one in 120."""

MAX_RECENT = 5_000
"""Tensors of operator lines that are remembered: most are read again soon after they were made."""

_FRAME = re.compile(r"""\]\s*:\s*['"](?P<function>.*)['"]\s*at\s*['"](?P<file>.*)['"]\s*:\s*line\s*(?P<line>\d+)$""")


class RawTensor(NamedTuple):
    """A tensor on an operator line."""

    lbn: str
    """As printed: of a variable's and an identity's result the blob name alone."""
    type: TensorType
    nd_sbp: NdSbp | None
    bare: bool
    """Whether it stands without inner parentheses, as system operators print it."""


RawArg = RawTensor | tuple[RawTensor, ...]
"""One printed argument: a tensor, or the tensors of a bracketed list."""


class RawOp(NamedTuple):
    """An operator line."""

    name: str
    inputs: tuple[RawArg, ...] | None
    """None where the line elides them as `...`."""
    outputs: tuple[RawArg, ...] | None
    placement: Placement | None
    frames: tuple[Location, ...]
    """Python frames, outermost first."""
    others: tuple[str, ...]
    """Parts of the line that no known version prints."""


class TensorLine(NamedTuple):
    """An INPUT, OUTPUT, PARAMETER or BUFFER line."""

    name: str | None
    """None where a listing lost it."""
    type: TensorType | None
    """None for a value that is no tensor."""
    trainable: bool = False
    placement: Placement | None = None
    nd_sbp: NdSbp | None = None
    """How a global tensor lies."""


class Statements:
    """Parses the statements of one dump, and remembers the texts that it has parsed.

    Every method raises SyntaxProblem, with offsets into the text that it was given, where that does not read.
    """

    def __init__(self, size: int = 0) -> None:
        """`size` is the dump's number of characters, by which it may have more or fewer values."""
        self._texts_left = MAX_TEXTS + size // BYTES_PER_TEXT
        self._values_left = MAX_VALUES + size // BYTES_PER_VALUE
        self._tensors_left = MAX_TENSORS + size // BYTES_PER_TENSOR
        self._arrangements = {start: Arrangements("graph_repr", start, plan) for start, plan in _PLANS.items()}
        self.untyped = False  # whether an operator line has shown a tensor without a type
        self._tensors: dict[str, RawTensor] = {}
        self._types: dict[str, tuple[TensorType, NdSbp | None]] = {}
        self._values: dict[str, TensorLine] = {}
        self._placements: dict[str, Placement | None] = {}
        self._frames: dict[str, tuple[Location, ...]] = {}
        self._names: dict[str, str] = {}
        self._shared: dict[Any, Any] = {}

    def _read(self, text: str, start: str) -> tuple[Any, Pieces]:
        """The plan of a text's arrangement, and the text's pieces."""
        size = len(text)
        if size > MAX_DEPTH and text.count("(") + text.count("[") + text.count("{") > MAX_DEPTH:
            check_depth(text)
        # Parsing takes time and memory by the token: what has far more of them than a graph is refused before, not after.
        if size > MAX_TEXT and (start != "operator" or text.count(")") > MAX_PARENTHESES):
            raise SyntaxProblem(0, size, f"a statement of {size} characters is none of a graph's")
        values = text.count(",")
        if values > self._values_left or not self._texts_left:
            what = "values in lists" if self._texts_left else "different values"
            raise SyntaxProblem(0, size, f"more {what} than a graph of this size can have")
        self._texts_left -= 1
        self._values_left -= values
        try:
            return self._arrangements[start].read(text)
        except lark.UnexpectedInput as error:
            raise self._narrowed(explain(error, text), text) from None

    def _value(self, text: str, start: str) -> Any:
        program, pieces = self._read(text, start)
        return run(program, text, pieces)

    def _narrowed(self, problem: SyntaxProblem, text: str) -> SyntaxProblem:
        """Where a tensor's type does not read, the place within it: to the operator rule a type is one token."""
        match = _TYPE_START.match(text, problem.start)
        if match is None or text.startswith("sbp"):
            return problem
        try:
            with _Shifted(match.end()):
                self._value(text[match.end() :], "arguments")
        except SyntaxProblem as within:
            if not text.startswith(")", within.start):
                return SyntaxProblem(within.start, within.end, within.message, problem.hint)
        return SyntaxProblem(problem.start, problem.end, "a tensor's type is written sbp=(...), size=(...), dtype=(...)", problem.hint)

    def _name(self, text: str) -> str:
        """The one text that stands for all equal names of tensors."""
        return self._names.setdefault(text, text)

    def forget_names(self) -> None:
        """Frees what only operator lines need: names of tensors are a tenth of all that is read."""
        self._names.clear()
        self._tensors.clear()

    def interned(self, value: T) -> T:
        """The one object that stands for all equal values."""
        found: T = self._shared.setdefault(value, value)
        return found

    def operator(self, text: str) -> RawOp:
        """An operator line."""
        plan, pieces = self._read(text, "operator")
        head = text[pieces[plan.head]]
        placement: Placement | None = None
        for number in plan.placements:
            placement = self._placement(text, pieces[number])
        frames: tuple[Location, ...] = ()
        for number in plan.locations:
            frames = self._located(text[pieces[number]])
        others = tuple([text[pieces[number]].lstrip(", ") for number in plan.others]) if plan.others else ()
        self._tensors_left -= plan.tensors
        if self._tensors_left < 0:
            raise SyntaxProblem(0, 1, "more tensors than a graph of this size can have")
        inputs = None if plan.inputs is None else self._args(plan.inputs, text, pieces)
        outputs = None if plan.outputs is None else self._args(plan.outputs, text, pieces)
        return RawOp(head[head.index(":") + 1 : -1].strip(), inputs, outputs, placement, frames, others)

    def _args(self, slots: Slots, text: str, pieces: Pieces) -> tuple[RawArg, ...]:
        return tuple([self._tensor(text, pieces[slot]) if isinstance(slot, int) else self._several(slot, text, pieces) for slot in slots])

    def _several(self, slot: tuple[int, ...], text: str, pieces: Pieces) -> tuple[RawTensor, ...]:
        return tuple([self._tensor(text, pieces[number]) for number in slot])

    def _tensor(self, text: str, piece: slice) -> RawTensor:
        own = text[piece]
        found = self._tensors.get(own)
        if found is None:
            if len(self._tensors) >= MAX_RECENT:
                self._tensors.clear()
            found = self._tensors[own] = self._read_tensor(own, piece.start)
        return found

    def _read_tensor(self, text: str, start: int) -> RawTensor:
        at = text.find("sbp=(")
        if at < 0:
            self.untyped = True
            return RawTensor(self._name(text), TensorType(), None, False)
        head = text[:at].rstrip()
        bare = head[-1] != "("
        type_, nd_sbp = self.tensor_type((text[at:] if bare else text[at:-1]).rstrip(), start + at)
        return RawTensor(self._name(head.rstrip("( \t\n").removesuffix(":").rstrip()), type_, nd_sbp, bare)

    def level(self, text: str) -> tuple[str | None, str | None]:
        """Name and text of a line that opens a level: a GRAPH line's has no text, a GraphModule's no name."""
        (rule, numbers), pieces = self._read(text, "level")
        head, *texts = (text[pieces[number]] for number in numbers)
        if rule == "graph":
            return head[1:].strip().removeprefix("GRAPH").lstrip(" :"), None
        if rule == "graph_module":
            return None, texts[0]
        path = head[1:].strip().removeprefix("MODULE").strip()
        return (path[1:-1].strip() if path else None), texts[0]

    def config(self, text: str) -> bool:
        """Whether a CONFIG line says that the graph trains."""
        plan, pieces = self._read(text, "config")
        return "training=True" in text[pieces[plan.pieces[1]]].replace(" ", "")

    def tensor_line(self, text: str) -> TensorLine:
        """An INPUT, OUTPUT, PARAMETER or BUFFER line."""
        (_rule, (head, value)), pieces = self._read(text, "tensor_line")
        name = text[pieces[head]].partition("(")[2].partition(":")[2].strip().removesuffix(":")
        return self._tensor_value(text, pieces[value])._replace(name=name or None)

    def value(self, text: str) -> Any:
        """A Python expression: numbers, strings, names, calls, tuples, lists."""
        return self._value(text, "call")

    def tensor_type(self, text: str, offset: int) -> tuple[TensorType, NdSbp | None]:
        """`sbp=(S(0), B), size=(8, 16), dtype=(oneflow.float32)`; `offset` is where it stands in its statement."""
        found = self._types.get(text)
        if found is None:
            with _Shifted(offset):
                call: Call = self._value(text, "arguments")
                shape = shape_of(call.kwargs.get("size", ()), text)
                dtype = dtype_of(call.kwargs.get("dtype"))
                type_ = self.interned(TensorType(shape, dtype))
                found = self._types[text] = type_, self.interned(nd_sbp_of(call.kwargs.get("sbp")))
        return found

    def _tensor_value(self, statement: str, piece: slice) -> TensorLine:
        """`tensor(..., size=(64,), dtype=oneflow.float32)`, or `<class 'int'>`."""
        text = statement[piece]
        found = self._values.get(text)
        if found is None:
            if text.lstrip().startswith("<"):
                found = TensorLine(None, None)
            else:
                with _Shifted(piece.start):
                    found = self._tensor_fields(self._value(text, "call"), text)
            self._values[text] = found
        return found

    def _tensor_fields(self, call: Any, text: str) -> TensorLine:
        if not isinstance(call, Call):
            return TensorLine(None, None)
        fields = call.kwargs
        size = fields.get("size")
        shape = shape_of(size, text) if size is not None else None
        type_ = self.interned(TensorType(shape, dtype_of(fields.get("dtype", fields.get("data_type")))))
        trainable = "grad_fn" in fields or fields.get("requires_grad") == "True"
        placement = fields.get("placement")
        return TensorLine(
            None,
            type_,
            trainable,
            placement_of(placement) if isinstance(placement, Call) else None,
            self.interned(nd_sbp_of(fields["sbp"])) if "sbp" in fields else None,
        )

    def _placement(self, statement: str, piece: slice) -> Placement | None:
        """`placement=(oneflow.placement(type="cpu", ranks=[0]))`, None where it says `None`."""
        text = statement[piece]
        if text not in self._placements:
            at = text.index("placement=") + len("placement=")
            with _Shifted(piece.start + at):
                value = self._value(text[at:], "call")
                while isinstance(value, tuple) and len(value) == 1:
                    (value,) = value
                self._placements[text] = self.interned(placement_of(value)) if isinstance(value, Call) else None
        return self._placements[text]

    def _located(self, text: str) -> tuple[Location, ...]:
        return self.frames(text[text.index("location=(") + len("location=(") : -1])

    def frames(self, text: str) -> tuple[Location, ...]:
        """Python frames, outermost first; none where the text reads in no known way, for it is only extra."""
        if text not in self._frames:
            try:
                plan, pieces = self._read(text, "frames")
                found = (_FRAME.search(text[pieces[number]]) for number in plan.pieces)
                self._frames[text] = tuple(Location(match["file"], int(match["line"]), match["function"]) for match in found if match)
            except SyntaxProblem:
                self._frames[text] = ()
        return self._frames[text]


_PLANS: dict[str, Callable[[Tree, Number], Any]] = {
    "operator": op_plan,
    "level": line_plan,
    "tensor_line": line_plan,
    "config": line_plan,
    "frames": line_plan,
    "arguments": program_of,
    "call": program_of,
}
"""What is remembered of a statement's arrangement, by the grammar's start rules."""


class _Shifted:
    """Moves the offsets of a problem within a part of a statement to the statement's own."""

    def __init__(self, offset: int) -> None:
        self.offset = offset

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, problem: BaseException | None, _trace: object) -> None:
        if isinstance(problem, SyntaxProblem):
            raise SyntaxProblem(problem.start + self.offset, problem.end + self.offset, problem.message, problem.hint) from None
