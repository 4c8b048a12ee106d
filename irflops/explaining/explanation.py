"""All that is known of one operator: where it stands, its formula with numbers put in, and what each convention counts for it."""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from irflops.analysis.analysis import Analysis
from irflops.analysis.rows import Row, op_cost_row
from irflops.conventions.layer_forms import LayerForms, layer_forms_of
from irflops.conventions.registry import CONVENTIONS, Answer, Convention, count
from irflops.conventions.rows import whole
from irflops.counting.cost import Cost, OpCost
from irflops.counting.infer import MISFIT, operand_type, view
from irflops.errors import IrflopsError
from irflops.ir import plain
from irflops.ir.graph import AttrValue, Op, Operand, TensorType
from irflops.ir.signatures import FUSED_TERM, signature
from irflops.lifting.steps import Step
from irflops.ops.op_view import OpView
from irflops.ops.rule import OpRule
from irflops.ops.traffic import TOGETHER, Traffic
from irflops.ops.work import Unknowable
from irflops.teaching.advice import lines_for_op

SCHEMA = "irflops.explain/1"
"""Name and version of the JSON form."""

SHOWN = 5
"""Names that an error lists."""

TOLD_BY = {
    "repr": "the text of its module",
    "job_text": "the job",
    "job_binary": "the job",
    "mlir": "the MLIR",
}
"""What tells an operator's attributes, by form of graph."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """An operand or a result."""

    role: str
    """`operand` or `result`."""
    operand: Operand
    type: TensorType
    known_from: str
    """`the file`, `its producer` or `inference`."""
    maker: str | None
    """The operator that makes it, where that is another."""
    bytes_read: int | None
    bytes_written: int | None
    """Traffic of one run; None where it cannot be known."""

    def to_dict(self) -> Row:
        """The tensor as plain data."""
        return {
            "role": self.role,
            "arg": self.operand.arg,
            "index": self.operand.index,
            "lbn": self.operand.lbn,
            "shape": plain.shape(self.type),
            "dtype": plain.dtype(self.type),
            "sbp": plain.sbp(self.operand),
            "known_from": self.known_from,
            "made_by": self.maker,
            "bytes_read": self.bytes_read,
            "bytes_written": self.bytes_written,
        }


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute, or one that this form lacks."""

    name: str
    value: AttrValue
    known_from: str | None
    """None where nothing tells it."""


@dataclass(frozen=True, slots=True)
class OpAnswer:
    """What a convention counts for an operator."""

    convention: Convention
    value: int | str | None
    """Of all the operators of the contribution; None where the tool counts nothing for it, or ends with an exception."""
    why: str

    def to_dict(self) -> Row:
        """The answer as plain data."""
        return {"name": self.convention.name, "unit": self.convention.unit, "value": self.value, "why": self.why}


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is known of one operator."""

    analysis: Analysis
    index: int
    step: Step | None
    """The call of the user's that it is part of; None for variables, inputs and outputs."""
    rule: OpRule | None
    numbers: str | None
    """The formula with numbers put in."""
    tensors: tuple[Tensor, ...]
    attributes: tuple[Attribute, ...]
    conventions: tuple[OpAnswer, ...]
    layer: LayerForms | None = None
    """The formulas of articles, where it is a convolution or a linear layer, or the addition of its bias."""

    def __repr__(self) -> str:
        return f"<Explanation of {self.op.name}, {self.op.type or 'of unknown type'}>"

    @property
    def op(self) -> Op:
        """The operator itself."""
        return self.analysis.graph.ops[self.index]

    @property
    def by(self) -> str | None:
        """Who says how it is counted, where that is not irflops."""
        return self.analysis.book.taught_by(self.op.type)

    @property
    def advice(self) -> tuple[str, ...]:
        """The lines of a configuration that would say how it is counted, where nothing does."""
        return lines_for_op(self.op, self.analysis.inference.types) if self.rule is None and self.op.type is not None else ()

    @property
    def found(self) -> OpCost:
        """Its cost in one run, with the reason where something is unknown."""
        return self.analysis.costs[self.index]

    @property
    def cost(self) -> Cost:
        """The cost of all its runs."""
        return self.analysis.op_cost(self.index)

    def to_dict(self) -> Row:
        """The explanation as plain data, the JSON of `irflops explain --format json`."""
        analysis, op = self.analysis, self.op
        module = next((module for module in analysis.graph.modules if module.path == op.module), None)
        cost = self.cost
        total = analysis.total
        return {
            "schema": SCHEMA,
            "source": {"path": analysis.graph.source.name, "format": analysis.graph.format},
            "op": op.name,
            "type": op.type,
            "type_candidates": list(op.type_candidates),
            "line": analysis.line(op),
            "location": {"file": op.location.file, "line": op.location.line, "function": op.location.function} if op.location else None,
            "module": {"path": op.module, "class": module.class_name if module else None, "text": module.text if module else None},
            "phase": op.phase.value if op.phase else None,
            "runs": op.runs,
            "step": None if self.step is None else {"kind": self.step.kind, "ops": [analysis.graph.ops[i].name for i in self.step.ops]},
            "tensors": [tensor.to_dict() for tensor in self.tensors],
            "attributes": [{"name": a.name, "value": plain.finite(a.value), "known_from": a.known_from} for a in self.attributes],
            "summary": self.rule.summary if self.rule else None,
            "formula": self.rule.formula if self.rule else None,
            "by": self.by,
            "numbers": self.numbers,
            "ignores": self.rule.ignores if self.rule else None,
            "reason": self.found.reason,
            "costs": op_cost_row(cost),
            "shares": {
                name: float(round(Fraction(cost.get(name), total.get(name)), 6)) if total.get(name) and cost.is_known(name) else None
                for name in ("macs", "flops", "bytes_read", "bytes_written")
            },
            "conventions": [answer.to_dict() for answer in self.conventions],
            "layer": self.layer.to_dict() if self.layer is not None else None,
        }


