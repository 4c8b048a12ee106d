"""What attacks on the readers share: how large they are, what they may take, and what an outcome is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

from counts import check_counts

import irflops
from irflops import Graph, IrflopsError

BYTES = int(os.environ.get("IRFLOPS_HOSTILE_BYTES", "500000"))
FULL = 10_000_000
SECONDS, MEGABYTES = 20, 1000

Attack = Callable[[int], str | bytes]
"""Content of about so many bytes."""


def outcome(data: str | bytes, *, partial: bool = False) -> IrflopsError | None:
    """Reads and analyzes; anything raised but an IrflopsError is a failure, as is a figure that is no count.

    The error must be fit to be shown.
    """
    try:
        graph = irflops.loads(data, partial=partial)
        analysis = irflops.analyze(graph)
        check_counts(analysis, analysis.to_dict())
        analysis.rows("module")
        analysis._repr_html_()
    except IrflopsError as error:
        check_error(error)
        return error
    ask_what_if(graph)
    return None


def ask_what_if(graph: Graph) -> None:
    """Other extents of the first input, other floats: an answer whose figures are counts, or one error that is fit to be shown."""
    inputs = {op.name: op.outputs[0].type.shape for op in graph.ops if op.type == "input" and op.outputs}
    name, shape = next(iter(inputs.items()), ("", ()))
    asked = {name: tuple(2 * (extent or 1) + axis % 2 for axis, extent in enumerate(shape or ()))}
    try:
        analysis = irflops.analyze(graph, inputs=asked, dtype="float16")
    except IrflopsError as error:
        check_error(error)
    else:
        check_counts(analysis, {})


def check_error(error: IrflopsError) -> None:
    text = str(error)
    assert all(c.isprintable() or c in "\n\t" for c in text), ascii(text[:500])
    assert text.count("\nhint: ") <= 1
    assert len(text) < 3000, text[:500]
    assert (error.line is None) == (error.column is None)
    if error.line is not None and error.excerpt is not None:
        assert error.column is not None
        assert 1 <= error.column <= len(error.excerpt) + 1
        assert text.splitlines()[2].rstrip().endswith("^")


def attack(content: Attack, size: int) -> float:
    """Seconds of the slower of its two readings, for its bounds are of one command."""
    slowest = 0.0
    for partial in (False, True):
        data = content(size)
        began = time.process_time()
        outcome(data, partial=partial)
        slowest = max(slowest, time.process_time() - began)
        del data
    return slowest


def withstand(script: str, name: str, content: Attack) -> None:
    """At full size in a process of its own, within the bounds that are stated; a small one here, in half the time."""
    if BYTES < FULL:
        assert attack(content, BYTES) <= SECONDS / 2
        return
    command = [sys.executable, script, name, str(BYTES)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=10 * SECONDS, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    seconds, megabytes = json.loads(run.stdout)
    assert seconds <= SECONDS
    assert megabytes <= MEGABYTES


def report(content: Attack, size: int) -> None:
    """Prints seconds of the slower of its readings and peak megabytes, for `withstand`."""
    slowest = attack(content, size)
    try:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1000 if sys.platform != "darwin" else 1_000_000)
    except ImportError:  # Windows
        peak = 0.0
    print(json.dumps([slowest, peak]))  # noqa: T201 - what `withstand` reads
