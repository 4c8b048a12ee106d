"""Small graphs in a compact notation, as the examples of audit rules and tests write them.

    training
    x = input() -> out: f32[1,8,4,4]
    w = variable() -> out: f32[8,8,1,1]
    model.conv | y = conv2d(in: x, weight: w, groups=1) -> out: f32[1,8,4,4] @ 2x2 (S(0),B)
    output(in: y{B,B})

A line is an op call as op rules write it (`grammar/op_signature.lark`), with the names of earlier lines in place of operands' types.
Several results have several names: `y, mask = dropout(...)`. In front may stand `module |`, behind `@ HIERARCHY (SBP,...)`: its placement
and how its results lie, on ranks from 0 or, `@ 2+2`, from another on; `x{B}` is how an operand is wanted. An operand that is a type has no
producer in the graph. `variable` takes `kind=frozen`, `buffer` or `optimizer_state`; of one with `declared=false` its use tells.
`parameter(...)` is a declaration alone.
`again` before a call is what activation checkpointing computes again, and `after y` at the end of a line waits for the op that makes y.
`training`, `mixed_precision` and `pruned` (as OneFlow saves it, `forms.SAVED_MLIR`) in lines of their own say so of the graph; `#` begins
a comment.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from irflops.errors import GraphSyntaxError, Source
from irflops.ir.graph import Attrs, Graph, Module, Note, Operand, Parameter, Placement, TensorType, VariableKind
from irflops.ir.sbp import NdSbp, Sbp
from irflops.ir.tree import with_parents
from irflops.readers.forms import CAPTURE, SAVED_MLIR
from irflops.readers.meaning.assemble import complete, freeze
from irflops.readers.meaning.draft import Draft
from irflops.readers.meaning.resolve import RECOMPUTE_PREFIXES
from irflops.readers.notation.op_signature import OpCall, read_call

_LINE = re.compile(
    r"(?:(?P<module>[\w.]+)\s*\|\s*)?(?:(?P<names>\w+(?:\s*,\s*\w+)*)\s*=\s*)?(?P<again>again\s+)?(?P<call>\w+\(.*?)"
    r"(?:\s*@\s*(?:(?P<first_rank>\d+)\+)?(?P<hierarchy>\d+(?:x\d+)*)(?:\s*\((?P<sbp>[^@]*)\))?)?(?:\s+after\s+(?P<after>\w+))?"
)
_OPERAND = re.compile(r"(?<=[:\[,] )(?P<name>[A-Za-z_]\w*)(?:\{(?P<sbp>[^}]*)\})?(?=\s*[,\])])|(?<=\[)(?P<first>[A-Za-z_]\w*)(?=\s*[,\]])")
_FLAGS = ("training", "mixed_precision", "pruned")


@dataclass(frozen=True)
class Sketch:
    """A graph, and its ops' names by the names that the text has for them."""

    graph: Graph
    ops: Mapping[str, str]


@dataclass(slots=True)
class _Result:
    lbn: str
    type: TensorType


def sketch(text: str) -> Sketch:
    """The graph that a text writes. Errors: GraphSyntaxError with the line that does not read."""
    return _Drawing(text).finish()


