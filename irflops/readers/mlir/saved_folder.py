"""The folder that `oneflow.save(graph, DIR)` writes: model.mlir, and a folder with `meta` and `out` for each variable of the model.

Of the variables only their `meta` is read, and the size of `out` taken; they are checked against the graph. Nothing is ever unpickled, and
no link is followed out of the folder.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import NamedTuple

import lark

from irflops.errors import IrflopsError, NotAGraphError, quoted
from irflops.ir.graph import UNKNOWN_TENSOR, Graph, Note, Op, TensorType
from irflops.ir.shapes import fit
from irflops.readers.compression import MAX_SIZE
from irflops.readers.forms import SAVED_FOLDER
from irflops.readers.intake import decode, read_bytes, source_of
from irflops.readers.job.job_schema import DTYPE_BY_NUMBER, DTYPE_BY_WORD
from irflops.readers.meaning.resolve import free_tensor_module
from irflops.readers.mlir.mlir_partial import read_partial_mlir
from irflops.readers.mlir.saved_mlir import read_mlir
from irflops.readers.printed.values import MAX_RANK
from irflops.readers.text.skeleton import Skeletons
from irflops.readers.text.syntax import SyntaxProblem

MODEL, META, DATA, PICKLED = "model.mlir", "meta", "out", "pickled_data"

REPORTED = 20
"""Variables that are reported one by one; of more only their number is told."""

_MAX_META = 64 << 10
_MAX_NAME = 255
"""Bytes of a file's name on any system."""
_LOOKED_AT = 1000
"""Entries of a folder without a model that are looked at to tell what it is."""

_SAVE_HINT = 'save the graph itself, called once: oneflow.save(graph, "DIR")'


def read_folder(path: str | PathLike[str], max_size: int = MAX_SIZE, choice: str | int | None = None, *, partial: bool = False) -> Graph:
    """The graph in a folder, `choice` of several. Variables whose files are missing or do not fit are notes of the code `variable-file`.
    With `partial`, a model.mlir is read as far as that goes.

    Errors: NotAGraphError where the folder holds no graph; those of `read_mlir`; IrflopsError where a file cannot be read, is larger than
    `max_size` bytes, is none (a pipe, a device), or lies outside the folder.
    """
    name = fspath(path)
    try:
        root = Path(name).resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise IrflopsError(f"cannot read the folder: {_reason(error)}", path=name) from None
    _refuse_what_is_no_graph(root, name)
    try:
        model = _inside(root, MODEL)
    except _Unfit as problem:
        raise IrflopsError(f"its {MODEL} {problem}", path=name) from None
    read = read_partial_mlir if partial else read_mlir
    graph = read(source_of(read_bytes(str(model), max_size), str(Path(name) / MODEL)), choice)
    variables = [op for op in graph.ops if op.type == "variable"]
    return replace(graph, format=SAVED_FOLDER.name, notes=(*graph.notes, *_notes(root, variables)))


def _refuse_what_is_no_graph(root: Path, name: str) -> None:
    if not root.is_dir():
        raise NotAGraphError("this is no folder", path=name, hint=_SAVE_HINT)
    if os.path.lexists(root / PICKLED):
        text = f"this folder is a checkpoint: its {PICKLED} is a pickle, which can run any program when it is read, and irflops reads none"
        raise NotAGraphError(text, path=name, hint=_SAVE_HINT)
    if os.path.lexists(root / MODEL):
        return
    try:
        with os.scandir(root) as entries:
            names = [entry.name for entry in itertools.islice(entries, _LOOKED_AT)]
    except OSError as error:
        raise IrflopsError(f"cannot read the folder: {_reason(error)}", path=name) from None
    if "snapshot_done" in names or any(os.path.lexists(root / entry / META) for entry in names):
        raise NotAGraphError(f"this folder holds variables and no graph: there is no {MODEL}", path=name, hint=_SAVE_HINT)
    raise NotAGraphError(f"this folder holds no saved graph: there is no {MODEL}", path=name, hint=_SAVE_HINT)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


# Files


class _Unfit(Exception):
    """Why a file of a variable is missing or does not fit, as the rest of a sentence about it."""


class _Missing(_Unfit):
    """A variable that has no files at all."""


def _inside(root: Path, *parts: str) -> Path:
    """The regular file at a place in the folder. Errors: _Unfit where it is missing, none, or outside the folder."""
    path = root.joinpath(*parts)
    try:
        real = path.resolve(strict=True)
        status = real.stat()
    except (OSError, RuntimeError, ValueError) as error:
        raise _Unfit("is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {_reason(error)}") from None
    if not real.is_relative_to(root):
        raise _Unfit("is a link that leaves the folder, and is not followed")
    if not stat.S_ISREG(status.st_mode):
        raise _Unfit("is no regular file")
    return real


# Variables


