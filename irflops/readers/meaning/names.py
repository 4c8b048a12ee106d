"""What an operator is called beside its module and OneFlow's counters: by that it is found again in another version of the graph."""

from __future__ import annotations

import re
from dataclasses import replace

from irflops.ir.graph import Op
from irflops.readers.meaning.resolve import resolve

_COUNTER = re.compile(r"(?:-\d+)?#\d+$|-\d+(?=$|/|_out)|_\d+$")
_INTERFACE = re.compile(r"^_.*?_(?=(?:input|output)\.)")
"""The graph's own name, before that of its input or output."""


def stem_of(name: str, op_type: str | None, module: str, number: int | None) -> str:
    """An operator's name without its module, its counters and the graph's own name: what a person called it, or a pass of OneFlow's."""
    if op_type is not None and name == (f"{module}-{op_type}-{number}" if module else f"{op_type}-{number}"):
        return op_type  # as most are, in a fraction of the time
    if op_type in ("input", "output"):
        return _INTERFACE.sub("", name)
    if module and name.startswith(module):
        name = name[len(module) :].lstrip(".-")
    return _COUNTER.sub("", name)


def named(op: Op) -> Op:
    """The operator with what its name tells, after that or its type or module was changed."""
    resolved = resolve(op.name, len(op.inputs))
    stem = stem_of(op.name, op.type, op.module, resolved.number)
    return replace(op, number=resolved.number, role=resolved.role, stem=stem)
