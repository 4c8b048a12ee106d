"""`suspicious-attribute`: a value that makes no sense."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from irflops.auditing.facts import LATER_ATTRS, Facts, argument
from irflops.auditing.finding import Severity
from irflops.auditing.kinds import BATCH_NORMS, CONVOLUTIONS, NORMS, TRANSPOSED_CONVOLUTIONS
from irflops.auditing.rule import AuditRule, Bad, Good, Hit, Near, Options, Outcome, Undecided
from irflops.ir.graph import AttrValue, Op
from irflops.ir.signatures import op_types, signature

_CONVS = CONVOLUTIONS | TRANSPOSED_CONVOLUTIONS
_POOLS = frozenset(f"{kind}_pool_{rank}d" for kind in ("avg", "max") for rank in (1, 2, 3))
_ADAPTIVE = frozenset(f"adaptive_{kind}_pool{rank}d" for kind in ("avg", "max") for rank in (1, 2, 3))
_SCALES = frozenset({"scalar_mul", "scalar_div"})
_FACTORS = ("has_int_operand", "has_float_operand", "int_operand", "float_operand")
_UPDATES = frozenset(op_type for op_type in op_types() if op_type.endswith("_update"))


@dataclass(frozen=True, slots=True)
class _Doubtful:
    """An attribute of some types, what makes it suspicious, and what to say then."""

    types: frozenset[str]
    attr: str
    is_odd: Callable[[AttrValue], bool]
    text: str


def _any(is_odd: Callable[[float], bool]) -> Callable[[AttrValue], bool]:
    """Holds where it holds of the number, or of one in the list."""

    def check(value: AttrValue) -> bool:
        values = value if isinstance(value, tuple) else (value,)
        return any(isinstance(v, (int, float)) and not isinstance(v, bool) and is_odd(v) for v in values)

    return check


_ODD = (
    *(_Doubtful(_CONVS | _POOLS, name, _any(lambda v: v <= 0), f"{name} is not positive") for name in ("kernel_size", "strides", "stride")),
    *(_Doubtful(_CONVS | _POOLS, name, _any(lambda v: v <= 0), f"{name} is not positive") for name in ("dilation_rate", "dilation")),
    *(_Doubtful(_CONVS | _POOLS, name, _any(lambda v: v < 0), f"{name} is negative") for name in ("padding_before", "padding")),
    _Doubtful(_CONVS, "groups", _any(lambda v: v <= 0), "groups is not positive"),
    *(_Doubtful(NORMS, name, _any(lambda v: v == 0), f"{name} is 0: a constant channel divides by zero") for name in ("epsilon", "eps")),
    *(_Doubtful(NORMS | _UPDATES, name, _any(lambda v: v < 0), f"{name} is negative") for name in ("epsilon", "eps")),
    _Doubtful(BATCH_NORMS, "momentum", _any(lambda v: not 0 <= v <= 1), "momentum is not between 0 and 1"),
    _Doubtful(frozenset({"dropout"}), "rate", _any(lambda v: v == 1), "a rate of 1 drops everything"),
    _Doubtful(frozenset({"dropout"}), "rate", _any(lambda v: not 0 <= v <= 1), "rate is not between 0 and 1"),
    _Doubtful(_ADAPTIVE, "output_size", _any(lambda v: v <= 0), "output_size is not positive"),
)
_BY_TYPE: dict[str, list[_Doubtful]] = {}
for _doubtful in _ODD:
    for _op_type in _doubtful.types:
        _BY_TYPE.setdefault(_op_type, []).append(_doubtful)

_MAY_BE_INFINITE = ("fill", "value", "min", "max", "pad", "operand", "threshold", "ord", "diagonal")
"""Parts of the names of attributes that bound or fill: an infinity is an ordinary value there."""


def _check(facts: Facts, _options: Options) -> Iterator[Outcome]:
    looked_at = 0
    judged: dict[tuple[str | None, int], list[str]] = {}
    for op in facts.graph.ops:
        key = op.type, id(op.attrs)  # readers share the attributes of ops that are alike
        said = judged.get(key)
        if said is None:
            said = judged[key] = _said_of(op.type, op.attrs)
        looked_at += bool(op.attrs)
        lacks = _needed(op.type).difference(op.attrs) if op.type is not None and not said else frozenset()
        if lacks:
            told = _told_by_shapes(op, facts)
            said, lacks = _said_of(op.type, told), lacks.difference(told)
        if said:
            yield Hit(message="; ".join(said), op=op)
        elif lacks:
            never = "" if facts.graph.holds.attrs else "attrs"
            yield Undecided(reason="the form does not hold the op's attributes", op=op, never=never)
    yield Near(message=f"the attributes of {looked_at:,} ops were looked at")


@cache
def _needed(op_type: str) -> frozenset[str]:
    """Attributes that a type has and that are looked at: any floating number may be none."""
    declared = signature(op_type)
    if declared is None:
        return frozenset()
    looked_at = {odd.attr for odd in _BY_TYPE.get(op_type, ())} | set(_FACTORS if op_type in _SCALES else ())
    needed = frozenset(declared.floats) | (frozenset(declared.attrs) & looked_at)
    return frozenset(name for name in needed if (op_type, name) not in LATER_ATTRS)


def _told_by_shapes(op: Op, facts: Facts) -> dict[str, AttrValue]:
    """Attributes that the form leaves out and shapes tell: an adaptive pool's `output_size` is what it makes, a weight has its kernel.

    Whichever axis has the channels, they are taken along: an extent is judged by itself.
    """
    if op.type in _ADAPTIVE and op.outputs:
        made = facts.shape(op.outputs[0])
        return {"output_size": made[1:]} if made is not None else {}
    weight = argument(op, "weight") if op.type in _CONVS else None
    shape = facts.shape(weight) if weight is not None else None
    return {"kernel_size": shape[1:]} if shape is not None else {}


def _said_of(op_type: str | None, attrs: Mapping[str, AttrValue]) -> list[str]:
    """What is wrong with the attributes that are known."""
    if not attrs:
        return []
    said = list(dict.fromkeys(odd.text for odd in _BY_TYPE.get(op_type or "", ()) if odd.is_odd(attrs.get(odd.attr))))
    for name, value in attrs.items():
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float) and not math.isfinite(number) and _makes_no_sense(op_type, name, number):
                said.append(f"{name} is {number}")
                break
    if op_type in _CONVS or op_type in _POOLS:
        said += _idle_dilation(attrs)
    if op_type in _SCALES and _factor(attrs) == 0:
        said.append("a factor of 0 leaves nothing" if op_type == "scalar_mul" else "it divides by 0")
    return said


def _makes_no_sense(op_type: str | None, name: str, number: float) -> bool:
    if math.isnan(number):
        return True
    scales = op_type in _SCALES and name.endswith("operand")
    return scales or not any(part in name for part in _MAY_BE_INFINITE)


def _factor(attrs: Mapping[str, AttrValue]) -> AttrValue:
    """What a scalar op multiplies or divides by; None where the form does not tell."""
    for flag, name in (("has_float_operand", "float_operand"), ("has_int_operand", "int_operand")):
        if attrs.get(flag):
            return attrs.get(name)
    return None


def _idle_dilation(attrs: Mapping[str, AttrValue]) -> list[str]:
    kernel = attrs.get("kernel_size")
    dilation = attrs.get("dilation_rate", attrs.get("dilation"))
    if not isinstance(kernel, tuple) or not isinstance(dilation, tuple):
        return []
    idle = any(size == 1 and isinstance(step, int) and step > 1 for size, step in zip(kernel, dilation, strict=False))
    return ["the dilation has no effect on a kernel of 1"] if idle else []


_CONV = (
    "x = input() -> out: f32[1,8,4,4]\nw = variable() -> out: f32[8,8,1,1]\ny = conv2d(in: x, weight: w, groups=1, filters=8, "
    'data_format="channels_first", kernel_size=[1,1], padding_before=[0,0], strides=[1,1], dilation_rate=[{dilation}]) '
    "-> out: f32[1,8,4,4]\noutput(in: y)"
)
_NORM = """
x = input() -> out: f32[2,8]
y, m, v = layer_norm(x: x, center=false, scale=false, begin_norm_axis=1, begin_params_axis=1, epsilon=EPS) \
-> y: f32[2,8], mean: f32[2], inv_variance: f32[2]
output(in: y)
"""

RULE = AuditRule(
    name="suspicious-attribute",
    summary="An attribute is not finite, or negative or zero where that makes no sense: a dropout of 1, an epsilon of 0, an idle dilation.",
    why="The model runs, and gives NaN, zeros or not what was meant.",
    fix="Look where the value comes from: often an argument stands in another's place.",
    severity=Severity.WARNING,
    check=_check,
    needs=("attrs",),
    undecidable="A printed graph holds no attributes but those that its module texts and shapes tell.",
    good=(
        Good(name="ordinary convolution", graph=_CONV.format(dilation="1,1")),
        Good(name="ordinary epsilon", graph=_NORM.replace("EPS", "0.00001")),
        Good(
            name="minus infinity where a mask fills",
            graph="""
            x = input() -> out: f32[2,8]
            m = input() -> out: bool[2,8]
            y = masked_fill(x: x, mask: m, has_float_operand=true, float_operand=-inf, has_int_operand=false, int_operand=0, \
has_bool_operand=false, bool_operand=false) -> out: f32[2,8]
            output(in: y)
            """,
        ),
        Good(
            name="attributes that are not known",
            graph="x = input() -> out: f32[1,8,4,4]\nw = variable() -> out: f32[8,8,1,1]\n"
            "y = conv2d(in: x, weight: w) -> out: f32[1,8,4,4]\n"
            "output(in: y)",
            undecided=True,
        ),
    ),
    bad=(
        Bad(name="dilation without effect", graph=_CONV.format(dilation="2,2"), op="y", because="a kernel of 1 x 1 has nothing to spread"),
        Bad(name="epsilon of 0", graph=_NORM.replace("EPS", "0.0"), op="y", because="1 / sqrt(0 + 0) where all of a row is equal"),
        Bad(
            name="dropout of 1",
            graph="training\nx = input() -> out: f32[2,8]\ny, mask = dropout(in: x, rate=1.0) -> out: f32[2,8], mask: bool[2,8]\n"
            "output(in: y)",
            op="y",
            because="nothing is kept",
        ),
        Bad(
            name="scale of infinity",
            graph="x = input() -> out: f32[2,8]\ny = scalar_mul(in: x, has_float_operand=true, float_operand=inf, has_int_operand=false, "
            "int_operand=0) -> out: f32[2,8]\noutput(in: y)",
            op="y",
            because="0 x inf is NaN",
        ),
    ),
)
