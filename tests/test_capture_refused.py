"""Captures that are refused, and zips that are none."""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from captures import content_of

from irflops.errors import IrflopsError
from irflops.readers.capture.archive import JOB, MANIFEST, REPR, Captured, is_capture, pack, unpack


@pytest.fixture(scope="module")
def small() -> Captured:
    return content_of("basic_block")


def zipped(members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as archive:
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def members_of(data: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def with_manifest(data: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    (_, text), *others = members_of(data)
    manifest = json.loads(text)
    change(manifest)
    return zipped([(MANIFEST, json.dumps(manifest).encode()), *others])


def encrypted(data: bytes) -> bytes:
    """The same with a directory that says so."""
    at = data.index(b"PK\x01\x02")
    return data[: at + 8] + struct.pack("<H", 1) + data[at + 10 :]


REFUSED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut off": (lambda data: data[:-30], "damaged or cut off"),
    "almost nothing": (lambda data: data[:120], "damaged or cut off"),
    "a byte changed": (lambda data: data[:1000] + bytes([data[1000] ^ 255]) + data[1001:], "damaged or cut off"),
    "another content": (lambda data: zipped([*members_of(data)[:2], (JOB, b"\x0a")]), r"its job\.pb is not what its manifest\.json says"),
    "one more": (lambda data: zipped([*members_of(data), ("evil.txt", b"")]), "no member 'evil.txt'"),
    "a path": (lambda data: zipped([*members_of(data), ("../../repr.txt", b"")]), r"no member '\.\./\.\./repr\.txt'"),
    "an absolute path": (lambda data: zipped([*members_of(data), ("/repr.txt", b"")]), "no member '/repr.txt'"),
    "one less": (lambda data: zipped(members_of(data)[:2]), r"job\.pb not at all"),
    "one twice": (lambda data: zipped([*members_of(data), (REPR, b"")]), r"repr\.txt more than once"),
    "many": (lambda data: zipped([*members_of(data), *((f"{n}", b"") for n in range(1100))]), "more members"),
    "encrypted": (encrypted, "encrypted"),
    "compressed otherwise": (lambda data: zipped(members_of(data), zipfile.ZIP_LZMA), "compressed in an unknown way"),
    "a later version": (lambda data: with_manifest(data, lambda m: m.update(schema="irflops.capture/2")), "reads irflops.capture/1"),
    "another thing": (lambda data: with_manifest(data, lambda m: m.update(schema="model/1")), "reads irflops.capture/1"),
    "no schema": (lambda data: with_manifest(data, dict.clear), "manifest.json does not read"),
    "no members": (lambda data: with_manifest(data, lambda m: m.pop("members")), "does not describe its members"),
    "half a member": (lambda data: with_manifest(data, lambda m: m["members"][JOB].pop("sha256")), "does not describe its members"),
    "no JSON": (lambda data: zipped([(MANIFEST, b"[" * 100_000), *members_of(data)[1:]]), "manifest.json does not read"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, small: Captured) -> None:
    harm, said = REFUSED[case]
    with pytest.raises(IrflopsError, match=said) as caught:
        unpack(harm(pack(small, {})), "graph.zip")
    assert caught.value.path == "graph.zip"
    assert caught.value.hint


def test_a_later_version_says_what_reads_it(small: Captured) -> None:
    data = with_manifest(pack(small, {}), lambda m: m.update(schema="irflops.capture/2"))
    with pytest.raises(IrflopsError, match="hint: a newer irflops reads it"):
        unpack(data, "graph.zip")


def test_size_and_expansion_are_limited(small: Captured) -> None:
    data = pack(small, {})
    held = sum(len(content) for _, content in members_of(data))
    assert unpack(data, "graph.zip", held) == small
    with pytest.raises(IrflopsError, match=f"holds more than {held - 1} bytes"):
        unpack(data, "graph.zip", held - 1)
    with pytest.raises(IrflopsError, match="decompression bomb"):
        unpack(pack(replace(small, printed=bytes(80 << 20)), {}), "graph.zip")


def test_members_packed_by_hand_are_a_capture(small: Captured) -> None:
    data = zipped(list(reversed(members_of(pack(small, {"irflops": "0.1.0"})))))
    assert is_capture(data)
    assert unpack(data, "graph.zip") == small


@pytest.mark.parametrize("names", [["archive/data.pkl", "archive/version"], ["manifest.json", "code.js"], []], ids=str)
def test_other_zips_are_none(names: list[str]) -> None:
    assert not is_capture(zipped([(name, b'{"schema": "another/1"}') for name in names]))
    assert not is_capture(b"manifest.json repr.txt job.pb")


def test_a_capture_that_is_cut_off_is_one_still(small: Captured) -> None:
    assert is_capture(pack(small, {})[:1000])
