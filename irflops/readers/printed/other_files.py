"""What a content is that holds no graph of OneFlow's, told by its first bytes, and what its owner can do. Nothing is unpickled or run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

PRINT_GRAPH = "print(graph, file=open('graph.txt', 'w'))"
"""The line that dumps what irflops reads; the graph must have been called once before."""

AFTER_CALL = f"graph(*inputs); {PRINT_GRAPH}"


class Other(NamedTuple):
    """What a content is, and a hint."""

    what: str
    hint: str


def _elsewhere(what: str) -> Other:
    return Other(f"{what}, not a OneFlow graph", f"where the OneFlow graph is: {AFTER_CALL}")


PICKLE = Other(
    "a pickle or checkpoint: weights, not a graph, and irflops never unpickles", f"in the script that builds the graph: {AFTER_CALL}"
)
ONNX = _elsewhere("an ONNX model")
PLAN = Other(
    "a OneFlow Plan: the compiled tasks of each device, from which the logical graph cannot be told",
    f"dump the graph itself: {AFTER_CALL}",
)
JOB = Other("a text with a OneFlow job somewhere in it", "keep the job alone, from its line 'net {' to the last '}'")
MLIR = Other("a text with a saved graph's MLIR somewhere in it", "keep the module alone, from its line 'module {' to the last '}'")
MLIR_ALONE = Other(MLIR.what, "keep the job or function alone, from its line 'oneflow.job @...' or 'func.func @...' to its last '}'")
COMMENTS = Other("a text of comments (//) alone, without any MLIR", "save the graph: oneflow.save(graph, 'DIR')")
MODULE = Other(
    "the print of a module: it has no operators and no shapes", "wrap the module in a oneflow.nn.Graph and call it: " + AFTER_CALL
)
WEIGHTS = "weights, not a graph"


def other_bytes(head: bytes) -> Other | None:
    """What a content is by its first bytes, as far as they are no text; None where they tell nothing."""
    if head.startswith(b"PK\x03\x04"):
        return _zip(head)
    for magic, at, other in _MAGIC:
        if head.startswith(magic, at):
            return other
    if re.match(rb'[\x00-\xff]{4}[\x00-\x0f]\x00\x00\x00\{"', head):
        return Other(f"a safetensors file: {WEIGHTS}", f"in the script that builds the graph: {AFTER_CALL}")
    if _is_onnx(head):
        return ONNX
    if head[:1] == b"\x0a":
        return _binary_message(head)
    return None


def other_text(text: str) -> Other | None:
    """What a text is by its beginning; None where that tells nothing."""
    return next((other for tells, other in _TEXTS if tells(text)), None)


def _weights(what: str) -> Other:
    return Other(f"{what}: {WEIGHTS}", f"in the script that builds the graph: {AFTER_CALL}")


def _packed(what: str, tool: str) -> Other:
    return Other(what, f"unpack it ({tool}), and give irflops the file of the graph in it")


_IMAGE = Other("an image or a page, whose text cannot be read", f"dump the graph as text: {AFTER_CALL}")

_MAGIC: tuple[tuple[bytes, int, Other], ...] = (
    *((bytes([0x80, protocol]), 0, PICKLE) for protocol in (2, 3, 4, 5)),
    (b"\x93NUMPY", 0, PICKLE),
    (b"\x89HDF", 0, PICKLE),
    (b"GGUF", 0, _weights("a GGUF file")),
    (b"TFL3", 4, _elsewhere("a TensorFlow Lite model")),
    (b"ML\xefR", 0, _elsewhere("MLIR bytecode")),
    (b"BC\xc0\xde", 0, _elsewhere("LLVM bitcode")),
    (b"SQLite format 3\x00", 0, _elsewhere("a profile or another SQLite database")),
    (b"\x7fELF", 0, _elsewhere("a program or compiled engine")),
    (b"ustar", 257, _packed("a tar archive", "tar -xf FILE")),
    (b"7z\xbc\xaf\x27\x1c", 0, _packed("a 7z archive", "7z x FILE")),
    (b"Rar!\x1a\x07", 0, _packed("a RAR archive", "unrar x FILE")),
    (b"\x04\x22\x4d\x18", 0, _packed("an lz4 file", "lz4 -d FILE")),
    (b"\x1f\x8b", 0, _packed("compressed more than once", "gunzip")),
    (b"BZh", 0, _packed("compressed more than once", "bunzip2")),
    (b"\xfd7zXZ\x00", 0, _packed("compressed more than once", "unxz")),
    (b"\x28\xb5\x2f\xfd", 0, _packed("compressed more than once", "unzstd")),
    *((magic, 0, _IMAGE) for magic in (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8")),
)
"""First bytes of a kind of file, where they stand, and what it is."""


def _zip(head: bytes) -> Other:
    """What a zip holds, by the names of its first members."""
    names = [
        head[at.end() : at.end() + int.from_bytes(at[1], "little")].decode("utf-8", errors="replace")
        for at in re.finditer(rb"PK\x03\x04[\x00-\xff]{22}([\x00-\xff]{2})[\x00-\xff]{2}", head)
    ]
    if any(re.search(r"(?:^|/)(?:code/|constants\.pkl$|archive_format$|models/)", name) for name in names):
        return _elsewhere("a TorchScript or torch.export archive")
    if any(re.search(r"\.pkl$|\.npy$|/data/|(?:^|/)version$|\.h5$", name) for name in names):
        return PICKLE
    held = ", ".join(repr(name[:60]) for name in names[:3]) + (" and more" if len(names) > 3 else "")
    what = f"a zip archive that is no capture; it holds {held}" if names else "a zip archive that is no capture"
    return _packed(what, "unzip FILE")


_ONNX = re.compile(rb"\x08[\x01-\x20](?:\x12(?P<size>[\x00-\x7f])|[\x3a\x42])")
"""A ModelProto's first fields: the version of the format, then the name of the producer, the graph, or the operator sets."""


