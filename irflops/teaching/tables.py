"""Rules from the `ops` tables of a configuration: `[ops.my_cuda_conv]` says how operators of that type are counted."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from irflops.configuration.choices import one_of
from irflops.configuration.config import Config
from irflops.configuration.places import text_of
from irflops.errors import IrflopsError, Origin, Source, Span, error_at, quoted
from irflops.ir.graph import AttrValue, DType
from irflops.ops.book import RuleBook
from irflops.ops.facts import Effect
from irflops.ops.rule import Example, OpRule
from irflops.readers.notation.cost_formula import Formula, Integer, read_formula
from irflops.readers.notation.op_signature import read_call
from irflops.teaching.parts import Like, Taught, TaughtBuffer, TaughtShape, TaughtTraffic, TaughtWork
from irflops.teaching.views import Likeness

COUNTS = ("macs", "flops", "transcendentals", "bytes_read", "bytes_written")
SETTINGS = (
    "like",
    "arguments",
    "attributes",
    "constants",
    "operands",
    "optional",
    *COUNTS,
    "temporary_bytes",
    "shape",
    "dtype",
    "aliases",
    "updates",
    "effects",
    "summary",
    "examples",
)
_NO_OPERATORS = ("variable", "input", "output")
MOST_EXAMPLES = 100


def rules_of(config: Config, book: RuleBook) -> tuple[OpRule, ...]:
    """The rules of a configuration, one for each table. Errors: IrflopsError at the place in the file that cannot be used."""
    return tuple(_Table(config, book, op_type, content).rule() for op_type, content in config.table("ops").items())


@dataclass(frozen=True, slots=True)
class _Table:
    """One table: an op type, and what the user says of it."""

    config: Config
    book: RuleBook
    """The rules that a type can be like."""
    op_type: str
    content: Any

    def rule(self) -> OpRule:
        content = self.content
        if not isinstance(content, dict):
            self.fail((), f"ops.{self.op_type} should be a table, [ops.{self.op_type}]")
        if self.op_type in _NO_OPERATORS or not self.op_type.strip():
            self.fail((), f"{quoted(self.op_type)} is no type of operators that compute")
        for name in content:
            self.checked((name,), one_of(SETTINGS, "setting of an op type"), name)
        if not {"like", "macs", "flops"} & content.keys():
            self.fail((), f"ops.{self.op_type} does not say what it counts", 'say like = "TYPE", or macs or flops: 0 where it has none')
        like = self.like()
        counts = {name: self.formula((name,), content[name]) for name in (*COUNTS, "temporary_bytes") if name in content}
        aliases = self.names_by_name("aliases")
        taught = Taught(
            optional=self.words("optional"),
            counts=counts,
            shapes=self.by_result("shape", self.formula),
            dtypes=self.by_result("dtype", self.dtype),
            is_view=bool(aliases),
            like=like,
        )
        theirs = like.likeness.arguments if like is not None else {}
        base = like.rule if like is not None else None

        def own(names: Mapping[str, str]) -> dict[str, str]:
            return {theirs.get(result, result): theirs.get(operand, operand) for result, operand in names.items()}

        return OpRule(
            op_types=(self.op_type,),
            summary=self.text("summary") or (f"As {base.op_types[0]}." if base is not None else "An operator of the user's."),
            formula=self.told(counts, like),
            shape=TaughtShape(taught),
            cost=TaughtWork(taught),
            traffic=TaughtTraffic(taught),
            temporary=TaughtBuffer(taught),
            examples=self.examples(),
            operands=self.words("operands"),
            contraction=(base.contraction if base is not None else False) if "macs" not in counts else counts["macs"].root != Integer(0),
            upper_bound=base.upper_bound if base is not None else False,
            aliases=aliases or (own(base.aliases) if base is not None else {}),
            shares=own(base.shares) if base is not None else {},
            updates=self.words("updates") or tuple(theirs.get(arg, arg) for arg in (base.updates if base is not None else ())),
            effects=self.effects() or (base.effects if base is not None else frozenset()),
            by=self.place(),
        )

    def place(self) -> str:
        """Where the table stands, as reports say it: `irflops.toml:12`."""
        at = self.config.place("ops", self.op_type)
        line = f":{self.config.source.line(at.start)}" if at is not None and self.config.source is not None else ""
        return f"{Path(self.config.path or '').name}{line}"

    def told(self, counts: Mapping[str, Formula], like: Like | None) -> str:
        """The counts in words."""
        words = [f"as {like.likeness.type}"] if like is not None else []
        words += [f"{name} = {' '.join(formula.source.text.split())}" for name, formula in counts.items()]
        return "; ".join(words)

    # -------------------------------------------------------------- settings

    def like(self) -> Like | None:
        for name in ("arguments", "attributes", "constants"):
            if name in self.content and "like" not in self.content:
                self.fail((name,), f'{name} say how it is like another op type, and like = "TYPE" is missing')
        if "like" not in self.content:
            return None
        op_type = self.text("like")
        self.checked(("like",), one_of(self.book.by_type, "op type that irflops has a rule for"), op_type)
        constants = {name: self.constant(name, value) for name, value in self.table("constants").items()}
        likeness = Likeness(op_type, self.names_by_name("arguments"), self.names_by_name("attributes"), constants)
        return Like(self.book.by_type[op_type], likeness)

    def constant(self, name: str, value: object) -> AttrValue:
        if isinstance(value, list) and all(isinstance(item, (bool, int, float, str)) for item in value):
            return tuple(value)
        if not isinstance(value, (bool, int, float, str)):
            self.fail(("constants", name), f"constants.{name} should be a number, a word, or a list of them")
        return value

    def formula(self, keys: tuple[str, ...], value: object) -> Formula:
        place, source = self.config.place("ops", self.op_type, *keys), self.config.source
        assert place is not None
        assert source is not None
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            text = Source(source.name, source.text[place.start : place.end], Origin(source, array("q", [0]), array("q", [place.start])))
            return Formula(Integer(value), text)
        if not isinstance(value, str) or not value.strip():
            self.fail(keys, f'{".".join(keys)} should be a formula in quotes, such as "2 * numel(out)", or a count')
        return read_formula(text_of(source, place, value))

    def dtype(self, keys: tuple[str, ...], value: object) -> DType:
        found = DType.named(value) if isinstance(value, str) else None
        if found is None:
            self.fail(keys, f"{quoted(value)} is no dtype", f"dtypes are {', '.join(dtype.word for dtype in DType)}")
        return found

    def by_result(self, name: str, read: Callable[[tuple[str, ...], object], Any]) -> dict[str, Any]:
        """By result what a setting says of it; what is said of the only result stands under ""."""
        value = self.content.get(name)
        if value is None:
            return {}
        if isinstance(value, dict):
            return {result: read((name, result), one) for result, one in value.items()}
        return {"": read((name,), value)}

    def effects(self) -> frozenset[Effect]:
        words = {effect.value: effect for effect in Effect}
        return frozenset(words[self.checked(("effects",), one_of(words, "effect"), word)] for word in self.words("effects"))

    def examples(self) -> tuple[Example, ...]:
        value = self.content.get("examples", [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value) or len(value) > MOST_EXAMPLES:
            self.fail(("examples",), f"examples should be tables, [[ops.{self.op_type}.examples]], {MOST_EXAMPLES} at most")
        return tuple(self.example(number, one) for number, one in enumerate(value))

    def example(self, number: int, content: Mapping[str, Any]) -> Example:
        keys = ("examples", number)
        for name in content:
            self.checked((*keys, name), one_of(("call", "because", *COUNTS), "part of an example"), name)
        call = content.get("call")
        if not isinstance(call, str):
            self.fail(keys, f'an example has a call = "{self.op_type}(in: f32[2,3]) -> out: f32[2,3]"')
        try:
            read = read_call(call)
        except IrflopsError as error:
            self.fail((*keys, "call"), f"{error.message}: column {error.column} of it")
        if read.op_type != self.op_type:
            self.fail((*keys, "call"), f"the call is one of {read.op_type}, and an example of {self.op_type}")
        figures: dict[str, Any] = {name: content[name] for name in COUNTS if name in content}
        for name, figure in figures.items():
            if figure != "unknown" and (type(figure) is not int or figure < 0):
                self.fail((*keys, name), f'{name} should be a count, or "unknown"')
        if not figures:
            self.fail(keys, f"an example states a figure: {', '.join(COUNTS)}")
        because = content.get("because", "")
        if not isinstance(because, str):
            self.fail((*keys, "because"), "because should be a sentence")
        return Example(call=call, because=because, **figures)

    def text(self, name: str) -> str:
        value = self.content.get(name, "")
        if not isinstance(value, str):
            self.fail((name,), f"{name} should be a word or a sentence in quotes")
        return value

    def words(self, name: str) -> tuple[str, ...]:
        value = self.content.get(name, [])
        if not isinstance(value, list) or not all(isinstance(word, str) and word for word in value) or len(set(value)) < len(value):
            self.fail((name,), f"{name} should be a list of names, each once")
        return tuple(value)

    def table(self, name: str) -> Mapping[str, Any]:
        value = self.content.get(name, {})
        if not isinstance(value, dict):
            self.fail((name,), f"{name} should be a table, {{ ... }}")
        return value

    def names_by_name(self, name: str) -> dict[str, str]:
        found = self.table(name)
        for key, value in found.items():
            if not isinstance(value, str) or not value:
                self.fail((name, key), f"{name}.{key} should be a name")
        return dict(found)

    # -------------------------------------------------------------- errors

    def checked(self, keys: Iterable[str | int], check: Callable[[str], str], name: str) -> str:
        try:
            return check(name)
        except ValueError as error:
            text, _, hint = str(error).partition("; ")
            self.fail(tuple(keys), text, hint or None)

    def fail(self, keys: tuple[str | int, ...], message: str, hint: str | None = None) -> NoReturn:
        place = self.config.place("ops", self.op_type, *keys) or self.config.place("ops", self.op_type) or self.config.place("ops")
        source = self.config.source
        raise error_at(IrflopsError, source or Source(self.config.path or "", ""), place or Span(0, 1), message, hint)
