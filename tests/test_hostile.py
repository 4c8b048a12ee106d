"""Input made to hurt: however it is built, reading it ends in a result or in one clear error, in bounded time and memory.

Each attack is built in two sizes. `IRFLOPS_HOSTILE_BYTES=10000000 pytest tests/test_hostile.py` runs them at the size that the bounds are
stated for, 20 s and 1 GB, each in a process of its own; without it they are small, and the time they may take is scaled down with them.
"""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import sys
import time
from collections.abc import Callable

import pytest
from hostile import BYTES, SECONDS, attack, outcome, report, withstand
from hostile_what_if import ATTACKS as WHAT_IFS

import irflops
from irflops.errors import GraphError, GraphSyntaxError

TYPE = "sbp=(B), size=(2), dtype=(oneflow.float32)"
PLACE = 'placement=(oneflow.placement(type="cpu", ranks=[0]))'
HEAD = "(GRAPH:G_0:G): ("
WEIGHT = f"  (OPERATOR: w() -> (out:{TYPE}), {PLACE})"


def dump(*lines: str, head: str = HEAD) -> str:
    return "\n".join([head, "  (CONFIG:config:GraphConfig(training=False, ))", *lines, WEIGHT, ")", ""])


def op(name: str = "a-relu-0", operands: str = f"w/out:({TYPE})", result: str = "", end: str = "") -> str:
    return f"  (OPERATOR: {name}({operands}) -> ({result or f'{name}/y_0:({TYPE})'}), {PLACE}{end})"


def sized(size: str) -> str:
    return dump(op(operands=f"w/out:(sbp=(B), size=({size}), dtype=(oneflow.float32))"))


SLOTS: dict[str, Callable[[str], str]] = {
    "operands": lambda s: dump(op(operands=s)),
    "results": lambda s: dump(op(result=s)),
    "operator name": lambda s: dump(op(name=f"{s}-relu-0")),
    "tensor name": lambda s: dump(op(operands=f"{s}/out:({TYPE})")),
    "sbp": lambda s: dump(op(operands=f"w/out:(sbp=({s}), size=(2), dtype=(oneflow.float32))")),
    "size": sized,
    "dtype": lambda s: dump(op(operands=f"w/out:(sbp=(B), size=(2), dtype=({s}))")),
    "placement": lambda s: dump(op().replace('oneflow.placement(type="cpu", ranks=[0])', s)),
    "ranks": lambda s: dump(op().replace("ranks=[0]", f"ranks=[{s}]")),
    "location": lambda s: dump(op(end=f", location=({s})")),
    "unknown part": lambda s: dump(op(end=f", colour=({s})")),
    "end of an operator": lambda s: dump(op(end=s)),
    "module path": lambda s: dump(f"  (MODULE:{s}:Linear(in_features=2)): ()"),
    "module text": lambda s: dump(f"  (MODULE:m:{s}): ()"),
    "module arguments": lambda s: dump(f"  (MODULE:m:Conv2d({s})): (", op("m-conv2d-0"), "  )"),
    "graph module": lambda s: dump(f"  (GraphModule:{s}()): ()"),
    "graph header": lambda s: dump(head=f"(GRAPH:{s}:G): ("),
    "end of the header": lambda s: dump(head=f"{HEAD}{s}"),
    "prefix": lambda s: dump(head=s + HEAD),
    "config": lambda s: dump().replace("training=False", s),
    "input name": lambda s: dump(f"  (INPUT:{s}:tensor(..., {TYPE}))"),
    "tensor value": lambda s: dump(f"  (INPUT:x:tensor({s}))"),
    "parameter": lambda s: dump(f"  (PARAMETER:x:tensor(..., size=(2,), {s})): ()"),
    "a line": dump,
    "before": lambda s: s + dump(),
    "after": lambda s: dump() + s,
    "close": lambda s: dump().rstrip()[:-1] + s + ")\n",
    "alone": lambda s: s,
    "prefixed lines": lambda s: "".join(f"[rank:0] {line}\n" for line in dump(s).splitlines()),
    "without a header": lambda s: dump(s).partition("\n")[2],
}
WORDS = (
    "(|)|a|:|,|.|[|]|{|=|<|>|'|\"|\\|/|-|_|0|1,|a,|a.|a=|a=1,|1:1,|a(),|[a],|()|(a)|<>|->|a:sbp=|sbp=(|size=(|a-|-1,|...|(MODULE:|(OPERATOR:"
    "|\0|\x1b[|\x1b[31m|\r|\u2028|é|\U0001f600| |\t|\n|a\n|(\n|)\n|,\n|: |, |: (|): (|): ()|) -> (|(INPUT:\n|(GRAPH:g:G): (\n"
    "|(MODULE:m:M()): (\n|(OPERATOR: a() -> ())\n"
)
RUNS = [*WORDS.split("|"), f"w/out:({TYPE}), "]
SOLO = [("", " ", "x"), (":", " ", "x"), ("): (", " ", "x"), (")", " ", ")"), ("'", "\\'", ""), ("a=", "(", ")"), ("1", "1", "x")]

