"""Translations: the same commands and outputs as the original, and the words of the glossary."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = runpy.run_path(str(ROOT / "docs" / "translations.py"))
TRANSLATIONS: dict[str, str] = PAGE["TRANSLATIONS"]
in_step: Callable[[str, str], str] = PAGE["in_step"]
FENCED: re.Pattern[str] = PAGE["FENCED"]
LAST = {"README.md": "## How it works"}
"""By original the heading from which on it is not translated."""


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(TRANSLATIONS))
def test_a_translation_is_in_step(name: str) -> None:
    """`python docs/generate.py` writes its blocks anew; one that the original has gained needs a place in it."""
    original = TRANSLATIONS[name]
    translated, _, _ = text(original).partition(LAST.get(original, "\0"))
    assert text(name) == in_step(text(name), text(original))
    assert len(FENCED.findall(text(name))) == len(FENCED.findall(translated))


def test_blocks_are_the_originals_and_comments_the_translations() -> None:
    original = "a\n```sh\nls -l   # all\ncd x  # there\n```\nb\n```console\n$ ls\nnew\n```\n"
    translation = "甲\n```sh\nls -l  # 全部\n```\n乙\n```console\n$ ls\nold\n```\n"
    assert in_step(translation, original) == "甲\n```sh\nls -l   # 全部\ncd x  # there\n```\n乙\n```console\n$ ls\nnew\n```\n"
    with pytest.raises(ValueError, match="a block of 'sh'"):
        in_step(translation, original.replace("```sh", "```python"))
    with pytest.raises(ValueError, match=r"one of .nothing."):
        in_step(translation + translation, original)


def test_every_comment_of_a_command_is_translated() -> None:
    """No line of the commands is left in English."""
    blocks = [body for kind, body in FENCED.findall(text("README.zh-CN.md")) if kind == "sh"]
    comments = [line.partition("  # ")[2] for body in blocks for line in body.splitlines() if "  # " in line]
    assert comments
    assert [comment for comment in comments if not re.search(r"[\u4e00-\u9fff]", comment)] == []


def test_the_glossary_has_every_word_in_chinese() -> None:
    words, _, table = text("docs/glossary.md").partition("## In Chinese")
    terms = [term for line in words.splitlines() if line.startswith("**") for term in re.findall(r"\*\*([^*]+)\*\*", line)]
    rows = " ".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| "))
    assert terms
    assert [term for term in terms if not re.search(rf"(?<!\w){re.escape(term)}(?!\w)", rows)] == []
