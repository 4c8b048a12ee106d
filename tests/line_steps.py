"""Counts the lines that irflops runs, each pass of a loop anew: a measure of work that no other load of the machine changes.

What runs in C counts once, however long it takes: a search in a list, a sort.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import irflops

FACTOR = 4
MOST = 1.5 * FACTOR
"""How many times the steps a graph of `FACTOR` times the ops may take; a square would be `FACTOR` times as many."""

PACKAGE = str(Path(irflops.__file__).parent)


def steps(work: Callable[[], object]) -> int:
    """Lines of irflops that a call runs, each pass of a loop anew."""
    count = 0

    def trace(frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count
