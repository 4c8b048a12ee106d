"""Totals as functions of two letters: found again, hand-derived, and equal to what OneFlow captures at nine sizes."""

from __future__ import annotations

import json
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
from irflops.analysis.polynomial import MOST_DEGREES_IN_TWO, PolynomialInTwo, fitted_in_two, triangle
from irflops.analysis.scale import Open, Scaling, scaling
from irflops.cli import cli

SEQUENCES = Path(__file__).resolve().parents[1] / "fixtures" / "sequences"
FIGURES: dict[str, dict[str, dict[str, int]]] = json.loads((SEQUENCES / "figures.json").read_text(encoding="utf-8"))
DIAGONALS = MOST_DEGREES_IN_TWO + 3


def asked_of(name: str) -> list[str]:
    """The options that leave batch and length open, in the same letters wherever they stand."""
    if name != "bound":
        return ["--input", "NxT"]
    inputs = ["--input", "_Training_0_input.0.0_2=NxT", "--input", "_Training_0_input.0.1_3=N*T"]
    return [*inputs, "--set", "model.positions.table=1xTx16"]


POWERS = st.tuples(st.integers(0, MOST_DEGREES_IN_TWO), st.integers(0, MOST_DEGREES_IN_TWO)).filter(lambda p: sum(p) <= MOST_DEGREES_IN_TWO)


@given(
    st.dictionaries(POWERS, st.integers(-1000, 1000).filter(bool), max_size=6),
    st.tuples(st.integers(1, 50), st.integers(1, 50)),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_a_polynomial_is_found_again(terms: dict[tuple[int, int], int], start: tuple[int, int], steps: tuple[int, int]) -> None:
    def value(place: tuple[int, int]) -> int:
        x, y = (at + k * step for at, k, step in zip(start, place, steps, strict=True))
        return sum(coefficient * x**i * y**j for (i, j), coefficient in terms.items())

    found = fitted_in_two(start, steps, {place: value(place) for place in triangle(DIAGONALS)}, DIAGONALS)
    assert found is not None
    assert found.terms == {powers: Fraction(coefficient) for powers, coefficient in terms.items()}


def test_degree_6_is_no_polynomial_here() -> None:
    assert fitted_in_two((1, 1), (1, 1), {(i, j): (1 + i) ** 3 * (1 + j) ** 3 for i, j in triangle(DIAGONALS)}, DIAGONALS) is None
    values = dict.fromkeys(triangle(6), 7)
    assert fitted_in_two((1, 1), (1, 1), values | {(0, 5): 8}, 6) is None


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        ({}, "0"),
        ({(1, 2): 3, (1, 1): 5, (0, 0): -1}, "3 N T^2 + 5 N T - 1"),
        ({(0, 1): -1, (1, 0): Fraction(1, 2)}, "1/2 N - T"),
    ],
)
def test_spelled(terms: dict[tuple[int, int], Fraction | int], text: str) -> None:
    assert PolynomialInTwo({powers: Fraction(c) for powers, c in terms.items()}).spelled("N", "T") == text


def attention() -> Scaling:
    """N sequences of T rows of 6, T x T products of rows each."""
    graph = graph_of(
        ("x", "input() -> out: f32[2,4,6]"),
        ("scores", "batch_matmul(a: f32[2,4,6], b: f32[2,4,6], transpose_a=false, transpose_b=true) -> out: f32[2,4,4]", "x", "x"),
        ("y", "batch_matmul(a: f32[2,4,4], b: f32[2,4,6], transpose_a=false, transpose_b=false) -> out: f32[2,4,6]", "scores", "x"),
    )
    return scaling(graph, ("N", "T", 6))


def test_attention_by_hand() -> None:
    """Of N times T x T scores 6 products each, and as many to weigh; T x T scores and T rows of 6 floats are written."""
    totals = {total.name: total.in_two for total in attention().totals}
    macs, written = totals["macs"], totals["bytes_written"]
    assert macs is not None
    assert macs.terms == {(1, 2): 12}
    assert written is not None
    assert written.terms == {(1, 2): 4, (1, 1): 24}
    assert attention().domain == "every N and every T"


