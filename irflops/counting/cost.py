"""What an op costs, and the algebra that sums it: zero, plus, times. Exact Python ints throughout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add, or_
from typing import TypeVar

from irflops.counting.infer import MISFIT, is_count, misfit_text, operand_type, result_types, view
from irflops.counting.ratio import Ratio
from irflops.errors import IrflopsError, quoted
from irflops.ir.certainty import Certainty
from irflops.ir.graph import Op, Phase, TensorType, VariableKind
from irflops.ops import BOOK
from irflops.ops.book import RuleBook
from irflops.ops.op_view import OpView
from irflops.ops.rule import OpRule
from irflops.ops.traffic import Traffic
from irflops.ops.work import UNKNOWN_WORK, Unknowable, Work

T = TypeVar("T")

OF_A_RUN = ("macs", "flops", "transcendentals", "bytes_read", "bytes_written", "activation_elements", "activation_bytes")
"""The scalar figures that each run of an operator adds to, and that it tells by itself."""

FIGURES = (*OF_A_RUN, "saved_bytes")
"""The scalar figures, in the order in which a `Cost` holds them. Of what backward keeps of forward, its readers decide (`saved`)."""

KINDS = tuple(kind.value for kind in VariableKind)
"""Kinds of variable, in the order in which a `Cost` holds params."""

COST_NAMES = (*FIGURES, "params", "param_bytes")
"""Everything that has a certainty."""

_BIT = {name: 1 << i for i, name in enumerate(COST_NAMES)}

_MODEL = (VariableKind.TRAINABLE.value, VariableKind.FROZEN.value)

COSTS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in FIGURES},
    "bytes": ("bytes_read", "bytes_written"),
    "params": tuple(f"params.{kind}" for kind in _MODEL),
    "param_bytes": tuple(f"param_bytes.{kind}" for kind in _MODEL),
    **{f"{name}.{kind}": (f"{name}.{kind}",) for name in ("params", "param_bytes") for kind in KINDS},
}
"""Every name of a cost, and the figures of which it is the sum: `params` are those of the model, no buffers and no optimizer states."""

_HELD_BY_FIELD = (FIGURES, *(tuple(f"{name}.{kind}" for kind in KINDS) for name in ("params", "param_bytes")))
_PLACE = {name: (field, place) for field, names in enumerate(_HELD_BY_FIELD) for place, name in enumerate(names)}
"""In which of its fields, and where there, a `Cost` holds a figure."""

_BITS = {name: reduce(or_, (_BIT[part.partition(".")[0]] for part in parts)) for name, parts in COSTS.items()}
ALL_MISSING = (1 << len(COST_NAMES)) - 1
ALL_FIGURES = (1 << len(FIGURES)) - 1
SAVED_BIT = _BIT["saved_bytes"]
_OWN_FIGURES = (1 << len(OF_A_RUN)) - 1
_NO_FIGURES = (0,) * len(FIGURES)
_NO_PARAMS = (0,) * len(KINDS)
_COUNTED = _BIT["macs"] | _BIT["flops"] | _BIT["transcendentals"]
_MOVED = _BIT["bytes_read"] | _BIT["bytes_written"]
_HELD = _BIT["activation_elements"] | _BIT["activation_bytes"]
SCALING_BITS = _BIT["flops"] | _MOVED | _HELD
"""What a multiplication by a number counts towards."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Figures of one op or of many. Sums are of what is known; what is not known is marked, never counted as zero."""

    figures: tuple[int, ...] = _NO_FIGURES
    """One int per name of FIGURES."""
    params: tuple[int, ...] = _NO_PARAMS
    """Elements of variables, one int per kind."""
    param_bytes: tuple[int, ...] = _NO_PARAMS
    missing: int = 0
    """Bits of COST_NAMES for which something counted here is unknown."""
    at_most: int = 0
    """Bits of COST_NAMES for which something counted here is data-dependent, and counted at its most."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            tuple(map(add, self.figures, other.figures)),
            tuple(map(add, self.params, other.params)),
            tuple(map(add, self.param_bytes, other.param_bytes)),
            self.missing | other.missing,
            self.at_most | other.at_most,
        )

    def __mul__(self, times: int) -> Cost:
        """The cost of that many runs. Params and what backward keeps are storage, not work: they do not multiply."""
        if times == 1:
            return self
        figures = multiplied(self.figures, times)
        return Cost(figures, self.params, self.param_bytes, self.missing, self.at_most)

    def get(self, name: str) -> int:
        """A cost by any name of COSTS: the sum of what is known. Errors: IrflopsError where there is none of that name."""
        if name in _PLACE:
            field, place = _PLACE[name]
            return (self.figures, self.params, self.param_bytes)[field][place]
        return sum(map(self.get, _named(COSTS, name)))

    def is_known(self, name: str) -> bool:
        """Whether nothing that counts towards a cost is unknown. Errors: IrflopsError where there is none of that name."""
        return not self.missing & _named(_BITS, name)

    def certainty(self, name: str) -> Certainty:
        """How sure a cost is, by any name of COSTS. Errors: IrflopsError where there is none of that name."""
        return self._certainty(_named(_BITS, name))

    def is_exact(self, name: str) -> bool:
        """Whether nothing of a cost is unknown or a bound. Errors: IrflopsError where there is none of that name."""
        return not (self.missing | self.at_most) & _named(_BITS, name)

    def share(self, name: str, total: Cost) -> Ratio:
        """The part of a total that this is."""
        return Ratio(self.get(name), total.get(name))

    @property
    def intensity(self) -> Ratio:
        """Arithmetic intensity: FLOPs over bytes read and written."""
        sure = self.certainty("flops") | self.certainty("bytes")
        return Ratio(self.get("flops"), self.get("bytes"), sure.of_quotient)

    @property
    def worst(self) -> Certainty:
        """The certainty of all figures together."""
        return self._certainty(ALL_MISSING)

    def _certainty(self, bits: int) -> Certainty:
        if not (self.missing | self.at_most) & bits:
            return Certainty.EXACT
        below = Certainty.LOWER_BOUND if self.missing & bits else Certainty.EXACT
        above = Certainty.UPPER_BOUND if self.at_most & bits else Certainty.EXACT
        return below | above


ZERO = Cost()


def multiplied(figures: tuple[int, ...], times: int) -> tuple[int, ...]:
    """The figures of that many runs of what has these."""
    return (*[figure * times for figure in figures[: len(OF_A_RUN)]], *figures[len(OF_A_RUN) :])


def _named(table: Mapping[str, T], name: str) -> T:
    try:
        return table[name]
    except KeyError:
        raise IrflopsError(f"there is no cost {quoted(name)}", hint=f"costs: {', '.join(COSTS)}") from None


@dataclass(frozen=True, slots=True)
class Saved:
    """What backward keeps of an operator's results."""

    results: tuple[int, ...]
    """The places of those that it keeps."""
    reason: str | None = None
    """Why that is not known, if it is not."""
    at_most: bool = False
    """Whether the data decide how large the results are."""


