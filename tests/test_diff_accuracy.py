"""How many operators an alignment finds again, on random networks of which it is known: what it gets wrong is counted, to the last pair."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from random import Random

import pytest
from changing import CHANGES, INPUT, Network, job_of, random_network

import irflops
from irflops.analysis.analysis import analyze_graph
from irflops.differ import diff_analyses
from irflops.differ.align import HINTS, align
from irflops.differ.forms import aspects_of
from irflops.differ.prints import Prints
from irflops.differ.side import Side, side_of
from irflops.readers.notation.sketch import sketch

PAIRS = 60
"""Of networks, an old and a new one."""


def renumbered(network: Network) -> Network:
    """Modules called by their place: a block that comes renames all behind it."""
    names: dict[str, str] = {}
    for layer in network:
        names.setdefault(layer.module, f"m.block{len(names)}")
    return tuple(replace(layer, module=names[layer.module]) for layer in network)


def with_block_again(network: Network, random: Random) -> Network:
    """A block and behind it another that is equal to it."""
    module = random.choice(network).module
    block = [layer for layer in network if layer.module == module]
    first, end = network.index(block[0]), network.index(block[-1]) + 1
    fresh = {layer.number: 100 + layer.number for layer in block}
    copied = [
        replace(layer, number=fresh[layer.number], module=f"{module}again", other=fresh.get(layer.other, layer.other)) for layer in block
    ]
    return (*network[:end], *copied, *network[end:]) if first >= 0 else network


def without_block(network: Network, random: Random) -> Network:
    """A block less; what read it reads the network's input."""
    module = random.choice(network[5:]).module
    gone = {layer.number for layer in network if layer.module == module}
    return tuple(replace(layer, other=INPUT if layer.other in gone else layer.other) for layer in network if layer.number not in gone)


def changed(network: Network, random: Random) -> Network:
    """One to six changes: of layers, of a whole block, of what modules are called."""
    for _ in range(random.randint(1, 6)):
        kind = random.randrange(len(CHANGES) + 2)
        if kind < len(CHANGES):
            network, _ = CHANGES[kind](network, random.randrange(len(network)), random)
        else:
            network = (with_block_again, without_block)[kind - len(CHANGES)](network, random)
    return renumbered(network) if random.random() < 0.5 else network


def side(network: Network, first: int, order: Random) -> tuple[Side, dict[int, int]]:
    """A network as an alignment sees it, and by node the number of the layer."""
    graph = irflops.loads(job_of(network, first=first, order=order))
    found = side_of(analyze_graph(graph), aspects_of(graph, graph))
    numbers = {f"-{counter}": layer.number for counter, layer in enumerate(network, first)}
    layers = {node: numbers["-" + op.name.rpartition("-")[2]] for node, op in enumerate(found.ops) if "-" in op.name}
    return found, layers


@cache
def sides(seed: int) -> tuple[tuple[Side, dict[int, int]], tuple[Side, dict[int, int]]]:
    random = Random(seed)  # noqa: S311 - no secret
    old = random_network(random, random.randint(15, 30))
    new = changed(old, random)
    return side(old, 0, random), side(new, random.choice((0, 0, 7)), random)


# Networks of equal branches


@dataclass(frozen=True, slots=True)
class Node:
    """An operator that reads others by their numbers; 0 is the network's input."""

    number: int
    kind: str
    module: str
    reads: tuple[int, ...]


Nodes = tuple[Node, ...]
KINDS = ("relu", "relu", "tanh", "cumsum", "matmul")


