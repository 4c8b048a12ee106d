"""The text format of protobuf, element by element, as a job uses it; and what is said of texts that do not read."""

from __future__ import annotations

import codecs
import math
import struct
from collections.abc import Callable

import pytest
from jobs import CONF, W, X, both_ways, content, job, read, unplaced, user

import irflops
from irflops.errors import GraphSyntaxError
from irflops.ir.graph import AttrValue, DType, TensorType


def attr_of(value: str) -> AttrValue:
    """The attribute that an AttrValue with that text gives."""
    graph = read(job(X, user("a-relu-0", "relu", "in=x/out out=a-relu-0/out_0", f'attr {{ key: "a" value {{ {value} }} }}')))
    return graph.by_name["a-relu-0"].attrs["a"]


def single(value: float) -> float:
    rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return rounded


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("at_int32: 7", 7),
        ("at_int32: -7", -7),
        ("at_int32: - 7", -7),
        ("at_int32:-0x1F", -31),
        ("at_int32: 0X1f", 31),
        ("at_int32: 017", 15),
        ("at_int32: 0", 0),
        ("at_int32: -2147483648", -(2**31)),
        ("at_int64: 9223372036854775807", 2**63 - 1),
        ("at_int64: 0x7fffffffffffffff", 2**63 - 1),
        ("at_bool: true", True),
        ("at_bool: True", True),
        ("at_bool: t", True),
        ("at_bool: 1", True),
        ("at_bool: false", False),
        ("at_bool: 0", False),
        ("at_float: 1.5", 1.5),
        ("at_float: 1.5f", 1.5),
        ("at_float: 15F", 15.0),
        ("at_float: .5", 0.5),
        ("at_float: 1.", 1.0),
        ("at_float: -1e-3f", single(-1e-3)),
        ("at_float: 1E+5", 1e5),
        ("at_float: 0.1", single(0.1)),
        ("at_double: 0.1", 0.1),
        ("at_float: 1e39", math.inf),
        ("at_float: inf", math.inf),
        ("at_float: -inf", -math.inf),
        ("at_float: - infinity", -math.inf),
        ("at_double: INF", math.inf),
        ("at_double: inff", math.inf),
        ("at_data_type: kFloat16", "float16"),
        ("at_data_type: 6", "int64"),
        ("at_list_int32 { }", ()),
        ("at_list_int32 { val: [] }", ()),
        ("at_list_int32 { val: [ ] }", ()),
        ("at_list_int32 { val: [1] }", (1,)),
        ("at_list_int32 { val: [1, 2], val: 3; val: [-4,0x5] }", (1, 2, 3, -4, 5)),
        ("at_list_int32: { val: 1 }", (1,)),
        ("at_list_int64 < val: 1 val: 2 >", (1, 2)),
        ("at_list_float { val: [1, .5f, -inf] }", (1.0, 0.5, -math.inf)),
        ("at_list_string { val: ['a' \"b\", 'c'] }", ("ab", "c")),
        ("at_list_data_type { val: [kFloat, kBool] }", ("float32", "bool")),
        ("at_shape { dim: [2, 3] }", (2, 3)),
        ("at_shape: < dim: 2, dim: 3; >", (2, 3)),
        ("at_stride { dim: 3 dim: 1 }", (3, 1)),
        ("at_list_shape { val: [{ dim: 1 }, < dim: [2, 3] >, { }] }", ((1,), (2, 3), ())),
        ("at_list_shape { val [{ dim: 1 }] val { dim: 2 } }", ((1,), (2,))),
        ("at_int32: # seven\n 7 # }\n", 7),
    ],
)
def test_values(text: str, value: AttrValue) -> None:
    found = attr_of(text)
    assert found == value
    assert type(found) is type(value)


