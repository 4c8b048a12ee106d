"""Prints how fast irflops is, each figure as a ratio that another machine would show too. Needs a POSIX system.

    python benchmarks/run.py [--repeat 5] [--big 100] [--small 5] [--resnet DUMP] [--densenet DUMP] [--forms STEM] [--gpt DUMP]
                             [--step DUMP]

The wheel is built and measured as users get it, with its compiled grammars. Each measurement is a process of its own, the best of
`--repeat`. The dumps default to those in fixtures/; the big ones are made from the GPT's, the deep one from its training step.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import forms
from big_dump import Pattern, pattern, write
from deep_dump import deepened

HERE = Path(__file__).resolve().parent
FIXTURES = HERE.parent / "fixtures"
DIFFED = (0.4, 4, 40)
"""Megabytes of printed graphs of about 1,000, 10,000 and 100,000 operators."""
LAYERS = 24
FEWER = 0.97
SWAPPED = ("m.blocks.1.act-gelu-", "m.blocks.1.act-relu-")
LIBRARIES = "import lark, networkx, numpy, rich"


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure, the most that it should be, and what it was made of."""

    name: str
    value: float
    limit: float
    made_of: str


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5, help="processes a measurement, of which the best counts")
    parser.add_argument("--big", type=float, default=100, help="megabytes of the big dump")
    parser.add_argument("--small", type=float, default=5, help="megabytes of the small one")
    parser.add_argument("--resnet", type=Path, default=FIXTURES / "resnet50.repr.txt.gz")
    parser.add_argument("--densenet", type=Path, default=FIXTURES / "densenet121.repr.txt.gz")
    parser.add_argument("--forms", type=Path, default=FIXTURES / "densenet121", help="the forms of one graph, without their endings")
    parser.add_argument("--gpt", type=Path, default=FIXTURES / "gpt2_small_infer.repr.txt.gz")
    parser.add_argument("--step", type=Path, default=FIXTURES / "gpt_train.repr.txt.gz", help="a training step of a GPT of two layers")
    options = parser.parse_args()
    libraries = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("lark", "protobuf", "networkx", "numpy", "rich"))
    print(f"Python {platform.python_version()}, {libraries}; {platform.machine()}, {os.cpu_count()} CPUs; best of {options.repeat}\n")
    with tempfile.TemporaryDirectory(prefix="irflops-bench-") as folder:
        site = Path(folder, "site")
        install_wheel(site)
        print(f"{'':60} {'ratio':>7} {'wanted':>7}")
        for ratio in measure(site, Path(folder), options):
            print(f"{ratio.name:60} {ratio.value:7.2f} {ratio.limit:7.2f}   {ratio.made_of}", flush=True)


def install_wheel(site: Path) -> None:
    """irflops alone, as a wheel; the libraries are this Python's."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(HERE.parent)]
    subprocess.run(pip, check=True)
    if not (site / "irflops" / "_tables").is_dir():
        raise FileNotFoundError("the wheel has no compiled grammars")


def measure(site: Path, folder: Path, options: argparse.Namespace) -> Iterator[Ratio]:
    """The ratios, each as soon as it is there."""
    repeat: int = options.repeat
    analyze = min(cpu_seconds([str(site / "bin" / "irflops"), "analyze", str(options.resnet)], site) for _ in range(repeat))
    imports = min(cpu_seconds([sys.executable, "-c", LIBRARIES], site) for _ in range(repeat))
    yield Ratio("analyze of ResNet-50 / import of the libraries, CPU", analyze / imports, 1, f"{analyze:.3f} s / {imports:.3f} s")

    runs = [child("pass", options.densenet, site) for _ in range(repeat)]
    analysis, one_pass = (min(run[key] for run in runs) for key in ("analyze", "finditer"))
    yield Ratio(
        "parse to cost of DenseNet-121 / one regex pass", analysis / one_pass, 3, f"{1e3 * analysis:.1f} ms / {1e3 * one_pass:.1f} ms"
    )
    deep = folder / "deep.txt.gz"
    deep.write_bytes(gzip.compress(deepened(gzip.decompress(options.step.read_bytes()).decode("utf-8"), LAYERS).encode("utf-8")))
    step = min(child("pass", deep, site)["analyze"] for _ in range(repeat))
    name = f"parse to cost of a GPT's training step, {LAYERS} layers / the same pass"
    yield Ratio(name, step / one_pass, 4.2, f"{1e3 * step:.1f} ms / {1e3 * one_pass:.1f} ms")

    for figure in forms.figures(lambda what, dump: child(what, dump, site), options.forms, repeat):
        yield Ratio(*figure)

    parts = pattern(options.gpt)
    sizes, best = {}, {}
    for megabytes in (options.small, options.big):
        dump = folder / f"{megabytes:g}.txt"
        sizes[megabytes] = write(parts, megabytes, dump) / 1e6
        runs = [child("big", dump, site) for _ in range(repeat)]
        best[megabytes] = {key: min(run[key] for run in runs) for key in runs[0]}
    big, small = options.big, options.small
    per_big, per_small = best[big]["analyze"] / sizes[big], best[small]["analyze"] / sizes[small]
    made_of = f"{per_big:.3f} s/MB / {per_small:.3f} s/MB"
    yield Ratio(f"time per MB, a dump of {big:g} MB / one of {small:g} MB", per_big / per_small, 1.1, made_of)
    for when, key in (("analyzed", "peak_analyzed"), ("and its JSON written", "peak")):
        peak = best[big][key]
        yield Ratio(f"peak memory / file size, {when}", peak / sizes[big], 7, f"{peak:.0f} MB / {sizes[big]:.1f} MB")
    json_time, analyze_time = best[big]["json"], best[big]["analyze"]
    yield Ratio("writing JSON / analyzing", json_time / analyze_time, 0.5, f"{json_time:.1f} s / {analyze_time:.1f} s")
    yield from diff_ratios(parts, folder, site, repeat)


def diff_ratios(parts: Pattern, folder: Path, site: Path, repeat: int) -> Iterator[Ratio]:
    """Diffs of two graphs that have one operator of another type, and of which one has some blocks more."""
    for megabytes in DIFFED:
        old, new = folder / "old.txt", folder / "new.txt"
        write(parts, megabytes, old)
        write(parts, FEWER * megabytes, new)
        new.write_text(new.read_text(encoding="utf-8").replace(*SWAPPED), encoding="utf-8")
        runs = [child("diff", old, site, new) for _ in range(repeat)]
        diff, analyze = (min(run[key] for run in runs) for key in ("diff", "analyze"))
        name = f"diff / analysis of the larger graph, {runs[0]['operators']:,.0f} ops, {runs[0]['edits']:,.0f} edits"
        yield Ratio(name, diff / analyze, 2, f"{diff:.2f} s / {analyze:.2f} s")


def environment(site: Path) -> dict[str, str]:
    """That wheel and no other irflops; nothing of the user's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | {"PYTHONPATH": str(site), "NO_COLOR": "1", "COLUMNS": "100"}


def cpu_seconds(command: list[str], site: Path) -> float:
    """User and system time of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment(site), cwd=site)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def child(what: str, dump: Path, site: Path, *others: Path) -> dict[str, float]:
    """What a process of benchmarks/child.py measured."""
    command = [sys.executable, str(HERE / "child.py"), what, *(str(path.resolve()) for path in (dump, *others))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment(site), cwd=site)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


if __name__ == "__main__":
    main()
