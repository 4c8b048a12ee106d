"""Mutation testing of ops/, counting/ and differ/: changes one thing at a time, and asks whether a test notices.

    python tests/mutation.py [--count 1100] [--seed 11] [--jobs 2] [--seconds 15] [--only PATH ...] [--results FILE] [--again FILE] ...

Draws mutants (tests/mutants.py says what they are), spread over the files and their lines, and runs each in a process of its own against
the tests that run the changed function, quick ones first. A mutant survives if none of them fails; survivors are listed. Those of which no
test could tell are in tests/mutation_survivors.toml, each with its reason; an entry that fits no mutant any more is an error. Exits with 1
where fewer than 95 % of the others are killed in one of the folders.

mutmut and cosmic-ray can neither draw a sample by a seed nor choose the tests by function, and start Python, pytest and the libraries
anew for every mutant: a second and more, where exchanging a function's code takes a tenth of one. It is no part of the ordinary run. The
tree is copied first; nothing is written into the checkout.

`--results` writes a line of JSON a mutant, and skips those that the file already tells of; `--again` runs those alone that survived in
such a file. `--tests` keeps which tests run which functions, which takes minutes to find out: that file is read if it is there. Needs a
POSIX system and Python 3.11.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import TypeVar

import tomllib
from mutants import Mutant, mutants
from mutation_runs import Outcomes, enter, run
from mutation_tests import FOLDERS, in_turn, tests_by_function

T = TypeVar("T")

HERE = Path(__file__).resolve().parent
FLOOR = 0.95
SURVIVORS = HERE / "mutation_survivors.toml"


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1100)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=[], metavar="PATH", help="files or folders below irflops/, such as differ/align.py")
    parser.add_argument("--results", type=Path, help="written: a line of JSON a mutant")
    parser.add_argument("--again", type=Path, help="results of which the survivors are run again")
    parser.add_argument("--tests", type=Path, help="which tests run which functions; written if it is not there")
    parser.add_argument("--seconds", type=float, default=15, help="of tests that a mutant is tried with at most")
    parser.add_argument(
        "--doubt", action="store_true", help="run the equivalent ones of the sample too: a test that notices one is an error"
    )
    options = parser.parse_args()
    paths = {name: path.resolve() for name, path in vars(options).items() if isinstance(path, Path)}
    with tempfile.TemporaryDirectory(prefix="irflops-mutation-") as folder:
        root = Path(folder, "tree")
        copy_tree(root)
        every = {mutant_key(mutant): mutant for file in files(root, []) for mutant in mutants(root, file)}
        reasons = equivalents(every.values())
        drawn = drawn_from(root, files(root, options.only), options.count, options.seed)
        if "again" in paths:
            rows = [json.loads(line) for line in paths["again"].read_text(encoding="utf-8").splitlines()]
            wanted = {(row["file"], row["text"], row["change"]) for row in rows if row["outcome"] == "survived"}
            drawn = [mutant for key, mutant in every.items() if key in wanted]
        enter(root)
        tests = tests_by_function(root, options.jobs, paths.get("tests"))
        judged = [mutant for mutant in drawn if options.doubt or mutant_key(mutant) not in reasons]
        equal = len(drawn) - len(judged)
        print(f"{len(drawn)} of {len(every)} mutants, {equal} of them equivalent and not run; seed {options.seed}", flush=True)
        results = Outcomes(paths.get("results", Path(folder, "results.jsonl")))
        known = results.known(judged)
        run(root, [mutant for mutant in judged if mutant not in known], tests, results, options.jobs, options.seconds)
        outcomes = results.known(judged)
    sys.exit(summary(drawn, outcomes, reasons))


def summary(drawn: Sequence[Mutant], outcomes: dict[Mutant, str], reasons: dict[tuple[str, str, str], str]) -> int:
    """Prints the rates; the exit code."""
    code = 0
    for mutant, outcome in outcomes.items():
        if outcome != "survived" and mutant_key(mutant) in reasons:
            print(f"no longer equivalent, a test notices it: {mutant}")
            code = 1
    print(f"\n{'':10} {'mutants':>8} {'equivalent':>11} {'killed':>7} {'survived':>9} {'rate':>7}")
    for folder in (*FOLDERS, "all"):
        own = [mutant for mutant in drawn if folder in ("all", mutant.file.split("/")[1])]
        equal = sum(mutant_key(mutant) in reasons for mutant in own)
        survived = sum(outcomes.get(mutant) == "survived" for mutant in own if mutant_key(mutant) not in reasons)
        judged = len(own) - equal
        if not judged:
            continue
        rate = (judged - survived) / judged
        print(f"{folder:10} {len(own):8} {equal:11} {judged - survived:7} {survived:9} {rate:7.1%}")
        code |= rate < FLOOR
    return code


# ------------------------------------------------------------------ what is drawn


def copy_tree(root: Path) -> None:
    """The files that git knows or would add, and the grammars' compiled tables, which spare each process their compiling."""
    top = HERE.parent
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=top, capture_output=True, check=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (top / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(top / name, root / name)
    (root / "irflops" / "_tables").mkdir()
    subprocess.run([sys.executable, "hatch_build.py", "irflops/_tables"], cwd=root, check=True, env=os.environ | {"PYTHONPATH": ""})


def files(root: Path, only: Sequence[str]) -> list[str]:
    """The files that are changed, from the top of the tree."""
    found = [str(path.relative_to(root)) for folder in FOLDERS for path in sorted((root / "irflops" / folder).rglob("*.py"))]
    return [file for file in found if not only or any(file.startswith(f"irflops/{path}") for path in only)]


def drawn_from(root: Path, names: Sequence[str], count: int, seed: int) -> list[Mutant]:
    """So many mutants: of each file in proportion to how many it has, of each of its lines one before any has two."""
    random = Random(seed)
    by_file = {file: mutants(root, file) for file in names}
    total = sum(map(len, by_file.values()))
    chosen: list[list[Mutant]] = []
    for found in by_file.values():
        by_line: dict[int, list[Mutant]] = defaultdict(list)
        for mutant in random.sample(found, len(found)):
            by_line[mutant.line].append(mutant)
        order = random.sample(sorted(by_line), len(by_line))
        chosen.append(in_turn([by_line[line] for line in order])[: -(-count * len(found) // total)])
    return in_turn(chosen)


def mutant_key(mutant: Mutant) -> tuple[str, str, str]:
    """What names a mutant when lines have moved."""
    return mutant.file, mutant.text, mutant.change


def equivalents(every: Iterable[Mutant]) -> dict[tuple[str, str, str], str]:
    """The reasons of the mutants that no test can notice."""
    entries = tomllib.loads(SURVIVORS.read_text(encoding="utf-8")).get("equivalent", [])
    known = {mutant_key(mutant) for mutant in every}
    found = {}
    for entry in entries:
        for change in entry["changes"]:
            key = f"irflops/{entry['file']}", entry["text"], change
            if key not in known:
                sys.exit(f"{SURVIVORS.name}: no mutant is {key}")
            found[key] = entry["reason"]
    return found


if __name__ == "__main__":
    main()
