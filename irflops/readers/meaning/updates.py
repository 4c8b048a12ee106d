"""Tells optimizer operators apart: a printed graph calls all of them `<variable>_optimizer`."""

from __future__ import annotations

import re
from typing import NamedTuple

_STATE_ARGS = {
    "momentum": "momentum",
    "m": "m",
    "v": "v",
    "max_v": "max_v",
    "sum": "sum",
    "mean_square": "mean_square",
    "mean_gradient": "mean_gradient",
    "square_avgs": "square_avgs",
    "acc_deltas": "acc_deltas",
    "accumulate": "accumulate",
    "z": "z",
}
"""Operand names by the suffix of the state variable."""

_STATE = re.compile(r"-(" + "|".join(_STATE_ARGS) + r")(?:-repeat-\d+)?$")

_INDEXED = "System-Optimizer-IndexedSlices-"

_TYPE_BY_STATES: dict[frozenset[str], str] = {
    frozenset(): "sgd_update",
    frozenset({"momentum"}): "momentum_update",
    frozenset({"sum"}): "adagrad_update",
    frozenset({"mean_square"}): "rmsprop_update",
    frozenset({"mean_square", "mean_gradient"}): "rmsprop_update",
    frozenset({"square_avgs", "acc_deltas"}): "adadelta_update",
    frozenset({"accumulate", "z"}): "ftrl_update",
    frozenset({"m", "v"}): "adam_update",
    frozenset({"m", "v", "max_v"}): "adam_update",
}

LOOKS_LIKE_LARS = "momentum_update"
"""LARS prints exactly as SGD with momentum does."""


class PrintedUpdate(NamedTuple):
    """An optimizer operator: its type and the names of its operands in printed order."""

    op_type: str
    args: tuple[str, ...]


def is_update_name(name: str) -> bool:
    """Whether an operator of this name updates a variable."""
    return name.endswith("_optimizer") or name.startswith(_INDEXED)


def state_suffix(variable: str) -> str | None:
    """The suffix that marks a variable as an optimizer's state (`x.weight-momentum`), None for other names."""
    match = _STATE.search(variable)
    return match[1] if match else None


def read_update(name: str, operands: tuple[str, ...]) -> PrintedUpdate | None:
    """The optimizer behind an update operator, from the op names of its operands in printed order; None if no known one fits.

    Adam lists the learning rate before its moments, LAMB after them.
    """
    if name.startswith(_INDEXED):
        return _read_indexed(name, operands)
    states = [_state_of(operand, name) for operand in operands]
    found = frozenset(state for state in states[2:] if state is not None)
    op_type = _TYPE_BY_STATES.get(found)
    if op_type is None or len(operands) < 2:
        return None
    args = ["model", "model_diff"]
    for operand, state in zip(operands[2:], states[2:], strict=True):
        args.append(_STATE_ARGS[state] if state is not None else _plain_arg(operand))
    if len(set(args)) != len(args):
        return None
    if op_type == "adam_update" and "learning_rate" in args and args.index("learning_rate") > args.index("v"):
        op_type = "lamb_update"
    return PrintedUpdate(op_type, tuple(args))


def _read_indexed(name: str, operands: tuple[str, ...]) -> PrintedUpdate | None:
    """An update of the rows that a gather read: model, learning rate, states, then the gradient as indices and values.

    The order is that of OneFlow's indexed_slices_optimizer_rewrite_pass.cpp.
    """
    states = [_state_of(operand, name) for operand in operands[2:-2]]
    op_type = _TYPE_BY_STATES.get(frozenset(state for state in states if state is not None))
    if op_type not in ("sgd_update", "momentum_update", "adam_update") or len(operands) < 4 or None in states:
        return None
    args = ("model", "learning_rate", *(_STATE_ARGS[state] for state in states if state), "model_diff_indices", "model_diff_values")
    return PrintedUpdate(f"indexed_slices_{op_type}", args)


def _state_of(operand: str, update: str) -> str | None:
    """The state suffix of an operand that is a state of the updated variable itself."""
    suffix = state_suffix(operand)
    variable = update.removeprefix(_INDEXED).removesuffix("_optimizer")
    return suffix if suffix is not None and variable in operand else None


def _plain_arg(operand: str) -> str:
    for mark, arg in (
        ("bias_correction_factor1", "bias_correction1"),
        ("bias_correction_factor2", "bias_correction2"),
        ("LearningRate", "learning_rate"),
        ("CountNotFinite", "skip_if"),
        ("System-Train-TrainStep", "train_step"),
    ):
        if mark in operand:
            return arg
    return "scale_by_tensor"
