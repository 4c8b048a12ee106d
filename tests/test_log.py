"""Printed graphs as users hold them: in logs, behind prefixes, in any encoding, several at once."""

from __future__ import annotations

import bz2
import codecs
import gzip
import importlib
import io
import lzma
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import irflops
from irflops import Graph, IrflopsError
from irflops.errors import ChoiceError, NotAGraphError
from irflops.readers import count_lines

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
NAMES = sorted(path.name.removesuffix(".repr.txt.gz") for path in FIXTURES.glob("*.repr.txt.gz"))


def printed(name: str) -> str:
    return gzip.decompress((FIXTURES / f"{name}.repr.txt.gz").read_bytes()).decode()


BLOCK = printed("basic_block")
LINES = BLOCK.splitlines()
STEP = printed("mlp_train")


def content(graph: Graph) -> object:
    """All that a graph says but for where it stands."""
    ops = tuple(replace(op, span=None) for op in graph.ops)
    modules = tuple(replace(module, span=None) for module in graph.modules)
    return graph.name, graph.class_name, graph.training, ops, modules, graph.partial


EXPECTED = content(irflops.loads(BLOCK))
EXPECTED_STEP = content(irflops.loads(STEP))


# ---------------------------------------------------------------- text around


@pytest.mark.parametrize(
    "text",
    [
        f"loading data\nepoch 0 (GPU) [1/10]\n{BLOCK}",
        f"{BLOCK}epoch 0: loss 2.3\n)\n)): (\nTraceback (most recent call last):\n",
        f"a: (b)\n\n{BLOCK}\n\nstep (1): (ok)\n",
        f"graph = {BLOCK}",
        f">>> print(graph)\n{BLOCK}>>> exit()\n",
        f"```\n{BLOCK}```\n",
        BLOCK.rstrip("\n"),
        "\n\n\n" + BLOCK,
        f"{BLOCK.rstrip()}  \t\n",
    ],
    ids=[
        "before",
        "after",
        "around",
        "behind an assignment",
        "a session",
        "a code block",
        "no last line end",
        "blank lines",
        "blanks at the end",
    ],
)
def test_text_around_a_graph_is_passed_over(text: str) -> None:
    assert content(irflops.loads(text)) == EXPECTED


def test_lines_point_into_the_log() -> None:
    graph = irflops.loads("one\ntwo\n" + BLOCK)
    first = graph.ops[0].span
    assert first is not None
    assert graph.source.line(first.start) == 2 + 1 + next(i for i, line in enumerate(LINES) if "OPERATOR: model.conv1.weight" in line)


def test_debug_lines_about_building_are_no_graphs() -> None:
    """`graph.debug()` logs `(GRAPH:...)` lines of its own, before and after each stage."""
    debug = (
        "[DEBUG](GRAPH:MyGraph_0:MyGraph) start building graph.\n"
        "(GRAPH:MyGraph_0:MyGraph) start building graph with compile passes.\n"
        "[DEBUG](INPUT:_MyGraph_0_input.0.0_2:tensor(..., size=(1, 32, 64, 64), dtype=oneflow.float32))\n"
        "(GRAPH:MyGraph_0:MyGraph) end building graph.\n"
        "[DEBUG](GRAPH:MyGraph_0:MyGraph) building graph Done! Cost time: 0.05s.\n"
    )
    assert content(irflops.loads(debug + BLOCK + debug)) == EXPECTED
    with pytest.raises(NotAGraphError):
        irflops.loads(debug)


# ---------------------------------------------------------------- prefixes

