"""Text out of HTML: what was escaped for a page (`-&gt;`, `&quot;`), and the tags of one that was saved."""

from __future__ import annotations

import html
import re

from irflops.errors import Source
from irflops.readers.unwrapping.rewriting import Edit, rewritten

_ARROW = re.compile(r"-&(?:amp;)*(?:gt|#62|#x3[eE]);|=&(?:amp;)*(?:lt|#60|#x3[cC]);\w")
_QUOTE = re.compile(r"[:({\[] ?&(?:amp;)*(?:quot|#34|#x22);")
_MARKUP = re.compile(
    r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});"
    r"|</?(?:a|article|b|body|br|code|div|em|font|h[1-6r]|head|html|i|li|link|main|meta|ol|p|pre|section|span|strong|table|tbody|td|title"
    r"|tr|u|ul)(?:[ \t/][^<>\n]{0,1000})?>"
)
_BREAK = re.compile(r"<br\b[^>]*>(?!\s*\n)")


def undone(source: Source) -> Source | None:
    """The text that a page shows; None where arrows and quotes of a dump stand in it unescaped, or none are in it at all."""
    text = source.text
    if "&" not in text:
        return None
    arrows = not re.search(r"\) ->|=<\w", text) and _ARROW.search(text) is not None
    quotes = not re.search(r'[:({\[] ?"', text) and _QUOTE.search(text) is not None
    if not arrows and not quotes:
        return None
    return rewritten(source, (Edit(*found.span(), _shown(found, text)) for found in _MARKUP.finditer(text)))


def _shown(found: re.Match[str], text: str) -> str:
    markup = found[0]
    if markup.startswith("&"):
        return html.unescape(markup)
    return "\n" if _BREAK.match(text, found.start()) else ""
