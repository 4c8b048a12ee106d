"""Reads `print(graph)` of OneFlow 0.8.0, 0.9.0 and 1.0: the module tree, the operators, what they declare."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from irflops.errors import GraphSyntaxError, Source, Span, error_at, quoted
from irflops.ir.graph import Attrs, Graph, Note, Op, Parameter, Phase, Placement, VariableKind
from irflops.readers.forms import PRINTED
from irflops.readers.meaning.assemble import complete, freeze
from irflops.readers.meaning.draft import Draft
from irflops.readers.meaning.partial import PARTIAL_HINT, partial_note
from irflops.readers.meaning.resolve import free_tensor_module, resolve
from irflops.readers.meaning.updates import LOOKS_LIKE_LARS
from irflops.readers.printed import log
from irflops.readers.printed.elided import fill_elided
from irflops.readers.printed.fused_add import find_fused_terms
from irflops.readers.printed.fused_gradients import find_fused_gradients
from irflops.readers.printed.module_print import bounded
from irflops.readers.printed.module_text import ModuleTexts
from irflops.readers.printed.module_tree import Level, Line, frozen_modules, name_lost_modules
from irflops.readers.printed.operators import draft_of, settle_updates, user_frame
from irflops.readers.printed.statement import BYTES_PER_TEXT, MAX_TEXTS, Statements
from irflops.readers.printed.values import MAX_DEPTH
from irflops.readers.text.syntax import SyntaxProblem


def read_graph(source: Source, text: log.GraphText, partial: bool = False) -> Graph:
    """The graph at one place of a source.

    With `partial`, statements that do not read are passed over and the graph is marked so. Errors: GraphSyntaxError where a statement
    does not read, foreign text interrupts the graph or its end is missing; GraphError where it contradicts itself.
    """
    return _Reader(source, text, partial).read()


class _Reader:
    def __init__(self, source: Source, text: log.GraphText, partial: bool) -> None:
        self.source = source
        self.text = text
        self.partial = partial
        self.statements = Statements(text.end - text.start)
        self.module_texts = ModuleTexts(self.statements)
        self.drafts: list[Draft] = []
        self.levels: list[Level] = []
        self.modules: list[Level] = []
        self.notes: list[Note] = []
        self.skipped = 0
        self.first_skipped: Span | None = None
        self.header = ""
        self.training = False
        self.has_graph_modules = False
        self.colon_placement = False
        self.unknown_parts: Counter[str] = Counter()
        self.declared_placements: dict[str, Placement] = {}

    def read(self) -> Graph:
        self._refuse_excess()
        damage = None if self.partial else self._damage()
        root = Level("", None, self.text.start, self.text.start)
        self.levels.append(root)
        self.modules.append(root)
        for kind, start, end, pieces in log.statements(self.text):
            if damage is not None and damage[0] <= start:
                break  # what does not read and stands before it is an error first: it may be the cause of all that follows
            self._take(kind, start, end, pieces)
        if damage is not None:
            _from, span, message = damage
            raise error_at(GraphSyntaxError, self.source, span, message, PARTIAL_HINT)
        return self._graph(root)

    def _refuse_excess(self) -> None:
        text = self.text
        limit = MAX_TEXTS + (text.end - text.start) // BYTES_PER_TEXT
        if len(text.kinds) - text.line_counts[log.CLOSE] > limit:
            span = Span(text.starts[limit], text.ends[limit])
            raise error_at(GraphSyntaxError, self.source, span, "more statements than a graph of this size can have")

    def _damage(self) -> tuple[int, Span, str] | None:
        """What keeps the graph from being whole: the offset from which it does, the place to show, and what it is."""
        text = self.text
        if not text.has_head:
            return 0, Span(text.starts[0], text.ends[0]), "the beginning of the graph is missing: no '(GRAPH:' line"
        if text.foreign:
            return text.foreign[0].start, text.foreign[0], "foreign text inside a graph"
        if not text.closed:
            return text.starts[-1], Span(text.end, text.end + 1), "the graph is cut off: its last parentheses are missing"
        if text.stray is not None:
            return text.stray.start, text.stray, "an operator line behind the graph's last parenthesis"
        return None

    def _take(self, kind: int, start: int, end: int, pieces: list[tuple[int, int]] | None) -> None:
        if kind == log.CLOSE:
            for _ in range(end - start):
                self._close()
            return
        text = self.source.text[start:end]
        if pieces:
            text = "\n".join([text, *(self.source.text[a:b] for a, b in pieces)])
        try:
            self._statement(kind, text, start, end)
        except SyntaxProblem as problem:
            if not self.partial:
                span = Span(*(_offset(at, start, end, pieces) for at in (problem.start, problem.end)))
                hint = f"{problem.hint}; {PARTIAL_HINT}" if problem.hint else PARTIAL_HINT
                raise error_at(GraphSyntaxError, self.source, span, problem.message, hint) from None
            self.skipped += 1
            if self.first_skipped is None:
                self.first_skipped = Span(start, end)
            if kind in (log.MODULE, log.GRAPH_MODULE) and text.rstrip().endswith("("):
                self.levels.append(Level(self.levels[-1].path, None, start, end))

    def _close(self) -> None:
        if len(self.levels) > 1:
            self.levels.pop()

    def _statement(self, kind: int, text: str, start: int, end: int) -> None:
        if kind == log.OPERATOR:
            self._operator(text, start, end)
        elif kind in (log.INPUT, log.OUTPUT):
            line = self.statements.tensor_line(text)
            level = self.levels[-1]
            (level.inputs if kind == log.INPUT else level.outputs).append(Line(line.name, line.type, line.nd_sbp))
        elif kind in (log.PARAMETER, log.BUFFER):
            self._parameter(kind, text)
        elif kind == log.MODULE:
            path, module_text = self.statements.level(text)
            if self.text.is_module and not self.header:
                self.header = f"{path or ''}:{self.module_texts.class_name(module_text or '') or ''}"
            self._open(Level(path, module_text, start, end), text)
        elif kind == log.GRAPH_MODULE:
            self.statements.level(text)
            self.has_graph_modules = True
            self._open(self.levels[-1], text)
        elif kind == log.CONFIG:
            self.training |= self.statements.config(text)  # modules have CONFIG lines too, which say nothing of it
        else:
            self.header = self.statements.level(text)[0] or ""

    def _open(self, level: Level, text: str) -> None:
        if len(self.levels) >= MAX_DEPTH:
            raise SyntaxProblem(0, len(text), f"modules nested deeper than {MAX_DEPTH} levels")
        if level is not self.levels[-1]:
            self.modules.append(level)
        if not text.rstrip().endswith(")"):
            self.levels.append(level)

    def _parameter(self, kind: int, text: str) -> None:
        line = self.statements.tensor_line(text)
        if line.type is None:
            return
        learned = VariableKind.TRAINABLE if line.trainable else VariableKind.FROZEN
        purpose = VariableKind.BUFFER if kind == log.BUFFER else learned
        level = self.levels[-1]
        parameter = Parameter(line.name or "", line.type, purpose)
        (level.parameters if line.name else level.unnamed).append(parameter)
        if line.placement is not None:
            self.declared_placements[line.name or ""] = line.placement

    def _operator(self, text: str, start: int, end: int) -> None:
        raw = self.statements.operator(text)
        level = self.levels[-1]
        if not self.colon_placement and "):placement=" in text:
            self.colon_placement = True
        draft = draft_of(raw, old=self.colon_placement)
        draft.start, draft.end = start, end
        if raw.frames:
            draft.location = self.statements.interned(user_frame(raw.frames))
        if raw.others:
            self.unknown_parts.update(part.partition("=")[0] for part in raw.others)
        self.drafts.append(draft)
        level.drafts.append(draft)

    def _graph(self, root: Level) -> Graph:
        self.statements.forget_names()
        name_lost_modules(self.modules)
        self._place_ops()
        self._mend_first_placement()
        settle_updates(self.drafts)
        fill_elided(self.drafts, root.inputs, root.outputs)
        if self.statements.untyped:
            self._type_operands()
        find_fused_gradients(self.drafts, self.notes)
        declared = {p.name: p.kind for level in self.modules for p in level.parameters}
        name, _, class_name = self.header.partition(":")
        if self.text.is_module:
            self.drafts += bounded(self.drafts, declared)
            text = f"this is the print of one module, {quoted(name)}: what the graph does outside of it is not counted"
            self.notes.append(Note("module-alone", text))
        complete(self.drafts, self.source, self.training, declared, self.notes, declares=True)
        find_fused_terms(self.drafts, self.notes, partial=self._is_partial())
        self._place_hidden()
        self.training |= self.text.is_module and any(draft.phase in (Phase.BACKWARD, Phase.OPTIMIZER) for draft in self.drafts)
        self._recover_attrs()
        self._note_oddities()
        modules = frozen_modules(self.modules, self.drafts, self.module_texts.class_name)
        return Graph(
            name=name,
            class_name=class_name or None,
            training=self.training,
            ops=self._frozen_ops(),
            modules=modules,
            format=PRINTED.name,
            source=self.source,
            span=Span(self.text.start, self.text.end),
            notes=tuple(self.notes),
            version_guess=self._version(),
            partial=self._is_partial(),
            holds=PRINTED.holds,
        )

    def _frozen_ops(self) -> tuple[Op, ...]:
        """The operators. Each draft goes as its operator comes: of a large graph both take much memory."""
        for level in self.modules:
            level.drafts.clear()
        drafts, ops = self.drafts[::-1], []
        self.drafts.clear()
        while drafts:
            ops.append(freeze(drafts.pop()))
        return tuple(ops)

    def _place_ops(self) -> None:
        """Settles each operator's module: the one that its name spells if there is such a module, else the one that its line stands in."""
        paths = {level.path: level.path for level in self.modules}
        for level in self.modules:
            for draft in level.drafts:
                path = paths.get(draft.module)
                if path is not None:
                    draft.module = path  # one text for all operators of a module
                elif draft.type != "variable" or free_tensor_module(draft.name) is None:
                    draft.module = level.path or ""

    def _place_hidden(self) -> None:
        """Settles the modules of operators without a line, such as those that an MLIR pass put in the place of others, by their names."""
        paths = {level.path for level in self.modules}
        for draft in self.drafts:
            if draft.hidden and draft.type != "variable" and not draft.module:
                path = resolve(draft.name, 0).path
                draft.module = path if path in paths and path is not None else ""

    def _recover_attrs(self) -> None:
        texts = {level.path: level.text for level in self.modules if level.text}
        shared = self.statements.interned
        for draft in self.drafts:
            text = texts.get(draft.module)
            if text is not None and draft.type not in (None, "variable") and not draft.rewritten:
                attrs = self.module_texts.attrs(text, draft)
                if attrs is not None:
                    draft.attrs = shared(Attrs({**attrs, **draft.attrs}) if draft.attrs else attrs)

    def _mend_first_placement(self) -> None:
        """0.9.0 prints another operator's placement on the first line: a declared one is right, or a consumer's whose mesh fits its sbp."""
        if not self.drafts or self.colon_placement:
            return
        first = self.drafts[0]
        declared = self.declared_placements.get(first.name)
        if declared is not None:
            first.placement = declared
            return
        rank = len(first.outputs[0].nd_sbp or ()) if first.outputs else 0
        if first.placement is None or rank in (0, len(first.placement.hierarchy)):
            return
        lbns = {result.lbn for result in first.outputs}
        for draft in self.drafts[1:]:
            fits = draft.placement is not None and len(draft.placement.hierarchy) == rank
            if fits and any(operand.lbn in lbns for operand in draft.inputs):
                first.placement = draft.placement
                return

    def _type_operands(self) -> None:
        """Gives operands that their line shows without a type the one that their producer's line has."""
        types = {result.lbn: result.type for draft in self.drafts for result in draft.outputs}
        for draft in self.drafts:
            draft.inputs = tuple(
                replace(operand, type=types[operand.lbn]) if operand.type.shape is None and operand.lbn in types else operand
                for operand in draft.inputs
            )

    def _note_oddities(self) -> None:
        alike = sum(draft.type == LOOKS_LIKE_LARS for draft in self.drafts)
        if alike:
            self.notes.append(
                Note("momentum-or-lars", f"{alike} updates print alike for SGD with momentum and for LARS; counted as momentum_update")
            )
        for part, count in self.unknown_parts.items():
            self.notes.append(
                Note(
                    "unknown-part",
                    f"{count} operator lines end in a part that is not known here, {part}=...; it was kept out of the figures",
                )
            )
        if self._is_partial():
            reasons = []
            if not self.text.closed:
                reasons.append("its end is missing")
            if not self.text.has_head:
                reasons.append("its beginning is missing")
            if self.text.foreign:
                count = len(self.text.foreign)
                reasons.append("1 foreign line was passed over" if count == 1 else f"{count} foreign lines were passed over")
            if self.skipped:
                reasons.append("1 statement does not read" if self.skipped == 1 else f"{self.skipped} statements do not read")
            if self.text.stray is not None:
                reasons.append("operator lines stand behind its last parenthesis")
            faults = [span for span in (self.first_skipped, *self.text.foreign[:1], self.text.stray) if span is not None]
            span = min(faults, key=lambda fault: fault.start) if faults else Span(self.text.end, self.text.end)
            self.notes.append(partial_note("; ".join(reasons), span))

    def _is_partial(self) -> bool:
        text = self.text
        return bool(self.partial and (self.skipped or text.foreign or not text.closed or not text.has_head or text.stray is not None))

    def _version(self) -> str | None:
        if self.colon_placement:
            return "0.8.0"
        return "0.9.0 or later" if self.has_graph_modules else None


def _offset(at: int, start: int, end: int, pieces: list[tuple[int, int]] | None) -> int:
    """Where an offset into a statement's text stands in the file."""
    lines: list[tuple[int, int]] = [(start, end), *(pieces or ())]
    for first, last in lines:
        if at <= last - first:
            return first + at
        at -= last - first + 1
    return lines[-1][1]
