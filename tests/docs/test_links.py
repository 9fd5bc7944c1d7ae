"""Every link leads somewhere, and every path that a page names exists."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from .markdown import DOCS, ROOT, Link, anchors, links, pages

ALL = sorted({link for page in pages() for link in links(page)}, key=str)
LOCAL = [link for link in ALL if not urlsplit(link.target).scheme]
EXTERNAL = [link for link in ALL if urlsplit(link.target).scheme]


def test_there_are_links_to_look_at() -> None:
    assert len(LOCAL) > 50
    assert len(EXTERNAL) > 5


@pytest.mark.parametrize("link", LOCAL, ids=str)
def test_a_link_within_the_project_leads_to_a_file_and_a_heading(link: Link) -> None:
    path, _, anchor = link.target.partition("#")
    target = (ROOT / link.page).parent / unquote(path) if path else ROOT / link.page
    assert target.exists(), f"{link.page} links to {path}, which is not there"
    if anchor:
        found = anchors(str(target.resolve().relative_to(ROOT)))
        assert anchor in found, f"{path or link.page} has no heading {anchor}: {sorted(found)}"


@pytest.mark.parametrize("link", EXTERNAL, ids=str)
def test_a_link_to_elsewhere_is_well_formed(link: Link) -> None:
    parts = urlsplit(link.target)
    assert parts.scheme == "https"
    assert re.fullmatch(r"[a-z0-9.-]+\.[a-z]{2,}", parts.netloc)
    assert not re.search(r"\s", link.target)


def test_every_page_of_the_documentation_is_in_a_table_of_contents() -> None:
    listed: set[Path] = set()
    for page in DOCS.rglob("*.md"):
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text(), re.M | re.S):
            names = [line for line in tree.splitlines() if line and not line.startswith(":")]
            for name in names:
                found = set(page.parent.glob(f"{name}.md"))
                assert found, f"{page} lists {name}"
                listed |= found
    written = {path for path in DOCS.rglob("*.md") if "_build" not in path.parts}
    assert written - listed == {DOCS / "index.md"}


NAMED = [
    pytest.param(page, path, id=f"{page}-{path}")
    for page in pages()
    for path in sorted(
        set(
            re.findall(
                r"`((?:tests|docs|benchmarks|example_project)/[\w./-]+\.\w+)",
                (ROOT / page).read_text(),
            )
        )
    )
]


@pytest.mark.parametrize(("page", "path"), NAMED)
def test_a_file_that_a_page_names_exists(page: str, path: str) -> None:
    assert (ROOT / path).exists()


TESTS = [
    pytest.param(*named, id="::".join(named))
    for page in pages()
    for named in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / page).read_text())
]


@pytest.mark.parametrize(("path", "name"), TESTS)
def test_a_test_that_a_page_names_exists(path: str, name: str) -> None:
    assert re.search(rf"^\s*def {name}\(", Path(ROOT / path).read_text(), re.M)


def test_the_walk_names_a_test_and_a_page_for_each_promise() -> None:
    items = re.findall(r"^- .+\n(?:  .*\n)*", (DOCS / "promises.md").read_text(), re.M)
    assert len(items) > 20
    for item in items:
        assert re.search(r"^  - `tests/[\w/]+\.py::\w+`$", item, re.M), item
        assert re.search(r"\]\([\w./-]+\.md(#[\w-]+)?\)", item), item