class _Drawing:
    """A sketch under construction."""

    def __init__(self, text: str) -> None:
        self.source = Source("<sketch>", text)
        self.drafts: list[Draft] = []
        self.results: dict[str, _Result] = {}
        self.ops: dict[str, str] = {}
        self.flags: set[str] = set()
        self.parameters: dict[str, list[Parameter]] = {}
        self.declared: dict[str, VariableKind] = {}
        self.missing = 0
        start = 0
        for line in text.splitlines(keepends=True):
            self._line(line.partition("#")[0].strip(), start + len(line) - len(line.lstrip()))
            start += len(line)

    def _line(self, line: str, start: int) -> None:
        if not line:
            return
        if line in _FLAGS:
            self.flags.add(line)
            return
        match = _LINE.fullmatch(line)
        if match is None:
            raise self._error("this is no line of a sketch", start)
        wanted: dict[str, NdSbp] = {}
        read: list[str] = []

        def typed(operand: re.Match[str]) -> str:
            name = operand["name"] or operand["first"]
            if name not in self.results:
                return operand[0]  # an attribute's word
            read.append(name)
            if operand["sbp"]:
                wanted[name] = _nd_sbp(operand["sbp"])
            return str(self.results[name].type)

        call_text = match["call"]
        head, arrow, tail = call_text.partition("->")
        call = read_call(_OPERAND.sub(typed, head) + (arrow or "->") + (tail or " ()"))
        self._add(match, call, read, wanted, start, start + len(line))

    def _add(self, match: re.Match[str], call: OpCall, read: list[str], wanted: Mapping[str, NdSbp], start: int, end: int) -> None:
        module = match["module"] or ""
        names = re.split(r"\s*,\s*", match["names"]) if match["names"] else []
        attrs = dict(call.attrs)
        if call.op_type == "parameter":
            type_ = next(iter(call.outputs.values()))[0]
            kind = VariableKind(str(attrs.get("kind", "trainable")))
            tied = attrs.get("tied_to")
            path = f"{module}.{names[0]}" if module else names[0]
            self.parameters.setdefault(module, []).append(Parameter(path, type_, kind, str(tied) if tied is not None else None))
            return
        number = len(self.drafts)
        prefix = f"{module}-" if module else ""
        name = f"{prefix}{call.op_type}-{number}"
        if call.op_type == "variable":
            name = f"{module}.{names[0]}" if module else names[0]
            kind = VariableKind(str(attrs.pop("kind", "trainable")))
            if attrs.pop("declared", True):
                self.declared[name] = kind
        elif match["again"]:
            name = f"{RECOMPUTE_PREFIXES[0]}{name}"
        elif call.op_type in ("input", "output"):
            name = f"_g_{call.op_type}.0.0_{number}"
        nd_sbp = _nd_sbp(match["sbp"]) if match["sbp"] else None
        draft = Draft(
            name,
            call.op_type,
            self._operands(call, read, wanted),
            (),
            Attrs(attrs),
            _placement(match["hierarchy"], match["first_rank"]),
            module,
        )
        draft.start, draft.end = start, end
        draft.recompute = bool(match["again"])
        if match["after"]:
            draft.after = (self.results[match["after"]].lbn.partition("/")[0],)
        draft.number = number if name.endswith(f"-{number}") else None
        results = [(arg, i, type_) for arg, types in call.outputs.items() for i, type_ in enumerate(types)]
        if len(names) != len(results):
            raise self._error(f"{len(names)} names for {len(results)} results", start)
        blobs = [f"{arg}_{i}" if call.op_type not in ("variable", "input") else arg for arg, i, _ in results]
        draft.outputs = tuple(
            Operand(arg, i, f"{name}/{blob}", type_, nd_sbp) for (arg, i, type_), blob in zip(results, blobs, strict=True)
        )
        for own, made in zip(names, draft.outputs, strict=True):
            self.results[own] = _Result(made.lbn, made.type)
            self.ops[own] = name
        self.ops.setdefault(call.op_type, name)
        self.drafts.append(draft)

    def _operands(self, call: OpCall, read: list[str], wanted: Mapping[str, NdSbp]) -> tuple[Operand, ...]:
        """The operands by lbn. The names were read in the order of the slots; a type that no name stands for has no producer here."""
        waiting = list(read)
        operands = []
        for arg, types in call.inputs.items():
            for index, type_ in enumerate(types):
                if waiting and self.results[waiting[0]].type == type_:
                    name = waiting.pop(0)
                    operands.append(Operand(arg, index, self.results[name].lbn, type_, wanted.get(name)))
                    continue
                self.missing += 1
                operands.append(Operand(arg, index, f"lost-relu-{self.missing}/y_0", type_))
        return tuple(operands)

    def finish(self) -> Sketch:
        notes = [Note("mixed-precision", "automatic mixed precision is on")] if "mixed_precision" in self.flags else []
        complete(self.drafts, self.source, "training" in self.flags, self.declared, notes)
        paths = with_parents([*(draft.module for draft in self.drafts), *self.parameters])
        graph = Graph(
            name="sketch",
            class_name=None,
            training="training" in self.flags,
            ops=tuple(map(freeze, self.drafts)),
            modules=tuple(Module(path, None, None, parameters=tuple(self.parameters.get(path, ()))) for path in paths),
            format="sketch",
            source=self.source,
            notes=tuple(notes),
            holds=replace(SAVED_MLIR.holds if "pruned" in self.flags else CAPTURE.holds, declarations=bool(self.parameters)),
        )
        return Sketch(graph, self.ops)

    def _error(self, message: str, start: int) -> GraphSyntaxError:
        line, column = self.source.line_col(start)
        return GraphSyntaxError(message, path=self.source.name, line=line, column=column, excerpt=self.source.line_text(line))


def _nd_sbp(text: str) -> NdSbp:
    return tuple(sbp for word in text.split(",") if (sbp := Sbp.parse(word.strip())) is not None)


def _placement(hierarchy: str | None, first: str | None) -> Placement | None:
    if hierarchy is None:
        return None
    mesh = tuple(map(int, hierarchy.split("x")))
    return Placement("cuda", tuple(range(int(first or 0), int(first or 0) + math.prod(mesh))), mesh)
