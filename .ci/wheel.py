"""Tries the installed wheel, away from the sources: `python wheel.py DUMP`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import irflops
from irflops.readers.text import grammars

PACKAGE = Path(irflops.__file__).parent
COMMAND = Path(sys.executable).with_name("irflops")
ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def check_files() -> None:
    """The wheel alone is at work, and has what the sources have."""
    assert "site-packages" in PACKAGE.parts, PACKAGE
    files = {str(path).replace("\\", "/") for path in metadata.files("irflops") or ()}
    wanted = {"irflops/py.typed"}
    wanted |= {f"irflops/grammar/{name}.lark" for name in grammars.START} | {f"irflops/_tables/{name}.py" for name in grammars.START}
    assert wanted <= files, wanted - files


def check_tables() -> None:
    """No grammar is compiled at run time."""

    def refuse(name: str, **_options: object) -> None:
        raise AssertionError(f"the tables of {name} are not used")

    grammars.compile_grammar = refuse
    for name in grammars.START:
        grammars.parser(name)


def analyze(dump: Path, home: Path, *options: str, **env: str) -> bytes:
    """Standard output of `irflops analyze`, which must end well and say nothing on standard error."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "LC_", "LANG"))}
    done = subprocess.run(
        [COMMAND, "analyze", dump, *options], capture_output=True, check=False, env=environment | {"HOME": str(home)} | env
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b"", done.stderr.decode()
    return done.stdout


def main() -> None:
    """All checks, on a copy of the dump under a path that is not plain."""
    check_files()
    check_tables()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        home.mkdir()
        dump = Path(folder, "a path, mit Käse und 模型", "graph dump.txt.gz")
        dump.parent.mkdir()
        shutil.copy(sys.argv[1], dump)
        print(analyze(dump, home, LC_ALL="C.UTF-8").decode())
        print(analyze(dump, home, **ASCII).decode("ascii"))
        as_utf8 = json.loads(analyze(dump, home, "--format", "json", LC_ALL="C.UTF-8"))
        as_ascii = json.loads(analyze(dump, home, "--format", "json", **ASCII).decode("ascii"))
        assert as_utf8["totals"] == as_ascii["totals"]
        assert as_utf8["totals"]["macs"] > 0
        assert list(home.iterdir()) == [], "something was written to the user's home"


main()
