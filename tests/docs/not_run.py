"""The code blocks that no test runs, each with its reason: the only place for that.

A block is named by its page and how its first line begins.
"""

from __future__ import annotations

from .markdown import Block

LANGUAGES = {
    "": "a picture in characters",
    "sql": "for PostgreSQL: test_code_blocks.py runs it there, where there is one",
    "text": "what something prints, or a picture in characters",
}

PAGES = {
    "docs/tutorial.md": "tests/docs/test_tutorial.py follows it word for word",
    "CONTRIBUTING.md": "tests/docs/test_contributed.py is the example, to the letter",
}

BLOCKS = {
    (
        "docs/scale.md",
        "ALTER TABLE seedance_celery_video SET (",
    ): "tests/batch/test_races.py runs it on PostgreSQL",
    (
        "docs/how-to/migrate-from-a-polling-task.md",
        "@shared_task(bind=True, max_retries=60)",
    ): "what the reader has now, and is about to replace",
    (
        "example_project/README.md",
        "chain(create_video.s(…).on_error(",
    ): "shortened; tests/test_demo.py runs the act that it is from",
}


def reason(block: Block) -> str:
    """Return why a block is not run; "" where it is."""
    named = [why for (page, begin), why in BLOCKS.items() if _is(block, page, begin)]
    return "".join(named) or PAGES.get(block.page, "") or LANGUAGES.get(block.language, "")


def _is(block: Block, page: str, begin: str) -> bool:
    return block.page == page and block.first.startswith(begin)
