"""Names of operators in MLIR, where a name is but an attribute: it may be empty, and two operators may have the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from irflops.ir.graph import Note


class OpNames:
    """Gives each operator of a graph a name that no other has.

    `given` are the names that stand in the module: a made-up one is none of these. The same module gets the same names each time.
    """

    def __init__(self, given: Iterable[str]) -> None:
        self._taken = set(given)
        self._used: set[str] = set()
        self._next: Counter[str] = Counter()
        self.made_up = 0
        """Operators that had no name."""
        self.shared = 0
        """Operators whose name another one had, of those that stand in the graph itself."""

    def own(self, name: str, op_type: str, *, copied: bool = False) -> str:
        """The name of an operator that is called `name`; an empty one is made up of the op type and a number, as in `relu#1`.

        The second operator of a name is called `relu-0#2`. `copied` says that the name is none
        that it was given in the graph itself: it stands in a function that is called, or is that of an argument.
        """
        if not name:
            self.made_up += 1
            return self._numbered(op_type, 1)
        if name not in self._used:
            self._used.add(name)
            return name
        self.shared += not copied
        return self._numbered(name, 2)

    def _numbered(self, stem: str, first: int) -> str:
        """The stem and the first number, from `first` on, that gives a name of its own."""
        while True:
            name = f"{stem}#{self._next[stem] + first}"
            self._next[stem] += 1
            if name not in self._taken and name not in self._used:
                self._used.add(name)
                return name

    def notes(self) -> Iterator[Note]:
        """What to say of names that are not the module's."""
        if self.made_up:
            who = "an operator has" if self.made_up == 1 else f"{self.made_up} operators have"
            yield Note("made-up-name", f"{who} no op_name: named here by op type and a number, such as relu#1")
        if self.shared:
            who = "an operator has" if self.shared == 1 else f"{self.shared} operators have"
            yield Note("shared-name", f"{who} the op_name of another: told apart here by a number, such as relu-0#2")
