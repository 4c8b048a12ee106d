"""Puts the compiled tables of the grammars into the wheel as `irflops/_tables/NAME.py`, so that no start pays for compiling them.

They are made in a temporary folder: nothing is written beside the sources, and an editable install has none.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class TablesHook(BuildHookInterface[Any]):
    """Compiles the grammars for a wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds the tables to the wheel's files; an editable wheel gets none."""
        if version == "editable":
            return
        self.folder = Path(tempfile.mkdtemp(prefix="irflops-tables-"))
        # Lark numbers its states in the order of sets of strings: a fixed hash seed makes two builds of one source equal.
        fixed = os.environ | {"PYTHONHASHSEED": "0"}
        subprocess.run([sys.executable, __file__, str(self.folder)], check=True, env=fixed)
        for path in sorted(self.folder.glob("*.py")):
            build_data["force_include"][str(path)] = f"irflops/_tables/{path.name}"

    def finalize(self, version: str, _build_data: dict[str, Any], _artifact: str) -> None:
        """Removes the temporary folder."""
        if version != "editable":
            shutil.rmtree(self.folder, ignore_errors=True)


def write_tables(folder: Path) -> None:
    """One module of tables a grammar."""
    grammars = load_grammars()
    (folder / "__init__.py").write_text('"""Tables of the grammars, compiled when this wheel was built."""\n', encoding="utf-8")
    for name in grammars.START:
        (folder / f"{name}.py").write_text(grammars.tables_module(name), encoding="utf-8")


def load_grammars() -> ModuleType:
    """`irflops/readers/text/grammars.py` by its path: the package itself needs libraries that a build environment lacks."""
    path = Path(__file__).parent / "irflops" / "readers" / "text" / "grammars.py"
    spec = importlib.util.spec_from_file_location("irflops_grammars", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    write_tables(Path(sys.argv[1]))
