"""How long the forms of one graph take to read, and to infer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

Measure = Callable[[str, Path], dict[str, float]]
"""What a process of child.py measures of a dump."""

OTHERS = {"job.prototxt": 4, "job.pb": 3, "mlir": 3}
"""Forms by the most times as long as the printed graph that they should take: a job's text is eight times as large."""


def figures(measure: Measure, stem: Path, repeat: int) -> Iterator[tuple[str, float, float, str]]:
    """Name, value, limit and what it was made of, of each ratio."""

    def best(what: str, form: str) -> dict[str, float]:
        runs = [measure(what, stem.with_name(f"{stem.name}.{form}.gz")) for _ in range(repeat)]
        return {key: min(run[key] for run in runs) for key in runs[0]}

    job = best("job", "job.prototxt")
    yield _ratio("load of a job's text / the library's Parse", job["load"], job["library"], 0.35)
    forward = best("infer", "fwd.prototxt")
    yield _ratio("inference of all shapes / load of a forward job", forward["infer"], forward["load"], 0.5)
    printed = best("load", "repr.txt")["load"]
    for form, limit in OTHERS.items():
        yield _ratio(f"load of {form} / of the printed graph", best("load", form)["load"], printed, limit)


def _ratio(name: str, value: float, base: float, limit: float) -> tuple[str, float, float, str]:
    return name, value / base, limit, f"{1e3 * value:.0f} ms / {1e3 * base:.0f} ms"
