"""The two ways of reading a job's text, the quick and the thorough one: the same graph or the same error, and the quick one is taken."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from google.protobuf import text_format
from jobs import CONF, FIXTURES, W, X, both_ways, job, message, read, user

from irflops import Graph
from irflops.errors import Source
from irflops.ir.sbp import Sbp
from irflops.readers.job import job_cut, job_text
from irflops.readers.text.skeleton import Skeletons

JOBS = sorted(path for path in FIXTURES.rglob("*.gz") if path.name.endswith((".prototxt.gz", ".job.pb.gz")))
PRINTED = [path for path in JOBS if not (path.name.endswith(".pb.gz") and path.with_name(path.name.replace(".pb.", ".prototxt.")) in JOBS)]


def text_of(path: Path) -> str:
    """The text of a job, of a binary one as the library prints it."""
    data = gzip.decompress(path.read_bytes())
    if path.name.endswith(".prototxt.gz"):
        return data.decode()
    wire = message()
    wire.ParseFromString(data)
    wire.DiscardUnknownFields()
    printed: str = text_format.MessageToString(wire)
    return printed


@contextmanager
def read_by_grammar() -> Iterator[list[str]]:
    """The texts that Lark is given."""
    given: list[str] = []
    parse = Skeletons._parse

    def noted(self: Skeletons[object], text: str, parts: list[str]) -> object:
        given.append(text)
        return parse(self, text, parts)

    with mock.patch.object(Skeletons, "_parse", noted):
        yield given


@pytest.mark.parametrize("path", PRINTED, ids=lambda path: path.relative_to(FIXTURES).as_posix())
def test_a_job_reads_the_same_both_ways(path: Path) -> None:
    assert isinstance(both_ways(text_of(path)), Graph)


@pytest.mark.parametrize("form", ["job.prototxt", "fwd.prototxt"])
def test_what_protobuf_prints_goes_the_quick_way(form: str) -> None:
    """To its end: nothing is left for the thorough one, and the grammar sees one statement of each arrangement."""
    text = text_of(FIXTURES / f"densenet121.{form}.gz")
    left: list[object] = []
    by_marks = job_cut.by_marks

    def noted(source: Source, cursor: object) -> Iterator[object]:
        for number, piece in enumerate(by_marks(source, cursor)):  # type: ignore[arg-type]  # a Cursor
            left.extend([piece] * (number > 0))  # the first may be that of a new arrangement
            yield piece

    with mock.patch.object(job_text, "by_marks", noted), read_by_grammar() as given:
        assert len(read(text).ops) > 1000
    assert left == []
    assert sum(map(len, given)) < len(text) / 50
    assert len(given) < 50


# ---------------------------------------------------------------- what is told by its arrangement

LINES = """\
net {
  op {
    name: "x"
    input_conf {
      out: "out"
      blob_conf {
        shape {
          dim: 2
          dim: 8
        }
        data_type: kFloat
      }
    }
  }
%s}
job_conf {
  job_name: "G_0"
  predict_conf {
  }
}
%s"""


def op(name: str, *fields: str) -> str:
    return "\n".join([f'  op {{\n    name: "{name}"', *fields, "  }\n"])


def relu(name: str, attr: str = "") -> str:
    tensors = f'input {{ key: "in" value {{ s: "x/out" }} }} output {{ key: "out" value {{ s: "{name}/out_0" }} }}'
    return op(name, f'    user_conf {{ op_type_name: "relu" {tensors} {attr} }}')


def lines(*ops: str, rest: str = "") -> str:
    return LINES % ("".join(ops), rest)


def attrs(text: str) -> list[object]:
    graph = both_ways(text)
    assert isinstance(graph, Graph), graph
    return [found.attrs.get("a") for found in graph.ops[1:]]


@pytest.mark.parametrize(
    ("first", "second", "value"),
    [
        ("at_string: 'b'", "at_string: 'c\"'", 'c"'),
        ('at_string: "b"', 'at_string: "c\\""', 'c"'),
        ('at_string: "b"', 'at_string: "c\\\\"', "c\\"),
        ('at_string: "b"', 'at_string: "c" "d"', "cd"),
        ('at_string: "b" "c"', 'at_string: "d" "e"', "de"),
        ('at_string: "b" "c"', 'at_string: "d" "e" "f"', "def"),
        ('at_string: "b"', 'at_string: "{"', "{"),
        ('at_string: "b"', 'at_string: "\\n  }\\n"', "\n  }\n"),
        ('at_string: "b"', 'at_string: "c" # "d"\n', "c"),
        ('at_string: "b"', 'at_string: "c" # it\'s\n', "c"),
        ('at_string: "b"', 'at_string: "# c"', "# c"),
        ("at_int32: 1", "at_int32: -0x2", -2),
        ("at_int32: 1 # 2\n", "at_int32: 3 # 4\n", 3),
        ("at_float: 1", "at_float: .5", 0.5),
        ('at_list_string { val: "b" }', 'at_list_string { val: "c" val: "d" }', ("c", "d")),
        ('at_list_string { val: "b" }', 'at_list_string { val: "c" val: "d" val: "e" val: "f" }', ("c", "d", "e", "f")),
        ('at_list_string { val: "b" val: "b" val: "b" }', 'at_list_string { val: "c" val: "d\\303\\251" }', ("c", "d\u00e9")),
        (
            'at_list_string { val: "b" val: "b" val: "b" }',
            'at_list_string { val: "c" val: "d" val: "\\303\\251" val: "f" }',
            ("c", "d", "é", "f"),
        ),
        ('at_list_string { val: "b" val: "b" val: "b" }', 'at_list_string { val: "c" val: "d" val: "e" "f" }', ("c", "d", "ef")),
        (
            'at_list_string { val: "b" val: "b" val: "b" "b" }',
            'at_list_string { val: "c" val: "d" val: "e" val: "f" "g" }',
            ("c", "d", "e", "fg"),
        ),
        ('at_list_string { val: ["b", "b", "b"] }', 'at_list_string { val: ["c", "d"] }', ("c", "d")),
        ("at_list_int32 { val: 1 val: 2 }", "at_list_int32 { val: 3 val: 4 val: 5 }", (3, 4, 5)),
    ],
)
def test_each_has_its_own_values(first: str, second: str, value: object) -> None:
    """Those of the first of an arrangement are no other's."""
    text = lines(*(relu(f"r{i}", f'attr {{ key: "a" value {{ {attr} }} }}') for i, attr in enumerate((first, second, first))))
    before, found, after = attrs(text)
    assert found == value
    assert before == after


