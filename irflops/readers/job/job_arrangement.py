"""Statements that differ in nothing but their strings and numbers, told by what stands between their quotes.

The idea of text/skeleton.py, for the plainest layout and faster: a text is split at its quotes, and what stands between two strings was
mostly seen before, in this statement or another. Whatever is not as plain as that is not known here, and goes to the skeletons.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from operator import itemgetter
from typing import Any, Generic, NamedTuple, TypeVar

from irflops.readers.job.job_plan import Value
from irflops.readers.text.skeleton import terminal

T = TypeVar("T")

_REMEMBERED = 20_000
"""Parts that are kept: real jobs have some hundred."""

_FIELD = re.compile(r"\s*[A-Za-z_]\w*:\s*")
_NEXT = re.compile(r"(?P<rest>[^<>]*)\}\s*[A-Za-z_]\w*:?\s*\{(?P<start>[^{}<>]*)")


class _Part(NamedTuple):
    """What stands between two strings."""

    shape: int
    """The same for the same text but for its numbers, and `_ODD` where it may hold other values."""
    numbers: Sequence[str]
    repeats: bool
    """Whether, many times in a row, it gives a field of one message many times: of a string, or of messages with one string each."""
    text: str


_ODD = -1
_NONE = [_Part(_ODD, (), repeats=False, text="")]
"""Parts of a text that is not plain."""


class _Parts(dict[str, _Part]):
    """Parts by their text; those that are missing are made."""

    def __init__(self) -> None:
        super().__init__()
        self._shapes: dict[str, int] = {}

    def __missing__(self, text: str) -> _Part:
        if len(self) >= _REMEMBERED:
            self.clear()
        shape, numbers = _ODD, []
        if "'" not in text and "#" not in text and not text.isspace() and text:  # between adjacent strings stands nothing
            pieces = _number().split(text)
            shape, numbers = self._shapes.setdefault("\0".join(pieces[::2]), len(self._shapes)), pieces[1::2]
        part = self[text] = _Part(shape, numbers, not numbers and _repeats(text), text)
        return part


def _repeats(text: str) -> bool:
    """Whether it is the name of a field and no more, or the rest of a message and the beginning of the next of that field."""
    following = _NEXT.fullmatch(text)
    return _FIELD.fullmatch(text) is not None if following is None else _is_whole(following["rest"])


def _is_whole(text: str) -> bool:
    """Whether its braces are in pairs."""
    depths = list(accumulate(1 if sign == "{" else -1 for sign in text if sign in "{}"))
    return min(depths, default=0) == 0 == sum(depths[-1:])


@cache
def _number() -> re.Pattern[str]:
    return re.compile(f"({terminal('job_text', 'NUMBER')})")


@dataclass(frozen=True, slots=True)
class _Known(Generic[T]):
    """What is remembered of an arrangement."""

    made: T
    numbered: Sequence[int]
    """Which of its parts have numbers."""
    in_order: Callable[[list[Value]], Sequence[Value]]
    """Strings, and behind them numbers, in the order of the text."""


class JobArrangements(Generic[T]):
    """What was made of the first text of each arrangement, for the others of it."""

    def __init__(self) -> None:
        self._parts = _Parts()
        self._known: dict[tuple[Any, ...], _Known[T]] = {}

    def find(self, text: str) -> tuple[T, Sequence[Value]] | None:
        """What was made of the arrangement, and the text's own values in order; None where it is a new one."""
        parts, values = self._split(text)
        known = self._known.get(tuple([part[0] for part in parts]))
        if known is None:
            parts, values = _shortened(parts, values)
            known = self._known.get(_key(parts, values))
            if known is None:
                return None
        if not known.numbered:
            return known.made, values
        for at in known.numbered:
            values += parts[at].numbers
        return known.made, known.in_order(values)

    def learn(self, text: str, make: Callable[[str, bool], T | None]) -> None:
        """Remembers what `make` gives for a text, if it gives something.

        Where a field is given many times in a row, `make` is asked with a shorter text first, and with True: for one that serves them all.
        """
        parts, values = self._split(text)
        if any(part.shape == _ODD for part in parts):
            return
        short, fewer = _shortened(parts, values)
        made = make(_joined(short, fewer), True) if len(fewer) < len(values) else None
        if made is not None:
            self._known[_key(short, fewer)] = _known(made, short, len(fewer))
            return
        made = make(text, False)
        if made is not None:
            self._known[_key(parts, values)] = _known(made, parts, len(values))

    def _split(self, text: str) -> tuple[list[_Part], list[Value]]:
        """Parts and the strings between them. Of a text with quotes that end no string nothing."""
        pieces = text.split('"')
        strings: list[Value] = pieces[1::2]
        if '\\"' in text or len(pieces) == 2 * len(strings) or "\n" in "".join(strings):
            return _NONE, []
        return list(map(self._parts.__getitem__, pieces[::2])), strings


def _shortened(parts: list[_Part], values: list[Value]) -> tuple[list[_Part], list[Value]]:
    """The same where a field that is given more than twice in a row is given twice, the first time with all values but the last.

    What stands behind the last value is another part, and may belong to it.
    """
    short: list[_Part] = []
    fewer: list[Value] = []
    for part, value in zip(parts, values, strict=False):  # behind the last part stands no string
        if not (part.repeats and len(short) > 1 and short[-1] is part and short[-2] is part):
            short.append(part)
            fewer.append(value)
            continue
        run, last = fewer[-2:]
        if isinstance(run, list):
            run.append(last)
        else:
            fewer[-2] = [run, last]
        fewer[-1] = value
    return [*short, parts[-1]], fewer


def _key(parts: list[_Part], values: list[Value]) -> tuple[Any, ...]:
    shapes = tuple([part[0] for part in parts])
    runs = tuple([at for at, value in enumerate(values) if isinstance(value, list)])
    return (shapes, runs) if runs else shapes


def _joined(parts: list[_Part], values: list[Value]) -> str:
    """The text of parts and the strings between them, of many one."""
    strings = [f'"{value[0] if isinstance(value, list) else value}"' for value in values]
    return "".join(part.text + string for part, string in zip(parts, [*strings, ""], strict=True))


def _known(made: T, parts: list[_Part], strings: int) -> _Known[T]:
    numbered = [at for at, part in enumerate(parts) if part.numbers]
    order: list[int] = []
    numbers = strings
    for at, part in enumerate(parts):
        order += range(numbers, numbers := numbers + len(part.numbers))
        order += [at] * (at < strings)
    return _Known(made, numbered, itemgetter(*order) if len(order) > 1 else tuple)