@dataclass(frozen=True, slots=True)
class OpCost:
    """The cost of one run of an op, and why a figure is unknown, if one is."""

    cost: Cost
    reason: str | None = None
    """`no_rule`, `missing_shape`, `missing_attribute`, `unknown_phase` or `unknown_reader`."""
    misfit: str | None = None
    """Why it cannot be counted: its tensors cannot go together, or a count would be negative. No shape rule needs to have seen it."""
    saved: Saved | None = None
    """What backward keeps of its results, None where that is nothing."""


class CostTable:
    """Costs of ops by their type, attributes and tensor types: each distinct op is worked out once."""

    def __init__(self, types: Mapping[str, TensorType], book: RuleBook = BOOK) -> None:
        self._types = types
        self._book = book
        self._known: dict[object, OpCost] = {}

    def cost(self, op: Op) -> OpCost:
        """The cost of one run of an op."""
        types = self._types
        holds = op.phase is Phase.FORWARD or op.phase is Phase.RECOMPUTE or op.phase is None
        key = (
            op.type or op.type_candidates,
            op.attrs,
            tuple([(operand.arg, operand_type(operand, types)) for operand in op.inputs]),
            tuple([(result.arg, types.get(result.lbn, result.type)) for result in op.outputs]),
            holds,
            op.phase is None,
            op.kind,
            op.kind_open,
            op.elided,
            op.readings,
        )
        found = self._known.get(key)
        if found is None:
            found = _op_cost(op, types, holds, self._book)
            found = self._known[key] = found if op.phase is not None else _unphased(found)
        return found


