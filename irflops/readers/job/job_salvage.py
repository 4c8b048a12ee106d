"""What is left of a binary job that was cut off: its whole fields, and the whole fields of the section in which it breaks off."""

from __future__ import annotations

from irflops.readers.job.job_schema import SECTIONS, messages
from irflops.readers.job.wire_fields import BrokenAt, varint, wire_fields


def salvaged(data: bytes) -> bytes:
    """The bytes of a whole job with as much in it as these have from the beginning; none where that is nothing."""
    sections = {field.number for field in messages()["Job"].values() if field.name in SECTIONS}
    end = _whole(data, 0)
    try:
        tag, at = varint(data, end, len(data))
        _, start = varint(data, at, len(data))
    except BrokenAt:
        return data[:end]
    if tag & 7 != 2 or tag >> 3 not in sections:
        return data[:end]
    inner = data[start : _whole(data, start)]
    return data[:at] + _encoded(len(inner)) + inner


def _whole(data: bytes, start: int) -> int:
    """The offset behind the last field that is whole, from an offset on."""
    end = start
    try:
        for _, _, _, behind in wire_fields(data, start, len(data)):
            end = behind
    except BrokenAt:
        pass
    return end


def _encoded(number: int) -> bytes:
    """An integer of the wire format."""
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])
