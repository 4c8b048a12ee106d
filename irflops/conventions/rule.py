"""What a convention is: how one figure of one tool is counted, as a table of rules with its own proof.

A rule sees one step of the graph or one call of a module, and says what the tool adds for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from irflops.ir.graph import Phase, Shape
from irflops.lifting.calls import LiftedCall
from irflops.lifting.steps import Step

Number = int | Fraction
Part = Step | LiftedCall


class ToolError(Exception):
    """The tool ends with this exception instead of a figure."""

    at: str | None = None
    """Class of the module, or kind of the step, that it was asked for."""


class NotTold(Exception):
    """What the tool counts by is not in this form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a tool counts for one kind of step, or for one class of module."""

    formula: str
    """As text. X and Y: elements of the first operand and of the result; W: of the weight; b: of the bias; M: multiply-accumulates; N:
    extent of the first axis of the operand; K: elements of the kernel; [bias]: 1 with a bias, else 0."""
    count: Callable[[Part], Number]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerExample:
    """A layer with the figure that the tool itself printed for it."""

    layer: str
    """Name of a graph in fixtures/layers/printed.repr.txt.gz."""
    total: int | None = None
    raises: str | None = None
    """The exception with which the tool ends there."""


FORWARD = frozenset({Phase.FORWARD})


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """One figure of one tool."""

    name: str
    tool: str
    version: str
    figure: str
    """The call that returns it, and the field that holds it."""
    unit: str
    """What the figure counts, in the tool's own word and in fact."""
    basis: str
    """The figure of irflops that it is compared with: `macs`, `flops` or `activation_elements`."""
    counts_by: str
    """`module class`, `operator`, or both."""
    batch: str
    """`whole`: of all samples; `mean`: divided by the samples; `one`: the tool makes its own input of one sample; `sample`: the rules
    themselves count one sample."""
    modules: Mapping[str, Rule] = field(default_factory=dict)
    """By class name; what stands in such a module is counted by this rule alone. `*` is for every module without others below it."""
    operators: Mapping[str, Rule] = field(default_factory=dict)
    """By kind of step, for steps that no rule of `modules` covers. `*` is for every contraction that has no rule of its own;
    where it is not known whether a step is one, the figure is not known."""
    raw: Mapping[str, Rule] = field(default_factory=dict)
    """By op type as the graph has it, nothing lifted; a type that is missing here ends the tool with KeyError."""
    phases: frozenset[Phase] = FORWARD
    """The phases that the tool sees."""
    last_call_only: bool = False
    """Whether a module that is called again forgets what it counted before."""
    first: Convention | None = None
    """A convention that the tool runs before: where that one raises, so does this."""
    ignores: str
    """What it leaves out."""
    errors: tuple[str, ...] = ()
    """Known faults, which are counted as the tool counts them."""
    source: str
    """Where the rules were read."""
    examples: tuple[LayerExample, ...] = ()

    def __post_init__(self) -> None:
        if self.basis not in ("macs", "flops", "activation_elements"):
            raise TypeError(f"convention {self.name}: basis {self.basis!r}")
        if self.batch not in ("whole", "mean", "one", "sample"):
            raise TypeError(f"convention {self.name}: batch {self.batch!r}")


def examples(**figures: int | str) -> tuple[LayerExample, ...]:
    """Examples by layer: a figure, or the exception."""
    return tuple(
        LayerExample(layer=layer, raises=figure) if isinstance(figure, str) else LayerExample(layer=layer, total=figure)
        for layer, figure in figures.items()
    )


def numel(shape: Shape | None) -> int:
    """Elements of a shape. Errors: NotTold where an extent is."""
    if shape is None:
        raise NotTold("a shape is not known")
    total = 1
    for extent in shape:
        if extent is None:
            raise NotTold("an extent is not known")
        total *= extent
    return total


def x(part: Part) -> int:
    """Elements of the first operand."""
    return numel(part.x)


def y(part: Part) -> int:
    """Elements of the result."""
    return numel(part.y)


def samples(part: Part) -> int:
    """Extent of the first axis of the operand."""
    return numel((part.x or (None,))[:1])


def weight(part: Part) -> int:
    """Elements of the weight."""
    return numel(part.weight)


def biased(part: Part) -> int:
    """1 with a bias, else 0."""
    return int(bool(part.bias if isinstance(part, Step) else part.has_bias))


def affine(part: Part) -> int:
    """1 where a norm scales by a variable, else 0."""
    return int(part.affine)


def spatial(shape: Shape | None) -> int:
    """Elements behind the first two axes."""
    return numel(None if shape is None else shape[2:])


def macs(part: Part) -> int:
    """Multiply-accumulates of a convolution, a Linear or another product, as they are done."""
    if isinstance(part, Step):
        if part.macs is None:
            raise NotTold("its multiply-accumulates are not known")
        return part.macs
    shape = part.weight
    if shape is None or len(shape) < 2:
        raise NotTold("the weight is not known")
    if len(shape) == 2:
        return x(part) * numel(shape[:1])
    if part.class_name is not None and part.class_name.startswith("ConvTranspose"):
        return x(part) * numel(shape[1:])
    return y(part) * numel(shape[1:])


def window(part: Part) -> int:
    """Elements of a pooling window. Errors: NotTold where the form does not tell the kernel."""
    step = part if isinstance(part, Step) else part.step
    kernel = step.op.attrs.get("kernel_size") if step is not None else None
    if not isinstance(kernel, tuple):
        raise NotTold("the kernel size is not known")
    return math.prod(int(k) for k in kernel if isinstance(k, int))


def last_extent(shape: Shape | None) -> int:
    """Extent of the last axis. Errors: NotTold."""
    return numel(shape[-1:] if shape else None)


def recurrent_layers(call: LiftedCall) -> list[tuple[Shape, Shape, int, bool]]:
    """Of each layer and direction of an LSTM, GRU or RNN: both weights' shapes, elements of both biases, and whether it is the reverse."""
    found = []
    for name, shape in call.parameters.items():
        if not name.startswith("weight_ih_l"):
            continue
        ending = name.removeprefix("weight_ih")
        other = call.parameters.get(f"weight_hh{ending}")
        if shape is None or other is None:
            raise NotTold("a weight is not known")
        bias = sum(numel(call.parameters[key]) for key in (f"bias_ih{ending}", f"bias_hh{ending}") if key in call.parameters)
        found.append((shape, other, bias, ending.endswith("_reverse")))
    return found


COUNTS_ZERO = Rule(formula="0", count=lambda _: 0)
"""For what a tool knows and counts nothing for: what stands in such a module is covered by it."""


def rules(count: Rule, *names: str) -> dict[str, Rule]:
    """One rule for several classes or kinds; `#` in a name stands for 1, 2 and 3."""
    return {name.replace("#", n): count for name in names for n in (("1", "2", "3") if "#" in name else ("",))}
