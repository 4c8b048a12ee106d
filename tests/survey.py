"""Reads every dump in folders and shows what came of it: `python tests/survey.py FOLDER...`.

A shape is checked where the file states one and a rule gives one, and where `NAME.shapes.json`, possibly compressed, lies beside the dump
`NAME.FORM` and has one: a list of extents by the name of the logical blob, as OneFlow inferred them. Exits with 1 where a dump does not
read or a shape disagrees; one that OneFlow has and we do not disagrees too.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.table import Table

import irflops
from irflops.counting.infer import infer
from irflops.readers.intake import read_bytes

COMPRESSED = {".gz", ".bz2", ".xz", ".zst"}
NO_DUMPS = {".json", ".md", ".py"}
"""Suffixes of what lies among dumps: shapes, documents, scripts."""
SAVED = "model.mlir"
"""What makes a folder one dump."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What came of one dump."""

    model: str
    """The file's name, which tells models and forms apart."""
    form: str
    ops: int = 0
    checked: int = 0
    disagreements: int = 0
    seconds: float = 0
    problem: str = ""
    """Why the dump does not read, or the first disagreement."""


def dumps(folder: Path) -> Iterator[Path]:
    """Files that may hold a graph, and the folders of saved graphs, in order of their names."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and not (path / SAVED).is_file():
            yield from dumps(path)
        elif path.is_dir() or not NO_DUMPS & set(path.suffixes):
            yield path


def survey(path: Path) -> Row:
    """Reads and infers one dump, by the clock."""
    model = path.stem if path.suffix in COMPRESSED else path.name
    began = time.perf_counter()
    try:
        graph = irflops.load(path)
        inference = infer(graph)
    except irflops.IrflopsError as error:
        return Row(model=model, form="?", seconds=time.perf_counter() - began, problem=error.message)
    except Exception as error:  # noqa: BLE001 - the other dumps are to be seen all the same
        return Row(model=model, form="?", seconds=time.perf_counter() - began, problem=f"a bug, {error!r}")
    seconds = time.perf_counter() - began
    known = {lbn: shape for lbn, shape in known_shapes(path).items() if lbn in inference.types}
    wrong = [
        f"{lbn}: {inference.types[lbn].shape} instead of {shape}" for lbn, shape in known.items() if inference.types[lbn].shape != shape
    ]
    reasons = [*(disagreement.reason for disagreement in inference.disagreements), *wrong]
    return Row(
        model=model,
        form=graph.format,
        ops=len(graph.ops),
        checked=inference.checked + len(known),
        disagreements=len(reasons),
        seconds=seconds,
        problem=reasons[0] if reasons else "",
    )


def known_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """OneFlow's own shapes by the name of the logical blob, as far as they lie beside a dump."""
    name = path.name.partition(".")[0]
    for suffix in ("", *COMPRESSED):
        beside = path.with_name(f"{name}.shapes.json{suffix}")
        if beside.is_file():
            return {lbn: tuple(shape) for lbn, shape in json.loads(read_bytes(str(beside))).items()}
    return {}


def table_of(rows: Sequence[Row]) -> Table:
    """A row a dump, and their sums."""
    table = Table(box=None, pad_edge=False, show_footer=True)
    table.add_column("model", "total", overflow="fold")
    table.add_column("form", f"{len(rows):,} dumps")
    for title, total in (
        ("ops", sum(row.ops for row in rows)),
        ("shapes checked", sum(row.checked for row in rows)),
        ("disagreements", sum(row.disagreements for row in rows)),
    ):
        table.add_column(title, f"{total:,}", justify="right")
    table.add_column("seconds", f"{sum(row.seconds for row in rows):.2f}", justify="right")
    table.add_column("problem", overflow="fold")
    for row in rows:
        counts = (f"{count:,}" for count in (row.ops, row.checked, row.disagreements))
        table.add_row(row.model, row.form, *counts, f"{row.seconds:.2f}", row.problem, style="red" if row.problem else "")
    return table


def main(args: Sequence[str], stream: TextIO) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description="Reads every dump in folders, and checks its shapes.")
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    paths = [path for folder in parser.parse_args(args).folders for path in dumps(folder)]
    console = Console(file=stream, markup=False, highlight=False)
    if not paths:
        console.print("no dumps")
        return 1
    rows = [survey(path) for path in paths]
    console.print(table_of(rows))
    return int(any(row.problem for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdout))
