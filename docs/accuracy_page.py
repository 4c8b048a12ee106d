"""Writes docs/accuracy.md: floors and estimates beside published measured results. `docs/generate.py` runs it."""

from __future__ import annotations

import gzip
import json
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import irflops
from irflops.analysis.analysis import Analysis
from irflops.analysis.timing import timed
from irflops.machines.known import machine_called
from irflops.machines.time import Asked
from irflops.readers.notation.sketch import sketch

ROOT = Path(__file__).resolve().parent.parent
MEASURED = ROOT / "fixtures" / "measured"
GRAPHS = {
    ("resnet50", "train"): MEASURED / "resnet50_train.job.pb.gz",
    ("resnet50", "infer"): ROOT / "fixtures" / "corpus" / "resnet50.job.pb.gz",
    ("bert_base", "train"): MEASURED / "bert_base_train.job.pb.gz",
}
SIZES = (1 << 20, 1 << 25, 1 << 30, 1 << 34)
"""Bytes of the collectives that the page shows; the test holds all."""
NAMES = {"resnet50": "ResNet-50 v1.5", "bert_base": "BERT-base, 128 positions"}
DTYPES = {"amp-fp16": "float16"}


@dataclass(frozen=True)
class Held:
    """A measured step beside what irflops says of it, in seconds; the graph is that of one of its devices."""

    row: dict[str, Any]
    floor_s: float
    estimate_s: float

    @property
    def measured_s(self) -> float:
        return float(self.row["step_s"])


def published() -> dict[str, Any]:
    """The measured results, each with its source."""
    found: dict[str, Any] = json.loads(gzip.decompress((MEASURED / "published.json.gz").read_bytes()))
    return found


@cache
def _analysis(model: str, task: str, batch: int, dtype: str | None) -> Analysis:
    return irflops.analyze(str(GRAPHS[model, task]), batch=batch, dtype=dtype)


@cache
def _times(model: str, task: str, batch: int, precision: str, machine: str) -> tuple[float, float]:
    time = timed(_analysis(model, task, batch, DTYPES.get(precision)), Asked(machine_called(machine), tf32=precision == "tf32"))
    assert time.floor_s is not None, time.no_floor
    assert time.estimate_s is not None, time.no_estimate
    return time.floor_s, time.estimate_s


def steps() -> list[Held]:
    """Every measured step whose graph is at hand."""
    held = []
    for row in published()["steps"]:
        floor, estimate = _times(row["model"], row["task"], row["batch"], row["precision"], row["machine"])
        held.append(Held(row, floor, estimate))
    return held


HEAD = """\
<!-- Written by docs/accuracy_page.py, which `python docs/generate.py --measured` runs, from fixtures/measured/. -->

# How near the times are

Two questions. Does any run beat the floor? And how far is the estimate from what people measured? Of {rows} published rows, each with its
source in fixtures/measured/published.json.gz, whose graphs are at hand (ResNet-50 v1.5 and BERT-base, captured with
OneFlow 0.9.0 and put to each batch and type by what-if):

- {beaten} beat their floor.
- Estimate / measured has a median of {median:.2f}; half of the rows lie between {low:.2f} and {high:.2f}, all of them
  between {least:.2f} and {most:.2f}.

The estimate counts on the printed peaks and launches each operator apart; no factor was fitted. A row of several devices is held against
the graph of one of them: its communication is not in these times.

| model | task | machine | precision | batch | rows | measured, ms | floor / measured | estimate / measured |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
{table}

## Why

- **fp32 on a V100, large batches** ({fp32}): convolutions run near the peak of the fp32 units, and what lies between is bound by memory,
  as the estimate has it. It is low, for no kernel reaches a peak.
- **Automatic mixed precision** ({amp}): products become so fast that the rest decides, which frameworks fuse, and what feeds the data.
  A run keeps weights and some operators in float32, where the what-if has everything in float16, and kernels stay further from the matrix
  unit's peak.
- **Batch 1** ({one}): eager frameworks take some 60 us to start a kernel, a compiled graph 5, and the estimate counts on the latter.
- **Several devices**: gradients are reduced while the backward pass runs, and slow networks show.

## The best matrix products

What a search over shapes found, beside the dense peak: none is above it, and no sparse rate stands in the table of machines.

| machine | type | measured, TFLOP/s | dense peak | share | at the highest clock |
| --- | --- | --- | --- | --- | --- |
{products}

## Collectives

NCCL and RCCL inside a node, beside the floor of a collective: an all-reduce cannot take less than its bytes by a device's rate, for each
device has to send its contribution to every element; switches that reduce (NVLS) come near that, a ring sends nearly twice as much.

| machine | collective | devices | bytes | measured | floor / measured | estimate / measured |
| --- | --- | --- | --- | --- | --- | --- |
{collectives}
"""