def branched(random: Random) -> Nodes:
    """Blocks of two to four branches, many of them equal, that a sum joins."""
    found: list[Node] = []

    def add(kind: str, module: str, *reads: int) -> int:
        found.append(Node(len(found) + 1, kind, module, reads))
        return len(found)

    last = 0
    for block in range(random.randint(2, 4)):
        ends = []
        kinds = [random.choice(KINDS) for _ in range(random.randint(1, 3))]
        apart = random.random() < 0.5
        for branch in range(random.randint(2, 4)):
            end = last
            for kind in kinds if random.random() < 0.7 else [random.choice(KINDS)]:
                end = add(kind, f"m.{block}.{branch}" if apart else f"m.{block}", end)
            ends.append(end)
        last = add("add_n", f"m.{block}", *ends)
    return tuple(found)


def otherwise(nodes: Nodes, random: Random) -> Nodes:
    """One node less, one more, one of another kind, a whole branch twice, or a module called otherwise."""
    unary = [node for node in nodes if node.kind != "add_n"]
    chosen = random.choice(unary)
    fresh = max(node.number for node in nodes) + 1
    at = nodes.index(chosen)
    change = random.randrange(5)
    if change == 0:
        return tuple(
            replace(node, reads=tuple(chosen.reads[0] if read == chosen.number else read for read in node.reads))
            for node in nodes
            if node is not chosen
        )
    if change == 1:
        more = Node(fresh, random.choice(KINDS), chosen.module, chosen.reads)
        return (*nodes[:at], more, replace(chosen, reads=(fresh,)), *nodes[at + 1 :])
    if change == 2:
        return (*nodes[:at], replace(chosen, kind=random.choice(KINDS)), *nodes[at + 1 :])
    if change == 3:
        join = next((node for node in nodes if node.kind == "add_n" and chosen.number in node.reads), None)
        if join is not None:
            place = nodes.index(join)
            twin = Node(fresh, chosen.kind, chosen.module, chosen.reads)
            return (*nodes[:place], twin, replace(join, reads=(*join.reads, fresh)), *nodes[place + 1 :])
    return tuple(replace(node, module=f"m.new{fresh}") if node.module == chosen.module else node for node in nodes)


def drawn(nodes: Nodes) -> tuple[Side, dict[int, int]]:
    """As an alignment sees it, and by node its number."""
    calls = {"matmul": "a: {0}, b: w{1}", "add_n": "in: [{0}]", "cumsum": "x: {0}, dim={2}"}
    results = {"matmul": "out", "add_n": "out"}
    lines = ["v0 = input() -> out: f32[8,8]"]
    for node in nodes:
        if node.kind == "matmul":
            lines.append(f"{node.module} | w{node.number} = variable() -> out: f32[8,8]")
        operands = calls.get(node.kind, "x: {0}").format(", ".join(f"v{read}" for read in node.reads), node.number, -1 - node.number % 2)
        lines.append(f"{node.module} | v{node.number} = {node.kind}({operands}) -> {results.get(node.kind, 'y')}: f32[8,8]")
    made = sketch("\n".join([*lines, f"output(in: v{nodes[-1].number})"]))
    found = side_of(analyze_graph(made.graph), aspects_of(made.graph, made.graph))
    return found, {found.by_name[made.ops[f"v{node.number}"]]: node.number for node in nodes}


@cache
def branches(seed: int) -> tuple[tuple[Side, dict[int, int]], tuple[Side, dict[int, int]]]:
    random = Random(seed)  # noqa: S311 - no secret
    old = new = branched(random)
    for _ in range(random.randint(1, 3)):
        new = otherwise(new, random)
    return drawn(old), drawn(new)


NETWORKS = {"chains": sides, "branches": branches}