PREFIXES: dict[str, Callable[[int], str]] = {
    "rank": lambda _: "[rank:0] ",
    "torchrun": lambda _: "[default0]:",
    "srun": lambda _: "0: ",
    "docker compose": lambda _: "trainer-0  | ",
    "date and level": lambda i: f"2026-01-{1 + i // 40:02} 12:{i % 60:02}:00,{i * 7 % 1000:03} INFO ",
    "bracketed date": lambda i: f"[2026/01/01 12:00:{i % 60:02}] [INFO] ",
    "glog": lambda i: f"I20260101 12:00:00.{i * 1234 % 1000000:06} 1234 x.py:5] ",
    "kubernetes": lambda i: f"2026-01-01T12:00:{i % 60:02}.{i * 9876543 % 10**9:09}Z stdout F ",
    "loguru": lambda i: f"2026-01-01 12:00:00.{i:03} | INFO     | __main__:main:12 - ",
    "syslog": lambda i: f"Jan  1 12:00:{i % 60:02} node7 python[4242]: ",
    "seconds": lambda i: f"[{i * 0.137:12.6f}] ",
    "line numbers": lambda i: f"{i + 1:>6}\t",
    "line numbers of grep": lambda i: f"{i + 98}:",
    "counter and rank": lambda i: f"#{i} rank=3 ",
    "quoted": lambda _: "> ",
    "a comment": lambda _: "# ",
    "tabs": lambda _: "\t\t",
    "blanks": lambda _: "        ",
}


@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=list(PREFIXES))
def test_a_prefix_on_every_line(prefix: Callable[[int], str]) -> None:
    lines = ["starting", *LINES, "epoch 1: loss 2.3"]
    assert content(irflops.loads("\n".join(prefix(i) + line for i, line in enumerate(lines)))) == EXPECTED


@pytest.mark.parametrize(
    "prefix",
    ["INFO:root:", "2026-01-01 12:00:00,000 - train - INFO - ", "[rank:0] ", "I20260101 12:00:00.5 12 x.py:5] ", "loss=0.5 graph="],
)
def test_a_prefix_on_the_first_line_alone(prefix: str) -> None:
    """Python's logging writes its prefix once a message, and a graph is one message of many lines."""
    assert content(irflops.loads(f"{prefix}starting\n{prefix}{BLOCK}{prefix}epoch 1\n")) == EXPECTED


@settings(max_examples=20)
@given(st.randoms(use_true_random=True))
def test_the_lines_of_several_ranks_mixed_are_one_graph(random: Random) -> None:
    """Each rank prints the same graph; the lines of each are in order among themselves."""
    ranks = [0] * len(LINES) + [1] * len(LINES) + [2] * len(LINES)
    random.shuffle(ranks)
    streams = [iter(LINES) for _ in range(3)]
    graph = irflops.loads("".join(f"[rank:{rank}] {next(streams[rank])}\n" for rank in ranks))
    assert content(graph) == EXPECTED
    assert [note.code for note in graph.notes] == ["printed-again"]
    assert "2 times more" in graph.notes[0].text


@settings(max_examples=20)
@given(st.randoms(use_true_random=True))
def test_different_graphs_of_ranks_mixed_are_a_choice(random: Random) -> None:
    first, second = LINES, STEP.splitlines()
    ranks = [0] * len(first) + [1] * len(second)
    random.shuffle(ranks)
    streams = [iter(first), iter(second)]
    text = "".join(f"12:00:0{rank} [{rank}] {next(streams[rank])}\n" for rank in ranks)
    with pytest.raises(ChoiceError, match="2 different graphs"):
        irflops.loads(text)
    assert content(irflops.loads(text, "MyGraph_0")) == EXPECTED
    assert content(irflops.loads(text, "Training_0")) == EXPECTED_STEP


def test_ranks_that_differ_by_their_device_alone_print_one_graph() -> None:
    """A local tensor's line names the device of its rank."""
    here, there = (BLOCK.replace("dtype=oneflow.float32))", f"device='cuda:{rank}', dtype=oneflow.float32))") for rank in (0, 1))
    graph = irflops.loads(here + there)
    assert [note.code for note in graph.notes] == ["printed-again"]


def test_a_bare_rank_beside_one_with_a_prefix() -> None:
    text = "".join(f"{line}\n[rank:1] {line}\n" for line in LINES)
    graph = irflops.loads(text)
    assert content(graph) == EXPECTED
    assert [note.code for note in graph.notes] == ["printed-again"]


# ---------------------------------------------------------------- bytes

