"""The text reader against the protobuf library: any job that the library prints, in whatever style, reads as the library's own bytes do."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import WITH_JOBS, content, message, thoroughly

from irflops.errors import Source
from irflops.readers.job import job_text, job_wire
from irflops.readers.job.job_schema import DATA_TYPES, Statement, fields_of

TEXT = st.one_of(
    st.text(max_size=8),
    st.text(alphabet="'\"\\#{}<>[]\n\t\0?aé\U0001f600", max_size=12),
    st.sampled_from(["a/out", "model.fc-matmul-1", ""]),
)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXT.map(lambda text: text.encode("utf-8", errors="replace")),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "bool": st.booleans(),
    "float": st.floats(width=32),
    "double": st.floats(),
    "enum": st.sampled_from([number for number, _, _ in DATA_TYPES]),
}
STYLES: dict[str, dict[str, bool]] = {
    "plain": {},
    "one line": {"as_one_line": True},
    "angle brackets": {"pointy_brackets": True},
    "short lists": {"use_short_repeated_primitives": True},
    "in order of numbers": {"use_index_order": True},
    "UTF-8": {"as_utf8": True},
    "all": {"as_one_line": True, "pointy_brackets": True, "use_short_repeated_primitives": True, "as_utf8": True},
}


def fill(draw: Callable[[st.SearchStrategy[Any]], Any], wire: Any, name: str, depth: int = 0) -> None:
    """Sets some fields of a message, and of those within."""
    fields = sorted((fields_of(name) or {}).items())
    if not fields:
        return
    for field_name, field in draw(st.lists(st.sampled_from(fields), max_size=4 if depth else 6, unique_by=lambda item: item[0])):
        times = draw(st.integers(0, 3)) if field.repeated else 1
        for _ in range(times):
            if field.kind in SCALARS:
                value = draw(SCALARS[field.kind])
                if field.repeated:
                    getattr(wire, field_name).append(value)
                else:
                    setattr(wire, field_name, value)
                continue
            inner = getattr(wire, field_name).add() if field.repeated else getattr(wire, field_name)
            inner.SetInParent()
            fill(draw, inner, field.kind, depth + 1)


@st.composite
def jobs(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Any:
    wire = message()
    fill(draw, wire, "Job")
    return wire


def plain(value: Any) -> Any:
    """Values as they compare: a NaN is one."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return "nan" if isinstance(value, float) and math.isnan(value) else (type(value), value)


def statements(found: Any) -> dict[tuple[str, str], list[Any]]:
    """All that statements say, however they are cut; a section's own fields among those of the others."""
    said: dict[tuple[str, str], list[Any]] = {}
    statement: Statement
    for statement in found:
        assert statement.unknown == ()
        value = statement.value()
        if statement.field:
            said.setdefault((statement.section, statement.field), []).extend(value if isinstance(value, list) else [value])
    return {key: plain(values) for key, values in said.items()}


@pytest.mark.drawn
@settings(max_examples=200)
@given(jobs(), st.sampled_from(sorted(STYLES)))
def test_what_the_library_prints_reads_as_what_it_serializes(wire: Any, style: str) -> None:
    text = text_format.MessageToString(wire, **STYLES[style])
    by_text = statements(job_text.job_statements(Source("text", text)))
    with thoroughly():
        assert statements(job_text.job_statements(Source("text", text))) == by_text
    by_wire = statements(job_wire.job_statements(wire.SerializeToString(), "wire"))
    assert by_text == by_wire


@pytest.mark.parametrize("stem", WITH_JOBS)
@pytest.mark.parametrize("style", STYLES)
def test_a_real_job_in_every_style(stem: str, style: str) -> None:
    data = content(stem, "job.pb")
    wire = message()
    wire.ParseFromString(data)
    wire.DiscardUnknownFields()
    text = text_format.MessageToString(wire, **STYLES[style])
    assert statements(job_text.job_statements(Source("text", text))) == statements(job_wire.job_statements(data, "wire"))
