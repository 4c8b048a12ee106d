"""Numbers as people read them: with units, bounds marked, ratios exact."""

from __future__ import annotations

import pytest

from irflops.counting.ratio import Ratio
from irflops.ir.certainty import Certainty
from irflops.report.numbers import format_count, format_exact, format_ratio, format_share


@pytest.mark.parametrize(
    ("value", "unit", "certainty", "text"),
    [
        (1814073344, "MACs", "exact", "1.81 GMACs"),
        (3637806568, "FLOPs", "exact", "3.64 GFLOPs"),
        (11689512, "params", "exact", "11.69 M params"),
        (46758048, "bytes", "exact", "44.6 MiB"),
        (0, "MACs", "exact", "0 MACs"),
        (999, "MACs", "exact", "999 MACs"),
        (999_994, "MACs", "exact", "999.99 kMACs"),
        (999_995, "MACs", "exact", "1.00 MMACs"),
        (1023, "bytes", "exact", "1023 bytes"),
        (1024**2 - 1, "bytes", "exact", "1.0 MiB"),
        (5, "FLOPs", "lower_bound", ">= 5 FLOPs"),
        (5, "FLOPs", "upper_bound", "<= 5 FLOPs"),
        (5, "FLOPs", "unbounded", "~ 5 FLOPs"),
        (0, "FLOPs", "lower_bound", "unknown"),
        (0, "FLOPs", "upper_bound", "<= 0 FLOPs"),
        (0, "FLOPs", "unbounded", "unknown"),
        (5, "FLOPs", "estimate", "~ 5 FLOPs"),
        (0, "FLOPs", "estimate", "~ 0 FLOPs"),
        (None, "FLOPs", "exact", "unknown"),
        (10**26, "MACs", "exact", "100.00 YMACs"),
        (10**27 - 1, "MACs", "exact", "9.99e26 MACs"),
        (123 * 10**3000, "params", "exact", "1.23e3002 params"),
    ],
)
def test_count(value: int | None, unit: str, certainty: str, text: str) -> None:
    assert format_count(value, unit, Certainty(certainty)) == text


def test_exact_count_and_ratios() -> None:
    assert [format_exact(n) for n in (0, 11689512, 10**12)] == ["0", "11,689,512", "1.00 T"]
    assert [format_share(Ratio(*r)) for r in ((1, 0), (0, 9), (1, 10**6), (9995, 10**4), (1, 1))] == [
        "",
        "0.0%",
        "<0.1%",
        "100.0%",
        "100.0%",
    ]
    assert format_ratio(Ratio(1, 0), "FLOP/byte") == "unknown"
    assert format_ratio(Ratio(10**30, 3), "FLOP/byte").endswith("FLOP/byte")
    assert format_ratio(Ratio(9, 2, Certainty.UNBOUNDED), "FLOP/byte") == "~ 4.5 FLOP/byte"
