"""What is often taken for a graph dump: each is recognised, and answered with the line of Python that dumps the right thing."""

from __future__ import annotations

import gzip
import io
import pickle
import re
import zipfile
from pathlib import Path

import pytest

import irflops
from irflops import IrflopsError
from irflops.errors import NotAGraphError

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
DUMP = "graph(*inputs); print(graph, file=open('graph.txt', 'w'))"
"""What a user has to run; the call comes first, for a graph has no operators before it."""


def fixture(name: str) -> bytes:
    return gzip.decompress((FIXTURES / f"{name}.gz").read_bytes())


def error_of(data: bytes | str) -> IrflopsError:
    with pytest.raises(NotAGraphError) as caught:
        irflops.loads(data, name="file")
    return caught.value


# ---------------------------------------------------------------- weights


class Unpicklable:
    """Whoever unpickles it fails."""

    def __reduce__(self) -> tuple[object, ...]:
        return exec, ("raise SystemError('this was unpickled')",)


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, b"\x80\x02}q\x00.")
    return stream.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        *(pickle.dumps({"model.weight": [0.5, 1.5]}, protocol=protocol) for protocol in (2, 3, 4, 5)),
        pickle.dumps(Unpicklable()),
        zipped("archive/data.pkl", "archive/data/0"),
        b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }" + b" " * 40 + b"\n" + bytes(12),
        gzip.compress(pickle.dumps({"model.weight": [0.5]}), mtime=0),
    ],
    ids=["pickle 2", "pickle 3", "pickle 4", "pickle 5", "a trap", "zip checkpoint", "numpy", "compressed"],
)
def test_weights(data: bytes) -> None:
    """Nothing is ever unpickled: it would run the file's code."""
    error = error_of(data)
    assert error.message == "this is a pickle or checkpoint: weights, not a graph, and irflops never unpickles"
    assert error.hint == f"in the script that builds the graph: {DUMP}"


# ---------------------------------------------------------------- protobufs


def message(*fields: tuple[int, int | bytes | str]) -> bytes:
    """A protobuf message: integers as varints, the rest with their length."""

    def varint(number: int) -> bytes:
        return bytes([number & 127 | 128]) + varint(number >> 7) if number > 127 else bytes([number])

    parts = []
    for number, value in fields:
        if isinstance(value, int):
            parts.append(varint(number << 3) + varint(value))
        else:
            content = value.encode() if isinstance(value, str) else value
            parts.append(varint(number << 3 | 2) + varint(len(content)) + content)
    return b"".join(parts)


def onnx_model(producer: str) -> bytes:
    """onnx.ModelProto: ir_version 1, producer_name 2, producer_version 3, graph 7, opset_import 8."""
    relu = message((1, "x"), (2, "y"), (3, "node_0"), (4, "Relu"))
    graph = message((1, relu), (2, "main_graph"), (11, message((1, "x"))), (12, message((1, "y"))))
    named = [(2, producer), (3, "1.13.0")] if producer else []
    return message((1, 8), *named, (7, graph), (8, message((1, ""), (2, 13))))


@pytest.mark.parametrize("producer", ["pytorch", "oneflow", "tf2onnx", "skl2onnx", "onnx.quantize", "backend-test", "my exporter", ""])
def test_an_onnx_model(producer: str) -> None:
    error = error_of(onnx_model(producer))
    assert error.message == "this is an ONNX model, not a OneFlow graph"
    assert error.hint == f"where the OneFlow graph is: {DUMP}"


def task(task_type: int, machine: int, thread: int) -> bytes:
    """oneflow.TaskProto: task_type 1, machine_id 2, thrd_id 3, task_id 4, job_id 5."""
    return message((1, task_type), (2, machine), (3, thread), (4, 1), (5, 0))


@pytest.mark.parametrize(
    "plan",
    [
        message((1, task(15, 0, 2097152)), (1, task(22, 0, 2097153))),
        message((1, task(15, 1, 2097152) + message((8, "x" * 500)))),
        b"task {\n  task_type: kNormalForward\n  machine_id: 0\n  thrd_id: 2097152\n  task_id: 4398048608256\n  job_id: 0\n}\n",
        b"task { task_type: kTick machine_id: 0 }\n",
    ],
    ids=["binary", "binary, long tasks", "text", "text in one line"],
)
def test_a_plan(plan: bytes) -> None:
    error = error_of(plan)
    assert error.message == "this is a OneFlow Plan: the compiled tasks of each device, from which the logical graph cannot be told"
    assert error.hint == f"dump the graph itself: {DUMP}"


@pytest.mark.parametrize("form", ["fwd.prototxt", "job.prototxt"])
def test_a_job_in_a_log(form: str) -> None:
    error = error_of(b"loading the model\n" + fixture(f"basic_block.{form}"))
    assert error.message == "this is a text with a OneFlow job somewhere in it"
    assert error.hint == "keep the job alone, from its line 'net {' to the last '}'"


