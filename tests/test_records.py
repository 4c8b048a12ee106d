"""Frozen dataclasses with slots are what the library's are."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from typing import Any

import pytest

from irflops import records
from irflops.ir.graph import DType, Op, Operand, TensorType


def _made(dataclass: Any) -> Any:
    @dataclass(frozen=True, slots=True)
    class Record:
        """One field of each kind."""

        first: int
        second: str = "b"
        third: list[int] = dataclasses.field(default_factory=list)
        hidden: int = dataclasses.field(default=1, repr=False, compare=False)
        last: int = dataclasses.field(default=9, kw_only=True)

    Record.__qualname__ = "Record"
    return Record


LIBRARY, OURS = _made(dataclasses.dataclass), _made(records.dataclass)
CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((1,), {}),
    ((1, "x"), {}),
    ((1, "x", [2], 3), {"last": 4}),
    ((), {"second": "y", "first": 2}),
    ((1,), {"hidden": 5}),
    ((), {}),
    ((1, "x", [], 1, 2), {}),
    ((1,), {"other": 3}),
    ((1,), {"first": 2}),
]


@pytest.mark.parametrize(("args", "kwargs"), CALLS)
def test_it_takes_what_the_library_s_takes(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    try:
        expected = LIBRARY(*args, **kwargs)
    except TypeError:
        with pytest.raises(TypeError):
            OURS(*args, **kwargs)
        return
    made = OURS(*args, **kwargs)
    assert repr(made) == repr(expected)
    assert dataclasses.asdict(made) == dataclasses.asdict(expected)
    assert [p.name for p in inspect.signature(OURS).parameters.values()] == [p.name for p in inspect.signature(LIBRARY).parameters.values()]
    assert OURS.__match_args__ == LIBRARY.__match_args__


def test_equality_and_hash_go_by_what_is_compared() -> None:
    assert OURS(1, hidden=1) == OURS(1, hidden=2)
    assert OURS(1) != OURS(2)
    assert OURS(1) != LIBRARY(1)
    assert OURS(1).__eq__((1, "b", [], 9)) is NotImplemented
    assert OURS(1).third is not OURS(1).third
    assert hash(TensorType((2,), DType.INT8)) == hash(TensorType((2,), DType.INT8)) != hash(TensorType((2,), DType.INT16))


def test_no_field_can_be_set() -> None:
    made = OURS(1)
    for name in ("first", "new"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, name, 2)
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(made, name)
    assert made == OURS(1)


def test_methods_of_its_own_stay() -> None:
    @records.dataclass(frozen=True, slots=True)
    class Own:
        first: int

        def __post_init__(self) -> None:
            if self.first < 0:
                raise ValueError("below zero")

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return other == self.first

        def __hash__(self) -> int:
            return 7

    assert (repr(Own(1)), Own(1) == 1, hash(Own(1))) == ("own", True, 7)
    with pytest.raises(ValueError, match="below zero"):
        Own(-1)


def test_other_dataclasses_are_the_library_s() -> None:
    @records.dataclass
    class Open:
        first: int

    made = Open(1)
    made.first = 2
    assert made == Open(2)


@pytest.mark.parametrize(
    "made", [TensorType((2, 3), DType.INT8), Operand("in", 0, "a/out", TensorType()), Op("a", "relu", (), (), module="m", stem="a")]
)
def test_parts_of_a_graph_go_everywhere(made: Any) -> None:
    assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == dataclasses.replace(made) == made  # noqa: S301 - made here
    for field in dataclasses.fields(made):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, field.name, None)
