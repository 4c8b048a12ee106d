"""The jobs and functions of a module of MLIR: which of them are graphs, and which are only called by others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from irflops.errors import Source, Span
from irflops.readers.mlir.mlir_plan import MlirOp
from irflops.readers.mlir.mlir_text import Enter, Leave, mlir_events

LAUNCHES = frozenset({"oneflow.kernel_launch", "oneflow.mlir_jit"})
"""OneFlow's operations that stand for the body of a function."""
CALLS = LAUNCHES | {"func.call"}
RETURNS = frozenset({"oneflow.return", "func.return", "std.return", "return"})
LOSSES = "oneflow.loss_marker"
"""The operation that says which tensors are losses; it is no operator of the graph."""

_MODULES = frozenset({"builtin.module", "module"})
_FUNCTIONS = frozenset({"func.func", "builtin.func", "func"})
_JOB = "oneflow.job"


class Statement(NamedTuple):
    """An operation, a label or the head of a function, with its place and what its regions hold."""

    raw: MlirOp
    span: Span
    bodies: Sequence[list[Statement]] = ()


@dataclass(frozen=True)
class Function:
    """A job or function that has a body."""

    name: str
    is_job: bool
    arguments: list[tuple[str, str]]
    """Names and types."""
    body: list[Statement]
    span: Span

    @cached_property
    def content(self) -> Content:
        """What stands in it, at whatever depth."""
        names, callees, foreign = [], [], []
        for statement in walk(self.body):
            raw = statement.raw
            if is_operator(raw):
                names.append(name if isinstance(name := raw.attrs.get("op_name"), str) else "")
            elif is_foreign(raw):
                foreign.append(statement)
            if raw.name in CALLS:
                callees.append(callee_of(raw))
        return Content(names, callees, foreign)


class Content(NamedTuple):
    """What stands in a function."""

    operators: list[str]
    """Names of OneFlow's operators, as they are written."""
    callees: list[str]
    """Names of the functions that it calls."""
    foreign: list[Statement]
    """Operations that are neither OneFlow's nor calls."""


@dataclass
class Functions:
    """What a module holds."""

    every: list[Function] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    """What stands outside all functions."""

    @cached_property
    def by_name(self) -> dict[str, Function]:
        """The first function of each name: several inputs for OneFlow's compiler may share a file."""
        return {function.name: function for function in reversed(self.every)}

    def graphs(self) -> list[Function]:
        """The jobs that hold operators; where there are none, the functions that do and that no other of these calls."""
        jobs = [function for function in self.holding if function.is_job]
        if jobs:
            return jobs
        called = {id(self.by_name.get(name)) for function in self.holding for name in function.content.callees if name != function.name}
        return [function for function in self.holding if id(function) not in called] or self.holding

    @cached_property
    def holding(self) -> list[Function]:
        """Functions that have operators of OneFlow's, or that do nothing but call such, in the order of the file."""
        callers: dict[int, list[Function]] = {}
        for function in self.every:
            for name in function.content.callees if not function.content.foreign else ():
                callers.setdefault(id(self.by_name.get(name)), []).append(function)
        queue = [function for function in self.every if function.content.operators]
        found = set(map(id, queue))
        while queue:
            for caller in callers.get(id(queue.pop()), ()):
                if id(caller) not in found:
                    found.add(id(caller))
                    queue.append(caller)
        return [function for function in self.every if id(function) in found]

    def reached(self, function: Function) -> list[Function]:
        """A function and those that it calls, that these call, and so on."""
        found = {id(function): function}
        queue = [function]
        while queue:
            for name in queue.pop().content.callees:
                callee = self.by_name.get(name)
                if callee is not None and id(callee) not in found:
                    found[id(callee)] = callee
                    queue.append(callee)
        return list(found.values())

    @property
    def foreign(self) -> list[Statement]:
        """All operations of other dialects."""
        outside = [statement for statement in walk(self.statements) if is_foreign(statement.raw)]
        return [*outside, *(statement for function in self.every for statement in function.content.foreign)]


