"""From a path to text: decompression, decoding, and limits on both. No graph here."""

from __future__ import annotations

import bz2
import codecs
import gzip
import importlib
import importlib.util
import io
import lzma
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from irflops.errors import IrflopsError, Source

MAX_SIZE = 2 << 30
"""Bytes after decompression that are read unless the caller says otherwise."""

_CHUNK = 1 << 20
_BOMB_SIZE = 64 << 20
_BOMB_RATIO = 400
"""Past `_BOMB_SIZE` bytes, more than this many bytes out of one is no dump: real ones reach about 40."""

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


def read_bytes(path: str, max_size: int = MAX_SIZE) -> bytes:
    """The content of a file, `-` for standard input, decompressed if it is gzip, bz2, xz or zstd by its first bytes.

    Errors: IrflopsError where it cannot be read, is cut off, or is larger than `max_size` bytes.
    """
    if not path:
        raise IrflopsError("an empty path names no file")
    try:
        raw = _read_some(sys.stdin.buffer, max_size) if path == "-" else _read_file(Path(path), max_size)
    except OSError as error:
        raise IrflopsError(f"cannot read the file: {error.strerror or error}", path=path) from None
    return decompress(raw, display_name(path), max_size)


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


def decompress(raw: bytes, name: str, max_size: int = MAX_SIZE) -> bytes:
    """The bytes as they are, or what they hold if they are compressed."""
    opener = _opener(raw, name)
    if opener is None:
        if len(raw) > max_size:
            raise _too_large(name, max_size)
        return raw
    try:
        # Twice, so that a bomb of filler is refused before anything of it is kept.
        _weigh(opener, len(raw), name, max_size)
        with opener() as stream:
            return stream.read()
    except (OSError, EOFError, lzma.LZMAError, zlib.error, _zstd_error()) as error:
        raise IrflopsError(
            f"the compressed file is damaged or cut off: {error}", path=name, hint="copy it again, or decompress what is left by hand"
        ) from None


class _Opener:
    """Opens one compressed content as a stream, as often as asked."""

    def __init__(self, raw: bytes, kind: str) -> None:
        self.raw = raw
        self.kind = kind

    def __call__(self) -> IO[bytes]:
        raw = io.BytesIO(self.raw)
        if self.kind == "gzip":
            return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]  # GzipFile is a BufferedIOBase, IO[bytes] in all but name
        if self.kind == "bz2":
            return bz2.BZ2File(raw)
        if self.kind == "xz":
            return lzma.LZMAFile(raw)
        return _zstd_reader(raw)


def _opener(raw: bytes, name: str) -> _Opener | None:
    for magic, kind in ((b"\x1f\x8b", "gzip"), (b"BZh", "bz2"), (b"\xfd7zXZ\x00", "xz"), (b"\x28\xb5\x2f\xfd", "zstd")):
        if raw.startswith(magic):
            if kind == "zstd" and _zstd_module() is None:
                raise IrflopsError(
                    "reading zstd needs the zstd extra", path=name, hint="pip install 'irflops[zstd]', or decompress the file first"
                )
            return _Opener(raw, kind)
    return None


def _zstd_module() -> str | None:
    for module in ("compression.zstd", "zstandard"):
        if importlib.util.find_spec(module.partition(".")[0]) is None:
            continue
        try:
            importlib.import_module(module)
        except ImportError:
            continue
        return module
    return None


def _zstd_reader(raw: IO[bytes]) -> IO[bytes]:
    name = _zstd_module()
    module = importlib.import_module(name or "zstandard")
    if name == "compression.zstd":
        return module.ZstdFile(raw)  # type: ignore[no-any-return]  # new in Python 3.14, unknown to older type stubs
    reader = module.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
    return io.BufferedReader(reader)


def _zstd_error() -> type[Exception]:
    name = _zstd_module()
    error: type[Exception] = importlib.import_module(name).ZstdError if name else EOFError
    return error


def _weigh(opener: _Opener, compressed: int, name: str, max_size: int) -> None:
    size = 0
    with opener() as stream:
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            if size > max_size:
                raise _too_large(name, max_size)
            refuse_bomb(size, compressed, name)


def refuse_bomb(size: int, compressed: int, name: str) -> None:
    """Raises IrflopsError if so few bytes cannot hold so many of a dump."""
    if size > _BOMB_SIZE and size > _BOMB_RATIO * compressed:
        raise IrflopsError(
            f"{compressed} compressed bytes hold {size} or more: a decompression bomb, not a graph dump",
            path=name,
            hint="if it is a graph dump all the same, decompress it first",
        )


def _too_large(name: str, max_size: int) -> IrflopsError:
    return IrflopsError(f"the input is larger than {max_size} bytes", path=name, hint="raise the limit with --max-size")


def is_text(head: bytes) -> bool:
    """Whether the first bytes are a text's: UTF-16 holds zeros, but begins with its mark or has a zero in every other place."""
    start = head[:256]
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    if len(start) >= 8 and max(start[1::2].count(0), start[::2].count(0)) > len(start) * 3 // 8:
        return True
    return not any(byte < 9 or 13 < byte < 27 for byte in start)


def decode(data: bytes) -> str:
    r"""Text of a dump: UTF-8 or UTF-16, with or without a byte order mark, without ANSI colours, with `\n` as the only line end.

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
    if "\x1b" in text:
        text = _ANSI.sub("", text)
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