ENTRY = """\
      bn_in_op2nd_sbp {
        key: "in_%d"
        value {
          sbp_parallel {
            %s
            }
          }
        }
      }
"""
B, P, S = "broadcast_parallel {", "partial_sum_parallel {", "split_parallel {\n              axis: 1"


@pytest.mark.parametrize(
    "entries", [[], [B], [P] * 2, [B] * 3, [B] * 4, [B] * 100, [B] * 99 + [P], [B] * 4 + [S], [S] * 4 + [B], [P, P, P, B, B, B]]
)
def test_entries_of_a_map_many_times_in_a_row(entries: list[str]) -> None:
    """Messages with one string each, as the signatures of an operator with many operands; the grammar sees few of them."""
    every = ([B] * 5, entries, [B] * 7)
    adds, signatures = [], ""
    for number, sbp in enumerate(every):
        reads = "s: 'x/out' " * len(sbp)
        adds.append(op(f"a{number}", f'    user_conf {{ op_type_name: "add_n" input {{ key: "in" value {{ {reads} }} }} }}'))
        entry = "".join(ENTRY % one for one in enumerate(sbp))
        signatures += f'  op_name2nd_sbp_signature_conf {{\n    key: "a{number}"\n    value {{\n{entry}    }}\n  }}\n'
    with read_by_grammar() as given:
        graph = both_ways(lines(*adds, rest=f"job_parallel_view_conf {{\n{signatures}}}\n"))
    assert isinstance(graph, Graph)
    found = [[operand.nd_sbp for operand in op.inputs] for op in graph.ops[1:]]
    word = {B: (Sbp("B"),), P: (Sbp("P"),), S: (Sbp("S", 1),)}
    assert found == [[word[one] for one in sbp] for sbp in every]
    assert len(set(entries)) > 1 or max(text.count("bn_in_op2nd_sbp") for text in given[: len(given) // 2]) <= 5


def test_an_unknown_field_is_counted_as_often_as_it_is_given() -> None:
    (note,) = both_ways(lines(op("a", *['    novelty: "b"'] * 7))).notes  # type: ignore[union-attr]  # it reads
    assert note.text.startswith("7 fields of the job are not known here ('novelty')")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (['    name: "b"'] * 5, "name is given twice"),
        (['    scope_symbol_id: "b"'], "scope_symbol_id takes an integer, not a string"),
        (['    user_conf { op_type_name: "b"', "    }"] * 5, "user_conf is given twice"),
        (['    ctrl_in_op_name: "b"'] * 5 + ["    ctrl_in_op_name: 1"], "ctrl_in_op_name takes a string, not a number"),
        (['    ctrl_in_op_name: "b"'] * 5 + ['    ctrl_in_op_name "b"'], "expected"),
        (['    ctrl_in_op_name: "b'], "a string without an end"),
        (['    loc: "b" }', "    {"], "expected '[name]' or a name, got '{'"),
    ],
)
def test_a_fault_behind_many_alike_is_told_at_its_place(fields: list[str], said: str) -> None:
    good = op("a", *['    ctrl_in_op_name: "b"'] * 9)
    assert isinstance(both_ways(lines(good)), Graph)
    error = both_ways(lines(good, op("c", *fields)))
    assert isinstance(error, str)
    assert said in error


