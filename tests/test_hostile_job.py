"""Jobs made to hurt, as text and in the wire format; see test_hostile.py."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import chain, islice, product
from string import ascii_lowercase

import pytest
from hostile import BYTES, Attack, attack, outcome, report, withstand
from jobs import CONF, W, X, binary, both_ways, job, user

from irflops.errors import GraphSyntaxError

RELU = user("m-relu-0", "relu", "in=x/out out=m-relu-0/out_0")
NAME = 'op { name: "%s" }'
ADD = 'op { name: "a" user_conf { op_type_name: "add_n" input { key: "in" value { %s } } } }'
SIGNED = 'key: "%d" value { bn_in_op2nd_sbp { key: "a" value { sbp_parallel { split_parallel { axis: %d } } } } }'


def within(text: str) -> str:
    """A job with that text at each level where something may stand."""
    return job(X, text)


def repeated(text: str, size: int) -> str:
    return text * (size // len(text.encode()) + 1)


def words(count: int) -> list[str]:
    """Different words, and as short."""
    by_length = (map("".join, product(ascii_lowercase, repeat=length)) for length in range(1, 9))
    return list(islice(chain.from_iterable(by_length), count))


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def sized(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def wire(*net: bytes, rest: bytes = b"") -> bytes:
    """A binary job with those fields in its net."""
    return sized(1, b"".join([sized(1, sized(1, b"x")), *net])) + binary(CONF) + rest


def entries(section: str, entry: str, count: int) -> str:
    return f"{section} {{\n" + "\n".join(entry.replace("%d", str(number)) for number in range(count)) + "\n}\n"


def in_lines(statement: Callable[[int], str], count: int) -> str:
    """A job whose statements stand in lines as protobuf prints them, each with its number."""
    return "net {\n" + "".join(f"  op {{\n{statement(number)}\n  }}\n" for number in range(count)) + f"}}\n{CONF}\n"


IN_LINES: dict[str, Attack] = {
    "alike": lambda n: in_lines(lambda i: f'    name: "o{i}"', n // 24),
    "numbers": lambda n: in_lines(lambda i: f'    scope_symbol_id: {i}\n    name: "o{i}"', n // 50),
    "all distinct": lambda n: in_lines(lambda i: f'    w{i}: "o"\n    name: "o"', n // 45),
    "longer and longer": lambda n: in_lines(lambda i: '    a: "o"\n    b: "o"\n' * i, int((n / 10) ** 0.5)),
    "fields in a row": lambda n: in_lines(lambda _: repeated('    ctrl_in_op_name: "o"\n', n) + '    name: "o"', 1),
    "messages in a row": lambda n: in_lines(
        lambda _: '    name: "o"\n    user_conf {\n' + repeated('      attr {\n        key: "a"\n      }\n', n) + "    }", 1
    ),
    "strings in a row": lambda n: in_lines(lambda _: '    name: "o"' + ' ""' * (n // 3), 1),
    "one that is not plain": lambda n: in_lines(lambda i: f"    name: 'o{i}'", n // 24),
    "without an end": lambda n: in_lines(lambda i: f'    name: "o{i}"', n // 24).replace("  }\n", "   }\n"),
    "the first without an end": lambda n: in_lines(lambda i: f'    name: "o{i}"', n // 24).replace("  }\n", "", 1),
    "quotes": lambda n: in_lines(lambda i: f'    name: "o{i}\\""', n // 24),
    "passed over": lambda n: job(X, rest="helper {\n" + repeated('  op_name2arg_signature {\n    key: "o"\n  }\n', n) + "}\n"),
    "passed over, all distinct": lambda n: job(
        X, rest="helper {\n" + "".join(f'  op_name2arg_signature {{\n    w{i}: "o"\n  }}\n' for i in range(n // 50)) + "}\n"
    ),
    "passed over, one": lambda n: job(
        X, rest="placement {\n  blob_placement_group {\n" + repeated('    lbi {\n      op_name: "o"\n    }\n', n) + "  }\n}\n"
    ),
    "braces": lambda n: in_lines(lambda _: "    a " + "{}" * (n // 2), 1),
    "white space": lambda n: in_lines(lambda _: f'    name:{" " * n}"o"', 1),
}
TEXTS: dict[str, Attack] = {
    **{f"in lines, {name}": content for name, content in IN_LINES.items()},
    "deep nesting": lambda n: within("a { " * (n // 5) + "}" * (n // 5)),
    "deep nesting of lists": lambda n: within("a: " + "[" * n),
    "deep nesting at the top": lambda n: "net { " * (n // 6),
    "nesting at the limit": lambda n: within(repeated("a { " * 90 + "}" * 90 + "\n", n)),
    "a million fields": lambda n: within(f"op {{ {repeated('a: 1 ', n)} }}"),
    "a million fields of the job": lambda n: repeated("a: 1 ", n) + job(X),
    "a million messages": lambda n: within(repeated("op { } ", n)),
    "a million messages of the job": lambda n: repeated("helper { } ", n) + job(X),
    "a million lists": lambda n: within(repeated("op [{}] ", n)),
    "a list of messages": lambda n: f"net {{ op: [{repeated('{},', n)}{{}}] }} {CONF}",
    "a list of numbers": lambda n: within(X.replace("dim: 2 dim: 8", f"dim: [{repeated('1,', n)}1]").replace('"x"', '"y"')),
    "numbers one by one": lambda n: within(X.replace("dim: 2 dim: 8", repeated("dim: 1 ", n)).replace('"x"', '"y"')),
    "a list of an attribute": lambda n: job(
        X,
        user("a-reshape-0", "reshape", "in=x/out out=y", f'attr {{ key: "shape" value {{ at_shape {{ dim: [{repeated("1,", n)}1] }} }} }}'),
    ),
    "lists of every length": lambda n: within(
        "\n".join(f"op {{ name: 'o{i}' ctrl_in_op_name: [{', '.join(['0'] * i)}] }}" for i in range(int((n / 1.5) ** 0.5)))
    ),
    "one giant string": lambda n: within(NAME % ("a" * n)),
    "one giant string of escapes": lambda n: within(NAME % ("\\303\\251" * (n // 8))),
    "a string of dots": lambda n: within(NAME % ("a." * (n // 2))),
    "a string of backslashes": lambda n: within(NAME % ("\\\\" * (n // 2))),
    "a string without an end": lambda n: within(f'op {{ name: "{"a" * n}'),
    "a string of quotes": lambda n: within("op { name: " + "'\" " * (n // 3)),
    "adjacent strings": lambda n: within("op { name: " + "'' " * (n // 3) + "'y' }"),
    "strings without fields": lambda n: within('"" ' * (n // 3)),
    "all skeletons distinct": lambda n: within("\n".join(f"op {{ name: '{word}' {word}: 1 }}" for word in words(n // 28))),
    "all skeletons distinct, one field each": lambda n: within(" ".join(f"{word}{{}}" for word in words(n // 8))),
    "names of every kind": lambda n: within("op { " + " ".join(f"{word}: 1" for word in words(n // 9)) + "}"),
    "many operators": lambda n: job(X, *(NAME % f"o{i}" for i in range(n // 22))),
    "many relus": lambda n: job(X, *(user(f"r{i}", "relu", f"in=x/out out=r{i}/y") for i in range(n // 130))),
    "a chain": lambda n: job(X, *(user(f"r{i}", "relu", f"in={f'r{i - 1}/y' if i else 'x/out'} out=r{i}/y") for i in range(n // 140))),
    "many operands": lambda n: job(X, ADD % repeated("s: 'x/out' ", n)),
    "hidden sources": lambda n: job(ADD % " ".join(f"s: 'h{i}/y'" for i in range(n // 16))),
    "many arguments": lambda n: job(X, user("a", "add_n", " ".join(f"i{i}=x/out" for i in range(n // 45)))),
    "many attributes": lambda n: job(
        X, user("a", "relu", "in=x/out", " ".join(f'attr {{ key: "a{i}" value {{ }} }}' for i in range(n // 30)))
    ),
    "distinct attributes": lambda n: job(
        X, *(user(f"r{i}", "relu", "in=x/out", f'attr {{ key: "a" value {{ at_int32: {i} }} }}') for i in range(n // 160))
    ),
    "distinct places": lambda n: job(
        X, *(NAME.replace("}", f"loc: \"Python Stack[-1]: \\'f\\' at \\'f.py\\': line {i}\" }}") % f"o{i}" for i in range(n // 80))
    ),
    "a giant place": lambda n: job(
        X, NAME.replace("}", 'loc: "%s" }') % ("y", "; ".join(["Python Stack[-1]: \\'f\\' at \\'f.py\\': line 1"] * (n // 50)))
    ),
    "huge integers": lambda n: within(X.replace("dim: 2", f"dim: {'9' * n}").replace('"x"', '"y"')),
    "huge hexadecimal integers": lambda n: within(X.replace("dim: 2", f"dim: 0x{'f' * n}").replace('"x"', '"y"')),
    "huge numbers": lambda n: within(X.replace("dim: 2", f"dim: 1.{'9' * n}e9").replace('"x"', '"y"')),
    "large integers": lambda n: within(
        "\n".join(X.replace("dim: 2", f"dim: {2**63 - 1 - i}").replace('"x"', f'"y{i}"') for i in range(n // 120))
    ),
    "signs": lambda n: within("op { name: " + "-" * n),
    "signs and blanks": lambda n: within("op { name: -" + " " * n + "}"),
    "points": lambda n: within("op { name: " + "." * n),
    "digits and points": lambda n: within("op { name: " + "1." * (n // 2)),
    "exponents": lambda n: within("op { name: " + "1e-" * (n // 3)),
    "closing braces": lambda n: job(X) + "}" * n,
    "opening braces": lambda n: job(X) + "{" * n,
    "angle brackets": lambda n: job(X) + "<" * (n // 2) + ">" * (n // 2),
    "mixed braces": lambda n: job(X) + "a{b<" * (n // 8) + ">}" * (n // 8),
    "empty blocks": lambda n: job(X) + "{}" * (n // 2),
    "long words before braces": lambda n: within("a" * n + " { }"),
    "words before braces": lambda n: within("a " * (n // 2) + "{ }"),
    "words between braces": lambda n: within(repeated("a b c d {} ", n)),
    "blanks before braces": lambda n: within(f"op{' ' * n}{{ }}"),
    "blank lines": lambda n: within("\n" * n),
    "lines before a job": lambda n: "\n" * n + job(X),
    "comments before a job": lambda n: "#\n" * (n // 2) + job(X),
    "comments alone": lambda n: within("# a {\n" * (n // 6)),
    "one comment": lambda n: within("#" * n + "\n"),
    "comments between": lambda n: within(f"{NAME} # }}\n" % "y" + repeated("a {} # {\n", n)),
    "comments before braces": lambda n: within("op " + "# a\n" * (n // 4) + "{ name: 'y' }"),
    "comments and blanks": lambda n: within("op {} " + "#\n    " * (n // 6)),
    "separators": lambda n: within(repeated("op { };;,", n)),
    "separators alone": lambda n: within(";" * n),
    "statements without values": lambda n: within(repeated("op { name: } ", n)),
    "colons": lambda n: within(":" * n),
    "words alone": lambda n: within("a " * (n // 2)),
    "one word": lambda n: within("a" * n),
    "extensions": lambda n: within(repeated("[a.b]: 1 ", n)),
    "one extension": lambda n: within(f"[{'a.' * (n // 2)}a]: 1"),
    "open extensions": lambda n: within("[a." * (n // 3)),
    "devices": lambda n: job(X, rest="placement { " + 'placement_group { parallel_conf { device_name: "@0:0" } } ' * (n // 60) + "}"),
    "ranges of devices": lambda n: job(
        X,
        rest="placement { " + 'placement_group { op_set { op_name: "x" } parallel_conf { device_name: "0:0-999999" } } ' * (n // 90) + "}",
    ),
    "a range of devices": lambda _: job(X, rest='placement { placement_group { parallel_conf { device_name: "0:0-999999999" } } }'),
    "device names": lambda n: job(X, rest="placement { placement_group { parallel_conf { " + 'device_name: "@0:0" ' * (n // 20) + "} } }"),
    "module paths": lambda n: job(X, rest=f'module_name2module_conf {{ key: "{"a." * (n // 2)}" value {{ ops: "x" }} }}'),
    "deep module paths": lambda n: job(
        X, rest="\n".join(f'module_name2module_conf {{ key: "{i}{".a" * 400}" value {{ }} }}' for i in range(n // 850))
    ),
    "many modules": lambda n: job(X, rest="\n".join(f'module_name2module_conf {{ key: "m{i}" value {{ }} }}' for i in range(n // 50))),
    "modules and operators": lambda n: job(
        X,
        *(NAME % f"m{i}-o-0" for i in range(n // 80)),
        rest="\n".join(f'module_name2module_conf {{ key: "m{i}" value {{ }} }}' for i in range(n // 80)),
    ),
    "owners": lambda n: job(X, rest='module_name2module_conf { key: "m" value { ' + 'ops: "x" ' * (n // 9) + "} }"),
    "described blobs": lambda n: job(
        X, rest=entries("helper", 'lbn2logical_blob_desc { key: "x/%d" value { shape { dim: %d } data_type: kFloat } }', n // 75)
    ),
    "described sbp": lambda n: job(
        X,
        rest=entries(
            "job_parallel_view_conf",
            f"op_name2nd_sbp_signature_conf {{ {SIGNED} }}",
            n // 120,
        ),
    ),
    "UTF-16": lambda n: job(X, NAME % ("a" * (n // 2))).encode("utf-16"),
}
BINARIES: dict[str, Attack] = {
    "operators": lambda n: wire(*(sized(1, sized(1, b"o%d" % i)) for i in range(n // 10))),
    "empty operators": lambda n: wire(sized(1, b"") * (n // 2)),
    "a name": lambda n: wire(sized(1, sized(1, b"a" * n))),
    "a name of dots": lambda n: wire(sized(1, sized(1, b"a." * (n // 2)))),
    "a name of no UTF-8": lambda n: wire(sized(1, sized(1, b"\xff" * n))),
    "names of one operator": lambda n: wire(sized(1, sized(1, b"") * (n // 2) + sized(1, b"y"))),
    "numbers": lambda n: wire(sized(1, sized(1, b"y") + sized(137, sized(2, b"out") + sized(3, sized(1, b"\x08\x01" * (n // 2)))))),
    "packed numbers": lambda n: wire(sized(1, sized(1, b"y") + sized(137, sized(2, b"out") + sized(3, sized(1, sized(1, b"\x01" * n)))))),
    "unknown fields": lambda n: wire(b"\xa0\x3f\x01" * (n // 3)),
    "unknown fields of the job": lambda n: wire(rest=b"\xa0\x3f\x01" * (n // 3)),
    "unknown fields of operators": lambda n: wire(sized(1, sized(1, b"y") + b"\xa0\x3f\x01") * (n // 8)),
    "groups": lambda n: wire(b"\xa3\x3f\xa4\x3f" * (n // 4)),
    "deep groups": lambda n: wire(b"\xa3\x3f" * (n // 4) + b"\xa4\x3f" * (n // 4)),
    "groups without an end": lambda n: wire(b"\xa3\x3f" * (n // 2)),
    "a number without an end": lambda n: wire(sized(1, b"\xff" * n)),
    "placements": lambda n: wire(rest=sized(2, sized(1, sized(2, sized(1, b"@0:0"))) * (n // 10))),
    "ranges of devices": lambda n: wire(rest=sized(2, sized(1, sized(1, sized(1, b"x")) + sized(2, sized(1, b"0:0-999999"))) * (n // 22))),
    "modules": lambda n: wire(rest=b"".join(sized(6, sized(1, b"m%d" % i)) for i in range(n // 11))),
    "faults": lambda n: wire(sized(1, sized(1, b"y") + b"\x0f") * (n // 6)),
    "blobs": lambda n: wire(rest=sized(5, sized(4, sized(1, b"x/out") + sized(2, sized(1, b"\x08\x02"))) * (n // 18))),
    "attributes": lambda n: wire(
        sized(1, sized(1, b"y") + sized(199, sized(1, b"relu") + sized(4, sized(1, b"a") + sized(2, b"")) * (n // 8)))
    ),
}
ATTACKS = {f"text, {name}": content for name, content in TEXTS.items()} | {f"binary, {name}": content for name, content in BINARIES.items()}


@pytest.mark.parametrize("name", ATTACKS)
def test_attack(name: str) -> None:
    withstand(__file__, name, ATTACKS[name])


@pytest.mark.parametrize("name", TEXTS)
def test_an_attack_reads_the_same_both_ways(name: str) -> None:
    both_ways(TEXTS[name](3000))


SLOTS: dict[str, Callable[[str], str]] = {
    "the job": lambda s: s + job(X, RELU),
    "behind it": lambda s: job(X, RELU) + s,
    "a section": lambda s: job(X, s, RELU),
    "an operator": lambda s: job(X, RELU.replace("user_conf", f"{s} user_conf")),
    "a string": lambda s: job(X, RELU.replace("m-relu-0", s)),
    "a number": lambda s: job(X.replace("dim: 2", f"dim: {s}"), RELU),
    "a word": lambda s: job(X.replace("kFloat", s), RELU),
    "a message": lambda s: job(W.replace("dim: 4", s), X, RELU),
    "a configuration": lambda s: job(X, conf=CONF.replace("predict_conf", f"{s} predict_conf")),
}
RUNS = [
    "{",
    "}",
    "<",
    ">",
    "[",
    "]",
    "(",
    ")",
    ":",
    ",",
    ";",
    ".",
    "-",
    "+",
    "_",
    "#",
    "'",
    '"',
    "\\",
    "/",
    "0",
    "1",
    "0x",
    "1e",
    "a",
    "a:",
    "a: ",
    "a {",
    "a: 1 ",
    "a {} ",
    "a: [",
    "[a]",
    "[a.",
    "{}",
    "<>",
    "[{",
    "a: '",
    'a: "" ',
    "\\'",
    "\\x",
    "\\8",
    "\n",
    "#\n",
    "# {\n",
    "a\n",
    "\t",
    "\x00",
    "\r",
    "\x0b",
    "é",
    "😀",
    "\u2028",
    "\x1b[31m",
    "net {",
    "op {",
    "op { name: 'a' }",
    "inf ",
    "-inf ",
    "nan ",
    "true ",
]


@pytest.mark.parametrize("slot", SLOTS)
@pytest.mark.parametrize("run", RUNS)
def test_runs_of_anything_anywhere(slot: str, run: str) -> None:
    """Every run in every place, small enough to try all of them and large enough that what is quadratic shows."""
    outcome(SLOTS[slot](run))
    both_ways(SLOTS[slot](run))
    attack(lambda size: SLOTS[slot](repeated(run, size)), min(BYTES, 200_000) // 20)


@pytest.mark.parametrize("depth", [101, 100_000])
def test_nesting_is_refused_at_its_place(depth: int) -> None:
    for opening, closing in (("a {", "}"), ("a: <", ">"), ("a <b {", "}>")):
        error = outcome(within(opening * depth + closing * depth))
        assert isinstance(error, GraphSyntaxError)
        assert error.line == 3
        assert "nested deeper than 100 levels" in error.message


if __name__ == "__main__":
    report(ATTACKS[sys.argv[1]], int(sys.argv[2]))
