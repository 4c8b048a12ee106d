"""Jobs for the tests of their readers: small ones written out, those of the fixtures, and the binary form of any text."""

from __future__ import annotations

import gzip
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from google.protobuf import text_format

import irflops
from irflops import Graph, IrflopsError
from irflops.readers.job import job_text, job_wire

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
WITH_JOBS = sorted(path.name.removesuffix(".job.pb.gz") for path in FIXTURES.glob("*.job.pb.gz") if path.stat().st_size < 50_000)

X = 'op { name: "x" input_conf { out: "out" blob_conf { shape { dim: 2 dim: 8 } data_type: kFloat } } }'
W = 'op { name: "m.w" variable_conf { out: "out" shape { dim: 4 dim: 8 } data_type: kFloat } }'
CONF = 'job_conf { job_name: "G_0" predict_conf { } }'


def job(*ops: str, conf: str = CONF, rest: str = "") -> str:
    """A job's text, one operator a line behind the first."""
    return "net {\n" + "".join(f"  {op}\n" for op in ops) + f"}}\n{conf}\n{rest}"


def user(name: str, op_type: str, tensors: str = "", attrs: str = "") -> str:
    """A user operator from `in=x/out out=a/out_0`, its results called `out`."""
    parts = [pair.split("=") for pair in tensors.split()]
    fields = "".join(f'{"output" if arg == "out" else "input"} {{ key: "{arg}" value {{ s: "{lbn}" }} }} ' for arg, lbn in parts)
    return f'op {{ name: "{name}" user_conf {{ op_type_name: "{op_type}" {fields}{attrs} }} }}'


def content(stem: str, form: str) -> bytes:
    """What a fixture holds, decompressed."""
    return gzip.decompress((FIXTURES / f"{stem}.{form}.gz").read_bytes())


def message() -> Any:
    """An empty message of the protobuf library, by the schema that irflops reads jobs by."""
    return job_wire.job_class()()


def binary(text: str) -> bytes:
    """A job's text as the protobuf library serializes it."""
    wire = message()
    text_format.Parse(text, wire)
    data: bytes = wire.SerializeToString()
    return data


def read(text: str | bytes) -> Graph:
    return irflops.loads(text)


def thoroughly() -> AbstractContextManager[object]:
    """While it is open, texts of jobs are read the thorough way alone."""
    return mock.patch.object(job_text, "by_lines", return_value=())


def both_ways(text: str | bytes) -> Graph | str:
    """The graph in a text, or the error in full: the same by both ways of reading."""
    quick = _read_or_error(text)
    with thoroughly():
        assert _read_or_error(text) == quick
    return quick


def _read_or_error(text: str | bytes) -> Graph | str:
    try:
        return irflops.loads(text)
    except IrflopsError as error:
        return str(error)


def unplaced(graph: Graph) -> Graph:
    """A graph without what differs between the forms of one job by nature: spans, source and form."""
    ops = tuple(replace(op, span=None) for op in graph.ops)
    notes = tuple(replace(note, span=None) for note in graph.notes)
    nowhere = replace(graph.source, name="", text="")
    return replace(graph, ops=ops, notes=notes, source=nowhere, format="")
