"""An analysis as a notebook shows it: rows of modules as an HTML table. It knows rows, not the analysis."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

LEVELS = 2
"""Levels of the module tree below the model that a notebook shows."""

ROWS = 50
"""Modules that a notebook shows at most."""


def html_table(caption: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of modules as an HTML table; every text is escaped."""
    names = ("module", "class", "MACs", "FLOPs", "params", "bytes read", "bytes written")
    heads = "".join(f"<th>{name}</th>" for name in names)
    lines = []
    for row in rows:
        texts = (row["path"] or "(graph)", row["class"] or "")
        params = row["params"]["trainable"] + row["params"]["frozen"]
        numbers = (row["macs"], row["flops"], params, row["bytes_read"], row["bytes_written"])
        cells = "".join(f'<td style="text-align:left">{html.escape(text)}</td>' for text in texts)
        lines.append(f"<tr>{cells}{''.join(f'<td>{_grouped_digits(number)}</td>' for number in numbers)}</tr>")
    return f"<table><caption>{html.escape(caption)}</caption><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _grouped_digits(number: int) -> str:
    """An integer in groups of three digits, only its size where it has too many."""
    return f"{number:,}" if number < 10**30 else f"10^{math.floor(math.log10(number))} and more"