ENCODINGS: dict[str, bytes] = {
    "Windows line ends": BLOCK.replace("\n", "\r\n").encode(),
    "doubled carriage returns": BLOCK.replace("\n", "\r\r\n").encode(),
    "BOM": codecs.BOM_UTF8 + BLOCK.encode(),
    "UTF-16 LE with BOM": codecs.BOM_UTF16_LE + BLOCK.encode("utf-16-le"),
    "UTF-16 BE with BOM": codecs.BOM_UTF16_BE + BLOCK.encode("utf-16-be"),
    "UTF-16 LE": BLOCK.encode("utf-16-le"),
    "UTF-16 BE": BLOCK.encode("utf-16-be"),
    "PowerShell's redirect": codecs.BOM_UTF16_LE + BLOCK.replace("\n", "\r\n").encode("utf-16-le"),
    "colours": re.sub(r"(\w+):", "\x1b[1;32m\\1\x1b[0m:", BLOCK).encode(),
    "colours on each line": BLOCK.replace("\n", "\x1b[0m\n\x1b[38;5;12m").encode(),
    "a log of another encoding around": b"caf\xe9 \xff\xfe\n" + BLOCK.encode() + b"\xe9\n",
}


@pytest.mark.parametrize("data", ENCODINGS.values(), ids=list(ENCODINGS))
def test_encodings(data: bytes) -> None:
    assert content(irflops.loads(data)) == EXPECTED


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "zstandard").compress(data),
    "gzip in two members": lambda data: gzip.compress(data[:99]) + gzip.compress(data[99:]),
    "UTF-16 in gzip": lambda data: gzip.compress(data.decode().encode("utf-16")),
}


@pytest.mark.parametrize("compress", COMPRESSORS.values(), ids=list(COMPRESSORS))
def test_compression_is_told_by_content(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "a graph.txt"
    path.write_bytes(compress(BLOCK.encode()))
    assert content(irflops.load(path)) == EXPECTED


def test_a_suffix_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "graph.gz"
    path.write_bytes(BLOCK.encode())
    assert content(irflops.load(str(path))) == EXPECTED


def test_a_damaged_archive_says_so(tmp_path: Path) -> None:
    path = tmp_path / "graph.gz"
    path.write_bytes(gzip.compress(BLOCK.encode())[:-100])
    with pytest.raises(IrflopsError, match="damaged or cut off") as caught:
        irflops.load(path)
    assert caught.value.path == str(path)


def test_a_limit_on_size_holds_before_and_after_decompression(tmp_path: Path) -> None:
    path = tmp_path / "graph"
    for data in (BLOCK.encode(), gzip.compress(BLOCK.encode())):
        path.write_bytes(data)
        with pytest.raises(IrflopsError, match="larger than 5000 bytes") as caught:
            irflops.load(path, max_size=5000)
        assert caught.value.hint == "raise the limit with --max-size"


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(BLOCK.encode()))))
    graph = irflops.load("-")
    assert content(graph) == EXPECTED
    assert graph.source.name == "<stdin>"


# ---------------------------------------------------------------- several graphs


def test_printed_twice_counts_once() -> None:
    graph = irflops.loads(f"{BLOCK}epoch 1\n{BLOCK}restarted\n{BLOCK}")
    assert content(graph) == EXPECTED
    assert [note.text for note in graph.notes] == ["the same graph is printed 2 times more in this file; it counts once"]


def test_printed_before_and_after_the_first_call_is_one_graph() -> None:
    """Before it there are modules alone."""
    uncalled = "\n".join(line for line in LINES if not re.match(r" *\((OPERATOR|INPUT|OUTPUT)|  +grad_fn=<(?!acc)", line)) + "\n"
    assert content(irflops.loads(uncalled + BLOCK)) == EXPECTED


SEVERAL = f"first\n{BLOCK}second\n{STEP}third\n{printed('functional_pool')}"


