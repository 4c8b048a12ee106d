"""Runs the console blocks of documents, as the installed command would."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
RUN = "import sys; sys.argv[0] = 'irflops'; from irflops.cli import main; sys.exit(main())"
"""What the installed command does, by the Python that runs this."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a console block, and the output below it."""

    command: str
    output: str


def steps(block: str) -> list[Step]:
    """The commands of a block: `$ ` starts one, `> ` goes on with it, and the lines up to the next are its output."""
    found: list[Step] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(Step(line, ""))
        elif not found:
            raise ValueError(f"a console block starts with a command, not with {line!r}")
        elif line.startswith("> ") and found[-1].command.endswith("\\"):
            found[-1] = Step(f"{found[-1].command}\n{line}", "")
        else:
            found[-1] = Step(found[-1].command, f"{found[-1].output}{line.rstrip()}\n")
    return found


def run_block(block: str) -> list[Step]:
    """The steps with what the commands print now. A command that fails says so: `$ echo $?` comes after it."""
    fresh: list[Step] = []
    code = 0
    for step in steps(block):
        if step.command == "$ echo $?":
            fresh.append(Step(step.command, f"{code}\n"))
            code = 0
            continue
        _expect_success(fresh, code)
        output, code = run(step.command.removeprefix("$ ").replace("\\\n> ", " "))
        fresh.append(Step(step.command, output))
    _expect_success(fresh, code)
    return fresh


def _expect_success(so_far: list[Step], code: int) -> None:
    if code:
        raise ValueError(f"{so_far[-1].command!r} exits with {code}, and no `$ echo $?` says so:\n{so_far[-1].output}")


def run(command: str) -> tuple[str, int]:
    """What `irflops ARGUMENTS [< FILE] [| head -N]` prints on 100 columns without colour, and its exit code."""
    command, _, limit = command.partition(" | head -")
    words = shlex.split(command)
    if words[:1] != ["irflops"]:
        raise ValueError(f"a console block runs irflops alone, not {command!r}")
    stdin = b""
    if "<" in words:
        at = words.index("<")
        stdin = (ROOT / words[at + 1]).read_bytes()
        del words[at : at + 2]
    plain = {"NO_COLOR": "1", "COLUMNS": "100", "PYTHONIOENCODING": "utf-8", "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words[1:]],
        cwd=ROOT,
        env=os.environ | plain,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    lines = [line.rstrip() for line in done.stdout.decode("utf-8").splitlines()]
    return "".join(f"{line}\n" for line in lines[: int(limit.removeprefix("n ")) if limit else None]), done.returncode


def refreshed_blocks(text: str) -> str:
    """A document with its console blocks run anew."""
    return CONSOLE.sub(lambda match: "```console\n" + "".join(f"{s.command}\n{s.output}" for s in run_block(match[1])) + "```", text)
