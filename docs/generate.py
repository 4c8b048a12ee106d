"""Writes what the documents quote: `docs/costs.md`, `docs/operators.md`, `docs/rules.md`, `docs/rules/` and `docs/conventions.md` from the
rules, the table of what each form tells in `docs/formats.md`, that of memory plans in `docs/memory.md`, and the output below each
`$ irflops ...` of a ```console block.

`python docs/generate.py` rewrites them, `python docs/generate.py --check` names those that are out of date and exits with 1.
`--measured` renews `docs/accuracy.md` too, from published measured results.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import re
import runpy
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

from irflops import ops
from irflops.auditing.rule import AuditRule, Bad, Good
from irflops.auditing.rules import RULES as AUDIT_RULES
from irflops.conventions.registry import ALIASES, CONVENTIONS, Convention
from irflops.conventions.rows import convention_row
from irflops.counting.cost import COST_NAMES
from irflops.counting.hidden import at_best
from irflops.ir.certainty import Certainty
from irflops.ir.holds import Holds
from irflops.ops.rule import Example, OpRule
from irflops.readers.forms import FORMS

ROOT = Path(__file__).resolve().parent.parent
COSTS = ROOT / "docs" / "costs.md"
AUDIT = ROOT / "docs" / "rules.md"
AUDIT_PAGES = ROOT / "docs" / "rules"
CONVENTIONS_PAGE = ROOT / "docs" / "conventions.md"
OPERATORS = ROOT / "docs" / "operators.md"
ACCURACY = ROOT / "docs" / "accuracy.md"

_TRANSLATED = runpy.run_path(str(ROOT / "docs" / "translations.py"))
TRANSLATIONS: dict[str, str] = _TRANSLATED["TRANSLATIONS"]
in_step: Callable[[str, str], str] = _TRANSLATED["in_step"]
refreshed_blocks: Callable[[str], str] = runpy.run_path(str(ROOT / "docs" / "console_blocks.py"))["refreshed_blocks"]


def documents() -> list[Path]:
    """All documents with prose of our own."""
    return sorted([*ROOT.glob("README*.md"), ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])


# ------------------------------------------------------------------ cost definitions

COSTS_HEAD = """\
<!-- Written by docs/generate.py from the rules in irflops/ops/. Change them there. -->

# Cost definitions

What irflops counts for each of the {types} op types that it has a rule for, with {examples} examples that its tests check.

- MACs are multiply-accumulates of contractions. FLOPs are all arithmetic operations, 2 for each MAC.
- Transcendentals (exp, log, tanh, erf, sqrt, rsqrt, pow, sin and the like) are counted apart and are no FLOPs.
- Bytes are read and written once per operand and result, without fusion, unless the rule says otherwise.
- A count that a form does not tell is unknown, and an unknown count is never zero.

{contents}
"""

FIGURES = (
    ("macs", "MACs"),
    ("flops", "FLOPs"),
    ("transcendentals", "transcendentals"),
    ("bytes_read", "bytes read"),
    ("bytes_written", "bytes written"),
)


@dataclass(frozen=True, slots=True)
class Family:
    """The rules of one file."""

    title: str
    summary: str
    rules: tuple[OpRule, ...]


def families() -> list[Family]:
    """In the order of the registry."""
    found: dict[int, Family] = {}
    at = {id(rule): i for i, rule in enumerate(ops.RULES)}
    for module in pkgutil.iter_modules(ops.__path__):
        family = importlib.import_module(f"irflops.ops.{module.name}")
        rules = tuple(rule for rule in getattr(family, "RULES", ()) if id(rule) in at)
        if rules:
            summary = " ".join((family.__doc__ or module.name).split("\n\n")[0].split()).rstrip(".")
            found[at[id(rules[0])]] = Family(re.split(r"[:;]|\. ", summary)[0], f"{summary}.", rules)
    return [found[i] for i in sorted(found)]


def costs_page() -> str:
    """The whole of docs/costs.md."""
    head = COSTS_HEAD.format(
        types=sum(len(rule.op_types) for rule in ops.RULES),
        examples=sum(len(rule.examples) for rule in ops.RULES),
        contents="\n".join(f"- [{family.title}](#{anchor(family.title)})" for family in families()),
    )
    return "\n".join([head, *map(_section, families())])


def _section(family: Family) -> str:
    summary = "" if family.summary == f"{family.title}." else f"{_prose(family.summary)}\n\n"
    return f"## {family.title}\n\n{summary}" + "\n".join(map(_rule, family.rules))


def _rule(rule: OpRule) -> str:
    facts = [("Counts", rule.formula), ("Leaves out", rule.ignores), ("Source", rule.source)]
    if rule.is_view:
        facts.append(("Moves", "nothing: the result shares the operand's storage"))
    if rule.upper_bound:
        facts.append(("Certainty", "an upper bound: the work depends on the data"))
    lines = [f"- {name}: {_prose(text)}" for name, text in facts if text]
    lines += [f"- `{example.call}`  \n  {_figures(example)}: {_prose(example.because)}" for example in rule.examples]
    heading = ", ".join(f"`{op_type}`" for op_type in rule.op_types)
    return f"### {heading}\n\n{_prose(rule.summary)}\n\n" + "\n".join(lines) + "\n"


def _figures(example: Example) -> str:
    values = [(getattr(example, name), words) for name, words in FIGURES]
    return ", ".join(f"{words} unknown" if value == "unknown" else f"{value:,} {words}" for value, words in values if value is not None)


def _prose(text: str) -> str:
    """Text as Markdown shows it word for word."""
    return re.sub(r"([*<\[\]`]|\b_|_\b)", r"\\\1", text)


def anchor(heading: str) -> str:
    """The fragment by which GitHub links to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def operators_page() -> str:
    """The whole of docs/operators.md, which a script beside this one writes."""
    return str(runpy.run_path(str(ROOT / "docs" / "operators_page.py"))["operators_page"]())