@pytest.mark.parametrize("attrs", [True, False])
@pytest.mark.parametrize("hint", HINTS)
@pytest.mark.parametrize("networks", NETWORKS)
def test_pairs_found_right_and_wrong(networks: str, hint: str, attrs: bool) -> None:
    """Fewer wrong and missed ones are better: then these numbers go down. `attrs` as between jobs, without them as between prints.

    Of equal branches none is right or wrong; which of them was taken shows whether names and order decide as they should.
    """
    counts: Counter[str] = Counter()
    for seed in range(PAIRS):
        (old, ours), (new, theirs) = NETWORKS[networks](seed)
        pairs = align(old, new, Prints(old, new), attrs=attrs, hint=hint)
        there = {number: node for node, number in theirs.items()}
        for node, number in ours.items():
            right = there.get(number)
            if node in pairs:
                counts["right" if pairs[node] == right else "wrong"] += 1
            elif right is not None:
                counts["missed"] += 1
        by_name = {op.name.rpartition(".")[2]: node for node, op in enumerate(new.ops) if op.type == "variable"}
        for node in (node for node, op in enumerate(old.ops) if op.type == "variable"):
            right = by_name.get(old.ops[node].name.rpartition(".")[2])
            counts["variables" if pairs.get(node) == right else "other variables"] += 1
    assert counts == EXPECTED[networks, hint, attrs]


@pytest.mark.parametrize("networks", NETWORKS)
def test_edits_that_are_found(networks: str) -> None:
    """By the best of the three alignments: fewer are better here too. Which graph is the old one changes no pair: also of graphs of one
    size, where only what they hold can say in which direction to look.
    """
    kinds: Counter[str] = Counter()
    for seed in range(PAIRS):
        (old, _), (new, _) = NETWORKS[networks](seed)
        there, back = diff_analyses(old.analysis, new.analysis), diff_analyses(new.analysis, old.analysis)
        assert there.pairs == {a: b for b, a in back.pairs.items()}
        kinds.update(edit.kind for edit in there.edits)
    assert kinds == EDITS[networks]


EDITS: dict[str, dict[str, int]] = {
    "chains": {
        "attr_changed": 7,
        "edge_changed": 4,
        "module_added": 21,
        "module_removed": 19,
        "module_renamed": 41,
        "op_added": 147,
        "op_moved": 5,
        "op_removed": 124,
        "op_renamed": 1,
        "op_retyped": 10,
        "param_added": 21,
        "param_removed": 17,
    },
    "branches": {
        "attr_changed": 1,
        "edge_changed": 13,
        "module_added": 1,
        "module_removed": 9,
        "module_renamed": 26,
        "op_added": 39,
        "op_moved": 7,
        "op_removed": 28,
        "op_renamed": 2,
        "op_retyped": 15,
        "param_added": 11,
        "param_removed": 8,
    },
}


EXPECTED: dict[tuple[str, str, bool], dict[str, int]] = {
    ("chains", "", True): {"right": 1134, "variables": 165, "wrong": 61, "other variables": 5, "missed": 1},
    ("chains", "", False): {"right": 1130, "variables": 165, "wrong": 69, "other variables": 5, "missed": 2},
    ("chains", "places", True): {"right": 1116, "variables": 161, "wrong": 68, "other variables": 9, "missed": 21},
    ("chains", "places", False): {"right": 1109, "variables": 161, "wrong": 75, "other variables": 9, "missed": 25},
    ("chains", "names", True): {"right": 1085, "wrong": 94, "missed": 24, "variables": 160, "other variables": 10},
    ("chains", "names", False): {"right": 1106, "variables": 160, "wrong": 86, "other variables": 10, "missed": 18},
    ("branches", "", True): {"right": 969, "variables": 170, "wrong": 36, "other variables": 4, "missed": 11},
    ("branches", "", False): {"right": 967, "variables": 170, "wrong": 38, "other variables": 4, "missed": 12},
    ("branches", "places", True): {"right": 975, "variables": 172, "wrong": 32, "other variables": 2, "missed": 7},
    ("branches", "places", False): {"right": 973, "variables": 172, "wrong": 34, "other variables": 2, "missed": 8},
    ("branches", "names", True): {"right": 923, "variables": 170, "wrong": 79, "other variables": 4, "missed": 16},
    ("branches", "names", False): {"right": 926, "variables": 170, "wrong": 76, "other variables": 4, "missed": 16},
}
