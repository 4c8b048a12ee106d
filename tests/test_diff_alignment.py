"""Which operator is which: of small graphs the right pairs are known by hand."""

from __future__ import annotations

from itertools import combinations

import pytest

from irflops.analysis.analysis import analyze_graph
from irflops.differ.align import align
from irflops.differ.forms import aspects_of
from irflops.differ.leftovers import Gaps
from irflops.differ.pairing import Alignment
from irflops.differ.prints import Prints
from irflops.differ.side import Side, side_of
from irflops.readers.notation.sketch import sketch


def drawn(text: str) -> Side:
    """A graph as an alignment sees it."""
    analysis = analyze_graph(sketch(text).graph)
    return side_of(analysis, aspects_of(analysis.graph, analysis.graph))


def paired(old: str, new: str, *, hint: str = "", attrs: bool = True) -> dict[str, str]:
    """The pairs of operators in modules, each called as its module; variables as their module and themselves."""
    one, other = drawn(old), drawn(new)
    pairs = align(one, other, Prints(one, other), attrs=attrs, hint=hint)

    def name(side: Side, node: int) -> str:
        op = side.ops[node]
        return op.name if op.type == "variable" else op.module

    return {name(one, a).removeprefix("m."): name(other, b).removeprefix("m.") for a, b in pairs.items() if one.ops[a].module}


def same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def chain(layers: list[tuple[str, str]]) -> str:
    """Operators one behind the other, as (module, call), each called as its module."""
    lines, last = ["x = input() -> out: f32[8,8]"], "x"
    for module, kind in layers:
        result = "out" if kind == "matmul" else "y"
        if kind == "matmul":
            lines.append(f"m.{module} | weight = variable() -> out: f32[8,8]")
            operands = f"a: {last}, b: weight, transpose_a=false, transpose_b=false"
        else:
            operands = f"x: {last}"
        lines.append(f"m.{module} | {module} = {kind}({operands}) -> {result}: f32[8,8]")
        last = module
    return "\n".join([*lines, f"output(in: {last})"])


@pytest.mark.parametrize("kind", ["relu", "matmul"])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_of_equal_operators_in_a_row_those_go_whose_modules_go(length: int, kind: str) -> None:
    """Nothing but their names tells them apart; so it is where they come, too."""
    layers = [(f"l{n}", kind) for n in range(length)]
    for first, end in combinations(range(length + 1), 2):
        kept = layers[:first] + layers[end:]
        expected = same(*(name for module, _ in kept for name in ([module, f"{module}.weight"] if kind == "matmul" else [module])))
        for attrs in (True, False):
            assert paired(chain(layers), chain(kept), hint="places", attrs=attrs) == expected, (first, end)
            assert paired(chain(kept), chain(layers), hint="places", attrs=attrs) == expected, (first, end)


@pytest.mark.parametrize("between", [["tanh"], ["tanh", "exp"], ["tanh"] * 4])
def test_an_operator_is_told_by_its_module_past_others_that_go_with_its_like(between: list[str]) -> None:
    """Of relu, tanh, relu the first relu and the tanh go: what reads the input now is the second."""
    layers = [("a", "relu"), *((f"t{n}", kind) for n, kind in enumerate(between)), ("b", "relu"), ("c", "sin")]
    kept = layers[-2:]
    for attrs in (True, False):
        assert paired(chain(layers), chain(kept), hint="places", attrs=attrs) == same("b", "c")
        assert paired(chain(kept), chain(layers), hint="places", attrs=attrs) == same("b", "c")


@pytest.mark.parametrize("between", [1, 2, 4])
def test_an_operator_is_told_by_its_module_where_what_leads_to_it_and_what_follows_are_others(between: int) -> None:
    """Of two equal operators the first went, with what stood between them; behind the second another type stands."""
    start, end = "x = input() -> out: f32[8,8]\nm.a | p = exp(x: x) -> y: f32[8,8]\n", "output(in: s)"
    lost = "m.a | q = relu(x: p) -> y: f32[8,8]\n"
    lost += "".join(f"m.t{n} | t{n} = tanh(x: {f't{n - 1}' if n else 'q'}) -> y: f32[8,8]\n" for n in range(between))
    last = "m.b | r = relu(x: {0}) -> y: f32[8,8]\nm.b | s = {1}(x: r) -> y: f32[8,8]\n"
    old = start + lost + last.format(f"t{between - 1}", "cos") + end
    new = start + last.format("p", "sin") + end
    for attrs in (True, False):
        assert paired(old, new, attrs=attrs) == same("a", "b")
        assert paired(new, old, attrs=attrs) == same("a", "b")
        assert kinds(old, new, attrs=attrs) == [("exp", "exp"), ("relu", "relu"), ("cos", "sin")]
        assert kinds(new, old, attrs=attrs) == [("exp", "exp"), ("relu", "relu"), ("sin", "cos")]


