"""Lines of text with styles, written by rich: for terminals, which alone know bold and colours."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.text import Text

Segment = tuple[str, str]
"""A text and its style."""


class _Console(Console):
    """A console that leaves it to the program what to do when nobody reads on; rich itself would end the process with 1."""

    def on_broken_pipe(self) -> None:
        """Errors: BrokenPipeError always."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class StyledScreen:
    """Writes on a stream, in the colours that it knows."""

    def __init__(self, stream: TextIO, width: int | None = None) -> None:
        self._console = _Console(file=stream, width=width, highlight=False, emoji=False, markup=False)
        self.width: int = self._console.width

    def line(self, segments: Sequence[Segment]) -> None:
        """One line, without the blanks at its end."""
        text = Text.assemble(*segments)
        text.rstrip()
        self._console.print(text, soft_wrap=True)
