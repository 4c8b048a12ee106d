"""From the statements of a job or function to the operators of a graph; a call is the body of the function that it calls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from irflops.errors import GraphError, GraphSyntaxError, IrflopsError, Source, Span, error_at
from irflops.ir.graph import NO_ATTRS, DType, Operand, Placement, TensorType
from irflops.ir.shapes import fit
from irflops.readers.job.job_schema import dtype_word
from irflops.readers.meaning.draft import Draft
from irflops.readers.meaning.placement import MAX_DEVICES, placement_of_devices
from irflops.readers.meaning.resolve import resolve
from irflops.readers.mlir.mlir_calls import BadCall, Calls, at
from irflops.readers.mlir.mlir_functions import CALLS, LOSSES, RETURNS, Function, Statement, callee_of, is_foreign
from irflops.readers.mlir.mlir_lowered import lowered
from irflops.readers.mlir.mlir_modules import Scope
from irflops.readers.mlir.mlir_names import OpNames
from irflops.readers.mlir.mlir_numbers import DataType
from irflops.readers.mlir.mlir_ops import (
    NO_USER_OPS,
    NoSbp,
    SlotsDoNotFit,
    TensorPlace,
    as_in_job,
    attrs_of,
    lbns_of,
    nd_sbp_of,
    op_type_of,
    slots_of,
)
from irflops.readers.mlir.mlir_plan import MlirOp
from irflops.readers.mlir.mlir_types import NoTensorType, is_bool, tensor_type
from irflops.readers.printed.operators import named_module


@dataclass(slots=True)
class _Value:
    """What a name of MLIR's stands for."""

    lbn: str | None
    """None for a control edge, and for an argument of the graph that nothing but an `input` has read yet."""
    at: int
    """Where it is defined."""
    argument: str | None = None
    """The type of an argument of the graph."""


