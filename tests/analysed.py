"""What tests of analyses and reports share."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from irflops import load
from irflops.analysis.analysis import Analysis, analyze_graph

ROOT = Path(__file__).resolve().parent.parent
SMALL, TRAINING = "basic_block", "mlp_train"


def analysis_of(fixture: str) -> Analysis:
    """The analysis of a printed graph in fixtures/, by its name."""
    return analyze_graph(load(os.path.relpath(ROOT / "fixtures" / f"{fixture.removesuffix('.repr.txt.gz')}.repr.txt.gz")))


def text_of(write: Callable[[TextIO], None], encoding: str = "utf-8") -> str:
    """What is written to a text stream."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    write(stream)
    stream.flush()
    return raw.getvalue().decode(encoding)
