"""Messages from the trees of statements: a plan is made once for an arrangement of fields, and filled with each statement's own values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import lark

from irflops.errors import quoted
from irflops.readers.job.job_schema import NUMBER_BY_WORD, PASSED_OVER, Field, Message, fields_of, is_whole, single
from irflops.readers.text.skeleton import BadValue
from irflops.readers.text.syntax import SyntaxProblem

_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|[xX]([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_INTEGER = re.compile(r"([-+]?)\s*(?:(0[xX][0-9A-Fa-f]+)|(0[0-7]+)|(0|[1-9][0-9]*))\Z")
_FLOAT = re.compile(r"([-+]?)\s*((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|inf(?:inity)?|nan)f?\Z", re.IGNORECASE)
_LIMITS = {"int32": 1 << 31, "int64": 1 << 63, "enum": 1 << 31}

Value = Any
"""A number or the text between two quotes; or a list of those of one field that is given many times in a row."""

Values = Sequence[Value] | Mapping[int, Value]
"""Those of a statement, by their numbers in it."""

Make = Callable[[Values], Any]
"""What makes a field's value, or a list of values, of a statement's own values."""


class MessagePlan(NamedTuple):
    """A message of one skeleton: how to fill it, and which of its fields are not known."""

    fields: tuple[tuple[str, bool, Make], ...]
    """Name, whether it repeats, and its value."""
    unknown: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    """Of the values in it."""

    @property
    def names(self) -> Sequence[str]:
        """Its fields, each once; `""` of a message without any, which may have unknown ones all the same."""
        return tuple(dict.fromkeys(name for name, _, _ in self.fields)) or ("",)

    def fill_each(self, values: Values) -> Message | list[Message]:
        """The message, or one for each of the values where its only value is a list. Errors: BadValue."""
        (number,) = self.numbers
        value = values[number]
        return [self.fill({number: one}) for one in value] if type(value) is list else self.fill(values)

    def fill(self, values: Values) -> Message:
        """The message. Errors: BadValue."""
        message: Message = {}
        for name, repeated, make in self.fields:
            if not repeated:
                message[name] = make(values)
                continue
            made = make(values)
            if type(made) is list:
                message.setdefault(name, []).extend(made)
            else:
                message.setdefault(name, []).append(made)
        return message


def plan_of(message: str, tree: lark.Tree[lark.Token], number_of: Callable[[lark.Token], int]) -> MessagePlan:
    """How to fill a message from the values of a statement, given the tree of its skeleton."""
    known = fields_of(message)
    fields: list[tuple[str, bool, Make]] = []
    unknown: list[str] = []
    numbers: list[int] = []
    single_names: set[str] = set()
    for node in tree.children:
        assert isinstance(node, lark.Tree)
        token = node.children[0]
        assert isinstance(token, lark.Token)
        name = str(token)
        if (message, name) in PASSED_OVER:
            continue
        field = known.get(name) if known is not None else None
        if field is None:
            unknown += [name] * is_whole(message)
            continue
        for child in filter(None, node.children[1:]):  # an empty list has None
            assert isinstance(child, lark.Tree)
            if field.kind == "enum" and child.data == "word" and str(child.children[0]) not in NUMBER_BY_WORD:
                unknown.append(name)  # a data type that came later, as the wire format's unknown ones are fields of nobody
                continue
            if not field.repeated:
                if name in single_names:
                    raise _problem(token, f"{name} is given twice, and a message holds one")
                single_names.add(name)
            if child.data != "block":
                make = _scalar(field, child, number_of)
                numbers += [number_of(value) for value in child.children if value.type in ("STRING", "NUMBER")]  # type: ignore[union-attr, arg-type]  # tokens alone
            elif field.kind in _KINDS:
                raise _problem(token, f"{name} takes {_KINDS[field.kind]}, not a message")
            else:
                inner = plan_of(field.kind, child.children[0], number_of)
                unknown += inner.unknown
                numbers += inner.numbers
                make = inner.fill_each if len(inner.numbers) == 1 else inner.fill
            fields.append((name, field.repeated, make))
    return MessagePlan(tuple(fields), tuple(unknown), tuple(numbers))


def _problem(token: lark.Token, message: str) -> SyntaxProblem:
    return SyntaxProblem(token.start_pos or 0, token.end_pos or 1, message)


def _scalar(field: Field, tree: lark.Tree[lark.Token], number_of: Callable[[lark.Token], int]) -> Make:
    """What makes a scalar field's value."""
    takes = f"{field.name} takes {_KINDS.get(field.kind, 'a message')}"
    if tree.data == "string":
        numbers = [number_of(token) for token in tree.children]  # type: ignore[arg-type]  # tokens alone
        if field.kind != "string":
            return _refuse(f"{takes}, not a string", numbers[0])
        if len(numbers) == 1:
            number = numbers[0]
            return lambda values: _text(values[number])
        return lambda values: _joined([values[at] for at in numbers])
    token = tree.children[0]
    assert isinstance(token, lark.Token)
    convert = _CONVERT.get(field.kind)
    if tree.data == "number":
        number = number_of(token)
        if convert is None:
            return _refuse(f"{takes}, not a number", number)
        return lambda values: convert(field, values[number], number)
    if convert is None:
        raise _problem(token, f"{takes}, not {quoted(str(token))}")
    try:
        value = convert(field, str(token), None)
    except BadValue as bad:
        raise _problem(token, str(bad)) from None
    return lambda _values: value