def kinds(old: str, new: str, *, attrs: bool) -> list[tuple[str | None, str | None]]:
    """Types of the operators in modules that are paired, in their order."""
    one, other = drawn(old), drawn(new)
    pairs = align(one, other, Prints(one, other), attrs=attrs, hint="")
    return [(one.ops[a].type, other.ops[pairs[a]].type) for a in one.order if a in pairs and one.ops[a].module]


def test_what_lies_between_the_same_pairs_fits() -> None:
    """Of a chain a to e the second and the fourth are paired, and of two that cross either one."""
    text = chain([(name, "relu") for name in "abcde"])
    one, other = drawn(text), drawn(text)
    at = {op.module.removeprefix("m."): node for node, op in enumerate(one.ops)}

    def gaps(*pairs: tuple[str, str]) -> dict[tuple[str, str], bool]:
        alignment = Alignment(one, other, attrs=True)
        for old, new in pairs:
            alignment.pair(at[old], at[new])
        found = Gaps(alignment)
        return {(a, b): found.fits(at[a], at[b]) for a in "abcde" for b in "abcde"}

    rooms = {"a": 0, "b": 1, "c": 1, "d": 2, "e": 2}
    assert gaps(("b", "b"), ("d", "d")) == {(a, b): rooms[a] == rooms[b] for a in rooms for b in rooms}
    assert all(gaps().values())
    crossing = gaps(("a", "a"), ("b", "e"), ("c", "c"), ("d", "d"))  # b and e are no pair of the most numerous order
    assert (crossing["b", "b"], crossing["e", "e"], crossing["b", "e"], crossing["e", "d"]) == (True, True, False, True)


def test_parameters_make_no_gaps() -> None:
    """They stand anywhere before what reads them."""
    text = chain([(name, "matmul") for name in "abc"])
    one, other = drawn(text), drawn(text)
    alignment = Alignment(one, other, attrs=True)
    for node, op in enumerate(one.ops):
        if op.type == "variable":
            alignment.pair(node, node)
    ops = [node for node, op in enumerate(one.ops) if op.type == "matmul"]
    assert all(Gaps(alignment).fits(a, b) for a in ops for b in ops)


DISTINCT = ("exp", "sin", "cos", "log", "sinh")


def beside(layers: list[str], kind: str) -> str:
    """Equal operators in a row, a module each, and beside them a row of operators that are one of a kind, in the same modules."""
    lines = ["x = input() -> out: f32[8,8]"]
    last = "x"
    for module in layers:
        if kind == "matmul":
            lines += [f"m.{module} | weight = variable() -> out: f32[8,8]"]
        operands = f"a: {last}, b: weight, transpose_a=false, transpose_b=false" if kind == "matmul" else f"x: {last}"
        lines.append(f"m.{module} | {module} = {kind}({operands}) -> {'out' if kind == 'matmul' else 'y'}: f32[8,8]")
        last = module
    lines.append(f"output(in: {last})")
    last = "x"
    for number, own in enumerate(DISTINCT):
        lines.append(f"m.l{number} | o{number} = {own}(x: {last}) -> y: f32[8,8]")
        last = f"o{number}"
    return "\n".join([*lines, f"output(in: {last})"])


@pytest.mark.parametrize("attrs", [True, False])
@pytest.mark.parametrize("kind", ["relu", "matmul"])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_equal_operators_in_a_row_are_told_by_what_else_is_in_their_modules(length: int, kind: str, attrs: bool) -> None:
    """Whichever of them goes or comes, without anything believed before."""
    layers = [f"l{n}" for n in range(length)]
    for gone in layers:
        kept = [layer for layer in layers if layer != gone]
        for old, new in ((layers, kept), (kept, layers)):
            one, other = drawn(beside(old, kind)), drawn(beside(new, kind))
            pairs = align(one, other, Prints(one, other), attrs=attrs, hint="")
            found = {one.ops[a].module: other.ops[b].module for a, b in pairs.items() if one.ops[a].type == kind}
            assert found == same(*(f"m.{name}" for name in kept)), gone
            assert len(pairs) == len(set(pairs.values()))
