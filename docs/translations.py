"""Holds translations in step with the documents that they translate: commands, programs and outputs are the same, block by block.

A block of a translation is the original's block at the same place. In blocks of shell commands the comments are the translation's own, by
command; a command that it has no comment for takes the original's.
"""

from __future__ import annotations

import re

TRANSLATIONS = {"README.zh-CN.md": "README.md", "docs/quickstart.zh-CN.md": "docs/quickstart.md"}
"""By translation the original. A translation may end before it does."""

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"^(.*?\S)(\s+# )(.*)$")


def in_step(translation: str, original: str) -> str:
    """The translation with the original's blocks. Errors: ValueError where blocks are of other kinds, or more."""
    theirs = [(match[1], match[2]) for match in FENCED.finditer(original)]
    places = iter(theirs)

    def block(match: re.Match[str]) -> str:
        kind, body = next(places, ("", ""))
        if kind != match[1]:
            raise ValueError(f"a block of {match[1]!r} stands where the original has one of {kind or 'nothing'!r}: {match[2][:60]!r}")
        return f"```{kind}\n{_translated(body, match[2]) if kind == 'sh' else body}```"

    return FENCED.sub(block, translation)


def _translated(original: str, translation: str) -> str:
    """Commands with their comments in the translation's words."""
    comments = {found[1]: found[3] for line in translation.splitlines() if (found := _COMMENT.match(line))}
    lines = []
    for line in original.splitlines():
        found = _COMMENT.match(line)
        lines.append(f"{found[1]}{found[2]}{comments.get(found[1], found[3])}" if found else line)
    return "".join(f"{line}\n" for line in lines)