def find_op(analysis: Analysis, wanted: str) -> int:
    """The operator of that name, the one that has it in its name, or the one at `line:N`. Errors: IrflopsError with suggestions."""
    graph = analysis.graph
    path = graph.source.name
    names = [op.name for op in graph.ops]
    if wanted in graph.by_name:
        return names.index(wanted)
    line = re.fullmatch(r"line:(\d{1,12})", wanted)
    if line is not None:
        number = int(line[1])
        spans = [(i, op.span) for i, op in enumerate(graph.ops) if op.span is not None]
        at = [i for i, span in spans if graph.source.line(span.start) <= number <= graph.source.line(max(span.start, span.end - 1))]
        if len(at) == 1:
            return at[0]
        below = [i for i, span in spans if graph.source.line(span.start) > number]
        hint = f"the next is {names[below[0]]!r}, line {analysis.line(graph.ops[below[0]])}" if below else "no operator stands below it"
        message = f"{len(at)} operators stand on line {number}" if at else f"no operator stands on line {number}"
        raise IrflopsError(message, path=path, hint=f"name one: {_listed([names[i] for i in at])}" if at else hint)
    inside = [i for i, name in enumerate(names) if wanted and wanted in name]
    if len(inside) == 1:
        return inside[0]
    if inside:
        raise IrflopsError(f"{len(inside)} operators have {wanted!r} in their names", path=path, hint=_listed([names[i] for i in inside]))
    near = difflib.get_close_matches(wanted, names, n=SHOWN, cutoff=0.5)
    hint = f"did you mean {_listed(near)}?" if near else "irflops analyze --by op lists them"
    raise IrflopsError(f"no operator is called {wanted!r}", path=path, hint=hint)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def explain_op(analysis: Analysis, index: int, conventions: Sequence[Convention] = CONVENTIONS) -> Explanation:
    """All that is known of the operator at a position of the graph."""
    op = analysis.graph.ops[index]
    types = analysis.inference.types
    rule = analysis.book.rule(op.type)
    seen = view(op, op.type or "?", types)
    step = next((step for step in analysis.structure.steps if index in step.ops), None)
    answers = [count(convention, analysis.structure) for convention in conventions]
    return Explanation(
        analysis=analysis,
        index=index,
        step=step,
        rule=rule,
        numbers=numbers(rule.formula, seen, analysis.costs[index].cost) if rule is not None else None,
        tensors=_tensors(analysis, op, _traffic(rule, seen)),
        attributes=_attributes(analysis, op),
        conventions=tuple(_op_answer(answer, op, index, step) for answer in answers),
        layer=layer_forms_of(analysis, step) if step is not None else None,
    )


