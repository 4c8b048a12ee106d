"""Times this computer's own matrix product and copy with numpy, and says so as a machine: the best of several sizes and repeats."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PRODUCTS = (128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
"""Extents of the square matrices that are multiplied: small ones too, which one processor does whatever keeps the others busy."""
SECONDS = 0.25
"""How long each is repeated at least."""
_TYPES = {"fp32": np.float32, "fp64": np.float64}
_CACHES = Path("/sys/devices/system/cpu")
_LARGEST_COPY = 1 << 28
_SIZE = re.compile(r"(\d+)([KMG]?)")


@dataclass(frozen=True, slots=True)
class Measured:
    """What this computer did at its best."""

    flops: dict[str, float]
    """FLOP/s of matrix products by number format."""
    bandwidth: float
    """Bytes read and written a second by copies that no cache holds."""
    cache_bytes: int
    """Of all levels but the first, over all its processors, as the system tells; 0 where it does not."""
    memory_bytes: int | None
    launch_s: float
    """Of the smallest operation."""

    def to_toml(self, name: str = "this-computer") -> str:
        """The table of a machine, as users add their own."""
        rates = ", ".join(f"{number} = {rate:.4g}" for number, rate in self.flops.items())
        lines = [
            f"[{name}]",
            f'name = "{platform.processor() or platform.machine() or "this computer"}"',
            'kind = "cpu"',
            f"vector = {{ {rates} }}",
            f"memory_bandwidth = {self.bandwidth:.4g}",
            *([f"memory_bytes = {self.memory_bytes}"] if self.memory_bytes else []),
            *([f"cache_bytes = {self.cache_bytes}"] if self.cache_bytes else []),
            f"launch_s = {self.launch_s:.3g}",
            f'source = "measured by irflops machines --measure, with numpy {np.__version__}"',
            'sure = "medium"',
            'notes = "The best of matrix products and copies: another library may do better"',
        ]
        return "\n".join(lines) + "\n"


def best_of(run: Callable[[], object], seconds: float = SECONDS) -> float:
    """Seconds of the fastest run, of as many as fit into some seconds and three at least."""
    best, until, times = float("inf"), time.perf_counter() + seconds, 0
    while times < 3 or time.perf_counter() < until:
        start = time.perf_counter()
        run()
        best, times = min(best, time.perf_counter() - start), times + 1
    return best


def product_seconds(extent: int, number: str, seconds: float = SECONDS) -> float:
    """Seconds of the fastest product of two square matrices."""
    one, other = (np.ones((extent, extent), dtype=_TYPES[number]) for _ in range(2))
    out = np.empty_like(one)
    return best_of(lambda: np.matmul(one, other, out=out), seconds)


def copy_seconds(nbytes: int, seconds: float = SECONDS) -> float:
    """Seconds of the fastest copy of so many bytes."""
    source = np.ones(nbytes // 8)
    target = np.empty_like(source)
    return best_of(lambda: np.copyto(target, source), seconds)


def measured(seconds: float = SECONDS) -> Measured:
    """This computer at its best, each size repeated for some seconds."""
    flops = {number: max(2 * n**3 / product_seconds(n, number, seconds) for n in PRODUCTS) for number in _TYPES}
    cache = cache_bytes()
    size = min(max(4 * cache, 1 << 26), _LARGEST_COPY)
    bandwidth = max(2 * nbytes / copy_seconds(nbytes, seconds) for nbytes in (size // 2, size))
    small, sum_ = np.ones(1), np.empty(1)
    return Measured(flops, bandwidth, cache, _memory_bytes(), best_of(lambda: np.add(small, small, out=sum_), seconds / 4))


def cache_bytes() -> int:
    """Bytes of the caches beyond the first level over all processors, each shared one once; 0 where the system does not tell."""
    found: dict[tuple[str, str], int] = {}
    for index in _CACHES.glob("cpu[0-9]*/cache/index*"):
        try:
            level, shared, size = ((index / name).read_text(encoding="ascii").strip() for name in ("level", "shared_cpu_list", "size"))
        except (OSError, UnicodeDecodeError):
            continue
        match = _SIZE.fullmatch(size)
        if match is not None and level.isdecimal() and int(level) > 1:
            found[level, shared] = int(match[1]) << 10 * " KMG".index(match[2] or " ")
    return sum(found.values())


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
