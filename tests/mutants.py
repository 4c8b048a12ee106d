"""Mutants of a Python file: each is the file with one small change that a test should notice.

What is changed: whole numbers, arithmetic, comparisons, `and`, `or` and `not`, booleans, conditions, `min` and `max`, `any` and `all`,
bounds of slices, results (to None; False is as good as that), and statements that act (taken out).

What is left alone, since no test should notice it or the test repeats it: docstrings and other text, f-strings, messages of exceptions,
an `Example` with its numbers, type annotations and aliases, decorators, `assert`, numbers from 1,000 on, which are budgets, and
`strict=True` of a `zip`, which states an invariant as an `assert` does; in ops/, where it refuses operands that do not go together, it is
changed.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitOr,
}
_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPPOSITE = {"min": "max", "max": "min", "any": "all", "all": "any"}
_TYPES = {"dict", "list", "tuple", "set", "frozenset", "type"}
_TESTABLE = (ast.Name, ast.Attribute, ast.Call, ast.Subscript)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of a file."""

    file: str
    """From the top of the project."""
    number: int
    """Among those of its file."""
    line: int
    text: str
    """The line as it stands, without its indentation."""
    change: str
    """What becomes of which code; of several equal ones in a line the how manyth."""
    function: str | None
    """The qualified name of the function or lambda in which it runs, None where it runs when the module is imported."""
    words: frozenset[str]
    """Texts of the declaration that it is in, such as the op types of a rule."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.change}\n    {self.text}"


@dataclass(frozen=True, slots=True)
class _Change:
    node: ast.AST
    what: str
    apply: Callable[[], None]
    """Changes the tree."""
    function: str | None
    words: frozenset[str]


def mutants(root: Path, file: str) -> list[Mutant]:
    """All mutants of a file."""
    source = (root / file).read_text(encoding="utf-8")
    texts = source.splitlines()
    found, seen = [], Counter[tuple[int, str]]()
    for number, change in enumerate(_changes(ast.parse(source), file)):
        line: int = change.node.lineno  # type: ignore[attr-defined]  # expressions and statements have one
        seen[line, change.what] += 1
        nth = f" ({seen[line, change.what]})" if seen[line, change.what] > 1 else ""
        found.append(Mutant(file, number, line, texts[line - 1].strip(), change.what + nth, change.function, change.words))
    return found


def mutated(root: Path, mutant: Mutant) -> ast.Module:
    """The tree of the changed file."""
    tree = ast.parse((root / mutant.file).read_text(encoding="utf-8"))
    list(_changes(tree, mutant.file))[mutant.number].apply()
    return ast.fix_missing_locations(tree)


def _changes(tree: ast.Module, file: str) -> Iterator[_Change]:
    yield from _Walk(refuses=file.startswith("irflops/ops/")).node(tree, frozenset(), "", None)


class _Walk:
    """Goes through a tree in one fixed order; `refuses` says whether `strict=True` is more than an invariant."""

    def __init__(self, *, refuses: bool) -> None:
        self._refuses = refuses

    def node(self, node: ast.AST, words: frozenset[str], scope: str, function: str | None) -> Iterator[_Change]:
        """All changes below a node; names in it begin with `scope`."""
        for field, value in ast.iter_fields(node):
            if self._is_left_alone(node, field):
                continue
            if isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)) and field == "body":
                name = scope + getattr(node, "name", "<lambda>")
                scope = f"{name}." if isinstance(node, ast.ClassDef) else f"{name}.<locals>."
                function = function if isinstance(node, ast.ClassDef) else name
            children = value if isinstance(value, list) else [value]
            for place, child in enumerate(children):
                if not isinstance(child, ast.AST) or self._is_skipped(child):
                    continue
                put = _putter(node, field, place if isinstance(value, list) else None)
                known = words | _words(node, field, place) | _words_of_call(child)
                for what, apply in _of(child, node, put):
                    yield _Change(child, what, apply, function, known)
                yield from self.node(child, known, scope, function)

    def _is_left_alone(self, node: ast.AST, field: str) -> bool:
        return (
            field in ("annotation", "returns", "decorator_list", "type_comment", "bases")
            or (isinstance(node, ast.Raise))
            or (isinstance(node, ast.keyword) and node.arg == "strict" and not self._refuses)
        )

    def _is_skipped(self, child: ast.AST) -> bool:
        if isinstance(child, (ast.JoinedStr, ast.Assert, ast.Import, ast.ImportFrom)):
            return True
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Name) and child.func.id == "Example":
            return True
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            return True
        return isinstance(child, ast.Assign) and _is_type(child.value)


def _is_type(value: ast.AST) -> bool:
    """Whether what is assigned is an alias of a type."""
    if isinstance(value, ast.BinOp):
        return isinstance(value.op, ast.BitOr) and (_is_type(value.left) or _is_type(value.right))
    if isinstance(value, ast.Constant):
        return value.value is None
    if not isinstance(value, ast.Subscript) or not isinstance(value.value, ast.Name):
        return False
    return value.value.id in _TYPES or (value.value.id[:1].isupper() and not value.value.id.isupper())


def _words(node: ast.AST, field: str, place: int) -> frozenset[str]:
    """Of a table's entry its key."""
    key = node.keys[place] if isinstance(node, ast.Dict) and field == "values" else None
    return frozenset({key.value}) if isinstance(key, ast.Constant) and isinstance(key.value, str) else frozenset()


