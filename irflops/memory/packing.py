"""Where blocks lie in an arena: OneFlow's first fit by decreasing size (oneflow/core/job/intra_job_mem_sharing_util.cpp, of 0.9.0)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Life(NamedTuple):
    """A block, and when it is alive, in steps of its chain: the first and the last of them included."""

    nbytes: int
    born: int
    dies: int


def most_alive(lives: Sequence[Life], steps: int) -> tuple[int, int]:
    """The most bytes that are alive at once, and the first step at which they are. No packing takes less."""
    curve = alive(lives, steps)
    if not len(curve):
        return 0, 0
    at = int(np.argmax(curve))
    return int(curve[at]), at


def alive(lives: Sequence[Life], steps: int) -> np.ndarray:
    """Bytes alive at each step."""
    change = np.zeros(steps + 1, dtype=np.int64)
    if lives:
        sizes, born, dies = np.array(lives, dtype=np.int64).T
        np.add.at(change, born, sizes)
        np.subtract.at(change, dies + 1, sizes)
    return np.cumsum(change)[:-1]


def pack(lives: Sequence[Life]) -> tuple[int, list[int]]:
    """The size of the arena, and the offset of each block in it.

    The largest goes first, of equals the one that is born first; each as low as it fits among those placed that live when it does.
    """
    offsets = [0] * len(lives)
    size = 0
    # Placed blocks by offset, then in the order of placing: where they begin and end, and when they live.
    starts, ends, born, dies = (np.zeros(len(lives), dtype=np.int64) for _ in range(4))
    for count, at in enumerate(sorted(range(len(lives)), key=lambda at: (-lives[at].nbytes, lives[at].born))):
        life = lives[at]
        beside = (born[:count] <= life.dies) & (dies[:count] >= life.born)
        offset = _first_gap(starts[:count][beside], ends[:count][beside], life.nbytes)
        place = int(np.searchsorted(starts[:count], offset, side="right"))
        for array, value in ((starts, offset), (ends, offset + life.nbytes), (born, life.born), (dies, life.dies)):
            array[place + 1 : count + 1] = array[place:count]
            array[place] = value
        offsets[at] = offset
        size = max(size, offset + life.nbytes)
    return size, offsets


def _first_gap(starts: np.ndarray, ends: np.ndarray, nbytes: int) -> int:
    """The lowest offset at which so many bytes are free of blocks, which come by where they begin."""
    if not len(starts):
        return 0
    covered = np.maximum.accumulate(ends)
    free = starts[1:] - covered[:-1] >= nbytes
    if starts[0] >= nbytes:
        return 0
    first = int(np.argmax(free)) if free.any() else len(starts) - 1
    return int(covered[first])
