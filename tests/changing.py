"""Small networks as plain lists of layers, changes to them, and the jobs of both: what a diff has to find is known then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from jobs import CONF, user

UNARY = ("relu", "gelu", "tanh", "silu")
AXES = (-1, -2)
"""Of a cumsum: two numbers that have one hash in Python."""
WIDTH = 8
INPUT = -1


@dataclass(frozen=True, slots=True)
class Layer:
    """One operator of a chain; `kind` is its type, or `linear` for a matmul with a weight."""

    number: int
    """Its identity."""
    kind: str
    module: str
    value: int = 0
    """The operand of a scalar_add, the axis of a cumsum."""
    other: int = INPUT
    """The number of the layer that an add_n adds, INPUT for what comes in."""


Network = tuple[Layer, ...]


def random_network(random: Random, layers: int) -> Network:
    """A chain with shortcuts, in modules of five layers each; no two scalar_add have the same operand. -1 and -2 are among them."""
    found: list[Layer] = []
    for number in range(layers):
        kind = random.choice(("linear", "scalar_add", "scalar_add", "cumsum", "add_n", *UNARY))
        other = random.choice([INPUT, *range(number)][-8:])
        value = random.choice(AXES) if kind == "cumsum" else number - 5
        found.append(Layer(number, kind, f"m.block{number // 5}", value=value, other=other))
    return tuple(found)


def job_of(network: Network, *, first: int = 0, order: Random | None = None) -> str:
    """The forward job of a network, counters from `first` on, its operators in a random order if one is given."""
    lines = [f'op {{ name: "x" input_conf {{ out: "out" {_blob()} }} }}']
    made = {INPUT: "x/out"}
    last = made[INPUT]
    for counter, layer in enumerate(network, first):
        name = f"{layer.module}-{'matmul' if layer.kind == 'linear' else layer.kind}-{counter}"
        if layer.kind == "linear":
            weight = f"{layer.module}.w{layer.number}"
            lines.append(f'op {{ name: "{weight}" variable_conf {{ out: "out" shape {{ dim: 8 dim: 8 }} data_type: kFloat }} }}')
            flags = "".join(f'attr {{ key: "transpose_{arg}" value {{ at_bool: false }} }} ' for arg in "ab")
            lines.append(user(name, "matmul", f"a={last} b={weight}/out out={name}/out_0", flags))
        elif layer.kind == "scalar_add":
            value = f'attr {{ key: "int_operand" value {{ at_int64: {layer.value} }} }} '
            kinds = 'attr { key: "has_int_operand" value { at_bool: true } } attr { key: "has_float_operand" value { at_bool: false } } '
            lines.append(user(name, "scalar_add", f"in={last} out={name}/out_0", value + kinds))
        elif layer.kind == "cumsum":
            axis = f'attr {{ key: "dim" value {{ at_int64: {layer.value} }} }}'
            lines.append(user(name, "cumsum", f"x={last} out={name}/out_0", axis).replace('key: "out"', 'key: "y"'))
        elif layer.kind == "add_n":
            terms = f'input {{ key: "in" value {{ s: "{last}" s: "{made[layer.other]}" }} }}'
            result = f'output {{ key: "out" value {{ s: "{name}/out_0" }} }}'
            lines.append(f'op {{ name: "{name}" user_conf {{ op_type_name: "add_n" {terms} {result} }} }}')
        else:
            operand, result = ("in", "out") if layer.kind in ("gelu", "silu") else ("x", "y")
            lines.append(user(name, layer.kind, f"{operand}={last} out={name}/out_0").replace('key: "out"', f'key: "{result}"'))
        last = made[layer.number] = f"{name}/out_0"
    lines.append(f'op {{ name: "y" output_conf {{ in: "{last}" out: "out" {_blob()} }} }}')
    if order is not None:
        order.shuffle(lines)
    return "net {\n" + "".join(f"  {line}\n" for line in lines) + f"}}\n{CONF}\n"


def _blob() -> str:
    return f"blob_conf {{ shape {{ dim: 2 dim: {WIDTH} }} data_type: kFloat }}"


# Changes: each gives the network and how many edits they are


Changed = tuple[Network, int]


def insert(network: Network, at: int, random: Random) -> Changed:
    """One layer more, in the module of the one that it is put before."""
    number = max(layer.number for layer in network) + 1
    kind = random.choice(("linear", "scalar_add", *UNARY))
    layer = Layer(number, kind, network[at].module, value=1000 + number)
    return (*network[:at], layer, *network[at:]), 2 if kind == "linear" else 1


def remove(network: Network, at: int, _random: Random) -> Changed:
    """One layer less; what read it reads what it read."""
    gone = network[at]
    before = network[at - 1].number if at else INPUT
    rest = [replace(layer, other=before) if layer.other == gone.number else layer for layer in network if layer is not gone]
    return tuple(rest), 2 if gone.kind == "linear" else 1


def set_value(network: Network, at: int, random: Random) -> Changed:
    """Another operand of a scalar_add, another axis of a cumsum, and of another layer nothing."""
    if network[at].kind not in ("scalar_add", "cumsum"):
        return network, 0
    value = sum(AXES) - network[at].value if network[at].kind == "cumsum" else random.randrange(5000, 9000)
    return (*network[:at], replace(network[at], value=value), *network[at + 1 :]), 1


def swap(network: Network, at: int, random: Random) -> Changed:
    """Another activation, and for what is none nothing."""
    if network[at].kind not in UNARY:
        return network, 0
    other = random.choice([kind for kind in UNARY if kind != network[at].kind])
    return (*network[:at], replace(network[at], kind=other), *network[at + 1 :]), 1


def rename(network: Network, at: int, random: Random) -> Changed:
    """A module under another name."""
    module = network[at].module
    name = f"m.called{random.randrange(10**6)}"
    return tuple(replace(layer, module=name) if layer.module == module else layer for layer in network), 1


CHANGES: tuple[Callable[[Network, int, Random], Changed], ...] = (insert, remove, set_value, swap, rename)
