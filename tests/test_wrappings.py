"""Texts that tools have wrapped are read to the same graph or refused, never to another; errors point into the file as it lies on disk."""

from __future__ import annotations

import codecs
import gzip
import pickle
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from wrappings import WRAPPINGS, colours, docker, html_body, logger, timestamps, wrap

import irflops
from irflops.ir.graph import Graph
from irflops.readers import count_lines

FIXTURES = Path(__file__).parent.parent / "fixtures"


def text_of(name: str) -> str:
    return gzip.decompress((FIXTURES / name).read_bytes()).decode()


def facts(graph: Graph) -> object:
    """All that was read, but for where it stands."""
    ops = [replace(op, span=None) for op in graph.ops]
    modules = [replace(module, span=None) for module in graph.modules]
    return graph.name, graph.class_name, graph.training, graph.partial, ops, modules


PRINTS = ("basic_block", "mlp_train", "loc", "none_input", "frozen", "v080/cnn", "v080/fused")


@pytest.mark.parametrize("name", PRINTS)
@pytest.mark.parametrize("wrapping", [name for name in WRAPPINGS if not name.startswith(("copied", "folded"))])
def test_a_wrapped_print_is_the_same_graph(name: str, wrapping: str) -> None:
    text = text_of(f"{name}.repr.txt.gz")
    assert facts(irflops.loads(WRAPPINGS[wrapping](text))) == facts(irflops.loads(text))


@pytest.mark.parametrize("name", PRINTS)
@pytest.mark.parametrize("wrapping", [name for name in WRAPPINGS if name.startswith(("copied", "folded"))])
def test_a_print_that_lost_blanks_is_the_same_graph_or_refused(name: str, wrapping: str) -> None:
    text = text_of(f"{name}.repr.txt.gz")
    try:
        graph = irflops.loads(WRAPPINGS[wrapping](text))
    except irflops.IrflopsError:
        assert name == "loc", "its lines of Python have blanks that mean something"
        return
    assert facts(graph) == facts(irflops.loads(text))


@pytest.mark.parametrize("first", WRAPPINGS)
def test_a_print_wrapped_twice_is_the_same_graph_or_refused(first: str) -> None:
    text = text_of("basic_block.repr.txt.gz")
    plain = facts(irflops.loads(text))
    once = WRAPPINGS[first](text)
    refused = []
    for second, wrapping in WRAPPINGS.items():
        try:
            graph = irflops.loads(wrapping(once))
        except irflops.IrflopsError:
            refused.append(second)
        else:
            assert facts(graph) == plain, second
    # Of rows that were broken twice, or at other places than a terminal's, no one can tell what they were.
    assert all(name.startswith(("copied", "folded", "wrap", "smart", "html page")) for name in refused), refused


@pytest.mark.parametrize("form", ["job.prototxt", "fwd.prototxt", "mlir"])
@pytest.mark.parametrize(
    "wrapping", ["docker", "structured", "html text", "html page", "nbsp", "smart quotes", "wrap 80", "wrap 120", "colours"]
)
def test_other_texts_that_were_wrapped(form: str, wrapping: str) -> None:
    text = text_of(f"basic_block.{form}.gz")
    assert facts(irflops.loads(WRAPPINGS[wrapping](text))) == facts(irflops.loads(text))