def accuracy_page() -> str:
    """The whole of docs/accuracy.md."""
    found = steps()
    ratios = [one.estimate_s / one.measured_s for one in found]
    quarters = statistics.quantiles(ratios, n=4)
    groups: dict[tuple[str, str, str, str, int], list[Held]] = defaultdict(list)
    for one in found:
        row = one.row
        groups[NAMES[row["model"]], row["task"], row["machine"], row["precision"], row["batch"]].append(one)

    def of(keep: Any) -> str:
        some = [one.estimate_s / one.measured_s for one in found if keep(one.row)]
        return f"{min(some):.2f} to {max(some):.2f}"

    return HEAD.format(
        rows=len(found),
        beaten=sum(one.measured_s < one.floor_s for one in found) or "none",
        median=statistics.median(ratios),
        low=quarters[0],
        high=quarters[2],
        least=min(ratios),
        most=max(ratios),
        table="\n".join(_line(key, group) for key, group in sorted(groups.items())),
        fp32=of(
            lambda row: row["precision"] == "fp32" and row["machine"].startswith("v100") and row["batch"] >= 32 and row["devices"] == 1
        ),
        amp=of(lambda row: row["precision"] == "amp-fp16" and row["batch"] >= 32 and row["devices"] == 1),
        one=of(lambda row: row["batch"] == 1),
        products="\n".join(map(_product, published()["products"])),
        collectives="\n".join(_collective(row) for row in collectives() if row["bytes"] in SIZES or row["machine"] == "mi300x"),
    )


def _line(key: Sequence[object], group: Sequence[Held]) -> str:
    measured = [one.measured_s * 1e3 for one in group]
    cells = [
        _span(measured, "{:,.1f}"),
        _span([one.floor_s / one.measured_s for one in group], "{:.2f}"),
        _span([one.estimate_s / one.measured_s for one in group], "{:.2f}"),
    ]
    return "| " + " | ".join([*map(str, key), str(len(group)), *cells]) + " |"


def _span(values: Sequence[float], form: str) -> str:
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"


def _product(row: dict[str, Any]) -> str:
    machine, number, reached = machine_called(row["machine"]), row["number"], row["tflops"]
    peak = machine.matrix[number] / 1e12
    highest = peak * machine.boost("matrix", number)
    return f"| {machine.id} | {number} | {reached:,.0f} | {peak:,.0f} | {reached / peak:.2f} | {highest:,.0f} |"


def collectives() -> list[dict[str, Any]]:
    """Measured collectives inside a node, with the floor and the estimate of each."""
    return [row | collective_times(row) for row in published()["collectives"] if row["nodes"] == 1]


GRAPH_OF = {"all-reduce": ("P", "B"), "all-gather": ("S(0)", "B"), "reduce-scatter": ("P", "S(0)")}
"""How a tensor is made, and wanted, so that it takes a collective to bring it there."""


def collective_times(row: dict[str, Any]) -> dict[str, float]:
    """Seconds of a collective of so many bytes, as part of a graph of two operators on the devices of a node."""
    made, wanted = GRAPH_OF[row["collective"]]
    n, elements = row["devices"], row["bytes"] // 4
    text = f"""
    x = input() -> out: f32[{elements}] @ {n} ({"B" if made == "P" else made})
    y = relu(x: x) -> y: f32[{elements}] @ {n} ({made})
    z = relu(x: y{{{wanted}}}) -> y: f32[{elements}] @ {n} ({wanted})
    output(in: z) @ {n}
    """
    time = timed(irflops.analyze(sketch(text).graph), Asked(machine_called(row["machine"])))
    sending = time.slowest.sending
    assert sending.estimate_s is not None, sending.why
    return {"floor_s": sending.inside_floor_s, "estimate_s": sending.estimate_s}


def _collective(row: dict[str, Any]) -> str:
    cells = [row["machine"], row["collective"], row["devices"], f"{row['bytes']:,}", f"{row['step_s'] * 1e6:,.1f} us"]
    cells += [f"{row['floor_s'] / row['step_s']:.2f}", f"{row['estimate_s'] / row['step_s']:.2f}"]
    return "| " + " | ".join(map(str, cells)) + " |"
