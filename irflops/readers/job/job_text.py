"""The protobuf text format of a job: cut into statements, each read by grammar/job_text.lark, its fields typed by the job's schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from irflops.errors import GraphSyntaxError, Source, Span, error_at
from irflops.readers.job.job_arrangement import JobArrangements
from irflops.readers.job.job_cut import Piece, by_lines, by_marks, start_of
from irflops.readers.job.job_plan import MessagePlan, Value, plan_of
from irflops.readers.job.job_schema import PASSED_OVER, SECTIONS, Statement
from irflops.readers.text.skeleton import Allowance, BadValue, Skeletons
from irflops.readers.text.syntax import SyntaxProblem

_NOTHING = MessagePlan(())
"""That of a statement that is passed over: its strings end, its braces are in pairs, and nothing else of it is looked at."""

_Found = tuple[MessagePlan, Sequence[Value]]


def job_statements(source: Source) -> Iterator[Statement]:
    """The statements of a job's text, in file order. Errors: GraphSyntaxError at the place where it does not read.

    What is laid out as protobuf prints it goes the quick way: cut by lines, and told by its arrangement. Of each arrangement the first
    statement is cut by marks too and read by the grammar. From the first that the two ways cut differently on, all is read so.
    """
    text = source.text
    allowance = Allowance.of(len(text))
    readers = {section: _Reader(source, message, allowance) for section, message in {"": "Job", **SECTIONS}.items()}
    cursor = start_of(source)
    for piece in by_lines(source, cursor):
        reader = readers[piece.section]
        content = text[piece.start : piece.end]
        found = reader.arrangements.find(content)
        if found is None:
            if next(by_marks(source, cursor), None) != piece:
                break
            found = reader.learn(piece, content)
        yield from reader.statements(piece, *found)
    for piece in by_marks(source, cursor):
        reader = readers[piece.section]
        yield from reader.statements(piece, *reader.read(piece))


class _Reader:
    """Reads the statements of one section."""

    def __init__(self, source: Source, message: str, allowance: Allowance) -> None:
        self.source = source
        self.message = message
        self.skeletons = Skeletons("job_text", "message", ("STRING", "COMMENT", "NUMBER"), partial(plan_of, message), allowance)
        self.arrangements: JobArrangements[MessagePlan] = JobArrangements()

    def statements(self, piece: Piece, plan: MessagePlan, values: Sequence[Value]) -> Iterator[Statement]:
        """What stands in a piece, field by field."""
        if plan is _NOTHING:
            return
        span, unknown = Span(piece.start, piece.end), plan.unknown
        for name in plan.names:
            yield Statement(piece.section, name, partial(self._value, piece, plan, values, name), span, unknown)
            unknown = ()

    def _value(self, piece: Piece, plan: MessagePlan, values: Sequence[Value], name: str) -> Any:
        """The value of a statement's field, a list if it repeats."""
        try:
            return plan.fill(values).get(name)
        except BadValue:
            pass
        try:
            plan, values = self.read(piece)  # whose values have their own numbers, as the skeletons count them
            return plan.fill(values).get(name)
        except BadValue as bad:
            first, last = self.skeletons.offset(self.source.text[piece.start : piece.end], bad.number)
            raise self._error(piece, first, last, str(bad)) from None

    def learn(self, piece: Piece, content: str) -> _Found:
        """Reads the first statement of an arrangement, and remembers how."""

        def plan(text: str, is_short: bool) -> MessagePlan | None:
            if self._is_passed_over(piece):
                return _NOTHING
            try:
                plan, _ = self.skeletons.read(text)
            except SyntaxProblem:
                return None
            return None if is_short and plan.unknown else plan  # each time that an unknown field is given is told

        self.arrangements.learn(content, plan)
        return self.arrangements.find(content) or self.read(piece)

    def read(self, piece: Piece) -> _Found:
        """Reads a statement of any kind. Errors: GraphSyntaxError."""
        if self._is_passed_over(piece):
            return _NOTHING, ()
        try:
            plan, values = self.skeletons.read(self.source.text[piece.start : piece.end])
        except SyntaxProblem as problem:
            raise self._error(piece, problem.start, problem.end, problem.message, problem.hint) from None
        return plan, [value[1:-1] if value[0] in "\"'" else value for value in values]

    def _is_passed_over(self, piece: Piece) -> bool:
        return (self.message, piece.field) in PASSED_OVER

    def _error(self, piece: Piece, first: int, last: int, message: str, hint: str | None = None) -> GraphSyntaxError:
        error = error_at(GraphSyntaxError, self.source, Span(piece.start + first, piece.start + last), message, hint)
        assert isinstance(error, GraphSyntaxError)
        return error
