"""`--partial` for every form that can be cut: what is read is a part of the whole, never called exact; what cannot be read says why."""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import irflops
from irflops.ir.certainty import Certainty

FIXTURES = Path(__file__).parent.parent / "fixtures"
FORMS = ("repr.txt", "job.prototxt", "fwd.prototxt", "job.pb", "mlir")
ZSTD = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "zstandard")
COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zstd": ZSTD.compress}


def content(form: str, name: str = "basic_block") -> bytes:
    return gzip.decompress((FIXTURES / f"{name}.{form}.gz").read_bytes())


def hold_part(cut: bytes, whole: irflops.Analysis, form: str) -> int:
    """Checks what is read of a cut dump; the number of operators, 0 where it is refused."""
    with pytest.raises(irflops.IrflopsError):
        irflops.loads(cut)
    try:
        analysis = irflops.analyze(irflops.loads(cut, partial=True))
    except irflops.NotAGraphError:
        return 0
    except irflops.GraphSyntaxError:
        assert form == "mlir"
        return 0
    graph = analysis.graph
    assert graph.partial
    assert any(note.code == "partial" for note in graph.notes)
    known = whole.graph.by_name
    for op in graph.ops:
        if not op.hidden:
            assert (op.name, op.type) == (known[op.name].name, known[op.name].type)
    for cost in ("macs", "flops", "bytes"):
        assert (analysis.total.get(cost) or 0) <= (whole.total.get(cost) or 0)
        assert analysis.total.certainty(cost) is not Certainty.EXACT
    return sum(not op.hidden for op in graph.ops)


@pytest.mark.drawn
@pytest.mark.parametrize(("name", "parts"), [("basic_block", 17), ("gpt_train", 6)])
@pytest.mark.parametrize("form", FORMS)
def test_a_dump_that_is_cut_off_is_read_as_far_as_it_goes(form: str, name: str, parts: int) -> None:
    data = content(form, name)
    whole = irflops.analyze(irflops.loads(data))
    read = [hold_part(data[: len(data) * part // parts], whole, form) for part in range(1, parts)]
    assert read == sorted(read)
    assert read[-1] >= 0.7 * len(whole.graph.ops)


@pytest.mark.parametrize("form", FORMS)
def test_partial_makes_no_difference_to_a_whole_dump(form: str) -> None:
    data = content(form)
    strict, lenient = irflops.loads(data), irflops.loads(data, partial=True)
    assert not lenient.partial
    assert (lenient.ops, lenient.notes) == (strict.ops, strict.notes)


@pytest.mark.parametrize("form", ["job.prototxt", "mlir"])
def test_a_text_that_is_damaged_in_the_middle_is_read_up_to_there(form: str) -> None:
    data = content(form)
    at = data.index(b"model.relu-relu-2")
    damaged = data[:at] + b'"' + data[at:]
    graph = irflops.loads(damaged, partial=True)
    assert graph.partial
    assert "model.conv1-conv2d-0" in graph.by_name
    assert "model.fc-broadcast_matmul-6" not in graph.by_name
    (note,) = (note for note in graph.notes if note.code == "partial")
    assert f"line {damaged[:at].count(10) + 1}: " in note.text


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("form", FORMS)
def test_a_compressed_dump_that_is_cut_off(form: str, kind: str) -> None:
    whole = irflops.analyze(irflops.loads(content(form, "gpt_train")))
    packed = COMPRESS[kind](content(form, "gpt_train"))
    cut = packed[: len(packed) * 9 // 10]
    with pytest.raises(irflops.IrflopsError, match="the compressed file is") as caught:
        irflops.loads(cut)
    assert caught.value.hint == "copy it again; irflops analyze --partial reads what can be decompressed of it"
    if kind not in ("bz2", "zstd"):
        assert hold_part(cut, whole, form) > 100
        return
    with suppress(irflops.IrflopsError):  # these pack block by block, and there may be one alone
        hold_part(cut, whole, form)
        return
    with pytest.raises(irflops.IrflopsError, match="nothing of it can be decompressed"):
        irflops.loads(cut, partial=True)


def test_a_checksum_that_does_not_fit_is_damage() -> None:
    packed = bytearray(gzip.compress(content("repr.txt")))
    packed[-5] ^= 0x55
    with pytest.raises(irflops.IrflopsError, match="CRC"):
        irflops.loads(bytes(packed))
    assert irflops.loads(bytes(packed), partial=True).partial


def test_a_saved_folder_whose_model_is_cut(tmp_path: Path) -> None:
    data = content("mlir")
    (tmp_path / "model.mlir").write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(irflops.GraphSyntaxError):
        irflops.load(tmp_path)
    graph = irflops.load(tmp_path, partial=True)
    assert graph.partial
    assert graph.format == "saved_graph"


def test_a_capture_that_is_cut_cannot_be_read_in_part_and_says_why() -> None:
    from irflops.readers.capture.archive import Captured, pack

    data = pack(Captured(content("repr.txt"), content("job.pb"), None), {})
    assert irflops.loads(data, partial=True).partial is False
    with pytest.raises(irflops.IrflopsError, match="the capture is damaged or cut off") as caught:
        irflops.loads(data[:-100], partial=True)
    assert "--partial can read nothing of a damaged one" in str(caught.value.hint)
