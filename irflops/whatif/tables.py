"""What to ask for where a variable binds a graph to its size: the shapes that such tables need, tried before they are told."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from irflops.errors import IrflopsError
from irflops.ir.graph import Op
from irflops.whatif.prepared import Prepared
from irflops.whatif.refusals import Misfit
from irflops.whatif.request import Asked, captured_shape
from irflops.whatif.variables import alike, asked_variables, variables_called
from irflops.whatif.worlds import carried

MOST_TRIES, OPS_OVER_TRIES = 24, 200_000
"""Sets of shapes that are tried, and operators over all tries; two sets are tried of the largest graph."""

MOST_OPEN = 3
"""Axes of a variable that may have to change."""


def options_for(prepared: Prepared, wanted: tuple[Asked, ...], error: Misfit, letters: Mapping[int, str]) -> str | None:
    """A hint with the options that let the graph take the inputs that are asked for, None where none was found.

    `letters` stand for what extents become.
    """
    tries = max(2, min(MOST_TRIES, OPS_OVER_TRIES // max(1, len(prepared.graph.ops))))
    found = _search(prepared, wanted, error, {}, iter(range(tries)))
    if found is None:
        return None
    options = " ".join(f"--set {_shell_word(f'{name}={_spelled(prepared, name, shape, letters)}')}" for name, shape in found.items())
    return f"with {'variables' if len(found) > 1 else 'a variable'} of that size: {options}"


def _search(
    prepared: Prepared, wanted: tuple[Asked, ...], error: Misfit, so_far: Mapping[str, Sequence[int]], tries: Iterator[int]
) -> Mapping[str, Sequence[int]] | None:
    """Shapes of variables by name or pattern, beside those so far, with which the graph can be carried to its end."""
    asked_for = {ask.op.name for ask in wanted}
    for variable in error.variables:
        name, ops = alike(prepared.graph, prepared.types, variable)
        if not asked_for.isdisjoint(op.name for op in ops) or name in so_far:
            continue
        for shape in _shapes(prepared, variable, error.changes):
            if next(tries, None) is None:
                return None
            proposed = {**so_far, name: shape}
            try:
                carried(prepared, wanted + asked_variables(prepared.graph, prepared.types, proposed))
            except Misfit as other:
                if other.message != error.message and (found := _search(prepared, wanted, other, proposed, tries)) is not None:
                    return found
            except IrflopsError:
                continue
            else:
                return proposed
    return None


def _shapes(prepared: Prepared, variable: Op, changes: Sequence[tuple[int, int]]) -> Iterator[tuple[int, ...]]:
    """Shapes that a table may need, the likeliest first: an axis is as long as one that changed, or long enough for it no longer."""
    try:
        captured = captured_shape(prepared.graph, variable, prepared.types)
    except IrflopsError:
        return
    new = {
        axis: dict.fromkeys(after for before, after in changes if before == extent or before < extent < after)
        for axis, extent in enumerate(captured)
    }
    axes = [axis for axis, extents in new.items() if extents]
    for count in range(1, min(len(axes), MOST_OPEN) + 1):
        for chosen in itertools.combinations(axes, count):
            for extents in itertools.product(*(new[axis] for axis in chosen)):
                yield tuple(dict(zip(chosen, extents, strict=True)).get(axis, extent) for axis, extent in enumerate(captured))


def _spelled(prepared: Prepared, name: str, shape: Sequence[int], letters: Mapping[int, str]) -> str:
    """A shape as an option takes it, a letter for each extent that changes into what it stands for."""
    captured = captured_shape(prepared.graph, variables_called(prepared.graph, name)[0], prepared.types)
    return "x".join(letters.get(now, str(now)) if now != was else str(now) for was, now in zip(captured, shape, strict=True))


def _shell_word(text: str) -> str:
    return f"'{text}'" if "*" in text else text
