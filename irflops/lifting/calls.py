"""The calls of modules, as counters that hook modules see them: from the module tree of a dump, or inferred where a form has no classes.

A printed graph names each module's class and, call by call, what went in and out. A job and MLIR do not: there the class of a module
without others below it follows from its operators.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from irflops.ir.graph import Graph, Phase, Shape, VariableKind
from irflops.ir.tree import tree_of
from irflops.lifting.steps import RESHAPED, Step
from irflops.ops.book import RuleBook

MODULE_TREE, INFERRED = "module_tree", "inferred"
"""Where the classes of modules are known from."""

_FREE = RESHAPED | {"transpose", "flatten", "constant", "pad", "constant_pad", "slice", "narrow", "concat"}
"""Steps that a module of OneFlow's may make beside the one that gives it its name."""

_CLASSES = {
    "conv": "Conv{}d",
    "conv_transpose": "ConvTranspose{}d",
    "linear": "Linear",
    "batch_norm": "BatchNorm{}d",
    "instance_norm": "InstanceNorm{}d",
    "layer_norm": "LayerNorm",
    "group_norm": "GroupNorm",
    "relu": "ReLU",
    "prelu": "PReLU",
    "elu": "ELU",
    "leaky_relu": "LeakyReLU",
    "gelu": "GELU",
    "silu": "SiLU",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "hardswish": "Hardswish",
    "hardsigmoid": "Hardsigmoid",
    "mish": "Mish",
    "softmax": "Softmax",
    "max_pool": "MaxPool{}d",
    "avg_pool": "AvgPool{}d",
    "adaptive_avg_pool": "AdaptiveAvgPool{}d",
    "adaptive_max_pool": "AdaptiveMaxPool{}d",
    "upsample": "Upsample",
    "embedding": "Embedding",
}
"""The class of a module that makes this one kind of step, with the number of its spatial dimensions."""

_OWNERS = frozenset({"conv", "conv_transpose", "linear", "embedding"})
"""Kinds that are a module's only with a weight of its own: with another's they are a function called in it."""

_SPEAKING = frozenset(
    {"Linear", "LayerNorm", "GroupNorm", "Softmax", "Upsample", "Embedding", "PReLU", "LeakyReLU", "ELU", "LSTM", "GRU", "RNN"}
    | {f"{name}{n}d" for name in ("Conv", "BatchNorm", "InstanceNorm", "MaxPool", "AvgPool") for n in (1, 2, 3)}
)
"""Classes that print their arguments: one of the same name that prints none is the user's own."""

_RECURRENT = {4: "LSTM", 3: "GRU", 1: "RNN"}
"""By the number of gates, which is that of rows for each hidden unit in the recurrent weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftedCall:
    """One call of a module."""

    path: str
    class_name: str | None
    """None where the user wrote a class of its own under that name, or where nothing tells."""
    printed: str | None = None
    """The class's name as it is printed."""
    is_leaf: bool
    """Whether no module stands below it."""
    is_last: bool
    """Whether the module is not called again."""
    x: Shape | None
    """The first tensor that went in."""
    y: Shape | None
    """The first that came out."""
    parameters: Mapping[str, Shape | None]
    """Of the module's own parameters, by last name."""
    step: Step | None
    """The step that the module is named after."""
    steps: tuple[Step, ...]
    """What the call did, as far as it can be told from the other calls: all of it is the first one's where it cannot."""
    runs: int = 1
    batched: bool = True

    @property
    def weight(self) -> Shape | None:
        """Shape of the parameter of that name."""
        return self.parameters.get("weight")

    @property
    def has_bias(self) -> bool:
        """Whether there is a parameter of that name."""
        return "bias" in self.parameters

    @property
    def affine(self) -> bool:
        """Whether a norm scales by a parameter."""
        return "weight" in self.parameters


def module_calls(graph: Graph, steps: Sequence[Step], book: RuleBook) -> tuple[tuple[LiftedCall, ...], str]:
    """The calls of all modules in the forward pass, and where their classes are known from."""
    free = _FREE | book.handed_on
    forward: dict[str, list[Step]] = {}
    for step in steps:
        if step.phase is Phase.FORWARD:
            forward.setdefault(step.module, []).append(step)
    if any(module.class_name for module in graph.modules if module.path):
        return tuple(_printed_calls(graph, forward, free)), MODULE_TREE
    return tuple(_inferred_calls(graph, forward, free)), INFERRED