def _words_of_call(node: ast.AST) -> frozenset[str]:
    """Of a rule its op types."""
    if not isinstance(node, ast.Call):
        return frozenset()
    named = [constant for keyword in node.keywords if keyword.arg == "op_types" for constant in ast.walk(keyword.value)]
    return frozenset(c.value for c in named if isinstance(c, ast.Constant) and isinstance(c.value, str))


def _putter(parent: ast.AST, field: str, place: int | None) -> Callable[[ast.AST | None], None]:
    def put(new: ast.AST | None) -> None:
        if place is None:
            setattr(parent, field, new)
        else:
            getattr(parent, field)[place] = new

    return put


Changes = Iterator[tuple[str, Callable[[], None]]]


def _of(node: ast.AST, parent: ast.AST, put: Callable[[ast.AST | None], None]) -> Changes:
    """The changes of a node itself."""

    def swap(new: ast.AST, what: str | None = None) -> tuple[str, Callable[[], None]]:
        old_text, new_text = _short(node), _short(new)
        return what or f"{old_text} -> {new_text}", lambda: put(ast.copy_location(new, node))

    match node:
        case ast.Constant(value=bool() as value):
            yield swap(ast.Constant(not value))
        case ast.Constant(value=int() as value) if value < 1000:
            yield swap(ast.Constant(value + 1))
            if value > 0:
                yield swap(ast.Constant(value - 1))
        case ast.BinOp() if type(node.op) in _ARITHMETIC and not _is_type(node):
            yield swap(ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right))
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield swap(node.operand)
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                ops = [*node.ops[:place], _COMPARISONS[type(operator)](), *node.ops[place + 1 :]]
                yield swap(ast.Compare(node.left, ops, node.comparators))
        case ast.BoolOp():
            yield swap(ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values))
        case ast.Name(id=name) if name in _OPPOSITE and (not isinstance(parent, ast.Call) or parent.func is node):
            yield swap(ast.Name(_OPPOSITE[name], ast.Load()))
        case ast.Slice():
            for bound in ("lower", "upper"):
                if getattr(node, bound) is not None:
                    yield swap(ast.Slice(**{**dict(ast.iter_fields(node)), bound: None}))
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value in (None, False)):
            yield swap(ast.Return(ast.Constant(None)))
        case ast.Continue():
            yield swap(ast.Break())
        case ast.Break():
            yield swap(ast.Continue())
        case ast.Raise() | ast.AugAssign() | ast.Delete() | ast.Expr(value=ast.Call() | ast.Yield() | ast.YieldFrom()):
            yield swap(ast.Pass(), f"without {_short(node)}")
        case ast.Assign(targets=[ast.Subscript() | ast.Attribute()]):
            yield swap(ast.Pass(), f"without {_short(node)}")
        case _:
            pass
    if isinstance(node, ast.AugAssign) and type(node.op) in _ARITHMETIC:
        yield swap(ast.AugAssign(node.target, _ARITHMETIC[type(node.op)](), node.value))
    if isinstance(node, _TESTABLE) and _is_test(node, parent):
        yield swap(ast.UnaryOp(ast.Not(), node))


def _is_test(node: ast.AST, parent: ast.AST) -> bool:
    if isinstance(parent, (ast.If, ast.IfExp)):
        return parent.test is node
    return isinstance(parent, ast.comprehension) and node in parent.ifs


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 80 else text[:77] + "..."
