"""The definitions in the tables of elementwise ops: their numbers count their operators, and their gradients are the derivatives."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterator, Mapping

import pytest

from irflops.ops import activation, boxes, broadcast, elementwise, loss
from irflops.ops.per_element import Definition

COEFFICIENTS = {"C", "K", "alpha", "atol", "beta", "eps", "high", "lambd", "low", "pi", "rtol", "scalar", "scale", "threshold", "value"}
ARITHMETIC_CALLS = {"abs", "ceil", "floor", "isfinite", "isinf", "isnan", "max", "min", "rint", "round", "select", "sign", "trunc"}
TRANSCENDENTAL_CALLS = {
    *("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "sin", "sinh", "tan", "tanh", "sigmoid"),
    *("exp", "exp2", "expm1", "log", "log10", "log1p", "log2", "pow", "rsqrt", "sqrt"),
    *("digamma", "erf", "erfc", "erfinv", "lgamma", "trigamma", "zeta"),
}


def _is_constant(node: ast.AST) -> bool:
    """Whether only literals and coefficients are in it."""
    functions = {id(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}
    return all(n.id in COEFFICIENTS for n in ast.walk(node) if isinstance(n, ast.Name) and id(n) not in functions)


def operators(definition: str) -> tuple[int, int]:
    """Arithmetic operators and transcendental calls of a definition in Python's syntax."""
    arithmetic = transcendentals = 0
    nodes: list[ast.AST] = [ast.parse(definition.replace("; ", "\n"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.expr) and _is_constant(node):
            continue
        if isinstance(node, ast.BinOp | ast.UnaryOp):
            arithmetic += 1
        elif isinstance(node, ast.Compare):
            arithmetic += len(node.ops)
        elif isinstance(node, ast.BoolOp):
            arithmetic += len(node.values) - 1
        elif isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name)
            assert node.func.id in ARITHMETIC_CALLS | TRANSCENDENTAL_CALLS, node.func.id
            arithmetic += node.func.id in ARITHMETIC_CALLS
            transcendentals += node.func.id in TRANSCENDENTAL_CALLS
            nodes.extend(node.args)
            continue
        nodes.extend(ast.iter_child_nodes(node))
    return arithmetic, transcendentals


def _definitions() -> Iterator[tuple[str, Definition]]:
    tables = (
        *(elementwise.UNARY, elementwise.UNARY_GRADS, elementwise.SCALAR, elementwise.SCALAR_GRADS, elementwise.TESTS, elementwise.BINARY),
        *(elementwise.BINARY_X_GRADS, elementwise.BINARY_Y_GRADS, elementwise.CLIP, elementwise.CLIP_GRADS),
        *(activation.FROM_IN, activation.FROM_X, activation.GRADS_FROM_X, activation.GRADS_FROM_Y),
        *(broadcast.ARITHMETIC, broadcast.COMPARISONS),
    )
    for table in tables:
        yield from table.items()
    for signed in (elementwise.LERP, activation.GATED, loss.PLAIN, boxes.LOSS):
        yield from ((op_type, entry) for op_type, (_, entry) in signed.items())
    for op_type, forms in loss.BINARY.items():
        yield from ((op_type, form) for form in forms if form)


@pytest.mark.parametrize(("op_type", "definition"), [pytest.param(t, d, id=f"{t}: {d[2]}") for t, d in _definitions()])
def test_table_counts_its_definition(op_type: str, definition: Definition) -> None:
    arithmetic, transcendentals, text = definition
    assert (arithmetic, transcendentals) == operators(text), op_type


def _numeric(text: str) -> Callable[[Mapping[str, float]], float]:
    *intermediates, value = text.split(";")

    def evaluate(names: Mapping[str, float]) -> float:
        functions = {name: getattr(math, name) for name in dir(math)} | {
            "select": lambda c, a, b: a if c else b,
            "sigmoid": lambda v: 1 / (1 + math.exp(-v)),
            "rsqrt": lambda v: 1 / math.sqrt(v),
            "sign": lambda v: float((v > 0) - (v < 0)),
            "exp2": lambda v: 2.0**v,
            "rint": round,
            "abs": abs,
            "max": max,
            "min": min,
            "round": round,
        }
        scope = (
            functions | {"alpha": 0.7, "beta": 1.3, "C": math.sqrt(2 / math.pi), "K": 0.044715, "scale": 1.05, "scalar": 1.7} | dict(names)
        )
        scope |= {"threshold": 20.0, "low": -0.9, "high": 0.9, "lambd": 0.5, "value": 0.0}
        for statement in intermediates:
            name, expression = statement.split("=", 1)
            scope[name.strip()] = eval(expression.strip(), {"__builtins__": {}}, scope)  # noqa: S307  # the tables' own text
        return float(eval(value.strip(), {"__builtins__": {}}, scope))  # noqa: S307  # the tables' own text

    return evaluate


FORMULAS = {op_type: text for op_type, (_, _, text) in _definitions()}
UNNAMED = frozenset(["digamma", "trigamma", "erfinv", "pow_y"])
"""No function of the standard library, or not of x."""


def _forward_of(grad: str) -> str:
    return re.sub(r"(_x)?_grad$", "", grad)


GRADIENTS = sorted(
    grad
    for grad, text in FORMULAS.items()
    if grad.endswith("_grad") and _forward_of(grad) in FORMULAS and grad not in {**elementwise.LERP, **activation.GATED, **boxes.LOSS}
    if not re.search("|".join(UNNAMED), f"{grad} {text}")
)


@pytest.mark.parametrize("grad", GRADIENTS)
@pytest.mark.parametrize("at", [0.31, 0.62, -0.37])
def test_definition_of_a_gradient_is_the_derivative(grad: str, at: float) -> None:
    """A count is worth something only if its definition is right: gradients against a central difference of what they derive."""
    text = FORMULAS[_forward_of(grad)]
    forward, backward = _numeric(text), _numeric(FORMULAS[grad])
    others = {"t": 0.4, "p": 1.5, "y": 0.8, "dy": 1.0, "dz": 1.0, "loss_diff": 1.0}
    needs_positive = re.search(r"sqrt|pow\(x|(?<!1 \+ exp\()\blog\w*\(x|log\(1 - x", text)
    x = abs(at) + 1 if "acosh" in grad else abs(at) if needs_positive else at
    step = 1e-6
    low, high = (forward({**others, "x": x + side * step}) for side in (-1, 1))
    if "y" not in re.findall(r"\w+", text):
        others["y"] = forward({**others, "x": x})
    assert backward({**others, "x": x}) == pytest.approx((high - low) / (2 * step), abs=1e-5)
