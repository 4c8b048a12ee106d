"""In which order operators can run."""

from __future__ import annotations

import heapq
from collections.abc import Sequence


def run_order(producers: Sequence[Sequence[int]]) -> list[int]:
    """Indices with producers before consumers, else as they come; those in or behind a cycle are left out.

    `producers` holds, by index, the indices that feed it, one that feeds it twice twice.
    """
    if all(not fed or max(fed) < index for index, fed in enumerate(producers)):
        return list(range(len(producers)))
    waiting = [len(fed) for fed in producers]
    consumers: list[list[int]] = [[] for _ in producers]
    for index, fed in enumerate(producers):
        for producer in fed:
            consumers[producer].append(index)
    ready = [index for index, count in enumerate(waiting) if not count]  # ascending, so a heap already
    order = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for consumer in consumers[index]:
            waiting[consumer] -= 1
            if not waiting[consumer]:
                heapq.heappush(ready, consumer)
    return order
