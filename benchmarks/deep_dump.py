"""The printed training step of a GPT of any depth: a dump of two layers with more between them, named and numbered as OneFlow's would be.

`python benchmarks/deep_dump.py GPT_TRAIN_DUMP LAYERS OUT` writes one.
"""

from __future__ import annotations

import gzip
import re
import sys
from dataclasses import dataclass
from pathlib import Path

OPENS_LAYER = re.compile(r"^( *)\(MODULE:model\.blocks\.\d+:", re.MULTILINE)
NAME = re.compile(r"[A-Za-z_][\w.-]*")
MADE = re.compile(r"OPERATOR: (.*)")
COUNTED = re.compile(r"(model\b[\w.-]*-)(\d+)")
"""A name with OneFlow's counter."""
LAYER = re.compile(r"(?<=model\.blocks\.)\d+")
CLIP = re.compile(r"(System-ClipGradient-GlobalNorm-ScalarMul-)(\d+)")
"""Names that count by themselves."""
SUMMED = re.compile(r"MultiReduceSumPowAbs-\d+\(\[.*?\]")
"""What the operator that sums up the gradients of all layers reads."""
OPERAND = re.compile(r"model\.blocks\.1\.[^/]*/\w+:\(.*?, dtype=\([\w.]+\)\)")


@dataclass(frozen=True, slots=True)
class Counters:
    """How OneFlow counts: up through the layers' forward passes, on to the loss, and down through their backward passes."""

    rise: int
    """From a layer to the next one, forward."""
    fall: int
    """From a layer to the one below, backward."""
    forward_end: int
    """The last of the upper of two layers, forward."""
    backward_end: int
    """The last of the lower one, backward."""

    def put(self, name: str, layer: int, layers: int) -> str:
        """The operator of the upper of two layers as another layer has it."""
        counter = _counter(name)
        is_forward = counter <= self.forward_end
        more = self.rise * (layer - 1) if is_forward else self.rise * (layers - 2) + self.fall * (layers - 1 - layer)
        return LAYER.sub(str(layer), f"{name.removesuffix(str(counter))}{counter + more}")

    def put_outside(self, name: str, layers: int) -> str:
        """An operator of no layer."""
        if not COUNTED.fullmatch(name):
            return name
        counter = _counter(name)
        more = (layers - 2) * (self.rise * (counter > self.forward_end) + self.fall * (counter > self.backward_end))
        return f"{name.removesuffix(str(counter))}{counter + more}"


def deepened(text: str, layers: int) -> str:
    """A dump of two layers with so many."""
    starts = list(OPENS_LAYER.finditer(text))
    if len(starts) != 2:
        raise ValueError(f"a dump of 2 layers is wanted, this one has {len(starts)}")
    end = re.compile(rf"^ {{0,{len(starts[0][1]) - 1}}}\S", re.MULTILINE).search(text, starts[1].end())
    assert end is not None
    lower, upper = text[starts[0].start() : starts[1].start()], text[starts[1].start() : end.start()]
    lines = list(zip(MADE.findall(lower), MADE.findall(upper), strict=True))
    in_turn = [pair for low, high in lines for pair in zip(NAME.findall(low), NAME.findall(high), strict=False)]
    above = {_made(low): _made(high) for low, high in lines if COUNTED.fullmatch(_made(low))}
    own = set(above.values())
    # What gives the upper layer its gradient stands where the lower one reads it from the upper one.
    entries = {high: low for low, high in in_turn if low in own}
    steps = [_counter(high) - _counter(low) for low, high in above.items()]
    forward_end = max(_counter(high) for low, high in above.items() if _counter(high) > _counter(low))
    counters = Counters(max(steps), -min(steps), forward_end, max(map(_counter, above)))

    def renamed(name: str, layer: int | None) -> str:
        """A name in the text of a layer, made of that of layer 0 or 1, or outside of all."""
        here = layers - 1 if layer is None else max(layer, 1)
        if name in own:
            return counters.put(name, here, layers)
        if name in above:
            return counters.put(above[name], here - 1 if layer else 0, layers)
        if name in entries and layer is not None and layer < layers - 1:
            return counters.put(entries[name], layer + 1, layers)
        if CLIP.fullmatch(name) and layer:
            return CLIP.sub(lambda match: f"{match[1]}{int(match[2]) + 1000 * (layer - 1)}", name)
        moved = here - 1 if layer != 0 else 0
        return LAYER.sub(lambda match: str(int(match[0]) + moved * (match[0] == "1" or bool(layer))), counters.put_outside(name, layers))

    def written(part: str, layer: int | None) -> str:
        return NAME.sub(lambda match: renamed(match[0], layer), part)

    def outside(part: str) -> str:
        """What stands around the layers."""
        match = SUMMED.search(part)
        at = match.end() - 1 if match is not None else len(part)
        operands = ", ".join(OPERAND.findall(match[0])) if match is not None else ""
        between = [f", {written(operands, layer)}" for layer in range(1, layers - 1) if operands]
        return written(part[:at], None) + "".join(between) + written(part[at:], None)

    parts = [written(lower, 0), *(written(upper, layer) for layer in range(1, layers))]
    return outside(text[: starts[0].start()]) + "".join(parts) + outside(text[end.start() :])


def _made(line: str) -> str:
    """The operator that a line makes."""
    return line[: line.index("(")]


def _counter(name: str) -> int:
    return int(name.rpartition("-")[2])


if __name__ == "__main__":
    dump = gzip.decompress(Path(sys.argv[1]).read_bytes()).decode("utf-8")
    Path(sys.argv[3]).write_text(deepened(dump, int(sys.argv[2])), encoding="utf-8", newline="\n")
