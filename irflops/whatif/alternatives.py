"""One operator under other operands: every result that its rule allows, given what the form leaves open and which sizes are baked in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from irflops.counting.infer import MISFIT, misfit_text, result_types, view_of
from irflops.ir.graph import UNKNOWN_TENSOR, Attrs, AttrValue, DType, Op, Shape, TensorType
from irflops.ir.shapes import fit
from irflops.ir.signatures import signature
from irflops.ops import BOOK
from irflops.ops.book import RuleBook
from irflops.ops.op_view import OpView
from irflops.ops.rule import Changes, Likely, OpRule
from irflops.ops.shapes import broadcast_shapes
from irflops.ops.work import MissingAttribute, Unknowable

MOST_TRIED = 4096
"""Sets of attributes of one operator that are tried: those that hold sizes with each of those that it lacks."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """Shapes of the results in their order, and attributes that hold sizes as they then are."""

    shapes: tuple[Shape | None, ...]
    sizes: Mapping[str, AttrValue]
    op_type: str | None = None
    """The type that OneFlow would have taken for these operands, None where it is the captured one."""
    against: str = ""
    """What speaks against it, if no other fits."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What an operator can give out; nothing, with the reason, where it cannot take its operands."""

    alternatives: tuple[Alternative, ...]
    misfit: str | None = None
    missing: str | None = None
    """The attribute without which nothing can be told of the results."""
    tried: int = 1
    """Sets of attributes that were tried for it."""
    guessed: bool = False
    """Whether it holds for the likeliest of several settings alone."""


@dataclass(frozen=True, slots=True)
class Operands:
    """Types of the operands of an op, as captured and as changed."""

    before: tuple[TensorType, ...]
    after: tuple[TensorType, ...]


def alternatives(op: Op, operands: Operands, results: Sequence[TensorType], changes: Changes, book: RuleBook = BOOK) -> Choice:
    """What an op gives out under its changed operands; unknown shapes where no rule tells."""
    if op.type is not None:
        other = _other_type(op.type, operands, book)
        if other is None:
            return _of_type(op, op.type, operands, results, changes, book)
        try:
            inferred = result_types(book.by_type[other], view_of(recast(op, other), other, operands.after, results, op.attrs))
        except Unknowable:
            return _unknown(op)
        except MISFIT as error:
            return Choice((), misfit=misfit_text(other, error))
        return Choice((Alternative(_shapes(recast(op, other), inferred), {}, other),))
    choices = [_of_type(op, op_type, operands, results, changes, book) for op_type in op.type_candidates]
    shapes = {alternative.shapes for choice in choices for alternative in choice.alternatives}
    if len(shapes) == 1 and all(choice.alternatives for choice in choices):
        return Choice((Alternative(shapes.pop(), {}),))
    return _unknown(op)


def _other_type(op_type: str, operands: Operands, book: RuleBook) -> str | None:
    """Another type for operands that were of one shape and are not, or the other way round; or one of which repeats the other now."""
    rule = book.rule(op_type)
    if rule is None or len(operands.after) != 2:
        return None
    if rule.repeated and _repeats(*operands.after):
        return rule.repeated
    if op_type in book.once and _only_reshapes(*operands.after):
        return book.once[op_type]
    was, now = (len({type_.shape for type_ in types}) == 1 for types in (operands.before, operands.after))
    if was == now or any(type_.shape is None for type_ in operands.after):
        return None
    other = rule.unequal if was else book.equal.get(op_type)
    return other if other in book.by_type and signature(other) is not None else None


def _repeats(one: TensorType, other: TensorType) -> bool:
    """Whether a tensor has the shape of another, repeated along some axes."""
    if one.numel is None or other.numel is None or one.numel == other.numel:
        return False
    try:
        return broadcast_shapes(one.shape, other.shape) == one.shape  # type: ignore[arg-type]  # all extents are known, or numel is None
    except ValueError:
        return False


def _only_reshapes(one: TensorType, other: TensorType) -> bool:
    """Whether two tensors have as many elements and other shapes."""
    return one.numel is not None and one.numel == other.numel and one.shape != other.shape


