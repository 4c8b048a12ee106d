"""What all tests share: where things are, how hypothesis runs, and which tests need a live OneFlow."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
from commands import SMALL, text
from hypothesis import HealthCheck, settings

# The same examples on every run and every machine: a failure is the change's, not the day's. `--hypothesis-profile explore` looks further.
settings.register_profile("fixed", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", max_examples=2000, deadline=None)
settings.load_profile("fixed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest --update` writes the golden outputs anew; what changed is for git to show."""
    parser.addoption("--update", action="store_true", help="write the files in tests/golden/ anew")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """The golden files are written by one process alone."""
    if config.option.update:
        config.option.numprocesses = 0


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the project."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 100 columns without colours, whatever runs the tests."""
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS", "COLORTERM", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def unknown(tmp_path: Path) -> Path:
    """A graph with an operator that nobody knows."""
    path = tmp_path / "unknown.txt"
    path.write_text(text(SMALL).replace("model.relu-relu-2", "model.relu-frobnicate-2"), encoding="utf-8")
    return path


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """A graph that ends in its middle, between two lines."""
    lines = text(SMALL).splitlines(keepends=True)
    path = tmp_path / "cut.txt"
    path.write_text("".join(lines[: len(lines) // 2]), encoding="utf-8")
    return path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what needs a live OneFlow where none is installed; where one must be there (`IRFLOPS_NEED_ONEFLOW`), its lack is a failure."""
    if importlib.util.find_spec("oneflow") or os.environ.get("IRFLOPS_NEED_ONEFLOW"):
        return
    skip = pytest.mark.skip(reason="OneFlow is not installed here")
    for item in items:
        if item.get_closest_marker("oneflow"):
            item.add_marker(skip)
