"""Protobuf's wire format, by hand: where the library only says that something is wrong."""

from __future__ import annotations

from collections.abc import Iterator

MAX_DEPTH = 100
"""Levels of messages, as in protobuf's own parsers."""


class BrokenAt(Exception):
    """A place where bytes are no message, and why."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """An integer of the wire format and the offset behind it."""
    value = shift = 0
    start = at
    while at < end and shift < 70:
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7
    raise BrokenAt(start, "a number without an end")


def wire_fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """The fields between two offsets: number, wire type, and where the content begins and ends. Of a group (type 3) nothing within."""
    groups: list[int] = []
    while at < end:
        tag_at = at
        tag, at = varint(data, at, end)
        number, wire_type = tag >> 3, tag & 7
        start = at
        if wire_type == 0:
            _, at = varint(data, at, end)
        elif wire_type in (1, 5):
            at += 8 if wire_type == 1 else 4
        elif wire_type == 2:
            size, start = varint(data, at, end)
            at = start + size
        if not 0 < number < 1 << 29 or wire_type > 5 or (wire_type == 4 and (not groups or groups.pop() != number)):
            raise BrokenAt(tag_at, "no field of a message begins here")
        if at > end:
            raise BrokenAt(tag_at, f"a field claims {at - start} bytes, and {max(0, end - start)} are left")
        if not groups and wire_type != 4:
            yield number, wire_type, start, at
        if wire_type == 3:
            groups.append(number)
            if len(groups) > MAX_DEPTH:
                raise BrokenAt(tag_at, f"messages nested deeper than {MAX_DEPTH} levels")
    if groups:
        raise BrokenAt(end, "a group of fields has no end")
