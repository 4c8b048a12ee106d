"""Calls of functions: each is the function's body, and how much of that there may be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from irflops.errors import quoted
from irflops.readers.mlir.mlir_functions import Function, Functions

MAX_CALLED = 100_000
"""Statements that all calls of a graph may stand for: each function may call another twice, and that one the next."""
MAX_DEEP = 50
"""Functions that may be at work at a time."""


def at(name: str) -> str:
    """A function as messages name it."""
    shown = quoted(name)
    return f"@{name}" if shown[1:-1] == name else f"@{shown}"


class BadCall(ValueError):
    """A call that stands for nothing: of a function that calls itself, or that does not take what it is given."""


@dataclass
class Calls:
    """The functions that may be called, and those that are at work."""

    functions: Functions
    at_work: list[Function] = field(default_factory=list)
    """The graph itself, then what it calls, what that calls, and so on."""
    left: int = MAX_CALLED

    def callee(self, name: str, operands: int) -> Function | None:
        """The function of a name that takes so many operands; None where there is none of the name. Errors: BadCall."""
        function = self.functions.by_name.get(name)
        if function is None:
            return None
        if function.is_job:
            raise BadCall(f"{at(name)} is a job, and only functions are called")
        if len(function.arguments) != operands:
            raise BadCall(f"{at(name)} takes {len(function.arguments)} operands, and {operands} stand here")
        return function

    def check_returned(self, function: Function, returned: int, taken: int) -> None:
        """Errors: BadCall where a function returns more or less than is taken from it."""
        if returned != taken:
            raise BadCall(f"{at(function.name)} returns {returned} values, and {taken} are taken here")

    @contextmanager
    def work(self, function: Function) -> Iterator[None]:
        """Within it a function is at work. Errors: BadCall where it is already, or where calls stand for too much."""
        if any(function is other for other in self.at_work):
            *_, caller = self.at_work
            through = "" if caller is function else f", through {at(caller.name)}"
            raise BadCall(f"{at(function.name)} calls itself{through}")
        if len(self.at_work) > MAX_DEEP:
            raise BadCall(f"functions call each other more than {MAX_DEEP} deep")
        if self.at_work:  # the graph itself may be as large as its file
            self.left -= len(function.body) + 1
        if self.left < 0:
            raise BadCall(f"calls that stand for more than {MAX_CALLED:,} operations in all, at {at(function.name)}")
        self.at_work.append(function)
        try:
            yield
        finally:
            self.at_work.pop()