def recast(op: Op, op_type: str) -> Op:
    """An operator of two operands and one result under another type that computes the same."""
    found = signature(op_type)
    assert found is not None, "only op types of OneFlow stand for one another"
    several = found.inputs[0].variadic
    inputs = tuple(
        replace(operand, arg=found.inputs[0 if several else i].name, index=i if several else 0) for i, operand in enumerate(op.inputs)
    )
    outputs = tuple(replace(result, arg=found.outputs[0].name, index=0) for result in op.outputs)
    return replace(op, type=op_type, inputs=inputs, outputs=outputs)


def _unknown(op: Op) -> Choice:
    return Choice((Alternative((None,) * len(op.outputs), {}),))


def _of_type(op: Op, op_type: str, operands: Operands, results: Sequence[TensorType], changes: Changes, book: RuleBook) -> Choice:
    rule = book.rule(op_type)
    if rule is None or op.elided:
        return _unknown(op)
    given = Attrs({**_dtypes(results), **op.attrs})
    captured = view_of(op, op_type, operands.before, results, given)
    changed = view_of(op, op_type, operands.after, (TensorType(),) * len(results), given)
    try:
        readings = list(_readings(rule, captured, changed, op, results))
        if not readings:
            return Choice((), misfit=f"{op_type}: no attributes give {_texts(results)} from {_texts(operands.before)}, as captured")
        return _collected(rule, op, captured, changed, readings, changes)
    except MissingAttribute as missing:
        return replace(_unknown(op), missing=missing.what)
    except Unknowable:
        return _unknown(op)
    except MISFIT as error:
        return Choice((), misfit=misfit_text(op_type, error))


def _collected(
    rule: OpRule, op: Op, captured: OpView, changed: OpView, readings: Sequence[Mapping[str, AttrValue]], changes: Changes
) -> Choice:
    found: dict[tuple[Shape | None, ...], Alternative] = {}
    misfit = None
    tried = len(readings)
    for reading in readings:
        old, new = (view.under({**reading, **view.attrs}) for view in (captured, changed))
        for sizes in rule.resized(old, new, changes) if rule.resized is not None else ({},):
            tried += 1
            if tried > MOST_TRIED:
                return replace(_unknown(op), missing=next(iter({**reading, **sizes})), tried=tried)
            try:
                shapes = _shapes(op, result_types(rule, new.under({**new.attrs, **sizes})))
            except MISFIT as error:
                misfit = misfit or misfit_text(captured.type, error)
                continue
            kept = {name: value for name, value in sizes.items() if name in op.attrs and op.attrs[name] != value}
            if shapes not in found:
                found[shapes] = Alternative(shapes, kept, against=sizes.because if isinstance(sizes, Likely) else "")
    if not found and misfit is None:
        results = [type_ for arg in captured.output_args for type_ in captured.outputs(arg)]
        misfit = f"{captured.type}: it has the sizes of {_texts(results)} baked in, which do not scale along in one way"
    return Choice(tuple(found.values()), misfit, tried=tried, guessed=any(isinstance(reading, Likely) for reading in readings))


def _readings(rule: OpRule, captured: OpView, changed: OpView, op: Op, results: Sequence[TensorType]) -> Iterator[Mapping[str, AttrValue]]:
    """Values for the attributes that are missing, those alone that give the captured results."""
    stated = [result.shape for result in results]
    try:
        inferred = _shapes(op, result_types(rule, captured))
    except MissingAttribute:
        if rule.readings is None:
            raise
    except MISFIT:
        return
    else:
        if _agree(inferred, stated):
            yield {}
        return
    for reading in rule.readings(captured, changed):
        try:
            inferred = _shapes(op, result_types(rule, captured.under({**reading, **captured.attrs})))
        except MISFIT:
            continue
        if _agree(inferred, stated):
            yield reading


def _agree(inferred: Sequence[Shape | None], stated: Sequence[Shape | None]) -> bool:
    return all(fit(a, b) for a, b in zip(inferred, stated, strict=True))


def _shapes(op: Op, inferred: Mapping[tuple[str, int], TensorType]) -> tuple[Shape | None, ...]:
    return tuple(inferred.get((result.arg, result.index), UNKNOWN_TENSOR).shape for result in op.outputs)


def _dtypes(results: Sequence[TensorType]) -> dict[str, AttrValue]:
    """Attributes that hold the dtype of the first result: where the form lacks them the result tells."""
    dtype: DType | None = results[0].dtype if results else None
    return {} if dtype is None else {"dtype": dtype.word, "data_type": dtype.word}


def _texts(types: Sequence[TensorType]) -> str:
    return " and ".join(map(str, types)) or "nothing"