ATTACKS: dict[str, Callable[[int], str | bytes]] = {
    "parentheses, closed": lambda n: dump(op(operands="(" * (n // 2) + ")" * (n // 2))),
    "nested modules": lambda n: dump("(MODULE:m:M()): (\n" * (n // 18), ")" * (n // 18)),
    "module path of dots": lambda n: dump(op("a." * (n // 2) + "a-relu-0"), f"(MODULE:{'b.' * (n // 2)}b:M()): ()"),
    "nested paths": lambda n: dump(*(op(f"{'p.' * i}p-relu-{i}") for i in range(int(n**0.5)))),
    "a chain": lambda n: dump(*(op(f"a-relu-{i}", f"a-relu-{i - 1}/y_0:({TYPE})" if i else f"w/out:({TYPE})") for i in range(n // 250))),
    "one producer of all": lambda n: dump(*(op(f"a-relu-{i}") for i in range(n // 250))),
    "words for operands": lambda n: dump(op(operands="a " * (n // 2))),
    "many operands": lambda n: dump(op("a-add_n-0", ", ".join([f"w/out:({TYPE})"] * (n // 62)))),
    "hidden sources": lambda n: dump(op("a-add_n-0", ", ".join(f"h{i}/out:({TYPE})" for i in range(n // 66)))),
    "hidden results of one": lambda n: dump(op("a-add_n-0", ", ".join(f"h/out_{i}:({TYPE})" for i in range(n // 66)))),
    "many results": lambda n: dump(op("a-split-0", result=", ".join(f"a-split-0/out_{i}:({TYPE})" for i in range(n // 72)))),
    "short operators": lambda n: dump(*(f"(OPERATOR: {i}() -> ())" for i in range(n // 24))),
    "short inputs": lambda n: dump(*(f"(INPUT:{i}:<>)" for i in range(n // 18))),
    "short modules": lambda n: dump(*(f"(MODULE:{i}:M()): ()" for i in range(n // 22))),
    "distinct types": lambda n: dump(*(op(f"a-relu-{i}", f"w/out:({TYPE.replace('2', str(i + 2))})") for i in range(n // 250))),
    "distinct locations": lambda n: dump(op(end=f", location=({'; '.join(_frame(i) for i in range(n // 45))})")),
    "recomputed names": lambda n: dump(op("Sys-Checkpointing-Fake-Fw-Op_" * (n // 29) + "a-relu-0")),
    "another prefix each": lambda n: "".join(f"p{i} {HEAD}\n" for i in range(n // 24)),
    "prefixes and lines": lambda n: "".join(f"p{i:03} {HEAD}\n" for i in range(900)) + "a\n" * (n // 2),
    "a prefix of numbers": lambda n: f"{'1 ' * 40}{HEAD}\n{'2 ' * 40}(OPERATOR: a() -> ())\n" + f"{'1' * 200}x\n" * (n // 202),
    "a prefix of dates": lambda n: f"{'2020-01-01' * 9} {HEAD}\n" + f"{'2' * 100}-{'0' * 100}x\n" * (n // 203),
    "different graphs": lambda n: "".join(dump(op(), head=f"(GRAPH:G_{i}:G): (") for i in range(n // 400)),
    "headers alone": lambda n: f"{HEAD}\n" * (n // 17),
    "blank lines": lambda n: dump("\n" * n),
    "wrapped lines": lambda n: dump("  (MODULE:m:M(\n" + "a\n" * (n // 2)),
    "digits of a size": lambda n: sized("9" * n),
    "digits of a rank": lambda n: dump(op().replace("ranks=[0]", f"ranks=[{'9' * n}]")),
    "digits of a name": lambda n: dump(op("a-relu-" + "9" * n)),
    "digits of a line": lambda n: dump(op(end=f", location=({_frame(int('9' * 18))[:-1]}{'9' * n})")),
    "dimensions": lambda n: sized("1, " * (n // 3)),
    "UTF-16 of blanks": lambda n: b"\xff\xfe" + b" \0" * (n // 2),
    "invalid UTF-8": lambda n: b"\xff" * n,
    "NUL bytes": lambda n: b"\0" * n,
    "dense types": lambda n: dump(*(f"(OPERATOR: {i}(w/out:sbp=(B),size=({i}),dtype=(int8))->())".ljust(163) for i in range(n // 164))),
    "dense placements": lambda n: dump(
        *(f"(OPERATOR: {i}()->(),placement=(placement(type='cpu',ranks=[{i}])))".ljust(163) for i in range(n // 164))
    ),
    "dense convolutions": lambda n: dump(
        *(
            f"(MODULE:m{i}:Conv2d({i}, 2, kernel_size=(1,1), stride=(1,1))): (\n(OPERATOR: m{i}-conv2d-{i}(w/out)->(m{i}-conv2d-{i}/y))\n)"
            for i in range(n // 200)
        )
    ),
    "foreign lines": lambda n: dump("a\n" * (n // 2)),
    "open parentheses": lambda n: dump("(\n" * (n // 2)),
    "net of blank lines": lambda n: "\n" * (n // 2) + "net" + "\n" * (n // 2),
}


def run_of(slot: str, start: str, run: str, end: str) -> Callable[[int], str]:
    return lambda n: SLOTS[slot](start + run * (n // len(run.encode())) + end)


OLD_END = '):placement=(oneflow.placement(type="cpu", ranks=[0])))'


def old(name: str, operands: str, result: str) -> str:
    """An operator line as OneFlow 0.8.0 prints it."""
    return f"(OPERATOR: {name}({operands}) -> ({name}/{result}:({TYPE}){OLD_END}"


def trained(*lines: str) -> str:
    return dump(*lines).replace("training=False", "training=True")


def sums_of_one_gradient(n: int) -> str:
    """A product of many tensors, each read by another product too: each missing sum may be in the one gradient."""
    count = n // 600
    tensors = [f"a-relu-{i}/y_0:({TYPE})" for i in range(count)]
    products = [old(f"a-matmul-{count}", f"[{', '.join(tensors)}], w/out:({TYPE})", "out_0")]
    products += [old(f"a-matmul-{count + 1 + i}", f"{tensor}, w/out:({TYPE})", "out_0") for i, tensor in enumerate(tensors)]
    gradients = [old(f"a-matmul-{count + i}_grad_a", f"d/out:({TYPE}), w/out:({TYPE})", "out_0") for i in range(count + 1)]
    return trained(*(old(f"a-relu-{i}", f"w/out:({TYPE})", "y_0") for i in range(count)), *products, *gradients)


def sums_in_a_row(n: int) -> str:
    """A chain of products, each with its gradients, of sums that are there."""
    lines = []
    for i in range(n // 700):
        x = f"a-matmul-{i - 1}/out_0:({TYPE})" if i else f"w/out:({TYPE})"
        lines.append(old(f"a-matmul-{i}", f"{x}, {x}", "out_0"))
        lines += [old(f"a-matmul-{i}_grad_{arg}", f"a-matmul-{i + 1}_clone_grad_0/out_0:({TYPE}), {x}", "out_0") for arg in "ab"]
        terms = ", ".join(f"a-matmul-{i}_grad_{arg}/out_0:({TYPE})" for arg in "ab")
        lines.append(old(f"a-matmul-{i}_clone_grad_0", f"[{terms}]", "out_0"))
    return trained(*lines)


def every_other_number(n: int) -> str:
    """A chain of products of which each may add what the missing operator behind it added."""
    return dump(
        *(
            op(f"a-matmul-{2 * i}", f"a-matmul-{2 * i - 2}/out_0:({TYPE}), w/out:({TYPE})", f"a-matmul-{2 * i}/out_0:({TYPE})")
            for i in range(1, n // 330)
        )
    )


ATTACKS |= {
    "sums of one gradient": sums_of_one_gradient,
    "sums of gradients in a row": sums_in_a_row,
    "every other number": every_other_number,
    "gradients of gradients": lambda n: trained(old("a-matmul-0" + "_grad_a" * (n // 16), f"w/out:({TYPE})", "out_0")),
    "copies of gradients": lambda n: trained(*(old(f"a_out_0_clone_grad_{i}", f"w/out:({TYPE})", "out_0") for i in range(n // 260))),
    "gradients of losses": lambda n: trained(*(old(f"a-relu-{i}_out_0_grad_ConstantLike", "...", "out_0") for i in range(n // 230))),
}
ATTACKS |= WHAT_IFS
ATTACKS |= {f"{slot}: {run!a}": run_of(slot, "", run, "") for slot in SLOTS for run in RUNS}
ATTACKS |= {f"{slot}: {parts!a}": run_of(slot, *parts) for slot in SLOTS for parts in SOLO}
NAMED = [name for name in ATTACKS if ": " not in name]
MATRIX = [name for name in ATTACKS if ": " in name]


def _frame(line: int) -> str:
    return f"Python Stack[-1]: 'f' at 'f.py': line {line}"


@pytest.mark.parametrize("name", NAMED)
def test_attack(name: str) -> None:
    withstand(__file__, name, ATTACKS[name])


@pytest.mark.parametrize("slot", SLOTS)
def test_runs_of_anything_anywhere(slot: str) -> None:
    """Every run in every place, small enough to try all of them and large enough that what is quadratic shows."""
    for name in MATRIX:
        if name.startswith(f"{slot}: "):
            start = time.process_time()
            attack(ATTACKS[name], BYTES // 50)
            assert time.process_time() - start <= SECONDS / 4, name


# ---------------------------------------------------------------- single cases, each with its own answer


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ("1" + "0" * 30, "does not fit"),
        ("-1", "cannot have -1 elements"),
        ("9" * 5000, ""),
        ("2, " * 1000, "dimensions"),
        ("1.5", "integers"),
        ("nan", "integers"),
        ("a", "integers"),
    ],
    ids=["1e30", "below zero", "5000 digits", "1000 dimensions", "a fraction", "nan", "a word"],
)
def test_a_size_that_none_has(size: str, message: str) -> None:
    error = outcome(sized(size))
    assert isinstance(error, GraphSyntaxError)
    assert message in error.message
    assert error.line == 3
    assert error.column is not None
    assert error.column > sized(size).splitlines()[2].index("w/out")


def test_exact_figures_of_huge_tensors() -> None:
    """Legal extents may multiply to more than any machine word: they stay exact."""
    huge = f"sbp=(B), size=({2**62}, {2**62}, {2**62}), dtype=(oneflow.float32)"
    analysis = irflops.analyze(irflops.loads(dump().replace(TYPE, huge)))
    assert sum(analysis.to_dict()["totals"]["params"].values()) == 2**186


@pytest.mark.parametrize("depth", [1001, 100_000])
@pytest.mark.parametrize(
    "slot", [slot for slot in SLOTS if slot not in ("alone", "before", "after", "close", "prefix", "a line", "location", "config")]
)
def test_nesting_is_refused_at_its_place(slot: str, depth: int) -> None:
    error = outcome(SLOTS[slot]("(" * depth + ")" * depth))
    assert error is not None
    assert error.line is not None


@pytest.mark.parametrize("slot", SLOTS)
def test_nesting_within_the_limit(slot: str) -> None:
    """What nests less than 1,000 deep is read; nothing may follow it by recursion."""
    for depth in (480, 990):
        for opening, closing in (("(", ")"), ("[", "]"), ("{1:", "}"), ("a(size=", ")")):
            for middle in ("1", "B"):
                text = SLOTS[slot](opening * depth + middle + closing * depth)
                outcome(text)
                outcome(text, partial=True)


@pytest.mark.parametrize("key", ["padding_mode", "padding", "stride", "eps", "bias", "kernel_size"])
def test_module_arguments_nested_deep(key: str) -> None:
    deep = "[" * 900 + "]" * 900
    conv = f"Conv2d(1, 1, kernel_size=(3, 3), stride=(1, 1), {key}={deep})"
    outcome(dump(f"  (MODULE:m:{conv}): (", op("m-conv2d-0", f"w/out:({TYPE}), w/out:({TYPE})", f"m-conv2d-0/out_0:({TYPE})"), "  )"))


def test_long_names_in_messages() -> None:
    name = "a." * 100_000 + "b"
    for lines in ([op(f"{name}-relu-0")] * 2, [op(f"{name}-relu-0", f"{name}-relu-0/y_0:({TYPE})")]):
        error = outcome(dump(*lines))
        assert isinstance(error, GraphError)


def test_modules_nested_too_deep() -> None:
    text = dump("(MODULE:m:M()): (\n" * 100_000 + ")\n" * 100_000)
    error = outcome(text)
    assert isinstance(error, GraphSyntaxError)
    assert "statements" in error.message or "nested deeper than 1000" in error.message
    error = outcome(dump("(MODULE:m:M()): (\n" * 1500 + ")\n" * 1500))
    assert isinstance(error, GraphSyntaxError)
    assert "nested deeper than 1000" in error.message
    assert error.line == 3 + 999


def test_an_operator_that_feeds_itself() -> None:
    error = outcome(dump(op(operands=f"a-relu-0/y_0:({TYPE})")))
    assert isinstance(error, GraphError)
    assert "feeds itself" in error.message
    assert error.line == 3


@pytest.mark.parametrize("length", [2, 3, 2000])
def test_a_cycle(length: int) -> None:
    text = dump(*(op(f"a-relu-{i}", f"a-relu-{(i + 1) % length}/y_0:({TYPE})") for i in range(length)))
    error = outcome(text)
    assert isinstance(error, GraphError)
    assert f"{length} operators feed each other in a cycle" in error.message
    assert error.line == 3


def test_an_operator_defined_twice() -> None:
    error = outcome(dump(op(), op()))
    assert isinstance(error, GraphError)
    assert "'a-relu-0' is defined twice; first at line 3" in error.message
    assert error.line == 4


def test_a_tensor_made_twice() -> None:
    error = outcome(dump(op("a-relu-0"), op("a-relu-1", result=f"a-relu-0/y_0:({TYPE})")))
    assert isinstance(error, GraphError)
    assert "'a-relu-0/y_0' is made twice" in error.message
    assert error.line == 4


@pytest.mark.parametrize("end", ["\r\n", "\r\r\n"])
def test_line_ends(end: str) -> None:
    assert outcome(dump(op()).replace("\n", end)) is None


@pytest.mark.parametrize("junk", ["\0", "\ud800", "\u2028", "\x85", "\x0b", "\x1b]0;title", "\x7f", "\u202e"])
@pytest.mark.parametrize("slot", SLOTS)
def test_odd_characters(slot: str, junk: str) -> None:
    for partial in (False, True):
        outcome(SLOTS[slot](junk), partial=partial)


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_cut_within_a_character(codec: str) -> None:
    assert outcome(dump(op()).encode(codec)[:-3]) is not None or codec == "utf-8-sig"


# ---------------------------------------------------------------- compressed

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "zstandard").compress(data),
}


@pytest.mark.parametrize("kind", COMPRESS)
def test_compressed_content_that_is_cut_off_at_any_byte(kind: str) -> None:
    packed = COMPRESS[kind](dump(op()).encode())
    assert outcome(packed) is None
    for size in range(len(packed)):
        error = outcome(packed[:size])
        assert error is not None, size


@pytest.mark.parametrize("kind", COMPRESS)
def test_compressed_content_with_a_wrong_byte(kind: str) -> None:
    packed = COMPRESS[kind](dump(op()).encode())
    for at in range(len(packed)):
        outcome(packed[:at] + bytes([packed[at] ^ 0x55]) + packed[at + 1 :])


@pytest.mark.parametrize("kind", COMPRESS)
def test_decompression_bomb(kind: str) -> None:
    """200 MB of blanks: refused before any of it is kept."""
    filler = b" " * (1 << 20)
    if kind == "gzip":
        out = io.BytesIO()
        with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9) as stream:
            for _ in range(200):
                stream.write(filler)
        packed = out.getvalue()
    else:
        packed = COMPRESS[kind](filler) * 200
    start = time.process_time()
    assert outcome(packed) is not None
    assert time.process_time() - start < SECONDS


def test_nested_compression_is_one_level() -> None:
    assert outcome(gzip.compress(gzip.compress(dump().encode()))) is not None


if __name__ == "__main__":
    report(ATTACKS[sys.argv[1]], int(sys.argv[2]))
