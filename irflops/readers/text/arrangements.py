"""Texts that repeat but for names and numbers: Lark parses one of each arrangement of tokens, and all others are filled in from it.

Two texts that differ in digits alone are cut into the same tokens, and parsed alike, for no terminal tells one digit from another: nine
in ten statements of a graph are such copies of one before. The tokens of the tenth are found by one expression. At each place of a text
Lark takes the first of the terminals, in an order of its own, that the parser accepts there and that match; the expression takes the first
of all of them. Where that is one that the parser accepts, it is Lark's too, and what the parser accepts next follows from the kinds of the
tokens so far. So where Lark finds the very tokens in a text that the expression finds, it does so in every text in which the expression
finds tokens of the same kinds, and parses all of them alike. Whatever else there is goes to Lark: the grammar alone says what is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from itertools import islice
from operator import attrgetter
from typing import Any, Generic, TypeVar

import lark

from irflops.readers.text.grammars import parser, terminals

T = TypeVar("T")

Tree = lark.Tree[lark.Token]
Pieces = Sequence[slice]
"""Where the tokens of a text stand in it."""

MAX_OUTLINES = 4_000_000
"""Bytes that may be taken by texts whose copies are known; then they are forgotten. A graph of 4,000 operators takes 600,000."""
MAX_TOKENS = 100_000
"""Tokens of all arrangements that are remembered: real graphs need some 2,000."""

STEP = 16
"""Tokens that are taken at once, before it is looked up whether any known arrangement begins so.

Of a text that does not read, no more are taken in vain: each may have been looked for as far as the text goes.
"""

_DIGITS_ALIKE = bytes.maketrans(b"123456789", b"000000000")
_NO_DIGIT_ITSELF = re.compile(r"\{\d*,?\d*\}|0-9")
"""Where an expression has digits that stand for no digit of the text, or for all of them."""
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
        self._outlines: dict[bytes, tuple[T, Pieces]] = {}
        self._room = MAX_OUTLINES
        # By the kinds of a step's tokens, what is known of the next step; by those of the last, what was built.
        self._known: dict[tuple[int, ...], Any] = {}
        self._left = MAX_TOKENS

    @cached_property
    def _tokens(self) -> tuple[re.Pattern[str], tuple[str | None, ...]]:
        return tokens_of(self._grammar, self._start)

    def read(self, text: str) -> tuple[T, Pieces]:
        """What was made of the text's arrangement, and its pieces. Errors: lark.UnexpectedInput."""
        outline = text.encode("utf-8", "surrogatepass").translate(_DIGITS_ALIKE)
        found = self._outlines.get(outline)
        if found is None:
            # The expression takes as long to compile as Lark to read some twenty texts: some start rules have one alone.
            found = (self._by_arrangement(text) if self._outlines else None) or self._by_lark(text)
            size = 300 + len(outline) + 64 * len(found[1])
            if size > self._room:
                self._outlines.clear()
                self._room = MAX_OUTLINES
            if size <= self._room:
                self._outlines[outline] = found
                self._room -= size
        return found

    def _by_arrangement(self, text: str) -> tuple[T, Pieces] | None:
        expression, names = self._tokens
        tokens = expression.finditer(text)
        pieces: list[slice] = []
        known: Any = self._known
        while known is not None:
            step = [*islice(tokens, STEP)]
            kinds = tuple(map(_kind, step))
            pieces += [slice(*token.span()) for token, kind in zip(step, kinds, strict=True) if names[kind] is not None]
            known = known.get(kinds)
            if len(step) < STEP and known is not None:
                return known, pieces
        return None

    def _by_lark(self, text: str) -> tuple[T, Pieces]:
        tree, tokens = self._parsed(text)
        numbers = {token.start_pos: number for number, token in enumerate(tokens)}
        made = self._build(tree, lambda token: numbers[token.start_pos])
        if self._outlines and len(tokens) <= self._left:
            self._remember(text, tokens, made)
        return made, [slice(token.start_pos, token.end_pos) for token in tokens]

    def _remember(self, text: str, tokens: list[lark.Token], made: T) -> None:
        """Remembers what was made of a text's arrangement, if the expression finds the very tokens that Lark finds."""
        expression, names = self._tokens
        own = [*expression.finditer(text)]
        kinds: list[int] = [_kind(token) for token in own]
        named = [(names[kind], *token.span()) for token, kind in zip(own, kinds, strict=True) if names[kind] is not None]
        if named != [(token.type, token.start_pos, token.end_pos) for token in tokens]:
            return
        self._left -= len(tokens)
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


@cache
def tokens_of(grammar: str, start: str) -> tuple[re.Pattern[str], tuple[str | None, ...]]:
    """An expression that cuts a text into tokens, each by a group of its own, and the groups' terminals: None for what Lark ignores.

    What no terminal matches is one token to the end of the text, under a name that no terminal has. It is right where `doubts` has none.
    """
    found = terminals(grammar, start)
    ignored = set(parser(grammar).lexer_conf.ignore)
    names = [None if terminal.name in ignored else terminal.name for terminal in found]
    expressions = [f"({terminal.pattern.to_regexp()})" for terminal in found]
    return re.compile("|".join([*expressions, r"([\s\S]+)"])), (None, *names, "")


def doubts(grammar: str, start: str) -> list[str]:
    """Terminals whose texts may be read otherwise here than Lark reads them: for the tests of each grammar that is read so.

    One may be another by what it says, as a keyword is among names: which of the two it is depends on what the parser accepts. One may
    tell a digit from another.
    """
    found = [(terminal, terminal.pattern.to_regexp()) for terminal in terminals(grammar, start)]
    words = [terminal.pattern.value for terminal, _ in found if terminal.pattern.type == "str"]
    spelled = [(terminal, expression) for terminal, expression in found if terminal.pattern.type == "re"]
    keywords = [f"{terminal.name} may be a keyword" for terminal, known in spelled if any(re.fullmatch(known, word) for word in words)]
    digits = [f"{terminal.name} tells digits apart" for terminal, known in found if re.search("[0-9]", _NO_DIGIT_ITSELF.sub("", known))]
    return keywords + digits