def test_several_graphs_are_listed_with_name_lines_and_size() -> None:
    with pytest.raises(ChoiceError) as caught:
        irflops.loads(SEVERAL, name="train.log")
    lines = SEVERAL.splitlines()
    starts = [number for number, line in enumerate(lines, 1) if line.startswith("(GRAPH:")]
    ends = [number for number, line in enumerate(lines, 1) if line == ")"]
    sizes = [text.count("(OPERATOR:") for text in (BLOCK, STEP, printed("functional_pool"))]
    names = ("MyGraph_0", "Training_0", "Inference_0")
    assert str(caught.value).splitlines()[:4] == [
        "train.log: error: 3 different graphs are in this file:",
        *(f"  {i + 1}  {names[i]:<11}  lines {starts[i]}-{ends[i]}  {sizes[i]} operators" for i in range(3)),
    ]
    assert caught.value.hint == "choose one by name or number: --graph MyGraph_0 or --graph 1"


@pytest.mark.parametrize("choice", ["Training_0", "2", 2])
def test_a_graph_is_chosen_by_name_or_number(choice: str | int) -> None:
    assert content(irflops.loads(SEVERAL, choice)) == EXPECTED_STEP


@pytest.mark.parametrize("choice", ["Training", "0", "4", 4, "-1", "9" * 5000, ""])
def test_a_graph_that_is_not_there_is_named(choice: str | int) -> None:
    with pytest.raises(ChoiceError) as caught:
        irflops.loads(SEVERAL, choice)
    assert caught.value.message.startswith(f"no graph {choice!r} in this file:\n")
    assert "Training_0" in caught.value.message


def test_graphs_of_one_name_are_chosen_by_number() -> None:
    other = BLOCK.replace("(1, ", "(2, ")
    with pytest.raises(ChoiceError) as caught:
        irflops.loads(BLOCK + other, "MyGraph_0")
    assert caught.value.message.startswith("2 different graphs are called MyGraph_0:\n")
    assert irflops.analyze(irflops.loads(BLOCK + other, 2)).total.get("macs") == 2 * 92_274_688


def test_a_damaged_graph_does_not_hide_the_whole_one_chosen() -> None:
    cut = "\n".join(STEP.splitlines()[:20]) + "\n"
    assert content(irflops.loads(cut + BLOCK, "MyGraph_0")) == EXPECTED


CUT = "\n".join(LINES[:30]) + "\n"
INTERRUPTED = "\n".join([*LINES[:9], "W0101 nccl.cc:17] a peer is slow", *LINES[9:]]) + "\n"


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (CUT + "killed, restarted\n" + BLOCK, "damaged-copy"),
        (BLOCK + CUT, "damaged-copy"),
        (INTERRUPTED + BLOCK, "printed-again"),
        (BLOCK + INTERRUPTED, "printed-again"),
        ("".join(f"[0] {line}\n" for line in LINES[:30]) + "".join(f"[1] {line}\n" for line in LINES), "damaged-copy"),
    ],
    ids=["cut, then whole", "whole, then cut", "interrupted, then whole", "whole, then interrupted", "a rank cut"],
)
def test_a_whole_print_stands_for_its_damaged_copies(text: str, note: str) -> None:
    graph = irflops.loads(text)
    assert content(graph) == EXPECTED
    assert [found.code for found in graph.notes] == [note]


# ---------------------------------------------------------------- kinds of line


@pytest.mark.parametrize("name", NAMES)
def test_line_kinds_add_up_and_nothing_is_foreign(name: str) -> None:
    counts = count_lines(FIXTURES / f"{name}.repr.txt.gz")
    text = printed(name)
    assert sum(counts.values()) == text.count("\n")
    assert counts["foreign"] == 0
    assert counts["graph"] == counts["config"] == 1
    assert counts["operator"] == text.count("(OPERATOR:")
    assert counts["module"] == text.count("(MODULE:")


def test_lines_of_a_log_add_up(tmp_path: Path) -> None:
    """What stands outside of any graph, and what interrupts one, is foreign."""
    path = tmp_path / "log"
    interrupted = "\n".join([*LINES[:9], "W0101 nccl.cc:17] a peer is slow (rank 3): (waiting)", *LINES[9:]])
    path.write_text(f"start\n\n{BLOCK}step 1\n{interrupted}", encoding="utf-8")
    counts = count_lines(path)
    clean = count_lines(FIXTURES / "basic_block.repr.txt.gz")
    assert counts == {kind: 2 * n for kind, n in clean.items()} | {"foreign": 4}
