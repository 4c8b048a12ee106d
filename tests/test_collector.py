"""Python's search for objects in cycles is held back while a graph is read, and is as it was before whatever comes of that."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread

import pytest

import irflops
from irflops.readers.collector import seldom_collecting

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


@pytest.fixture(autouse=True)
def _threshold() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(700, 11, 12)
    yield
    gc.set_threshold(*before)


def test_it_is_as_before_when_all_have_read() -> None:
    with seldom_collecting():
        assert gc.get_threshold()[:2] == (700, 11)
        assert gc.get_threshold()[2] > 1000
        with seldom_collecting():
            assert gc.get_threshold()[2] > 1000
        assert gc.get_threshold()[2] > 1000
    assert gc.get_threshold() == (700, 11, 12)


def test_several_threads_end_in_any_order() -> None:
    met = Barrier(2)

    def first() -> None:
        with seldom_collecting():
            met.wait(10)  # the other begins
            met.wait(10)  # before this one ends

    def second() -> None:
        met.wait(10)
        with seldom_collecting():
            met.wait(10)
            threads[0].join()
            assert gc.get_threshold()[2] > 1000

    threads = [Thread(target=first), Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gc.get_threshold() == (700, 11, 12)


@pytest.mark.parametrize("data", [b"no graph", b"(GRAPH:G_0:G): (\n", b"\x1f\x8b damaged"])
def test_it_is_as_before_after_an_error(data: bytes) -> None:
    with pytest.raises(irflops.IrflopsError):
        irflops.loads(data)
    assert gc.get_threshold() == (700, 11, 12)


def test_a_collector_that_is_off_stays_off() -> None:
    gc.set_threshold(0)
    irflops.load(FIXTURES / "basic_block.repr.txt.gz")
    assert gc.get_threshold()[0] == 0
