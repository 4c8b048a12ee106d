"""What word processors, chats and web pages make of blanks, quotes, dots and arrows. Only where the syntax of a dump shows that they did.

Such characters may stand in a model's own names and texts too; a dump that has its plain ones in their places keeps them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from irflops.errors import Source
from irflops.readers.unwrapping.rewriting import Edit, rewritten

_BLANKS = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_DOUBLE = "\u201c-\u201f\u2033\uff02"
_SINGLE = "\u2018-\u201b\u2032\uff07"
_QUOTED = rf"\w ?[:=] ?[{_DOUBLE}]|[{_DOUBLE}]oneflow\.|\{{[{_DOUBLE}]\w|=[{_SINGLE}]|<class [{_SINGLE}]|: [{_SINGLE}]\w+[{_SINGLE}] at "
_DASHES = "\u2010-\u2015\u2212"
_WORDS = r"\((?:GRAPH|CONFIG|INPUT|OUTPUT|PARAMETER|BUFFER|MODULE|GraphModule|OPERATOR)\b"


class _Kind(NamedTuple):
    """Characters that stand for plain ones."""

    characters: str
    plain: str
    evidence: str
    """Where the syntax of a dump has the plain ones."""


_KINDS = (
    _Kind(
        f"[{_BLANKS}]",
        " ",
        rf"^[ \t]*[{_BLANKS}][ \t{_BLANKS}]*(?:\)|\w+:? ?[{{\"<]|%|\"oneflow)|(?<![ \t{_BLANKS}])[ \t]*[{_BLANKS}][ \t{_BLANKS}]*{_WORDS}"
        rf"|[,>:][{_BLANKS}](?:\(|size=|dtype=|placement=|ranks=)",
    ),
    _Kind(f"[{_DOUBLE}]", '"', _QUOTED),
    _Kind(f"[{_SINGLE}]", "'", _QUOTED),
    _Kind("\u2026", "...", rf"\((?:tensor\()?\u2026|{_QUOTED}"),
    _Kind("[\u2192\u27f6\uff1e]", "->", r"\)\s?[\u2192\u27f6]\s?\(|\) [\u2192\u27f6] "),
    _Kind(f"[{_DASHES}]", "-", rf"[{_DASHES}]> ?\(|\w[{_DASHES}]\d+[(/]"),
)


def undone(source: Source) -> Source | None:
    """The text with plain characters; None where nothing shows that others stand for them."""
    text = source.text
    if text.isascii():
        return None
    found = [kind for kind in _KINDS if re.search(kind.evidence, text, re.MULTILINE)]
    if not found:
        return None
    plain: Mapping[str, str] = {str(number): kind.plain for number, kind in enumerate(found)}
    pattern = re.compile("|".join(f"(?P<k{number}>{kind.characters})" for number, kind in enumerate(found)))
    return rewritten(source, (Edit(*one.span(), plain[str(one.lastgroup)[1:]]) for one in pattern.finditer(text)))
