"""From a path to text: reading, decoding, and a limit on size. No graph here."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from irflops.errors import IrflopsError, Source
from irflops.readers.compression import MAX_SIZE, Content, decompressed

_CHUNK = 1 << 20


def read_bytes(path: str, max_size: int = MAX_SIZE) -> bytes:
    """The content of a file, `-` for standard input, decompressed if it is gzip, bz2, xz or zstd by its first bytes.

    Errors: IrflopsError where it cannot be read, is cut off, or is larger than `max_size` bytes.
    """
    return read_content(path, max_size).data


def read_content(path: str, max_size: int = MAX_SIZE, *, partial: bool = False) -> Content:
    """The same; with `partial`, of a compressed file that is damaged or cut off what can be decompressed."""
    if not path:
        raise IrflopsError("an empty path names no file")
    try:
        raw = _read_some(sys.stdin.buffer, max_size) if path == "-" else _read_file(Path(path), max_size)
    except OSError as error:
        raise IrflopsError(f"cannot read the file: {error.strerror or error}", path=path) from None
    return decompressed(raw, display_name(path), max_size, partial=partial)


def display_name(path: str) -> str:
    """What to call an input in messages."""
    return "<stdin>" if path == "-" else path


def _read_file(path: Path, max_size: int) -> bytes:
    if path.is_dir():
        raise IrflopsError(
            "this is a folder, not a file",
            path=str(path),
            hint="of folders, those that oneflow.save(graph, DIR) writes are read as a whole",
        )
    with path.open("rb") as stream:
        return _read_some(stream, max_size)


def _read_some(stream: IO[bytes], max_size: int) -> bytes:
    """All of a stream, or `max_size` bytes and at least one more. In chunks, for Python sets aside as many bytes as it is asked to read."""
    chunks: list[bytes] = []
    size = 0
    while size <= max_size and (chunk := stream.read(_CHUNK)):
        chunks.append(chunk)
        size += len(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def is_text(head: bytes) -> bool:
    """Whether the first bytes are a text's: UTF-16 holds zeros, but begins with its mark or has a zero in every other place."""
    start = head[:256]
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    if len(start) >= 8 and max(start[1::2].count(0), start[::2].count(0)) > len(start) * 3 // 8:
        return True
    return not any(byte < 9 or 13 < byte < 27 for byte in start)


def decode(data: bytes) -> str:
    r"""Text of a dump: UTF-8 or UTF-16, with or without a byte order mark, with `\n` as the only line end.

    Bytes that are no valid text become U+FFFD, so that lines and columns still count.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = data.decode("utf-16", errors="replace")
    elif data.startswith(codecs.BOM_UTF8):
        text = data[3:].decode("utf-8", errors="replace")
    else:
        text = data.decode(_guess_encoding(data), errors="replace")
    if "\r" in text and "\n" not in text:
        text = text.replace("\r", "\n")
    elif "\r" in text:
        text = text.replace("\r\r\n", "\n").replace("\r\n", "\n")
    return text


def _guess_encoding(data: bytes) -> str:
    head = data[:4096]
    if len(head) >= 8 and head[1::2].count(0) > len(head) * 3 // 8 and not head[::2].count(0):
        return "utf-16-le"
    if len(head) >= 8 and head[::2].count(0) > len(head) * 3 // 8 and not head[1::2].count(0):
        return "utf-16-be"
    return "utf-8"


def source_of(data: bytes, name: str) -> Source:
    """The decoded text under the name that messages use."""
    return Source(name, decode(data))


def lines_of(text: str) -> Iterator[tuple[int, int]]:
    """Start and end offsets of each line, line ends left out; a final empty line is none."""
    start, size = 0, len(text)
    find = text.find
    while start < size:
        end = find("\n", start)
        if end < 0:
            end = size
        yield start, end
        start = end + 1
