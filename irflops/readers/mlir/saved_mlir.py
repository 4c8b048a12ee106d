"""From the operations of a saved graph's model.mlir to a graph."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from irflops.errors import GraphError, GraphSyntaxError, IrflopsError, NotAGraphError, Source, Span, error_at, quoted
from irflops.ir.graph import NO_ATTRS, DType, Graph, Note, Operand, Phase, Placement, TensorType
from irflops.readers.forms import SAVED_MLIR
from irflops.readers.job.job_schema import dtype_word
from irflops.readers.meaning.assemble import complete, freeze
from irflops.readers.meaning.draft import Draft
from irflops.readers.meaning.placement import MAX_DEVICES, placement_of_devices
from irflops.readers.meaning.resolve import resolve
from irflops.readers.mlir.mlir_modules import Scope, assign_modules
from irflops.readers.mlir.mlir_ops import (
    NO_USER_OPS,
    SlotsDoNotFit,
    TensorPlace,
    as_in_job,
    attrs_of,
    lbns_of,
    nd_sbp_of,
    op_type_of,
    slots_of,
)
from irflops.readers.mlir.mlir_plan import DataType, MlirOp
from irflops.readers.mlir.mlir_text import Enter, Leave, mlir_events
from irflops.readers.mlir.mlir_types import NoTensorType, is_bool, tensor_type
from irflops.readers.printed.operators import named_module

_CONTAINERS = frozenset({"builtin.module", "oneflow.job", "func.func"})
_LOSSES = "oneflow.loss_marker"
"""The operation that says which tensors are losses; it is no operator of the graph."""
_RETURNS = frozenset({"oneflow.return", "func.return"})


class _Value(NamedTuple):
    """What a name of MLIR's stands for."""

    lbn: str | None
    """None for a control edge, and for an argument of the job that nothing but an `input` has read yet."""
    at: int
    """Where it is defined."""
    argument: str | None = None
    """The type of an argument of a job."""


def read_mlir(source: Source) -> Graph:
    """The graph of a model.mlir. Errors: GraphSyntaxError, GraphError; NotAGraphError where it has no operators."""
    return _Module(source).read()


