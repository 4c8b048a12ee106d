"""A printed graph of any size: a GPT's dump with its second block repeated, names and counters going on as OneFlow's would.

`python benchmarks/big_dump.py GPT_DUMP MEGABYTES OUT` writes one.
"""

from __future__ import annotations

import gzip
import re
import sys
from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 1_000_000
BLOCK = re.compile(r"m\.blocks\.(\d+)(?!\d)")
COUNTER = re.compile(r"(?<=[a-z_]-)(\d+)(?=[(/])")
OPENS_BLOCK = re.compile(r"^ *\(MODULE:m\.blocks\.(\d+):Block\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A dump in three parts. A block is the one before it with each block number one higher and each counter `step` higher."""

    head: str
    """Up to the second block."""
    block: str
    """The second block; it reads what the first made."""
    tail: str
    """Behind the last block."""
    blocks: int
    step: int


def pattern(dump: Path) -> Pattern:
    """The parts of a GPT's dump."""
    text = gzip.decompress(dump.read_bytes()).decode("utf-8")
    starts = [match.start() for match in OPENS_BLOCK.finditer(text)]
    lines_of_block = text.count("\n", starts[1], starts[2])
    end = starts[-1]
    for _ in range(lines_of_block):
        end = text.index("\n", end) + 1
    block = text[starts[1] : starts[2]]
    following = text[starts[2] : starts[3]]
    step = min(_made(following)) - min(_made(block))
    if _advanced(block, 1, step) != following:
        raise ValueError(f"{dump}: the third block does not follow from the second")
    return Pattern(head=text[: starts[1]], block=block, tail=text[end:], blocks=len(starts), step=step)


def _made(block: str) -> list[int]:
    """Counters of the operators that it defines."""
    return [int(counter) for counter in re.findall(r"OPERATOR: [^(]*-(\d+)\(", block)]


def _advanced(text: str, blocks: int, step: int) -> str:
    text = BLOCK.sub(lambda match: f"m.blocks.{int(match[1]) + blocks}", text)
    return COUNTER.sub(lambda match: str(int(match[1]) + blocks * step), text)


def write(parts: Pattern, megabytes: float, out: Path) -> int:
    """Writes a dump of about that many megabytes; its exact size in bytes."""
    size = len(parts.head) + len(parts.tail)
    blocks = 1
    with out.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(parts.head)
        while size < megabytes * MEGABYTE or blocks < 2:
            text = _advanced(parts.block, blocks - 1, parts.step)
            stream.write(text)
            size += len(text)
            blocks += 1
        stream.write(_advanced_tail(parts, blocks))
    return out.stat().st_size


def _advanced_tail(parts: Pattern, blocks: int) -> str:
    """Operators in front of the blocks keep their counters."""
    more = blocks - parts.blocks
    first = min(_made(parts.block))
    text = BLOCK.sub(lambda match: f"m.blocks.{int(match[1]) + more}", parts.tail)
    return COUNTER.sub(lambda match: str(int(match[1]) + more * parts.step * (int(match[1]) >= first)), text)


if __name__ == "__main__":
    write(pattern(Path(sys.argv[1])), float(sys.argv[2]), Path(sys.argv[3]))
