"""Every code block of every page runs, or is named in `not_run.py` with the reason."""

from __future__ import annotations

import re
import time
import unittest
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from django.contrib import admin

from seedance_celery.testing import Seedance
from tests.harness import databases

from .markdown import DOCS, Block, blocks, pages
from .not_run import BLOCKS, PAGES, reason
from .running import Page, environment, forget_receivers
from .stages import GIVEN, STAGES, bare


def _runnable(page: str) -> list[Block]:
    return [block for block in blocks(page) if not reason(block)]


WITH_CODE = [page for page in pages() if _runnable(page)]


@pytest.fixture
def page(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    with ExitStack() as stack:
        environment(stack)
        forget_receivers(stack)
        stack.callback(_register_only, dict(admin.site._registry))
        kit = stack.enter_context(Seedance(http=True))
        # What a page sleeps, the simulated API's clock does not.
        monkeypatch.setattr(time, "sleep", kit.clock.advance)
        yield Page(kit, stack)


def _register_only(registered: dict[Any, Any]) -> None:
    admin.site._registry.clear()
    admin.site._registry.update(registered)


@pytest.mark.parametrize("name", WITH_CODE)
def test_the_code_of_a_page_runs(name: str, page: Page) -> None:
    with STAGES.get(name, bare)(page) as given:
        page.open(name, given)
        for block in _runnable(name):
            page.run(block)
    assert not page.before, f"No block begins with {list(page.before)}"


# Pages whose code is tests: each is run, with the fixture that pytest gives it.


def _names_of_tests() -> list[Any]:
    found = [block for page in WITH_CODE for block in _runnable(page)]
    return [
        pytest.param(block.page, name, id=f"{block.page}-{name}")
        for block in found
        for name in re.findall(r"^(?:def (?=test_)|class (?=\w+Tests\())(\w+)", block.text, re.M)
        if block.language == "python"
    ]


@pytest.mark.parametrize(("page", "name"), _names_of_tests())
def test_a_test_of_a_page_passes(db: None, page: str, name: str) -> None:
    with ExitStack() as stack:
        environment(stack)
        forget_receivers(stack)
        opened = Page(None, stack)
        opened.open(page, dict(GIVEN))
        for block in _runnable(page):
            # Of a page that shows more than tests, only the tests.
            if block.language == "python" and (page != "README.md" or "def test_" in block.text):
                opened.run(block)
    test = opened.names[name]
    if isinstance(test, type):
        _pass(test)
    else:
        with Seedance() as kit:
            test(kit)


def _pass(case: type[unittest.TestCase]) -> None:
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert result.testsRun
    assert result.wasSuccessful(), result.failures + result.errors


SQL = [block for page in pages() for block in blocks(page) if block.language == "sql"]


@pytest.mark.parametrize("block", SQL, ids=str)
def test_the_sql_of_a_page_runs_on_postgresql(block: Block) -> None:
    database = databases.create("postgres")
    try:
        with psycopg.connect(database.url) as connection:
            connection.execute(block.text)
    finally:
        database.drop()


def test_every_reason_not_to_run_a_block_has_its_block() -> None:
    found = [(block.page, block.first) for page in pages() for block in blocks(page)]
    for page, begin in BLOCKS:
        assert any(page == other and first.startswith(begin) for other, first in found)
    assert set(PAGES) <= set(pages())


def test_the_example_of_contributing_is_a_test() -> None:
    (example,) = [b.text for b in blocks("CONTRIBUTING.md") if b.language == "python"]
    assert (DOCS.parent / "tests" / "docs" / "test_contributed.py").read_text() == example


def test_every_stage_has_its_page() -> None:
    assert set(STAGES) <= set(WITH_CODE)