class _Module:
    """A module under construction."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.drafts: list[Draft] = []
        self.scopes: list[Scope] = []
        """By draft, the one in which it was made."""
        self.names: list[str] = []
        self.regions: list[dict[str, _Value]] = [{}]
        self.types: dict[str, TensorType] = {}
        """By the text that spells them."""
        self.bools: set[str] = set()
        """Names of the logical blobs of eight bits that are bool."""
        self.placements: dict[Any, Placement | None] = {}
        self.devices = 0
        self.shared: dict[Any, Any] = {}
        self.losses: list[str] = []
        """Lbns of the losses that OneFlow 0.8.0 marks in a training graph."""

    def read(self) -> Graph:
        for event in mlir_events(self.source):
            if isinstance(event, Enter):
                self.regions.append({})
                if event.head is not None and event.head.kind == "job":
                    self.names.append(event.head.name)
                    self._arguments(event.head, event.span)
            elif isinstance(event, Leave):
                self.regions.pop()
            else:
                self._statement(event.raw, event.span)
        if not self.drafts:
            raise NotAGraphError("the module has no operators", path=self.source.name, hint="save a graph that was called once")
        if len(self.names) > 1:
            jobs = ", ".join(map(quoted, self.names[:5]))
            raise GraphError(f"the module holds {len(self.names)} jobs ({jobs}), and a saved graph is one", path=self.source.name)
        return self._graph()

    def _graph(self) -> Graph:
        modules = assign_modules(self.drafts, self.scopes, self.source.name)
        notes: list[Note] = []
        complete(self.drafts, self.source, bool(self.losses), {}, notes, [(loss, "") for loss in self.losses])
        return Graph(
            name=self.names[0] if self.names else "?",
            class_name=None,
            training=bool(self.losses) or any(draft.phase in (Phase.BACKWARD, Phase.OPTIMIZER) for draft in self.drafts),
            ops=tuple(map(freeze, self.drafts)),
            modules=modules,
            format=SAVED_MLIR.name,
            source=self.source,
            notes=tuple(notes),
            holds=SAVED_MLIR.holds,
        )

    def _error(self, span: Span, message: str, word: str | None = None, kind: type[IrflopsError] = GraphSyntaxError) -> IrflopsError:
        """An error at a statement, or at the first place of a word in it."""
        at = self.source.text.find(word, span.start, span.end) if word else -1
        return error_at(kind, self.source, Span(at, at + len(word)) if word and at >= 0 else span, message)

    # Statements

    def _statement(self, raw: MlirOp, span: Span) -> None:
        if raw.kind == "block":
            self._arguments(raw, span)
        elif raw.kind == "return" or raw.name in _RETURNS:
            for name in raw.operands:
                self._value(name, span)
        elif raw.name == _LOSSES:
            self.losses += [lbn for lbn in (self._value(name, span).lbn for name in raw.operands) if lbn is not None]
        elif raw.kind == "operation" and raw.name not in _CONTAINERS:
            self._operation(raw, span)
        elif raw.kind == "operation" and raw.name != "builtin.module":
            self.names.append(str(raw.attrs.get("sym_name", "?")))

    def _arguments(self, raw: MlirOp, span: Span) -> None:
        for (name, _), type_ in zip(raw.results, raw.operand_types, strict=True):
            self._define(name, None, span, type_)

    def _define(self, name: str, lbn: str | None, span: Span, argument: str | None = None) -> None:
        region = self.regions[-1]
        if name in region:
            first = self.source.line(region[name].at)
            raise self._error(span, f"{name} is defined twice; first at line {first}", name, GraphError)
        region[name] = _Value(lbn, span.start, argument)

    def _value(self, name: str, span: Span) -> _Value:
        plain = name.removesuffix("#0")
        for region in reversed(self.regions):
            value = region.get(name) or region.get(plain)
            if value is not None:
                return value
        later = re.compile(rf"{re.escape(name.partition('#')[0])}(?![\w$.-])(?::\d+)?[ \t]*[,=](?!=)").search(self.source.text, span.end)
        message = f"{name} is read before it is defined at line {self.source.line(later.start())}" if later else f"{name} is never defined"
        raise self._error(span, message, name, GraphError)

    # Operations

    def _operation(self, raw: MlirOp, span: Span) -> None:
        dialect, _, mnemonic = raw.name.partition(".")
        if dialect != "oneflow" or not mnemonic:
            raise self._error(span, f"{quoted(raw.name)} is no operation of OneFlow's", raw.name, NotAGraphError)
        name = raw.attrs.get("op_name")
        if not isinstance(name, str) or not name:
            raise self._error(span, f"{raw.name} has no op_name, which every operator of a graph has", raw.name)
        self._check_counts(raw, span)
        results = [f"{given}#{index}" if count > 1 else given for given, count in raw.results for index in range(count)]
        resolved = resolve(name, len(raw.operands))
        op_type = op_type_of(raw, mnemonic, resolved.types)
        try:
            slots = slots_of(raw, mnemonic, op_type)
        except SlotsDoNotFit as problem:
            raise self._error(span, f"{raw.name}: {problem}", raw.name) from None
        inputs = tuple(self._operands(raw, slots.operands, span))
        outputs = tuple(self._results(raw, name, slots.results, span, op_type, inputs))
        attrs = NO_ATTRS if mnemonic in NO_USER_OPS else attrs_of(raw)
        draft = Draft(name, op_type, *as_in_job(op_type, inputs, outputs), number=resolved.number, role=resolved.role)
        draft.recompute, draft.gradient = resolved.recompute, resolved.gradient
        draft.candidates = resolved.types if op_type is None else ()
        draft.attrs = self.shared.setdefault(attrs, attrs)
        draft.placement = self._placement(raw, span)
        draft.module = named_module(name, op_type, resolved)
        draft.start, draft.end = span.start, span.end
        if op_type == "variable":
            draft.trainable = raw.attrs.get("trainable", True) is not False
        self.drafts.append(draft)
        self.scopes.append(raw.attrs.get("scope_symbol_id"))
        lbns = iter(outputs)
        for given, slot in zip(results, slots.results, strict=bool(results)):  # results that nobody reads need no names
            self._define(given, next(lbns).lbn if slot is not None else None, span)

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
            if type_.dtype is DType.INT8 and lbn in self.bools:
                type_ = self._bool(type_)
            yield Operand(slot.arg, slot.index, lbn, type_)

    def _input(self, name: str, value: _Value, span: Span) -> str:
        """The logical blob of a job's argument that an operator reads without an `input` between them."""
        own = name.removeprefix("%")
        lbn = f"{own}/out"
        made = Operand("out", 0, lbn, self._type(value.argument or "", span))
        self.drafts.append(Draft(own, "input", (), (made,), start=value.at, end=span.start))
        self.scopes.append(None)
        for region in reversed(self.regions):
            if region.get(name) is value:
                region[name] = value._replace(lbn=lbn)
        return lbn

    def _results(
        self, raw: MlirOp, name: str, slots: Sequence[TensorPlace | None], span: Span, op_type: str | None, inputs: Sequence[Operand]
    ) -> Iterator[Operand]:
        nd_sbp = nd_sbp_of(raw)
        nd_sbp = self.shared.setdefault(nd_sbp, nd_sbp)
        lbns = iter(lbns_of(raw, name, slots))
        for slot, text in zip(slots, raw.result_types, strict=True):
            if slot is None:
                continue
            type_, lbn = self._type(text, span), next(lbns)
            if type_.dtype is DType.INT8 and is_bool(op_type, _dtypes(raw), [(operand.arg, operand.type) for operand in inputs]):
                type_ = self._bool(type_)
                self.bools.add(lbn)
            yield Operand(slot.arg, slot.index, lbn, type_, nd_sbp)

    def _type(self, text: str, span: Span) -> TensorType:
        type_ = self.types.get(text)
        if type_ is None:
            try:
                type_ = tensor_type(text)
            except NoTensorType as problem:
                raise self._error(span, str(problem), text) from None
            type_ = self.types[text] = self.shared.setdefault(type_, type_)
        return type_

    def _bool(self, type_: TensorType) -> TensorType:
        made = TensorType(type_.shape, DType.BOOL)
        shared: TensorType = self.shared.setdefault(made, made)
        return shared

    def _placement(self, raw: MlirOp, span: Span) -> Placement | None:
        key = raw.attrs.get("device_tag", "cpu"), raw.attrs.get("device_name", ()), raw.attrs.get("hierarchy", ())
        if key in self.placements:
            return self.placements[key]
        device, names, hierarchy = key
        placement = None
        if _all(names, str) and _all(hierarchy, int):
            placement = placement_of_devices(str(device), names, hierarchy)
        if placement is not None:
            self.devices += len(placement.ranks)
            if self.devices > MAX_DEVICES:
                raise self._error(span, f"placements of more than {MAX_DEVICES} devices in all", "device_name")
        self.placements[key] = placement
        return placement


def _dtypes(raw: MlirOp) -> list[str]:
    """The data types that an operation's attributes name."""
    return [dtype_word(value) for value in raw.attrs.values() if isinstance(value, DataType)]


def _all(values: Any, kind: type) -> bool:
    return isinstance(values, tuple) and all(isinstance(value, kind) for value in values)
