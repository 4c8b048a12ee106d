"""Captures: what `irflops.capture` writes and reads back, what is refused, and the command. A live one is made in test_live_oneflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from captures import content_of
from click.testing import CliRunner

import irflops
from irflops.cli import cli
from irflops.errors import GraphError, IrflopsError
from irflops.ir.graph import VariableKind
from irflops.readers.capture.archive import JOB, MANIFEST, REPR, Captured, is_capture, pack, unpack
from irflops.readers.capture.captured import merge, read_capture
from irflops.readers.job.job import read_job_binary

NAMES = ("basic_block", "gpt_train")


@pytest.fixture(scope="module")
def small() -> Captured:
    return content_of("basic_block")


class FakeJob:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def SerializeToString(self, *, deterministic: bool) -> bytes:  # noqa: N802 - protobuf's name
        assert deterministic
        return self.data


class FakeGraph:
    """What irflops asks of a oneflow.nn.Graph."""

    name = "MyGraph_0"

    def __init__(self, captured: Captured, compiled: bool = True) -> None:
        self._captured = captured
        self._is_compiled = compiled
        self.asked = 0

    @property
    def _full_graph_proto(self) -> FakeJob | None:
        self.asked += not self._is_compiled
        return FakeJob(self._captured.job) if self._is_compiled else None

    def _compile(self, *inputs: object) -> None:
        assert inputs == (1, 2)
        self._is_compiled = True

    def __repr__(self) -> str:
        return self._captured.printed.decode().rstrip("\n")


# ------------------------------------------------------------------ one graph of two


@pytest.mark.parametrize("name", NAMES)
def test_a_capture_has_the_best_of_both(name: str, root: Path) -> None:
    captured = content_of(name)
    graph = read_capture(pack(captured, {}), "graph.zip")
    printed, job = irflops.loads(captured.printed), read_job_binary(captured.job, name)
    assert (graph.format, graph.source.name, graph.version_guess, graph.holds.declarations) == ("capture", "graph.zip", "0.9.0", True)
    assert (graph.name, graph.class_name, graph.training) == (printed.name, printed.class_name, printed.training)
    assert graph.modules == printed.modules
    assert [(op.name, op.type, op.attrs, op.inputs, op.outputs) for op in graph.ops] == [
        (op.name, op.type, op.attrs, op.inputs, op.outputs) for op in job.ops
    ]
    for op in graph.ops:
        line = printed.by_name[op.name]
        assert (op.module, op.phase, op.kind, op.runs, op.span) == (line.module, line.phase, line.kind, line.runs, line.span)
    declared = {parameter.name for module in printed.modules for parameter in module.parameters}
    assert {op.name for op in graph.ops if op.kind_source == "declared"} >= declared & graph.by_name.keys()
    assert any(op.attrs for op in graph.ops)

    whole, part = irflops.analyze(graph), irflops.analyze(printed)
    assert whole.total.get("macs") == part.total.get("macs") > 0
    assert whole.declared_params == part.declared_params
    assert whole.inference.disagreements == ()


def test_what_a_line_declares_decides(small: Captured) -> None:
    printed, job = irflops.loads(small.printed), read_job_binary(small.job, "job")
    name = next(op.name for op in job.ops if op.kind is VariableKind.TRAINABLE)
    frozen = replace(
        printed,
        modules=tuple(
            replace(m, parameters=tuple(replace(p, kind=VariableKind.FROZEN) if p.name == name else p for p in m.parameters))
            for m in printed.modules
        ),
    )
    op = merge(job, frozen).by_name[name]
    assert (op.kind, op.kind_source) == (VariableKind.FROZEN, "declared")


def test_an_operator_that_is_not_printed_stays_near_its_module(small: Captured) -> None:
    printed, job = irflops.loads(small.printed), read_job_binary(small.job, "job")
    extra = replace(job.ops[-1], name="model.fc.lost-relu-99", module="model.fc.lost", outputs=())
    merged = merge(replace(job, ops=(*job.ops, extra)), printed)
    assert merged.by_name[extra.name].module == "model.fc"
    assert merged.by_name[extra.name].span is None


def test_two_graphs_are_not_one(small: Captured) -> None:
    other = replace(irflops.loads(small.printed), name="Another_1")
    with pytest.raises(GraphError, match="the printed graph is 'Another_1', the job 'MyGraph_0'"):
        merge(read_job_binary(small.job, "job"), other)


def test_errors_name_the_member(small: Captured) -> None:
    cut = replace(small, printed=small.printed[: len(small.printed) // 2])
    with pytest.raises(IrflopsError, match=r"^graph\.zip/repr\.txt:\d+:\d+: error"):
        read_capture(pack(cut, {}), "graph.zip")
    with pytest.raises(IrflopsError, match=r"^graph\.zip/job\.pb: error"):
        read_capture(pack(replace(small, job=small.job[:-7]), {}), "graph.zip")
    with pytest.raises(IrflopsError, match="one printed graph, this one 0"):
        read_capture(pack(replace(small, printed=b"no graph\n"), {}), "graph.zip")


# ------------------------------------------------------------------ writing


def test_capture_writes_what_load_reads(small: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = types.SimpleNamespace(__version__="0.9.0", env=types.SimpleNamespace(get_rank=lambda: 0))
    monkeypatch.setitem(sys.modules, "oneflow", flow)
    path = tmp_path / "größe.zip"
    path.write_bytes(b"what was there before")
    irflops.capture(FakeGraph(small), path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    data = path.read_bytes()
    assert is_capture(data)
    assert unpack(data, "graph.zip") == small
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [MANIFEST, REPR, JOB]
        manifest = json.loads(archive.read(MANIFEST))
    assert manifest["schema"] == "irflops.capture/1"
    assert manifest["irflops"] == irflops.__version__
    assert manifest["oneflow"] == "0.9.0"
    assert manifest["python"] == ".".join(map(str, sys.version_info[:3]))
    assert manifest["graph"] == "MyGraph_0"
    irflops.capture(FakeGraph(small), str(path))
    assert path.read_bytes() == data


def test_rank_0_alone_writes(small: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = types.SimpleNamespace(__version__="0.9.0", env=types.SimpleNamespace(get_rank=lambda: 1))
    monkeypatch.setitem(sys.modules, "oneflow", flow)
    graph = FakeGraph(small, compiled=False)
    irflops.capture(graph, tmp_path / "graph.zip", inputs=(1, 2))
    assert graph._is_compiled, "ranks compile together"
    assert [*tmp_path.iterdir()] == []


def test_a_graph_that_was_not_called(small: Captured, tmp_path: Path) -> None:
    graph = FakeGraph(small, compiled=False)
    with pytest.raises(IrflopsError, match="not compiled yet") as caught:
        irflops.capture(graph, tmp_path / "graph.zip")
    assert "call it once" in (caught.value.hint or "")
    assert graph.asked == 0, "OneFlow prints an error when asked for the job"
    irflops.capture(graph, tmp_path / "graph.zip", inputs=(1, 2))
    assert unpack((tmp_path / "graph.zip").read_bytes(), "graph.zip").job == small.job


class FakeModule:
    def state_dict(self) -> None: ...


@pytest.mark.parametrize(("thing", "said"), [(FakeModule(), "is a module, not a graph"), ("graph.txt", "of type str is no graph")])
def test_what_is_no_graph(thing: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(IrflopsError, match=said):
        irflops.capture(thing, tmp_path / "graph.zip")
    assert [*tmp_path.iterdir()] == []


def test_a_path_that_cannot_be_written(small: Captured, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "missing" / "graph.zip", ""):
        with pytest.raises(IrflopsError, match=r"cannot write the capture|names none"):
            irflops.capture(FakeGraph(small), path)
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


def test_irflops_by_itself_imports_no_oneflow(root: Path) -> None:
    code = "import sys, irflops.capturing.write, irflops.capturing.user_code; sys.exit('oneflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": str(root)})


# ------------------------------------------------------------------ the command


USER_CODE = """\
from oneflow import nn

