"""Runs mutants against tests, each in a process of its own: in place where that can be, and else with all of irflops imported anew."""

from __future__ import annotations

import gc
import importlib
import importlib.machinery
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType
from typing import TextIO

import pytest
from forked import forked
from mutants import Mutant, mutated
from mutation_tests import FOLDERS, PYTEST, Tests, file_of, relevant

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
_UNDECIDED = 77
"""The exit code of a process that could not change what runs."""


def enter(root: Path) -> None:
    """Makes the copy what is imported and where tests run, and imports what never changes."""
    os.chdir(root)
    sys.path[:] = [str(root), *(path for path in sys.path if path and not Path(path, "irflops", "__init__.py").is_file())]
    os.environ |= {"PYTHONPATH": str(root), "PYTEST_DEBUG_TEMPROOT": str(root.parent)}
    for name in LIBRARIES:
        importlib.import_module(name)
    loaded = [name for name in sys.modules if name.partition(".")[0] == "irflops"]
    assert not loaded, loaded


class Outcomes:
    """What became of each mutant, a line of JSON each as soon as it is known. What a file already tells stays."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: TextIO = path.open("a", encoding="utf-8")

    def put(self, mutant: Mutant, code: int, seconds: float, killer: str | None) -> None:
        """Of a process's exit code; also to standard output, if none failed."""
        outcome = "survived" if code == 0 else "killed" if code > 0 else "timeout"
        row = {"file": mutant.file, "line": mutant.line, "text": mutant.text, "change": mutant.change, "number": mutant.number}
        self._stream.write(json.dumps(row | {"outcome": outcome, "seconds": round(seconds, 1), "killer": killer}) + "\n")
        self._stream.flush()
        if outcome == "survived":
            print(f"survived: {mutant}", flush=True)

    def known(self, drawn: Sequence[Mutant]) -> dict[Mutant, str]:
        """Of these mutants those that were run."""
        rows = map(json.loads, self._path.read_text(encoding="utf-8").splitlines())
        found = {(row["file"], row["number"], row["text"], row["change"]): row["outcome"] for row in rows}
        keys = {mutant: (mutant.file, mutant.number, mutant.text, mutant.change) for mutant in drawn}
        return {mutant: found[key] for mutant, key in keys.items() if key in found}


class Killers:
    """The tests that failed, by mutant, and of each file how often each did."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.by_file: dict[str, Counter[str]] = defaultdict(Counter)

    def path(self, mutant: Mutant) -> Path:
        """Where a mutant's process writes which one failed."""
        return self._folder / f"{mutant.file.replace('/', '-')}-{mutant.number}"

    def seen(self, mutant: Mutant) -> str | None:
        """The one that failed, which is counted."""
        path = self.path(mutant)
        if not path.is_file():
            return None
        test = path.read_text(encoding="utf-8")
        self.by_file[mutant.file][test] += 1
        return test


def run(root: Path, drawn: Sequence[Mutant], tests: Tests, outcomes: Outcomes, jobs: int, most: float) -> None:
    """Runs all: `most` seconds of tests each."""
    killers = Killers(root.parent)
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = int(pytest.main([*PYTEST, "-s", *tests.digests], plugins=[InPlace(root, drawn, tests, outcomes, killers, jobs, most)]))
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit("running mutants in place failed")
    known = outcomes.known(drawn)
    _run_anew(root, [mutant for mutant in drawn if mutant not in known], tests, outcomes, killers, jobs, most)


# ------------------------------------------------------------------ in place


