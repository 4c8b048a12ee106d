"""Op types that the user teaches irflops: by tables of a configuration, or by rules of installed packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from irflops.ops import BOOK

if TYPE_CHECKING:
    from irflops.configuration.config import Config
    from irflops.ir.graph import Graph
    from irflops.ops.book import RuleBook


def book_of(config: Config, book: RuleBook = BOOK) -> RuleBook:
    """A book with the rules of a configuration. Errors: IrflopsError at the place in the file that cannot be used."""
    if not config.table("ops"):
        return book
    from irflops.teaching.book import configured  # here for start-up time: few configurations teach op types

    return configured(config, book)


def taught(graph: Graph, book: RuleBook = BOOK) -> tuple[Graph, RuleBook]:
    """The graph with its operands called as the rules for them do, and the rules, with those of packages where a type has none.

    Errors: IrflopsError where a package's rules cannot be used.
    """
    missing = {op.type for op in graph.ops if op.type is not None} - book.by_type.keys()
    if not missing and not book.own:
        return graph, book
    from irflops.teaching.book import named, with_packages  # here for start-up time: most graphs have OneFlow's types alone

    if missing:
        book = with_packages(book, missing)
    return named(graph, book), book