def test_a_nan_is_one() -> None:
    for text in ("nan", "-nan", "NaN"):
        value = attr_of(f"at_float: {text}")
        assert isinstance(value, float)
        assert math.isnan(value)


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ('"a"', "a"),
        ("'a'", "a"),
        ("''", ""),
        ('"it\'s"', "it's"),
        ("'say \"so\"'", 'say "so"'),
        (r'"\"\'\\\?"', "\"'\\?"),
        (r'"\n\t\r\a\b\f\v"', "\n\t\r\a\b\f\v"),
        (r'"\303\251"', "é"),
        (r'"\360\237\230\200"', "\U0001f600"),
        (r'"\0\1018"', "\0A8"),
        (r'"\xc3\XA9"', "é"),
        (r'"\x41g"', "Ag"),
        (r'"\u00e9\U0001F600"', "é\U0001f600"),
        (r'"\377x"', "\ufffdx"),
        (r'"\ud800"', "?"),
        (r'"\UFFFFFFFF"', "\ufffd"),
        ('"é\U0001f600"', "é\U0001f600"),
        ('"a" \'b\'\n"c"', "abc"),
        (r'"\303" "\251"', "é"),
        ('"{}<>[]#;,: 1 -inf"', "{}<>[]#;,: 1 -inf"),
        ('"a"  # not "this"\n "b"', "ab"),
    ],
)
def test_strings(literal: str, value: str) -> None:
    assert attr_of(f"at_string: {literal}") == value


SAME: dict[str, Callable[[str], str]] = {
    "comments": lambda text: text.replace("\n", " # a { comment } with 'quotes\n"),
    "comments before and behind": lambda text: f"# net {{ op }}\n\n#\n{text}# the end",
    "a comment before a brace": lambda text: text.replace("net {", "net # op\n {").replace("op {", "op # net\n{"),
    "angle brackets": lambda text: text.replace("{", "<").replace("}", ">"),
    "angle brackets within": lambda text: text.replace("{ dim: 2 dim: 8 }", "< dim: 2 dim: 8 >"),
    "colons before messages": lambda text: text.replace(" {", ": {"),
    "commas": lambda text: text.replace("}", "},").replace("dim: 2", "dim: 2,").replace("{},", "{}"),
    "semicolons": lambda text: text.replace("}", "} ;").replace("dim: 2", "dim: 2;"),
    "a separator behind a comment": lambda text: text.replace("}\njob_conf", "} # so far\n; job_conf").replace("} }\n", "} } #\n,\n"),
    "no white space": lambda text: " ".join(text.split()).replace(" {", "{").replace("{ ", "{").replace(" }", "}").replace(": ", ":"),
    "tabs": lambda text: text.replace(" ", "\t"),
    "numbers in short": lambda text: text.replace("dim: 2 dim: 8", "dim: [2, 8]"),
    "strings in short": lambda text: text.replace('s: "x/out"', "s: ['x/out']"),
    "messages in short": lambda text: text.replace("op {", "op [{").replace("} }\n", "} }]\n", 3),
    "messages of one list": lambda text: text.replace("op {", "op: [{", 1).replace("}\n  op {", "},\n  {").replace("\n}\njob", "]\n}\njob"),
    "a section in two": lambda text: text.replace("\n  op", "\n}\nnet {\n  op", 1),
    "a configuration in two": lambda text: text.replace("} }\n", "} }\n").replace("predict_conf { }", "} job_conf { predict_conf { }"),
    "another order": lambda text: f"{CONF}\n{text.replace(CONF, '')}",
    "adjacent strings": lambda text: text.replace('"x/out"', '"x"\n"/" \'out\''),
    "Windows line ends": lambda text: text.replace("\n", "\r\n"),
    "blanks before and behind": lambda text: f"\n \t\n{text}\n\n ",
}
PLAIN = job(X, W, user("a-matmul-0", "matmul", "a=x/out b=m.w/out out=a-matmul-0/out_0", 'attr { key: "alpha" value { at_double: 1 } }'))


@pytest.mark.parametrize("name", SAME)
def test_one_job_in_other_words(name: str) -> None:
    text = SAME[name](PLAIN)
    assert text != PLAIN
    assert unplaced(read(text)) == unplaced(read(PLAIN))
    both_ways(text)


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings(codec: str) -> None:
    data = PLAIN.replace("\n", "\r\n").encode(codec)
    if codec.endswith("sig"):
        assert data.startswith(codecs.BOM_UTF8)
    assert unplaced(read(data)) == unplaced(read(PLAIN))


