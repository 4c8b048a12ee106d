"""The documents: what they show is what comes out, and what they point to is there."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import runpy
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import irflops

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = runpy.run_path(str(ROOT / "docs" / "console_blocks.py"))
GENERATE = runpy.run_path(str(ROOT / "docs" / "generate.py"))
DOCUMENTS: list[Path] = GENERATE["documents"]()
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in [*DOCUMENTS, ROOT / "CHANGELOG.md"]}

CONSOLE_BLOCKS = [
    pytest.param(block, id=f"{name}:{text.count(chr(10), 0, match.start()) + 1}")
    for name, text in TEXTS.items()
    for match in BLOCKS["CONSOLE"].finditer(text)
    for block in [match[1]]
]


@pytest.mark.parametrize("block", CONSOLE_BLOCKS)
def test_console_block(block: str) -> None:
    """Each command prints what stands below it; `python docs/generate.py` writes it anew."""
    assert BLOCKS["run_block"](block) == BLOCKS["steps"](block)


def test_contributing_shows_a_rule_as_it_is() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code = (ROOT / "irflops" / "ops" / "strides.py").read_text(encoding="utf-8")
    parts = text.split("```python\n")[1].split("```")[0].rstrip().split("\n\n\n")
    assert len(parts) == 3
    for part in parts:
        assert part in code or textwrap.indent(part, "    ") in code


def test_readme_shows_a_console_block() -> None:
    assert any(str(param.id).startswith("README.md") for param in CONSOLE_BLOCKS)


def test_cost_definitions_are_up_to_date() -> None:
    """`python docs/generate.py` writes them from the rules."""
    assert GENERATE["COSTS"].read_text(encoding="utf-8") == GENERATE["costs_page"]()


def test_what_each_form_tells_is_up_to_date() -> None:
    """`python docs/generate.py` writes the table from irflops/readers/forms.py."""
    text = TEXTS["docs/formats.md"]
    table = GENERATE["held_table"]()
    assert len(GENERATE["HELD"].findall(text)) == 1
    assert f"\n\n{table}\n\n" in text
    assert len(GENERATE["ASKED"].findall(text)) == 1
    assert f"\n\n{GENERATE['asked_table']()}\n\n" in text
    assert table.splitlines()[2] == "| all attributes of operators | yes | - | yes | yes | yes |"


def test_audit_rules_are_up_to_date() -> None:
    """The same."""
    assert GENERATE["AUDIT"].read_text(encoding="utf-8") == GENERATE["audit_page"]()
    pages = {path: path.read_text(encoding="utf-8") for path in GENERATE["AUDIT_PAGES"].iterdir()}
    assert pages == GENERATE["rule_pages"]()


def test_conventions_are_up_to_date() -> None:
    """The same; its console block is a test of its own."""
    page = GENERATE["CONVENTIONS_PAGE"].read_text(encoding="utf-8")
    console = BLOCKS["CONSOLE"]
    assert console.sub("", page) == console.sub("", GENERATE["conventions_page"]())


def _modules() -> Iterator[str]:
    yield "irflops"
    for module in pkgutil.walk_packages(irflops.__path__, "irflops."):
        if module.name.rpartition(".")[2] not in ("__main__", "_tables"):
            yield module.name


@pytest.mark.parametrize("name", [*_modules()])
def test_doctests_of_module(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert doctest.testmod(importlib.import_module(name)).failed == 0


PYTHON_BLOCK = re.compile(r"^```(?:python|pycon)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if ">>> " in text])
def test_doctests_of_document(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    session = "\n".join(match[1] for match in PYTHON_BLOCK.finditer(TEXTS[name]) if ">>> " in match[1])
    assert session, "a session stands in a ```python block"
    test = doctest.DocTestParser().get_doctest(session, {}, name, str(ROOT / name), 0)
    assert doctest.DocTestRunner().run(test).failed == 0


FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PATH = re.compile(r"(?<![\w/.-])(?:irflops|grammar|docs|tests|fixtures|benchmarks)/[\w./-]*\w/?")


@pytest.mark.parametrize("name", [*TEXTS])
def test_links_lead_somewhere(name: str) -> None:
    for link in LINK.findall(FENCED.sub("", TEXTS[name])):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, fragment = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        if fragment:
            headings = HEADING.findall(FENCED.sub("", target.read_text(encoding="utf-8")))
            assert fragment in {GENERATE["anchor"](heading) for heading in headings}, link


@pytest.mark.parametrize("name", [*TEXTS])
def test_paths_that_are_named_exist(name: str) -> None:
    inside_wheels = ("irflops/grammar", "irflops/_tables")
    named = {path for path in PATH.findall(TEXTS[name]) if not path.startswith(inside_wheels)}
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def test_readme_names_every_file_of_the_package() -> None:
    """Code organization, a line a file; a folder's line may speak for what is in it."""
    package = ROOT / "irflops"
    parts = [path for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()]
    names = {path.name if path.suffix else f"{path.name}/" for path in parts} - {"__init__.py", "__main__.py", "_tables/"}
    assert sorted(name for name in names if name not in TEXTS["README.md"]) == []


def test_changelog_speaks_of_this_version() -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert version is not None
    assert f"\n## {version[1]}" in TEXTS["CHANGELOG.md"]
