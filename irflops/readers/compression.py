"""Compressed contents, told by their first bytes: decompressed with a limit on what comes out, and as far as they go."""

from __future__ import annotations

import bz2
import gzip
import importlib
import importlib.util
import io
import lzma
import zlib
from contextlib import suppress
from typing import IO, NamedTuple

from irflops.errors import IrflopsError

MAX_SIZE = 2 << 30
"""Bytes after decompression that are read unless the caller says otherwise."""

_CHUNK = 1 << 20
_STEP = 1 << 16
_BOMB_SIZE = 64 << 20
_BOMB_RATIO = 400
"""Past `_BOMB_SIZE` bytes, more than this many bytes out of one is no dump: real ones reach about 40."""


class Content(NamedTuple):
    """The bytes of a file, decompressed."""

    data: bytes
    damage: str | None = None
    """What is wrong with the compressed file, so that this is what is left of it."""


def decompressed(raw: bytes, name: str, max_size: int = MAX_SIZE, *, partial: bool = False) -> Content:
    """The bytes as they are, or what they hold if they are compressed; with `partial`, what is left where that is damaged or cut off.

    Errors: IrflopsError where they cannot be decompressed, or are more than `max_size` bytes or unbelievably many.
    """
    opener = _opener(raw, name)
    if opener is None:
        if len(raw) > max_size:
            raise _too_large(name, max_size)
        return Content(raw)
    try:
        # Twice, so that a bomb of filler is refused before anything of it is kept.
        _weigh(opener, len(raw), name, max_size)
        with opener() as stream:
            data = stream.read()
        if opener.kind != "zstd" or len(data) >= _zstd_size(raw):
            return Content(data)
        damage = "the compressed file is cut off: it says that it holds more than it does"
    except _errors() as error:
        damage = f"the compressed file is damaged or cut off: {error}"
    if not partial:
        raise IrflopsError(damage, path=name, hint="copy it again; irflops analyze --partial reads what can be decompressed of it")
    left = _left(opener)
    if not left:
        raise IrflopsError(f"{damage}; nothing of it can be decompressed", path=name, hint="copy it again")
    return Content(left, damage)


def _errors() -> tuple[type[Exception], ...]:
    """What decompressing raises."""
    return OSError, EOFError, lzma.LZMAError, zlib.error, _zstd_error()


def _left(opener: _Opener) -> bytes:
    """What can be decompressed of a content that was weighed before, and found to break off."""
    chunks: list[bytes] = []
    with suppress(*_errors()), opener() as stream:
        while chunk := stream.read1(_STEP):  # type: ignore[attr-defined]  # all four have it
            chunks.append(chunk)
    return b"".join(chunks)


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


def _zstd_size(raw: bytes) -> int:
    """Bytes that the first frame says it holds, 0 where it does not say; one of the two libraries says nothing of a frame that is cut."""
    if _zstd_module() != "zstandard":
        return 0
    size: int = importlib.import_module("zstandard").frame_content_size(raw)
    return max(0, size)


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
