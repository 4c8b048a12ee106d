"""The protobuf text format of a job: cut into statements, each read by grammar/job_text.lark, its fields typed by the job's schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import lark

from irflops.errors import GraphSyntaxError, Source, Span, error_at, quoted
from irflops.readers.job.job_schema import NUMBER_BY_WORD, SECTIONS, Field, Message, Statement, fields_of, is_whole, single
from irflops.readers.text.skeleton import Allowance, Skeletons, terminal
from irflops.readers.text.syntax import SyntaxProblem

MAX_DEPTH = 100
"""Levels of messages, as in protobuf's own parsers."""

_HEAD = re.compile(r"(?<!\w)(?P<name>[A-Za-z_]\w*)\s*(?::\s*)?\Z")
_GAP = re.compile(r"[\s,;]*\Z")
_BETWEEN = re.compile(r"\s*(?:#[^\n]*\n\s*)*[,;]?\s*")
_BLANK = re.compile(r"\s*")
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|[xX]([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_INTEGER = re.compile(r"([-+]?)\s*(?:(0[xX][0-9A-Fa-f]+)|(0[0-7]+)|(0|[1-9][0-9]*))\Z")
_FLOAT = re.compile(r"([-+]?)\s*((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|inf(?:inity)?|nan)f?\Z", re.IGNORECASE)
_LIMITS = {"int32": 1 << 31, "int64": 1 << 63, "enum": 1 << 31}

Make = Callable[[Sequence[str]], Any]
"""What makes a field's value of a statement's own strings and numbers."""


class _Plan(NamedTuple):
    """A message of one skeleton: how to fill it, and which of its fields are not known."""

    fields: tuple[tuple[str, bool, Make], ...]
    """Name, whether it repeats, and its value."""
    unknown: tuple[str, ...]

    def fill(self, values: Sequence[str]) -> Message:
        message: Message = {}
        for name, repeated, make in self.fields:
            if repeated:
                message.setdefault(name, []).append(make(values))
            else:
                message[name] = make(values)
        return message


class _BadValue(ValueError):
    """A value that does not fit its field, by the number that it has in its statement; a word has none."""

    def __init__(self, message: str, number: int | None) -> None:
        super().__init__(message)
        self.number = number or 0


def job_statements(source: Source) -> Iterator[Statement]:
    """The statements of a job's text, in file order. Errors: GraphSyntaxError at the place where it does not read."""
    allowance = Allowance.of(len(source.text))
    readers = {
        section: Skeletons("job_text", "message", ("STRING", "COMMENT", "NUMBER"), partial(_plan, message), allowance)
        for section, message in {"": "Job", **SECTIONS}.items()
    }
    for section, start, end in _cut(source):
        reader, span = readers[section], Span(start, end)
        try:
            plan, values = reader.read(source.text[start:end])
        except SyntaxProblem as problem:
            place = Span(start + problem.start, start + problem.end)
            raise error_at(GraphSyntaxError, source, place, problem.message, problem.hint) from None
        unknown = plan.unknown
        for name in dict.fromkeys(name for name, _, _ in plan.fields) or ("",):
            yield Statement(section, name, partial(_filled, source, reader, plan, values, span, name), span, unknown)
            unknown = ()


def _filled(source: Source, reader: Skeletons[_Plan], plan: _Plan, values: list[str], span: Span, name: str) -> Any:
    """The value of a statement's field, a list if it repeats."""
    try:
        return plan.fill(values).get(name)
    except _BadValue as bad:
        first, last = reader.offset(source.text[span.start : span.end], bad.number)
        raise error_at(GraphSyntaxError, source, Span(span.start + first, span.start + last), str(bad)) from None


# Statements


@cache
def _marks() -> re.Pattern[str]:
    """Braces, what may hold braces that are none, and the quotes of strings without an end."""
    return re.compile("|".join(terminal("job_text", name) for name in ("STRING", "COMMENT")) + "|[{}<>\"']")


def _cut(source: Source) -> list[tuple[str, int, int]]:
    """Statements as (section, start, end). Where a section lists its messages in brackets, all of the job is one statement."""
    text = source.text
    found: list[tuple[str, int, int]] = []
    section = ""
    last = 0  # where the statement at hand begins
    open_: list[str] = []  # the braces that close what is open, that of the section first
    for mark in _marks().finditer(text):
        sign = text[mark.start()]
        if sign in "{<":
            if len(open_) == bool(section):
                head = _head(text, last, mark.start())
                if head is None:
                    return [("", 0, len(text))]
                if not section and head[0] in SECTIONS:
                    _add_loose(found, text, "", last, head[1])
                    section, last = head[0], _skip(_BLANK, text, mark.end())
            open_.append("}" if sign == "{" else ">")
            if len(open_) > MAX_DEPTH:
                raise error_at(GraphSyntaxError, source, Span(*mark.span()), f"messages nested deeper than {MAX_DEPTH} levels")
        elif sign in "}>":
            if not open_ or open_.pop() != sign:
                raise error_at(GraphSyntaxError, source, Span(*mark.span()), f"{sign!r} closes nothing that is open")
            if len(open_) == bool(section):
                found.append((section, last, mark.end()))
                last = _skip(_BETWEEN, text, mark.end())
            elif not open_:
                _add_loose(found, text, section, last, mark.start())
                section, last = "", _skip(_BETWEEN, text, mark.end())
        elif len(mark[0]) == 1 and sign != "#":
            raise error_at(GraphSyntaxError, source, Span(*mark.span()), "a string without an end on its line")
    if open_:
        raise error_at(GraphSyntaxError, source, Span(len(text.rstrip()), len(text)), "the job is cut off: its last braces are missing")
    _add_loose(found, text, "", last, len(text))
    return found


def _head(text: str, start: int, end: int) -> tuple[str, int] | None:
    """The name of the field whose message begins at `end`, and where it stands; None where a list of messages begins."""
    before = text[start:end]
    if "#" in before:
        before = _marks().sub(lambda mark: " " * len(mark[0]) if mark[0][0] == "#" else mark[0], before)
    head = _HEAD.search(before)
    return (head["name"], start + head.start()) if head is not None else None


def _skip(blank: re.Pattern[str], text: str, at: int) -> int:
    """The offset behind what matches there, nothing included."""
    match = blank.match(text, at)
    return match.end() if match else at


def _add_loose(found: list[tuple[str, int, int]], text: str, section: str, start: int, end: int) -> None:
    """Adds what stands between statements, if it is more than white space."""
    if not _GAP.match(text, start, end):
        found.append((section, start, end))


# Plans


def _plan(message: str, tree: lark.Tree[lark.Token], number_of: Callable[[lark.Token], int]) -> _Plan:
    """How to fill a message from the values of a statement, given the tree of its skeleton."""
    known = fields_of(message)
    fields: list[tuple[str, bool, Make]] = []
    unknown: list[str] = []
    single_names: set[str] = set()
    for node in tree.children:
        assert isinstance(node, lark.Tree)
        token = node.children[0]
        assert isinstance(token, lark.Token)
        name = str(token)
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
            elif field.kind in _KINDS:
                raise _problem(token, f"{name} takes {_KINDS[field.kind]}, not a message")
            else:
                inner = _plan(field.kind, child.children[0], number_of)
                unknown += inner.unknown
                make = inner.fill
            fields.append((name, field.repeated, make))
    return _Plan(tuple(fields), tuple(unknown))


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
            return lambda values: _unescaped(values[number][1:-1])
        return lambda values: _joined([values[at][1:-1] for at in numbers])
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
    except _BadValue as bad:
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


def _refuse(message: str, number: int | None) -> Make:
    def make(values: Sequence[str]) -> Any:
        raise _BadValue(message, number)

    return make


def _unescaped(body: str) -> str:
    """The text between quotes. Octal and hexadecimal escapes are bytes of UTF-8; those that are none become U+FFFD."""
    if "\\" not in body:
        return body
    return _escaped_bytes(body).decode("utf-8", errors="replace")


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
    match = _INTEGER.match(text) if len(text) < 40 else None
    if match is None:
        raise _BadValue(f"{field.name} takes an integer, not {quoted(text)}", number)
    sign, hexadecimal, octal, decimal = match.groups()
    value = int(hexadecimal, 16) if hexadecimal else int(octal, 8) if octal else int(decimal)
    value = -value if sign == "-" else value
    limit = _LIMITS[field.kind]
    if not -limit <= value < limit:
        raise _BadValue(f"{field.name} is out of range for {field.kind}: {text}", number)
    return value


def _float(field: Field, text: str, number: int | None) -> float:
    match = _FLOAT.match(text)
    if match is None:
        raise _BadValue(f"{field.name} takes a number, not {quoted(text)}", number)
    value = float(match[1] + match[2])
    return single(value) if field.kind == "float" else value


def _bool(field: Field, text: str, number: int | None) -> bool:
    if text not in _BOOLS:
        raise _BadValue(f"{field.name} takes true or false, not {quoted(text)}", number)
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
