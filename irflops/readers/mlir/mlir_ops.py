"""What an operation of OneFlow's dialect is in a job: its op type, the arguments behind its operands and results, its attributes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from irflops.errors import quoted
from irflops.ir.graph import Attrs, AttrValue, Operand
from irflops.ir.sbp import NdSbp, Sbp
from irflops.ir.signatures import Arg, signature
from irflops.readers.job.job_schema import dtype_word, fields_of
from irflops.readers.mlir.mlir_numbers import DataType
from irflops.readers.mlir.mlir_plan import MlirOp, SbpAttr, SbpSignature
from irflops.readers.mlir.mlir_types import CONTROL

RENAMED = {
    "add_n2": "add_n",
    "normalization_infer": "normalization",
    "variable_ir": "variable",
}
"""Op types of a job by the operations that stand for them: those of oneflow/ir/lib/OneFlow/OneFlowOps.cpp that name an original op type,
and the variable of constant folding. All other operations are called like the op types that they were made from."""

_NARROWED = {"scalar_mul_by_tensor": "broadcast_mul"}
"""Operations that took the place of another whose name they keep: BroadcastMulToScalarMulPattern (oneflow/ir/include/OneFlow/
OneFlowPatterns.td, up to 0.9.0) does so to a broadcast_mul by one element. The arguments correspond in order."""

NO_USER_OPS = frozenset({"system", "variable", "variable_ir", "input", "output"})
"""Operations that stand for OneFlow's own operators, which have no attributes in a job."""

_BOOKKEEPING = frozenset(
    {
        "device_name",
        "device_tag",
        "hierarchy",
        "input_bns",
        "input_sizes",
        "op_name",
        "op_type_case",
        "op_type_name",
        "operandSegmentSizes",
        "operand_segment_sizes",
        "output_lbns",
        "output_sizes",
        "resultSegmentSizes",
        "result_segment_sizes",
        "scope_symbol_id",
    }
)
"""Attributes that a job keeps elsewhere than among those of a user operator."""


@dataclass(frozen=True, slots=True)
class TensorPlace:
    """The place of a tensor at an operator."""

    arg: str
    index: int


class TensorPlaces(NamedTuple):
    """The places of an operation's operands and results, in order; None for edges of control and for what no job has."""

    operands: list[TensorPlace | None]
    results: list[TensorPlace | None]
    stale: bool = False
    """Whether the operation says another number of results for its arguments than it has."""


class SlotsDoNotFit(ValueError):
    """An operation whose operands or results are not as many as it says, or as its op type takes."""


@cache
def _system_types() -> dict[int, str]:
    """Op types by the number of their field in OneFlow's OperatorConf."""
    fields = (fields_of("OperatorConf") or {}).values()
    return {field.number: field.name.removesuffix("_conf") for field in fields if field.name.endswith("_conf")}


def op_type_of(raw: MlirOp, mnemonic: str, named: Collection[str]) -> str | None:
    """The op type as in a job; `named` are those that the operator's name allows. None for a system operator of an unknown number."""
    if mnemonic == "system":
        number = raw.attrs.get("op_type_case")
        return _system_types().get(number) if isinstance(number, int) else None
    stated = raw.attrs.get("op_type_name")
    op_type = stated if isinstance(stated, str) and stated else RENAMED.get(mnemonic, mnemonic)
    narrowed = _NARROWED.get(op_type)
    return narrowed if narrowed is not None and narrowed in named else op_type


def slots_of(raw: MlirOp, mnemonic: str, op_type: str | None) -> TensorPlaces:
    """Where an operation's operands and results belong. Errors: SlotsDoNotFit."""
    found = signature(op_type) if op_type is not None else None
    inputs, outputs = (found.inputs, found.outputs) if found is not None else (None, None)
    stale = False
    if mnemonic == "system":
        operands: list[TensorPlace | None] = [_slot(bn) for bn in _words(raw, "input_bns")]
        results: list[TensorPlace | None] = [_slot(lbn.partition("/")[2] or "out") for lbn in _words(raw, "output_lbns")]
        if "output_lbns" not in raw.attrs:
            made = _data(_sizes(raw, "result_segment_sizes", "resultSegmentSizes"), raw.result_types, "results")
            results = [TensorPlace("out", index) for index in range(made)]
    elif mnemonic in NO_USER_OPS:
        # An `input` reads the argument of the job that it stands for, and a job has no such edge.
        operands = [TensorPlace("in", 0)] if mnemonic == "output" else [None] if mnemonic == "input" else []
        results = [TensorPlace("out", 0)]
    elif mnemonic == "user":
        data = _data(_sizes(raw, "operand_segment_sizes", "operandSegmentSizes"), raw.operand_types, "operands")
        made = _data(_sizes(raw, "result_segment_sizes", "resultSegmentSizes"), raw.result_types, "results")
        operands = _placed(inputs, _sizes(raw, "input_sizes"), data, "operands")
        results = _placed(outputs, _sizes(raw, "output_sizes"), made, "results")
    else:
        data, made = (_data(None, types, "") for types in (raw.operand_types, raw.result_types))
        operands = _placed(inputs, _sizes(raw, "operand_segment_sizes", "operandSegmentSizes"), data, "operands")
        sizes = _sizes(raw, "result_segment_sizes", "resultSegmentSizes")
        stale = sizes is not None and sum(sizes) != made and outputs is not None and _tell_apart(outputs, made)
        results = _placed(outputs, None if stale else sizes, made, "results")
    operands, results = _with_control(operands, raw.operand_types, "operands"), _with_control(results, raw.result_types, "results")
    return TensorPlaces(operands, results, stale)


