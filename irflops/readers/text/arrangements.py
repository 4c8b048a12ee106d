"""Texts whose tokens stand in the same order: Lark parses the first of each arrangement, and all others are filled in from their tokens.

At each place of a text Lark takes the first of the terminals, in an order of its own, that the parser accepts there and that match.
Here one expression takes the first of all of them. Where that is one that the parser accepts, it is Lark's too, and what the parser
accepts next follows from the kinds of the tokens so far. So where Lark finds the very tokens in a text that the expression finds, it
does so in every text in which the expression finds tokens of the same kinds, and parses all of them alike. Whatever else there is goes
to Lark: the grammar alone says what is read and what is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from itertools import islice
from operator import attrgetter
from typing import Any, Generic, TypeVar

import lark

from irflops.readers.text.grammars import parser, terminals

T = TypeVar("T")

Tree = lark.Tree[lark.Token]
Piece = re.Match[str]
"""A token: its text is `piece[0]`, and it knows where it stands."""

MAX_PIECES = 100_000
"""Tokens of all arrangements that are remembered: real graphs need some 2,000."""

STEP = 16
"""Tokens that are taken at once, before it is looked up whether any known arrangement begins so.

Of a text that does not read, no more are taken in vain: each may have been looked for as far as the text goes.
"""

_ANYTHING = re.compile(r".*", re.DOTALL)
_kind = attrgetter("lastindex")


class Arrangements(Generic[T]):
    """Reads texts by one start rule of a grammar.

    `build` makes what is remembered of an arrangement, from Lark's tree and from a function that gives the number of a token among the
    text's pieces; what it makes is then used with every text's own pieces.
    """

    def __init__(self, grammar: str, start: str, build: Callable[[Tree, Callable[[lark.Token], int]], T]) -> None:
        self._grammar = grammar
        self._start = start
        self._build = build
        self._known: dict[
            tuple[int, ...], Any
        ] = {}  # by the kinds of a step's tokens: the same of the next, or what was built if it is the last
        self._left = MAX_PIECES
        self._tokens, self._names = tokens_of(grammar, start)

    def read(self, text: str) -> tuple[T, list[Piece]]:
        """What was made of the text's arrangement, and its pieces. Errors: lark.UnexpectedInput."""
        tokens = self._tokens.finditer(text)
        pieces: list[Piece] = []
        known: Any = self._known
        while known is not None:
            step = [*islice(tokens, STEP)]
            pieces += step
            known = known.get(tuple(map(_kind, step)))
            if len(step) < STEP and known is not None:
                return known, pieces
        return self._learned(text)

    def _learned(self, text: str) -> tuple[T, list[Piece]]:
        tree, tokens = self._parsed(text)
        pieces = [*self._tokens.finditer(text)]
        found = [(self._names[piece.lastindex or 0], *piece.span()) for piece in pieces]
        alike = [token for token in found if token[0] is not None] == [(token.type, token.start_pos, token.end_pos) for token in tokens]
        if not alike:
            pieces = [_piece(text, token) for token in tokens]
        numbers = {piece.start(): number for number, piece in enumerate(pieces)}
        made = self._build(tree, lambda token: numbers[token.start_pos or 0])
        if alike and len(pieces) <= self._left:
            self._left -= len(pieces)
            self._remember([_kind(piece) for piece in pieces], made)
        return made, pieces

    def _remember(self, kinds: list[int], made: T) -> None:
        known = self._known
        last = len(kinds) - len(kinds) % STEP
        for start in range(0, last, STEP):
            known = known.setdefault(tuple(kinds[start : start + STEP]), {})
        known[tuple(kinds[last:])] = made

    def _parsed(self, text: str) -> tuple[Tree, list[lark.Token]]:
        lark_parser = parser(self._grammar)
        try:
            steps = lark_parser.parse_interactive(text, start=self._start)
            tokens = steps.exhaust_lexer()
            tree: Tree = steps.feed_eof(tokens[-1] if tokens else None)  # type: ignore[no-untyped-call]  # Lark leaves this one bare
            return tree, tokens
        except lark.UnexpectedInput:
            lark_parser.parse(text, start=self._start)  # which fails again, and says what it would have taken
            raise


def _piece(text: str, token: lark.Token) -> Piece:
    piece = _ANYTHING.match(text, token.start_pos or 0, token.end_pos or 0)
    assert piece is not None
    return piece


@cache
def tokens_of(grammar: str, start: str) -> tuple[re.Pattern[str], tuple[str | None, ...]]:
    """An expression that cuts a text into tokens, each by a group of its own, and the groups' terminals: None for what Lark ignores.

    What no terminal matches is one token to the end of the text, under a name that no terminal has. Errors: ValueError where a terminal
    may be another by what it says, as a keyword is among names: then the expression and Lark would not name it alike.
    """
    found = terminals(grammar, start)
    words = [terminal.pattern.value for terminal in found if terminal.pattern.type == "str"]
    expressions = [terminal.pattern.to_regexp() for terminal in found]
    for terminal, expression in zip(found, expressions, strict=True):
        if terminal.pattern.type == "re" and any(re.fullmatch(expression, word) for word in words):
            raise ValueError(f"{grammar}: a text of {terminal.name} may be a keyword")
    ignored = set(parser(grammar).lexer_conf.ignore)
    names = [None if terminal.name in ignored else terminal.name for terminal in found]
    return re.compile("|".join([*(f"({expression})" for expression in expressions), r"([\s\S]+)"])), (None, *names, "")