def _printed_calls(graph: Graph, forward: Mapping[str, list[Step]], free: frozenset[str]) -> Iterator[LiftedCall]:
    tree = tree_of(module.path for module in graph.modules)
    for module in graph.modules:
        if not module.path or module.class_name is None:
            continue
        parameters = {p.name.rpartition(".")[2]: p.type.shape for p in module.parameters if p.kind is not VariableKind.BUFFER}
        is_own = module.class_name in _SPEAKING and (module.text or "").replace(" ", "").endswith("()")
        steps = forward.get(module.path, [])
        shares = _shared_out(steps, len(module.calls))
        for number, (call, share) in enumerate(zip(module.calls, shares, strict=True)):
            x, y = _ends(parameters, share)
            yield LiftedCall(
                path=module.path,
                class_name=None if is_own else module.class_name,
                printed=module.class_name,
                is_leaf=not tree.children.get(module.path),
                is_last=number == len(shares) - 1,
                x=call.inputs[0].shape if call.inputs else x,
                y=call.outputs[0].shape if call.outputs else y,
                parameters=parameters,
                step=_main(share, free),
                steps=share,
                runs=max((step.runs for step in steps), default=1),
                batched=any(step.batched for step in steps) or not steps,
            )


def _shared_out(steps: Sequence[Step], calls: int) -> list[tuple[Step, ...]]:
    """The steps of each call, equally many for each, or all for the first where that cannot be."""
    if not calls:
        return []
    ordered = sorted(steps, key=lambda step: step.number)
    size, rest = divmod(len(ordered), calls)
    if rest:
        return [tuple(ordered)] + [()] * (calls - 1)
    return [tuple(ordered[size * n : size * (n + 1)]) for n in range(calls)]


def _inferred_calls(graph: Graph, forward: Mapping[str, list[Step]], free: frozenset[str]) -> Iterator[LiftedCall]:
    owned: dict[str, dict[str, Shape | None]] = {}
    for op in graph.ops:
        if op.type == "variable" and op.kind in (VariableKind.TRAINABLE, VariableKind.FROZEN) and op.outputs:
            owned.setdefault(op.module, {})[op.name.rpartition(".")[2]] = op.outputs[0].type.shape
    tree = tree_of({*owned, *forward})
    for path in sorted({*owned, *forward}, key=lambda path: min((step.number for step in forward.get(path, ())), default=0)):
        steps = forward.get(path, [])
        if not path or tree.children.get(path) or not steps:
            continue
        parameters = owned.get(path, {})
        ordered = sorted(steps, key=lambda step: step.number)
        mains = [step for step in ordered if step.kind not in free]
        recurrent = _recurrent_class(parameters)
        class_name = recurrent or _class_of(path, mains)
        if class_name is None or recurrent:
            yield _inferred(path, class_name, parameters, ordered, _main(ordered, free), is_last=True)
            continue
        for number, main in enumerate(mains):
            yield _inferred(path, class_name, parameters, [main], main, is_last=number == len(mains) - 1)


def _main(steps: Sequence[Step], free: frozenset[str]) -> Step | None:
    """The step that a module is named after: the first that does more than hand something on."""
    return next((step for step in steps if step.kind not in free), None)


def _inferred(
    path: str, class_name: str | None, parameters: Mapping[str, Shape | None], steps: Sequence[Step], main: Step | None, *, is_last: bool
) -> LiftedCall:
    x, y = _ends(parameters, steps)
    return LiftedCall(
        path=path,
        class_name=class_name,
        is_leaf=True,
        is_last=is_last,
        x=x,
        y=y,
        parameters=parameters,
        step=main,
        steps=tuple(steps),
        runs=max(step.runs for step in steps),
        batched=any(step.batched for step in steps),
    )


def _ends(parameters: Mapping[str, Shape | None], steps: Sequence[Step]) -> tuple[Shape | None, Shape | None]:
    """What went into and came out of a call, by its steps.

    Of an unrolled recurrent layer what went in is what its first step reads that depends on the graph's input.
    """
    if not steps:
        return None, None
    if "weight_hh_l0" not in parameters:
        return steps[0].x, steps[-1].y
    data = next((step.x for step in steps if step.batched), None)
    hidden = (parameters["weight_hh_l0"] or (None,))[-1]
    directions = 2 if "weight_hh_l0_reverse" in parameters else 1
    return data, None if data is None else (*data[:2], hidden and hidden * directions)


def _class_of(path: str, mains: Iterable[Step]) -> str | None:
    """The class that makes these steps, one at a call; None where there is none that does nothing else."""
    names = {_class_of_step(path, step) for step in mains}
    return names.pop() if len(names) == 1 else None


def _class_of_step(path: str, step: Step) -> str | None:
    kind = "embedding" if step.kind == "gather" and step.owner is not None else step.kind
    if kind in _OWNERS and step.owner != path:
        return None
    if kind == "hardtanh":
        return "ReLU6" if (step.op.attrs.get("min_val", 0.0), step.op.attrs.get("max_val", 6.0)) == (0.0, 6.0) else "Hardtanh"
    name = _CLASSES.get(kind)
    return name.format(max(1, len(step.x or ()) - 2)) if name is not None else None


def _recurrent_class(parameters: Mapping[str, Shape | None]) -> str | None:
    recurrent = parameters.get("weight_hh_l0")
    if recurrent is None or len(recurrent) != 2 or not recurrent[0] or not recurrent[1]:
        return None
    return _RECURRENT.get(recurrent[0] // recurrent[1])
