"""Times as people write and read them: 0.42s, 5ms, 80us, 9ns."""

from __future__ import annotations

import re
from fractions import Fraction

UNITS = {"s": Fraction(1), "ms": Fraction(1, 10**3), "us": Fraction(1, 10**6), "ns": Fraction(1, 10**9)}
"""Seconds by unit, the longest first."""

EXAMPLES = "0.42s, 5ms, 80us or 9ns"

_TEXT = re.compile(r"\s*(\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})\s*(s|ms|us|ns)\s*", re.ASCII)


def parsed_seconds(text: str) -> Fraction | None:
    """The seconds of a text, exact and more than 0; None where it says no such time.

    >>> parsed_seconds("0.42s"), parsed_seconds("5 ms"), parsed_seconds("0s"), parsed_seconds("1 hour")
    (Fraction(21, 50), Fraction(1, 200), None, None)
    """
    match = _TEXT.fullmatch(text)
    return (Fraction(match[1]) * UNITS[match[2]] or None) if match is not None else None


def seconds_text(seconds: float, *, signed: bool = False) -> str:
    """A time in the longest unit of which it holds one, with two digits behind the point.

    >>> seconds_text(0.1339), seconds_text(-1e-6, signed=True), seconds_text(0)
    ('133.90 ms', '-1.00 us', '0 s')
    """
    if not seconds and not signed:
        return "0 s"
    unit = next((unit for unit, length in UNITS.items() if abs(seconds) >= float(length)), "ns")
    return f"{seconds / float(UNITS[unit]):{'+' if signed else ''},.2f} {unit}"
