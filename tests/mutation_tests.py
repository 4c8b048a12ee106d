"""Which tests run which functions, how long they take, and in which order a mutant meets them."""

from __future__ import annotations

import hashlib
import pickle
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import TypeVar

import pytest
from forked import forked
from mutants import Mutant

T = TypeVar("T")

FOLDERS = ("ops", "counting", "differ")
TEST_FILES = """
api audit_effects book boxing certainty conditions cost_names counting definitions diff* edges explain facts forms hidden infer
laws memory_gates misfits module_attributes op_view operators ops oracles* random_graphs readers readings reports resize rules_*
saved scale selection steps temporary training unknown* whatif* window_readings
"""
"""Of tests/test_*.py, those that look at rules, costs and edits, and do it in seconds."""

KILLERS = 6
"""Tests that killed most others of a file, which are tried first."""
QUICK = 0.05
"""Seconds of a test that is tried before longer ones."""
FIRST_SECONDS = 3.0
"""Of tests for a second try."""
PYTEST = ["-q", "-x", "--no-header", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts=--import-mode=importlib"]


def in_turn(groups: Sequence[Sequence[T]]) -> list[T]:
    """The first of each, then the second of each, and so on."""
    return [group[n] for n in range(max(map(len, groups), default=0)) for group in groups if n < len(group)]


@dataclass(slots=True)
class Tests:
    """What tests run, and how long they take."""

    seconds: dict[str, float] = field(default_factory=dict)
    functions: dict[str, dict[str, frozenset[str]]] = field(default_factory=dict)
    """By test and file, the qualified names of the functions."""
    digests: dict[str, str] = field(default_factory=dict)
    """Of the test files as they were."""


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
        for test in [test for test in known if file_of(test) in old]:
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

    They run the changed function, and behind them come others of the same test files: tests share what is computed once. What no test runs
    runs when modules are imported: then it is those that name what is declared there, those that run anything of the file, and any.
    """
    run_file = [test for test, run in tests.functions.items() if mutant.file in run]
    running = [test for test in run_file if mutant.function in tests.functions[test][mutant.file]]
    signs = [sign for word in mutant.words for sign in (f"[{word}(", f"[{word}-", f"[{word}:", f"{word}]", f"-{word}-")]
    named = {test for test in (running or tests.functions) if any(sign in test for sign in signs)}
    if running:
        # Tests that run little else look at it most closely; and one of each file before a second of any, in different ways.
        closest = sorted(running, key=lambda test: tests.seconds[test] * sum(map(len, tests.functions[test].values())))
        order = [test for test in closest if test in named]
        for is_slow in (False, True):
            by_file: dict[str, list[str]] = defaultdict(list)
            for test in closest:
                if test not in named and (tests.seconds[test] > QUICK) is is_slow:
                    by_file[file_of(test)].append(test)
            order += in_turn(list(by_file.values()))
        chosen, files = set(order), set(map(file_of, order))
        others = (test for test in tests.functions if test not in chosen and file_of(test) in files)
        order += sorted(others, key=tests.seconds.__getitem__)
    else:
        near = set(run_file)
        order = sorted(
            tests.functions, key=lambda test: (test not in named, tests.seconds[test] > QUICK, test not in near, tests.seconds[test])
        )
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
            near[file_of(test)] = None
        is_late = seconds[0] > FIRST_SECONDS or file_of(test) not in near
        if sum(seconds) < most and test not in likely:
            seconds[is_late] += tests.seconds[test]
            (late if is_late else early).append(test)
    return [likely, early, late]


def file_of(test: str) -> str:
    return test.partition("::")[0]
