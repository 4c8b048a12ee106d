"""Frozen dataclasses with a quicker `__init__` are what they would be without it."""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, replace

import pytest

from irflops.ir.graph import DType, Op, Operand, TensorType
from irflops.ir.quick import quick


@dataclass(frozen=True, slots=True)
class Plain:
    """One with and one without a default."""

    first: int
    second: str = "b"


@quick
@dataclass(frozen=True, slots=True)
class Quick:
    """The same."""

    first: int
    second: str = "b"


def test_it_takes_what_the_other_takes() -> None:
    for args, kwargs in ([(1,), {}], [(1, "x"), {}], [(), {"second": "y", "first": 2}], [(1,), {"second": "z"}]):
        plain, made = Plain(*args, **kwargs), Quick(*args, **kwargs)  # type: ignore[arg-type]  # of several calls at once
        assert (made.first, made.second) == (plain.first, plain.second)
        assert repr(made) == repr(plain).replace("Plain", "Quick")
    for args, kwargs in ([(), {}], [(1, "x", 3), {}], [(1,), {"third": 3}], [(1,), {"first": 2}]):
        with pytest.raises(TypeError, match=r"Quick\.__init__\(\)"):
            Quick(*args, **kwargs)  # type: ignore[arg-type]  # of several calls at once
    assert [p.default for p in inspect.signature(Quick).parameters.values()] == [inspect.Parameter.empty, "b"]


def test_it_is_frozen_and_goes_everywhere() -> None:
    made = Quick(1, "x")
    with pytest.raises(FrozenInstanceError):
        made.first = 2  # type: ignore[misc]  # what must fail
    assert replace(made, first=3) == Quick(3, "x")
    assert {made, Quick(1, "x")} == {made}
    assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == made  # noqa: S301 - made here


@pytest.mark.parametrize(
    "made", [TensorType((2, 3), DType.INT8), Operand("in", 0, "a/out", TensorType()), Op("a", "relu", (), (), module="m", stem="a")]
)
def test_parts_of_a_graph_are_frozen(made: object) -> None:
    for name in made.__slots__:  # type: ignore[attr-defined]  # they have slots
        with pytest.raises(FrozenInstanceError):
            setattr(made, name, None)
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301 - made here