def _unphased(found: OpCost) -> OpCost:
    """The cost of an op of which nothing tells whether it is of the forward pass: results of the backward pass are no activations."""
    cost = found.cost
    held = sum(_BIT[name] for name in ("activation_elements", "activation_bytes") if cost.get(name))
    if not held:
        return found
    figures = tuple(0 if held >> i & 1 else figure for i, figure in enumerate(cost.figures))
    cost = replace(cost, figures=figures, missing=cost.missing | held, at_most=cost.at_most & ~held)
    return replace(found, cost=cost, reason=found.reason or "unknown_phase")


def _op_cost(op: Op, types: Mapping[str, TensorType], holds: bool, book: RuleBook) -> OpCost:
    if op.type is not None and not op.readings:
        return _typed_cost(op, op.type, types, holds, book)
    readings = [replace(op, inputs=operands, readings=()) for operands in op.readings] or [op]
    op_types = (op.type,) if op.type is not None else op.type_candidates
    return _agreed([_typed_cost(reading, op_type, types, holds, book).cost for reading in readings for op_type in op_types], holds=holds)


def _agreed(candidates: list[Cost], *, holds: bool) -> OpCost:
    """The cost of an op that may be of several types, or have several sets of operands: a figure is known where all have the same."""
    if not candidates:
        return OpCost(Cost(missing=_COUNTED | _MOVED | (_HELD if holds else 0)), "missing_attribute")
    missing = at_most = 0
    for cost in candidates:
        missing |= cost.missing
        at_most |= cost.at_most
    columns = list(zip(*(cost.figures for cost in candidates), strict=True))
    missing |= sum(1 << i for i, column in enumerate(columns) if len(set(column)) > 1)
    figures = tuple(0 if missing >> i & 1 else column[0] for i, column in enumerate(columns))
    return OpCost(Cost(figures, missing=missing, at_most=at_most), "missing_attribute" if missing else None)


def _typed_cost(op: Op, op_type: str, types: Mapping[str, TensorType], holds: bool, book: RuleBook) -> OpCost:
    rule = book.rule(op_type)
    if rule is None:
        return OpCost(Cost(missing=_COUNTED | _MOVED | (_HELD if holds else 0)), "no_rule")
    if op_type == "variable":
        return _variable_cost(op, types)
    if op.elided and not rule.is_view:
        return _elided_cost(op, rule, op_type, types, holds)
    seen = view(op, op_type, types)
    impossible = _misfit_of_shapes(rule, seen) if rule.is_view else None
    if impossible is not None:
        return OpCost(Cost(missing=_OWN_FIGURES & ~_BIT["macs"]), "missing_shape", impossible)
    work, why, misfit = _work(rule, seen)
    traffic, why_bytes, misfit_bytes = _traffic(rule, seen)
    elements, held = _activation(rule, op, types) if holds and op_type not in ("input", "output") else (0, 0)
    values: list[int | None] = [work.macs, work.flops, work.transcendentals]
    values += [None, None] if traffic is None else [sum(traffic.reads.values()), sum(traffic.writes.values())]
    values += [elements, held, 0]
    missing = sum(1 << i for i, value in enumerate(values) if value is None)
    why_held = "missing_shape" if elements is None or held is None else None
    figures = tuple(0 if value is None else value for value in values)
    # Nothing at most is nothing: only a figure that could be less is an upper bound.
    at_most = sum(1 << i for i, figure in enumerate(figures) if figure and rule.upper_bound)
    return OpCost(
        Cost(figures, missing=missing, at_most=at_most), (why or why_bytes or why_held) if missing else None, misfit or misfit_bytes
    )


