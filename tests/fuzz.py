"""Fuzzing by coverage: `python tests/fuzz.py [libFuzzer options]`, Atheris permitting.

What libFuzzer makes up is read as edits of a real dump, so that it gets past the first line. Whatever comes of them, reading ends in a
graph or in one clear error.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import atheris
from counts import check_counts

with atheris.instrument_imports(include=["irflops"]):
    from both_ways import read_both_ways

    import irflops
    from irflops.errors import IrflopsError

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
FORMS = ("*.repr.txt.gz", "*.fwd.prototxt.gz", "*.job.prototxt.gz", "*.job.pb.gz")
DUMPS = [
    gzip.decompress(path.read_bytes())
    for folder in (FIXTURES, FIXTURES / "forms")
    for form in FORMS
    for path in sorted(folder.glob(form))
    if path.stat().st_size < (2000 if "repr" in form else 7000)
]
PIECES = [
    b"(",
    b")",
    b": (",
    b"\n",
    b"...",
    b"-1",
    b"99999999999999999999999999",
    b"\0",
    b"\xff",
    b"sbp=(",
    b"size=(",
    b", ",
    b"->",
    b"[",
    b"]",
    b"{",
    b"}",
    b"<",
    b"'",
    b"#",
    b": ",
    b"op {",
    b"\x0a",
    b"\x12\xff\xff\x7f",
    b"\xa3\x3f",
]


def edited(data: bytes) -> bytes:
    """A dump with spans cut out, repeated, moved, or with other bytes in their place."""
    provider = atheris.FuzzedDataProvider(data)
    text: bytes = provider.PickValueInList(DUMPS)
    for _ in range(provider.ConsumeIntInRange(0, 8)):
        start = provider.ConsumeIntInRange(0, len(text))
        end = min(len(text), start + provider.ConsumeIntInRange(0, 200))
        choice = provider.ConsumeIntInRange(0, 4)
        if choice == 0:
            text = text[:start] + text[end:]
        elif choice == 1:
            text = text[:end] + text[start:end] + text[end:]
        elif choice == 2:
            to = provider.ConsumeIntInRange(0, len(text))
            text = text[:to] + text[start:end] + text[to:]
        elif choice == 3:
            text = text[:start] + provider.PickValueInList(PIECES) + text[end:]
        else:
            text = text[:start] + provider.ConsumeBytes(8) + text[end:]
    return text


def read(data: bytes) -> None:
    """Anything but a result whose figures are counts, or an `IrflopsError`, is a crash; so is another result where Lark alone reads."""
    text = edited(data)
    for partial in (False, True):
        read_both_ways(text, partial=partial)
        try:
            check_counts(irflops.analyze(irflops.loads(text, partial=partial)))
        except IrflopsError as error:
            str(error)


if __name__ == "__main__":
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