# ---------------------------------------------------------------- what is passed over

PASSED = {
    "blob_placement_group": "placement {\n  blob_placement_group {\n%s  }\n}\n",
    "op_name2arg_signature": "helper {\n  op_name2arg_signature {\n%s  }\n}\n",
}


@pytest.mark.parametrize("field", PASSED)
@pytest.mark.parametrize(
    "inner", ['    lbi {\n      op_name: "a"\n    }\n', "    anything: at all\n", "    no sense\n", '    "}"\n', "    # }\n", ""]
)
def test_what_nobody_reads_is_passed_over(field: str, inner: str) -> None:
    with read_by_grammar() as given:
        graph = both_ways(lines(rest=PASSED[field] % inner))
    assert isinstance(graph, Graph)
    assert graph.notes == ()
    assert [text for text in given if field in text] == []


@pytest.mark.parametrize("field", PASSED)
@pytest.mark.parametrize(
    ("inner", "line", "said"),
    [
        ("    lbi {\n", 25, "the job is cut off: its last braces are missing"),
        ("    }\n", 25, "'}' closes nothing that is open"),
        ('    lbi {\n      op_name: "a\n    }\n', 24, "a string without an end on its line"),
        ("    lbi {\n    >\n", 24, "'>' closes nothing that is open"),
        ("    " + "a {" * 100 + "}" * 100 + "\n", 23, "messages nested deeper than 100 levels"),
    ],
)
def test_what_is_passed_over_ends_its_strings_and_has_its_braces_in_pairs(field: str, inner: str, line: int, said: str) -> None:
    error = both_ways(lines(rest=PASSED[field] % inner))
    assert isinstance(error, str)
    assert said in error
    assert error.startswith(f"<string>:{line}:"), error


def test_jobs_of_these_tests_are_jobs() -> None:
    assert isinstance(both_ways(job(X, W, user("r", "relu", "in=x/out out=r/out_0"), conf=CONF)), Graph)
    assert attrs(lines(relu("r"))) == [None]