def accuracy_page() -> str:
    """The whole of docs/accuracy.md, likewise."""
    return str(runpy.run_path(str(ROOT / "docs" / "accuracy_page.py"))["accuracy_page"]())


# ------------------------------------------------------------------ audit rules

AUDIT_HEAD = """\
<!-- Written by docs/generate.py from the rules in irflops/auditing/rules/. Change them there. -->

# Audit rules

What `irflops audit` looks for: {rules} rules, with {examples} examples that its tests check. `irflops rules NAME` shows what a page here
does; [audit.md](audit.md) tells how to choose and set them. The notation of the graphs is that of
irflops/readers/notation/sketch.py: a line is an op, with the names of earlier lines as its operands.

| rule | default | finds |
| --- | --- | --- |
{table}
"""


def audit_page() -> str:
    """The whole of docs/rules.md."""
    table = "\n".join(f"| [`{rule.name}`](rules/{rule.name}.md) | {rule.severity.word} | {_prose(rule.summary)} |" for rule in AUDIT_RULES)
    examples = sum(len(rule.good) + len(rule.bad) for rule in AUDIT_RULES)
    return AUDIT_HEAD.format(rules=len(AUDIT_RULES), examples=examples, table=table)


def rule_pages() -> dict[Path, str]:
    """The page of each rule, by its path."""
    return {AUDIT_PAGES / f"{rule.name}.md": _rule_page(rule) for rule in AUDIT_RULES}


def _rule_page(rule: AuditRule) -> str:
    facts = [
        ("Default", rule.severity.word),
        ("Why", rule.why),
        ("Fix", rule.fix),
        ("Left open", rule.undecidable),
        ("Source", rule.source),
    ]
    lines = [f"- {name}: {_prose(text)}" for name, text in facts if text]
    lines += [f"- Setting `{setting.name}`, `{setting.default}` unless set: {_prose(setting.meaning)}" for setting in rule.settings]
    written = f"<!-- Written by docs/generate.py from irflops/auditing/rules/{rule.name.replace('-', '_')}.py. Change it there. -->"
    parts = [f"{written}\n\n# {rule.name}\n\n{_prose(rule.summary)}\n\n" + "\n".join(lines)]
    parts += [f"Fires: {_prose(bad.name)}\n\n{_sketch(bad)}\n\n{_verdict(bad)}" for bad in rule.bad]
    parts += [f"Does not fire: {_prose(good.name)}\n\n{_sketch(good)}" for good in rule.good]
    return "\n\n".join([*parts, "[All rules](../rules.md)"]) + "\n"


def _sketch(example: Good | Bad) -> str:
    lines = [line.strip() for line in example.graph.strip().splitlines() if line.strip()]
    setting = "".join(f"# with {name} = {value}\n" for name, value in example.settings.items())
    return "```text\n" + setting + "\n".join(lines) + "\n```"


def _verdict(bad: Bad) -> str:
    place = f"At `{bad.op}`" if bad.op is not None else "At the graph or a module"
    gain = ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in (bad.gain or {}).items())
    return f"{place}, {bad.certainty.value}: {_prose(bad.because)}." + (f" Gain: {gain}." if gain else "")


# ------------------------------------------------------------------ conventions

