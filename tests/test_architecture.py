"""The shape of the code itself. The order of the layers is import-linter's, see pyproject.toml."""

from __future__ import annotations

import ast
import gzip
import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import irflops
from irflops import ops
from irflops.cli import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(irflops.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "_tables" not in path.parts)
LINES_AT_MOST = 400

IMPORTS_INSIDE_FUNCTIONS = {
    ("__init__.py", "irflops.analysis.scale"): "start-up time: most programs analyze one size",
    ("__init__.py", "irflops.analysis.select"): "start-up time: most programs look at the whole",
    ("__init__.py", "irflops.auditing.finding"): "start-up time: most programs audit nothing",
    ("__init__.py", "irflops.auditing.settings"): "the same",
    ("__init__.py", "irflops.capturing.write"): "start-up time: archives, which few programs write",
    ("__init__.py", "irflops.conventions.compare"): "start-up time: the tables of ten tools",
    ("__init__.py", "irflops.conventions.registry"): "the same",
    ("__init__.py", "irflops.differ"): "start-up time: most programs compare nothing",
    ("__init__.py", "irflops.differ.edit"): "the same",
    ("__init__.py", "irflops.differ.result"): "the same",
    ("__init__.py", "irflops.explaining.explanation"): "start-up time: the tables of ten tools",
    ("__init__.py", "irflops.fitting.change"): "start-up time: numpy, which only a plan needs",
    ("__init__.py", "irflops.fitting.ways"): "the same",
    ("__init__.py", "irflops.memory.memory"): "the same",
    ("__init__.py", "irflops.transformers.closed_forms"): "start-up time: most programs ask for no forms",
    ("__init__.py", "irflops.whatif"): "start-up time: most programs look at what was captured",
    ("cli/__init__.py", "importlib"): "start-up time: metadata, which --version alone asks",
    **{("cli/__init__.py", f"irflops.cli.{command}"): "start-up time: each command only where it runs" for command in COMMANDS},
    ("cli/analyze.py", "irflops.cli.by_convention"): "start-up time: the tables of ten tools, which --convention alone asks",
    ("cli/analyze.py", "irflops.conventions.registry"): "the same",
    ("cli/analyze.py", "irflops.cli.timed"): "start-up time: machines and memory plans, which --machine alone asks",
    ("cli/analyze.py", "irflops.analysis.per_device"): "start-up time: most runs look at the whole graph",
    ("cli/diff.py", "irflops.cli.timed"): "start-up time: memory plans, which --machine alone needs",
    ("auditing/__init__.py", "irflops.auditing.engine"): "start-up time: the rules, which only an audit needs",
    ("auditing/__init__.py", "irflops.auditing.registry"): "the same",
    ("auditing/__init__.py", "irflops.auditing.settings"): "the same",
    ("cli/tables.py", "irflops.report.terminal"): "start-up time: rich, which only what a person reads needs",
    ("cli/what_if.py", "irflops.whatif"): "start-up time: most runs look at what was captured",
    ("cli/machines.py", "irflops.machines.measure"): "start-up time: numpy, which --measure alone needs",
    ("report/roofline.py", "matplotlib.figure"): "optional: --plot alone needs it",
    ("teaching/__init__.py", "irflops.teaching.book"): "start-up time: most graphs have OneFlow's types alone",
    ("compat/flowflops.py", "oneflow"): "optional: a dump does without it",
    ("readers/__init__.py", "irflops.readers.capture.archive"): "start-up time: each form's reader, and protobuf, only where it is needed",
    ("readers/__init__.py", "irflops.readers.capture.captured"): "the same",
    ("readers/__init__.py", "irflops.readers.job.job"): "the same",
    ("readers/__init__.py", "irflops.readers.mlir.saved_folder"): "the same",
    ("readers/__init__.py", "irflops.readers.mlir.saved_mlir"): "the same",
    ("report/terminal.py", "irflops.report.styled"): "start-up time: rich, which only a terminal needs",
    ("report/output.py", "rich.console"): "start-up time: the progress of files that take long",
    ("report/output.py", "rich.text"): "the same",
    ("analysis/analysis.py", "irflops.analysis.device_rows"): "start-up time: most graphs run on one device",
    ("analysis/analysis.py", "irflops.devices"): "the same",
    ("analysis/analysis.py", "irflops.devices.communication"): "the same",
    ("analysis/analysis.py", "irflops.memory.memory"): "start-up time: numpy, which only a plan needs",
    ("analysis/analysis.py", "irflops.transformers.closed_forms"): "start-up time: a table shows none of it",
    ("analysis/notebook.py", "html"): "start-up time: most results are shown elsewhere",
    ("readers/__init__.py", "irflops.readers.mlir.mlir_partial"): "start-up time: each form's reader only where it is needed",
    ("readers/job/job.py", "irflops.readers.job.job_salvage"): "start-up time: few files are cut off",
    ("readers/printed/prints.py", "hashlib"): "start-up time: few files hold several prints",
    ("readers/detect.py", "irflops.readers.job.job_schema"): "start-up time: only what looks like a job needs the fields of one",
    ("ir/graph.py", "networkx"): "start-up time: the slowest import, and few runs need the view",
}
"""Each with its reason. One that hides a cycle is no reason: then a module is in the wrong layer."""


