"""One measurement, in a process of its own: `python child.py WHAT DUMP` prints JSON of seconds of CPU time and megabytes.

WHAT is pass, big, job, load, infer, or diff, which takes two.
"""

from __future__ import annotations

import gzip
import json
import re
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from google.protobuf import text_format

import irflops
from irflops.counting.infer import infer
from irflops.readers.job import job_wire
from irflops.report.json_writer import write_json

TENSOR = re.compile(r"[^\s(\[,]+/\w+:\(?sbp=\((?:[^()]|\(\d+\))*\), size=\([\d, ]*\), dtype=\([\w.]+\)")
SMALL_GRAPH = """\
(GRAPH:warm_up_0:WarmUp): (
  (MODULE:model:ReLU()): (
    (GraphModule:model()): (
      (OPERATOR: model-relu-0(_warm_up_0_input.0.0_2/out:(sbp=(B), size=(1), dtype=(oneflow.float32))) -> \
(model-relu-0/y_0:(sbp=(B), size=(1), dtype=(oneflow.float32))), placement=(oneflow.placement(type="cpu", ranks=[0])))
    )
  )
)
"""
SMALL_JOB = """\
net { op { name: "x" input_conf { out: "out" blob_conf { shape { dim: 1 } data_type: kFloat } } } }
job_conf { job_name: "warm_up_0" }
"""


def one_pass(dump: Path) -> dict[str, float]:
    """A dump from text to cost, and a single pass of a regular expression over the same text. Grammars and rules are loaded before."""
    irflops.analyze(irflops.loads(SMALL_GRAPH))
    text = gzip.decompress(dump.read_bytes()).decode("utf-8")
    start = time.process_time()
    irflops.analyze(irflops.loads(text))
    analyzed = time.process_time()
    for _ in TENSOR.finditer(text):
        pass
    return {"analyze": analyzed - start, "finditer": time.process_time() - analyzed}


def big(dump: Path) -> dict[str, float]:
    """A whole file from disk to cost, then to JSON."""
    start = time.process_time()
    analysis = irflops.analyze(irflops.load(dump))
    analyzed = time.process_time()
    peak_analyzed = peak_megabytes()
    written = time.process_time()
    with dump.with_suffix(".json").open("w", encoding="utf-8") as stream:
        write_json(analysis, stream)
    return {"analyze": analyzed - start, "json": time.process_time() - written, "peak_analyzed": peak_analyzed, "peak": peak_megabytes()}


def job(dump: Path) -> dict[str, float]:
    """A job's text as a graph, and as a message of the protobuf library, by the same schema."""
    irflops.loads(SMALL_JOB)
    text = gzip.decompress(dump.read_bytes()).decode("utf-8")
    start = time.process_time()
    irflops.loads(text)
    loaded = time.process_time()
    text_format.Parse(text, job_wire.job_class()(), allow_unknown_field=True)
    return {"load": loaded - start, "library": time.process_time() - loaded}


def load(dump: Path) -> dict[str, float]:
    """A file's content as a graph. Grammars are loaded before."""
    data = gzip.decompress(dump.read_bytes())
    irflops.loads(gzip.decompress((dump.parent / dump.name.replace("densenet121", "basic_block")).read_bytes()))
    start = time.process_time()
    irflops.loads(data)
    return {"load": time.process_time() - start}


def inference(dump: Path) -> dict[str, float]:
    """Reading a job without computed shapes, and inferring all of them. Rules are loaded before."""
    irflops.analyze(irflops.loads(SMALL_JOB))
    text = gzip.decompress(dump.read_bytes()).decode("utf-8")
    start = time.process_time()
    graph = irflops.loads(text)
    loaded = time.process_time()
    infer(graph)
    return {"load": loaded - start, "infer": time.process_time() - loaded}


def compared(old: Path, new: Path) -> dict[str, float]:
    """Two files from disk to cost, of which the larger counts, and from there to their diff."""
    sides, seconds = [], []
    for dump in (old, new):
        start = time.process_time()
        sides.append(irflops.analyze(irflops.load(dump)))
        seconds.append(time.process_time() - start)
    start = time.process_time()
    diff = irflops.diff(*sides)
    return {
        "analyze": max(seconds),
        "diff": time.process_time() - start,
        "operators": max(len(side.graph.ops) for side in sides),
        "edits": len(diff.edits),
    }


def peak_megabytes() -> float:
    """The most memory that this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


MEASURES: dict[str, Callable[..., dict[str, float]]] = {
    "pass": one_pass,
    "big": big,
    "job": job,
    "load": load,
    "infer": inference,
    "diff": compared,
}
print(json.dumps(MEASURES[sys.argv[1]](*map(Path, sys.argv[2:]))))