def is_operator(raw: MlirOp) -> bool:
    """Whether an operation is one of OneFlow's operators in their generic form."""
    return raw.kind == "operation" and raw.name.startswith("oneflow.") and raw.name not in RETURNS and raw.name not in (LOSSES, _JOB)


def is_foreign(raw: MlirOp) -> bool:
    """Whether an operation is neither OneFlow's in its generic form nor one that frames it."""
    if raw.kind != "operation":
        return raw.kind == "foreign"
    return not is_operator(raw) and raw.name not in RETURNS | CALLS | _MODULES | _FUNCTIONS | {LOSSES, _JOB}


def callee_of(raw: MlirOp) -> str:
    """The name of the function that a call calls, empty where it names none."""
    callee = raw.attrs.get("callee")
    return callee if isinstance(callee, str) else ""


def walk(body: Iterable[Statement]) -> Iterator[Statement]:
    """Statements, each with those in its regions behind it; regions nest no deeper than they are read."""
    for statement in body:
        yield statement
        for inner in statement.bodies:
            yield from walk(inner)


def functions_of(source: Source) -> Functions:
    """The functions of a module. Errors: GraphSyntaxError at the place where it does not read."""
    found = Functions()
    _collect(_statements(source), found)
    outside = found.statements
    if any(is_operator(statement.raw) for statement in walk(outside)):
        found.every.append(Function("?", False, [], outside, Span(outside[0].span.start, outside[-1].span.end)))
    return found


def _statements(source: Source) -> list[Statement]:
    """The statements of a text; those of regions stand with the operation or head that the regions belong to."""
    levels: list[list[Statement]] = [[]]
    heads: list[Enter] = []
    loose: list[list[list[Statement]]] = [[]]  # by level, regions of a generic operation that is not over
    for event in mlir_events(source):
        if isinstance(event, Enter):
            heads.append(event)
            levels.append([])
            loose.append([])
        elif isinstance(event, Leave):
            head, body = heads.pop(), levels.pop()
            loose.pop()
            if head.head is not None:
                levels[-1].append(Statement(head.head, Span(head.span.start, event.end), (body,)))
            else:
                loose[-1].append(body)
        else:
            bodies = loose[-1] if event.raw.regions else ()
            levels[-1].append(Statement(event.raw, event.span, bodies))
            if event.raw.regions:
                loose[-1] = []
    return levels[0]


def _collect(statements: Iterable[Statement], found: Functions) -> None:
    """Adds the functions among statements, and in the modules among them, and whatever else there is."""
    for statement in statements:
        raw, span, bodies = statement
        name = raw.attrs.get("sym_name") if raw.kind == "operation" else raw.name
        name = name if isinstance(name, str) and name else "?"
        if raw.kind == "module" or (raw.kind == "operation" and raw.name in _MODULES):
            for body in bodies:
                _collect(body, found)  # modules nest no deeper than regions may
        elif raw.kind in ("job", "function"):
            arguments = [(given, type_) for (given, _), type_ in zip(raw.results, raw.operand_types, strict=True)]
            found.every.append(Function(name, raw.kind == "job", arguments, bodies[0], span))
        elif raw.kind == "operation" and raw.name in _FUNCTIONS | {_JOB}:
            if bodies and bodies[0]:
                found.every.append(_generic(name, statement))
        elif raw.kind != "declaration":
            found.statements.append(statement)


def _generic(name: str, statement: Statement) -> Function:
    """A function in the generic form, whose arguments stand at the label of its body."""
    body = statement.bodies[0]
    arguments = []
    if body[0].raw.kind == "block":
        label = body.pop(0).raw
        arguments = [(given, type_) for (given, _), type_ in zip(label.results, label.operand_types, strict=True)]
    return Function(name, statement.raw.name == _JOB, arguments, body, statement.span)