@pytest.mark.parametrize("columns", range(60, 260, 7))
@pytest.mark.parametrize("prefix", [str, timestamps, logger])
def test_any_width(columns: int, prefix: Callable[[str], str]) -> None:
    text = text_of("basic_block.repr.txt.gz")
    for wrapped in (wrap(columns)(prefix(text)), prefix(wrap(columns)(text))):
        assert facts(irflops.loads(wrapped)) == facts(irflops.loads(text))


ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "BOM": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 without a mark, CRLF": lambda text: text.replace("\n", "\r\n").encode("utf-16-le"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_docker_log_of_a_ci_log_with_colours_timestamps_and_wrapped_lines(encoding: str) -> None:
    text = text_of("mlp_train.repr.txt.gz")
    log = ENCODINGS[encoding](docker(colours(timestamps(wrap(132)(text)))))
    graph = irflops.loads(log)
    assert facts(graph) == facts(irflops.loads(text))
    assert [note.text for note in graph.notes if note.code == "unwrapped"] == [
        "the text was read out of JSON, one object a line, without colours and marks that nobody sees and with wrapped lines joined"
    ]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "wrapping", ["docker", "structured", "html text", "html page", "nbsp", "timestamps", "logger", "colours", "wrap 80"]
)
def test_an_error_points_into_the_file_as_it_lies_on_disk(wrapping: str, encoding: str) -> None:
    fault = "size=(1, 64, 64.5, 64)"
    text = text_of("basic_block.repr.txt.gz").replace(
        "size=(1, 64, 64, 64), dtype=(oneflow.float32)))", f"{fault}, dtype=(oneflow.float32)))", 1
    )
    with pytest.raises(irflops.GraphSyntaxError) as plain:
        irflops.loads(text)
    assert plain.value.excerpt is not None
    assert plain.value.column is not None
    assert plain.value.excerpt[plain.value.column - 1 :].startswith("size=(1, 64, 64.5")
    wrapped = WRAPPINGS[wrapping](text)
    with pytest.raises(irflops.GraphSyntaxError) as caught:
        irflops.loads(ENCODINGS[encoding](wrapped))
    error = caught.value
    assert error.message == plain.value.message
    assert error.line is not None
    assert error.column is not None
    line = wrapped.splitlines()[error.line - 1]
    assert error.excerpt == line
    assert line[error.column - 1 :].replace("\N{NO-BREAK SPACE}", " ").startswith("size=(1, 64, 64.5"[: len(line) - error.column + 1])


def test_positions_of_operators_are_those_of_the_file() -> None:
    text = text_of("basic_block.repr.txt.gz")
    plain = irflops.loads(text)
    wrapped = irflops.loads(docker(text))
    lines = [[graph.source.line(op.span.start) for op in graph.ops if op.span is not None] for graph in (plain, wrapped)]
    assert lines[0] == lines[1]
    rows = wrap(80)(text).splitlines()
    narrow = irflops.loads("\n".join(rows))
    for op in narrow.ops:
        if op.span is not None:
            row = rows[narrow.source.line(op.span.start) - 1]
            assert row.lstrip().startswith("(OPERATOR"[: len(row.lstrip())])
    copy = pickle.loads(pickle.dumps(narrow))  # noqa: S301 - our own
    assert facts(copy) == facts(narrow)
    assert copy.source.line_col(1000) == narrow.source.line_col(1000)


def test_records_that_docker_cut_are_one_line() -> None:
    names = [f"[m-relu-{n}/y_0:(sbp=(B), size=(4, 4), dtype=(oneflow.float32))" for n in range(400)]
    joined = "m-concat-400/out_0:(sbp=(B), size=(1600, 4), dtype=(oneflow.float32))"
    line = f"  (OPERATOR: m-concat-400([{', '.join(name[1:] for name in names)}]) -> ({joined}))\n"
    text = f"(GRAPH:G_0:G): (\n{line})\n"
    log = docker(text)
    assert len(log.splitlines()) == 4
    assert len(irflops.loads(log).by_name["m-concat-400"].inputs) == 400


def test_what_stands_in_a_models_own_texts_stays() -> None:
    text = text_of("basic_block.repr.txt.gz").replace(
        "(MODULE:model:BasicBlock())", "(MODULE:model:BasicBlock(sep=&gt; \u201cx\u201d\u00a0\u2026))"
    )
    module = irflops.loads(text).modules[1]
    assert module.text == "BasicBlock(sep=&gt; \u201cx\u201d\u00a0\u2026)"
    assert irflops.loads(docker(text)).modules[1].text == module.text


