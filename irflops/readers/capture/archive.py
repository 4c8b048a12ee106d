"""The file that `irflops.capture` writes: a zip with a manifest, a printed graph and a job. Packs and unpacks it; no graph here."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from irflops.errors import IrflopsError, quoted
from irflops.readers.compression import MAX_SIZE, refuse_bomb

SCHEMA = "irflops.capture/1"
"""Name and version of the manifest. A reader refuses versions that it does not know."""

MANIFEST, REPR, JOB = "manifest.json", "repr.txt", "job.pb"
"""The members, in their order."""

_CONTENTS = (REPR, JOB)
_MAX_MANIFEST = 64 << 10
_DIRECTORY = 1024
"""Bytes at the end of an archive that hold the names of three members, whoever packed it."""
_MAX_ENTRIES = 1000
"""Entries of a directory that are looked at at all; contents may look like a few by chance."""
_DAMAGED_HINT = "copy the file again, or capture the graph anew"
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Captured:
    """What a capture holds."""

    printed: bytes
    """`repr(graph)` as UTF-8."""
    job: bytes
    """The full job, serialized."""
    oneflow: str | None
    """OneFlow's version, None where it was not known."""


def pack(captured: Captured, about: Mapping[str, str | None]) -> bytes:
    """The bytes of a capture; equal contents give equal bytes. `about` are further lines of the manifest."""
    contents = {REPR: captured.printed, JOB: captured.job}
    members = {name: {"size": len(data), "sha256": _sha256(data)} for name, data in contents.items()}
    manifest = {"schema": SCHEMA, "oneflow": captured.oneflow, **about, "members": members}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        # The manifest is first and as it is, so that the first bytes of a file tell what it is, also where its end is lost.
        archive.writestr(_entry(MANIFEST, zipfile.ZIP_STORED), json.dumps(manifest, indent=2) + "\n")
        for name, data in contents.items():
            archive.writestr(_entry(name, zipfile.ZIP_DEFLATED), data)
    return buffer.getvalue()


def _entry(name: str, compression: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = compression
    entry.external_attr = 0o644 << 16
    return entry


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def is_capture(data: bytes) -> bool:
    """Whether the bytes are a capture's, packed by us or by hand from our members; other zips are checkpoints and the like."""
    if not data.startswith(b"PK\x03\x04"):
        return False
    if data[30 : 30 + len(MANIFEST)] == MANIFEST.encode() and b'"irflops.capture/' in data[:_DIRECTORY]:
        return True
    return all(name.encode() in data[-_DIRECTORY:] for name in (MANIFEST, *_CONTENTS))


def unpack(data: bytes, name: str, max_size: int = MAX_SIZE) -> Captured:
    """What a capture holds, checked against its manifest. `name` is what messages call it.

    Errors: IrflopsError where it is damaged or cut off, has other members than a capture, was written by an unknown version, or holds
    more than `max_size` bytes or unbelievably much.
    """
    if data.count(b"PK\x01\x02") > _MAX_ENTRIES:
        raise IrflopsError("the capture has more members than a capture has", path=name, hint=_DAMAGED_HINT)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _refuse_odd_members(archive.infolist(), len(data), name, max_size)
            manifest = _manifest(archive.read(MANIFEST), name)
            contents = {member: archive.read(member) for member in _CONTENTS}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError) as error:
        raise IrflopsError(f"the capture is damaged or cut off: {error}", path=name, hint=_DAMAGED_HINT) from None
    for member, content in contents.items():
        told = manifest["members"][member]
        if (told["size"], told["sha256"]) != (len(content), _sha256(content)):
            raise IrflopsError(f"the capture is damaged: its {member} is not what its {MANIFEST} says", path=name, hint=_DAMAGED_HINT)
    return Captured(contents[REPR], contents[JOB], manifest["oneflow"])


def _refuse_odd_members(entries: list[zipfile.ZipInfo], compressed: int, name: str, max_size: int) -> None:
    """Nothing of an archive is read before this; sizes are those of its directory, past which no member is read."""
    names = [entry.filename for entry in entries]
    odd = next((member for member in names if member not in (MANIFEST, *_CONTENTS)), None)
    if odd is not None:
        raise IrflopsError(f"a capture has no member {quoted(odd)}", path=name, hint=_DAMAGED_HINT)
    for member in (MANIFEST, *_CONTENTS):
        if names.count(member) != 1:
            times = "more than once" if member in names else "not at all"
            raise IrflopsError(f"the capture has its {member} {times}", path=name, hint=_DAMAGED_HINT)
    for entry in entries:
        if entry.flag_bits & 1:
            raise IrflopsError(f"the capture's {entry.filename} is encrypted", path=name, hint="unpack it, and pack it without a password")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise IrflopsError(f"the capture's {entry.filename} is compressed in an unknown way", path=name, hint="pack it with deflate")
    size = sum(entry.file_size for entry in entries)
    if size > max_size:
        raise IrflopsError(f"the capture holds more than {max_size} bytes", path=name, hint="raise the limit with --max-size")
    refuse_bomb(size, compressed, name)


def _manifest(data: bytes, name: str) -> dict[str, Any]:
    """The manifest, as far as it is used: schema, `oneflow`, and size and sha256 of the other members."""
    try:
        manifest = json.loads(data.decode("utf-8")) if len(data) <= _MAX_MANIFEST else None
    except (ValueError, RecursionError):
        manifest = None
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if not isinstance(manifest, dict) or not isinstance(schema, str):
        raise IrflopsError(f"the capture is damaged: its {MANIFEST} does not read", path=name, hint=_DAMAGED_HINT)
    if schema != SCHEMA:
        kind, _, _ = SCHEMA.partition("/")
        hint = "a newer irflops reads it" if schema.startswith(f"{kind}/") else _DAMAGED_HINT
        raise IrflopsError(f"this irflops reads {SCHEMA}, and the capture is {quoted(schema)}", path=name, hint=hint)
    members = manifest.get("members")
    told = {member: members.get(member) for member in _CONTENTS} if isinstance(members, dict) else {}
    if not told or not all(isinstance(facts, dict) and {"size", "sha256"} <= facts.keys() for facts in told.values()):
        raise IrflopsError(f"the capture is damaged: its {MANIFEST} does not describe its members", path=name, hint=_DAMAGED_HINT)
    oneflow = manifest.get("oneflow")
    return {"oneflow": oneflow if isinstance(oneflow, str) else None, "members": told}
