"""Python's search for objects in cycles, held back while a graph is read.

Nearly all that a reader makes stays, and every time that a quarter more of it is there, Python looks through all of it: a quarter of the
time that a dump of 100 MB takes, a tenth of one of 20. New objects are looked through as ever, so what a fault leaves behind goes.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_SELDOM = 1_000_000
"""Searches among new objects, some 7,000 of them each, before one among all."""

_lock = Lock()
_readers = 0
_threshold = 0


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Within it all objects are hardly ever looked through. In several threads at a time, until the last of them is done."""
    _change(1)
    try:
        yield
    finally:
        _change(-1)


def _change(readers: int) -> None:
    global _readers, _threshold  # noqa: PLW0603 - there is one collector a process
    with _lock:
        young, middle, old = gc.get_threshold()
        if _readers == 0:
            _threshold = old
        _readers += readers
        gc.set_threshold(young, middle, max(_threshold, _SELDOM) if _readers else _threshold)
