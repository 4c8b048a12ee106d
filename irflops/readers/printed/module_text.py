"""Attributes of operators out of a MODULE line's text: `Conv2d(3, 64, kernel_size=(7, 7), stride=(2, 2), bias=False)`.

A printed graph has no attributes, but OneFlow's own modules print what they were made with. Only texts of exactly those classes are
trusted; a user's class of another name may do anything with its arguments. Attributes get the names and values that a job has.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from irflops.ir.graph import Attrs, AttrValue, Operand, Phase
from irflops.readers.meaning.draft import Draft
from irflops.readers.printed.statement import Statements
from irflops.readers.printed.values import Call, Name
from irflops.readers.text.syntax import SyntaxProblem

Fields = dict[str, AttrValue]


class ModuleTexts:
    """Recovers attributes from module texts, each distinct text parsed once."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self._calls: dict[str, Call | None] = {}
        self._classes: dict[str, str | None] = {}

    def class_name(self, text: str) -> str | None:
        """The module's class, None where the text does not begin with one."""
        if text not in self._classes:
            name = text.partition("(")[0].strip()
            self._classes[text] = name if name.isidentifier() else None
        return self._classes[text]

    def attrs(self, text: str, draft: Draft) -> Attrs | None:
        """Attributes of an operator in a module of this text; None where the text tells none."""
        recover = _RECOVER.get((self.class_name(text) or "", draft.type or ""))
        if recover is None or (draft.phase is Phase.BACKWARD and draft.type in _FORWARD_ALONE):
            return None  # the products of a Linear's backward pass have other operands, and transpose others; its sums go over other axes
        call = self._call(text)
        if call is None:
            return None
        try:
            fields = recover(call, draft.inputs, draft.outputs)
        except (LookupError, TypeError, ValueError, OverflowError, RecursionError):
            return None  # a subclass under the same name that prints something else
        return Attrs(fields) if fields else None

    def _call(self, text: str) -> Call | None:
        if text not in self._calls:
            try:
                value = self._statements.value(text)
            except SyntaxProblem:
                value = None
            self._calls[text] = value if isinstance(value, Call) else None
        return self._calls[text]


def _ints(value: Any, count: int) -> tuple[int, ...]:
    if isinstance(value, bool):
        raise TypeError
    if isinstance(value, int):
        return (value,) * count
    if isinstance(value, (tuple, list)) and len(value) == count and all(type(v) is int for v in value):
        return tuple(value)
    if isinstance(value, (tuple, list)) and len(value) == 1 and type(value[0]) is int:
        return (value[0],) * count
    raise TypeError


def _float32(value: Any) -> float:
    """The number as a float32 attribute of a job holds it."""
    number: float = struct.unpack("f", struct.pack("f", float(value)))[0]
    return number


def _shape_of(operands: tuple[Operand, ...], arg: str) -> tuple[int | None, ...] | None:
    return next((operand.type.shape for operand in operands if operand.arg == arg), None)


def _conv(call: Call, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]) -> Fields:
    """Conv1d, Conv2d, Conv3d; their gradients have the same attributes."""
    spatial = int(call.name[-2])
    args = call.kwargs
    fields: Fields = {
        "filters": int(call.args[1]),
        "kernel_size": _ints(args["kernel_size"], spatial),
        "strides": _ints(args["stride"], spatial),
        "dilation_rate": _ints(args.get("dilation", 1), spatial),
        "groups": int(args.get("groups", 1)),
    }
    if str(args.get("padding_mode", "zeros")) != "zeros":
        fields["padding_before"] = (0,) * spatial  # the module pads by an operator of its own
    elif not isinstance(args.get("padding"), (str, Name)):
        fields["padding_before"] = _ints(args.get("padding", 0), spatial)
    weight = _shape_of(inputs, "weight") or _shape_of(inputs, "filter") or _shape_of(outputs, "filter_diff")
    kernel = fields["kernel_size"]
    if weight is not None and weight[2:] == kernel:
        fields["data_format"] = "channels_first"
    elif weight is not None and weight[1:-1] == kernel:
        fields["data_format"] = "channels_last"
    return fields


def _conv_gradient(call: Call, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]) -> Fields:
    fields = _conv(call, inputs, outputs)
    del fields["filters"]
    fields.setdefault("data_format", "channels_first")
    return {"num_spatial_dims": int(call.name[-2]), **fields}


def _linear(call: Call, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]) -> Fields:
    """The forward product of a Linear: its weight is [out_features, in_features]. A gradient's operands are others."""
    features = int(call.kwargs["in_features"]), int(call.kwargs["out_features"])
    a, b, out = _shape_of(inputs, "a"), _shape_of(inputs, "b"), _shape_of(outputs, "out")
    if b != features[::-1] or (a is not None and a[-1:] != features[:1]) or (out is not None and out[-1:] != features[1:]):
        return {}
    return {"transpose_a": False, "transpose_b": True, "alpha": 1.0}


def _batch_norm(call: Call, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]) -> Fields:
    return {
        "axis": 1,
        "epsilon": _float32(call.kwargs["eps"]),
        "momentum": _float32(1.0 - float(call.kwargs["momentum"])),
        "training": any(result.arg == "mean" for result in outputs),
    }


