"""Logs of one JSON object a line, whose `log` or `message` is a line of a text, as Docker keeps them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from irflops.errors import Source
from irflops.readers.unwrapping.rewriting import Edit, rewritten

_STRING = r'"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*"'
_RECORD = re.compile(
    rf"""^(?P<prefix>[^{{"\n]{{0,300}})\{{[ ]*                          # a prefix, such as the name of a container
    (?:{_STRING}[ ]*:[ ]*(?:{_STRING}|[\w.+-]+)[ ]*,[ ]*){{0,20}}?    # other fields
    "(?:log|message|msg|line|text)"[ ]*:[ ]*(?P<line>{_STRING})
    [^\n]*\}}[ \t\r]*$""",
    re.VERBOSE | re.MULTILINE,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})(?:\\u([dD][c-fC-F][0-9a-fA-F]{2}))?|(.))", re.DOTALL)
_SIMPLE = {"n": "\n", "t": "\t", "r": "", "b": "\b", "f": "\f"}
_HEAD = 65536


def undone(source: Source) -> Source | None:
    """The text that the records of a log hold; None where it is no such log.

    A record whose text has no line end goes on in the next, as Docker cuts lines of more than 16 KB, if others have one.
    """
    text = source.text
    head = text.find("\n", _HEAD)
    if "{" not in text[:_HEAD] or _RECORD.search(text, 0, head if head >= 0 else len(text)) is None:
        return None
    return rewritten(source, _edits(text))


def _edits(text: str) -> Iterator[Edit]:
    has_ends = '\\n"' in text
    goes_on = False
    for record in _RECORD.finditer(text):
        start, end = record.start("line") + 1, record.end("line") - 1
        yield Edit(record.start() if goes_on else record.end("prefix"), start, "")
        for escape in _ESCAPE.finditer(text, start, end):
            yield Edit(*escape.span(), _meant(escape))
        goes_on = has_ends and not text.endswith("\\n", start, end)
        last = record.end() + (text[record.end() : record.end() + 1] == "\n")
        yield Edit(end, last, "" if has_ends else "\n")


def _meant(escape: re.Match[str]) -> str:
    high, low, simple = escape.groups()
    if simple is not None:
        return _SIMPLE.get(simple, simple)
    code = int(high, 16)
    if low is not None and 0xD800 <= code < 0xDC00:
        return chr(0x10000 + ((code - 0xD800) << 10) + (int(low, 16) - 0xDC00))
    return _plain(code) + (_plain(int(low, 16)) if low is not None else "")


def _plain(code: int) -> str:
    return chr(code) if not 0xD800 <= code < 0xE000 else "\N{REPLACEMENT CHARACTER}"