def test_ops_are_where_the_text_has_them() -> None:
    graph = read(PLAIN)
    assert [graph.source.line(op.span.start) for op in graph.ops if op.span is not None] == [2, 3, 4]
    op = graph.by_name["a-matmul-0"]
    assert op.span is not None
    assert graph.source.text[op.span.start : op.span.end].strip() == PLAIN.splitlines()[3].strip()


# ---------------------------------------------------------------- what is not known


@pytest.mark.parametrize(
    "field",
    [
        "novelty: 1",
        'novelty: "a" "b"',
        "novelty: inf",
        "novelty: -x",
        "novelty { a { b: 1 } }",
        "novelty: [1, 2]",
        "novelty [{ a: 1 }, { }]",
        "[irflops.novelty]: 1",
        "[a.b/c.d-e] { x: 1 }",
        "[ a.b ]: 'x'",
    ],
)
@pytest.mark.parametrize("place", ["operator", "attribute", "job"])
def test_unknown_fields_are_kept_apart(field: str, place: str) -> None:
    """They are named in a note, and nothing else changes."""
    where = {"operator": "user_conf {", "attribute": "value { at", "job": "job_conf {"}[place]
    text = PLAIN.replace(where, f"{field} {where}", 1) if place != "attribute" else PLAIN.replace(where, f"value {{ {field} at")
    graph = read(text)
    (note,) = graph.notes
    assert note.code == "unknown-fields"
    assert field.partition(":")[0].split(" {")[0].split(" [{")[0] in note.text
    assert note.text.startswith("1 field of")
    assert unplaced(read(PLAIN)).ops == unplaced(graph).ops


def test_fields_of_messages_that_are_known_in_part_are_no_news() -> None:
    assert read(job(X, W, conf=CONF.replace("predict_conf", "some_flag: true predict_conf"))).notes == ()


def test_what_nobody_describes_is_passed_over() -> None:
    graph = read(job(X, W.replace("shape", "initializer { constant_conf { value: 1 } any: [x, 'y'] } shape")))
    assert graph.by_name["m.w"].outputs[0].type == TensorType((4, 8), DType.FLOAT32)
    assert graph.notes == ()


# ---------------------------------------------------------------- what does not read

BROKEN: list[tuple[str, str, str, str]] = [
    # what is written for what, where the caret stands, and what is said
    ("dim: 2 dim", "dim 2 dim", "2 dim", "expected"),
    ("dim: 2 dim", "dim: dim: dim", ": dim: 8", "unexpected ':'"),
    ("dim: 2", "dim: two", "two", "dim takes an integer, not 'two'"),
    ("dim: 2", "dim: 2.5", "2.5", "dim takes an integer, not '2.5'"),
    ("dim: 2", "dim: 08", "08", "dim takes an integer, not '08'"),
    ("dim: 2", 'dim: "2"', '"2"', "dim takes an integer, not a string"),
    ("dim: 2", "dim { a: 2 }", "dim { a", "dim takes an integer, not a message"),
    ("dim: 2", "dim: 9223372036854775808", "9223372036854775808", "dim is out of range for int64"),
    ("dim: 2", f"dim: {'9' * 5000}", "999", "dim takes an integer, not"),
    ("dim: 2", "dim: [1, [2]]", "[2]]", "got '['"),
    ("dim: 2", "dim: [1 2]", "2]", "got '2'"),
    ("dim: 2", "dim: [1, 2", "dim: 8", "got 'dim'"),
    ("dim: 2", "dim: 2,, ", ", ", "got ','"),
    ("data_type: kFloat", "data_type { }", "data_type { }", "data_type takes a data type, not a message"),
    ("at_double: 1", "at_double: one", "one", "at_double takes a number, not 'one'"),
    ("at_double: 1", "at_double: 1_0", "1_0", "at_double takes a number, not '1_0'"),
    ("at_double: 1", "at_double: 0x10", "0x10", "at_double takes a number, not '0x10'"),
    ("at_double: 1", "at_bool: 2", "2 }", "at_bool takes true or false, not '2'"),
    ("at_double: 1", "at_bool: maybe", "maybe", "at_bool takes true or false, not 'maybe'"),
    ("at_double: 1", "at_shape: 1", "1 }", "at_shape takes a message, not a number"),
    ("at_double: 1", "at_shape: x", "x }", "at_shape takes a message, not 'x'"),
    ("at_double: 1", "at_int32: 2147483648", "2147483648", "at_int32 is out of range for int32"),
    ('name: "x"', "name: x", "x input", "name takes a string, not 'x'"),
    ('name: "x"', "name: 1", "1 input", "name takes a string, not a number"),
    ('name: "x"', 'name: "x" name: "y"', 'name: "y"', "name is given twice"),
    ('name: "x"', 'name: ["x", "y"]', 'name: ["x"', "name is given twice"),
    ('name: "x"', 'name: "x', '"', "a string without an end"),
    ('name: "x"', 'name: "x\n"', '"x', "a string without an end"),
    ('name: "x"', "name: 'x", "'x input", "a string without an end"),
    ('name: "x"', "name:", "{ out", "unexpected '{'"),
    ('name: "x"', "name", "input_conf {", "got 'input_conf'"),
    ('name: "x"', ': "x"', ': "x"', "got ':'"),
    ('name: "x"', 'name: "x" }', "}", "closes nothing that is open"),
    ('name: "x"', 'name: "x" ]', "] input", "unexpected ']'"),
    ("dim: 8 }", "dim: 8 >", ">", "'>' closes nothing that is open"),
]