def _batch_norm_gradient(call: Call, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]) -> Fields:
    return {"axis": 1, "epsilon": _float32(call.kwargs["eps"])}


def _layer_norm(call: Call, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]) -> Fields:
    x = _shape_of(inputs, "x")
    normalized = call.args[0]
    if x is None:
        return {}
    axis = len(x) - len(normalized)
    affine = _truth(call.kwargs["elementwise_affine"])
    return {
        "center": affine,
        "scale": affine,
        "begin_norm_axis": axis,
        "begin_params_axis": axis,
        "epsilon": float(call.kwargs["eps"]),
    }


def _group_norm(call: Call, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]) -> Fields:
    return {"num_groups": int(call.args[0]), "epsilon": float(call.kwargs["eps"]), "affine": _truth(call.kwargs["affine"])}


def _truth(value: Any) -> bool:
    return {"True": True, "False": False}[str(value)]


def _pool(call: Call, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]) -> Fields:
    spatial = int(call.name[-2])
    args = call.kwargs
    fields: Fields = {
        "kernel_size": _ints(args["kernel_size"], spatial),
        "stride": _ints(args["stride"], spatial),
        "padding": _ints(args["padding"], spatial),
        "data_format": "channels_first",
    }
    if "ceil_mode" in args:
        fields["ceil_mode"] = _truth(args["ceil_mode"])
    if call.name.startswith("Max"):
        fields["dilation"] = _ints(args.get("dilation", 1), spatial)
    return fields


def _hardtanh(low: float | None, high: float | None) -> Callable[[Call, Any, Any], Fields]:
    def recover(call: Call, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]) -> Fields:
        return {
            "min_val": float(call.kwargs["min_val"]) if low is None else low,
            "max_val": float(call.kwargs["max_val"]) if high is None else high,
        }

    return recover


def _dropout(call: Call, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]) -> Fields:
    return {"rate": _float32(call.kwargs["p"])}


def _flatten(call: Call, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]) -> Fields:
    return {"start_dim": int(call.kwargs["start_dim"]), "end_dim": int(call.kwargs["end_dim"])}


def _embedding(call: Call, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]) -> Fields:
    return {"axis": 0}


def _layer_moment(axes: str, keep: str) -> Callable[[Call, Any, Any], Fields]:
    """Of the mean and the variance that make up a LayerNorm on a CPU: the last axes, kept as 1."""

    def recover(call: Call, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]) -> Fields:
        x, result = inputs[0].type.shape, outputs[0].type.shape
        count = len(call.args[0])
        if x is None or not 0 < count <= len(x) or result != (*x[: len(x) - count], *(1,) * count):
            return {}
        return {axes: tuple(range(len(x) - count, len(x))), keep: True}

    return recover


_Recover = Callable[[Call, tuple[Operand, ...], tuple[Operand, ...]], Fields]

_FAMILIES: tuple[tuple[tuple[str, ...], Mapping[str, _Recover]], ...] = (
    (("Conv1d",), {"conv1d": _conv, "conv_data_grad": _conv_gradient, "conv_filter_grad": _conv_gradient}),
    (("Conv2d",), {"conv2d": _conv, "conv_data_grad": _conv_gradient, "conv_filter_grad": _conv_gradient}),
    (("Conv3d",), {"conv3d": _conv, "conv_data_grad": _conv_gradient, "conv_filter_grad": _conv_gradient}),
    (("Linear",), {"matmul": _linear, "broadcast_matmul": _linear}),
    (
        ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d"),
        {"normalization": _batch_norm, "normalization_grad": _batch_norm_gradient},
    ),
    (("LayerNorm",), {"layer_norm": _layer_norm, "reduce_sum": _layer_moment("axis", "keepdims"), "var": _layer_moment("dim", "keepdim")}),
    (("GroupNorm",), {"group_norm": _group_norm}),
    (("MaxPool1d", "AvgPool1d"), dict.fromkeys(("max_pool_1d", "max_pool_1d_grad", "avg_pool_1d", "avg_pool_1d_grad"), _pool)),
    (("MaxPool2d", "AvgPool2d"), dict.fromkeys(("max_pool_2d", "max_pool_2d_grad", "avg_pool_2d", "avg_pool_2d_grad"), _pool)),
    (("MaxPool3d", "AvgPool3d"), dict.fromkeys(("max_pool_3d", "max_pool_3d_grad", "avg_pool_3d", "avg_pool_3d_grad"), _pool)),
    (("ReLU6",), dict.fromkeys(("hardtanh", "hardtanh_grad"), _hardtanh(0.0, 6.0))),
    (("Hardtanh",), dict.fromkeys(("hardtanh", "hardtanh_grad"), _hardtanh(None, None))),
    (("Dropout",), {"dropout": _dropout}),
    (("Flatten",), {"flatten": _flatten}),
    (("Embedding",), {"gather": _embedding}),
)
_FORWARD_ALONE = ("matmul", "broadcast_matmul", "reduce_sum", "var")
_RECOVER: dict[tuple[str, str], _Recover] = {
    (class_name, op_type): recover for classes, types in _FAMILIES for class_name in classes for op_type, recover in types.items()
}