def test_marks_that_nobody_sees_are_no_part_of_a_name() -> None:
    text = text_of("basic_block.repr.txt.gz")
    marked = text.replace("model.conv1-conv2d-0/", "model.conv1-\u200bconv2d-\u00ad0/", 1).replace("  (MODULE", "\ufeff  (MODULE", 1)
    assert facts(irflops.loads(marked)) == facts(irflops.loads(text))


@pytest.mark.parametrize("prefix", ["", "  ", "[rank0] ", "> "])
def test_a_listing_without_its_first_parenthesis(prefix: str) -> None:
    text = text_of("basic_block.repr.txt.gz")
    lost = "".join(prefix + line for line in text.replace("(GRAPH:", "GRAPH:", 1).splitlines(keepends=True))
    graph = irflops.loads(lost)
    assert facts(graph) == facts(irflops.loads(text))
    assert any("first parenthesis" in note.text for note in graph.notes)
    assert "first parenthesis" in " ".join(note.text for note in irflops.loads(html_body(lost)).notes)


def test_lines_of_a_wrapped_print_have_kinds_too(tmp_path: Path) -> None:
    text = text_of("basic_block.repr.txt.gz")
    (tmp_path / "plain.txt").write_text(text)
    (tmp_path / "docker.log").write_text(docker(text))
    assert count_lines(tmp_path / "docker.log") == count_lines(tmp_path / "plain.txt")


@pytest.mark.parametrize("kept", range(0, 4000, 211))
def test_a_wrapped_print_that_is_cut_is_a_lower_bound_or_refused(kept: int) -> None:
    text = text_of("basic_block.repr.txt.gz")
    whole = irflops.analyze(irflops.loads(text))
    for wrapping in (docker, wrap(100), html_body, lambda text: wrap(120)(logger(text))):
        cut = wrapping(text)[: kept + 2500]
        with pytest.raises(irflops.IrflopsError):
            irflops.loads(cut)
        try:
            graph = irflops.loads(cut, partial=True)
        except irflops.IrflopsError:
            continue
        assert graph.partial
        assert (irflops.analyze(graph).total.get("macs") or 0) <= (whole.total.get("macs") or 0)


HOSTILE: dict[str, str] = {
    "braces": "{" * 200_000,
    "records without an end": '{"log":"' * 50_000,
    "backslashes": '{"log":"' + "\\" * 300_000 + '"}\n',
    "many fields": ('{"a":1,' * 20 + '"log":"(GRAPH:G_0:G): (') * 3000,
    "surrogates": '{"log":"' + "\\ud800" * 50_000 + '\\n"}\n',
    "entities": "-&gt;" + "&amp;" * 60_000,
    "entities in entities": "-&" + "amp;" * 100_000 + "gt;",
    "tags": "-&gt;" + "<p " * 100_000,
    "no-break spaces": "\u00a0" * 300_000,
    "no-break spaces, indented": ("\u00a0" * 1000 + "x\n") * 300,
    "quotes": "\u201c" * 300_000,
    "escape sequences": "\x1b[" * 150_000,
    "titles without an end": "\x1b]" * 150_000,
    "heads without a parenthesis": "GRAPH:a:A): (\n" * 20_000,
    "blanks before a module": " " * 300_000 + "MODULE",
    "open operators": "(GRAPH:a:A): (\n" + ("(OPERATOR: " + "(" * 69 + "\n") * 4000,
    "one operator that goes on": "(GRAPH:a:A): (\n(OPERATOR: a(" + ("x" * 80 + "\n") * 4000,
    "wide characters": "(GRAPH:a:A): (\n" + ("(OPERATOR: (" + "\u4e00" * 40 + "\n") * 3000,
    "rows of a job": "net {\n" + ("x" * 80 + "\n") * 4000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("partial", [False, True])
def test_hostile_wrappings_are_refused_in_bounded_time(name: str, partial: bool) -> None:
    from time import process_time

    start = process_time()
    with suppress(irflops.IrflopsError):
        assert irflops.loads(HOSTILE[name], partial=partial).partial
    assert process_time() - start < 10
