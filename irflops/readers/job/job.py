"""From the statements of a job to a graph: the same for its text and its binary form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from irflops.errors import GraphSyntaxError, IrflopsError, NotAGraphError, Source, Span, error_at, quoted
from irflops.ir.graph import UNKNOWN_TENSOR, Attrs, Graph, Module, Note, Operand, Placement, TensorType
from irflops.ir.sbp import NdSbp, Sbp
from irflops.ir.tree import nearest, with_parents
from irflops.readers.forms import FORWARD_JOB, FULL_JOB, FULL_JOB_BINARY
from irflops.readers.job import job_text, job_wire
from irflops.readers.job.job_schema import DTYPE_BY_NUMBER, SECTIONS, Message, Statement
from irflops.readers.job.job_values import attr_of, sbp_of
from irflops.readers.meaning.assemble import complete, freeze
from irflops.readers.meaning.draft import Draft
from irflops.readers.meaning.partial import PARTIAL_HINT, partial_note
from irflops.readers.meaning.phase import is_update
from irflops.readers.meaning.placement import MAX_DEVICES, placement_of_devices
from irflops.readers.meaning.resolve import free_tensor_module, resolve
from irflops.readers.printed.operators import UNPLACED, named_module, user_frame
from irflops.readers.printed.statement import Statements
from irflops.readers.printed.values import MAX_RANK

_RESULT_FIELDS = frozenset({"out", "out_0", "y", "acc"})
"""Fields of OneFlow's own operators that name a blob of theirs; their other texts with a slash are operands."""

_OPERATORS, _SIZE_PER_OPERATOR = 25_000, 100
_MODULES, _SIZE_PER_MODULE = 5_000, 400
"""Operators and modules that any job may have, and of how many bytes a large one may have one more: real ones have 500 and 2,000."""
_LEVELS = 1000
_LEVELS_AT_LEAST = 20_000
_LEVELS_PER_PATH = 32
_MAX_PATHS = 100_000_000
"""Levels above one module, above all modules, and characters of the paths that those have."""

_NO_TENSORS = frozenset({"job_name", "model_name", "nd_sbp"})
MAX_DANGLING = 1000
"""Operators that a job may lack and others read. It holds all of them: one that lacks more is not worth an answer."""

_TICK = "UserSourceOpTickInput"
"""The argument by which OneFlow's passes say when a source runs: a control edge, not a tensor that is read."""


def read_job_text(source: Source, *, partial: bool = False) -> Graph:
    """The graph of a job in protobuf's text format; with `partial`, as far as that reads.

    Errors: GraphSyntaxError, GraphError; NotAGraphError where it has no operators.
    """
    return _Job(source, len(source.text), partial=partial).read(job_text.job_statements(source), FULL_JOB.name)


def read_job_binary(data: bytes, name: str, *, partial: bool = False) -> Graph:
    """The graph of a serialized job; with `partial`, as far as that goes.

    Errors: GraphSyntaxError with the byte, GraphError; NotAGraphError where it has no operators.
    """
    try:
        return _Job(Source(name, ""), len(data), partial=False).read(job_wire.job_statements(data, name), FULL_JOB_BINARY.name)
    except GraphSyntaxError as error:
        if not partial:
            raise
        from irflops.readers.job.job_salvage import salvaged  # here for start-up time: few files are cut

        job = _Job(Source(name, ""), len(data), partial=True)
        job.damage = error.message
        return job.read(job_wire.job_statements(salvaged(data), name), FULL_JOB_BINARY.name)