_KINDS = {
    "string": "a string",
    "int32": "an integer",
    "int64": "an integer",
    "enum": "a data type",
    "bool": "true or false",
    "float": "a number",
    "double": "a number",
}


def _refuse(message: str, number: int) -> Make:
    def make(values: Values) -> Any:
        raise BadValue(message, number)

    return make


def _text(body: Value) -> Any:
    """The text that is meant. Octal and hexadecimal escapes are bytes of UTF-8; those that are none become U+FFFD."""
    if type(body) is list:
        return list(map(_text, body))
    return _joined((body,)) if "\\" in body else body


def _joined(bodies: Iterable[str]) -> str:
    """The text of adjacent strings, over which a character's bytes may be spread."""
    return b"".join(map(_escaped_bytes, bodies)).decode("utf-8", errors="replace")


def _escaped_bytes(body: str) -> bytes:
    found = bytearray()
    at = 0
    for match in _ESCAPE.finditer(body):
        found += body[at : match.start()].encode("utf-8", errors="replace")
        octal, short, four, eight, other = match.groups()
        if octal or short:
            found.append((int(octal, 8) if octal else int(short, 16)) & 255)
        elif four or eight:
            code = int(four or eight, 16)
            found += chr(code).encode("utf-8", errors="replace") if code < 0x110000 else b"\xff"
        else:
            found += _SIMPLE.get(other, other).encode("utf-8", errors="replace")
        at = match.end()
    return bytes(found + body[at:].encode("utf-8", errors="replace"))


def _integer(field: Field, text: str, number: int | None) -> int:
    if len(text) < 10 and text.isdecimal() and text.isascii() and text[0] != "0":
        return int(text)
    match = _INTEGER.match(text) if len(text) < 40 else None
    if match is None:
        raise BadValue(f"{field.name} takes an integer, not {quoted(text)}", number)
    sign, hexadecimal, octal, decimal = match.groups()
    value = int(hexadecimal, 16) if hexadecimal else int(octal, 8) if octal else int(decimal)
    value = -value if sign == "-" else value
    limit = _LIMITS[field.kind]
    if not -limit <= value < limit:
        raise BadValue(f"{field.name} is out of range for {field.kind}: {text}", number)
    return value


def _float(field: Field, text: str, number: int | None) -> float:
    match = _FLOAT.match(text)
    if match is None:
        raise BadValue(f"{field.name} takes a number, not {quoted(text)}", number)
    value = float(match[1] + match[2])
    return single(value) if field.kind == "float" else value


def _bool(field: Field, text: str, number: int | None) -> bool:
    if text not in _BOOLS:
        raise BadValue(f"{field.name} takes true or false, not {quoted(text)}", number)
    return _BOOLS[text]


def _enum(field: Field, text: str, number: int | None) -> int:
    if number is not None:
        return _integer(field, text, number)
    return NUMBER_BY_WORD[text]


_BOOLS = {"true": True, "True": True, "t": True, "1": True, "false": False, "False": False, "f": False, "0": False}
_CONVERT: dict[str, Callable[[Field, str, int | None], Any]] = {
    "int32": _integer,
    "int64": _integer,
    "float": _float,
    "double": _float,
    "bool": _bool,
    "enum": _enum,
}
