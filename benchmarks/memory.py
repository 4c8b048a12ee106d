"""Prints how long the memory plan of a GPT's training step takes, by its number of operators.

    python benchmarks/memory.py [--layers 24 530] [--step DUMP]

The dump is one of two layers with more between them (deep_dump.py), planned for a GPU. Times are of one process: reading, inference and
costs, and the plan; 530 layers are 100,000 operators, of which a plan is wanted in at most 30 s.
"""

from __future__ import annotations

import argparse
import gzip
import time
from pathlib import Path

from deep_dump import deepened

import irflops
from irflops.analysis.analysis import analyze_graph

STEP = Path(__file__).resolve().parent.parent / "fixtures" / "gpt_train.repr.txt.gz"
WANTED = 30.0
OPERATORS = 95_000
"""From so many on it is wanted."""


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, nargs="+", default=[24, 530])
    parser.add_argument("--step", type=Path, default=STEP)
    options = parser.parse_args()
    text = gzip.decompress(options.step.read_bytes()).decode("utf-8")
    print(f"{'operators':>9} {'reading':>9} {'analysis':>9} {'plan':>9} {'wanted':>9} {'arena':>18}")
    for layers in options.layers:
        began = time.perf_counter()
        graph = irflops.loads(deepened(text, layers))
        read = time.perf_counter()
        analysis = analyze_graph(graph)
        analyzed = time.perf_counter()
        plan = irflops.plan_memory(analysis, on="cuda").largest.plan
        arena = plan.arena
        planned = time.perf_counter() - analyzed
        wanted = f"{WANTED:.0f}s" if len(graph.ops) >= OPERATORS else ""
        print(f"{len(graph.ops):9,} {read - began:8.1f}s {analyzed - read:8.1f}s {planned:8.1f}s {wanted:>9} {arena:18,}", flush=True)


if __name__ == "__main__":
    main()
