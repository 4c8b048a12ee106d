"""Random graphs whose costs are known without any rule: counted by doing the loops of an operator's definition, or derived by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from random import Random

Shape = tuple[int, ...]
Attr = tuple[str, int | float | bool | str | tuple[int, ...]]
"""The field of a job's AttrValue that holds it, and the value."""

GRAPH = "Random_0"
WIDTH = 4
"""Bytes of an element: all tensors are float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A result of an operator."""

    lbn: str
    shape: Shape

    @property
    def numel(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return WIDTH * self.numel


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What an operator costs."""

    macs: int = 0
    flops: int = 0
    transcendentals: int = 0
    bytes_read: int = 0
    bytes_written: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An operator: of user's type, or `input`, `variable`, `output`."""

    name: str
    type: str
    inputs: tuple[tuple[str, tuple[Tensor, ...]], ...]
    arg: str
    """Of the result."""
    result: Tensor
    attrs: dict[str, Attr] = field(default_factory=dict)
    known: Known = Known()

    @property
    def module(self) -> str:
        return (
            self.name.rpartition(".")[0] if self.type == "variable" else "" if self.type in ("input", "output") else self.name.split("-")[0]
        )


@dataclass(slots=True)
class Builder:
    """A graph under construction."""

    random: Random
    nodes: list[Node] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)
    operators: int = 0
    """As OneFlow counts them: a number that is missing would tell of an operator that a pass removed."""

    def pick(self, fits: Callable[[Tensor], bool] = lambda _: True) -> Tensor | None:
        """One of the tensors so far, the later ones likelier."""
        fitting = [tensor for tensor in self.tensors if fits(tensor)]
        return fitting[max(self.random.randrange(len(fitting)), self.random.randrange(len(fitting)))] if fitting else None

    def source(self, kind: str, name: str, shape: Shape) -> Tensor:
        tensor = Tensor(lbn=f"{name}/out", shape=shape)
        self.nodes.append(Node(name=name, type=kind, inputs=(), arg="out", result=tensor))
        return tensor

    def variable(self, module: str, shape: Shape) -> Tensor:
        return self.source("variable", f"{module}.w{len(self.nodes)}", shape)

    def op(
        self,
        module: str,
        op_type: str,
        inputs: Sequence[tuple[str, tuple[Tensor, ...]]],
        arg: str,
        shape: Shape,
        known: Known,
        attrs: dict[str, Attr] | None = None,
    ) -> None:
        name = f"{module}-{op_type}-{self.operators}"
        self.operators += 1
        result = Tensor(lbn=f"{name}/{arg}_0", shape=shape)
        read = sum(tensor.nbytes for _, tensors in inputs for tensor in tensors)
        moved = known if known.bytes_read < 0 else replace(known, bytes_read=read, bytes_written=result.nbytes)
        self.nodes.append(Node(name=name, type=op_type, inputs=tuple(inputs), arg=arg, result=result, attrs=attrs or {}, known=moved))
        self.tensors.append(result)


VIEW = Known(bytes_read=-1)
"""Marks an operator that moves nothing."""


def matmul(b: Builder, module: str) -> None:
    a = b.pick(lambda t: len(t.shape) == 2)
    if a is None:
        return
    transpose_a, transpose_b = b.random.random() < 0.3, b.random.random() < 0.5
    m, k = a.shape[::-1] if transpose_a else a.shape
    n = b.random.randint(1, 5)
    weight = b.variable(module, (n, k) if transpose_b else (k, n))
    macs = sum(1 for _ in product(range(m), range(n), range(k)))
    flags: dict[str, Attr] = {"transpose_a": ("bool", transpose_a), "transpose_b": ("bool", transpose_b), "alpha": ("double", 1.0)}
    b.op(module, "matmul", [("a", (a,)), ("b", (weight,))], "out", (m, n), Known(macs=macs, flops=2 * macs), flags)


