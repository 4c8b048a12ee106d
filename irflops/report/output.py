"""Where results go: standard output in an encoding that cannot fail, or a file; and a sign of life for those who wait."""

from __future__ import annotations

import errno
import io
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from irflops.errors import IrflopsError
from irflops.files import whole_file

PATIENCE = 1.0
"""Seconds before a user is told what takes so long."""


def prepare_streams() -> None:
    """Makes standard output and error take any text: UTF-8 where the locale does not say otherwise, and escapes for what it cannot say."""
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):
            continue
        stream.reconfigure(errors="backslashreplace")
        # Redirected, Windows would have the code page of last century.
        if sys.platform == "win32" and not stream.isatty() and "PYTHONIOENCODING" not in os.environ:
            stream.reconfigure(encoding="utf-8")


@contextmanager
def results_to(path: str | None) -> Iterator[TextIO]:
    """The stream for results: standard output for None or `-`, else a UTF-8 file, which is there once all of it is written.

    Errors: IrflopsError where it cannot be written, BrokenPipeError where nobody reads on.
    """
    if path is None or path == "-":
        with _readable_errors("<stdout>"):
            yield sys.stdout
            sys.stdout.flush()
        return
    with (
        _readable_errors(path),
        whole_file(path) as draft,
        draft.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream,
    ):
        yield stream


def refuse_to_overwrite(output: str | None, inputs: Iterable[str]) -> None:
    """Errors: IrflopsError where the file for results is one of those that are read, under whatever name; `-` is standard input."""
    if output is None or output == "-" or not Path(output).is_file():
        return
    there = Path(output).stat()
    for path in inputs:
        try:
            read = os.fstat(0) if path == "-" else Path(path).stat()
        except OSError:
            continue  # what cannot be read has its own error, later
        if os.path.samestat(there, read):
            raise IrflopsError("the result would overwrite the file it is made from", path=output, hint="give -o another name")


@contextmanager
def _readable_errors(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # Windows answers a closed pipe with EINVAL.
        if error.errno == errno.EPIPE or (sys.platform == "win32" and name == "<stdout>" and error.errno == errno.EINVAL):
            raise BrokenPipeError(errno.EPIPE, error.strerror) from None
        raise IrflopsError(f"cannot write: {error.strerror or error}", path=name) from None


def silence(stream: TextIO) -> None:
    """Points a stream whose reader has gone to nowhere, so that Python's last flush does not complain."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
    except (OSError, ValueError):
        return


@contextmanager
def sign_of_life(text: str, quiet: bool = False) -> Iterator[None]:
    """Says on standard error what goes on, once it has gone on for a second; only where a person sees it."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    teller = threading.Thread(target=_tell, args=(text, done), daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _tell(text: str, done: threading.Event) -> None:
    if done.wait(PATIENCE):
        return
    # Here for start-up time: most runs are over before.
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(text), spinner="line"):
        done.wait()
