"""Writes what the documents quote: `docs/costs.md` from the rules, and the output below each `$ irflops ...` of a ```console block.

`python docs/generate.py` rewrites them, `python docs/generate.py --check` names those that are out of date and exits with 1.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from irflops import ops
from irflops.ops.rule import Example, OpRule

ROOT = Path(__file__).resolve().parent.parent
COSTS = ROOT / "docs" / "costs.md"


def documents() -> list[Path]:
    """All documents with prose of our own."""
    return sorted([*ROOT.glob("README.md"), *(ROOT / "docs").glob("*.md")])


# ------------------------------------------------------------------ cost definitions

COSTS_HEAD = """\
<!-- Written by docs/generate.py from the rules in irflops/ops/. Change them there. -->

# Cost definitions

What irflops counts for each of the {types} op types that it has a rule for, with {examples} examples that its tests check.

- MACs are multiply-accumulates of contractions. FLOPs are all arithmetic operations, 2 for each MAC.
- Transcendentals (exp, log, tanh, erf, sqrt, rsqrt, pow, sin and the like) are counted apart and are no FLOPs.
- Bytes are read and written once per operand and result, without fusion, unless the rule says otherwise.
- A count that a form does not tell is unknown, and an unknown count is never zero.

{contents}
"""

FIGURES = (
    ("macs", "MACs"),
    ("flops", "FLOPs"),
    ("transcendentals", "transcendentals"),
    ("bytes_read", "bytes read"),
    ("bytes_written", "bytes written"),
)


@dataclass(frozen=True, slots=True)
class Family:
    """The rules of one file."""

    title: str
    summary: str
    rules: tuple[OpRule, ...]


def families() -> list[Family]:
    """In the order of the registry."""
    found: dict[int, Family] = {}
    at = {id(rule): i for i, rule in enumerate(ops.RULES)}
    for module in pkgutil.iter_modules(ops.__path__):
        family = importlib.import_module(f"irflops.ops.{module.name}")
        rules = tuple(rule for rule in getattr(family, "RULES", ()) if id(rule) in at)
        if rules:
            summary = " ".join((family.__doc__ or module.name).split("\n\n")[0].split()).rstrip(".")
            found[at[id(rules[0])]] = Family(re.split(r"[:;]|\. ", summary)[0], f"{summary}.", rules)
    return [found[i] for i in sorted(found)]


def costs_page() -> str:
    """The whole of docs/costs.md."""
    head = COSTS_HEAD.format(
        types=sum(len(rule.op_types) for rule in ops.RULES),
        examples=sum(len(rule.examples) for rule in ops.RULES),
        contents="\n".join(f"- [{family.title}](#{anchor(family.title)})" for family in families()),
    )
    return "\n".join([head, *map(_section, families())])


def _section(family: Family) -> str:
    summary = "" if family.summary == f"{family.title}." else f"{_prose(family.summary)}\n\n"
    return f"## {family.title}\n\n{summary}" + "\n".join(map(_rule, family.rules))


def _rule(rule: OpRule) -> str:
    facts = [("Counts", rule.formula), ("Leaves out", rule.ignores), ("Source", rule.source)]
    if rule.view:
        facts.append(("Moves", "nothing: the result shares the operand's storage"))
    if rule.upper_bound:
        facts.append(("Certainty", "an upper bound: the work depends on the data"))
    lines = [f"- {name}: {_prose(text)}" for name, text in facts if text]
    lines += [f"- `{example.call}`  \n  {_figures(example)}: {_prose(example.because)}" for example in rule.examples]
    heading = ", ".join(f"`{op_type}`" for op_type in rule.op_types)
    return f"### {heading}\n\n{_prose(rule.summary)}\n\n" + "\n".join(lines) + "\n"


def _figures(example: Example) -> str:
    values = [(getattr(example, name), words) for name, words in FIGURES]
    return ", ".join(f"{words} unknown" if value == "unknown" else f"{value:,} {words}" for value, words in values if value is not None)


def _prose(text: str) -> str:
    """Text as Markdown shows it word for word."""
    return re.sub(r"([*<\[\]`]|\b_|_\b)", r"\\\1", text)


def anchor(heading: str) -> str:
    """The fragment by which GitHub links to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


# ------------------------------------------------------------------ console blocks

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


def refreshed(text: str) -> str:
    """A document with its console blocks run anew."""
    return CONSOLE.sub(lambda match: "```console\n" + "".join(f"{s.command}\n{s.output}" for s in run_block(match[1])) + "```", text)


# ------------------------------------------------------------------ the script


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing, exit with 1 if something is out of date")
    check = parser.parse_args().check
    wanted = {COSTS: costs_page()}
    wanted |= {path: refreshed(path.read_text(encoding="utf-8")) for path in documents() if path != COSTS}
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{path.relative_to(ROOT).as_posix()} {'is out of date' if check else 'was written'}")
        if not check:
            path.write_text(wanted[path], encoding="utf-8", newline="\n")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
