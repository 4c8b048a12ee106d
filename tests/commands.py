"""Runs the command line without a process, its streams apart; what its tests share."""

from __future__ import annotations

import gzip
import inspect
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from irflops.cli import cli

ROOT = Path(__file__).resolve().parent.parent
SMALL = "fixtures/basic_block.repr.txt.gz"
TRAINING = "fixtures/mlp_train.repr.txt.gz"


def run(*args: object, stdin: bytes | None = None) -> Result:
    """What a command printed, and its exit code."""
    # Click before 8.2 mixes the streams unless told otherwise, and since then it never does.
    apart: dict[str, Any] = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}
    return CliRunner(**apart).invoke(cli, [str(arg) for arg in args], input=stdin)


def text(fixture: str) -> str:
    """The text of a fixture, by its path from the top."""
    return gzip.decompress((ROOT / fixture).read_bytes()).decode("utf-8")
