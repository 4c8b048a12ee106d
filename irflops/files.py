"""Files that are written as a whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_STREAMS = ("/dev/std", "/dev/fd/", "/proc/")
"""Where open streams have names: what is behind one may be a file, and others write to it too."""


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Where to write what becomes the file's content once all of it is written.

    That is a draft in the same folder, which then takes the file's place and its permissions. Where anything fails or is interrupted
    before, the file is what it was, or is not there. A link stays a link. What cannot be replaced is written to directly.
    Errors: OSError.
    """
    target = Path(os.path.realpath(path))
    if not _can_be_replaced(path, target):
        yield Path(path)
        return
    draft = target.with_name(f".{target.name[:40]}.{os.getpid()}")
    try:
        draft.unlink(missing_ok=True)  # of a process that was killed, or a link that somebody laid
        yield draft
        _put_in_place(draft, target)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _can_be_replaced(path: str | os.PathLike[str], target: Path) -> bool:
    """Whether it is a regular file or none yet, and not a pipe, a device, write-protected, or in a folder where no file can be made."""
    if os.path.abspath(path).startswith(_STREAMS):  # noqa: PTH100 - Path.absolute keeps `..`
        return False
    try:
        is_regular = stat.S_ISREG(target.stat().st_mode)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return is_regular and os.access(target, os.W_OK) and os.access(target.parent, os.W_OK)


def _put_in_place(draft: Path, target: Path) -> None:
    try:
        before = target.stat()
    except FileNotFoundError:
        draft.replace(target)
        return
    with suppress(OSError):  # file systems without permissions
        draft.chmod(stat.S_IMODE(before.st_mode))
    try:
        draft.replace(target)
    except OSError:
        # A file that is mounted by itself, as into a container, or another's in a folder like /tmp.
        shutil.copyfile(draft, target)
