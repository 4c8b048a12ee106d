"""Which serialized form a content is, told by its first bytes and never by its file's name."""

from __future__ import annotations

import re

from irflops.readers.intake import is_text

JOB_TEXT, JOB_BINARY, MLIR, ZIP = "job_text", "job_binary", "mlir", "zip"

HEAD_BYTES = 65536
"""How much of a content is looked at."""

_BLANK = r"\s*(?:#[^\n]*\n\s*)*"
_MESSAGE = re.compile(rf"{_BLANK}([A-Za-z_]\w*)(?:{_BLANK}:)?{_BLANK}[{{<\[]")
_MLIR = re.compile(
    r"^[ \t]*(?:(?:builtin\.)?module(?:\s+@[\w$]+)?(?:\s+attributes\b[^\n]*)?\s*\{|(?:oneflow\.job|[a-z]+\.func|func)\s+(?:[a-z]+\s+)?@"
    r'|[a-z]+\.(?:module|global|sequence|mlir\.global)\b|(?:%[\w$.:, %]+=\s*)?"(?:[a-z]+\.[\w.]+|func|module)"\s*\()',
    re.MULTILINE,
)
"""The head of a module, a job or a function, or an operation."""
_MLIR_LEAD = re.compile(r"(?://|[#!][A-Za-z_][\w$]*\s*=)")
"""A comment or an alias, which may stand before it."""


def form_of(data: bytes) -> str | None:
    """JOB_BINARY or ZIP; None where it is a text, or nothing at all."""
    head = data[:HEAD_BYTES]
    if head.startswith(b"PK\x03\x04"):
        return ZIP
    return JOB_BINARY if not is_text(head) and _is_job(head) else None


def text_form_of(text: str) -> str | None:
    """JOB_TEXT or MLIR, by the beginning of a text; None where a printed graph may stand somewhere in it, or nothing at all."""
    if _is_job_text(text):
        return JOB_TEXT
    text = text.lstrip()
    return MLIR if _MLIR.match(text) or (_MLIR_LEAD.match(text) and _MLIR.search(text)) else None


def _is_job_text(text: str) -> bool:
    """Whether a text begins with a message that a Job has."""
    found = _MESSAGE.match(text)
    if found is None:
        return False
    from irflops.readers.job.job_schema import messages  # here for start-up time: only what looks like a job needs the fields of one

    return found[1] in messages()["Job"]


def _is_job(head: bytes) -> bool:
    """A Job begins with its net, and that with an operator, and that with its name: three fields 1, one in another, each with a size."""
    at = 0
    for _ in range(3):
        if head[at : at + 1] != b"\x0a":
            return False
        at += 1
        while at < len(head) and head[at] & 0x80:
            at += 1
        at += 1
    return True