@pytest.mark.parametrize("form", ["job.pb", "repr.txt"])
@pytest.mark.parametrize("name", list(FIGURES))
def test_formulas_of_a_gpt_captured_once_give_nine_captures(name: str, form: str) -> None:
    """Where the domain says that they hold: of the training step from a batch of 2 on, for at 1 its table's gradient needs no sum."""
    result = CliRunner().invoke(cli, ["scale", str(SEQUENCES / f"{name}.{form}.gz"), *asked_of(name), "--format", "json", "-q"])
    assert result.exit_code == 0, result.output
    row = json.loads(result.output)
    schema = json.loads(CliRunner().invoke(cli, ["schema", "scale"]).output)
    jsonschema.validate(row, schema, cls=jsonschema.Draft202012Validator)
    first = row["symbols"]["N"].get("first", 1)
    assert first == (2 if name == "bound" else 1)
    assert row["symbols"]["T"].get("stop") == {"looked_up": 1023, "cut": 1023, "bound": None}[name]
    for size, totals in FIGURES[name].items():
        batch, length = map(int, size.split("x"))
        if batch < first:
            continue
        for cost, total in row["totals"].items():
            assert total["certainty"] == "exact"
            terms = ((term["powers"], Fraction(*term["coefficient"])) for term in total["terms"])
            assert sum(c * batch**i * length**j for (i, j), c in terms) == totals[cost], (size, cost)


def test_a_bound_is_where_the_positions_end() -> None:
    graph = irflops.load(SEQUENCES / "looked_up.repr.txt.gz")
    (axis,) = irflops.scale(graph, (2, "T")).axes
    assert (axis.symbol, axis.captured, axis.step, axis.stop) == ("T", 128, 1, 1023)
    irflops.analyze(graph, inputs=(2, 1024))
    with pytest.raises(IrflopsError, match="cannot take the new sizes"):
        irflops.analyze(graph, inputs=(2, 1025))


def test_an_error_at_a_table_is_answered_in_letters() -> None:
    """What to give beside the input: the same letters, in the shape of the table and of the masks of all blocks."""
    path = str(SEQUENCES.parent / "gpt2_small_infer.repr.txt.gz")
    result = CliRunner().invoke(cli, ["scale", path, "--input", "NxT", "-q"])
    assert result.exit_code == 2
    assert "hint: with variables of that size: --set m.wpe=1xTx768 --set 'm.blocks.*.attn.mask=1x1xTxT'" in result.output


def test_a_batch_may_be_a_letter_or_a_number_beside_the_others() -> None:
    graph = irflops.load(SEQUENCES / "cut.repr.txt.gz")
    both = irflops.scale(graph, ("B", "T")).totals
    beside = irflops.scale(graph, (1, "T"), batch="B").totals
    assert [total.in_two and total.in_two.terms for total in both] == [
        total.in_two and {(j, i): c for (i, j), c in total.in_two.terms.items()} for total in beside
    ]
    eight = irflops.scale(graph, (1, "T"), batch=8).totals
    assert [total.at(200) for total in eight] == [total.at(8, 200) for total in both]


def test_widths_scale_too() -> None:
    plain, half = (irflops.scale(SEQUENCES / "cut.repr.txt.gz", dtype=dtype).totals for dtype in (None, "half"))
    bytes_of = {total.name: total.at(10) for total in plain}
    assert next(total.at(10) for total in half if total.name == "param_bytes") == (bytes_of["param_bytes"] or 0) / 2


def test_values_are_tabled_where_there_is_no_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("irflops.analysis.scale.fitted_in_two", lambda *_: None)
    monkeypatch.setattr("irflops.analysis.scale.steps_of", lambda _family, _place: iter((1,)))
    result = CliRunner().invoke(cli, ["scale", str(SEQUENCES / "cut.repr.txt.gz"), "--input", "NxT", "-q"])
    assert result.exit_code == 0
    assert "Values of what is not polynomial here" in result.output


def test_open_extents_by_hand() -> None:
    assert Open(batch="B", inputs={"x": ("N", 3, "N*T")}, variables={"w": (2, "T")}).symbols == ("N", "T", "B")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"batch": 3}, "no extent is left open"),
        ({"inputs": (1, 96)}, "no extent is left open"),
        ({"inputs": ("A", "B"), "batch": "C"}, "A, B and C are 3 letters"),
        ({"inputs": (1, 5.5)}, "is no shape"),
        ({"inputs": ("N N", 96)}, "is no symbol"),
        ({"inputs": ("N", 96), "variables": {"nope": (1,)}}, "no variable is called 'nope'"),
    ],
)
def test_asking_wrongly_is_answered(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(IrflopsError, match=message):
        irflops.scale(SEQUENCES / "cut.repr.txt.gz", **asked)


@pytest.mark.parametrize("asked", [{"batch": 2.5}, {"variables": 3}, {"variables": {3: (1,)}}, {"symbol": 3}, {"inputs": 3}])
def test_arguments_of_a_wrong_type_are_told_in_words(asked: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r" is .*, not "):
        irflops.scale(SEQUENCES / "cut.repr.txt.gz", **asked)


def test_the_command_without_a_file_is_answered() -> None:
    for args in ([], ["--batch"], ["--input", "NxT"]):
        result = CliRunner().invoke(cli, ["scale", *args])
        assert result.exit_code == 2
        assert "Missing argument 'PATH'" in result.output
