"""Reading the project's Markdown: code blocks, links and headings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_PARSER = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, its language, its text and the line on which the text begins."""

    page: str
    language: str
    text: str
    line: int

    @property
    def file(self) -> str:
        """The file that its first line names (`# shop/models.py`), or ""."""
        match = re.match(r"# ([\w./-]+\.\w+)(?:\s|$|:)", self.text)
        return match[1] if match else ""

    @property
    def first(self) -> str:
        """Its first line."""
        return self.text.partition("\n")[0]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Link:
    """A link: where it stands, and where it leads."""

    page: str
    target: str

    def __str__(self) -> str:
        return f"{self.page} -> {self.target}"


def pages() -> list[str]:
    """Return every Markdown page of the project, by its path from the root."""
    found = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "example_project").glob("*.md")]
    return sorted(str(path.relative_to(ROOT)) for path in found if "_build" not in path.parts)


def tokens(page: str) -> list[Token]:
    """Return a page's tokens."""
    return _PARSER.parse((ROOT / page).read_text())


def blocks(page: str) -> list[Block]:
    """Return a page's code blocks in order; Sphinx's own directives are none.

    The language of an indented block is "indented".
    """
    found = []
    for token in tokens(page):
        line = (token.map or [0])[0] + 1
        if token.type == "fence" and not token.info.startswith("{"):
            found.append(Block(page, token.info.strip(), token.content, line + 1))
        elif token.type == "code_block":
            found.append(Block(page, "indented", token.content, line))
    return found


def links(page: str) -> list[Link]:
    """Return a page's links and images."""
    found = []
    for token in _inline(tokens(page)):
        target = token.attrGet("href") or token.attrGet("src")
        if target:
            found.append(Link(page, str(target)))
    return found


def _inline(found: list[Token]) -> Iterator[Token]:
    for token in found:
        yield token
        yield from _inline(token.children or [])


def anchors(page: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    seen: Counter[str] = Counter()
    found = set()
    all_tokens = tokens(page)
    for token, text in zip(all_tokens, all_tokens[1:], strict=False):  # noqa: RUF007
        if token.type == "heading_open":
            slug = _slug(text.children or [])
            found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return found


def _slug(children: list[Token]) -> str:
    text = "".join(c.content for c in children if c.type in ("text", "code_inline"))
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
