"""What `-o FILE` leaves behind: all of a result or what was there before, whatever fails; and how much memory reading asks for."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest
from commands import ROOT, SMALL, run, text

from irflops import cli
from irflops.cli import analyze as analyze_command
from irflops.files import whole_file
from irflops.readers.intake import read_bytes

resource = pytest.importorskip("resource", reason="limits of a process are POSIX's")
OLD = "what was there before"


@pytest.fixture(autouse=True)
def _at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "result.json"
    path.write_text(OLD, encoding="utf-8")
    return path


def left(path: Path) -> tuple[str, list[str]]:
    """The content of a file, and what stands in its folder."""
    return path.read_text(encoding="utf-8"), [file.name for file in path.parent.iterdir()]


# ------------------------------------------------------------------ what fails midway

WITH_OUTPUT: dict[str, tuple[str, ...]] = {
    "analyze": (SMALL,),
    "audit": (SMALL,),
    "comm": (SMALL,),
    "compare": (SMALL,),
    "conventions": (),
    "diff": (SMALL, "fixtures/mlp_train.repr.txt.gz"),
    "explain": (SMALL, "model-add_n-4"),
    "formats": (),
    "forms": (SMALL,),
    "machines": (),
    "memory": (SMALL,),
    "ops": (),
    "rules": (),
    "scale": (SMALL, "--batch"),
    "sweep": (SMALL, "--machine", "t4"),
    "time": (SMALL, "--machine", "t4"),
}


def commands_with_output() -> set[str]:
    found = (cli.cli.get_command(click.Context(cli.cli), name) for name in cli.COMMANDS)
    return {str(command.name) for command in found if command is not None and any(param.name == "output" for param in command.params)}


def test_every_command_that_writes_a_file_is_tried_here() -> None:
    assert commands_with_output() - {"capture"} == set(WITH_OUTPUT)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file grows beyond that many bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", WITH_OUTPUT)
def test_a_disk_that_fills_up_takes_nothing_away(name: str, target: Path) -> None:
    with files_of_at_most(100):
        result = run(name, *WITH_OUTPUT[name], "-o", target)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith(f"{target}: error: cannot write: ")
    assert left(target) == (OLD, ["result.json"])
    target.unlink()
    with files_of_at_most(100):
        assert run(name, *WITH_OUTPUT[name], "-o", target).exit_code == 2
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (TypeError("a bug"), 3)])
def test_half_a_result_is_none(error: BaseException, code: int, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_half(_analysis: object, stream: io.TextIOBase, *_more: object) -> None:
        stream.write('{"schema":')
        stream.flush()
        raise error

    monkeypatch.setattr(analyze_command, "write_json", write_half)
    assert run("analyze", SMALL, "--format", "json", "-o", target).exit_code == code
    assert left(target) == (OLD, ["result.json"])


def test_the_old_file_is_there_until_the_new_one_is(target: Path) -> None:
    with whole_file(target) as draft:
        draft.write_text("new", encoding="utf-8")
        assert target.read_text(encoding="utf-8") == OLD
    assert left(target) == ("new", ["result.json"])


# ------------------------------------------------------------------ what a file was, it stays


def write(path: str | Path, content: str = "new") -> None:
    with whole_file(path) as draft:
        draft.write_text(content, encoding="utf-8")


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o750])
def test_permissions_stay(mode: int, target: Path) -> None:
    target.chmod(mode)
    write(target)
    assert stat.S_IMODE(target.stat().st_mode) == mode
    assert left(target) == ("new", ["result.json"])


def test_a_new_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    write(tmp_path / "drafted")
    (tmp_path / "plain").write_text("new", encoding="utf-8")
    assert (tmp_path / "drafted").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write what it likes")
def test_a_write_protected_file_is_refused(target: Path) -> None:
    target.chmod(0o444)
    assert run("analyze", SMALL, "-o", target).exit_code == 2
    assert left(target) == (OLD, ["result.json"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write what it likes")
def test_a_file_in_a_folder_that_takes_no_other_is_written(target: Path) -> None:
    target.parent.chmod(0o500)
    try:
        write(target)
    finally:
        target.parent.chmod(0o700)
    assert left(target) == ("new", ["result.json"])


def test_a_link_stays_one(target: Path) -> None:
    link, dangling = target.with_name("link"), target.with_name("dangling")
    link.symlink_to(target.name)
    dangling.symlink_to("nothing yet")
    write(link)
    write(dangling, "more")
    assert link.is_symlink()
    assert dangling.is_symlink()
    assert target.read_text(encoding="utf-8") == "new"
    assert target.with_name("nothing yet").read_text(encoding="utf-8") == "more"


def test_a_file_that_cannot_be_replaced_is_written_over(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that is mounted into a container by itself."""

    def busy(_self: Path, _target: Path) -> None:
        raise OSError(16, "Device or resource busy")

    number = target.stat().st_ino
    monkeypatch.setattr(Path, "replace", busy)
    write(target)
    assert left(target) == ("new", ["result.json"])
    assert target.stat().st_ino == number