def _tell_apart(outputs: Sequence[Arg], count: int) -> bool:
    """Whether so many results can only be those of certain arguments: all that must be there, or all that may."""
    needed = sum(not arg.optional for arg in outputs)
    return count in (needed, len(outputs)) and not any(arg.variadic for arg in outputs)


def _words(raw: MlirOp, name: str) -> tuple[str, ...]:
    value = raw.attrs.get(name, ())
    if isinstance(value, tuple) and all(isinstance(word, str) for word in value):
        return value
    raise SlotsDoNotFit(f"its {name} are no list of strings")


def lbns_of(raw: MlirOp, name: str, slots: Sequence[TensorPlace | None]) -> list[str]:
    """Names of the logical blobs that an operation makes, as far as they are blobs."""
    stated = _words(raw, "output_lbns")
    made = [slot for slot in slots if slot is not None]
    if len(stated) == len(made) and all(stated) and name == raw.attrs.get("op_name"):
        return list(stated)
    own = raw.name.partition(".")[2] in NO_USER_OPS
    return [f"{name}/{slot.arg}" if own and not slot.index else f"{name}/{slot.arg}_{slot.index}" for slot in made]


def _slot(blob: str) -> TensorPlace:
    """The argument and index that a blob's name spells: `in_1` is the second tensor of `in`."""
    arg, _, index = blob.rpartition("_")
    return TensorPlace(arg, int(index)) if arg and index.isdecimal() and len(index) < 10 else TensorPlace(blob, 0)


def _sizes(raw: MlirOp, *names: str) -> tuple[int, ...] | None:
    """Tensors by argument, as one of these attributes says; None where there is none of them."""
    for name in names:
        sizes = raw.attrs.get(name)
        if sizes is None:
            continue
        if isinstance(sizes, tuple) and all(isinstance(size, int) and size >= 0 for size in sizes):
            return sizes
        raise SlotsDoNotFit(f"its {name} are no counts")
    return None


def _data(said: tuple[int, ...] | None, types: Sequence[str], what: str) -> int:
    """How many tensors come before the edges of control; `said` are the numbers of both."""
    if said is None:
        count = len(types)
        while count and types[count - 1] == CONTROL:
            count -= 1
        return count
    if len(said) != 2 or sum(said) != len(types):
        raise SlotsDoNotFit(f"{len(types)} {what} stand here, and its segments are {', '.join(map(str, said)) or 'none'}")
    return said[0]


def _placed(args: Sequence[Arg] | None, sizes: tuple[int, ...] | None, count: int, what: str) -> list[TensorPlace | None]:
    """Places of that many tensors. `sizes` says how many each argument has; else each has one, and the one of several tensors the rest."""
    if sizes is not None and sum(sizes) != count:
        raise SlotsDoNotFit(f"{count} {what} stand here, and its arguments have {sum(sizes)}")
    stem = "in" if what == "operands" else "out"
    if args is None:
        return [TensorPlace(stem, index) for index in range(count)]
    if sizes is None:
        sizes = _shared_out(args, count, what)
    slots: list[TensorPlace | None] = []
    for number, size in enumerate(sizes):
        if number < len(args):
            slots += [TensorPlace(args[number].name, index) for index in range(size)]
        elif args or what == "results":  # of a version that has more arguments than are known here
            slots += [TensorPlace(f"{stem}_{number}", index) for index in range(size)]
        else:  # what ticks a source
            slots += [None] * size
    return slots


def _shared_out(args: Sequence[Arg], count: int, what: str) -> tuple[int, ...]:
    spare = count - sum(not (arg.optional or arg.variadic) for arg in args)
    if spare < 0:
        raise SlotsDoNotFit(f"{count} {what} stand here, and it has {count - spare} at least")
    sizes = []
    for arg in args:
        size = spare if arg.variadic else min(spare, 1) if arg.optional else 1
        spare -= size if arg.variadic or arg.optional else 0
        sizes.append(size)
    if spare and (args or what == "results"):
        raise SlotsDoNotFit(f"{count} {what} stand here, and it has {count - spare} at most")
    return (*sizes, spare)


def _with_control(slots: list[TensorPlace | None], types: Sequence[str], what: str) -> list[TensorPlace | None]:
    """Places of all tensors; edges of control come last."""
    more = types[len(slots) :]
    if len(slots) > len(types) or any(type_ != CONTROL for type_ in more):
        raise SlotsDoNotFit(f"{len(types)} {what} stand here, and it has {len(slots)}")
    return slots + [None] * len(more)


