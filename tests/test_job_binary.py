"""Jobs in protobuf's wire format: the same graph as the text's, and damage told with its byte."""

from __future__ import annotations

import random

import pytest
from counts import check_counts
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import CONF, WITH_JOBS, W, X, binary, content, job, read, unplaced, user

import irflops
from irflops import Graph, IrflopsError
from irflops.errors import GraphSyntaxError, NotAGraphError

PLAIN = job(X, W, user("a-matmul-0", "matmul", "a=x/out b=m.w/out out=a-matmul-0/out_0", 'attr { key: "alpha" value { at_double: 1 } }'))
VARINT, FIXED64, SIZED, GROUP, END, FIXED32 = range(6)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def tag(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def sized(number: int, body: bytes) -> bytes:
    return tag(number, SIZED) + varint(len(body)) + body


def operator(body: bytes) -> bytes:
    """A job of one operator, its message as given."""
    return sized(1, sized(1, body)) + binary(CONF)


def error_of(data: bytes) -> IrflopsError:
    with pytest.raises(IrflopsError) as caught:
        irflops.loads(data, name="a.pb")
    return caught.value


@pytest.mark.parametrize("stem", WITH_JOBS)
def test_text_and_binary_give_one_graph(stem: str) -> None:
    text, wire = irflops.loads(content(stem, "job.prototxt")), irflops.loads(content(stem, "job.pb"))
    assert (text.format, wire.format) == ("job_text", "job_binary")
    assert unplaced(text) == unplaced(wire)


def test_what_was_written_out_gives_one_graph() -> None:
    assert unplaced(read(binary(PLAIN))) == unplaced(read(PLAIN))


# ---------------------------------------------------------------- cut off


@pytest.mark.parametrize("text", [PLAIN, job(X, W, rest='helper { lbn2logical_blob_desc { key: "x/out" value { data_type: kFloat } } }')])
def test_a_job_cut_off_at_any_byte(text: str) -> None:
    """One clear error with the byte; but behind job_conf, between fields of the job itself: that is a whole message, and a job as the
    forward one is. Nothing of what is lost there (sbp, shapes, the owners of operators) is then claimed.
    """
    data = binary(text)
    whole = len(binary(text[: text.index(CONF)] + CONF))
    for size in range(6, len(data)):
        if size == whole:
            assert [op.name for op in read(data[:size]).ops] == [op.name for op in read(data).ops]
            continue
        error = error_of(data[:size])
        assert isinstance(error, GraphSyntaxError), size
        assert f" {size}" in error.message
        assert "byte" in error.message
        assert "cut off" in f"{error.message} {error.hint}"
        assert (error.path, error.line) == ("a.pb", None)


def test_the_first_bytes_of_a_job_are_no_graph() -> None:
    data = binary(PLAIN)
    for size in range(6):
        assert isinstance(error_of(data[:size]), NotAGraphError)


def test_where_a_message_breaks_off_is_told() -> None:
    data = operator(sized(1, b"x"))
    assert error_of(data[:5]).message == "the binary job does not read: at byte 0 of 5, a field claims 5 bytes, and 3 are left"


# ---------------------------------------------------------------- wrong


@pytest.mark.parametrize(
    ("body", "offset", "reason"),
    [
        (tag(1, SIZED) + varint(1 << 40) + b"x", 4, "claims 1099511627776 bytes, and 1 are left"),
        (tag(1, SIZED) + b"\xff" * 9 + b"\x01x", 4, "claims 18446744073709551615 bytes, and 1 are left"),
        (sized(1, b"x") + b"\xff" * 12, 7, "a number without an end"),
        (sized(1, b"x") + tag(8, VARINT) + b"\xff" * 11 + b"\x01", 8, "a number without an end"),
        (sized(1, b"x") + tag(9, FIXED64) + b"123", 7, "claims 8 bytes, and 3 are left"),
        (sized(1, b"x") + tag(9, FIXED32) + b"1", 7, "claims 4 bytes, and 1 are left"),
        (sized(1, b"x") + tag(0, VARINT) + b"1", 7, "no field of a message begins here"),
        (sized(1, b"x") + tag(1 << 29, VARINT) + b"1", 7, "no field of a message begins here"),
        (sized(1, b"x") + tag(1, 6), 7, "no field of a message begins here"),
        (sized(1, b"x") + tag(1, 7), 7, "no field of a message begins here"),
        (sized(1, b"x") + tag(900, END), 7, "no field of a message begins here"),
        (sized(1, b"x") + tag(900, GROUP) + tag(901, END), 9, "no field of a message begins here"),
        (sized(1, b"x") + tag(900, GROUP), 9, "a group of fields has no end"),
        (sized(1, b"x") + tag(900, GROUP) * 150 + tag(900, END) * 150, 209, "messages nested deeper than 100 levels"),
    ],
)
def test_bytes_that_are_no_message_are_refused_at_their_place(body: bytes, offset: int, reason: str) -> None:
    data = operator(body)
    error = error_of(data)
    assert isinstance(error, GraphSyntaxError)
    assert f"at byte {offset} of {len(data)}, " in error.message
    assert reason in error.message
    assert error.hint is not None
    assert "SerializeToString" in error.hint


@pytest.mark.parametrize(
    "field",
    [
        tag(900, VARINT) + b"\1",
        tag(900, FIXED64) + b"12345678",
        sized(900, b"\xff\xff"),
        tag(900, FIXED32) + b"1234",
        sized(12, b"x"),
        tag(900, GROUP) + sized(1, b"x") + tag(900, END),
    ],
    ids=["varint", "64 bits", "sized", "32 bits", "another wire type", "a group"],
)
def test_unknown_fields_are_kept_apart(field: bytes) -> None:
    number = 12 if field.startswith(tag(12, SIZED)) else 900
    plain = operator(sized(1, b"x"))
    for data in (operator(sized(1, b"x") + field), plain + field if number == 900 else operator(sized(1, b"x") + field)):
        graph = read(data)
        (note,) = graph.notes
        assert note.code == "unknown-fields"
        assert note.text.startswith(f"1 field of the job is not known here ('field {number}')")
        assert unplaced(graph).ops == unplaced(read(plain)).ops


def test_unknown_fields_within_messages_are_kept_apart() -> None:
    body = sized(1, b"a-relu-0") + sized(199, sized(1, b"relu") + sized(77, b"?"))
    (note,) = read(operator(body)).notes
    assert "'field 77'" in note.text
    plain = operator(sized(1, b"x") + sized(122, sized(5, sized(77, b"?"))))  # of an initializer nothing is described, nothing is new
    assert read(plain).notes == ()


def test_a_field_of_another_wire_type_is_an_unknown_one() -> None:
    """So says protobuf; a name of that kind is none."""
    data = sized(1, sized(1, sized(1, b"x")) + sized(1, tag(1, VARINT) + b"\7")) + binary(CONF)
    assert "operator 2 of the job has no name" in error_of(data).message


def test_names_that_are_no_utf8_are_read() -> None:
    (op,) = read(operator(sized(1, b"a\xff\xc3\xa9"))).ops
    assert op.name == "a\ufffdé"


def test_a_job_given_twice_is_the_two_merged() -> None:
    """As protobuf has it: the same operators twice."""
    assert "'x' is defined twice" in error_of(binary(PLAIN) * 2).message


# ---------------------------------------------------------------- anything


@settings(max_examples=200)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12))
def test_edited_bytes(edits: list[tuple[float, int]]) -> None:
    data = bytearray(binary(PLAIN))
    for at, byte in edits:
        data[int(at * len(data))] = byte
    outcome(bytes(data))


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes_behind_the_beginning_of_a_job(tail: bytes) -> None:
    outcome(b"\n" + varint(len(tail) + 30) + b"\n" + varint(len(tail) + 20) + b"\n\1x" + tail)
    outcome(operator(sized(1, b"x") + tail))


def test_random_bytes() -> None:
    dice = random.Random(7)  # noqa: S311 - no secret
    for size in range(0, 3000, 7):
        outcome(dice.randbytes(size))
        outcome(b"\n\x80\x02\n\x40\n\1x" + dice.randbytes(size))


def outcome(data: bytes) -> Graph | None:
    """The graph, or None after one clear error."""
    try:
        graph = irflops.loads(data)
        check_counts(irflops.analyze(graph))
    except IrflopsError as error:
        text = str(error)
        assert all(c.isprintable() or c in "\n\t" for c in text), ascii(text)
        assert len(text) < 3000
        return None
    return graph