CONVENTIONS_HEAD = """\
<!-- Written by docs/generate.py from the tables in irflops/conventions/. Change them there. -->

# Conventions: how other counters count

"ResNet-50 has 4.09, 4.12, 4.13 or 8.2 G of what?" A convention says what a tool prints for the code behind a graph, from the dump alone.
`irflops analyze PATH --convention NAME` gives its figure and what makes it up, `irflops compare PATH` sets them side by side with the
reasons why they differ, `irflops explain PATH OP` tells what each counts for one operator, and `irflops conventions NAME` shows a table of
this page.

```console
$ irflops compare fixtures/resnet50.repr.txt.gz --with flowflops-eager,flowflops-graph
```

| convention | tool | figure | unit | counts by | batch |
| --- | --- | --- | --- | --- | --- |
{table}

{aliases}

## What is counted

A tool that hooks modules counts by their class, and what stands in a module that it knows is counted by that rule alone. A printed graph
names the classes and the tensors of each call (`source` is `module_tree`). A job or MLIR does not: there the class of a module without
others below it follows from its operators (`inferred`): one kind of step, with the weight of its own that the class has. A function called
in such a module looks like one, and a user's class is known by its parameters alone.

Operators that are one call of the user's are lifted into one step first: a convolution or a product with a weight and the bias added to
it, a mean, and the layer, group and instance norms that OneFlow makes of primitives without a GPU. `irflops analyze PATH --by step`, and
`by_step` in the JSON, show the costs by step.

Where the tool itself ends with an exception, its total is null and `raises` says which one: that is an answer. Where a form does not tell
what a tool counts by, as the stride of a transposed convolution in a printed graph, the total is null and `unknown` says why.

irflops' count and the differences of the reasons make the tool's total exactly. The reasons of a figure in MACs are compared with irflops'
MACs, those in FLOPs with its FLOPs, activations with its activation elements.

## What differs from the tool run on torchvision

The tools were run on torchvision's models of the same architectures: every figure of 13 of them is the same to the unit. Two are
written otherwise there, and a tool prints something else for that code, which nobody can see in a dump of flowvision's:

- swin_tiny_patch4_window7_224. torchvision calls F.linear with the weights of qkv and proj, so that their hooks never fire: ptflops has
  1,392,986,112 less (MACs and biases of both), thop 1,387,266,048 less, torchinfo 28,428,288 less. It calls F.softmax where flowvision has
  nn.Softmax: thop 6,524,448 less, torchstat-madd 994,002 less. It pools with AdaptiveAvgPool2d, flowvision with AdaptiveAvgPool1d: fvcore
  37,632 more. Arithmetic on traced shapes: torchprofile 24 more, 2 per block.
- convnext_tiny_224. flowvision's LayerNorm is a class of its own made of primitives, and its last pool is a mean; torchvision has
  nn.LayerNorm in the blocks, a subclass LayerNorm2d in the stem and between the stages, and AdaptiveAvgPool2d. fvcore, calflops-flops and
  deepspeed-flops have 14,864,640 more (5 per normalised element) and 37,632 for the pool; ptflops 2,144,256 and 75,264 more (LayerNorm2d
  is not counted); thop 8,615,424 more; torchprofile 41,846 less (flowvision's norm has two means).

torchstat itself raises AssertionError on both; its difference is of the sum over the layers that it can count.

No rule is made for a model: each stands on the tool's source, and on what the tool printed for a single layer. What no dump can tell:

- a subclass of a tool's class that prints the same, which tools that compare the class itself do not count;
- `a @ b` from torch.matmul, `x.softmax()` from F.softmax, `+` from torch.add: products and softmax are counted, additions and products of
  elements are taken for operators;
- attention in one call: in a graph it is two products and a softmax.
"""


def conventions_page() -> str:
    """The whole of docs/conventions.md."""
    rows = [convention_row(convention) for convention in CONVENTIONS]
    lines = [
        f"| [`{row['name']}`](#{row['name']}) | {_prose(row['tool'])} {row['version']} | `{row['figure']}` | {_prose(row['unit'])} | "
        f"{row['counts_by']} | {row['batch']} |"
        for row in rows
    ]
    aliases = f"Other names: {', '.join(f'`{alias}` is `{name}`' for alias, name in ALIASES.items())}."
    head = CONVENTIONS_HEAD.format(table="\n".join(lines), aliases=aliases)
    return "\n".join([head, *map(_convention, CONVENTIONS)])


def _convention(convention: Convention) -> str:
    row = convention_row(convention)
    facts = [("Figure", f"`{row['figure']}`"), ("Unit", _prose(row["unit"])), ("Leaves out", _prose(row["ignores"]))]
    facts += [("Known fault", _prose(error)) for error in row["errors"]] + [("Source", _prose(row["source"]))]
    parts = [f"## {convention.name}\n\n{_prose(convention.tool)} {convention.version}.\n"]
    parts.append("".join(f"- {name}: {text}\n" for name, text in facts))
    for title, key in (("module", "modules"), ("operator", "operators")):
        if row[key]:
            rules = "".join(f"| {', '.join(f'`{name}`' for name in rule['names'])} | {_prose(rule['formula'])} |\n" for rule in row[key])
            parts.append(f"| {title} | counts |\n| --- | --- |\n{rules}")
    figures = "; ".join(f"{e['layer']} {e['raises'] if e['total'] is None else format(e['total'], ',')}" for e in row["examples"])
    parts.append(f"Single layers of fixtures/layers/printed.repr.txt.gz: {_prose(figures)}.\n")
    return "\n".join(parts)


