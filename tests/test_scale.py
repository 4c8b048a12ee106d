"""Totals as functions of a symbol: hand-derived, exact at every point, and refused or tabled where there is no polynomial."""

from __future__ import annotations

import csv
import io
import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from whatif_graphs import graph_of

import irflops
from irflops import IrflopsError
from irflops.analysis.scale import MOST_DEGREES, Polynomial, fitted, scaling
from irflops.cli import cli
from irflops.report.scaling import NOT_POLYNOMIAL

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
RESNET = str(FIXTURES / "resnet18.repr.txt.gz")


def run(*args: str) -> tuple[int | None, str]:
    """Exit code and output of a command."""
    result = CliRunner().invoke(cli, args)
    return result.exit_code, result.output


def coefficients(polynomial: Polynomial | None) -> list[Fraction]:
    assert polynomial is not None
    return list(polynomial.coefficients)


@given(st.lists(st.fractions(max_denominator=64), max_size=MOST_DEGREES + 1), st.integers(1, 50), st.integers(1, 9))
def test_a_polynomial_is_found_again(wanted: list[Fraction], start: int, step: int) -> None:
    while wanted and not wanted[-1]:
        wanted.pop()
    points = [start + k * step for k in range(MOST_DEGREES + 3)]
    denominator = 1
    for coefficient in wanted:
        denominator *= coefficient.denominator
    values = [Polynomial(tuple(wanted))(at) * denominator for at in points]
    assert all(value.denominator == 1 for value in values)
    assert coefficients(fitted(points, list(map(int, values)))) == [coefficient * denominator for coefficient in wanted]


def test_degree_5_is_no_polynomial_here() -> None:
    assert fitted(range(1, 8), [n**5 for n in range(1, 8)]) is None
    assert coefficients(fitted(range(1, 8), [n**4 for n in range(1, 8)])) == [0, 0, 0, 0, 1]
    assert fitted(range(1, 8), [1, 1, 1, 1, 1, 1, 2]) is None


def test_attention_is_quadratic_in_its_length() -> None:
    """Of N rows of 6: N * N products of rows, 6 products and sums each, and as many to weigh N rows of 6 anew."""
    graph = graph_of(
        ("x", "input() -> out: f32[4,6]"),
        ("scores", "matmul(a: f32[4,6], b: f32[4,6], transpose_a=false, transpose_b=true) -> out: f32[4,4]", "x", "x"),
        ("y", "matmul(a: f32[4,4], b: f32[4,6], transpose_a=false, transpose_b=false) -> out: f32[4,6]", "scores", "x"),
    )
    found = scaling(graph, (None, 6))
    totals = {total.name: total for total in found.totals}
    assert coefficients(totals["macs"].polynomial) == [0, 0, 12]
    assert coefficients(totals["bytes_written"].polynomial) == [0, 24, 4]
    assert found.inputs == {"x": "Nx6"}
    assert (found.captured, found.samples[0], totals["macs"].values[0]) == (4, 4, 12 * 16)


def test_pooling_that_rounds_is_tabled() -> None:
    """The windows of 7 positions of a map that is pooled to 3 go by remainders, however far the samples lie apart by strides of 2."""
    graph = graph_of(
        ("x", "input() -> out: f32[1,1,7,5]"),
        ("y", "adaptive_avg_pool2d(x: f32[1,1,7,5], output_size=[3,2]) -> y: f32[1,1,3,2]", "x"),
    )
    found = scaling(graph, (1, 1, None, 5))
    flops = next(total for total in found.totals if total.name == "flops")
    windows = [n + 3 - (3 if n % 3 == 0 else 1) for n in found.samples]
    assert flops.values == tuple(w * 6 for w in windows)
    assert (flops.polynomial is None) == (len({n % 3 == 0 for n in found.samples}) == 2)


def test_resnet_by_hand() -> None:
    """Of its 1,814,073,344 macs at 224 only the last layer's 512 * 1000 do not grow; bytes read hold the weights once."""
    batch = {total.name: total.polynomial for total in scaling(irflops.load(RESNET)).totals}
    image = {total.name: total.polynomial for total in scaling(irflops.load(RESNET), (1, 3, None, None)).totals}
    assert coefficients(batch["macs"]) == [0, 1814073344]
    assert coefficients(image["macs"]) == [512000, 0, Fraction(1814073344 - 512000, 224 * 224)]
    assert coefficients(batch["params"]) == coefficients(image["params"]) == [11689512]
    reads = batch["bytes_read"]
    assert reads is not None
    assert reads(0) == 4 * (11689512 + 9600)  # batch norms read their two buffers too


@pytest.mark.parametrize("name", ["mlp_train", "cnn_accumulate", "functional_pool"])
def test_formulas_give_what_analyses_give(name: str) -> None:
    graph = irflops.load(FIXTURES / f"{name}.repr.txt.gz")
    found = scaling(graph)
    elsewhere = 9 * found.captured
    total = irflops.analyze(graph, batch=elsewhere).total
    for each in found.totals:
        if each.name not in ("params", "param_bytes") and each.certainty == "exact":
            assert each.polynomial is not None
            assert each.polynomial(elsewhere) == total.get(each.name)