class Fake(nn.Graph):
    pass

def graph():
    return Fake()

def module():
    return nn.Module()

def number():
    return 5

def broken():
    raise ZeroDivisionError("a fault of theirs")

def ready():
    made = Fake()
    made._compile()
    return made

class space:
    module = nn.Module()
"""


@pytest.fixture
def user_code(small: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the user's code, in a world where OneFlow seems to be installed."""

    class Compiled(FakeGraph):
        seen: list[object]

        def __init__(self) -> None:
            super().__init__(small, compiled=False)

        def _compile(self, *inputs: object) -> None:
            type(self).seen = [*inputs]
            self._is_compiled = True

    class Module:
        def eval(self) -> Module:
            return self

    flow: Any = types.ModuleType("oneflow")
    flow.__spec__ = types.SimpleNamespace(name="oneflow")
    flow.__version__ = "0.9.0"
    flow.env = types.SimpleNamespace(get_rank=lambda: 0)
    flow.nn = types.SimpleNamespace(Graph=Compiled, Module=Module)
    flow.float32, flow.int64 = "f32", "i64"
    flow.zeros = lambda *shape, dtype: (shape, dtype)
    monkeypatch.setitem(sys.modules, "oneflow", flow)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs.py").write_text(USER_CODE, encoding="utf-8")
    (tmp_path / "lacking.py").write_text("import no_such_package_anywhere\n", encoding="utf-8")
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    return tmp_path


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["capture", *args])
    return result.exit_code, result.output


