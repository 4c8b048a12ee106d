"""`irflops formats`: what it lists is what is read. That its lines of Python make it, a live OneFlow says in test_live_oneflow."""

from __future__ import annotations

import ast
import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
from commands import run as run_command

import irflops
from irflops.ir.graph import Graph, Phase, Role
from irflops.readers.forms import FORMS, SAVED_STEP


def run(*args: str) -> str:
    result = run_command(*args)
    assert result.exit_code == 0
    return result.stdout


def test_every_form_is_there_for_programs() -> None:
    schema: dict[str, Any] = json.loads(run("schema", "formats"))
    listed = json.loads(run("formats", "--format", "json"))
    jsonschema.validate(listed, schema, cls=jsonschema.Draft202012Validator)
    titles = [form.title for form in FORMS]
    assert [row["title"] for row in listed["formats"]] == titles == list(dict.fromkeys(titles))
    assert {row["name"] for row in listed["formats"]} == {"capture", "repr", "job_text", "job_binary", "mlir", "saved_graph"}
    assert [row["make"] for row in csv.DictReader(io.StringIO(run("formats", "--format", "csv")))] == [form.make for form in FORMS]


def test_every_form_is_there_for_people() -> None:
    lines = run("formats").splitlines()
    assert max(map(len, lines)) <= 100
    for form in FORMS:
        assert f"{form.title} ({form.name})" in lines
        assert f" make it by  {form.make}" in lines
    told = run("formats", "--format", "markdown")
    assert all(form.lacks in told for form in FORMS)


def test_lines_of_python_are_some() -> None:
    for form in FORMS:
        (statement,) = ast.parse(form.make).body
        assert isinstance(statement, ast.Expr)
        assert "graph" in {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


CORPUS = Path(__file__).resolve().parents[1] / "fixtures" / "corpus"
COMPUTED = {"variable", "input", "output", "learning_rate_schedule"}

EVIDENCE: Mapping[str, Callable[[Graph], bool]] = {
    "attrs": lambda graph: all("transpose_a" in op.attrs for op in graph.ops if op.type in ("matmul", "broadcast_matmul")),
    "declarations": lambda graph: any(module.parameters and module.class_name for module in graph.modules),
    "result_types": lambda graph: all(op.outputs[0].type.numel for op in graph.ops if op.outputs),
    "result_sbp": lambda graph: any(op.outputs[0].nd_sbp for op in graph.ops if op.outputs and op.type not in COMPUTED),
    "operand_sbp": lambda graph: all(operand.nd_sbp for op in graph.ops if op.type != "output" for operand in op.inputs),
    "boxing": lambda graph: any(op.role is Role.BOXING for op in graph.ops),
    "passes": lambda graph: any(op.role is Role.SYSTEM for op in graph.ops),
    "backward": lambda graph: any(op.phase is Phase.BACKWARD for op in graph.ops),
    "recompute": lambda graph: any(op.phase is Phase.RECOMPUTE for op in graph.ops),
    "optimizer": lambda graph: any(op.type == "adam_update" for op in graph.ops),
}
"""By fact what shows that a graph has it, of a training step under checkpointing; the other facts are compared in tests of the diff."""


def held(name: str) -> tuple[dict[str, bool], dict[str, bool]]:
    """What a form is said to hold, and what is seen of it in a training step: under checkpointing, boxing on a mesh."""
    graph, mesh = (irflops.load(CORPUS / f"{stem}.{name}.gz") for stem in ("gpt_micro_ckpt", "gpt_micro_pp2dp2"))
    return {fact: getattr(graph.holds, fact) for fact in EVIDENCE}, {
        fact: seen(mesh if fact == "boxing" else graph) for fact, seen in EVIDENCE.items()
    }


def test_a_print_a_job_and_a_forward_job_hold_what_they_are_said_to() -> None:
    for name in ("repr.txt", "job.pb", "fwd.prototxt"):
        said, seen = held(name)
        assert said == seen, name


def test_a_saved_graph_of_a_full_job_holds_what_it_is_said_to() -> None:
    said, seen = held("mlir")
    assert said == seen


def test_every_reader_says_what_its_form_holds() -> None:
    said = {form.name: {other.holds for other in FORMS if other.name == form.name} for form in FORMS}
    for path in sorted(CORPUS.glob("gpt_micro_ckpt.*")):
        graph = irflops.load(path)
        assert graph.holds in said[graph.format] | {SAVED_STEP}, path.name
    assert len(said["job_text"]) == 2