def test_a_model_that_takes_no_other_size_says_where() -> None:
    with pytest.raises(IrflopsError, match=r"variable 'model\.positions'"):
        scaling(irflops.load(FIXTURES / "what_if" / "vit.1x64.job.pb.gz"), (1, 3, None, None))


@pytest.mark.parametrize(
    ("polynomial", "text"),
    [
        ((), "0"),
        ((5,), "5"),
        ((0, 1), "N"),
        ((0, -1), "-N"),
        ((7, 0, 1234), "1,234 N^2 + 7"),
        ((-7, Fraction(3, 2)), "3/2 N - 7"),
    ],
)
def test_spelled(polynomial: tuple[Fraction | int, ...], text: str) -> None:
    assert Polynomial(tuple(map(Fraction, polynomial))).spelled("N") == text


def test_formulas_say_for_which_sizes_they_hold() -> None:
    """Every 32 pixels, since five strides of 2 round between; every batch, but whole micro-batches where gradients accumulate."""
    graph = irflops.load(RESNET)
    image = scaling(graph, (1, 3, None, None)).to_dict()
    assert image["valid_for"] == {"start": 224, "step": 32}
    macs = next(total.polynomial for total in scaling(graph, (1, 3, None, None)).totals if total.name == "macs")
    assert macs is not None
    assert macs(192) == irflops.analyze(graph, inputs=(1, 3, 192, 192)).total.get("macs")
    assert macs(230) != irflops.analyze(graph, inputs=(1, 3, 230, 230)).total.get("macs")
    assert scaling(irflops.load(FIXTURES / "mlp_train.repr.txt.gz")).to_dict()["valid_for"]["step"] == 1
    assert scaling(irflops.load(FIXTURES / "cnn_accumulate.repr.txt.gz")).to_dict()["valid_for"] == {"start": 4, "step": 4}


# The command


def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("schema", "scale")[1])
    return found


def test_command_writes_a_table_json_and_csv() -> None:
    code, text = run("scale", RESNET, "--input", "1x3xNxN", "-q")
    assert code == 0
    assert "36,144 N^2 + 512,000" in text
    assert re.search(r"^ captured +N = 224$", text, re.MULTILINE)
    assert "Totals as functions of N, for N = 224 + 32 k" in text
    assert "for every N" in run("scale", RESNET, "--batch", "-q")[1]
    row = json.loads(run("scale", RESNET, "--input", "1x3xNxN", "--format", "json", "-q")[1])
    jsonschema.validate(row, schema(), cls=jsonschema.Draft202012Validator)
    assert row == json.loads(json.dumps(scaling(irflops.load(RESNET), (1, 3, None, None)).to_dict()))
    assert row["totals"]["macs"]["coefficients"] == [[512000, 1], [0, 1], [36144, 1]]
    rows = list(csv.DictReader(io.StringIO(run("scale", RESNET, "--batch", "--format", "csv", "-q")[1])))
    assert [row["formula"] for row in rows if row["total"] == "MACs"] == ["1,814,073,344 N"]


def test_command_tables_what_is_no_polynomial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("irflops.analysis.scale.fitted", lambda _points, _values: None)
    code, text = run("scale", RESNET, "--batch", "-q")
    assert code == 0
    assert text.count(NOT_POLYNOMIAL) == 11  # ten totals, and the title of their values


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "--batch, or --input"),
        (("--batch", "8"), "--batch, or --input"),
        (("--batch=N=3",), "is no batch"),
        (("--input", "1x3x2x2"), "--batch, or --input"),
        (("--input", "KxLxMxN"), "are 4 letters"),
        (("--set", "1xN"), "name the variable"),
        (("--input", "1x-3xN"), "is no shape"),
        (("--input", f"1x{2**63}xN"), "is too large"),
        (("--input", "image=1x3xNxN"), "no input is called"),
        (("--input", "1xN"), "4 axes"),
    ],
)
def test_command_answers_what_it_cannot_do(args: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(cli, ["scale", RESNET, "-q", *args])
    assert result.exit_code == 2
    assert message in result.output


def test_analyze_takes_what_ifs() -> None:
    code, text = run("analyze", RESNET, "--batch", "8", "--dtype", "float16", "--format", "json", "--without", "ops,modules", "-q")
    assert code == 0
    row = json.loads(text)
    assert row["totals"]["macs"] == 8 * 1814073344
    assert row["totals"]["param_bytes"]["trainable"] == 2 * 11689512
    assert [note["code"] for note in row["notes"]] == ["what-if"]
    assert "8x3x224x224" in row["notes"][0]["text"]
    assert json.loads(run("analyze", RESNET, "--input", "2x3x96x96", "--format", "json", "-q")[1])["totals"]["macs"] == 2 * (
        36144 * 96 * 96 + 512000
    )
    for shape in ("1x3x9223372036854775808x8", "1x3x" + "9" * 5000 + "x8"):
        assert "is too large" in run("analyze", RESNET, "--input", shape, "-q")[1]
    assert run("analyze", RESNET, "--batch", "99999999999999999999", "-q")[0] == 2
    code, text = run("analyze", RESNET, "--input", "1x3xNxN", "-q")
    assert code == 2
    assert "irflops scale" in text
