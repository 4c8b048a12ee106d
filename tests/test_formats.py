"""`irflops formats`: what it lists is what is read. That its lines of Python make it, a live OneFlow says in test_live_oneflow."""

from __future__ import annotations

import ast
import csv
import io
import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
from click.testing import CliRunner

from irflops.cli import cli
from irflops.readers.forms import FORMS


def run(*args: str) -> str:
    result = CliRunner().invoke(cli, args)
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