@pytest.mark.parametrize("name", ["graph", "module", "Fake", "space.module"])
def test_command_captures_what_a_factory_gives(name: str, small: Captured, user_code: Path) -> None:
    assert run(f"theirs:{name}", "--input", "1x3x8x8", "--input", "4:int64", "-o", "graph.zip") == (0, "")
    assert unpack((user_code / "graph.zip").read_bytes(), "graph.zip") == small
    seen: Any = sys.modules["oneflow"].nn.Graph
    inputs = [((1, 3, 8, 8), "f32"), ((4,), "i64")]
    assert inputs in [kind.seen for kind in (seen, *seen.__subclasses__()) if hasattr(kind, "seen")]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["theirs"], "names no factory"),
        (["theirs:"], "names no factory"),
        (["theirs:nothing"], "theirs has no 'nothing'"),
        (["nowhere.at_all:graph"], "there is no module 'nowhere.at_all'"),
        (["lacking:graph"], "importing lacking failed with ModuleNotFoundError: No module named 'no_such_package_anywhere'"),
        (["theirs:number"], "theirs:number gives no graph and no module, but its type is int"),
        (["theirs:broken"], "theirs:broken() failed with ZeroDivisionError: a fault of theirs"),
        (["theirs:ready", "--input", "1"], "compiled already"),
        (["theirs:graph", "--input", "1,3"], "'1,3' is no input"),
        (["theirs:graph", "--input", "3:int5"], "'3:int5' is no input"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_command_is_refused(args: list[str], said: str, user_code: Path) -> None:
    code, output = run(*args, "-o", "graph.zip")
    assert code == 2
    assert said in output
    assert ("Traceback" in output) == ("failed with" in said), "the user's fault is shown where it happened"
    assert not (user_code / "graph.zip").exists()


def test_a_graph_that_is_ready_needs_no_inputs(user_code: Path) -> None:
    assert run("theirs:ready", "-o", "graph.zip") == (0, "")
    assert run("theirs:ready", "-o", "-")[0] == 2
    assert sorted(file.name for file in user_code.glob("*.zip")) == ["graph.zip"]


def test_without_oneflow_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    code, output = run("theirs:graph", "-o", str(tmp_path / "graph.zip"))
    assert code == 2
    assert "OneFlow is not installed here" in output
    assert "irflops[oneflow]" in output


def test_help_says_that_user_code_runs() -> None:
    code, output = run("--help")
    assert code == 0
    assert "only command that imports and runs code of yours" in " ".join(output.split())
