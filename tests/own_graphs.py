"""Dumps whose convolutions are operators of one's own, in every form that a text holds."""

from __future__ import annotations

from pathlib import Path

from commands import text

PRINT = "fixtures/basic_block.repr.txt.gz"
JOB = "fixtures/basic_block.job.prototxt.gz"
FORWARD_JOB = "fixtures/basic_block.fwd.prototxt.gz"

MACS = 75_497_472
"""Of the block's convolution: 64 x 64 x 64 results, each of 32 x 3 x 3 products."""


def own_dump(folder: Path, form: str = PRINT) -> Path:
    """A dump of the block with `my_cuda_conv` in the place of `conv2d`."""
    content = text(form).replace("-conv2d-", "-my_cuda_conv-").replace('op_type_name: "conv2d"', 'op_type_name: "my_cuda_conv"')
    path = folder / Path(form).name.removesuffix(".gz")
    path.write_text(content, encoding="utf-8")
    return path
