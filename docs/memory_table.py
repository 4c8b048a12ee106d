"""Writes the table of docs/memory.md that holds irflops' memory plans against OneFlow's. `docs/generate.py` runs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import irflops
from irflops.memory.memory import ClassMemory

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "memory"
FORMS = {"cuda": {"cudajob.pb": "job", "cuda.repr.txt": "print"}, "cpu": {"job.pb": "job"}}
"""By kind of device the endings of the dumps whose plan it is, and the word for the form."""
NAMES = {"cuda": "CUDA", "cpu": "CPU"}


def memory_table() -> str:
    """A row for each dump of fixtures/memory/ whose plan by OneFlow's compiler stands in plans.json."""
    lines = ["| graph | device | form | ranks | arena | total | certainty |", "| --- " * 7 + "|"]
    return "\n".join([*lines, *_rows(json.loads((FOLDER / "plans.json").read_text(encoding="utf-8")))])


def _rows(plans: dict[str, dict[str, dict[str, dict[str, int]]]]) -> Iterator[str]:
    for name, kinds in sorted(plans.items()):
        for kind, ranks in kinds.items():
            for ending, form in FORMS[kind].items():
                path = FOLDER / f"{name}.{ending}.gz"
                if path.exists():
                    yield _row(name, kind, form, irflops.plan_memory(path), ranks)


def _row(name: str, kind: str, form: str, ours: irflops.Memory, ranks: dict[str, dict[str, int]]) -> str:
    found = [(_of_rank(ours, int(rank)).plan, theirs) for rank, theirs in ranks.items()]
    arenas = [(plan.arena, theirs["arena"]) for plan, theirs in found if "arena" in theirs]
    totals = [(plan.total, theirs["total"]) for plan, theirs in found]
    cells: list[Any] = [f"`{name}`", NAMES[kind], form, len(ranks), _span(arenas), _span(totals), ours.total[1].value.replace("_", " ")]
    return f"| {' | '.join(map(str, cells))} |"


def _of_rank(ours: irflops.Memory, rank: int) -> ClassMemory:
    return next(one for one in ours.classes if any(first <= rank <= last for first, last in one.ranks))


def _span(pairs: list[tuple[int, int]]) -> str:
    """The least and the greatest ratio; 1 without digits after it stands for equal bytes alone."""
    ratios = sorted({(ours / theirs, "1" if ours == theirs else f"{ours / theirs:.5f}") for ours, theirs in pairs})
    shown = list(dict.fromkeys((ratios[0][1], ratios[-1][1]))) if ratios else ["-"]
    return " to ".join(shown)
