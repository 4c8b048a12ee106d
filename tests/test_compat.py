"""flowflops' interface, answered by irflops."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path

import pytest

from irflops.compat.flowflops import FlowflopsWarning, flops_to_string, get_model_complexity_info, params_to_string
from irflops.errors import IrflopsError

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "fixtures"
IMAGE = (1, 3, 224, 224)

PUBLISHED = {
    "resnet18": ("11.69M", "1.82GMac", "1.82GMac"),
    "resnet50": ("25.56M", "4.12GMac", "4.13GMac"),
    "densenet121": ("7.98M", "2.88GMac", "2.88GMac"),
}
"""Parameters, eager and graph as flowflops published them in 2022."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures(name: str) -> None:
    path = FIXTURES / f"{name}.repr.txt.gz"
    eager, params = get_model_complexity_info(path, IMAGE, mode="eager")
    graph, _ = get_model_complexity_info(path, IMAGE, mode="graph")
    assert tuple(str(text).replace(" ", "") for text in (params, eager, graph)) == PUBLISHED[name]


def test_integers() -> None:
    path = FIXTURES / "resnet50.repr.txt.gz"
    assert get_model_complexity_info(path, IMAGE, as_strings=False, mode="graph") == (4127444456, 25557032)
    assert get_model_complexity_info(str(path), IMAGE, as_strings=False, print_per_layer_stat=False) == (4121925096, 25557032)


def test_another_size_is_counted_as_if_captured() -> None:
    layers = FIXTURES / "basic_block.repr.txt.gz"
    one, _ = get_model_complexity_info(layers, (), as_strings=False, mode="graph")
    assert isinstance(one, int)
    path = FIXTURES / "resnet18.repr.txt.gz"
    small, _ = get_model_complexity_info(path, (1, 3, 112, 112), as_strings=False)
    whole, _ = get_model_complexity_info(path, IMAGE, as_strings=False)
    assert isinstance(small, int)
    assert isinstance(whole, int)
    assert 3.7 < whole / small < 4.0  # 4 times the positions, but for the last layer, and for sizes rounded up
    both, _ = get_model_complexity_info(path, (2, 3, 224, 224), as_strings=False)
    assert both == whole + 1000 * 512  # eager counts a Linear once more for each sample


def test_transformers_get_a_number() -> None:
    path = FIXTURES / "gpt2_small_infer.repr.txt.gz"
    with pytest.warns(FlowflopsWarning, match="KeyError: 'gather'; this is irflops' own count"):
        flops, params = get_model_complexity_info(path, (2, 512), as_strings=False, mode="graph")
    assert flops == 136160477184
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert get_model_complexity_info(path, (2, 512), as_strings=False, mode="eager")[1] == params


def test_job_needs_no_module_tree() -> None:
    printed = get_model_complexity_info(FIXTURES / "basic_block.repr.txt.gz", (), as_strings=False)
    job = get_model_complexity_info(FIXTURES / "basic_block.job.prototxt.gz", (), as_strings=False)
    assert printed == job


def test_signature_is_that_of_flowflops() -> None:
    names = list(inspect.signature(get_model_complexity_info).parameters)
    assert names == [
        "model", "input_res", "print_per_layer_stat", "as_strings", "input_constructor", "ost", "verbose", "ignore_modules",
        "custom_modules_hooks", "mode", "flops_units", "param_units", "output_precision",
    ]  # fmt: skip


def test_errors() -> None:
    path = FIXTURES / "resnet18.repr.txt.gz"
    with pytest.raises(ValueError, match="Wrong mode name"):
        get_model_complexity_info(path, IMAGE, mode="lazy")
    with pytest.raises(IrflopsError, match="ignore_modules"):
        get_model_complexity_info(path, IMAGE, ignore_modules=[int])


def test_units() -> None:
    assert flops_to_string(4127444456, "GMac", 3) == "4.127 GMac"
    assert flops_to_string(999) == "999 Mac"
    assert params_to_string(25557032, "K") == "25557.03 K"


@pytest.mark.oneflow
def test_live_module() -> None:
    import oneflow as flow

    model = flow.nn.Sequential(flow.nn.Conv2d(3, 8, 3), flow.nn.ReLU())
    assert get_model_complexity_info(model, (1, 3, 8, 8), as_strings=False) == (36 * 8 * (27 + 1 + 1), 224)  # taps, bias and relu
