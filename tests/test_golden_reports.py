"""Every report of six graphs at three widths, as golden files (`pytest --update` writes them anew), and what holds of all of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from commands import run
from rich.cells import cell_len

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden" / "reports"
WIDTHS = (80, 100, 120)

RESNET = "fixtures/resnet50.repr.txt.gz"
GPT = "fixtures/corpus/gpt_micro_ckpt.repr.txt.gz"
MESH = "fixtures/changes/gpt_tiny_dp2tp2.repr.txt.gz"
CHANGES = "fixtures/changes/{}.repr.txt.gz"
MICRO = "fixtures/corpus/gpt_micro_{}.repr.txt.gz"

ANALYSES = {"resnet50": RESNET, "gpt_train": GPT, "mesh": MESH}
REPORTS: dict[str, tuple[str, ...]] = {
    **{name: ("analyze", path) for name, path in ANALYSES.items()},
    "resnet50.layer": ("analyze", RESNET, "--batch", "2", "--by", "layer", "--depth", "2"),
    "resnet50.part": ("analyze", RESNET, "--module", "model.layer2"),
    "gpt_train.class": ("analyze", GPT, "--by", "class"),
    "resnet50.module": ("explain", RESNET, "model.layer1.0"),
    "gpt_train.op": ("explain", GPT, "line:57"),
    "resnet50.compare": ("compare", RESNET),
    "mesh.comm": ("comm", MESH),
    "diff.model": ("diff", "fixtures/resnet18.repr.txt.gz", RESNET),
    "diff.block": ("diff", CHANGES.format("gpt_block_added"), CHANGES.format("gpt")),
    "diff.kernel": ("diff", CHANGES.format("cnn"), CHANGES.format("cnn_larger_kernel")),
    "diff.batch": ("diff", CHANGES.format("cnn"), CHANGES.format("cnn_batch")),
    "diff.recompute": ("diff", MICRO.format("amp"), MICRO.format("ckpt")),
    "diff.sharded": ("diff", MICRO.format("amp"), MICRO.format("zero1")),
    "diff.mesh": ("diff", CHANGES.format("gpt_tiny"), MESH),
    "audit": ("audit", RESNET, "--no-config"),
    "audit.mesh": ("audit", MESH, "--no-config"),
}


@pytest.fixture(autouse=True)
def _at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", REPORTS)
def test_report_at_a_width(name: str, width: int, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    text = run(*REPORTS[name]).stdout
    path = GOLDEN / f"{name}.{width}.txt"
    if request.config.getoption("--update"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_text(encoding="utf-8")
    assert "…" not in text
    too_long = [line for line in text.splitlines() if cell_len(line) > width]
    assert [line for line in too_long if max(map(len, line.split())) < width // 2] == []  # but for a path, which never breaks


_FIGURE = re.compile(
    r"(?<![\w.,-])(\d[\d,]*(?:\.\d+)?) (([kMGTPE]?) ?(MACs?|FLOPs?|transcendentals?|params|elements?)|[KMGTPE]iB|bytes?)\b"
)
_UNIT = re.compile(r"(?<!\w)([kMGTPE])(?:MACs|FLOPs)\b")
_SCALE = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
_BINARY = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ANALYSES)
def test_every_total_is_there_as_rounded(name: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    said = run("analyze", ANALYSES[name]).stdout
    totals = json.loads(run("analyze", ANALYSES[name], "--format", "json", "--without", "ops,modules").stdout)["totals"]
    found = [_range(match) for match in _FIGURE.finditer(" ".join(said.split()))]
    scalars = ["macs", "flops", "transcendentals", "bytes_read", "bytes_written", "activation_elements", "activation_bytes", "saved_bytes"]
    wanted = {cost: totals[cost] for cost in scalars if totals[cost]}
    wanted |= {f"{kind} {cost}": value for cost in ("params", "param_bytes") for kind, value in totals[cost].items() if value}
    assert len(wanted) >= 8
    assert [cost for cost, value in wanted.items() if not any(low <= value <= high for low, high in found)] == []


def _range(match: re.Match[str]) -> tuple[float, float]:
    """The numbers that a figure may be rounded from."""
    digits = match[1].replace(",", "")
    scale = _BINARY.get(match[2]) or _SCALE[match[3] or ""]
    half = 0.5 * 10 ** -len(digits.partition(".")[2]) if "." in digits else 0
    return (float(digits) - half) * scale - 1e-6, (float(digits) + half) * scale + 1e-6


@pytest.mark.parametrize("name", [name for name, words in REPORTS.items() if words[0] in ("analyze", "diff")])
def test_work_has_one_unit_in_a_report(name: str) -> None:
    text = run(*REPORTS[name]).stdout
    prefixes = set(_UNIT.findall(text))
    assert len(prefixes) <= 1
    assert not prefixes or re.findall(r"(?<![\w.,])\d[\d,.]{3,} (?:MACs|FLOPs)", text) == []