def _module_id(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=_module_id)
def test_file_has_one_reason_to_change(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < LINES_AT_MOST


def test_tests_are_in_files_by_subject() -> None:
    sizes = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "tests").glob("*.py")}
    assert {name: size for name, size in sizes.items() if size > LINES_AT_MOST} == {}


def _imports_inside_functions(path: Path) -> Iterator[str]:
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            if isinstance(node, ast.ImportFrom):
                yield str(node.module)


def test_imports_inside_functions_have_a_reason() -> None:
    found = {(_module_id(path), name) for path in MODULES for name in _imports_inside_functions(path)}
    assert sorted(found) == sorted(IMPORTS_INSIDE_FUNCTIONS)


def test_the_configuration_is_looked_for_by_one_option_alone() -> None:
    """What reads the nearest configuration itself does not know of --config and --no-config."""
    looking = {_module_id(path) for path in MODULES if "find_config(" in path.read_text(encoding="utf-8")}
    assert looking == {"configuration/config.py", "cli/options.py"}


IMPORTED_BY_NAME = {("readers/text/grammars.py", "irflops._tables.")}
"""Modules of ours that no import statement names, out of the linter's sight: tables that building the wheel generates."""


def test_no_import_of_ours_hides_from_the_linter() -> None:
    found = {
        (_module_id(path), text)
        for path in MODULES
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(("import_module", "__import__"))
        for part in ast.walk(call)
        if isinstance(part, ast.Constant) and isinstance(text := part.value, str) and text.startswith("irflops")
    }
    assert found == IMPORTED_BY_NAME


OPS = sorted(module.name for module in pkgutil.iter_modules(ops.__path__))


def _siblings_imported(name: str) -> set[str]:
    tree = ast.parse((PACKAGE / "ops" / f"{name}.py").read_text(encoding="utf-8"))
    return {str(node.module).removeprefix("irflops.ops.") for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("name", OPS)
def test_module_of_ops_is_a_registered_family_or_helps_one(name: str) -> None:
    rules = getattr(importlib.import_module(f"irflops.ops.{name}"), "RULES", None)
    if rules is None:
        assert any(name in _siblings_imported(other) for other in (*OPS, "__init__") if other != name)
        return
    assert rules
    assert [rule.op_types for rule in rules if not any(rule is registered for registered in ops.RULES)] == []


@pytest.mark.parametrize("name", OPS)
def test_no_family_of_ops_is_imported_by_another_module(name: str) -> None:
    """What several need stands in a helper, where it is looked for."""
    families = {other for other in OPS if hasattr(importlib.import_module(f"irflops.ops.{other}"), "RULES")}
    assert not _siblings_imported(name) & families


def test_op_type_has_one_rule() -> None:
    times = Counter(op_type for rule in ops.RULES for op_type in rule.op_types)
    assert [op_type for op_type, count in times.items() if count > 1] == []
    assert set(times) == set(ops.BOOK.by_type)


def test_every_example_that_is_written_is_collected() -> None:
    """A call of `Example` in the source stands for one example, or for several in a table's loop: never for none."""
    written = sum(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Example"
        for name in OPS
        for node in ast.walk(ast.parse((PACKAGE / "ops" / f"{name}.py").read_text(encoding="utf-8")))
    )
    collected = sum(len(rule.examples) for rule in ops.RULES)
    assert collected >= written
    assert collected >= len(ops.RULES)


MADE_BY_TOOLS = {"build", "dist", "_tables", "__pycache__"}


def _is_ours(path: Path) -> bool:
    folders = path.relative_to(ROOT).parts[:-1]
    if path.name == ".git":  # a file in a further work tree, and names the first
        return False
    return path.is_file() and not any(name in MADE_BY_TOOLS or (name.startswith(".") and name != ".ci") for name in folders)


FILES = sorted(path for path in ROOT.rglob("*") if _is_ours(path))
MACHINE_PATH = re.compile(rb"(?<![\w.~])/(?:work|root|farm|opt|home|Users)/[\w.]|\.\./" + rb"shared\b")
"""Folders of one machine or one person, and of a repository beside this one."""


def _content(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_file_names_no_path_of_one_machine(path: Path) -> None:
    assert [match.group().decode() for match in MACHINE_PATH.finditer(_content(path))] == []


SUPPRESSION = re.compile(r"#\s*(?:noqa|type:\s*ignore|mypy:|ruff:)(.*)")
EXPLAINED = re.compile(r"(?:: [A-Z]+\d+(?:, [A-Z]+\d+)*|\[[a-z, -]+\])\s+(?:#|-) \w.+")


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".py"], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_suppressed_check_is_named_and_explained(path: Path) -> None:
    suppressions = [match for match in SUPPRESSION.finditer(path.read_text(encoding="utf-8")) if path != Path(__file__)]
    assert [match.group() for match in suppressions if not EXPLAINED.fullmatch(match.group(1))] == []
