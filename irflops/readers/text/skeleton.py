"""Texts that repeat but for their strings and numbers: each arrangement is parsed once, whatever stands in it.

A serialized graph has thousands of operators and some hundred kinds of them. What a statement looks like without its strings and numbers
is its skeleton; Lark sees one statement of each, and the others are the same tree with other values at its leaves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Generic, TypeVar

import lark

from irflops.readers.text.grammars import parser
from irflops.readers.text.syntax import SyntaxProblem, explain

T = TypeVar("T")

_KINDS = str.maketrans("'+-.123456789", '"' + "0" * 12)
"""Values of one terminal begin alike, but for quotes, signs and digits."""

_PARSED_AT_LEAST = 250_000
_SIZE_PER_PARSED = 25
"""What Lark may be given of any text, and of a large one more: real jobs need 50,000, and 1 in 30 beyond a megabyte."""


class BadValue(ValueError):
    """A value that does not fit where it stands, by the number that it has in its statement; None where it is no single value of it."""

    def __init__(self, message: str, number: int | None) -> None:
        super().__init__(message)
        self.number = number


@dataclass(slots=True)
class Allowance:
    """How much of one text Lark may parse yet: characters that are no white space, a string or a number as one."""

    left: int

    @classmethod
    def of(cls, size: int) -> Allowance:
        """That of a text of so many characters."""
        return cls(_PARSED_AT_LEAST + size // _SIZE_PER_PARSED)

    def take(self, parts: Sequence[str], text: str) -> None:
        """Errors: SyntaxProblem where there is no more."""
        self.left -= sum(map(_visible, parts[::2])) + len(parts) // 2
        if self.left < 0:
            raise SyntaxProblem(0, len(text), "more different arrangements of fields than a graph of this size can have")


def _visible(text: str) -> int:
    return len(text) - sum(map(text.count, " \n\t\r"))


class Skeletons(Generic[T]):
    """Reads texts by one start rule of a grammar, each skeleton once.

    `values` names the terminals that are left out of a skeleton. `build` makes what is remembered of a skeleton from Lark's tree, and
    from a function that gives the number of the value at a token; what it makes is then used with every text's own values.
    """

    def __init__(
        self,
        grammar: str,
        start: str,
        values: Sequence[str],
        build: Callable[[lark.Tree[lark.Token], Callable[[lark.Token], int]], T],
        allowance: Allowance | None = None,
    ) -> None:
        self._grammar = grammar
        self._start = start
        self._names = tuple(values)
        self._build = build
        self._allowance = allowance
        self._known: dict[tuple[str, str], T] = {}

    @cached_property
    def _parser(self) -> lark.Lark:
        return parser(self._grammar)

    @cached_property
    def values(self) -> re.Pattern[str]:
        """What is left out of a skeleton, as the grammar's terminals say it."""
        return re.compile("(" + "|".join(terminal(self._grammar, name) for name in self._names) + ")")

    def read(self, text: str) -> tuple[T, list[str]]:
        """What was made of the text's skeleton, and the text's values in order. Errors: SyntaxProblem with offsets into the text."""
        parts = self.values.split(text)
        values = parts[1::2]
        key = "".join([value[0] for value in values]).translate(_KINDS), "\0".join(parts[::2])
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._parse(text, parts)
        return known, values

    def _parse(self, text: str, parts: list[str]) -> T:
        if self._allowance is not None:
            self._allowance.take(parts, text)
        try:
            tree = self._parser.parse(text, start=self._start)
        except lark.UnexpectedInput as error:
            raise explain(error, text) from None
        starts = {start: number // 2 for number, start in enumerate(accumulate(map(len, parts))) if not number % 2}
        return self._build(tree, lambda token: starts[token.start_pos or 0])

    def offset(self, text: str, number: int | None) -> tuple[int, int]:
        """Where the value of that number stands in a text; all of it where there is no such value."""
        for at, match in enumerate(self.values.finditer(text)):
            if at == number:
                return match.span()
        return 0, len(text)


def terminal(grammar: str, name: str) -> str:
    """The regular expression of a grammar's terminal."""
    return str(parser(grammar).get_terminal(name).pattern.to_regexp())