def _notes(root: Path, variables: Sequence[Op]) -> Iterator[Note]:
    """What is wrong with the files of variables."""
    problems: list[Note] = []
    missing = 0
    reader = Skeletons("job_text", "message", ("STRING", "COMMENT", "NUMBER"), _meta_plan)
    for op in variables:
        try:
            _check(root, op, reader)
        except _Unfit as problem:
            problems.append(Note("variable-file", f"variable {quoted(op.name)}: {problem}", op.span))
            missing += isinstance(problem, _Missing)
    if missing == len(variables) > 1:
        yield Note("variable-file", f"the folder holds files of none of the {len(variables)} variables")
        return
    yield from problems[:REPORTED]
    if len(problems) > REPORTED:
        yield Note("variable-file", f"the files of {len(problems) - REPORTED} more variables are missing or do not fit")


def _check(root: Path, op: Op, reader: Skeletons[_Meta]) -> None:
    """Errors: _Unfit where a variable's files are missing or contradict the graph."""
    if "/" in op.name or "\\" in op.name or "\0" in op.name or op.name in (".", "..") or len(os.fsencode(op.name)) > _MAX_NAME:
        raise _Unfit("its name is no folder's")
    stated = _meta(root, op.name, reader)
    made = op.outputs[0].type if op.outputs else UNKNOWN_TENSOR
    if not fit(stated.shape, made.shape):
        raise _Unfit(f"its {META} says {stated}, and {MODEL} {made}")
    if None not in (stated.dtype, made.dtype) and stated.dtype is not made.dtype:
        raise _Unfit(f"its {META} says {stated}, and {MODEL} {made}")
    try:
        size = _inside(root, op.name, DATA).stat().st_size
    except (OSError, _Unfit) as problem:
        raise _Unfit(f"its {DATA} {problem}") from None
    if stated.nbytes is not None and size != stated.nbytes:
        raise _Unfit(f"its {DATA} has {size:,} bytes, and {stated} takes {stated.nbytes:,}")


def _meta(root: Path, name: str, reader: Skeletons[_Meta]) -> TensorType:
    """The type that a variable's `meta` states."""
    if not os.path.lexists(root / name):
        outside = free_tensor_module(name) is not None
        raise _Missing(f"it has no files here{', for OneFlow saves no tensor that is outside the modules' if outside else ''}")
    try:
        with _inside(root, name, META).open("rb") as stream:
            data = stream.read(_MAX_META + 1)
    except (OSError, _Unfit) as problem:
        raise _Unfit(f"its {META} {problem}") from None
    if len(data) > _MAX_META:
        raise _Unfit(f"its {META} has more than {_MAX_META:,} bytes, and some hundred are usual")
    try:
        plan, values = reader.read(decode(data))
        return plan.type(values)
    except (SyntaxProblem, ValueError) as problem:
        message = problem.message if isinstance(problem, SyntaxProblem) else str(problem)
        raise _Unfit(f"its {META} does not read: {message}") from None


class _Meta(NamedTuple):
    """Where in a `meta` its extents and its data type stand, as numbers of its values; the type may be a word."""

    dims: tuple[int, ...]
    dtype: int | str | None

    def type(self, values: Sequence[str]) -> TensorType:
        """Errors: ValueError where an extent is none."""
        if len(self.dims) > MAX_RANK:
            raise ValueError(f"{len(self.dims)} dimensions")
        dims = tuple(int(values[number]) if len(values[number]) < 20 else -1 for number in self.dims)
        if min(dims, default=0) < 0:
            raise ValueError("an extent is no count")
        if isinstance(self.dtype, str):
            return TensorType(dims, DTYPE_BY_WORD.get(self.dtype))
        return TensorType(dims, DTYPE_BY_NUMBER.get(int(values[self.dtype]))) if self.dtype is not None else TensorType(dims)


def _meta_plan(tree: lark.Tree[lark.Token], number_of: Callable[[lark.Token], int]) -> _Meta:
    """Reads `shape { dim: 2 dim: 3 } data_type: kFloat` from its tree; other fields are passed over."""
    dims: list[int] = []
    dtype: int | str | None = None
    for name, node in _fields(tree):
        if name == "shape" and node.data == "block":
            dims += [number_of(_token(value)) for inner, value in _fields(_tree(node)) if inner == "dim" and value.data == "number"]
        elif name == "data_type" and node.data in ("number", "word"):
            dtype = number_of(_token(node)) if node.data == "number" else str(_token(node))
    return _Meta(tuple(dims), dtype)


def _fields(message: lark.Tree[lark.Token]) -> Iterator[tuple[str, lark.Tree[lark.Token]]]:
    """Names and values of a message's fields."""
    for field in message.children:
        if isinstance(field, lark.Tree):
            name, *values = field.children
            yield from ((str(name), value) for value in values if isinstance(value, lark.Tree))


def _token(tree: lark.Tree[lark.Token]) -> lark.Token:
    return next(child for child in tree.children if isinstance(child, lark.Token))


def _tree(tree: lark.Tree[lark.Token]) -> lark.Tree[lark.Token]:
    return next(child for child in tree.children if isinstance(child, lark.Tree))