class InPlace:
    """A plugin of pytest: collects all tests once, then changes one function in each of many copies of this process, and runs tests there.

    It leaves out what runs when modules are imported, and what would take other variables from around the function.
    """

    def __init__(
        self, root: Path, drawn: Sequence[Mutant], tests: Tests, outcomes: Outcomes, killers: Killers, jobs: int, most: float
    ) -> None:
        self._root, self._drawn, self._tests, self._outcomes, self._killers = root, drawn, tests, outcomes, killers
        self._jobs, self._most = jobs, most
        self._imported: set[CodeType] = set()
        self._items: dict[str, pytest.Item] = {}
        self._failed: str | None = None
        sys.settrace(lambda frame, _event, _arg: self._imported.add(frame.f_code))

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        sys.settrace(None)
        self._items = {item.nodeid: item for item in session.items}
        prefixes = tuple(f"{self._root}/irflops/{folder}/" for folder in FOLDERS)
        ran = {
            (code.co_filename.removeprefix(f"{self._root}/"), code.co_qualname)
            for code in self._imported
            if code.co_filename.startswith(prefixes)
        }
        live: dict[CodeType, list[FunctionType]] = defaultdict(list)
        for thing in gc.get_objects():
            if isinstance(thing, FunctionType) and thing.__code__.co_filename.startswith(prefixes):
                live[thing.__code__].append(thing)
        tasks = [
            (mutant, 5 + 2 * self._most)
            for mutant in self._drawn
            if mutant.function is not None and (mutant.file, mutant.function) not in ran
        ]
        gc.freeze()
        sound: set[str] = set()
        for mutant, code, seconds in forked(tasks, lambda mutant: self._attempt(mutant, live), self._jobs):
            killer = self._killers.seen(mutant)
            if code == _UNDECIDED:
                continue
            if killer is not None and killer not in sound:
                if any(failed for _, failed, _ in forked([(killer, None)], lambda test: self._run([test], None), 1)):
                    continue  # it fails here without a change too
                sound.add(killer)
            self._outcomes.put(mutant, code, seconds, killer)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed = report.nodeid

    def _attempt(self, mutant: Mutant, live: dict[CodeType, list[FunctionType]]) -> int:
        path = self._root / mutant.file
        old = compile(path.read_text(encoding="utf-8"), str(path), "exec")
        new = compile(mutated(self._root, mutant), str(path), "exec")
        changed = [(function, after) for before, after in _changed(old, new) for function in live.get(before, ())]
        if not any(mutant.function == function.__code__.co_qualname for function, _ in changed) and not any(
            str(mutant.function).startswith(f"{function.__code__.co_qualname}.<locals>.") for function, _ in changed
        ):
            return _UNDECIDED
        for function, after in changed:
            if function.__code__.co_freevars != after.co_freevars:
                return _UNDECIDED
            function.__code__ = after
        parts = relevant(mutant, self._tests, self._killers.by_file[mutant.file], self._most)
        return self._run([test for part in parts for test in part if test in self._items], self._killers.path(mutant))

    def _run(self, names: Sequence[str], killer: Path | None) -> int:
        """1 if one of the tests fails, behind which no more are run."""
        items = [self._items[name] for name in names]
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._failed is not None:
                if killer is not None:
                    killer.write_text(self._failed, encoding="utf-8")
                return 1
        return 0


def _changed(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """Code objects that differ, from the outer to the inner ones."""
    if old == new:
        return
    yield old, new
    inner = [[const for const in code.co_consts if isinstance(const, CodeType)] for code in (old, new)]
    if len(inner[0]) == len(inner[1]):
        for before, after in zip(*inner, strict=True):
            yield from _changed(before, after)


# ------------------------------------------------------------------ anew


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


def _run_anew(root: Path, drawn: Sequence[Mutant], tests: Tests, outcomes: Outcomes, killers: Killers, jobs: int, most: float) -> None:
    def attempt(mutant: Mutant) -> int:
        _load_changed(mutant, compile(mutated(root, mutant), str(root / mutant.file), "exec"))
        for part in relevant(mutant, tests, killers.by_file[mutant.file], most):
            if part:
                code = pytest.main([*PYTEST, *dict.fromkeys(map(file_of, part))], plugins=[Chosen(part, killers.path(mutant))])
                if code:
                    return code
        return 0

    for mutant, code, seconds in forked([(mutant, 10 + 2 * most) for mutant in drawn], attempt, jobs):
        if code == pytest.ExitCode.NO_TESTS_COLLECTED:
            sys.exit(f"the tests for it are gone, make the file of --tests anew: {mutant}")
        outcomes.put(mutant, code, seconds, killers.seen(mutant))


def _load_changed(mutant: Mutant, code: CodeType) -> None:
    """Has the next import of a module find the changed one."""
    name = mutant.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    found = importlib.machinery.SourceFileLoader.get_code
    importlib.machinery.SourceFileLoader.get_code = (  # type: ignore[method-assign]  # the process ends with this mutant
        lambda self, fullname: code if fullname == name else found(self, fullname)
    )