def test_a_saved_graph_in_a_log() -> None:
    error = error_of(b"saving the model\n" + fixture("basic_block.mlir"))
    assert error.message == "this is a text with a saved graph's MLIR somewhere in it"
    assert error.hint == "keep the module alone, from its line 'module {' to the last '}'"


# ---------------------------------------------------------------- graphs and modules without operators


def uncalled(name: str) -> str:
    """The print of a graph that was never called: modules, parameters and buffers."""
    text = re.sub(r",\n +(?=grad_fn)", ", ", fixture(f"{name}.repr.txt").decode())
    lines = [line for line in text.splitlines() if not re.match(r"\s*\((?:OPERATOR|INPUT|OUTPUT)\b", line)]
    return "\n".join(lines) + "\n"


def as_0_7(name: str) -> str:
    """The print of 0.7 and earlier after a call: inputs and outputs as well, but no GraphModule level and no operators."""
    lines = fixture(f"{name}.repr.txt").decode().splitlines()
    levels: list[bool] = []
    kept = []
    for line in lines:
        if "(GraphModule:" in line:
            levels += [False] * line.endswith("(")
        elif line.strip() == ")":
            if levels.pop():
                kept.append(line)
        elif "(OPERATOR:" not in line:
            levels += [True] * line.endswith("): (")
            kept.append(line)
    return "\n".join(kept) + "\n"


@pytest.mark.parametrize("name", ["basic_block", "gpt_train", "resnet18"])
def test_a_graph_printed_before_its_first_call(name: str) -> None:
    error = error_of("loading\n" + uncalled(name))
    assert error.message == "the graph was printed before its first call, so it has modules and no operators"
    assert error.hint == f"call it first, with OneFlow 0.8.0 or newer, for older ones print no operators: {DUMP}"
    assert (error.line, error.column) == (2, 1)
    assert error.excerpt is not None
    assert error.excerpt.startswith("(GRAPH:")


@pytest.mark.parametrize("name", ["basic_block", "gpt_train"])
def test_a_graph_printed_by_0_7(name: str) -> None:
    error = error_of(as_0_7(name))
    assert error.message == "the graph has modules and no operators: OneFlow 0.7 and earlier print none"
    assert error.hint == f"with OneFlow 0.8.0 or newer: {DUMP}"
    assert error.line == 1


MODULE = """\
ResNet(
  (conv1): Conv2d(3, 64, kernel_size=(7, 7), stride=(2, 2), padding=(3, 3), bias=False)
  (layer1): Sequential(
    (0): BasicBlock(
      (relu): ReLU()
    )
  )
)
"""


@pytest.mark.parametrize(
    "data",
    [MODULE.encode(), f"INFO model:\n{MODULE}epoch 1\n".encode(), MODULE.replace("\n", "\r\n").encode("utf-16")],
    ids=["alone", "in a log", "by PowerShell's redirect"],
)
def test_a_printed_module(data: bytes) -> None:
    error = error_of(data)
    assert error.message == "this is the print of a module: it has no operators and no shapes"
    assert error.hint == f"wrap the module in a oneflow.nn.Graph and call it: {DUMP}"


# ---------------------------------------------------------------- nothing of the kind


@pytest.mark.parametrize("data", [b"", b"\n \t\r\n", b"\xef\xbb\xbf", b"\xff\xfe", gzip.compress(b"", mtime=0)])
def test_an_empty_file(data: bytes) -> None:
    error = error_of(data)
    assert error.message == "the input is empty"
    assert error.hint == DUMP


@pytest.mark.parametrize(
    "data",
    [
        b"epoch 1: loss 2.3\n",
        b"\0" * 1000,
        bytes(range(256)) * 4,
        b"{}",
        "GRAPH (OPERATOR x)".encode("utf-16"),
    ],
)
def test_other_content_names_what_was_looked_for(data: bytes) -> None:
    error = error_of(data)
    assert error.message == "no OneFlow graph in here: neither the line '(GRAPH:name:Class): (' of a print, nor a job, nor a saved graph"
    assert error.hint == f"irflops formats lists what is read, and how to make each; the simplest: {DUMP}"
    assert str(error).startswith("file: error: ")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(IrflopsError) as caught:
        irflops.load(tmp_path)
    assert caught.value.message == "this folder holds no saved graph: there is no model.mlir"
    assert caught.value.path == str(tmp_path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(IrflopsError) as caught:
        irflops.load(tmp_path / "no such.txt")
    assert caught.value.message == "cannot read the file: No such file or directory"
    assert caught.value.path == str(tmp_path / "no such.txt")
