"""The code blocks that no test runs, each with its reason: the only place for that.

A block is named by its page and its first line.
"""

from __future__ import annotations

from .markdown import Block

LANGUAGES = {
    "": "a picture, or an indented command that is named beside it",
    "text": "what something prints, or a picture in characters",
}

PAGES = {
    "docs/tutorial.md": "tests/docs/test_tutorial.py follows it word for word",
    "CONTRIBUTING.md": "tests/docs/test_contributed.py is the example, to the letter",
}

BLOCKS = {
    (
        "docs/how-to/migrate-from-a-polling-task.md",
        "@shared_task(bind=True, max_retries=60)",
    ): "what the reader has now, and is about to replace",
}


def reason(block: Block) -> str:
    """Return why a block is not run; "" where it is."""
    of_block = BLOCKS.get((block.page, block.first), "")
    return of_block or PAGES.get(block.page, "") or LANGUAGES.get(block.language, "")
