"""Writes `docs/operators.md`: all op types in one table, by what `docs/generate.py` calls it for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from irflops import ops
from irflops.ir.signatures import op_types
from irflops.ir.versions import versions
from irflops.ops.rule import OpRule

TESTS = Path(__file__).resolve().parent.parent / "tests"

HEAD = """\
<!-- Written by docs/operators_page.py from the rules in irflops/ops/. Change them there. -->

# All op types

OneFlow defines {defined} op types, from 0.7.0 to 1.0.0 and after. {ruled} of them have a rule, {at_most} of these count what data decides
at its most; {unruled} have none, with the reason below the table. {jobs} more are kinds of operators that only a job holds.

- *Since*: the first version of OneFlow that has it, of 0.7.0 and before, 0.8.0, 0.9.0, 1.0.0; names that only some versions have.
- *Proven*: examples worked out by hand; `loops`, held against loops that do the work, one scalar operation at a time; `definition`, its
  numbers are those of the operators in its formula, counted by a parser; `OneFlow`, its shapes, and those of its gradients, are those that
  live OneFlow 0.9.0 states for graphs of one operator with drawn sizes.

[costs.md](costs.md) has the examples and the sources.

| op types | what is counted | leaves out | since | proven |
| --- | --- | --- | --- | --- |
"""


def operators_page() -> str:
    """The whole of docs/operators.md."""
    defined = set(op_types())
    unruled = sorted(defined - ops.BOOK.by_type.keys())
    head = HEAD.format(
        defined=len(defined),
        ruled=len(defined & ops.BOOK.by_type.keys()),
        at_most=sum(ops.BOOK.by_type[op_type].upper_bound for op_type in defined & ops.BOOK.by_type.keys()),
        unruled=len(unruled),
        jobs=len(ops.BOOK.by_type.keys() - defined),
    )
    looped = list(loop_patterns())
    rows = "".join(_row(rule, looped) for rule in sorted(ops.RULES, key=lambda rule: rule.op_types[0].lower()))
    reasons = "".join(f"- `{op_type}`: {ops.BOOK.facts(op_type).reason}\n" for op_type in unruled)
    return f"{head}{rows}\n## Without a rule\n\n{reasons}"


def _row(rule: OpRule, looped: list[re.Pattern[str]]) -> str:
    names = "<br>".join(f"`{op_type}`" for op_type in rule.op_types)
    formula = f"{rule.formula}; at its most" if rule.upper_bound else rule.formula
    cells = (names, _cell(formula), _cell(rule.ignores), "<br>".join(_since(rule)), "; ".join(_proofs(rule, looped)))
    return f"| {' | '.join(cells)} |\n"


def _cell(text: str) -> str:
    return re.sub(r"([*<\[\]`|]|\b_|_\b)", r"\\\1", text)


def _since(rule: OpRule) -> Iterator[str]:
    """Versions, of types that have the same together; then the names that not all versions have."""
    by_version: dict[str, list[str]] = {}
    for op_type in rule.op_types:
        found = versions(op_type)
        by_version.setdefault("a job's own" if found is None else str(found), []).append(op_type)
    for version, types in by_version.items():
        yield version if len(by_version) == 1 else f"{version}: {', '.join(f'`{op_type}`' for op_type in types)}"
    differs = {
        (name, what) for op_type in rule.op_types if (found := versions(op_type)) is not None for name, what in found.differs.items()
    }
    yield from (f"{what.partition(' ')[0]} `{name}` {what.partition(' ')[2]}" for name, what in sorted(differs))


def _proofs(rule: OpRule, looped: list[re.Pattern[str]]) -> Iterator[str]:
    count = len(rule.examples)
    yield f"{count} example{'s' if count > 1 else ''}"
    if any(pattern.fullmatch(op_type) for op_type in rule.op_types for pattern in looped):
        yield "loops"
    if rule.summary.startswith("Elementwise: "):
        yield "definition"
    trained, alone = live_types("TRAINED"), live_types("ALONE")
    gradients_of = tuple(f"{name}_" for name in trained)
    if any(op_type in trained | alone or (op_type.endswith("_grad") and op_type.startswith(gradients_of)) for op_type in rule.op_types):
        yield "OneFlow"


@cache
def live_types(constant: str) -> frozenset[str]:
    """Op types of which the live tests make a graph each, as a constant of their script names them."""
    tree = ast.parse((TESTS / "live_rules.py").read_text(encoding="utf-8"))
    names = next(node for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == constant)
    texts = (node.value for node in ast.walk(names) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return frozenset(text.partition(" ")[0] for text in texts)


def loop_patterns() -> Iterator[re.Pattern[str]]:
    """Op types that the oracles' tests name: their strings, and those that they put together, with a gap for what is put in."""
    for path in sorted(TESTS.glob("test_oracles*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
                if re.fullmatch(r"[a-z_][a-z0-9_]{2,}", node.value):
                    yield re.compile(re.escape(node.value))
            elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant) and len(str(node.values[0].value)) >= 4:
                parts = (re.escape(str(part.value)) if isinstance(part, ast.Constant) else r"\w+" for part in node.values)
                yield re.compile("".join(parts))
