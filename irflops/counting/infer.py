"""Folds the shape rules over a graph: fills what the file leaves out, and checks what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from irflops.errors import Span
from irflops.ir.graph import Attrs, Graph, Op, Operand, Shape, TensorType
from irflops.ir.shapes import fit, unified
from irflops.ops import BOOK
from irflops.ops.book import RuleBook
from irflops.ops.op_view import OpView
from irflops.ops.rule import OpRule
from irflops.ops.work import Unknowable

MISFIT = ValueError
"""What a rule raises on operands and attributes that cannot go together, saying how. Anything else is a bug, and shows as one."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A shape of the file that contradicts what inference says."""

    op: str
    lbn: str
    file: Shape | None
    inferred: Shape | None
    """None where the rule says that the operands cannot go together at all."""
    reason: str
    span: Span | None


@dataclass(frozen=True, slots=True)
class Inference:
    """Types of all tensors by lbn, and where the file disagrees."""

    types: Mapping[str, TensorType]
    disagreements: tuple[Disagreement, ...]
    checked: int
    """Results whose shape a rule gave and the file states."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a shape rule said: types by (argument, index), or why the operands do not fit, or neither."""

    types: Mapping[tuple[str, int], TensorType] | None = None
    misfit: str | None = None


def infer(graph: Graph, book: RuleBook = BOOK) -> Inference:
    """The type of every tensor: the file's where it states one, else inferred. Disagreements are found on the way."""
    types: dict[str, TensorType] = {result.lbn: result.type for op in graph.ops for result in op.outputs}
    answers: dict[object, _Answer] = {}
    found: list[Disagreement] = []
    checked = 0
    complete = all(_is_known(type_) for type_ in types.values())
    for op in graph.ops if complete else map(graph.ops.__getitem__, graph.edges.order):
        found.extend(_operand_disagreements(op, types))
        answer = _ask(op, types, answers, book)
        if answer.misfit is not None:
            lbn = op.outputs[0].lbn if op.outputs else op.inputs[0].lbn if op.inputs else op.name
            stated = op.outputs[0].type.shape if op.outputs else None
            found.append(Disagreement(op.name, lbn, stated, None, answer.misfit, op.span))
        if answer.types is None:
            continue
        for result in op.outputs:
            inferred = answer.types.get((result.arg, result.index))
            if inferred is None:
                continue
            checked += result.type.shape is not None and inferred.shape is not None
            if not fit(result.type.shape, inferred.shape):
                reason = f"{op.type} gives {inferred}, the file says {result.type}"
                found.append(Disagreement(op.name, result.lbn, result.type.shape, inferred.shape, reason, op.span))
            if not _is_known(result.type):
                types[result.lbn] = _filled(result.type, inferred)
    return Inference(types, tuple(found), checked)


def misfit_text(op_type: str, error: Exception) -> str:
    """What a rule said of tensors that cannot go together."""
    return f"{op_type}: {error}"


def is_count(value: object) -> bool:
    """Whether a number can be of elements, operations or bytes: an int of at least 0. A bool is none."""
    return type(value) is int and value >= 0


def result_types(rule: OpRule, seen: OpView) -> Mapping[tuple[str, int], TensorType]:
    """What a shape rule says of an op's results, by (argument, index). Raises what rules raise; ValueError where an extent is no count."""
    answer = rule.shape(seen)
    by_slot = {(arg, i): t for arg, types in answer.items() for i, t in enumerate(types if isinstance(types, tuple) else (types,))}
    for (arg, _), type_ in by_slot.items():
        for extent in type_.shape or ():
            if extent is not None and not is_count(extent):
                raise ValueError(f"its operands and attributes would give {arg} the shape {type_}, in which {extent} is no extent")
    return by_slot


def operand_type(operand: Operand, types: Mapping[str, TensorType]) -> TensorType:
    """The type of an operand: as its line states it, what that leaves open as its producer makes it."""
    return operand.type if _is_known(operand.type) else _filled(operand.type, types.get(operand.lbn, operand.type))


def view(op: Op, op_type: str, types: Mapping[str, TensorType]) -> OpView:
    """An op as a rule of that type sees it."""
    operands = [operand_type(operand, types) for operand in op.inputs]
    return view_of(op, op_type, operands, [types.get(result.lbn, result.type) for result in op.outputs], op.attrs)


def view_of(op: Op, op_type: str, operands: Sequence[TensorType], results: Sequence[TensorType], attrs: Attrs) -> OpView:
    """An op as a rule of that type would see it with operands and results of other types, and other attributes."""
    inputs: dict[str, list[TensorType]] = {}
    for operand, type_ in zip(op.inputs, operands, strict=True):
        inputs.setdefault(operand.arg, []).append(type_)
    outputs: dict[str, list[TensorType]] = {}
    for result, type_ in zip(op.outputs, results, strict=True):
        outputs.setdefault(result.arg, []).append(type_)
    return OpView(op_type, inputs, outputs, attrs)


def _is_known(type_: TensorType) -> bool:
    return type_.shape is not None and type_.dtype is not None and None not in type_.shape


def _filled(stated: TensorType, other: TensorType) -> TensorType:
    """What is stated, its gaps filled by the other; of shapes that contradict each other the one stated stands as it is."""
    try:
        shape = unified(stated.shape, other.shape)
    except ValueError:
        shape = stated.shape
    return TensorType(shape, stated.dtype or other.dtype)


def _operand_disagreements(op: Op, types: Mapping[str, TensorType]) -> Iterator[Disagreement]:
    for operand in op.inputs:
        made = types.get(operand.lbn)
        if made is None or fit(operand.type.shape, made.shape):
            continue
        reason = f"{op.name} reads {operand.lbn} as {operand.type}, its producer makes {made}"
        yield Disagreement(op.name, operand.lbn, operand.type.shape, made.shape, reason, op.span)


def _ask(op: Op, types: Mapping[str, TensorType], answers: dict[object, _Answer], book: RuleBook) -> _Answer:
    """What the op's shape rule says, asked once for all ops with the same operands and attributes."""
    rule = book.rule(op.type)
    if rule is None or op.type is None or op.elided or not (op.outputs or op.inputs):
        return _Answer()
    key = (
        op.type,
        op.attrs,
        tuple([(operand.arg, operand_type(operand, types)) for operand in op.inputs]),
        tuple([(result.arg, result.index) for result in op.outputs]),
    )
    answer = answers.get(key)
    if answer is None:
        try:
            answer = _Answer(types=result_types(rule, view(op, op.type, types)))
        except Unknowable:
            answer = _Answer()
        except MISFIT as error:
            answer = _Answer(misfit=misfit_text(op.type, error))
        answers[key] = answer
    return answer