def conv2d(b: Builder, module: str) -> None:
    groups = b.random.choice([1, 1, 2])
    kernel, padding = b.random.choice([1, 2, 3]), b.random.choice([0, 1])
    x = b.pick(lambda t: len(t.shape) == 4 and t.shape[1] % groups == 0 and min(t.shape[2:]) + 2 * padding >= kernel)
    if x is None:
        return
    stride = b.random.choice([1, 2])
    images, channels, height, width = x.shape
    filters = groups * b.random.randint(1, 3)
    weight = b.variable(module, (filters, channels // groups, kernel, kernel))
    rows = len(range(0, height + 2 * padding - kernel + 1, stride))
    columns = len(range(0, width + 2 * padding - kernel + 1, stride))
    outputs = product(range(images), range(filters), range(rows), range(columns))
    macs = sum(1 for _ in outputs for _ in product(range(channels // groups), range(kernel), range(kernel)))
    b.op(
        module,
        "conv2d",
        [("in", (x,)), ("weight", (weight,))],
        "out",
        (images, filters, rows, columns),
        Known(macs=macs, flops=2 * macs),
        {
            "data_format": ("string", "channels_first"),
            "dilation_rate": ("ints", (1, 1)),
            "filters": ("int", filters),
            "groups": ("int", groups),
            "kernel_size": ("ints", (kernel, kernel)),
            "padding_before": ("ints", (padding, padding)),
            "strides": ("ints", (stride, stride)),
        },
    )


def relu(b: Builder, module: str) -> None:
    x = b.pick()
    if x is not None:
        b.op(module, "relu", [("x", (x,))], "y", x.shape, Known(flops=sum(1 for _ in _elements(x.shape))))


def add_n(b: Builder, module: str) -> None:
    """k tensors: k - 1 additions an element."""
    x = b.pick()
    if x is None:
        return
    tensors = (x, *(b.pick(lambda t: t.shape == x.shape) or x for _ in range(b.random.randint(1, 3))))
    b.op(module, "add_n", [("in", tensors)], "out", x.shape, Known(flops=(len(tensors) - 1) * x.numel))


def broadcast_add(b: Builder, module: str) -> None:
    x = b.pick(lambda t: len(t.shape) >= 1)
    if x is None:
        return
    bias = b.variable(module, x.shape[-1:])
    b.op(module, "broadcast_add", [("x", (x,)), ("y", (bias,))], "z", x.shape, Known(flops=sum(1 for _ in _elements(x.shape))))


def concat(b: Builder, module: str) -> None:
    x = b.pick(lambda t: len(t.shape) >= 1)
    if x is None:
        return
    axis = b.random.randrange(len(x.shape))
    other = (
        b.pick(lambda t: t.shape[:axis] + t.shape[axis + 1 :] == x.shape[:axis] + x.shape[axis + 1 :] and len(t.shape) == len(x.shape)) or x
    )
    shape = (*x.shape[:axis], x.shape[axis] + other.shape[axis], *x.shape[axis + 1 :])
    b.op(module, "concat", [("in", (x, other))], "out", shape, Known(), {"axis": ("long", axis), "max_dim_size": ("long", shape[axis])})


def reduce_sum(b: Builder, module: str) -> None:
    """n to 1: n - 1 additions."""
    x = b.pick(lambda t: len(t.shape) >= 2)
    if x is None:
        return
    axis = b.random.randrange(len(x.shape))
    kept = b.random.random() < 0.5
    shape = (*x.shape[:axis], *((1,) if kept else ()), *x.shape[axis + 1 :])
    flops = math.prod(shape) * sum(1 for _ in range(x.shape[axis] - 1))
    attrs: dict[str, Attr] = {"axis": ("ints", (axis,)), "keepdims": ("bool", kept)}
    b.op(module, "reduce_sum", [("input_tensor", (x,))], "output_tensor", shape, Known(flops=flops), attrs)


def softmax(b: Builder, module: str) -> None:
    """A row of n: n - 1 comparisons, n subtractions, n exponentials, n - 1 additions, n divisions."""
    x = b.pick(lambda t: len(t.shape) >= 1)
    if x is None:
        return
    n = x.shape[-1]
    rows = sum(1 for _ in _elements(x.shape[:-1]))
    known = Known(flops=rows * ((n - 1) + n + (n - 1) + n), transcendentals=rows * n)
    b.op(module, "softmax", [("in", (x,))], "out", x.shape, known)


def transpose(b: Builder, module: str) -> None:
    x = b.pick(lambda t: len(t.shape) >= 2)
    if x is None:
        return
    perm = list(range(len(x.shape)))
    b.random.shuffle(perm)
    b.op(module, "transpose", [("input", (x,))], "output", tuple(x.shape[axis] for axis in perm), Known(), {"perm": ("ints", tuple(perm))})


def reshape(b: Builder, module: str) -> None:
    x = b.pick(lambda t: len(t.shape) >= 2)
    if x is not None:
        shape = (x.shape[0], x.numel // x.shape[0])
        b.op(module, "reshape", [("in", (x,))], "out", shape, VIEW, {"shape": ("shape", shape)})


def scalar_add(b: Builder, module: str) -> None:
    """An addition an element. Of the numbers that are added, some are equal in Python (1 and 1.0), others have one hash (-1 and -2)."""
    x = b.pick()
    if x is None:
        return
    value = b.random.choice((-1, -2, 1, -1.0, -2.0, 1.0, 0.0, -0.0))
    attrs: dict[str, Attr] = {
        "has_int_operand": ("bool", isinstance(value, int)),
        "has_float_operand": ("bool", isinstance(value, float)),
        "int_operand": ("long", value if isinstance(value, int) else 0),
        "float_operand": ("double", value if isinstance(value, float) else 0.0),
    }
    b.op(module, "scalar_add", [("in", (x,))], "out", x.shape, Known(flops=sum(1 for _ in _elements(x.shape))), attrs)


KINDS = (matmul, conv2d, relu, add_n, broadcast_add, concat, reduce_sum, softmax, transpose, reshape, scalar_add)
MODULES = ("a", "a.b", "a.b.c", "d", "d.0", "d.1")


def _elements(shape: Shape) -> Iterator[tuple[int, ...]]:
    return product(*map(range, shape))


def random_graph(seed: int, size: int) -> list[Node]:
    """About so many operators, producers first; whatever is not read further is an output."""
    b = Builder(Random(seed))  # noqa: S311 - no secret
    for number, shape in enumerate([(2, 4, 5, 6), (3, 4), tuple(b.random.randint(1, 4) for _ in range(b.random.randint(1, 4)))]):
        b.tensors.append(b.source("input", f"_{GRAPH}_input.0.{number}_{number + 2}", shape))
    for _ in range(size):
        b.random.choice(KINDS)(b, b.random.choice(MODULES))
    read = {tensor.lbn for node in b.nodes for _, tensors in node.inputs for tensor in tensors}
    sinks = [node.result for node in b.nodes if node.result.lbn not in read]
    for number, tensor in enumerate(sinks):
        name = f"_{GRAPH}_output.0.{number}_{number + 2}"
        result = Tensor(lbn=f"{name}/out", shape=tensor.shape)
        b.nodes.append(Node(name=name, type="output", inputs=(("in", (tensor,)),), arg="out", result=result))
    return [node if node.known.bytes_read >= 0 else replace(node, known=Known()) for node in b.nodes]