class GraphBuilder:
    """The operators of one job or function, under construction."""

    def __init__(self, source: Source, calls: Calls, names: OpNames) -> None:
        self.source = source
        self.calls = calls
        self.names = names
        self.drafts: list[Draft] = []
        self.scopes: list[Scope] = []
        """By draft, the one in which it was made."""
        self.losses: list[str] = []
        """Lbns of the losses that OneFlow 0.8.0 marks in a training graph."""
        self.stale = 0
        """Operators whose segment sizes are of another count of tensors than stand there."""
        self.bodiless: dict[str, None] = {}
        """Functions that are called and have no body here."""
        self._regions: list[dict[str, _Value]] = []
        self._variables: dict[tuple[str, ...], _Value] = {}
        """By their names and types."""
        self._types: dict[str, TensorType] = {}
        """By the text that spells them."""
        self._bools: set[str] = set()
        """Names of the logical blobs of eight bits that are bool."""
        self._placements: dict[Any, Placement | None] = {}
        self._devices = 0
        self._shared: dict[Any, Any] = {}

    def build(self, function: Function) -> None:
        """Reads a job or function as the graph, and empties it.

        Errors: GraphSyntaxError, GraphError; NotAGraphError where it is lowered.
        """
        given = [_Value(None, function.span.start, type_) for _, type_ in function.arguments]
        self._run(function, given, _letting_go(function.body))

    def _error(self, span: Span, message: str, word: str | None = None, kind: type[IrflopsError] = GraphSyntaxError) -> IrflopsError:
        """An error at a statement, or at the first place of a word in it."""
        at = self.source.text.find(word, span.start, span.end) if word else -1
        return error_at(kind, self.source, Span(at, at + len(word)) if word and at >= 0 else span, message)

    # Functions

    def _run(self, function: Function, given: Sequence[_Value], body: Iterable[Statement]) -> list[_Value]:
        """Reads a function's body, of which `given` are the arguments; what it returns. Errors: BadCall, besides those of `build`."""
        with self.calls.work(function):
            outer, self._regions = self._regions, [{}]  # a function sees nothing of what calls it
            for (name, _), value in zip(function.arguments, given, strict=True):
                if name:
                    self._define(name, value, function.span)
            returned = self._body(body)
            self._regions = outer
        return returned

    def _body(self, body: Iterable[Statement]) -> list[_Value]:
        returned: list[_Value] = []
        for number, (raw, span, bodies) in enumerate(body):
            if is_foreign(raw):
                raise lowered(self.source, self.calls.at_work[-1])
            for inner in bodies:
                self._regions.append({})
                self._body(inner)
                self._regions.pop()
            if raw.kind == "block" and number:
                raise self._error(span, "another block: a graph has no branches, from one block to another", kind=GraphError)
            if raw.kind == "block":
                for (name, _), type_ in zip(raw.results, raw.operand_types, strict=True):
                    self._define(name, _Value(None, span.start, type_), span)
            elif raw.kind == "return" or raw.name in RETURNS:
                returned = [self._value(name, span) for name in raw.operands]
            elif raw.name == LOSSES:
                self.losses += [lbn for lbn in (self._value(name, span).lbn for name in raw.operands) if lbn is not None]
            elif raw.name in CALLS:
                self._call(raw, span)
            elif raw.kind == "operation":
                self._operation(raw, span)
        return returned

    def _call(self, raw: MlirOp, span: Span) -> None:
        """Puts the body of a function in the place of its call."""
        self._check_counts(raw, span)
        name = callee_of(raw)
        try:
            function = self.calls.callee(name, len(raw.operands))
            if function is None:
                self._unknown_body(raw, span, name)
                return
            self._check_types(function, raw, span)
            returned = self._run(function, [self._value(operand, span) for operand in raw.operands], function.body)
            self.calls.check_returned(function, len(returned), len(raw.result_types))
        except BadCall as problem:
            raise self._error(span, str(problem), f"@{name}", GraphError) from None
        for given, value in zip(_result_names(raw), returned, strict=bool(raw.results)):
            self._define(given, value, span)

    def _check_types(self, function: Function, raw: MlirOp, span: Span) -> None:
        """Errors: BadCall where a tensor cannot be the argument that it is given for."""
        for (_, takes), given in zip(function.arguments, raw.operand_types, strict=True):
            stated, stands = self._type(takes, function.span), self._type(given, span)
            if not fit(stated.shape, stands.shape) or (None not in (stated.dtype, stands.dtype) and stated.dtype is not stands.dtype):
                raise BadCall(f"{at(function.name)} takes {takes}, and {given} stands here")

    def _unknown_body(self, raw: MlirOp, span: Span, name: str) -> None:
        """A call of a function without a body: of OneFlow's, an operator of which nothing is known."""
        if raw.name == "func.call":
            raise BadCall(f"{at(name)} is called here, and it has no body in this file")
        self.bodiless.setdefault(name)
        self._operation(raw, span)

    # Values

    def _define(self, name: str, value: _Value, span: Span) -> None:
        region = self._regions[-1]
        if name in region:
            first = self.source.line(region[name].at)
            raise self._error(span, f"{name} is defined twice; first at line {first}", name, GraphError)
        region[name] = value

    def _value(self, name: str, span: Span) -> _Value:
        plain = name.removesuffix("#0")
        for region in reversed(self._regions):
            value = region.get(name) or region.get(plain)
            if value is not None:
                return value
        later = re.compile(rf"{re.escape(name.partition('#')[0])}(?![\w$.-])(?::\d+)?[ \t]*[,=](?!=)").search(self.source.text, span.end)
        message = f"{name} is read before it is defined at line {self.source.line(later.start())}" if later else f"{name} is never defined"
        raise self._error(span, message, name, GraphError)

    # Operations

    def _operation(self, raw: MlirOp, span: Span) -> None:
        mnemonic = raw.name.partition(".")[2]
        stated = raw.attrs.get("op_name")
        if not isinstance(stated, str):
            raise self._error(span, f"{raw.name} has no op_name, which every operator of a graph has", raw.name)
        self._check_counts(raw, span)
        if mnemonic == "input" and len(self.calls.at_work) > 1 and self._hands_on(raw, span):
            return
        results = _result_names(raw)
        resolved = resolve(stated, len(raw.operands))
        op_type = op_type_of(raw, mnemonic, resolved.types)
        if op_type == "variable" and self._is_known(stated, raw, span):
            return
        name = self.names.own(stated, op_type or mnemonic, copied=len(self.calls.at_work) > 1)
        try:
            slots = slots_of(raw, mnemonic, op_type)
        except SlotsDoNotFit as problem:
            raise self._error(span, f"{raw.name}: {problem}", raw.name) from None
        self.stale += slots.stale
        inputs = tuple(self._operands(raw, slots.operands, span))
        outputs = tuple(self._results(raw, name, slots.results, span, op_type, inputs))
        attrs = NO_ATTRS if mnemonic in NO_USER_OPS else attrs_of(raw)
        draft = Draft(name, op_type, *as_in_job(op_type, inputs, outputs), number=resolved.number, role=resolved.role)
        draft.recompute, draft.gradient = resolved.recompute, resolved.gradient
        draft.candidates = resolved.types if op_type is None else ()
        draft.attrs = self._shared.setdefault(attrs, attrs)
        draft.placement = self._placement(raw, span)
        draft.module = named_module(stated, op_type, resolved)
        draft.start, draft.end = span.start, span.end
        if op_type == "variable":
            draft.trainable = raw.attrs.get("trainable", True) is not False
        self.drafts.append(draft)
        self.scopes.append(raw.attrs.get("scope_symbol_id"))
        lbns = iter(outputs)
        for given, slot in zip(results, slots.results, strict=bool(results)):  # results that nobody reads need no names
            value = _Value(next(lbns).lbn if slot is not None else None, span.start)
            self._define(given, value, span)
            if op_type == "variable" and stated and len(results) == 1:
                self._variables[(stated, *raw.result_types)] = value

    def _is_known(self, name: str, raw: MlirOp, span: Span) -> bool:
        """Whether a variable is one that was read already: it is had once, however often a function with it is called."""
        value = self._variables.get((name, *raw.result_types))
        if value is None:
            return False
        for given in _result_names(raw):
            self._define(given, value, span)
        return True

    def _hands_on(self, raw: MlirOp, span: Span) -> bool:
        """Whether an `input` in a function that is called reads a tensor of the caller's, which is then its result."""
        values = [self._value(name, span) for name in raw.operands]
        if len(values) != 1 or values[0].lbn is None:
            return False
        for given in _result_names(raw):
            self._define(given, values[0], span)
        return True

    def _check_counts(self, raw: MlirOp, span: Span) -> None:
        results = [count for _, count in raw.results]
        named = sum(results) if results and min(results) > 0 else len(results)
        for given, types, what in ((len(raw.operands), raw.operand_types, "operands"), (named, raw.result_types, "results")):
            if given != len(types) and not (what == "results" and not results):
                raise self._error(span, f"{raw.name} has {given} {what}, and types of {len(types)}", raw.name)
        if results and min(results) < 1:
            raise self._error(span, f"{raw.name} has a result that stands for no value", raw.name)

    def _operands(self, raw: MlirOp, slots: Sequence[TensorPlace | None], span: Span) -> Iterator[Operand]:
        for name, slot, text in zip(raw.operands, slots, raw.operand_types, strict=True):
            value = self._value(name, span)
            if slot is None:
                continue
            lbn = value.lbn
            if lbn is None and value.argument is not None:
                lbn = self._input(name, value, span)
            if lbn is None:
                raise self._error(span, f"{name} is an edge of control, and {raw.name} reads it as a tensor", name, GraphError)
            type_ = self._type(text, span)
            if type_.dtype is DType.INT8 and lbn in self._bools:
                type_ = self._bool(type_)
            yield Operand(slot.arg, slot.index, lbn, type_)

    def _input(self, name: str, value: _Value, span: Span) -> str:
        """The logical blob of an argument of the graph that an operator reads without an `input` between them."""
        own = self.names.own(name.removeprefix("%"), "input", copied=True)
        value.lbn = f"{own}/out"
        made = Operand("out", 0, value.lbn, self._type(value.argument or "", span))
        self.drafts.append(Draft(own, "input", (), (made,), start=value.at, end=span.start))
        self.scopes.append(None)
        return value.lbn

    def _results(
        self, raw: MlirOp, name: str, slots: Sequence[TensorPlace | None], span: Span, op_type: str | None, inputs: Sequence[Operand]
    ) -> Iterator[Operand]:
        try:
            nd_sbp = nd_sbp_of(raw)
        except NoSbp as problem:
            raise self._error(span, str(problem), problem.attr) from None
        nd_sbp = self._shared.setdefault(nd_sbp, nd_sbp)
        lbns = iter(lbns_of(raw, name, slots))
        for slot, text in zip(slots, raw.result_types, strict=True):
            if slot is None:
                continue
            type_, lbn = self._type(text, span), next(lbns)
            if type_.dtype is DType.INT8 and is_bool(op_type, _dtypes(raw), [(operand.arg, operand.type) for operand in inputs]):
                type_ = self._bool(type_)
                self._bools.add(lbn)
            yield Operand(slot.arg, slot.index, lbn, type_, nd_sbp)

    def _type(self, text: str, span: Span) -> TensorType:
        type_ = self._types.get(text)
        if type_ is None:
            try:
                type_ = tensor_type(text)
            except NoTensorType as problem:
                raise self._error(span, str(problem), text) from None
            type_ = self._types[text] = self._shared.setdefault(type_, type_)
        return type_

    def _bool(self, type_: TensorType) -> TensorType:
        made = TensorType(type_.shape, DType.BOOL)
        shared: TensorType = self._shared.setdefault(made, made)
        return shared

    def _placement(self, raw: MlirOp, span: Span) -> Placement | None:
        key = raw.attrs.get("device_tag", "cpu"), raw.attrs.get("device_name", ()), raw.attrs.get("hierarchy", ())
        if key in self._placements:
            return self._placements[key]
        device, names, hierarchy = key
        placement = None
        if _all(names, str) and _all(hierarchy, int):
            placement = placement_of_devices(str(device), names, hierarchy)
        if placement is not None:
            self._devices += len(placement.ranks)
            if self._devices > MAX_DEVICES:
                raise self._error(span, f"placements of more than {MAX_DEVICES} devices in all", "device_name")
        self._placements[key] = placement
        return placement


def _letting_go(body: list[Statement]) -> Iterator[Statement]:
    """The statements of a body, which holds each no longer: of a large graph they take as much memory as its operators."""
    body.reverse()
    while body:
        yield body.pop()


def _result_names(raw: MlirOp) -> list[str]:
    """The names of an operation's results, one by one."""
    return [f"{given}#{index}" if count > 1 else given for given, count in raw.results for index in range(count)]


def _dtypes(raw: MlirOp) -> list[str]:
    """The data types that an operation's attributes name."""
    return [dtype_word(value) for value in raw.attrs.values() if isinstance(value, DataType)]


def _all(values: Any, kind: type) -> bool:
    return isinstance(values, tuple) and all(isinstance(value, kind) for value in values)