_RESULTS = {
    "normalization_add_relu_grad": ("dx", "gamma_diff", "beta_diff", "addend_diff"),
    "normalization_grad": ("dx", "gamma_diff", "beta_diff"),
    "softmax_cross_entropy": ("out", "prob"),
}
"""Results in the order of jobs (seen in 0.9.0) where it is not the definition's, which is MLIR's."""


def as_in_job(
    op_type: str | None, operands: Sequence[Operand], results: Sequence[Operand]
) -> tuple[tuple[Operand, ...], tuple[Operand, ...]]:
    """Operands and results in a job's order, and under its names, where these are known not to be the definition's."""
    order = _printed_order(op_type or "", tuple(dict.fromkeys([operand.arg for operand in operands])))
    if order is not None:
        named = [Operand(order.get(o.arg, o.arg), o.index, o.lbn, o.type, o.nd_sbp) for o in operands]
        ranks = list(order.values())
        operands = sorted(named, key=lambda operand: ranks.index(operand.arg))
    ranked = _RESULTS.get(op_type or "")
    if ranked is not None and all(result.arg in ranked for result in results):
        results = sorted(results, key=lambda result: ranked.index(result.arg))
    return tuple(operands), tuple(results)


@cache
def _printed_order(op_type: str, args: tuple[str, ...]) -> dict[str, str] | None:
    """What a job calls these arguments, in its order; None where that is the definition's."""
    found = signature(op_type)
    if found is None:
        return None
    defined = {arg.name for arg in found.inputs}
    for order in (tuple(place.name for place in places) for places in found.printed):
        new, gone = [arg for arg in order if arg not in args], [arg for arg in args if arg not in order]
        # What jobs call otherwise than the definition is one argument of a few types (the `x` of tanh_grad).
        if len(order) == len(args) and len(new) <= 1 and not defined.intersection(new):
            old = dict(zip(new, gone, strict=True))
            return {old.get(arg, arg): arg for arg in order}
    return None


def attrs_of(raw: MlirOp) -> Attrs:
    """Attributes of a user operator as in a job; data types by name."""
    return Attrs({name: _plain(value) for name, value in raw.attrs.items() if name not in _BOOKKEEPING})


def _plain(value: Any) -> AttrValue:
    if isinstance(value, DataType):
        return dtype_word(value)
    if isinstance(value, tuple):
        if isinstance(value, SbpSignature):
            value = value.results
        if isinstance(value, SbpAttr):
            return value.word
        if value and isinstance(value[0], (DataType, tuple)):
            return tuple(map(_plain, value))
    plain: AttrValue = value
    return plain


_SBP = ("parallel", "parallel_signature", "psig", "nd_sbp")
"""Attributes that say how results lie: the first since 0.8.0, the next two in the months before."""


class NoSbp(ValueError):
    """An attribute that should say how results lie, and does not."""

    def __init__(self, attr: str, message: str) -> None:
        super().__init__(message)
        self.attr = attr


def nd_sbp_of(raw: MlirOp) -> NdSbp | None:
    """How the results lie, as one of the attributes for it says; None where they leave it open. Errors: NoSbp."""
    found: NdSbp | None = None
    for attr in _SBP:
        stated = raw.attrs.get(attr)
        if stated is not None and found is None:
            found = _of_signature(raw, attr, stated) if isinstance(stated, SbpSignature) else _of_words(raw, attr, stated)
    return found


def _of_signature(raw: MlirOp, attr: str, stated: SbpSignature) -> NdSbp | None:
    if not stated.results:
        return None
    first = stated.results[0]
    axes = [sbp for sbp in (stated.results if isinstance(first, SbpAttr) else first) if isinstance(sbp, SbpAttr)]
    if min((sbp.axis for sbp in axes if sbp.axis is not None), default=0) < 0:
        raise NoSbp(attr, f"{raw.name}: its {attr} splits an axis below 0")
    nd_sbp = tuple(Sbp(sbp.word, sbp.axis) for sbp in axes if sbp.word != "any")
    return nd_sbp if len(nd_sbp) == len(axes) else None


def _of_words(raw: MlirOp, attr: str, stated: Any) -> NdSbp | None:
    if attr != "nd_sbp" or not isinstance(stated, tuple):
        raise NoSbp(attr, f"{raw.name}: its {attr} is no #sbp.parallel<[...] -> [...]>{' and no list' if attr == 'nd_sbp' else ''}")
    nd_sbp = tuple(Sbp.parse(word) if isinstance(word, str) else None for word in stated)
    for word, sbp in zip(stated, nd_sbp, strict=True):
        if sbp is None:
            raise NoSbp(attr, f'{raw.name}: its {attr} holds {quoted(word)}, and an sbp is "B", "P" or "S(axis)"')
    return tuple(sbp for sbp in nd_sbp if sbp is not None) or None