def _traffic(rule: OpRule | None, seen: OpView) -> Traffic | None:
    if rule is None:
        return None
    try:
        return rule.moved(seen)
    except (Unknowable, MISFIT):
        return None


def _tensors(analysis: Analysis, op: Op, traffic: Traffic | None) -> tuple[Tensor, ...]:
    graph, types = analysis.graph, analysis.inference.types
    makers = {maker.name: maker for operand in op.inputs if (maker := graph.producers.get(operand.lbn)) is not None}
    stated = {made.lbn for maker in makers.values() for made in maker.outputs if made.type.numel is not None}
    found = []
    for role, operands in (("operand", op.inputs), ("result", op.outputs)):
        of_argument = Counter(operand.arg for operand in operands)
        for operand in operands:
            type_ = operand_type(operand, types) if role == "operand" else types.get(operand.lbn, operand.type)
            maker = graph.producers.get(operand.lbn)
            by_producer = role == "operand" and operand.lbn in stated
            known_from = "the file" if operand.type.numel is not None else "its producer" if by_producer else "inference"
            reads = writes = None
            if traffic is not None and TOGETHER in (*traffic.reads, *traffic.writes):
                pass  # of all operands or results, and of none alone
            elif traffic is not None and of_argument[operand.arg] == 1:
                reads, writes = traffic.reads.get(operand.arg, 0), traffic.writes.get(operand.arg, 0)
            elif traffic is not None:  # several tensors of one argument move what they hold, or nothing
                moves = traffic.reads.get(operand.arg, 0) if role == "operand" else traffic.writes.get(operand.arg, 0)
                share = type_.nbytes if moves else 0
                reads, writes = (share, 0) if role == "operand" else (0, share)
            name = maker.name if maker is not None and maker is not op else None
            found.append(Tensor(role, operand, type_, known_from, name, reads, writes))
    return tuple(found)


def _attributes(analysis: Analysis, op: Op) -> tuple[Attribute, ...]:
    known_from = TOLD_BY.get(analysis.graph.format, "the file")
    if not analysis.graph.holds.attrs:
        module = next((module for module in analysis.graph.modules if module.path == op.module), None)
        if module is not None and module.span is not None:
            known_from = f"{known_from}, line {analysis.graph.source.line(module.span.start)}"
    found = [Attribute(name, value, known_from) for name, value in op.attrs.items()]
    known = signature(op.type) if op.type is not None and not analysis.graph.holds.attrs else None  # other versions have others
    missing = [name for name in known.attrs if name not in op.attrs] if known is not None else []
    return (*found, *(Attribute(name, None, None) for name in missing))


def _op_answer(answer: Answer, op: Op, index: int, step: Step | None) -> OpAnswer:
    convention = answer.convention
    for part in answer.contributions:
        if index in part.ops:
            together = f", for {part.type} as a whole ({len(part.ops)} operators)" if len(part.ops) > 1 else f", for {part.type}"
            return OpAnswer(convention, whole(part.value), part.formula + together)
    if step is None:
        return OpAnswer(convention, 0, "it computes nothing")
    if op.phase not in convention.phases:
        return OpAnswer(convention, 0, f"it does not see the {op.phase.value if op.phase else 'unknown'} phase")
    if convention.raw:
        return OpAnswer(convention, None, f"KeyError: {op.type!r}: its table lacks the type, and it ends here")
    if answer.raises is not None:
        return OpAnswer(convention, None, f"it ends with {answer.raises}")
    if convention.operators:
        return OpAnswer(convention, 0, f"it has no rule for {step.kind}")
    return OpAnswer(convention, 0, "it is in no module that has a rule")


# ------------------------------------------------------------------ numbers

Term = Callable[[OpView, Cost], int | None]


def _extents(argument: str, first: int, last: int | None = None) -> Term:
    return lambda seen, _cost: math.prod(seen.shape(argument)[first:last])


def _first_of(*terms: Term) -> Term:
    """The first term that can be worked out."""

    def term(seen: OpView, cost: Cost) -> int | None:
        for one in terms:
            try:
                return one(seen, cost)
            except (Unknowable, MISFIT):
                continue
        return None

    return term