def _elided_cost(op: Op, rule: OpRule, op_type: str, types: Mapping[str, TensorType], holds: bool) -> OpCost:
    """Of an op whose operands the dump leaves out, only what its results alone tell: the macs of no contraction, and what they hold."""
    elements, held = _activation(rule, op, types) if holds and op.outputs else (None, None) if holds else (0, 0)
    known = {"activation_elements": elements, "activation_bytes": held, "saved_bytes": 0} | ({} if rule.contraction else {"macs": 0})
    figures = tuple(known.get(name) or 0 for name in FIGURES)
    missing = sum(1 << i for i, name in enumerate(FIGURES) if known.get(name) is None)
    return OpCost(Cost(figures, missing=missing), "missing_shape")


def _misfit_of_shapes(rule: OpRule, seen: OpView) -> str | None:
    """Why results of unknown shape have none. Of other ops than views the bytes tell that something is unknown; a view moves none."""
    if all(type_.numel is not None for arg in seen.output_args for type_ in seen.outputs(arg)):
        return None
    try:
        result_types(rule, seen)
    except Unknowable:
        return None
    except MISFIT as error:
        return misfit_text(seen.type, error)
    return None


def _work(rule: OpRule, seen: OpView) -> tuple[Work, str | None, str | None]:
    """The work, why some of it is unknown, and what does not fit."""
    nothing = UNKNOWN_WORK if rule.contraction else replace(UNKNOWN_WORK, macs=0)
    try:
        work, reason = rule.cost(seen), None
    except Unknowable as unknown:
        work, reason = (unknown.known if rule.contraction else replace(unknown.known, macs=0)), unknown.reason
    except MISFIT as error:
        return nothing, "missing_shape", misfit_text(seen.type, error)
    wrong = _no_count({"macs": work.macs, "arithmetic": work.arithmetic, "transcendentals": work.transcendentals})
    return (work, reason, None) if wrong is None else (nothing, "missing_shape", f"{seen.type}: {wrong}")


def _traffic(rule: OpRule, seen: OpView) -> tuple[Traffic | None, str | None, str | None]:
    """The bytes that move, why they are unknown, and what does not fit."""
    try:
        traffic = rule.moved(seen)
    except Unknowable as unknown:
        return None, unknown.reason, None
    except MISFIT as error:
        return None, "missing_shape", misfit_text(seen.type, error)
    wrong = _no_count(traffic.reads) or _no_count(traffic.writes)
    return (traffic, None, None) if wrong is None else (None, "missing_shape", f"{seen.type}: {wrong} bytes")


def _no_count(counts: Mapping[str, int | None]) -> str | None:
    """Words for a number of a rule's that is no count, where there is one."""
    wrong = next((name for name, count in counts.items() if count is not None and not is_count(count)), None)
    return None if wrong is None else f"its tensors and attributes would make {wrong} {counts[wrong]}"


def _activation(rule: OpRule, op: Op, types: Mapping[str, TensorType]) -> tuple[int | None, int | None]:
    """Elements and bytes of the results that own their storage."""
    if rule.is_view:
        return 0, 0
    elements: int | None = 0
    nbytes: int | None = 0
    for result in op.outputs:
        type_ = types.get(result.lbn, result.type)
        elements = None if elements is None or type_.numel is None else elements + type_.numel
        nbytes = None if nbytes is None or type_.nbytes is None else nbytes + type_.nbytes
    return elements, nbytes


def _variable_cost(op: Op, types: Mapping[str, TensorType]) -> OpCost:
    type_ = types.get(op.outputs[0].lbn, op.outputs[0].type) if op.outputs else TensorType()
    kind = KINDS.index((op.kind or VariableKind.BUFFER).value)
    numel, nbytes = type_.numel, type_.nbytes
    is_open = _BIT["params"] | _BIT["param_bytes"] if op.kind_open else 0
    missing = (_BIT["params"] if numel is None else 0) | (_BIT["param_bytes"] if nbytes is None else 0) | is_open
    cost = Cost(
        params=tuple((numel or 0) if i == kind else 0 for i in range(len(KINDS))),
        param_bytes=tuple((nbytes or 0) if i == kind else 0 for i in range(len(KINDS))),
        missing=missing,
        at_most=is_open,
    )
    return OpCost(cost, "missing_shape" if numel is None or nbytes is None else None)
