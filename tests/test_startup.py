"""Start-up imports what is needed alone, and a long wait shows a sign of life."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time

import pytest
from commands import ROOT, SMALL

from irflops import cli
from irflops.report import output


@pytest.fixture(autouse=True)
def _at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(("how", "absent"), [("json", {"rich", "networkx", "numpy"}), ("table", {"networkx", "numpy"})])
def test_only_what_is_needed_is_imported(how: str, absent: set[str]) -> None:
    code = f"""
import sys
from irflops.cli import cli
try:
    cli.main(["analyze", {SMALL!r}, "--format", {how!r}, "-o", {os.devnull!r}])
except SystemExit as end:
    assert not end.code
print(*sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    imported = set(done.stdout.split())
    assert not absent & imported
    assert {name for name in cli.COMMANDS if f"irflops.cli.{name}" in imported} == {"analyze"}


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_sign_of_life_comes_late_and_on_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "PATIENCE", 0.05)
    monkeypatch.setenv("TERM", "xterm")
    shown = {}
    for name, stream, seconds, quiet in (
        ("slow", _Terminal(), 0.4, False),
        ("fast", _Terminal(), 0, False),
        ("quiet", _Terminal(), 0.4, True),
        ("redirected", io.StringIO(), 0.4, False),
    ):
        monkeypatch.setattr(sys, "stderr", stream)
        with output.sign_of_life("analyzing [b]this[/b]", quiet):
            time.sleep(seconds)
        shown[name] = stream.getvalue()
    assert "analyzing [b]this[/b]" in shown.pop("slow")
    assert set(shown.values()) == {""}