def _is_onnx(head: bytes) -> bool:
    match = _ONNX.match(head)
    if match is None:
        return False
    size = match["size"][0] if match["size"] else 0
    return head[match.end() : match.end() + size].isascii()


def _binary_message(head: bytes) -> Other | None:
    """A binary Plan, by its first field: it holds tasks, and those begin with their type."""
    at = 1
    while at < 11 and at < len(head) and head[at] & 0x80:
        at += 1
    first = head[at + 1 : at + 2]
    if first == b"\x08":
        return PLAN
    return None


# Texts

_ONEFLOW = re.compile(r'oneflow\.job|"oneflow\.').search


def _having(pattern: str) -> Callable[[str], object]:
    return re.compile(pattern, re.MULTILINE).search


def _beginning(pattern: str) -> Callable[[str], object]:
    return re.compile(rf"\s{{0,1000}}(?:{pattern})").match


_TEXTS: tuple[tuple[Callable[[str], object], Other], ...] = (
    (_having(r"^[ \t]*task[ \t]*\{\s*task_type[ \t]*:"), PLAN),
    (_having(r"^[ \t]*(?:net|job_conf)[ \t]*\{"), JOB),
    (re.compile(r"\s*(?://[^\n]*(?:\n\s*|\Z))+\Z").match, COMMENTS),
    (lambda text: "module {" in text and _ONEFLOW(text), MLIR),
    (_ONEFLOW, MLIR_ALONE),
    (
        _having(r'^\{?[ \t]*"schema": ?"irflops\.[a-z]+/\d+"'),
        Other("a result of irflops itself, as JSON", "give it the dump that this was made of, the path in its 'source'"),
    ),
    (_having(r"^graph\(%|= (?:aten|prim)::\w+"), _elsewhere("a graph of TorchScript")),
    (
        _having(
            r"placeholder\[target=|call_(?:module|function|method)\[target=|^opcode +name +target|torch\.ops\.aten\.|^ExportedProgram:"
        ),
        _elsewhere("a graph of torch.fx"),
    ),
    (_having(r"^HloModule\b"), _elsewhere("XLA's HLO")),
    (
        _having(r"\b(?:stablehlo|mhlo|torch\.aten|tosa|onnx|linalg|tf|tfl)\.\w+[\" (]?.*: *\(?tensor<"),
        _elsewhere("MLIR of another dialect"),
    ),
    (_beginning(r"<?\s*ir_version ?:|graph [\w.]+ \(\s*%|\{\s*\"irVersion\""), ONNX),
    (_having(r"^node \{\s*name: \"[^\"\n]*\"\s*op: "), _elsewhere("a TensorFlow graph")),
    (_having(r"^layers? \{\s*(?:name|type): "), _elsewhere("a Caffe network")),
    (_beginning(r"(?:strict )?digraph\b"), _elsewhere("a drawing for Graphviz")),
    (
        _having(r"Layer \(type|Param #|^Total params:|^[^\w\n]{0,20}Total mult-adds"),
        Other("the table of another counter", f"irflops counts from the graph itself: {AFTER_CALL}"),
    ),
    (_having(r"^[ \t]*\(\w+\): [A-Z]\w*\("), MODULE),
    (
        _having(r"^class \w+\((?:\w+\.)*(?:Graph|Module)\):|^(?:import|from) (?:oneflow|torch)\b"),
        Other("a program in Python, which irflops does not run here", f"where its graph is called: {AFTER_CALL}"),
    ),
    (
        _having(r"^Traceback \(most recent call last\):"),
        Other("a log that ends in an error of Python's before any graph was printed", f"once the script runs: {AFTER_CALL}"),
    ),
)
"""How a text is recognised, and what it is; the first that fits."""