def test_a_draft_of_a_process_that_was_killed_is_in_nobodys_way(target: Path) -> None:
    victim = target.with_name("victim")
    victim.write_text("precious", encoding="utf-8")
    target.with_name(f".{target.name}.{os.getpid()}").symlink_to(victim)
    write(target)
    assert target.read_text(encoding="utf-8") == "new"
    assert victim.read_text(encoding="utf-8") == "precious"
    assert sorted(file.name for file in target.parent.iterdir()) == ["result.json", "victim"]


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    write(tmp_path / ("ä" * 127))
    assert [file.name for file in tmp_path.iterdir()] == ["ä" * 127]


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text(encoding="utf-8")))
    reader.start()
    write(pipe)
    reader.join(10)
    assert read == ["new"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="needs a name for standard output")
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1"])
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_standard_output_by_its_name(name: str, kind: str, tmp_path: Path) -> None:
    """Where it is a file, the shell's redirection has opened it, and others may write to it behind us."""
    command = f'"{sys.executable}" -m irflops analyze {SMALL} --by summary -o {name}; echo done'
    command = f"{{ {command}; }} | cat" if kind == "pipe" else f"{{ {command}; }} >> out; cat out"
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = command.replace("fixtures/", f"{ROOT}/fixtures/")
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True, env=env, cwd=tmp_path)
    assert done.stderr == ""
    assert "92.27 MMACs" in done.stdout or kind == "file"
    assert done.stdout.rstrip().endswith("done")
    assert [file.name for file in tmp_path.iterdir()] == (["out"] if kind == "file" else [])


# ------------------------------------------------------------------ memory

KINDS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "zstandard").compress(data),
}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit is no limit, or libraries reserve more")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["file", "stdin"])
def test_a_small_file_asks_for_little_address_space(kind: str, way: str, tmp_path: Path) -> None:
    """It once asked for the 2 GiB that a file may have."""
    path = tmp_path / "graph"
    path.write_bytes(KINDS[kind](text(SMALL).encode()))
    code = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000, 1_500_000_000))
from irflops.cli import main
sys.argv = ["irflops", "analyze", {"-" if way == "stdin" else str(path)!r}]
main()
"""
    with path.open("rb") as stdin:
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", code], stdin=stdin, capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "92.27 MMACs" in done.stdout


def test_all_of_a_file_is_read_and_no_more_than_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("irflops.readers.intake._CHUNK", 7)
    path = tmp_path / "graph"
    for size in (0, 6, 7, 8, 20):
        path.write_bytes(bytes(range(size)))
        assert read_bytes(str(path), 20) == bytes(range(size))
    path.write_bytes(bytes(21))
    with pytest.raises(Exception, match="larger than 20 bytes"):
        read_bytes(str(path), 20)