class _Job:
    """A job under construction."""

    def __init__(self, source: Source, size: int, *, partial: bool) -> None:
        self.source = source
        self.size = size
        self.partial = partial
        self.damage: str | None = None
        """Why not all of the job was read."""
        self.statements = Statements(size)
        self.confs: list[tuple[Message, Span | None, tuple[str, ...]]] = []
        self.config: Message | None = None
        self.types: dict[str, TensorType] = {}
        self.placements: dict[str, Placement] = {}
        self.devices = 0
        self.nd_sbps: dict[str, Mapping[str, NdSbp]] = {}
        self.owners: dict[str, str] = {}
        self.paths: list[str] = []
        self.unknown: Counter[str] = Counter()
        self.shared: dict[Any, Any] = {}

    def read(self, statements: Iterable[Statement], form: str) -> Graph:
        sbp_of_1d: list[Statement] = []
        for statement in self._readable(_spread(statements)):
            self.unknown.update(statement.unknown)
            if len(self.confs) > _OPERATORS + self.size // _SIZE_PER_OPERATOR or len(self.paths) > _MODULES + self.size // _SIZE_PER_MODULE:
                raise self._error(statement.span, "more operators or modules than a job of this size can have")
            if statement.field == "op":
                self.confs += [(conf, statement.span, statement.unknown) for conf in statement.value()]
            elif statement.field == "lbn2logical_blob_desc":
                self._describe(statement.value(), statement.span)
            elif statement.field == "placement_group":
                self._place(statement.value(), statement.span)
            elif statement.field == "op_name2nd_sbp_signature_conf":
                self._sign(statement.value())
            elif statement.field == "op_name2sbp_signature_conf":
                sbp_of_1d.append(statement)
            elif statement.field == "job_conf":
                self.config = (self.config or {}) | statement.value()
            elif statement.field == "module_name2module_conf":
                self._own(statement.value())
        if not self.nd_sbps:
            for statement in sbp_of_1d:
                self._sign(statement.value())
        if not self.confs:
            raise NotAGraphError("the job has no operators", path=self.source.name, hint="dump it after the graph was called once")
        if self.config is None and self.partial:
            self.damage = self.damage or "the job is cut off: its job_conf is missing"
            self.config = {}
        if self.config is None:
            message = "the job is cut off: its job_conf is missing, which every job has"
            if self.source.text:
                end = len(self.source.text.rstrip())
                raise error_at(GraphSyntaxError, self.source, Span(end, end + 1), message, PARTIAL_HINT)
            raise GraphSyntaxError(f"{message}; {self.size} bytes are here", path=self.source.name, hint=PARTIAL_HINT)
        return self._graph(form, self.config)

    def _readable(self, statements: Iterator[Statement]) -> Iterator[Statement]:
        """The statements; of a job that is read in part, those before the first that does not read."""
        try:
            yield from statements
        except GraphSyntaxError as error:
            if not self.partial:
                raise
            place = "" if error.line is None else f"line {error.line}: "
            self.damage = f"{place}{error.message}"

    def _describe(self, entries: Iterable[Message], span: Span | None) -> None:
        for entry in entries:
            blob = entry.get("value", {})
            self.types[entry.get("key", "")] = self._type(blob, span)

    def _type(self, blob: Message, span: Span | None) -> TensorType:
        """The type in a message with `shape` and `data_type`."""
        dims = tuple(blob["shape"].get("dim", ())) if "shape" in blob else None
        if dims is not None and len(dims) > MAX_RANK:
            raise self._error(span, f"a tensor of {len(dims)} dimensions; OneFlow has at most 20")
        negative = next((dim for dim in dims or () if dim < 0), None)
        if negative is not None:
            raise self._error(span, f"a tensor cannot have {negative} elements along a dimension")
        type_: TensorType = self._shared(TensorType(dims, DTYPE_BY_NUMBER.get(blob.get("data_type", 0))))
        return type_

    def _shared(self, value: Any) -> Any:
        """The one object that stands for all equal values."""
        return self.shared.setdefault(value, value)

    def _error(self, span: Span | None, message: str) -> IrflopsError:
        return error_at(GraphSyntaxError, self.source, span if span is not None else Span(0, 1), message)

    def _place(self, groups: Iterable[Message], span: Span | None) -> None:
        for group in groups:
            conf = group.get("parallel_conf", {})
            hierarchy = tuple(conf.get("hierarchy", {}).get("dim", ()))
            placement = placement_of_devices(conf.get("device_tag", "cpu"), conf.get("device_name", ()), hierarchy)
            if placement is not None:
                self.devices += len(placement.ranks)
                if self.devices > MAX_DEVICES:
                    raise self._error(span, f"placements of more than {MAX_DEVICES} devices in all")
                self.placements.update(dict.fromkeys(group.get("op_set", {}).get("op_name", ()), placement))

    def _sign(self, entries: Iterable[Message]) -> None:
        for entry in entries:
            signature = entry.get("value", {})
            blobs = {pair.get("key", ""): self._nd_sbp(pair.get("value", {})) for pair in signature.get("bn_in_op2nd_sbp", ())}
            blobs |= {
                pair.get("key", ""): self._shared((sbp_of(pair.get("value", {})),)) for pair in signature.get("bn_in_op2sbp_parallel", ())
            }
            self.nd_sbps[entry.get("key", "")] = blobs

    def _nd_sbp(self, message: Message) -> NdSbp:
        nd_sbp: NdSbp = self._shared(tuple(map(sbp_of, message.get("sbp_parallel", ()))))
        return nd_sbp

    def _own(self, entries: Iterable[Message]) -> None:
        for entry in entries:
            path = entry.get("key", "")
            self.paths.append(path)
            self.owners.update(dict.fromkeys(entry.get("value", {}).get("ops", ()), path))

    # The graph

    def _graph(self, form: str, config: Message) -> Graph:
        name = config.get("job_name", "")
        # Where a job breaks off before its configuration, its optimizer tells.
        updates = (is_update(conf.get("user_conf", {}).get("op_type_name")) for conf, *_ in self.confs)
        training = "train_conf" in config if config else any(updates)
        nameless = next((number for number, (conf, *_) in enumerate(self.confs, 1) if not conf.get("name")), None)
        if nameless is not None:
            raise self._error(self.confs[nameless - 1][1], f"operator {nameless} of the job has no name")
        drafts = [self._draft(*conf) for conf in self.confs]
        modules = self._modules(drafts, name)
        self._type_operands(drafts)
        notes: list[Note] = []
        trained = config.get("train_conf", {})
        losses = tuple(zip_longest(trained.get("loss_lbn", ()), trained.get("loss_grad_lbn", ()), fillvalue=""))
        notes += self._dangling(drafts)
        if self.damage is not None:
            notes.append(partial_note(self.damage))
        whole = complete(drafts, self.source, training, {}, notes, losses)
        notes += self._oddities(config)
        holds = replace((FULL_JOB if _is_full(drafts) else FORWARD_JOB).holds, backward=whole)
        if training and whole and not holds.optimizer:
            notes.append(
                Note("forward-job", "a job from before OneFlow added optimizer and recomputation: the full job or a print tells all")
            )
        return Graph(
            name=name,
            class_name=None,
            training=training,
            ops=tuple(map(freeze, drafts)),
            modules=modules,
            format=form,
            source=self.source,
            notes=tuple(notes),
            partial=self.damage is not None,
            holds=holds,
            switches=frozenset() if holds.passes else frozenset(field for field, value in config.items() if value is True),
        )

    def _draft(self, conf: Message, span: Span | None, unknown: tuple[str, ...]) -> Draft:
        name = conf.get("name", "")
        resolved = resolve(name, 0)
        kind = next((key for key in conf if key.endswith("_conf")), None)
        body = conf[kind] if kind is not None else {}
        signature = self.nd_sbps.get(name, {})
        if kind == "user_conf":
            op_type: str | None = body.get("op_type_name") or None
            inputs = self._user_tensors(body.get("input", ()), body.get("input_order", ()), signature)
            outputs = self._user_tensors(body.get("output", ()), body.get("output_order", ()), signature)
        else:
            stem = kind if kind is not None else next((field for field in unknown if field.endswith("_conf")), None)
            op_type = stem.removesuffix("_conf") if stem is not None else None
            inputs, outputs = self._system_tensors(name, body, signature, span)
        draft = Draft(name, op_type, inputs, outputs, placement=self.placements.get(name), number=resolved.number, role=resolved.role)
        draft.recompute, draft.gradient = resolved.recompute, resolved.gradient
        draft.candidates = resolved.types if op_type is None else ()
        draft.elided = kind is None
        draft.after = tuple(conf.get("ctrl_in_op_name", ()))
        draft.module = named_module(name, op_type, resolved)
        draft.attrs = self._shared(Attrs({pair.get("key", ""): attr_of(pair.get("value", {})) for pair in body.get("attr", ())}))
        if op_type == "variable":
            draft.trainable = body.get("trainable", True)
        if span is not None:
            draft.start, draft.end = span.start, span.end
        frames = self.statements.frames(conf["loc"]) if conf.get("loc") else ()
        if frames:
            draft.location = self._shared(user_frame(frames))
        return draft

    def _user_tensors(self, entries: Iterable[Message], order: Iterable[str], signature: Mapping[str, NdSbp]) -> tuple[Operand, ...]:
        """Operands or results of a user operator, in the order in which they were given."""
        lbns = {entry.get("key", ""): entry.get("value", {}).get("s", ()) for entry in entries}
        lbns.pop(_TICK, None)
        args = [arg for arg in dict.fromkeys([*order, *lbns]) if arg != _TICK]
        return tuple(
            Operand(arg, index, lbn, self.types.get(lbn, UNKNOWN_TENSOR), signature.get(f"{arg}_{index}"))
            for arg in args
            for index, lbn in enumerate(lbns.get(arg, ()))
        )

    def _system_tensors(
        self, name: str, body: Message, signature: Mapping[str, NdSbp], span: Span | None
    ) -> tuple[tuple[Operand, ...], tuple[Operand, ...]]:
        """Operands and results of one of OneFlow's own operators: fields that hold an lbn, and fields that name a blob."""
        inputs: list[Operand] = []
        outputs: list[Operand] = []
        blob = body.get("blob_conf", body)
        stated = self._type(blob, span) if "shape" in blob else UNKNOWN_TENSOR
        stated_sbp = self._stated_sbp(blob)
        for field, value in body.items():
            if field in _NO_TENSORS:
                continue
            texts = value if isinstance(value, list) else [value]
            for index, text in enumerate(texts):
                if not isinstance(text, str):
                    continue
                if field in _RESULT_FIELDS:
                    lbn = f"{name}/{text}"
                    type_ = self.types.get(lbn, stated)
                    outputs.append(Operand(field, index, lbn, type_, signature.get(text, signature.get(field, stated_sbp))))
                elif "/" in text:
                    inputs.append(Operand(field, index, text, self.types.get(text, UNKNOWN_TENSOR), signature.get(field)))
        return tuple(inputs), tuple(outputs)

    def _stated_sbp(self, blob: Message) -> NdSbp | None:
        """How a variable or an input says itself that it lies: in words the one, in messages the other."""
        stated = blob.get("nd_sbp")
        if isinstance(stated, dict):
            return self._nd_sbp(stated) or None
        words = tuple(map(Sbp.parse, stated or ()))
        nd_sbp: NdSbp = self._shared(tuple(sbp for sbp in words if sbp is not None))
        return nd_sbp if nd_sbp and len(nd_sbp) == len(words) else None

    def _type_operands(self, drafts: list[Draft]) -> None:
        """Gives operands the types that variables, inputs and outputs state, where the job describes no blobs."""
        made = {result.lbn: result.type for draft in drafts for result in draft.outputs if result.lbn not in self.types}
        if not made:
            return
        for draft in drafts:
            draft.inputs = tuple(
                Operand(o.arg, o.index, o.lbn, made[o.lbn], o.nd_sbp) if o.type is UNKNOWN_TENSOR and o.lbn in made else o
                for o in draft.inputs
            )

    def _modules(self, drafts: list[Draft], graph: str) -> tuple[Module, ...]:
        """The modules that own operators and those above them, and each operator's own. A job has no classes.

        It says in which module an operator was made; a variable belongs to the one of its name, which need own no operators.
        """
        # In the order of their operators, which is the same in every form of a job; maps have none on the wire.
        owners = (draft.module if _is_named_variable(draft) else self.owners.get(draft.name, draft.module) for draft in drafts)
        paths = list(dict.fromkeys([path for path in owners if path != UNPLACED] + self.paths))
        levels = {path: min(path.count("."), _LEVELS) for path in paths}
        if (
            sum(levels.values()) > _LEVELS_AT_LEAST + _LEVELS_PER_PATH * len(levels)
            or sum(len(p) * n for p, n in levels.items()) > _MAX_PATHS
        ):
            raise GraphSyntaxError("module paths longer and deeper than those of any model", path=self.source.name)
        known = dict.fromkeys(with_parents("" if path == graph else path for path in paths))
        for draft in drafts:
            if draft.module in known:
                continue
            if draft.type == "variable" and draft.module != UNPLACED:
                draft.module = nearest(draft.module, known)
            else:
                owner = self.owners.get(draft.name, graph)
                draft.module = "" if owner == graph else nearest(owner, known)
        return tuple(Module(path, None, None) for path in known)

    def _dangling(self, drafts: list[Draft]) -> Iterator[Note]:
        """What operators read and none makes: a job holds all operators, so it was edited or cut."""
        names = {draft.name for draft in drafts}
        missing: dict[str, Draft] = {}
        for draft in drafts:
            for operand in draft.inputs:
                name = operand.lbn.partition("/")[0]
                if name not in names:
                    missing.setdefault(name, draft)
        if not missing:
            return
        first, reader = next(iter(missing.items()))
        more = f" and {len(missing) - 1} others" if len(missing) > 1 else ""
        text = f"{quoted(reader.name)} reads {quoted(first)}{more}, and no operator of the job has that name"
        span = Span(reader.start, reader.end) if reader.start >= 0 else None
        if len(missing) > MAX_DANGLING and self.damage is None:
            raise self._error(span, text)
        yield Note("dangling-operand", text, span)

    def _oddities(self, config: Message) -> Iterator[Note]:
        if config.get("enable_auto_mixed_precision"):
            text = "automatic mixed precision is on, and a graph captured without a GPU shows none of its casts"
            yield Note("mixed-precision", f"{text}: figures are as the file has them")
        if self.unknown:
            names = ", ".join(map(quoted, sorted(self.unknown)[:5])) + (" and others" if len(self.unknown) > 5 else "")
            count = self.unknown.total()
            fields = "1 field of the job is" if count == 1 else f"{count} fields of the job are"
            yield Note("unknown-fields", f"{fields} not known here ({names}): kept out of the figures")


def _is_full(drafts: Iterable[Draft]) -> bool:
    """Whether the job was dumped after OneFlow's passes: one from before states no type of anything computed."""
    computed = [draft for draft in drafts if draft.outputs and draft.type not in ("variable", "input", "output")]
    return not computed or any(draft.outputs[0].type.shape is not None for draft in computed)


def _is_named_variable(draft: Draft) -> bool:
    """Whether a variable's name tells its module, which is one of the model's."""
    return draft.type == "variable" and draft.module != UNPLACED and free_tensor_module(draft.name) is None


def _spread(statements: Iterable[Statement]) -> Iterator[Statement]:
    """Statements of whole sections as those of their fields."""
    for statement in statements:
        if statement.section or statement.field not in SECTIONS:
            yield statement
            continue
        unknown = statement.unknown
        for field, value in (statement.value() or {"": None}).items():
            yield Statement(statement.field, field, lambda value=value: value, statement.span, unknown)  # type: ignore[misc]  # a constant
            unknown = ()
