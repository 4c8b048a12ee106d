"""Where in a TOML file its tables and values stand: Python's reader gives values alone.

Only files that this reader has taken are looked at, so what stands here need not be refused here.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Mapping

from irflops.errors import Origin, Source, Span

Path = tuple[str | int, ...]
"""Keys from the top of the file, and numbers of elements."""

_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:\\.|(?!"""(?!"))[^\\])*"""|\'\'\'(?:(?!\'\'\'(?!\')).)*\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_BARE = re.compile(r"[\w-]+")
_OTHER = re.compile(r"[^,\]}#\r\n]*[^,\]}#\s]")
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[ \t\r]*\n[ \t\r\n]*|.)", re.DOTALL)


def places_of(source: Source) -> Mapping[Path, Span]:
    """Where each table begins, its header's name, and where each value stands, by its keys."""
    return _Scan(source.text).found


def text_of(source: Source, place: Span, value: str) -> Source:
    """The value of a string as a text of its own, whose lines and columns are those of the file."""
    raw = source.text[place.start : place.end]
    width = 3 if raw.startswith(('"""', "'''")) else 1
    begin = place.start + width
    if width == 3:
        begin += 2 if source.text.startswith("\r\n", begin) else source.text.startswith("\n", begin)
    at, was = array("q", [0]), array("q", [begin])
    if raw.startswith('"'):
        length, last = 0, begin
        for escape in _ESCAPE.finditer(source.text, begin, place.end - width):
            length += escape.start() - last + (not escape[0][1:2].isspace())
            last = escape.end()
            at.append(length)
            was.append(last)
    return Source(source.name, value, Origin(source, at, was))


class _Scan:
    """One walk over the text; arrays and tables in one another are walked by a stack that Python's reader has bounded."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[Path, Span] = {}
        self.counts: dict[Path, int] = {}
        table: Path = ()
        while self._skip():
            if text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _skip(self) -> bool:
        gap = _GAP.match(self.text, self.at)
        assert gap is not None
        self.at = gap.end()
        return self.at < len(self.text)

    def _header(self) -> Path:
        several = self.text.startswith("[[", self.at)
        self.at += 2 if several else 1
        self._skip()
        start = self.at
        keys, end = self._key()
        self.at = self.text.index("]", self.at) + (2 if several else 1)
        path = self._through_arrays(keys[:-1])
        if several:
            number = self.counts[(*path, keys[-1])] = self.counts.get((*path, keys[-1]), -1) + 1
            path = (*path, keys[-1], number)
        else:
            path = self._through_arrays(keys)
        self.found[path] = Span(start, end)
        return path

    def _through_arrays(self, keys: tuple[str, ...]) -> Path:
        """A header's keys, with the last element of each array of tables on the way."""
        path: Path = ()
        for key in keys:
            path = (*path, key)
            if path in self.counts:
                path = (*path, self.counts[path])
        return path

    def _key(self) -> tuple[tuple[str, ...], int]:
        """A dotted key, and where it ends."""
        parts: list[str] = []
        while True:
            self._skip()
            quoted = _STRING.match(self.text, self.at)
            match = quoted or _BARE.match(self.text, self.at)
            if match is None:
                return tuple(parts), self.at
            parts.append(_unquoted(match[0]) if quoted else match[0])
            self.at = end = match.end()
            self._skip()
            if not self.text.startswith(".", self.at):
                return tuple(parts), end
            self.at += 1

    def _pair(self, table: Path) -> None:
        start = self.at
        keys, end = self._key()
        for upto in range(1, len(keys)):
            self.found.setdefault((*table, *keys[:upto]), Span(start, end))
        self.at = self.text.find("=", self.at) + 1 or len(self.text)
        self._value((*table, *keys))

    def _value(self, path: Path) -> None:
        self._skip()
        start = self.at
        string = _STRING.match(self.text, start)
        if string is not None:
            self.at = string.end()
        elif self.text.startswith("[", start):
            self._items("]", lambda number: self._value((*path, number)))
        elif self.text.startswith("{", start):
            self._items("}", lambda _number: self._pair(path))
        else:
            other = _OTHER.match(self.text, start)
            self.at = other.end() if other is not None else start + 1
        self.found[path] = Span(start, self.at)

    def _items(self, close: str, read: Callable[[int], None]) -> None:
        self.at += 1
        number = 0
        while self._skip() and not self.text.startswith(close, self.at):
            if self.text.startswith(",", self.at):
                self.at += 1
                continue
            read(number)
            number += 1
        self.at += 1


def _unquoted(text: str) -> str:
    """A quoted key; escapes in keys stay as they are written: no name of irflops' has any."""
    return text[1:-1]
