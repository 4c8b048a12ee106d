"""Attributes that a printed graph tells in the texts of its modules."""

from __future__ import annotations

import pytest
from printed_graphs import fixture, op_of

CONV = {"filters": 8, "kernel_size": (3, 3), "strides": (2, 2), "dilation_rate": (1, 1), "groups": 1, "padding_before": (1, 1)}
POOL = {"kernel_size": (3, 3), "stride": (2, 2), "padding": (1, 1), "data_format": "channels_first"}


@pytest.mark.parametrize(
    ("text", "op_type", "inputs", "output", "expected"),
    [
        (
            "Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))",
            "conv2d",
            ("x/out 1,3,8,8", "w/out 8,3,3,3"),
            "out_0 1,8,4,4",
            CONV | {"data_format": "channels_first"},
        ),
        (
            "Conv2d(4, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), dilation=(2, 2), groups=4, bias=False)",
            "conv2d",
            ("x/out 1,4,8,8", "w/out 8,1,3,3"),
            "out_0 1,8,3,3",
            CONV | {"groups": 4, "dilation_rate": (2, 2), "data_format": "channels_first"},
        ),
        (
            "Conv1d(3, 8, kernel_size=(5,), stride=(1,))",
            "conv1d",
            ("x/out 1,3,8", "w/out 8,3,5"),
            "out_0 1,8,4",
            {"filters": 8, "kernel_size": (5,), "strides": (1,), "dilation_rate": (1,), "groups": 1, "padding_before": (0,)}
            | {"data_format": "channels_first"},
        ),
        (
            "Linear(in_features=16, out_features=4, bias=True)",
            "matmul",
            ("x/out 8,16", "w/out 4,16"),
            "out_0 8,4",
            {"transpose_a": False, "transpose_b": True, "alpha": 1.0},
        ),
        (
            "LayerNorm((16,), eps=1e-05, elementwise_affine=True)",
            "layer_norm",
            ("x/out 2,8,16", "b/out 16", "g/out 16"),
            "y_0 2,8,16",
            {"center": True, "scale": True, "begin_norm_axis": 2, "begin_params_axis": 2, "epsilon": 1e-05},
        ),
        (
            "GroupNorm(4, 8, eps=1e-05, affine=True)",
            "group_norm",
            ("x/out 2,8,4,4", "b/out 8", "g/out 8"),
            "y_0 2,8,4,4",
            {"num_groups": 4, "epsilon": 1e-05, "affine": True},
        ),
        (
            "MaxPool2d(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), dilation=(1, 1))",
            "max_pool_2d",
            ("x/out 1,3,8,8",),
            "y_0 1,3,4,4",
            POOL | {"dilation": (1, 1)},
        ),
        (
            "AvgPool2d(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), ceil_mode=True)",
            "avg_pool_2d",
            ("x/out 1,3,8,8",),
            "y_0 1,3,5,5",
            POOL | {"ceil_mode": True},
        ),
        (
            "MaxPool1d(kernel_size=3, stride=2, padding=0)",
            "max_pool_1d",
            ("x/out 1,3,8",),
            "y_0 1,3,3",
            {"kernel_size": (3,), "stride": (2,), "padding": (0,), "data_format": "channels_first", "dilation": (1,)},
        ),
        ("ReLU6(inplace=True)", "hardtanh", ("x/out 8",), "out_0 8", {"min_val": 0.0, "max_val": 6.0}),
        ("Hardtanh(min_val=-2.0, max_val=2.0)", "hardtanh", ("x/out 8",), "out_0 8", {"min_val": -2.0, "max_val": 2.0}),
        ("Flatten(start_dim=1, end_dim=-1)", "flatten", ("x/out 8,2,2",), "out_0 8,4", {"start_dim": 1, "end_dim": -1}),
        ("Dropout(p=0.5)", "dropout", ("x/out 8",), "out_0 8", {"rate": 0.5}),
        ("Embedding(64, 32)", "gather", ("w/out 64,32", "x/out 8"), "out_0 8,32", {"axis": 0}),
    ],
)
def test_attributes_of_oneflows_own_modules(
    text: str, op_type: str, inputs: tuple[str, ...], output: str, expected: dict[str, object]
) -> None:
    op = op_of(f"m-{op_type}-0", inputs, (output,), text=text)
    assert dict(op.attrs) == expected


@pytest.mark.parametrize(
    ("text", "op_type"),
    [
        ("MyConv2d(3, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))", "conv2d"),  # a user's class may mean anything
        ("ConvTranspose2d(3, 8, kernel_size=(3, 3), stride=(2, 2))", "conv2d"),  # not what that module makes
        ("ConvTranspose2d(3, 8, kernel_size=(3, 3), stride=(2, 2))", "deconv2d"),  # nothing of it is needed: shapes tell the cost
        ("Conv2d(3, 8)", "conv2d"),  # a subclass with a text of its own
        ("Conv2d(channels=3)", "conv2d"),
        ("Conv2d(3, 8, kernel_size=(three, 3), stride=(2, 2))", "conv2d"),
        ("Conv2d(3, 8, kernel_size=(3, 3), stride=", "conv2d"),
        ("Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2))", "relu"),  # another operator in its forward
        ("Sequential()", "conv2d"),
    ],
)
def test_other_texts_tell_no_attributes(text: str, op_type: str) -> None:
    op = op_of(f"m-{op_type}-0", ("x/out 1,3,8,8", "w/out 8,3,3,3"), ("out_0 1,8,4,4",), text=text)
    assert dict(op.attrs) == {}


def test_the_gradients_of_a_convolution_have_its_attributes() -> None:
    graph = fixture("cnn_accumulate")
    for name in ("model.4-conv2d-15", "model.4-conv_data_grad-51", "model.4-conv_filter_grad-52"):
        attrs = graph.by_name[name].attrs
        assert (attrs["kernel_size"], attrs["strides"], attrs["groups"]) == ((3, 3), (2, 2), 4)


def test_the_transposes_of_a_linear_layer_are_its_forward_products_alone() -> None:
    """The products of the backward pass have other operands."""
    graph = fixture("mlp_train")
    assert graph.by_name["model.2-matmul-3"].attrs["transpose_b"] is True
    assert "transpose_b" not in graph.by_name["model.2-matmul-24"].attrs
    assert "transpose_b" not in graph.by_name["model.2-matmul-25"].attrs


def test_a_batch_norm_knows_if_it_trains() -> None:
    assert fixture("basic_block").by_name["model.bn1-normalization-1"].attrs["training"] is False
    trained = fixture("cnn_accumulate").by_name["model.1-normalization-10"]
    assert trained.attrs["training"] is True
    assert [result.arg for result in trained.outputs] == ["y", "mean", "inv_variance"]
