"""What a logger puts in front of a line: the parts that change from line to line, and the parts that tell one source from another."""

from __future__ import annotations

import re

_CLOCK = re.compile(
    r"(?:\d{4}[-/.]?\d\d[-/.]?\d\d|\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?Z?|(?<![\d.,])\d+\.\d+(?![\d.,])|\d{9,}|\b[A-Z][a-z]{2} +\d{1,2}\b)\d*"
)
_NUMBER = r"\\d+(?!\\d)"
r"""A number left open, as a replacement. It takes all its digits: with `\d+` alone, a line of digits could match in too many ways."""


def pattern_of(prefix: str) -> str:
    """A prefix with its dates and times left open."""
    parts = []
    last = 0
    for clock in _CLOCK.finditer(prefix):
        before = prefix[last : clock.start()]
        padding = " *" if before.endswith(" ") else ""  # a number aligned to the right has fewer blanks before it the longer it gets
        parts += [re.escape(before.rstrip(" ")), padding, _open_clock(clock[0])]
        last = clock.end()
    return "".join([*parts, re.escape(prefix[last:])])


def _open_clock(clock: str) -> str:
    """A date or time with its numbers left open; the fraction of a second may be missing where it is zero."""
    whole, fraction = clock, ""
    if ":" in clock:
        time = re.fullmatch(r"(.*:\d\d)(?:[.,]\d+)?(Z?\d*)", clock)
        whole, fraction = (time[1], r"(?:[.,]\d+)?" + re.escape(time[2])) if time else (clock, "")
    return re.sub(r"\d+", _NUMBER, re.escape(whole)).replace("\\ ", " *") + fraction


def loose_pattern(prefix: str) -> str:
    return re.sub(r"(?:\\ )*\d+", rf" *{_NUMBER}", re.escape(prefix))


def is_whole(text: str, end: int) -> bool:
    """Whether a prefix ends where a word ends."""
    return not (text[end - 1 : end].isalnum() and text[end : end + 1].isalnum())
