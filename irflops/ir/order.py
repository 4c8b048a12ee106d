"""In which order operators can run."""

from __future__ import annotations

import heapq
from collections.abc import Sequence


def run_order(producers: Sequence[Sequence[int]], consumers: Sequence[Sequence[int]] | None = None) -> list[int]:
    """Indices with producers before consumers, else as they come; those in or behind a cycle are left out.

    `producers` holds, by index, the indices that feed it, one that feeds it twice twice; `consumers` the same the other way round.
    """
    consumers = consumers if consumers is not None else turned(producers)
    waiting = [len(fed) for fed in producers]
    order = []
    for index, fed in enumerate(waiting):
        ready = [] if fed else [index]  # else what makes it ready, further on, brings it back
        while ready:
            at = heapq.heappop(ready)
            order.append(at)
            for consumer in consumers[at]:
                waiting[consumer] -= 1
                if not waiting[consumer] and consumer < index:
                    heapq.heappush(ready, consumer)
    return order


def turned(producers: Sequence[Sequence[int]]) -> list[list[int]]:
    """By index, the indices that it feeds, in ascending order; one that it feeds twice twice."""
    consumers: list[list[int]] = [[] for _ in producers]
    for index, fed in enumerate(producers):
        for producer in fed:
            consumers[producer].append(index)
    return consumers