@pytest.mark.parametrize(("old", "new", "at", "message"), BROKEN)
def test_a_text_that_does_not_read_is_refused_at_its_place(old: str, new: str, at: str, message: str) -> None:
    text = job(X, W, user("a-matmul-0", "matmul", "a=x/out b=m.w/out out=a-matmul-0/out_0", 'attr { key: "alpha" value { at_double: 1 } }'))
    line = next(number for number, line in enumerate(text.splitlines(), 1) if old in line)
    broken = text.replace(old, new, 1)
    with pytest.raises(GraphSyntaxError) as caught:
        irflops.loads(broken, name="a.job.txt")
    both_ways(broken)
    error = caught.value
    assert message in error.message
    assert error.excerpt is not None
    assert error.column is not None
    assert error.excerpt[error.column - 1 :].startswith(at)
    assert error.excerpt in broken.splitlines()
    if "closes" not in message:
        assert error.line == line
    assert str(error).startswith(f"a.job.txt:{error.line}:{error.column}: error: {error.message}\n")


def test_a_place_in_full() -> None:
    with pytest.raises(GraphSyntaxError) as caught:
        irflops.loads(PLAIN.replace("dim: 4", "dim: 4.5"), name="a.txt")
    assert str(caught.value).splitlines() == [
        "a.txt:3:60: error: dim takes an integer, not '4.5'",
        '   3 |   op { name: "m.w" variable_conf { out: "out" shape { dim: 4.5 dim: 8 } data_type: kFloat } }',
        f"     | {'^^^':>62}",
    ]


def test_messages_nested_deep() -> None:
    deep = "a { " * 98 + "}" * 98
    assert read(PLAIN.replace("predict_conf { }", f"predict_conf {{ {deep} }}")).notes == ()
    with pytest.raises(GraphSyntaxError, match="nested deeper than 100 levels") as caught:
        read(PLAIN.replace("predict_conf { }", f"predict_conf {{ a {{ {deep} }} }}"))
    assert caught.value.line == 6


@pytest.mark.drawn
@pytest.mark.parametrize("form", ["job.prototxt", "fwd.prototxt"])
def test_a_text_cut_off_anywhere_is_an_error(form: str) -> None:
    """But at the end of a section behind job_conf: what follows there may as well never have been."""
    text = content("basic_block", form).decode().rstrip()
    whole = text.index("\n}\n", text.index("\njob_conf {")) + 2
    ends = [at + 2 for at in range(whole - 2, len(text)) if text.startswith("\n}\n", at)]
    cuts = {*range(10, len(text), max(1, len(text) // 400)), *(end + extra for end in ends for extra in (-1, 0, 1, 2))}
    for number, size in enumerate(sorted(cuts)):
        if size >= whole and text[:size].rstrip().endswith("\n}"):
            assert read(text[:size]).ops
            continue
        if number % 10 == 0:
            both_ways(text[:size])
        with pytest.raises(GraphSyntaxError) as caught:
            read(text[:size])
        assert caught.value.line == text[:size].rstrip().count("\n") + 1, size
