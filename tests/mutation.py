"""Mutation testing of ops/, counting/ and differ/: changes one thing at a time, and asks whether a test notices.

    python tests/mutation.py [--count 1100] [--seed 11] [--jobs 2] [--seconds 15] [--only PATH ...] [--results FILE] [--again FILE] ...

Draws mutants (tests/mutants.py says what they are), spread over the files and their lines, and runs each in a process of its own against
the tests that run the changed function, quick ones first. A mutant survives if none of them fails; survivors are listed. Those of which no
test could tell are in tests/mutation_survivors.toml, each with its reason; an entry that fits no mutant any more is an error. Exits with 1
where fewer than 95 % of the others are killed in one of the folders.

mutmut and cosmic-ray can neither draw a sample by a seed nor choose the tests by function, and start Python, pytest and the libraries
anew for every mutant: a second and more, where a fork has all but irflops at hand. 1,100 mutants take about half an hour on two cores. It
is no part of the ordinary run. The tree is copied first; nothing is written into the checkout.

`--results` writes a line of JSON a mutant; `--again` runs those alone that survived in such a file. `--tests` keeps which tests run which
functions, which takes minutes to find out: that file is read if it is there. Needs a POSIX system and Python 3.11.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import importlib.machinery
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import CodeType
from typing import TypeVar

import pytest
import tomllib
from forked import forked
from mutants import Mutant, mutants, mutated

T = TypeVar("T")

HERE = Path(__file__).resolve().parent
FOLDERS = ("ops", "counting", "differ")
FLOOR = 0.95
SURVIVORS = HERE / "mutation_survivors.toml"
TEST_FILES = """
api book certainty cost_names counting definitions diff* edges explain facts forms hidden infer laws misfits module_attributes
op_view operators ops oracles* random_graphs readers readings reports resize rules_by_hand scale selection steps training unknown*
whatif*
"""
"""Of tests/test_*.py, those that look at rules, costs and edits, and do it in seconds."""

LIBRARIES = (
    "click.testing",
    "google.protobuf.text_format",
    "hypothesis.strategies",
    "jsonschema",
    "lark",
    "networkx",
    "rich.table",
    "rich.tree",
)
KILLERS = 6
"""Tests that killed most others of a file, which are tried first."""
FIRST_SECONDS = 3.0
"""Of tests for a second try."""
PYTEST = ["-q", "-x", "--no-header", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts=--import-mode=importlib"]


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
        run = [mutant for mutant in drawn if options.doubt or mutant_key(mutant) not in reasons]
        print(
            f"{len(drawn)} of {len(every)} mutants, {len(drawn) - len(run)} of them equivalent and not run; seed {options.seed}", flush=True
        )
        outcomes: dict[Mutant, str] = {}
        with contextlib.ExitStack() as stack:
            results = stack.enter_context(paths["results"].open("w", encoding="utf-8")) if "results" in paths else None
            for mutant, outcome, seconds in outcomes_of(root, run, tests, options.jobs, options.seconds):
                outcomes[mutant] = outcome
                if outcome == "survived":
                    print(f"survived: {mutant}", flush=True)
                if results is not None:
                    row = {"file": mutant.file, "line": mutant.line, "text": mutant.text, "change": mutant.change}
                    results.write(json.dumps(row | {"outcome": outcome, "seconds": round(seconds, 1)}) + "\n")
                    results.flush()
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
        chosen.append(_in_turn([by_line[line] for line in order])[: -(-count * len(found) // total)])
    return _in_turn(chosen)


def _in_turn(groups: Sequence[Sequence[T]]) -> list[T]:
    """The first of each, then the second of each, and so on."""
    return [group[n] for n in range(max(map(len, groups), default=0)) for group in groups if n < len(group)]


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


# ------------------------------------------------------------------ which tests run which function


@dataclass(slots=True)
class Tests:
    """What tests run, and how long they take."""

    seconds: dict[str, float] = field(default_factory=dict)
    functions: dict[str, dict[str, frozenset[str]]] = field(default_factory=dict)
    """By test and file, the qualified names of the functions."""
    digests: dict[str, str] = field(default_factory=dict)
    """Of the test files as they were."""


def enter(root: Path) -> None:
    """Makes the copy what is imported and where tests run, and imports what never changes."""
    os.chdir(root)
    sys.path[:] = [str(root), *(path for path in sys.path if path and not Path(path, "irflops", "__init__.py").is_file())]
    os.environ["PYTHONPATH"] = str(root)
    for name in LIBRARIES:
        importlib.import_module(name)
    loaded = [name for name in sys.modules if name.partition(".")[0] == "irflops"]
    assert not loaded, loaded


class Tracer:
    """A plugin of pytest: the functions of the changed folders that each test runs."""

    def __init__(self, root: Path) -> None:
        self._prefixes = tuple(str(root / "irflops" / folder) + "/" for folder in FOLDERS)
        self._root = str(root) + "/"
        self.tests = Tests()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        codes: set[CodeType] = set()
        start = time.process_time()
        sys.settrace(lambda frame, _event, _arg: codes.add(frame.f_code))
        try:
            return (yield)
        finally:
            sys.settrace(None)
            self.tests.seconds[item.nodeid] = time.process_time() - start
            found: dict[str, set[str]] = defaultdict(set)
            for code in codes:
                if code.co_filename.startswith(self._prefixes):
                    found[code.co_filename.removeprefix(self._root)].add(code.co_qualname)
            self.tests.functions[item.nodeid] = {name: frozenset(names) for name, names in found.items()}


def tests_by_function(root: Path, jobs: int, kept: Path | None) -> Tests:
    """Runs each test file once, traced; of those kept only the ones that changed since."""
    every: Tests = pickle.loads(kept.read_bytes()) if kept is not None and kept.is_file() else Tests()  # noqa: S301 - written below
    names = sorted({str(path) for word in TEST_FILES.split() for path in Path("tests").glob(f"test_{word}.py")})
    digests = {name: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in names}
    old = {name for name in every.digests if digests.get(name) != every.digests[name]}
    for known in (every.seconds, every.functions):
        for test in [test for test in known if _file(test) in old]:
            del known[test]
    folder = Path(tempfile.mkdtemp(dir=root.parent))

    def trace(name: str) -> int:
        tracer = Tracer(root)
        code = pytest.main([*PYTEST, name], plugins=[tracer])
        (folder / Path(name).name).write_bytes(pickle.dumps(tracer.tests))
        return code

    for name, code, _ in forked([(name, None) for name in names if name in old or name not in every.digests], trace, jobs):
        if code:
            sys.exit(f"{name} fails without any change: exit {code}")
        part: Tests = pickle.loads((folder / Path(name).name).read_bytes())  # noqa: S301 - written above
        every.seconds |= part.seconds
        every.functions |= part.functions
        every.digests[name] = digests[name]
        if kept is not None:
            kept.write_bytes(pickle.dumps(every))
    return every


def relevant(mutant: Mutant, tests: Tests, killers: Counter[str], most: float) -> list[list[str]]:
    """The tests to run one part after the other until one fails: those that killed others of the file, then quick ones, then slow ones.

    They run the changed function, and behind them come others of the same test files: tests share what is computed once. What runs when its
    module is imported is run by no test: then it is those that name what is declared there, and then any.
    """
    if mutant.function is None:
        signs = [sign for word in mutant.words for sign in (f"[{word}(", f"[{word}:", f"{word}]", f"-{word}-")]
        named = {test for test in tests.functions if any(sign in test for sign in signs)}
        order = sorted(tests.functions, key=lambda test: (test not in named, tests.seconds[test]))
    else:
        run_file = [test for test, run in tests.functions.items() if mutant.file in run]
        running = [test for test in run_file if mutant.function in tests.functions[test][mutant.file]] or run_file
        by_file: dict[str, list[str]] = defaultdict(list)
        for test in sorted(running, key=tests.seconds.__getitem__):
            by_file[_file(test)].append(test)
        # One of each file before a second of any: they look at it in different ways.
        order = _in_turn(list(by_file.values()))
        chosen = set(order)
        order += sorted((test for test in tests.functions if test not in chosen and _file(test) in by_file), key=tests.seconds.__getitem__)
    known = set(order)
    likely = [test for test, _ in killers.most_common(KILLERS) if test in known]
    return _parts(likely, order, tests, most)


def _parts(likely: list[str], order: Sequence[str], tests: Tests, most: float) -> list[list[str]]:
    """At most four files in the part behind the likely ones: to collect a file's tests takes time too."""
    early: list[str] = []
    late: list[str] = []
    near: dict[str, None] = {}
    seconds = [0.0, 0.0]
    for test in order:
        if len(near) < 4:
            near[_file(test)] = None
        is_late = seconds[0] > FIRST_SECONDS or _file(test) not in near
        if sum(seconds) < most and test not in likely:
            seconds[is_late] += tests.seconds[test]
            (late if is_late else early).append(test)
    return [likely, early, late]


