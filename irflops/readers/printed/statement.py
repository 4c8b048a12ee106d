"""Reads single statements of a printed graph: the grammar's rules turned into records.

Tensor types, placements, locations and module texts repeat all over a dump, so each distinct text is parsed once.
"""

from __future__ import annotations

import re
from types import EllipsisType
from typing import Any, NamedTuple, TypeVar

import lark

from irflops.ir.graph import Location, NdSbp, Placement, TensorType
from irflops.readers.printed.values import MAX_DEPTH, Call, Name, check_depth, dtype_of, nd_sbp_of, placement_of, shape_of
from irflops.readers.text.grammars import parser
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
    trainable: bool
    placement: Placement | None


class _ToRecords(lark.Transformer[lark.Token, Any]):
    """Builds values while Lark parses: no tree is made. It keeps no state, so one parser serves all dumps."""

    def operator(self, parts: list[Any]) -> tuple[str, Any, Any, list[lark.Token]]:
        head, inputs, _arrow, outputs, *rest = parts
        return head[head.index(":") + 1 : -1].strip(), inputs, outputs, rest

    def args(self, parts: list[Any]) -> list[Any]:
        return parts

    def no_args(self, _parts: list[Any]) -> tuple[()]:
        return ()

    def elided(self, _parts: list[Any]) -> None:
        return None

    def several(self, parts: list[Any]) -> list[lark.Token]:
        return [part for part in parts if part is not None]

    def _token(self, parts: list[lark.Token]) -> lark.Token:
        return parts[0]

    typed = untyped = placement = location = other_part = _token

    def graph(self, parts: list[lark.Token]) -> str:
        return str(parts[0])[1:].strip().removeprefix("GRAPH").lstrip(" :")

    def module(self, parts: list[lark.Token]) -> tuple[str | None, str]:
        head, text = (str(part) for part in parts)
        path = head[1:].strip().removeprefix("MODULE").strip()
        return (path[1:-1].strip() if path else None), text

    def graph_module(self, parts: list[lark.Token]) -> str:
        return str(parts[1]).rpartition("(")[0]

    def tensor_line(self, parts: list[lark.Token]) -> tuple[str | None, lark.Token]:
        head, text = parts
        name = head.partition("(")[2].partition(":")[2].strip().removesuffix(":")
        return name or None, text

    def config(self, parts: list[lark.Token]) -> str:
        return str(parts[1])

    def arguments(self, parts: list[Any]) -> Call:
        return _call("", parts)

    def call(self, parts: list[Any]) -> Any:
        return parts[0]

    def invoke(self, parts: list[Any]) -> Call:
        return _call(parts[0], parts[1:])

    def keyword(self, parts: list[Any]) -> tuple[str, Any]:
        return _Keyword((str(parts[0]), parts[1]))

    def name(self, parts: list[lark.Token]) -> Name:
        return Name("".join(parts[0].split()))

    def angle(self, parts: list[Any]) -> Name:
        return Name(parts[0])

    def integer(self, parts: list[Any]) -> int:
        return int(parts[0])

    def number(self, parts: list[Any]) -> float:
        return float(parts[0])

    def string(self, parts: list[Any]) -> str:
        return str(parts[0])[1:-1]

    def ellipsis(self, _parts: list[Any]) -> EllipsisType:
        return ...

    def tuple_value(self, parts: list[Any]) -> tuple[Any, ...]:
        return tuple(part for part in parts if part is not None)

    def list_value(self, parts: list[Any]) -> list[Any]:
        return [part for part in parts if part is not None]

    def dictionary(self, parts: list[Any]) -> dict[Any, Any]:
        return dict(part for part in parts if part is not None)

    def pair(self, parts: list[Any]) -> tuple[Any, Any]:
        key, value = parts
        return str(key) if isinstance(key, (str, int, float)) else None, value

    def frames(self, parts: list[lark.Token | None]) -> tuple[Location, ...]:
        found = (_FRAME.search(part) for part in parts if part is not None and part.type == "FRAME")
        return tuple(Location(match["file"], int(match["line"]), match["function"]) for match in found if match is not None)


class _Keyword(tuple[str, Any]):
    __slots__ = ()


