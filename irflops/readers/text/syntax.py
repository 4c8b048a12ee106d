"""Turns what Lark says about a text that does not read into a message for people."""

from __future__ import annotations

import re
from dataclasses import dataclass

import lark

TERMINAL_NAMES: dict[str, str] = {
    "$END": "the end",
    "ANGLE": "'<...>'",
    "ARROW": "') -> ('",
    "BLOB": "a tensor's name",
    "COLON": "':'",
    "DOT": "'.'",
    "COMMA": "','",
    "CONFIG_CALL": "'GraphConfig(...)'",
    "CONFIG_HEAD": "'(CONFIG:'",
    "ELLIPSIS": "'...'",
    "EQUAL": "'='",
    "FLOAT": "a number",
    "FRAME": "a Python frame",
    "GRAPH_HEAD": "'(GRAPH:'",
    "GRAPH_MODULE_HEAD": "'(GraphModule:'",
    "INT": "an integer",
    "LBN": "a tensor's name",
    "LBRACE": "'{'",
    "LOCATION": "', location=(...)'",
    "LPAR": "'('",
    "LSQB": "'['",
    "MODULE_HEAD": "'(MODULE:'",
    "NAME": "a name",
    "OP_HEAD": "'(OPERATOR: name('",
    "OTHER_PART": "', key=value'",
    "PLACEMENT": "', placement=(...)'",
    "RBRACE": "'}'",
    "RPAR": "')'",
    "RSQB": "']'",
    "SEMICOLON": "';'",
    "STRING": "a string",
    "TENSOR_HEAD": "'(INPUT:', '(OUTPUT:', '(PARAMETER:' or '(BUFFER:'",
    "TEXT": "the module's description",
    "TYPE": "a tensor's type",
    "TYPED_LBN": "a tensor",
    "UNKNOWN": "'?'",
    "VALUE": "a value",
    "EXTENSION": "'[name]'",
    "LESSTHAN": "'<'",
    "MORETHAN": "'>'",
    "NUMBER": "a number",
    "WORD": "a word",
    "WS": "white space",
    "_END": "the closing parenthesis",
    "_OPENING": "'): ('",
    "__ANON_0": "'->'",
    "MORE": "'more'",
    "ALIAS": "'#name'",
    "ARRAY": "'array'",
    "AT": "'at'",
    "ATTRIBUTES": "'attributes'",
    "CALL": "'oneflow.kernel_launch'",
    "CALLSITE": "'callsite'",
    "CARET": "'^name'",
    "DENSE": "'dense'",
    "DIALECT_TYPE": "a type",
    "FALSE": "'false'",
    "FUNCTION": "'oneflow.job' or 'func.func'",
    "LOC": "'loc(...)'",
    "MODULE": "'module'",
    "OPAQUE": "an attribute",
    "RETURN": "'oneflow.return'",
    "SBP_PARALLEL": "'#sbp.parallel'",
    "SBP_SPLIT": "'#sbp.S<axis>'",
    "SBP_WORD": "'#sbp.B' or '#sbp.P'",
    "SCOPE": "'::'",
    "SHAPED": "a tensor's type",
    "SYMBOL": "'@name'",
    "TO": "'->'",
    "TRUE": "'true'",
    "TYPE_ALIAS": "'!name'",
    "UNIT": "'unit'",
    # cost_formula
    "INTEGER": "an integer",
    "MINUS": "'-'",
    "OVER": "'/'",
    "PLUS": "'+'",
    "REST": "'%'",
    "ROUNDED": "'//'",
    "TIMES": "'*'",
}
"""A phrase for every terminal of every grammar."""

_WORD = re.compile(r"\)\s*->\s*\(|[^\s()\[\]{},:=]{1,60}")

_SHOWN = 4
"""Expectations that a message names."""


@dataclass(frozen=True, slots=True)
class SyntaxProblem(Exception):
    """A text does not read: where, as offsets into it, and why."""

    start: int
    end: int
    message: str
    hint: str | None = None


def explain(error: lark.UnexpectedInput, text: str) -> SyntaxProblem:
    """The problem behind an error of Lark's, with offsets into the text that was parsed."""
    expected = _expected(error)
    wanted = f"expected {expected}, " if expected else ""
    # Lark places the end of the input at the start of its last token; people look behind the last character.
    at = len(text.rstrip()) if isinstance(error, lark.UnexpectedToken) and error.token.type == "$END" else error.pos_in_stream
    hint = "the line seems to be cut off" if text.count("(") > text.count(")") else None
    if at is None or at < 0 or at >= len(text.rstrip()):
        end = len(text.rstrip())
        return SyntaxProblem(end, end + 1, f"{wanted}got the end of the line", hint)
    # What Lark calls the token may be all the rest of the line: people look at its first word.
    word = _WORD.match(text, at)
    shown = word[0] if word is not None else text[at]
    return SyntaxProblem(at, at + len(shown), f"{wanted}got {shown!r}" if wanted else f"unexpected {shown!r}", hint)


def _expected(error: lark.UnexpectedInput) -> str:
    if isinstance(error, lark.UnexpectedToken):
        try:
            names = set(error.accepts or error.expected)
        except RecursionError:  # older Larks copy all values read so far to find out, however deep they are
            names = set(error.expected)
    elif isinstance(error, lark.UnexpectedCharacters):
        names = set(error.allowed or ())
    else:
        names = set()
    names -= {"WS", "$END"} if len(names) > 1 else {"WS"}
    phrases = sorted({TERMINAL_NAMES.get(name, name.lower()) for name in names})
    if not phrases or len(phrases) > _SHOWN:
        return ""
    return " or ".join(phrases)
