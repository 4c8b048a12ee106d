"""Does tasks in processes of their own, some at once, each within its limits of time and memory. Needs a POSIX system."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

MEMORY = 4 << 30


def forked(tasks: Sequence[tuple[T, float | None]], work: Callable[[T], int], jobs: int) -> Iterator[tuple[T, int, float]]:
    """Does each task in a process of its own, some at once, within a limit of seconds; exit codes, negative ones where it was ended."""
    waiting = list(reversed(tasks))
    running: dict[int, tuple[T, float, float]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            task, limit = waiting.pop()
            sys.stdout.flush()
            pid = os.fork()
            if not pid:
                _child(work, task, limit)
            running[pid] = task, time.monotonic(), limit or 3600
        pid, status, usage = os.wait4(-1, os.WNOHANG)
        if not pid:
            for pid_, (_, start, limit) in running.items():
                if time.monotonic() - start > 60 + 10 * limit:  # it sleeps: time of a processor is limited by the system
                    os.killpg(pid_, signal.SIGKILL)
            time.sleep(0.01)
        elif pid in running:
            task = running.pop(pid)[0]
            yield task, os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime


def _child(work: Callable[[T], int], task: T, limit: float | None) -> None:
    code = 1
    try:
        os.setsid()
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit) + 1))
        code = int(work(task))
    finally:
        os._exit(code)