def _file(test: str) -> str:
    return test.partition("::")[0]


# ------------------------------------------------------------------ running them


class Chosen:
    """A plugin of pytest: runs these tests alone, in their order, and writes down which failed."""

    def __init__(self, tests: Sequence[str], killer: Path) -> None:
        self._place = {test: place for place, test in enumerate(tests)}
        self._killer = killer

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((item for item in items if item.nodeid in self._place), key=lambda item: self._place[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._killer.write_text(report.nodeid, encoding="utf-8")


def outcomes_of(root: Path, run: Sequence[Mutant], tests: Tests, jobs: int, most: float) -> Iterator[tuple[Mutant, str, float]]:
    """What became of each mutant, as soon as it is known."""
    killers: dict[str, Counter[str]] = defaultdict(Counter)

    def killer(mutant: Mutant) -> Path:
        return root.parent / f"{mutant.file.replace('/', '-')}-{mutant.number}"

    def attempt(mutant: Mutant) -> int:
        load_changed(mutant, compile(mutated(root, mutant), str(root / mutant.file), "exec"))
        for part in relevant(mutant, tests, killers[mutant.file], most):
            if part:
                code = pytest.main([*PYTEST, *dict.fromkeys(map(_file, part))], plugins=[Chosen(part, killer(mutant))])
                if code:
                    return code
        return 0

    for mutant, code, seconds in forked([(mutant, 10 + 4 * most) for mutant in run], attempt, jobs):
        if code == pytest.ExitCode.NO_TESTS_COLLECTED:
            sys.exit(f"the tests for it are gone, make the file of --tests anew: {mutant}")
        if killer(mutant).is_file():
            killers[mutant.file][killer(mutant).read_text(encoding="utf-8")] += 1
        yield mutant, "survived" if code == 0 else "killed" if code > 0 else "timeout", seconds


def load_changed(mutant: Mutant, code: CodeType) -> None:
    """Has the next import of a module find the changed one."""
    name = mutant.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    found = importlib.machinery.SourceFileLoader.get_code
    importlib.machinery.SourceFileLoader.get_code = (  # type: ignore[method-assign]  # the process ends with this mutant
        lambda self, fullname: code if fullname == name else found(self, fullname)
    )


if __name__ == "__main__":
    main()