def _call(name: str, parts: list[Any]) -> Call:
    return Call(
        str(name),
        tuple(part for part in parts if not isinstance(part, _Keyword) and part is not None),
        {key: value for part in parts if isinstance(part, _Keyword) for key, value in [part]},
    )


_RECORDS = _ToRecords()


class Statements:
    """Parses the statements of one dump, and remembers the texts that it has parsed.

    Every method raises SyntaxProblem, with offsets into the text that it was given, where that does not read.
    """

    def __init__(self, size: int = 0) -> None:
        """`size` is the dump's number of characters, by which it may have more or fewer values."""
        self._texts_left = MAX_TEXTS + size // BYTES_PER_TEXT
        self._values_left = MAX_VALUES + size // BYTES_PER_VALUE
        self._tensors_left = MAX_TENSORS + size // BYTES_PER_TENSOR
        self._lark = parser("graph_repr", _RECORDS)
        self.untyped = False  # whether an operator line has shown a tensor without a type
        self._types: dict[str, tuple[TensorType, NdSbp | None]] = {}
        self._values: dict[str, tuple[TensorType | None, bool, Placement | None]] = {}
        self._placements: dict[str, Placement | None] = {}
        self._frames: dict[str, tuple[Location, ...]] = {}
        self._shared: dict[Any, Any] = {}

    def _parse(self, text: str, start: str) -> Any:
        if text.count("(") + text.count("[") + text.count("{") > MAX_DEPTH:
            check_depth(text)
        # Parsing takes time and memory by the token: what has far more of them than a graph is refused before, not after.
        if len(text) > MAX_TEXT and (start != "operator" or text.count(")") > MAX_PARENTHESES):
            raise SyntaxProblem(0, len(text), f"a statement of {len(text)} characters is none of a graph's")
        values = text.count(",")
        if values > self._values_left or not self._texts_left:
            what = "values in lists" if self._texts_left else "different values"
            raise SyntaxProblem(0, len(text), f"more {what} than a graph of this size can have")
        self._texts_left -= 1
        self._values_left -= values
        try:
            return self._lark.parse(text, start=start)
        except lark.UnexpectedInput as error:
            raise self._narrowed(explain(error, text), text) from None

    def _narrowed(self, problem: SyntaxProblem, text: str) -> SyntaxProblem:
        """Where a tensor's type does not read, the place within it: to the operator rule a type is one token."""
        match = _TYPE_START.match(text, problem.start)
        if match is None or text.startswith("sbp"):
            return problem
        try:
            with _Shifted(match.end()):
                self._parse(text[match.end() :], "arguments")
        except SyntaxProblem as within:
            if not text.startswith(")", within.start):
                return SyntaxProblem(within.start, within.end, within.message, problem.hint)
        return SyntaxProblem(problem.start, problem.end, "a tensor's type is written sbp=(...), size=(...), dtype=(...)", problem.hint)

    def interned(self, value: T) -> T:
        """The one object that stands for all equal values."""
        found: T = self._shared.setdefault(value, value)
        return found

    def operator(self, text: str) -> RawOp:
        """An operator line."""
        name, inputs, outputs, rest = self._parse(text, "operator")
        placement: Placement | None = None
        frames: tuple[Location, ...] = ()
        others: list[str] = []
        for part in rest:
            if part.type == "PLACEMENT":
                placement = self._placement(part)
            elif part.type == "LOCATION":
                frames = self._located(part)
            else:
                others.append(part.lstrip(", "))
        return RawOp(name, self._args(inputs), self._args(outputs), placement, frames, tuple(others))

    def _args(self, parts: Any) -> tuple[RawArg, ...] | None:
        if parts is None:
            return None
        self._tensors_left -= sum(len(part) if type(part) is list else 1 for part in parts)
        if self._tensors_left < 0:
            raise SyntaxProblem(0, 1, "more tensors than a graph of this size can have")
        return tuple(tuple(map(self._tensor, part)) if type(part) is list else self._tensor(part) for part in parts)

    def _tensor(self, token: lark.Token) -> RawTensor:
        if token.type != "TYPED_LBN":
            self.untyped = True
            return RawTensor(self.interned(str(token)), TensorType(), None, False)
        at = token.index("sbp=(")
        head = token[:at].rstrip()
        bare = head[-1] != "("
        type_, nd_sbp = self.tensor_type((token[at:] if bare else token[:-1][at:]).rstrip(), (token.start_pos or 0) + at)
        return RawTensor(self.interned(head.rstrip("( \t\n").removesuffix(":").rstrip()), type_, nd_sbp, bare)

    def level(self, text: str) -> Any:
        """A GRAPH line's name, a MODULE line's path and text, or a GraphModule line's path."""
        return self._parse(text, "level")

    def config(self, text: str) -> bool:
        """Whether a CONFIG line says that the graph trains."""
        return "training=True" in self._parse(text, "config").replace(" ", "")

    def tensor_line(self, text: str) -> TensorLine:
        """An INPUT, OUTPUT, PARAMETER or BUFFER line."""
        name, value = self._parse(text, "tensor_line")
        type_, trainable, placement = self._tensor_value(value)
        return TensorLine(name, type_, trainable, placement)

    def value(self, text: str) -> Any:
        """A Python expression: numbers, strings, names, calls, tuples, lists."""
        return self._parse(text, "call")

    def tensor_type(self, text: str, offset: int) -> tuple[TensorType, NdSbp | None]:
        """`sbp=(S(0), B), size=(8, 16), dtype=(oneflow.float32)`; `offset` is where it stands in its statement."""
        found = self._types.get(text)
        if found is None:
            with _Shifted(offset):
                call: Call = self._parse(text, "arguments")
                shape = shape_of(call.kwargs.get("size", ()), text)
                dtype = dtype_of(call.kwargs.get("dtype"))
                type_ = self.interned(TensorType(shape, dtype))
                found = self._types[text] = type_, self.interned(nd_sbp_of(call.kwargs.get("sbp")))
        return found

    def _tensor_value(self, token: lark.Token) -> tuple[TensorType | None, bool, Placement | None]:
        """`tensor(..., size=(64,), dtype=oneflow.float32)`, or `<class 'int'>`."""
        text = str(token)
        found = self._values.get(text)
        if found is None:
            if text.lstrip().startswith("<"):
                found = None, False, None
            else:
                with _Shifted(token.start_pos or 0):
                    found = self._tensor_fields(self._parse(text, "call"), text)
            self._values[text] = found
        return found

    def _tensor_fields(self, call: Any, text: str) -> tuple[TensorType | None, bool, Placement | None]:
        if not isinstance(call, Call):
            return None, False, None
        fields = call.kwargs
        size = fields.get("size")
        shape = shape_of(size, text) if size is not None else None
        type_ = self.interned(TensorType(shape, dtype_of(fields.get("dtype", fields.get("data_type")))))
        trainable = "grad_fn" in fields or fields.get("requires_grad") == "True"
        placement = fields.get("placement")
        return type_, trainable, placement_of(placement) if isinstance(placement, Call) else None

    def _placement(self, token: lark.Token) -> Placement | None:
        """`placement=(oneflow.placement(type="cpu", ranks=[0]))`, None where it says `None`."""
        at = token.index("placement=") + len("placement=")
        text = token[at:]
        if text not in self._placements:
            with _Shifted((token.start_pos or 0) + at):
                value = self._parse(text, "call")
                while isinstance(value, tuple) and len(value) == 1:
                    (value,) = value
                self._placements[text] = self.interned(placement_of(value)) if isinstance(value, Call) else None
        return self._placements[text]

    def _located(self, token: lark.Token) -> tuple[Location, ...]:
        return self.frames(token[token.index("location=(") + len("location=(") : -1])

    def frames(self, text: str) -> tuple[Location, ...]:
        """Python frames, outermost first; none where the text reads in no known way, for it is only extra."""
        if text not in self._frames:
            try:
                self._frames[text] = self._parse(text, "frames")
            except SyntaxProblem:
                self._frames[text] = ()
        return self._frames[text]


class _Shifted:
    """Moves the offsets of a problem within a part of a statement to the statement's own."""

    def __init__(self, offset: int) -> None:
        self.offset = offset

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, problem: BaseException | None, _trace: object) -> None:
        if isinstance(problem, SyntaxProblem):
            raise SyntaxProblem(problem.start + self.offset, problem.end + self.offset, problem.message, problem.hint) from None