# ------------------------------------------------------------------ forms

HELD = re.compile(r"^(<!-- Written by docs/generate\.py from irflops/readers/forms\.py\. -->\n\n)(?:\|.*\n)*", re.MULTILINE)


SURE = {Certainty.EXACT: "exact", Certainty.LOWER_BOUND: "at least", Certainty.UPPER_BOUND: "at most", Certainty.UNBOUNDED: "open"}


def form_columns() -> dict[Holds, str]:
    """The forms, by what they tell; of those that tell the same one name."""
    columns: dict[Holds, str] = {}
    for form in FORMS:
        columns.setdefault(form.holds, form.title.partition(",")[0])  # `full job, text` and `full job, binary` are both `full job`
    return columns


def held_table() -> str:
    """What each form tells, and how sure each total of a training step can be at best; a column for the forms that tell the same."""
    columns = form_columns()
    held = [dict(holds.facts()) for holds in columns]
    lines = [f"| what the form tells | {' | '.join(columns.values())} |", "| --- " * (len(columns) + 1) + "|"]
    lines += [f"| {fact} | {' | '.join('yes' if tells[fact] else '-' for tells in held)} |" for fact in held[0]]
    sure = [at_best(holds, training=True) if holds.backward else None for holds in columns]
    for cost in COST_NAMES:
        lines.append(f"| `{cost}` of a training step | {' | '.join(SURE[best[cost]] if best else 'not held' for best in sure)} |")
    return "\n".join(lines)


PLANNED = re.compile(r"^(<!-- Written by docs/memory_table\.py from fixtures/memory/\. -->\n\n)(?:\|.*\n)*", re.MULTILINE)


def memory_table() -> str:
    """Memory plans held against OneFlow's, which a script beside this one writes."""
    return str(runpy.run_path(str(ROOT / "docs" / "memory_table.py"))["memory_table"]())


ASKED = re.compile(r"^(<!-- Written by docs/generate\.py from irflops/auditing/rules/\. -->\n\n)(?:\|.*\n)*", re.MULTILINE)


def asked_table() -> str:
    """What each audit rule needs that some form never tells, and which forms tell it."""
    columns = form_columns()
    words = dict(zip((fact.name for fact in fields(Holds)), (words for words, _ in Holds().facts()), strict=True))
    lines = [f"| audit rule | needs | {' | '.join(columns.values())} |", "| --- " * (len(columns) + 2) + "|"]
    for rule in AUDIT_RULES:
        for need in rule.needs:
            told = " | ".join("yes" if getattr(holds, need) else "-" for holds in columns)
            lines.append(f"| [`{rule.name}`](rules/{rule.name}.md) | {words[need]} | {told} |")
    return "\n".join(lines)


# ------------------------------------------------------------------ the script


def refreshed(text: str) -> str:
    """A document with its console blocks run anew, and the tables of forms and of memory plans written anew where it has them."""
    text = HELD.sub(lambda match: f"{match[1]}{held_table()}\n", text)
    text = ASKED.sub(lambda match: f"{match[1]}{asked_table()}\n", text)
    text = PLANNED.sub(lambda match: f"{match[1]}{memory_table()}\n", text)
    return refreshed_blocks(text)


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing, exit with 1 if something is out of date")
    parser.add_argument("--measured", action="store_true", help="docs/accuracy.md too, which takes long and has a test of its own")
    given = parser.parse_args()
    check = given.check
    wanted = {
        COSTS: costs_page(),
        OPERATORS: operators_page(),
        AUDIT: audit_page(),
        **rule_pages(),
        CONVENTIONS_PAGE: refreshed(conventions_page()),
    }
    if given.measured:
        wanted[ACCURACY] = accuracy_page()
    translated = {ROOT / translation: ROOT / original for translation, original in TRANSLATIONS.items()}
    wanted |= {path: refreshed(path.read_text(encoding="utf-8")) for path in documents() if path not in (*wanted, *translated)}
    wanted |= {path: in_step(path.read_text(encoding="utf-8"), wanted[original]) for path, original in translated.items()}
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{path.relative_to(ROOT).as_posix()} {'is out of date' if check else 'was written'}")
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8", newline="\n")
    gone = [path for path in AUDIT_PAGES.glob("*.md") if path not in wanted]
    for path in gone:
        print(f"{path.relative_to(ROOT).as_posix()} {'is of no rule' if check else 'was removed'}")
        if not check:
            path.unlink()
    return int(check and bool(stale or gone))


if __name__ == "__main__":
    sys.exit(main())
