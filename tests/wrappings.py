"""What tools do to a text on its way from OneFlow to a file, as functions of the text. What they do can be undone."""

from __future__ import annotations

import html
import itertools
import json
import textwrap
from collections.abc import Callable

Wrapping = Callable[[str], str]


def docker(text: str) -> str:
    """Docker's log driver: each line as JSON, in pieces where it is longer than 16 KB."""
    records = []
    for number, line in enumerate(text.splitlines(keepends=True)):
        for start in range(0, len(line), 16384):
            time = f"2026-07-23T06:10:{number % 60:02}.{number % 1000:03}000000Z"
            record = json.dumps({"log": line[start : start + 16384], "stream": "stdout", "time": time}, separators=(",", ":"))
            records.append(record.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
    return "\n".join(records) + "\n"


def structured(text: str) -> str:
    """A program's own log of JSON records, whose message is a line without its end."""
    lines = enumerate(text.splitlines())
    return "".join(json.dumps({"level": "info", "n": number, "message": line, "at": "train.py"}) + "\n" for number, line in lines)


def html_text(text: str) -> str:
    return html.escape(text)


def html_body(text: str) -> str:
    """As most pages have it, which leave quotes as they are."""
    return html.escape(text, quote=False)


def html_page(text: str) -> str:
    return f'<html><body class="log">\n<pre>\n{html.escape(text)}</pre>\n</body></html>\n'


def nbsp(text: str) -> str:
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def nbsp_indentation(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join("\N{NO-BREAK SPACE}" * (len(line) - len(line.lstrip(" "))) + line.lstrip(" ") for line in lines)


def smart_quotes(text: str) -> str:
    """Opening and closing ones in turn, as word processors do it, and their dots."""
    for plain, pair in (('"', "\u201c\u201d"), ("'", "\u2018\u2019")):
        parts = text.split(plain)
        text = parts[0] + "".join(mark + part for mark, part in zip(itertools.cycle(pair), parts[1:], strict=False))
    return text.replace("...", "\N{HORIZONTAL ELLIPSIS}")


def arrows(text: str) -> str:
    return text.replace("->", "\N{RIGHTWARDS ARROW}")


def wrap(columns: int) -> Wrapping:
    """A terminal of so many columns."""

    def wrapped(text: str) -> str:
        lines = text.splitlines()
        return "".join(line[start : start + columns] + "\n" for line in lines for start in range(0, max(1, len(line)), columns))

    return wrapped


def copied(columns: int) -> Wrapping:
    """The same, copied from the terminal: blanks at the end of a row are lost."""
    return lambda text: "".join(row.rstrip(" ") + "\n" for row in wrap(columns)(text).splitlines())


def folded(columns: int) -> Wrapping:
    """Broken at blanks and behind hyphens, as mails are."""
    return lambda text: "".join("\n".join(textwrap.wrap(line, columns)) + "\n" for line in text.splitlines())


def timestamps(text: str) -> str:
    lines = enumerate(text.splitlines())
    return "".join(f"2026-07-23T06:{number // 60 % 60:02}:{number % 60:02}.{number % 1000:03}Z {line}\n" for number, line in lines)


def logger(text: str) -> str:
    lines = enumerate(text.splitlines())
    return "".join(f"2026-07-23 06:{n // 60 % 60:02}:{n % 60:02},{n % 1000:03} INFO train.py:57 [rank0] {line}\n" for n, line in lines)


def colours(text: str) -> str:
    return "".join(f"\x1b[3{number % 8}m{line}\x1b[0m\n" for number, line in enumerate(text.splitlines()))


def among_lines(text: str) -> str:
    return f"loading model\n{text}iter 0 loss 1.55\n"


WRAPPINGS: dict[str, Wrapping] = {
    "docker": docker,
    "structured": structured,
    "html text": html_text,
    "html body": html_body,
    "html page": html_page,
    "nbsp": nbsp,
    "nbsp indentation": nbsp_indentation,
    "smart quotes": smart_quotes,
    "arrows": arrows,
    "wrap 80": wrap(80),
    "wrap 100": wrap(100),
    "wrap 120": wrap(120),
    "wrap 200": wrap(200),
    "copied 80": copied(80),
    "copied 132": copied(132),
    "folded 80": folded(80),
    "folded 120": folded(120),
    "timestamps": timestamps,
    "logger": logger,
    "colours": colours,
    "among lines": among_lines,
}
