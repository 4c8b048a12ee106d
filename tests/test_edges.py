"""Who feeds whom, in numbers: of a graph small enough to see, and of real ones."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import irflops
from irflops.ir.edges import NOBODY, Edges, edges_of
from irflops.ir.graph import Op, Operand, TensorType
from irflops.ir.order import run_order

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


def op(name: str, reads: str = "", makes: str = "") -> Op:
    """An operator that reads and makes tensors of these names."""

    def slots(words: str) -> tuple[Operand, ...]:
        return tuple(Operand("x", number, lbn, TensorType()) for number, lbn in enumerate(words.split()))

    return Op(name, name, slots(reads), slots(makes))


#   0 last: reads d and b     1 first: makes a and b     2 twice: reads a, a and a stranger, makes c     3 both: c, b -> d
EDGES = edges_of([op("last", "d b"), op("first", "", "a b"), op("twice", "a a stranger", "c"), op("both", "c b", "d")])


def test_tensors_and_slots_are_numbered_in_file_order() -> None:
    assert EDGES.tensors == {"a": 0, "b": 1, "c": 2, "d": 3, "stranger": 4}
    assert EDGES.makers.tolist() == [1, 1, 2, 3, NOBODY]
    assert EDGES.first_result.tolist() == [0, 0, 2, 3, 4]
    assert EDGES.reads.tolist() == [3, 1, 0, 0, 4, 2, 1]
    assert EDGES.first_slot.tolist() == [0, 2, 2, 5, 7]
    assert EDGES.owners.tolist() == [0, 0, 2, 2, 2, 3, 3]


def test_who_feeds_whom() -> None:
    assert [list(fed) for fed in EDGES.fed_by] == [[3, 1], [], [1, 1], [2, 1]]
    assert [list(readers) for readers in EDGES.read_by] == [[], [0, 2, 2, 3], [3], [0]]
    assert [list(EDGES.uses(lbn)) for lbn in ("a", "b", "c", "d", "stranger", "nowhere")] == [[2, 3], [1, 6], [5], [0], [4], []]
    assert [EDGES.maker(lbn) for lbn in ("a", "b", "c", "d", "stranger", "nowhere")] == [1, 1, 2, 3, None, None]


def test_producers_come_before_consumers() -> None:
    assert list(EDGES.order) == [1, 2, 3, 0]


@pytest.mark.parametrize(
    ("ops", "order"),
    [
        ([op("z", "", "z"), op("y", "z", "y"), op("x")], [0, 1, 2]),  # as it is in the file
        ([op("x", "x", "x"), op("y")], [1]),  # feeds itself
        ([op("z", "y"), op("x", "y", "x"), op("y", "x", "y"), op("w")], [3]),  # a cycle, and what is behind it
        ([op("c", "b"), op("b", "a", "b"), op("d"), op("a", "", "a")], [2, 3, 1, 0]),  # else in file order
        ([], []),
    ],
)
def test_the_order_of_cycles_and_ties(ops: Sequence[Op], order: list[int]) -> None:
    assert list(edges_of(ops).order) == order


def smallest_first(producers: Sequence[Sequence[int]]) -> list[int]:
    """What the order is by its definition: of those that can run, always the first of the file."""
    order: list[int] = []
    while True:
        ready = [i for i, fed in enumerate(producers) if i not in order and set(fed) <= set(order)]
        if not ready:
            return order
        order.append(ready[0])


@given(st.integers(0, 9).flatmap(lambda n: st.lists(st.lists(st.integers(0, max(n - 1, 0)), max_size=3), min_size=n, max_size=n)))
def test_the_order_is_the_one_that_stays_nearest_to_the_file(producers: list[list[int]]) -> None:
    assert run_order(producers) == smallest_first(producers)


def test_of_two_that_make_one_tensor_the_later_counts() -> None:
    edges = edges_of([op("one", "", "a"), op("two", "", "a"), op("three", "a")])
    assert edges.maker("a") == 1
    assert list(edges.fed_by[2]) == [1]


@pytest.mark.parametrize("name", ["resnet18", "gpt_train", "cnn_accumulate"])
def test_edges_of_real_graphs(name: str) -> None:
    graph = irflops.loads(gzip.decompress((FIXTURES / f"{name}.repr.txt.gz").read_bytes()).decode())
    edges: Edges = graph.edges
    place = {index: at for at, index in enumerate(edges.order)}
    assert sorted(place) == list(range(len(graph.ops)))
    slot = 0
    for index, consumer in enumerate(graph.ops):
        assert edges.first_slot[index] == slot
        for operand in consumer.inputs:
            tensor = edges.reads[slot]
            producer = edges.makers[tensor]
            assert graph.ops[producer].outputs[tensor - edges.first_result[producer]].lbn == operand.lbn
            assert slot in edges.uses(operand.lbn)
            assert edges.owners[slot] == index
            assert place[producer] < place[index]
            slot += 1
    assert slot == len(edges.reads) == sum(len(edges.uses(lbn)) for lbn in edges.tensors)


def test_edges_stay_behind_when_a_graph_is_pickled() -> None:
    graph = irflops.loads(gzip.decompress((FIXTURES / "mlp_train.repr.txt.gz").read_bytes()).decode())
    before = len(pickle.dumps(graph))
    order = list(graph.edges.order)
    again = pickle.dumps(graph)
    assert len(again) == before
    assert list(pickle.loads(again).edges.order) == order  # noqa: S301 - our own bytes
