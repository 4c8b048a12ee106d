"""What tests of captures share."""

from __future__ import annotations

import gzip
from pathlib import Path

from irflops.readers.capture.archive import JOB, REPR, Captured

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


def content_of(name: str) -> Captured:
    """Both forms of a graph in fixtures/, as a capture holds them."""
    printed, job = (gzip.decompress((FIXTURES / f"{name}.{form}.gz").read_bytes()) for form in (REPR, JOB))
    return Captured(printed, job, "0.9.0")
