"""What two statements of one shape say together."""

from __future__ import annotations

from irflops.ir.graph import Shape


def unified(a: Shape | None, b: Shape | None) -> Shape | None:
    """The shape that both may be, axis by axis: None, of an extent or of a whole shape, fits anything. ValueError where they contradict."""
    if b is None or a == b:
        return a
    if a is None:
        return b
    if len(a) != len(b) or any(x != y for x, y in zip(a, b, strict=True) if x is not None and y is not None):
        raise ValueError(f"{a} and {b} are no one shape")
    return tuple(y if x is None else x for x, y in zip(a, b, strict=True))


def fit(a: Shape | None, b: Shape | None) -> bool:
    """Whether both may be of one tensor."""
    try:
        unified(a, b)
    except ValueError:
        return False
    return True