def _depth(seen: OpView, cost: Cost) -> int | None:
    numel = seen.numel("out")
    return cost.get("macs") // numel if cost.is_known("macs") and numel else None


def _window(seen: OpView, _cost: Cost) -> int | None:
    return math.prod(seen.ints("kernel_size"))


_WEIGHTS = ("weight", "filter", "filter_diff")
_TERMS: Mapping[str, Term] = {
    "prod(kernel)": _first_of(*(_extents(name, 2) for name in _WEIGHTS)),
    "in_channels/groups": _first_of(*(_extents(name, 1, 2) for name in _WEIGHTS)),
    "x_channels/groups": _first_of(*(_extents(name, 1, 2) for name in _WEIGHTS)),
    "out_channels/groups": _extents("weight", 1, 2),
    "out_features": _extents("weight", 0, 1),
    "in_features": _extents("weight", 1, 2),
    "b.shape[-1]": _extents("b", -1),
}
"""Words of formulas that a tensor tells."""

_LETTERS: Mapping[str, Mapping[str, Term]] = {
    **{op_type: {"k": _depth} for op_type in ("matmul", "batch_matmul", "broadcast_matmul")},
    **{f"{kind}_pool_{n}d": {"k": _window} for kind in ("max", "avg") for n in (1, 2, 3)},
    "normalization": {"n": lambda seen, _cost: seen.numel("x"), "c": lambda seen, _cost: seen.numel("moving_mean")},
    "layer_norm": {"n": lambda seen, _cost: seen.numel("x"), "g": lambda seen, _cost: seen.numel("mean")},
    "group_norm": {"n": lambda seen, _cost: seen.numel("x"), "g": lambda seen, _cost: seen.numel("mean")},
}
"""Letters that stand for a size in the formulas of these types."""

_FOR_ARGUMENT = re.compile(r"[,;] (?:\+ )?[^,;:+]*? (?:for|where) (?:a |the )?(\w+)(?: or (\w+))?(?=[,;:]|$)")
"""A term of a formula that is there for an operand: `, + numel(out) for a bias or _add_to_output`."""

_NUMEL = re.compile(r"(?:(\d+) )?numel\((\w+)\)")


def numbers(formula: str, seen: OpView, cost: Cost) -> str:
    """A formula with the sizes of an operator in the place of their names, as far as they are known, and what comes out."""

    def size(match: re.Match[str]) -> str:
        try:
            elements = seen.numel(match[2])
        except (Unknowable, MISFIT):
            return match[0]
        return f"{match[1]} * {elements}" if match[1] else str(elements)

    text = _NUMEL.sub(size, _FOR_ARGUMENT.sub(lambda match: match[0] if _applies(match, seen) else "", formula))
    for word, term in _TERMS.items():
        if word in text:
            text = text.replace(word, _value(term, seen, cost) or word)
    for letter, term in _LETTERS.get(seen.type, {}).items():
        value = _value(term, seen, cost)
        if value is not None:
            text = re.sub(rf"(?<![\w.])(\d+){letter}(?!\w)", rf"\1 * {value}", text)
            text = re.sub(rf"(?<![\w.]){letter}(?!\w)", value, text)
    shown = ["macs", "flops"] + ["transcendentals"] * (cost.get("transcendentals") != 0 or not cost.is_known("transcendentals"))
    results = ", ".join(f"{name} = {cost.get(name) if cost.is_known(name) else 'unknown'}" for name in shown)
    return f"{text}: {results}"


def _applies(term: re.Match[str], seen: OpView) -> bool:
    """Whether a term counts for an operator: one of the operands is there that it is for, or none of its words is an operand's name."""
    known = signature(seen.type)
    names = {arg.name for arg in known.inputs} | {FUSED_TERM} if known is not None else set()
    words = {word for word in (term[1], term[2], *(word.removesuffix("es") for word in term.groups() if word)) if word in names}
    return not words or any(word in seen.input_args for word in words)


def _value(term: Term, seen: OpView, cost: Cost) -> str | None:
    try:
        value = term(seen, cost)
    except (Unknowable, MISFIT):
        return None
    return None if value is None else str(value)
