"""Since when OneFlow has its op types, against facts that its release notes and prints of each version tell."""

from __future__ import annotations

import re

import pytest

from irflops.ir.graph import DType, TensorType
from irflops.ir.signatures import op_types, signature
from irflops.ir.versions import versions

RELEASES = ("0.7.0", "0.8.0", "0.9.0", "1.0.0")


def test_every_op_type_has_versions() -> None:
    assert all(versions(op_type) is not None for op_type in op_types())
    assert versions("src_subset_tick") is None


@pytest.mark.parametrize("op_type", op_types())
def test_versions_follow_one_another(op_type: str) -> None:
    found = versions(op_type)
    assert found is not None
    assert found.since in (*RELEASES, "after 1.0.0")
    assert found.until is None or RELEASES.index(found.since) <= RELEASES.index(found.until) < 3
    for name, what in found.differs.items():
        match = re.fullmatch(r"(?:operand|result|attribute) (?:from|to|\d\.\d\.0 to) (\d\.\d\.0)", what)
        assert match is not None, name
        assert RELEASES.index(found.since) <= RELEASES.index(match[1])


@pytest.mark.parametrize(
    ("op_type", "words"),
    [
        ("relu", "0.7.0 or before"),
        ("deform_conv2d", "0.9.0"),
        ("eager_nccl_all_reduce", "0.7.0 or before, until 0.8.0"),
        ("fft_c2c", "1.0.0"),
        ("scaled_dot_product_flash_attention", "after 1.0.0"),
        ("TestReshape", "0.7.0 or before, until 0.7.0"),
    ],
)
def test_known_releases(op_type: str, words: str) -> None:
    assert str(versions(op_type)) == words


def test_names_that_some_versions_lack() -> None:
    """`_add_to_output` came with 0.9.0; expand's attribute was renamed in it."""
    conv, expand = versions("conv2d"), versions("expand")
    assert conv is not None
    assert expand is not None
    assert conv.differs["_add_to_output"] == "operand from 0.9.0"
    assert (expand.differs["logical_expand_shape"], expand.differs["expand_shape"]) == ("attribute to 0.8.0", "attribute from 0.9.0")


def test_a_name_of_the_newest_version_is_in_the_signature() -> None:
    for op_type in op_types():
        found, defined = versions(op_type), signature(op_type)
        assert found is not None
        assert defined is not None
        names = {arg.name for arg in (*defined.inputs, *defined.outputs)} | set(defined.attrs)
        assert {name for name, what in found.differs.items() if " from " in what} <= names, op_type


def test_widths_below_a_byte() -> None:
    """Two numbers of four bits share a byte."""
    assert [TensorType((n,), DType.INT4).nbytes for n in (0, 1, 2, 3, 8)] == [0, 1, 1, 2, 4]
    assert TensorType((3, 3), DType.UINT4).nbytes == 5
