"""How tables fit: what gives way first, and that names, shapes and changes are never cut."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len

from irflops.report.layout import Layout, laid_out
from irflops.report.table import ESSENTIAL, Column, Drawn, Table
from irflops.report.terminal import print_table
from irflops.report.wrap import wrapped_name, wrapped_prose, wrapped_words


def column(heading: str, *texts: str, weight: int = 1, numeric: bool = False, prose: bool = False, implied_by: str = "") -> Drawn:
    told = Column(name=heading, title=heading, get=str, numeric=numeric, prose=prose, weight=weight, implied_by=implied_by)
    return Drawn(told, heading, texts, texts)


NAMES = column("operator", "m.blocks.0.up-matmul-4", "m.blocks.1.down-relu-17", weight=ESSENTIAL)
TYPES = column("type", "matmul", "relu", implied_by="operator")
EMPTY = column("class", "", "")
FLOPS = column("FLOPs", "1,234", "17", numeric=True, weight=ESSENTIAL)
MOVED = column("moved", "12.00", "1.00", numeric=True, weight=0)
LINES = column("line", "1", "2", numeric=True)
SAID = column("what", "the operator does work that nothing reads, in each step of the training", "", prose=True)


def shown(layout: Layout) -> list[str]:
    return [laid.drawn.heading for laid in layout.columns]


def test_what_gives_way_and_in_which_order() -> None:
    everything = [NAMES, TYPES, EMPTY, FLOPS, MOVED, LINES]
    whole = laid_out(everything, 60)
    assert (shown(whole), whole.hidden, whole.notes) == (["operator", "type", "FLOPs", "moved", "line"], [], [])
    redundant = laid_out(everything, 48)
    assert (shown(redundant), redundant.hidden, redundant.notes) == (["operator", "FLOPs", "moved", "line"], [], [])
    beginning = laid_out(everything, 40)
    assert (shown(beginning), beginning.notes) == (["operator", "FLOPs", "moved", "line"], ["each operator begins with m.blocks"])
    assert beginning.columns[0].cells[0] == [".0.up-matmul-4"]
    light = laid_out(everything, 34)
    assert (shown(light), light.hidden) == (["operator", "FLOPs", "line"], ["moved"])
    narrow = laid_out(everything, 21)
    assert (shown(narrow), narrow.hidden) == (["operator", "FLOPs"], ["moved", "line"])
    assert narrow.columns[0].cells[1] == [".1.down-relu-", "  17"]


def test_what_was_asked_for_is_never_redundant() -> None:
    asked = laid_out([NAMES, TYPES, EMPTY], 30, chosen=True)
    assert shown(asked) == ["operator", "type", "class"]
    assert asked.hidden == []


def test_sentences_wrap_before_a_column_goes() -> None:
    layout = laid_out([NAMES, SAID, LINES], 60)
    assert shown(layout) == ["operator", "what", "line"]
    said = layout.columns[1].cells[0]
    assert len(said) > 1
    assert " ".join(said) == SAID.texts[0]
    assert layout.left == 0


@pytest.mark.parametrize("width", range(12, 60, 3))
def test_nothing_is_lost_by_wrapping(width: int) -> None:
    name = "   model.layer1.0.conv1-conv2d-4 (64->128,3,3) 深深深深深深深深"
    lines = wrapped_name(name, width)
    assert max(map(cell_len, lines)) <= width
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", name)
    sentence = "a name as model.layer1.0.conv1-conv2d-4 stands in it"
    assert re.sub(r"\s", "", "".join(wrapped_prose(sentence, width))) == re.sub(r"\s", "", sentence)
    assert " ".join(wrapped_words(sentence, width)) == sentence


def test_rows_of_several_lines_stay_apart() -> None:
    columns = (
        Column(name="name", title="name", get=lambda row: row[0], numeric=False, weight=ESSENTIAL),
        Column(name="what", title="what", get=lambda row: row[1], numeric=False, prose=True),
        Column(name="count", title="count", get=lambda row: row[2]),
    )
    items = [("one", "a sentence that is too long for its column and wraps", 1), ("two", "a short one", 2)]
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("COLUMNS", "44")
        print_table(Table(name="t", title="Title", columns=columns, items=items, people=("name", "what", "count")), stream)
    assert stream.getvalue().splitlines()[1:] == [
        " name  what                            count",
        " " + "─" * 43,
        " one   a sentence that is too long         1",
        "       for its column and wraps",
        " two   a short one                         2",
    ]
