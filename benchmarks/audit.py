"""Prints the time of all audit rules over that of the analysis that they judge, for printed graphs of about 1,000 and 100,000 operators.

    python benchmarks/audit.py [--repeat 3] [--operators 1000 100000] [--gpt DUMP]

The analysis is what `irflops analyze` does: read, infer, count; the last column is over inferring and counting alone, of which nothing is
wanted. The best of `--repeat` runs in one process counts, after one to warm up.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from big_dump import pattern, write

import irflops
from irflops.analysis.analysis import analyze_graph
from irflops.auditing.engine import run_rules
from irflops.auditing.rules import RULES

GPT = Path(__file__).resolve().parent.parent / "fixtures" / "gpt2_small_infer.repr.txt.gz"
BYTES_AN_OPERATOR = 410
"""Of a GPT's dump, roughly."""

WANTED = 0.5


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--operators", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--gpt", type=Path, default=GPT)
    options = parser.parse_args()
    irflops.analyze(options.gpt)
    print(f"{'operators':>9} {'reading':>9} {'analysis':>9} {'rules':>9} {'ratio':>6} {'wanted':>6} {'alone':>6}")
    with tempfile.TemporaryDirectory(prefix="irflops-bench-") as folder:
        for operators in options.operators:
            path = Path(folder, f"{operators}.txt")
            write(pattern(options.gpt), operators * BYTES_AN_OPERATOR / 1e6, path)
            rows = [measure(path) for _ in range(options.repeat)]
            count = rows[0][0]
            reading, analysis, rules = (min(row[i] for row in rows) for i in (1, 2, 3))
            ratio, alone = rules / (reading + analysis), rules / analysis
            print(f"{count:9,} {reading:8.3f}s {analysis:8.3f}s {rules:8.3f}s {ratio:6.2f} {WANTED:6.1f} {alone:6.2f}", flush=True)


def measure(path: Path) -> tuple[int, float, float, float]:
    """Operators, and the seconds of reading, of inferring and counting, and of the rules."""
    graph, reading = _timed(lambda: irflops.load(path))
    analysis, analyzing = _timed(lambda: analyze_graph(graph))
    _, rules = _timed(lambda: run_rules(analysis, RULES))
    return len(graph.ops), reading, analyzing, rules


def _timed(run: Callable[[], Any]) -> tuple[Any, float]:
    gc.collect()
    start = time.perf_counter()
    result = run()
    return result, time.perf_counter() - start


if __name__ == "__main__":
    main()
