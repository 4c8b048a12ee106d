"""Completion in the shell, as docs/quickstart.md says it is set up."""

from __future__ import annotations

import pytest
from click.shell_completion import BashComplete

from irflops.cli import cli


@pytest.mark.parametrize(
    ("words", "incomplete", "wanted"),
    [
        ([], "an", ("plain", "analyze")),
        (["analyze"], "--wei", ("plain", "--weights")),
        (["analyze", "--by"], "mod", ("plain", "module")),
        (["scale"], "--bat", ("plain", "--batch")),
        (["scale"], "graph", ("file", "graph")),
        (["diff", "old.txt"], "ne", ("file", "ne")),
        (["audit"], "dumps/", ("file", "dumps/")),
    ],
)
def test_commands_options_choices_and_files_complete(words: list[str], incomplete: str, wanted: tuple[str, str]) -> None:
    found = BashComplete(cli, {}, "irflops", "_IRFLOPS_COMPLETE").get_completions(words, incomplete)
    assert wanted in [(item.type, item.value) for item in found]
